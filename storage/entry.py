"""The values that travel between the layers. Frozen; no I/O.

Times are integer milliseconds since the epoch, UTC. Payloads are the producer's own
JSON as text. A value is made once, at a border, and trusted inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that travels with an entry. `path` is where its bytes lie now."""

    name: str
    media_type: str | None
    description: str | None
    size: int
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Producer:
    """Who handed the entry in: the door, and the peer's ids where the door knows them."""

    via: str
    uid: int | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """The clocks at one moment. `wall` alone may lie; the others tell by how much."""

    wall: int
    monotonic: int
    boot_id: str
    synchronised: bool


@dataclass(frozen=True, slots=True)
class Address:
    """What an adapter reads off a payload: where the entry belongs.

    `key` makes two entries the same; `stream` keeps entries in order; `scope` is the part
    of a backend that can refuse by itself (an experiment, or "experiment/run", which is a part
    of that); entries of one `slot` replace one another as "the current value"; `waits_for`
    names an entry of ours, by its id or key, that has to be delivered first. Of what is due at
    once, the higher `urgency` (0 to 1000) goes first. `open`: the payload leaves something to be
    found out, such as which experiment is "current".
    """

    key: str | None = None
    stream: str | None = None
    scope: str | None = None
    slot: str | None = None
    waits_for: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    urgency: int = 0
    open: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found out of an open payload. `values` replace its fields of these names.

    `address`: where the entry belongs now that it is known.
    """

    values: Mapping[str, Any]
    address: Address


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to deliver, as accepted. `digest` decides whether two entries are the same.

    `stamped`: the producer gave no time, so `created_at` is this host's clock.
    """

    id: str
    backend: str
    kind: str
    key: str
    payload: str
    digest: str
    created_at: int
    accepted: Stamp
    producer: Producer
    stream: str | None = None
    scope: str | None = None
    slot: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None
    waits_for: str | None = None
    attachments: tuple[Attachment, ...] = ()
    stamped: bool = False
    urgency: int = 0
    open: bool = False
    resolved: Mapping[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes that this entry occupies: payload and attachments."""
        return len(self.payload.encode()) + sum(part.size for part in self.attachments)


Place = Literal["oldest", "retried", "newest"]
"""Where in the queue: what has waited longest, what was tried before, what came last."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a lane can put on the wire now: `requests` of at most `batch_size` entries each.

    Kinds in `batched` may share a request. A kind in `riders` takes along the next entry of its
    stream, if that is of the kind named there. No entry of a scope in `closed` is wanted, and
    one at most of each scope in `probing`. A part of what is claimed is looked for at `first`:
    the end of the queue that would otherwise wait for the whole backlog. `kinds`: only these kinds
    of entry; empty: all.
    """

    requests: int = 1
    batch_size: int = 1
    batched: frozenset[str] = frozenset()
    riders: Mapping[str, str] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    probing: frozenset[str] = frozenset()
    first: Place = "oldest"
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry on its way to the wire. What is here is fixed for this attempt.

    `in_doubt`: an earlier attempt was sent and its answer lost. `newest_of_slot`: no later
    entry of its slot waits (kept from the first attempt while in doubt, so that a resend is
    identical). `absences`: how often `find` has answered "not there" since the last send.
    `confirms_seen`: the backend's count of confirms when this entry last failed.
    `waits_for` and `parent_id`: the entry that had to go first, and the backend's name for it
    (None: it was discarded). `raw_created_at`: what the clock showed before it was set right;
    None when it was right, or `created_at` is the producer's. `rider`: the next entry of the
    same stream, which the same message may carry. `damage`: why it is not any more what was
    accepted, so that it must not be sent; None: it is. `resolved`: what replaces fields of the
    payload that left something open; empty: nothing was found out (yet). `uid`: the producer's,
    where the door knew it.
    """

    seq: int
    id: str
    kind: str
    key: str
    payload: str
    created_at: int
    accepted_at: int
    stream: str | None
    scope: str | None
    attempts: int
    tries: int
    in_doubt: bool
    newest_of_slot: bool
    absences: int
    first_sent_at: int | None
    last_sent_at: int | None
    size: int
    labels: Mapping[str, str]
    attachments: tuple[Attachment, ...] = ()
    confirms_seen: int | None = None
    waits_for: str | None = None
    parent_id: str | None = None
    raw_created_at: int | None = None
    rider: "Claim | None" = None
    damage: str | None = None
    resolved: Mapping[str, Any] = field(default_factory=dict)
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """A claim whose earlier attempt may have landed, and the window in which it was sent."""

    claim: Claim
    first_sent_at: int
    last_sent_at: int


Compared = Literal["same", "differs", "not verified"]
"""What was there of a duplicate already: the same, something else, or nobody could look."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The backend's word that it holds the entry.

    `remote_id`: the backend's own name for it. `url`: where a person can look at it, if
    anywhere. `duplicate`: it was there before this attempt. `with_rider`: it proves the rider
    of the claim, too. `compared`: of a duplicate, whether what was there is the same; None:
    the way it was found proves that it is.
    """

    entry_id: str
    remote_id: str
    url: str | None = None
    duplicate: bool = False
    with_rider: bool = False
    compared: Compared | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What `accept` made of one entry. `id` is the entry that the outbox holds, or held.

    `state`: accepted (stored now), duplicate (held or delivered already), retried (it was a
    dead letter and waits again), conflict (the key is taken by other content: not stored),
    orphan (it waits for an entry that was never here: not stored).
    `replaced_id`: the dead letter that gave way to it, which occupied `replaced_size` bytes.
    """

    id: str
    key: str
    state: Literal["accepted", "duplicate", "retried", "conflict", "orphan"]
    replaced_id: str | None = None
    replaced_size: int = 0


@dataclass(frozen=True, slots=True)
class Alike:
    """Entries of which the same is true: those of `slot` whose payload has these `values`."""

    slot: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a backend has confirmed: its receipt, and what is kept of the entry.

    `number`: of the receipt, in the order of delivery. `kept`: the payload is, so that it can be
    sent again. `payload`: it, where it is kept and was asked for.
    """

    id: str
    kind: str
    key: str
    remote_id: str
    url: str | None
    delivered_at: int
    number: int = 0
    kept: bool = False
    payload: str | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """A backend (scope "") or one of its scopes waits by itself until `until`.

    `state`: offline, refused, throttled or parked, as `status` shows it. `mark`: a few bits
    that tell whether the secret that was refused has changed since; "" when none was.
    """

    backend: str
    scope: str
    state: str
    reason: str
    since: int
    until: int
    failures: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """A backend waits because an operator said so; `until` None: until it is resumed."""

    backend: str
    since: int
    until: int | None
    who: str
    reason: str
