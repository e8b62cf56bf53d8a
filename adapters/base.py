"""The port between the agent and a backend: Adapter, EntryKind, BackendKind.

An adapter speaks one protocol. It never schedules, retries, sleeps or touches the outbox:
it turns claims into verdicts (`adapters/verdict.py`).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from adapters.auth.options import AuthOptions
from adapters.preview import Preview
from adapters.reading import Reader, Resource
from adapters.verdict import Verdict
from storage.entry import Address, Claim, Delivered, Doubt, Receipt, Resolution


@dataclass(frozen=True, slots=True)
class EntryKind:
    """One kind of entry that a backend takes.

    `payload` is strict and only judges: what is stored is the producer's JSON. `address`
    reads key, stream, scope, slot and labels off the judged payload. `in_doubt`: "find" when
    the adapter can look for a lost entry, "resend" when sending the same again is harmless
    and proves itself. `batched`: several of them may go out in one request. `rider`: the kind
    of entry that, next in the same stream, may go out in the same message as this one.
    `check` judges what only the settings decide: a judged payload and the backend's options give
    (JSON pointer below the payload, what is wrong) pairs. `lifetime_seconds`: when it is worth
    nothing any more, unless its producer says otherwise. `secret`: the name of the one attachment
    that it takes, a credential of the producer's: it is no part of what makes two entries the same.
    `elsewhere`: another service than the backend takes it. What that one confirms proves nothing
    about the backend, and what it does not take has to be Parked, for a scope of its own.
    `once`: it does something there (it starts a run, it stops one) rather than record that it was
    done: confirmed, it is never sent again.
    """

    payload: type[BaseModel]
    address: Callable[[Any], Address]
    in_doubt: Literal["find", "resend"]
    takes_attachments: bool = False
    max_attachment_bytes: int | None = None
    batched: bool = False
    rider: str | None = None
    check: Callable[[Any, Any], Iterable[tuple[str, str]]] | None = None
    lifetime_seconds: float | None = None
    secret: str | None = None
    elsewhere: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `requests` in any `seconds`: what a backend takes before it says 429."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Site:
    """What an adapter knows of its backend and of this host: the settings it was made from.

    `read_secret(name)` reads a secret file's text at send time; relative names are looked up
    in $CREDENTIALS_DIRECTORY, then in the configuration's folder, and `find_secret(name)` says
    where that is. `now` gives epoch ms. `host`: this host's name, for people. `logins`: the
    folder with what logins of the user that we run as have given.
    """

    name: str
    url: str
    timeout_seconds: float
    attempt_timeout_seconds: float
    concurrency: int
    auth: AuthOptions
    tls: "TlsOptions"
    options: Any
    read_secret: Callable[[str], str]
    now: Callable[[], int]
    host: str = ""
    find_secret: Callable[[str], Path] = Path
    logins: Path = Path("/nonexistent")


class TlsOptions(BaseModel, extra="forbid", frozen=True):
    """`tls` of a backend: PEM files; the system's authorities when nothing is said."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Adapter(Protocol):
    """How one backend is spoken to. One instance per configured backend."""

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Send the claims, all of one kind; one verdict per claim, in the same order.

        Raising a DeliveryError is the verdict of all of them.
        """
        ...

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """What the backend holds that may be this entry, oldest first; empty: not there now.

        Raises a DeliveryError when it cannot tell.
        """
        ...

    async def holds(self, receipt: Delivered) -> bool | None:
        """Does the backend still hold what it once confirmed? None: it has no way to tell.

        Only asks. Raises a DeliveryError when it cannot tell now.
        """
        ...

    def preview(self, claim: Claim) -> Sequence[Preview]:
        """The requests that would store the claim, as `deliver` sends them. No I/O.

        Empty: this kind of entry cannot be shown. Raises a DeliveryError where `deliver` would
        before it sends anything.
        """
        ...

    async def close(self) -> None:
        """Close connections. No other method is called afterwards."""
        ...


Resolve = Callable[[Any, str, Mapping[str, Any], int], Awaitable[Resolution | None]]
CheckAuth = Callable[[AuthOptions, Any], Iterable[tuple[str, str]]]


def one_account(auth: AuthOptions, _: Any) -> Iterable[tuple[str, str]]:
    """What most kinds say of `auth`: they know no operator accounts to choose from."""
    if auth.method == "auto":
        yield "auth.method", "'auto' is for the eLog only"


@dataclass(frozen=True, slots=True)
class BackendKind:
    """Everything the agent knows of a kind of backend, as data. The registry holds one each.

    `batch_size`: entries that one `deliver` may take (1: one by one). `settles_after_seconds`:
    how long after the last send an empty `find` starts to count, and `settles_per_file_seconds`
    how much longer for each attachment; `absent_answers`: how many empty answers, apart, prove
    that nothing landed. `limits`: the backend's rate limits, as far
    as its adapter has learnt them by now; the lane obeys. `resolve`: finds out what an open
    payload leaves out, while the producer waits a moment: the adapter, the kind of entry, its
    payload, its created_at (epoch ms); None: it cannot be told now. Raises DeliveryError.
    `reader`: makes what asks it questions, `resources` says in words what can be asked.
    `check_auth`: judges `auth` beside the backend's options: (key below the backend, what is
    wrong) pairs.
    """

    options: type[BaseModel]
    adapter: Callable[[Site], Adapter]
    kinds: Mapping[str, EntryKind]
    main_kind: str
    batch_size: int = 1
    concurrency: int = 2
    settles_after_seconds: float = 5
    settles_per_file_seconds: float = 0
    absent_answers: int = 2
    aliases: Mapping[str, str] | None = None
    limits: Callable[[Any], Sequence[Limit]] = lambda _: ()
    resolve: Resolve | None = None
    check_auth: CheckAuth = one_account
    reader: "Callable[[Site], Reader] | None" = None
    resources: Mapping[str, Resource] = field(default_factory=dict)
