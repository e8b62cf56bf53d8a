"""Who is ready when: the one place that decides whether a spool file is complete.

Pure: fingerprints, happenings and monotonic times come in as arguments. A file is due

- at once when it arrived by rename;
- `QUIET_SECONDS` after it was closed, if it looks the same;
- when nobody saw it being written (start, overflow, network file system): once it looked
  the same for `settle` seconds, over at least two looks;
- when somebody was seen writing and not closing: like the last one, but only with proof
  that it is closed; without proof it waits, and after a while counts as stuck.

Its own times are never compared with the wall clock.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto

QUIET_SECONDS = 1.0  # design, section 4
STUCK_SETTLES = 60  # quiet settle periods (5 minutes by default) before we ask a person
ALONE_SETTLES = 12  # quiet settle periods (1 minute) in which what belongs to a file should come


class Happening(Enum):
    """What was seen to happen to a file."""

    ARRIVED = auto()  # renamed in, complete
    CREATED = auto()
    WRITTEN = auto()
    CLOSED = auto()  # closed by one who had it open for writing


@dataclass(frozen=True, slots=True)
class Due:
    """When a file may be taken (monotonic seconds; inf: only after something happens).

    `proof`: only if it can be proven that nobody has it open for writing. `stuck`: that
    proof has been missing for so long that a person should look. `alone`: it has looked the same
    for so long that what belongs to it, and is not there, will not come.
    """

    at: float
    proof: bool = False
    stuck: bool = False
    alone: bool = False


@dataclass(slots=True)
class _Sight:
    fingerprint: object = None
    since: float = 0.0
    looks: int = 0
    arrived: bool = False
    closed_at: float | None = None
    writing: set[str] = field(default_factory=set)
    noted: int = 0


class Readiness:
    """What is known of every file now in the spool. Paths are opaque to it."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._sights: dict[str, _Sight] = {}
        self._notes = 0

    @property
    def notes(self) -> int:
        """How much has been noted so far: take it before a listing, give it to `keep`."""
        return self._notes

    def note(self, path: str, happening: Happening, now: float, *, part: str = "") -> None:
        """Remember what happened to `path`; `part` names the file inside a folder entry."""
        sight = self._sights.setdefault(path, _Sight())
        self._notes += 1
        sight.noted = self._notes
        match happening:
            case Happening.ARRIVED if not part:
                self._sights[path] = _Sight(arrived=True, noted=self._notes)
            case Happening.CREATED if not part:
                self._sights[path] = _Sight(noted=self._notes)
            case Happening.CREATED | Happening.ARRIVED if sight.arrived:
                pass  # watchdog tells of each file in a folder that was renamed in
            case Happening.CREATED | Happening.ARRIVED:
                sight.arrived, sight.fingerprint = False, None
            case Happening.WRITTEN:
                sight.arrived, sight.closed_at, sight.fingerprint = False, None, None
                sight.writing.add(part)
            case Happening.CLOSED:
                sight.writing.discard(part)
                sight.closed_at = None if part else now

    def renamed(self, old: str, new: str) -> None:
        """A visible file got another visible name: what was known of it stays known."""
        self._notes += 1
        sight = self._sights.pop(old, None) or _Sight()
        sight.noted = self._notes
        self._sights[new] = sight

    def forget_happenings(self) -> None:
        """Events were lost: trust none of those seen, begin to watch every file anew."""
        self._notes += 1
        for path in self._sights:
            self._sights[path] = _Sight(noted=self._notes)

    def keep(self, present: Collection[str], notes: int) -> None:
        """Forget files that are gone; spare those noted after `notes`, they are younger."""
        gone = [
            path
            for path, sight in self._sights.items()
            if path not in present and sight.noted <= notes
        ]
        for path in gone:
            del self._sights[path]

    def look(
        self,
        path: str,
        fingerprint: object,
        now: float,
        *,
        parts: Collection[str] = ("",),
        unfinished: bool = False,
    ) -> Due:
        """Note how `path` looks now, and say when it is due.

        `parts` are the names inside a folder entry. `unfinished`: it can be seen from
        outside that it is still being written.
        """
        sight = self._sights.setdefault(path, _Sight())
        sight.writing.intersection_update(parts)
        if sight.fingerprint != fingerprint:
            sight.fingerprint, sight.since, sight.looks = fingerprint, now, 0
        sight.looks += 1
        alone = now - sight.since >= ALONE_SETTLES * self._settle
        if unfinished:
            return Due(math.inf, proof=True, stuck=self._stuck(sight, now))
        if sight.arrived:
            return Due(now, alone=alone)
        at = self._quiet_until(sight)
        if sight.looks < 2 and at <= now:  # noqa: PLR2004 - "over two looks", design section 4
            at = math.nextafter(now, math.inf)
        return Due(at, proof=bool(sight.writing), stuck=self._stuck(sight, now), alone=alone)

    def _quiet_until(self, sight: _Sight) -> float:
        if sight.closed_at is not None and not sight.writing:
            return max(sight.since, sight.closed_at) + QUIET_SECONDS
        return sight.since + self._settle

    def _stuck(self, sight: _Sight, now: float) -> bool:
        return now - sight.since >= STUCK_SETTLES * self._settle
