"""How fast the outbox is, and whether it stays so: run by hand, `make bench`.

For each size: fill the outbox with so many waiting entries, then accept, claim and confirm on top
of them, every transaction fsynced as in production. Beside each rate stands its ratio to rows
that plain sqlite3 inserts with as many per commit in the same run on the same disk, because
machines and moments differ and ratios do not. Flat means: the lines of one shape are alike.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ulid import ULID

from storage.accept import accept
from storage.census import census
from storage.claim import claim
from storage.engine import checkpoint, writing_engine
from storage.entry import Claim, Entry, Receipt, Wanted
from storage.pages import entry_page
from storage.settle import settle
from storage.settlement import Confirm
from storage.states import State
from storage.upgrade import bring_up_to_date
from tests.builders import NOW, an_entry

URL = "http://events.test"
TEMPLATE = an_entry(payload={"text": "x" * 300})
SHAPES: dict[str, Callable[[int], str | None]] = {
    "no streams": lambda _: None,
    "10k streams": lambda number: f"s{number % 10_000}",
    "one stream": lambda _: "s",
}
FILL = 2000  # entries in one transaction while filling
ROUNDS = 40
BATCH = 100


@dataclass(frozen=True)
class Rates:
    """Rows per second with BATCH rows in a transaction; milliseconds for single looks.

    Of one stream only the head can be claimed: there a transaction holds one row.
    """

    accept: float
    claim: float
    confirm: float
    claim_one_ms: float
    census_ms: float
    page_ms: float


class Bench:
    """An outbox of one shape in a folder of its own."""

    def __init__(self, folder: Path, shape: str) -> None:
        self.engine = writing_engine(folder / "outbox.db")
        bring_up_to_date(folder / "outbox.db", self.engine)
        self._stream = SHAPES[shape]
        self._number = 0

    def fill(self, size: int) -> None:
        """Wait with `size` entries."""
        while self._number < size:
            self._accept(min(FILL, size - self._number))
        checkpoint(self.engine)

    def measure(self) -> Rates:
        """All rates on what waits now."""
        accepted = seconds(lambda: self._accept(BATCH))
        claiming, confirming, ones = [], [], []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            claims = self._claim(BATCH)
            middle = time.perf_counter()
            self._confirm(claims)
            claiming.append((middle - begin) / len(claims))
            confirming.append((time.perf_counter() - middle) / len(claims))
            begin = time.perf_counter()
            claims = self._claim(1)
            ones.append(time.perf_counter() - begin)
            self._confirm(claims)
        return Rates(
            accept=BATCH / accepted,
            claim=1 / statistics.median(claiming),
            confirm=1 / statistics.median(confirming),
            claim_one_ms=1000 * statistics.median(ones),
            census_ms=1000 * seconds_once(self._census),
            page_ms=1000 * seconds_once(self._page),
        )

    def _accept(self, number: int) -> None:
        entries = [self._entry() for _ in range(number)]
        with self.engine.begin() as connection:
            accept(connection, entries, {"events": URL})

    def _entry(self) -> Entry:
        id_ = str(ULID())
        self._number += 1
        return replace(TEMPLATE, id=id_, key=id_, stream=self._stream(self._number))

    def _claim(self, number: int) -> list[Claim]:
        with self.engine.begin() as connection:
            return claim(
                connection,
                "events",
                Wanted(requests=number),
                token="t",
                now=NOW,
                attachments=Path(),
            )

    def _confirm(self, claims: list[Claim]) -> None:
        ends = [Confirm(one, Receipt(one.id, one.id)) for one in claims]
        with self.engine.begin() as connection:
            settle(connection, ends, "events", URL, token="t", now=NOW)

    def _census(self) -> None:
        with self.engine.begin() as connection:
            census(connection, now=NOW)

    def _page(self) -> None:
        with self.engine.begin() as connection:
            entry_page(
                connection,
                backend="events",
                state=State.PENDING,
                labels={},
                limit=100,
                after=self._number // 2,
            )


def seconds_once(act: Callable[[], object]) -> float:
    """How long `act` takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def seconds(act: Callable[[], object]) -> float:
    """How long `act` takes, in the middle of many times."""
    return statistics.median(seconds_once(act) for _ in range(ROUNDS))


def raw_rate(folder: Path) -> float:
    """Rows per second that plain sqlite3 inserts, BATCH to a fsynced commit."""
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE row (number INTEGER PRIMARY KEY, said TEXT)")
        rows = [(TEMPLATE.payload,)] * BATCH

        def insert() -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO row (said) VALUES (?)", rows)
            connection.execute("COMMIT")

        return BATCH / seconds(insert)


@contextmanager
def bench(shape: str) -> Iterator[tuple[Bench, Path]]:
    with tempfile.TemporaryDirectory() as name:
        made = Bench(Path(name), shape)
        try:
            yield made, Path(name)
        finally:
            made.engine.dispose()


def line(shape: str, size: int, rates: Rates, raw: float) -> str:
    """One line of the table: rate and ratio of each verb."""
    each = (rates.accept, rates.claim, rates.confirm)
    columns = "".join(f"{rate:>9,.0f}/s {rate / raw:>5.2f}" for rate in each)
    rest = f"{rates.claim_one_ms:>11.2f}{rates.census_ms:>11.1f}{rates.page_ms:>11.1f}"
    return f"{shape:<12}{size:>10,}{columns}{rest}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    given = parser.parse_args()
    verbs = "".join(f"{name:>11} {'ratio':>5}" for name in ("accept", "claim", "confirm"))
    print(f"{BATCH} entries in a commit; ratios to raw sqlite3 in the same run\n")
    print(f"{'shape':<12}{'waiting':>10}{verbs}{'claim 1 ms':>11}{'census ms':>11}{'page ms':>11}")
    for shape in given.shapes:
        for size in given.sizes:
            with bench(shape) as (made, folder):
                made.fill(size)
                raw = raw_rate(folder)
                print(line(shape, size, made.measure(), raw), flush=True)


if __name__ == "__main__":
    main()
