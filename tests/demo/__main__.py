"""`make demo`: an outage, a crash and a full recovery, and a count at the end.

Everything is real but the four backends: the daemon is a process of its own, the spool a
folder, the entries travel over a Unix socket and HTTP on loopback. The numbers at the end are
computed from what the backends hold. Exit code 0 only if nothing was lost, invented or doubled.
"""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.panel import Panel

from tests.demo.plot import plot
from tests.demo.producers import Producers
from tests.demo.view import status_table
from tests.ledgers import balance
from tests.world import World

OUTAGE_SECONDS = 8.0
DRAIN_SECONDS = 60.0


class Demo:
    """The acts, in order."""

    def __init__(self, console: Console, world: World) -> None:
        self._console = console
        self._world = world
        self._producers = Producers(world)

    def play(self) -> bool:
        """All acts; True when the books balance."""
        self._act("Four emulated backends and the agent start.")
        self._world.start()
        self._act(
            "Programs hand entries in: files dropped into the spool (JSON, NDJSON, a Markdown "
            f"post with a plot), and the socket by {self._producers.by}."
        )
        self._producers.spool_files(plot())
        for _ in range(3):
            self._producers.socket_round()
        self._watch("delivered", self._world.drained)

        self._act("The eLog and the event manager are unplugged. Production goes on.")
        self._world.served["elog"].unplug()
        self._world.served["events"].unplug()
        self._produce_for(OUTAGE_SECONDS)
        self._say("Two backends are away and their entries are held; the other two flow.")

        self._act("kill -9, in the middle of a drain. The agent starts again.")
        burst = self._producers.burst(400)
        self._watch("draining", lambda: self._delivered_of(burst) > len(burst) // 10)
        self._world.kill()
        left = len(burst) - self._delivered_of(burst)
        self._say(f"Killed with {left} of {len(burst)} entries of a burst still to go.")
        self._producers.spool_files(plot())
        self._say("While it is dead, a program leaves more files in the spool.")
        self._world.start()

        self._act("The backends are plugged in again.")
        self._world.served["elog"].plug()
        self._world.served["events"].plug()
        self._watch("drained", self._world.drained)
        return self._close_the_books()

    def _close_the_books(self) -> bool:
        books = balance(self._world, self._producers.accepted)
        self._act("What the backends hold, compared with what was accepted.")
        verdict = (
            f"delivered {books.delivered} of {books.accepted}, "
            f"lost {len(books.lost)}, duplicated {len(books.doubled)}"
        )
        style = "bold green" if books.exact else "bold red"
        self._console.print(Panel.fit(verdict, style=style))
        if books.invented:
            self._console.print(f"invented: {books.invented}", style="bold red")
        return books.exact and self._producers.plots_arrived()

    def _delivered_of(self, burst: set[tuple[str, str]]) -> int:
        return balance(self._world, burst).delivered

    def _produce_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds

        def produced() -> bool:
            self._producers.socket_round()
            return time.monotonic() > until

        self._watch("producing", produced)

    def _watch(self, word: str, done: Callable[[], bool]) -> None:
        """Show the status live until it is so; fails when it never is."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with Live(console=self._console, refresh_per_second=8, transient=False) as live:
            while True:
                finished = done()
                live.update(status_table(self._world.status(), word))
                if finished:
                    return
                if time.monotonic() > deadline:
                    raise SystemExit(f"not {word} after {DRAIN_SECONDS:.0f} s")
                time.sleep(0.1)

    def _act(self, sentence: str) -> None:
        self._console.print(f"\n[bold cyan]▶[/] {sentence}")

    def _say(self, sentence: str) -> None:
        self._console.print(f"  {sentence}")


def main() -> int:
    console = Console(highlight=False)
    begun = time.monotonic()
    with World() as world:
        balanced = Demo(console, world).play()
        code = world.stop()
    console.print(
        f"The agent stopped with exit code {code}; {time.monotonic() - begun:.0f} s in all."
    )
    return 0 if balanced and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
