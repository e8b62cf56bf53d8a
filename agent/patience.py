"""Write to the outbox until the disk takes it.

Promises: an outcome that could not be written is kept and tried again as long as the agent
lives, so that a full disk makes no delivered entry be sent twice; told once per trouble.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from storage.errors import DiskRefused

T = TypeVar("T")

DISK_SECONDS = 1.0  # between two tries of a disk that refuses


class Patience:
    """One lane's patience with the disk."""

    def __init__(self, log: Any, pause: Callable[[float], Awaitable[None]]) -> None:
        self._log = log
        self._pause = pause
        self._told = False
        self._over = False

    async def write(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer of `ask`, as often as it takes. Raises DiskRefused when patience is over."""
        while True:
            try:
                done = await ask()
            except DiskRefused as exc:
                self.tell(exc)
                if self._over:
                    raise
                await self._pause(DISK_SECONDS)
            else:
                self._told = False
                return done

    def tell(self, refused: DiskRefused) -> None:
        """Say that the disk refuses, once until it writes again."""
        if not self._told:
            self._told = True
            self._log.error("disk.refused", reason=str(refused))

    def end(self) -> None:
        """The agent stops: from now on every write has one try."""
        self._over = True
