"""The world behind the eLog: its experiments and who works on them, and what may happen there."""

from collections.abc import Callable, Iterable

from tests.emulators.elog_people import People
from tests.emulators.elog_store import Json, Store, iso


class World:
    """Experiments, people, and which experiment each instrument's stations are on.

    The first experiment of each instrument is active on station 0. The cast:
    `<instrument>opr` may write to the active experiment, `pi1` edits every experiment, `reader`
    reads, `instsci` writes by an instrument's role, `admin` may all.
    """

    def __init__(self, people: People, now: Callable[[], int]) -> None:
        self.people = people
        self.store = Store(now)
        self.active: dict[tuple[str, int], str | None] = {}
        self.switched: dict[tuple[str, int], Json] = {}
        self._operated: dict[tuple[str, int], str] = {}
        people.grants["*"]["admin"] = "Manager"

    def add_experiment(self, name: str, runs: Iterable[int] = (1, 2)) -> None:
        """One more experiment; it becomes the active one if its instrument has none."""
        where = self.store.add(name, runs)
        self.people.grants[name] |= {"pi1": "Editor", "reader": "Reader"}
        self.people.grants[where.instrument]["instsci"] = "Writer"
        self.people.accounts.setdefault(f"{where.instrument.lower()}opr", "secret")
        if (where.instrument, 0) not in self.active:
            self.switch(name)

    def switch(self, name: str, station: int = 0, requestor: str = "admin") -> None:
        """Make an experiment the active one: the operator's role moves with it."""
        where = self.store.experiments[name]
        operator = f"{where.instrument.lower()}opr"
        place = (where.instrument, station)
        self.people.grants[self._operated.get(place, name)].pop(operator, None)
        self.people.grants[name][operator] = "Writer"
        self.active[place] = self._operated[place] = name
        self.switched[place] = {
            "station": station,
            "switch_time": iso(self.store.now()),
            "requestor_uid": requestor,
        }

    def stand_by(self, instrument: str, station: int = 0) -> None:
        """No experiment is active any more; the operator keeps the role."""
        self.active[instrument.upper(), station] = None

    def lock(self, name: str, *, locked: bool = True) -> None:
        self.store.experiments[name].locked = locked

    def begin_run(self, name: str, number: int) -> None:
        where = self.store.experiments[name]
        where.runs[number] = self.store.new_run(number)

    def end_run(self, name: str, number: int) -> None:
        self.store.experiments[name].runs[number]["end_time"] = iso(self.store.now())

    def edit(self, name: str, entry_id: str, text: str, tags: str = "") -> None:
        """As a person edits an entry in the web page."""
        self.store.edit(self.store.experiments[name], entry_id, "pi1", text, tags)

    def delete(self, name: str, entry_id: str) -> None:
        """As a person deletes an entry in the web page."""
        self.store.delete(self.store.experiments[name], entry_id, "pi1")

    def ledger(self) -> list[Json]:
        """Entries in order of arrival (`kind` post, `experiment`, and the entry's own fields;
        clones of edits and cross-posted copies too), then one object per run that has parameters
        (`kind` run_params, `experiment`, `run`, `params` under their stored names), then one per
        workflow definition (`kind` workflow, `experiment`, and its own fields).
        """
        with self.store.lock:
            logbooks = list(self.store.experiments.values())
            posts = [
                {"kind": "post", "experiment": where.name, **entry}
                for where in logbooks
                for entry in where.entries.values()
            ]
            params = [
                {
                    "kind": "run_params",
                    "experiment": where.name,
                    "run": run["num"],
                    "params": dict(run["params"]),
                }
                for where in logbooks
                for run in where.runs.values()
                if run["params"]
            ]
            workflows = [
                {"kind": "workflow", "experiment": where.name, **one}
                for where in logbooks
                for one in where.definitions.values()
            ]
        ordered = sorted(posts, key=lambda entry: str(entry["_id"][8:]))
        return ordered + params + workflows
