"""What a lane knows of its backend, and what it remembers between attempts."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.base import Adapter, BackendKind
from agent.pace import Terms
from agent.retry import Policy

REMEMBERED = 1000  # confirms: far more than come between two tries of one entry


@dataclass(frozen=True, slots=True)
class Route:
    """What a lane needs to know of its backend.

    `open_at` says whether entries may leave at a time (epoch ms); `credentials` gives a
    fingerprint of the secret, to notice that it was changed; `options`: the adapter's own.
    """

    name: str
    kind: BackendKind
    adapter: Adapter
    policy: Policy
    batch_size: int
    concurrency: int
    timeout_seconds: float = 10
    rate_per_second: float | None = None
    open_at: Callable[[int], bool] = lambda _: True
    credentials: Callable[[], str] = lambda: ""
    options: Any = None
    keeps_payloads: bool = False

    def keeps(self, kind: str) -> bool:
        """Do payloads of this kind of entry stay after delivery, to be sent again?

        Never a producer's credential, and nothing that would be done a second time.
        """
        known = self.kind.kinds.get(kind)
        if known is None or known.secret is not None or known.once:
            return False
        return self.keeps_payloads

    def elsewhere(self, kind: str) -> bool:
        """Is this kind of entry taken by another service, which tells nothing about the backend?"""
        return kind in self.kinds_elsewhere

    @property
    def kinds_elsewhere(self) -> frozenset[str]:
        """All kinds of entry that another service takes."""
        return frozenset(name for name, one in self.kind.kinds.items() if one.elsewhere)

    @property
    def longest_delay_ms(self) -> int:
        """No entry can rightly be due later than this from now on."""
        longest = max(self.policy.max_delay_seconds, self.kind.settles_after_seconds)
        return round(longest * 1000)

    def terms(self) -> Terms:
        """What the settings and the backend allow its lane's pace."""
        return Terms(
            self.concurrency,
            first_delay_seconds=self.policy.first_delay_seconds,
            max_delay_seconds=self.policy.max_delay_seconds,
            timeout_seconds=self.timeout_seconds,
            rate_per_second=self.rate_per_second,
            limits=lambda: self.kind.limits(self.adapter),
            secret=self.policy.has_secret,
        )


@dataclass(slots=True)
class Progress:
    """What a lane remembers between attempts; all of it may be forgotten by a restart.

    `last_outcome` is monotonic. `elsewhere`: what the count of confirms was after each of the last
    ones that tell nothing about the backend. How fast the lane may send is in agent/pace.py.
    """

    uncertain_in_row: int = 0
    rejected_in_row: list[str] = field(default_factory=list)
    storm: bool = False
    last_outcome: float = 0.0
    elsewhere: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def others_confirmed(self, seen: int | None, delivered: int) -> bool:
        """Has the backend itself taken anything since its count of confirms was `seen`?

        `delivered`: the count now. None: nothing has failed yet.
        """
        if seen is None:
            return False
        return delivered - seen > sum(count > seen for count in self.elsewhere)
