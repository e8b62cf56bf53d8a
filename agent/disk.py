"""What the disk does to the agent, told to people; and a start that waits for room.

An agent that cannot open its database for lack of room does not end: systemd would start it
again every few seconds, and each start needs room, too. It says so once, and goes on when there
is room.
"""

import errno
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from storage.errors import DiskRefused

T = TypeVar("T")

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
log = structlog.get_logger()


def tell(event: str, **about: Any) -> None:
    """What storage has to say of damage."""
    match event:
        case "database.damaged":
            log.error("database.damaged", **about)
        case "database.salvaged":
            log.error("database.salvaged", **about)
        case _:
            log.error("salvage.failed", **about)


async def when_there_is_room(
    begin: Callable[[], T], pause: Callable[[], Awaitable[bool]]
) -> T | None:
    """What `begin` gives, as soon as the disk lets it. None: `pause` said that it is over."""
    told = False
    while True:
        try:
            return begin()
        except (DiskRefused, OSError) as exc:
            if isinstance(exc, OSError) and exc.errno not in DISK_ERRORS:
                raise
            reason = str(exc)
        if not told:
            log.error("disk.refused", reason=reason, at="start")
            told = True
        if await pause():
            return None
