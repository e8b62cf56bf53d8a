"""Who handed an entry in, as the eLog may know them: the account of a producer's uid.

Promises: nothing else waits for a name server. A look-up runs in a thread that nobody waits for
at a stop; it is given SECONDS once, and until it comes back the uid has no name. What the eLog has
crashed over is left out for a while: it takes only accounts of its directory and operators
(elog sheet, section 3.5).
"""

import asyncio
import pwd
import threading
from collections.abc import Callable
from contextlib import suppress

from storage.entry import Claim

SECONDS = 1.0  # of a delivery's time; the name of a local account takes less than a millisecond
REFUSED_MS = 3600 * 1000  # then somebody may have been added to the directory
REMEMBERED = 1000  # entries that crashed the server: many more than can be in doubt at a time
ROOT = 0  # nobody's name

LookUp = Callable[[int], str]


def account_of(uid: int) -> str:
    """The name of a local account. Raises KeyError; blocks as long as the name server likes."""
    return pwd.getpwuid(uid).pw_name


class Authors:
    """Gives posts the author that their payload does not name. `now` gives epoch ms.

    `seconds`: how long the first post of an account waits for its name.
    """

    def __init__(
        self,
        now: Callable[[], int],
        look_up: LookUp = account_of,
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._now = now
        self._look_up = look_up
        self._seconds = seconds
        self._asked: dict[int, asyncio.Future[str | None]] = {}
        self._hanging: set[int] = set()
        self._crashed: dict[str, str] = {}  # the entry -> the name that it was sent with
        self._refused: dict[str, int] = {}  # a name -> until when it is left out

    async def author_of(self, claim: Claim) -> str | None:
        """The name to send; None: the eLog takes whoever posts."""
        if claim.uid is None or claim.uid == ROOT or claim.id in self._crashed:
            return None
        name = await self._name(claim.uid)
        return name if name and self.may_be(name) else None

    def may_be(self, name: str) -> bool:
        """Has the server not crashed over it of late?"""
        return self._refused.get(name, 0) <= self._now()

    def crashed(self, claim: Claim, name: str) -> None:
        """The server crashed over a post with that author: should it be sent again, then without.

        It is only once nothing of it was found, as after every lost answer.
        """
        self._crashed[claim.id] = name
        if len(self._crashed) > REMEMBERED:
            del self._crashed[next(iter(self._crashed))]

    def confirmed(self, claim: Claim) -> None:
        """What crashed with the name is there without it: it was the name."""
        name = self._crashed.pop(claim.id, None)
        if name is not None:
            self._refused[name] = self._now() + REFUSED_MS

    async def _name(self, uid: int) -> str | None:
        asked = self._asked.get(uid) or self._ask(uid)
        self._asked[uid] = asked
        if uid not in self._hanging:
            await asyncio.wait({asked}, timeout=self._seconds)
        if not asked.done():
            self._hanging.add(uid)
            return None
        self._hanging.discard(uid)
        self._asked.pop(uid, None)
        return asked.result()

    def _ask(self, uid: int) -> "asyncio.Future[str | None]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def tell(name: str | None) -> None:
            if not answer.done():
                answer.set_result(name)

        def work() -> None:
            name = None
            with suppress(KeyError, OSError):
                name = _sendable(self._look_up(uid))
            with suppress(RuntimeError):  # the agent has stopped meanwhile
                loop.call_soon_threadsafe(tell, name)

        threading.Thread(target=work, name=f"account-{uid}", daemon=True).start()
        return answer


def _sendable(name: str) -> str | None:
    """The name if the form can carry it."""
    return name if name.split() == [name] else None
