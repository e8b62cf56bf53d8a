"""The port between the agent and a backend: Adapter, EntryKind and the DeliveryError tree.

An adapter speaks one protocol. It never schedules, retries, sleeps or touches the outbox:
it turns claims into receipts or into one of these errors, named by what must happen next.

    DeliveryError
    +-- Unreachable    nothing was sent                   -> the backend rests
    +-- Refused        the backend refuses *us*           -> the backend rests, in words
    +-- Parked         it refuses one scope, for now      -> that scope rests
    +-- Throttled      it asks us to come back later      -> the backend rests as long as asked
    +-- Uncertain      sent, and the outcome is unknown   -> in doubt: look before sending again
    +-- Rejected       it judged this entry               -> dead letter
    +-- BatchRefused   a batch was refused, nothing kept  -> the lane halves it
    +-- Held           only a person can say what to do   -> held, with the reason

Two more verdicts are no errors: Resolved (what an open payload leaves out was found; nothing was
sent yet) and Superseded (a newer entry of its slot waits, this one is worth nothing any more).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from adapters.auth.options import AuthOptions
from adapters.preview import Preview
from storage.entry import Address, Alike, Claim, Delivered, Doubt, Receipt, Resolution

EXCERPT_LENGTH = 500  # characters of a backend's answer that a dead letter keeps


Side = Literal["entry", "backend", "credentials", "network", "agent"]


class DeliveryError(Exception):
    """Delivery did not end in proof. `detail` is for the person at 3 am.

    `side` says whose trouble it is; `status` and `excerpt` keep what the backend answered.
    `shown_to`: who saw a credential of ours, at most; what nobody saw locks no account.
    """

    side: Side = "backend"
    shown_to: Literal["nobody", "kdc", "backend"] = "backend"

    def __init__(
        self, detail: str, *, status: int | None = None, excerpt: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.excerpt = excerpt[:EXCERPT_LENGTH] if excerpt else None


class Unreachable(DeliveryError):
    """Nothing was sent: refused connection, name look-up, TLS, connect timeout."""

    side: Side = "network"


class Refused(DeliveryError):
    """The backend, or something in front of it, refuses us and not this entry.

    `landed` is True when the entry may have been stored all the same (a foreign 200).
    `credentials` is True when the same secret must not be tried again at once.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        excerpt: str | None = None,
        landed: bool = False,
        credentials: bool = False,
    ) -> None:
        super().__init__(detail, status=status, excerpt=excerpt)
        self.landed = landed
        self.credentials = credentials
        if credentials:
            self.side = "credentials"


class Parked(DeliveryError):
    """One scope of the backend cannot take entries now; others can.

    A scope "a/b" is a part of the scope "a": an entry of "a" that is parked for "a/b" leaves
    its stream, so that the rest of "a" flows. `unknown`: the backend says that there is no such
    scope; an entry of one that has never worked is rejected. `retry_after`: seconds, if it was
    asked for a time.
    """

    def __init__(
        self,
        detail: str,
        *,
        scope: str,
        unknown: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(detail, status=status, excerpt=excerpt)
        self.scope = scope
        self.unknown = unknown
        self.retry_after = retry_after


class Throttled(DeliveryError):
    """The backend asked us to come back later, after `retry_after` seconds if it said so."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(detail, status=status, excerpt=excerpt)
        self.retry_after = retry_after


class Uncertain(DeliveryError):
    """The request went out and nothing proves what became of it."""

    side: Side = "network"


class Rejected(DeliveryError):
    """The backend judged this entry, and will judge it the same way again."""

    side: Side = "entry"


class BatchRefused(DeliveryError):
    """A batch was refused as a whole: nothing of it was stored, the culprit is unknown."""

    side: Side = "entry"


class Held(DeliveryError):
    """Only a person can say what is to become of the entry. Nothing was sent.

    `proposal`: what the entry becomes if the operator releases it; None: released, it is judged
    again as it is.
    """

    side: Side = "entry"

    def __init__(self, detail: str, *, proposal: Resolution | None = None) -> None:
        super().__init__(detail)
        self.proposal = proposal


@dataclass(frozen=True, slots=True)
class Resolved:
    """Nothing was sent yet: first it has to be stored what was found out of the open payload.

    The entry comes again at once, with `Claim.resolved`.
    """

    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Superseded:
    """Nothing was sent, and nothing will be: `reason` says for which newer entry's sake.

    `alike`: which of the entries behind it, but for the newest, it is true of as well; they
    leave without being claimed, so that a backlog of them costs no time.
    """

    reason: str
    alike: Alike | None = None


Verdict = Receipt | DeliveryError | Resolved | Superseded


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
    where that is. `now` gives epoch ms. `host`: this host's name, for people.
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
