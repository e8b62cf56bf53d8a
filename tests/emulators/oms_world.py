"""What the emulator of OMS holds, and how a test changes it.

Rows about runs are made when they are asked for and kept until the run changes; other rows are
in `tables`. `now` is the clock (epoch seconds); set it, and what goes on has moved:

    world.now = 1_800_000_000
    world.begin(500_001)        # one lumisection so far
    world.tick(5)               # five more
    world.end(500_001)          # `end_time` is set, `last_update` stays
    world.transfer(500_001)     # `tier0_transfer`
    world.change("lumisections", "500001_3", touch=False, pileup=31.0)
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.emulators import oms_rows
from tests.emulators.oms_catalogue import CATALOGUE, WITHOUT_CATALOGUE
from tests.emulators.oms_errors import BadRequest
from tests.emulators.oms_groups import GRAINS, put_together
from tests.emulators.oms_live import LAG, Going, new_run
from tests.emulators.oms_query import Query, Row, written
from tests.emulators.oms_runs import SECTION_SECONDS, Run, a_run, example_runs
from tests.emulators.oms_tables import a_fill, example_tables

STREAMS = ("PhysicsMuons", "PhysicsEGamma", "Express")
DATASETS = ("SingleMuon", "DoubleEG", "ZeroBias")
PER_RUN: dict[str, Callable[[Run], list[Row]]] = {
    "runs": oms_rows.rows_of_run,
    "lumisections": oms_rows.sections_of,
    "l1triggerrates": oms_rows.l1_rates_of,
    "deadtimes": oms_rows.deadtimes_of,
    "l1algorithmtriggers": oms_rows.algorithms_of,
    "hltpathinfo": oms_rows.path_totals_of,
    "streams": lambda run: oms_rows.events_of(run, "streams", STREAMS),
    "datasetrates": lambda run: oms_rows.events_of(run, "datasetrates", DATASETS),
}
MORE = 400_000  # the numbers of runs that tests make
TOO_MANY = 250_000  # rows that a database takes too long for


class World:
    """Runs, other rows, and a clock."""

    def __init__(self) -> None:
        self.runs = {run.number: run for run in example_runs()}
        self.tables = example_tables(self.runs.values())
        self.going: dict[int, Going] = {}
        self._clock: float | None = None
        self._changes: dict[tuple[str, str], dict[str, Any]] = {}
        self._made: dict[tuple[int, str, str], list[Row]] = {}

    @property
    def now(self) -> float:
        return time.time() if self._clock is None else self._clock

    @now.setter
    def now(self, seconds: float) -> None:
        self._clock = seconds
        for one in self.going.values():
            one.move(seconds, self.today)
            self.forget(one.run.number)

    @property
    def today(self) -> str:
        """The clock as OMS writes times."""
        return written(datetime.fromtimestamp(self.now, UTC))

    def add(self, run: Run) -> Run:
        self.runs[run.number] = run
        self.runs = dict(sorted(self.runs.items()))
        self.forget(run.number)
        return run

    def begin(
        self, number: int, *, fill: int = 9999, lag: int = LAG, gaps: Iterable[int] = ()
    ) -> Run:
        """A run begins now, with its first lumisection; the clock stands from here on."""
        run = self.add(new_run(number, fill, self.today))
        self.going[number] = Going(run, self.now, lag, set(gaps))
        if all(row.id != str(fill) for row in self.tables["fills"]):
            self.tables["fills"].append(a_fill(fill, [run]))
        self.now = self.now
        return run

    def tick(self, sections: int = 1) -> None:
        """So many lumisections later."""
        self.now += sections * SECTION_SECONDS

    def end(self, number: int) -> None:
        """The run ends now; its `last_update` does not tell."""
        going = self.going[number]
        going.ended = self.now
        attributes = going.run.attributes
        duration = int(self.now - going.began)
        attributes |= {"end_time": self.today, "duration": duration, "l1_rate": 50_000.0}
        self.forget(number)

    def transfer(self, number: int) -> None:
        """The run's data have gone to Tier 0; nothing else tells."""
        self.runs[number].attributes["tier0_transfer"] = True
        self.forget(number)

    def add_runs(self, count: int, *, first: int = MORE, sections: int = 1) -> list[Run]:
        """Many settled runs, each of `sections` lumisections."""
        made = [
            a_run(number, number // 10, "2025-01-01T00:00:00Z", sections)
            for number in range(first, first + count)
        ]
        self.runs |= {run.number: run for run in made}
        self.runs = dict(sorted(self.runs.items()))
        return made

    def add_rows(self, resource: str, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Rows (id, attributes) of a resource that is not about runs."""
        self.tables.setdefault(resource, []).extend(Row(*one) for one in rows)

    def change(self, resource: str, row_id: str, *, touch: bool, **attributes: Any) -> None:
        """Correct a row, settled or not; `touch`: the `last_update` of its run moves to now."""
        if resource == "runs":
            self.runs[int(row_id)].attributes |= attributes
        elif resource in self.tables:
            (row,) = (one for one in self.tables[resource] if one.id == row_id)
            row.attributes |= attributes
        else:
            self._changes.setdefault((resource, row_id), {}).update(attributes)
        if resource in PER_RUN or resource == "hltpathrates":
            run = self.runs[int(row_id.partition("_")[0])]
            if touch:
                run.attributes["last_update"] = self.today
            self.forget(run.number)

    def forget(self, number: int) -> None:
        """Make the rows about a run anew when they are next asked for."""
        self._made = {key: rows for key, rows in self._made.items() if key[0] != number}

    def rows(self, query: Query) -> list[Row]:
        """What passes the filters, in the order of ids, grouped as asked."""
        held = self.held(query)
        if query.resource == "lumisections":
            return with_end_lumi(query, held)
        chosen = query.chosen(held)
        if query.resource in GRAINS:
            attributes = CATALOGUE[query.resource]
            fills = {number: run.attributes["fill_number"] for number, run in self.runs.items()}
            return put_together(query.resource, chosen, query.group, attributes, fills)
        return chosen

    def held(self, query: Query) -> Iterator[Row]:
        """The rows that can pass; none is made for a run that is not asked for."""
        if query.resource in self.tables or query.resource in WITHOUT_CATALOGUE:
            yield from self.tables.get(query.resource, ())
            return
        wanted, of_fill = query.keeps("run_number"), query.keeps("fill_number")
        runs = [
            run
            for run in tuple(self.runs.values())
            if wanted(run.number) and of_fill(run.attributes["fill_number"])
        ]
        if query.resource == "hltpathrates":
            yield from self.path_rates(query, runs)
            return
        for run in runs:
            yield from self.made(run, query.resource)

    def path_rates(self, query: Query, runs: Iterable[Run]) -> Iterator[Row]:
        wanted = query.keeps("path_name")
        paths = [
            (run, path) for run in runs for path in oms_rows.path_names(run.paths) if wanted(path)
        ]
        if sum(len(run.sections) for run, _ in paths) > TOO_MANY:
            raise BadRequest("INTERNAL_SERVER_ERROR", "statement timeout", 500)
        for run, path in paths:
            yield from self.made(run, query.resource, path)

    def made(self, run: Run, resource: str, path: str = "") -> list[Row]:
        key = (run.number, resource, path)
        if key not in self._made:
            make = PER_RUN.get(resource)
            rows = make(run) if make else oms_rows.path_rates_of(run, path)
            for row in rows:
                row.attributes |= self._changes.get((resource, row.id), {})
            self._made[key] = rows
        return self._made[key]


def with_end_lumi(query: Query, held: Iterable[Row]) -> list[Row]:
    """`end_lumi` is the `init_lumi` of the next row of this very answer, 0.0 in the last one."""
    rows = query.chosen(held, without="end_lumi")
    following = [row.attributes["init_lumi"] for row in rows[1:]] + [0.0]
    made = [
        replace(row, attributes={**row.attributes, "end_lumi": lumi})
        for row, lumi in zip(rows, following, strict=False)
    ]
    wanted = query.keeps("end_lumi")
    return [row for row in made if wanted(row.attributes["end_lumi"])]
