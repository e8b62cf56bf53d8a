"""Producers in threads: they hand in by every door until the play is over.

A letter that was not answered is sent again until it is. A backend with a long queue gets less,
so that the drain at the end is a matter of seconds.
"""

import random
import threading
from collections.abc import Sequence

from tests.handing import Hands, Letter, Refused
from tests.ledgers import BACKENDS, Books
from tests.world import World

PATIENCE_SECONDS = 3.0  # until an answer counts as lost
MOST_WAITING = {"elog": 40, "events": 400, "telemetry": 400, "accounting": 400}


class Crowd:
    """Some producers at once. `waiting` is told how long the queues are."""

    def __init__(self, world: World, books: Books, seed: int, count: int) -> None:
        self._world = world
        self._books = books
        self._over = threading.Event()
        self._abandoned = threading.Event()
        self.waiting: dict[str, int] = {}
        self.repeated = 0
        self.violations: list[str] = []
        self.hands = [
            Hands(world, books, random.Random(f"{seed}/producer{number}"), f"p{number}")
            for number in range(count)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(one, random.Random(f"{seed}/{n}")))
            for n, one in enumerate(self.hands)
        ]

    def begin(self) -> None:
        for one in self._threads:
            one.start()

    def end(self, seconds: float) -> None:
        """Let every letter on its way be answered; say which producer could not do that."""
        self._over.set()
        for one in self._threads:
            one.join(seconds)
        stuck = sum(one.is_alive() for one in self._threads)
        if stuck:
            self.violations.append(f"{stuck} producers could not hand in any more")
        self.abandon()

    def abandon(self) -> None:
        """Give up what is not answered."""
        self._over.set()
        self._abandoned.set()
        for one in self._threads:
            if one.is_alive():
                one.join()

    def _run(self, hands: Hands, dice: random.Random) -> None:
        while not self._over.wait(dice.uniform(0.0, 0.25)):
            try:
                letter = hands.anything(self._welcome())
                while letter is not None and not self._sent(hands, letter):
                    self.repeated += 1
                    if self._abandoned.wait(0.2):
                        return
            except Refused as refused:
                self.violations.append(f"refused: {refused}")
            except Exception as exc:  # noqa: BLE001 - told at the end, like everything else
                self.violations.append(f"a producer ended: {exc!r}")
                return

    def _sent(self, hands: Hands, letter: Letter) -> bool:
        return hands.post(letter, timeout=PATIENCE_SECONDS)

    def _welcome(self) -> Sequence[str]:
        free = [name for name in BACKENDS if self.waiting.get(name, 0) < MOST_WAITING[name]]
        return free or ("accounting",)
