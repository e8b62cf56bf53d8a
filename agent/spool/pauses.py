"""Which backends' files wait, and until when, for something that the agent lacks (room, the disk).

Promises: each wait in a row is twice as long as the last, up to LONGEST_SECONDS; one backend that
waits holds up no other. Times are monotonic seconds, and come in as arguments.
"""

from dataclasses import dataclass

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    length: float


class Pauses:
    """The pauses of one spool, by backend."""

    def __init__(self) -> None:
        self._pauses: dict[str, _Pause] = {}

    def begin(self, backend: str, now: float) -> float:
        """Let a backend's files wait, longer each time. Returns until when."""
        last = self._pauses.get(backend)
        length = min(last.length * 2, LONGEST_SECONDS) if last else FIRST_SECONDS
        self._pauses[backend] = _Pause(now + length, length)
        return now + length

    def end(self, backend: str) -> None:
        """Its files are taken again."""
        self._pauses.pop(backend, None)

    def until(self, backend: str, otherwise: float) -> float:
        """Until when its files wait."""
        pause = self._pauses.get(backend)
        return pause.until if pause else otherwise
