"""Questions to the eLog's reader, for tests: asked, kept as the agent keeps them, and recalled."""

from collections.abc import Callable, Sequence
from typing import Any

from adapters.auth.options import AuthOptions
from adapters.elog import KIND
from adapters.reading import Fetched, Plan, Question, Queued, Recalled
from storage.cached import Kept, Label
from tests.builders import NOW
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import EXPERIMENT, a_site
from tests.emulators.elog_store import Experiment, Upload
from tests.emulators.kit import Served
from tests.shelf import DictShelf

PERSON = AuthOptions(method="bearer", token_file="token")
NOBODY = AuthOptions(method="none")


class Desk:
    """One reader and its shelf. `now` is its clock."""

    def __init__(self, served: Served, **changes: Any) -> None:
        self.now = NOW
        site = a_site(**{"url": served.url, "now": lambda: self.now, **changes})
        assert KIND.reader is not None
        self.reader = KIND.reader(site)
        self.shelf = DictShelf()

    def plan(self, resource: str, *more: tuple[str, str], **parameters: str) -> Plan:
        return self.reader.plan(Question(resource, (*parameters.items(), *more)))

    async def fetch(self, resource: str, *more: tuple[str, str], **parameters: str) -> Fetched:
        """Ask, and keep the answer."""
        plan = self.plan(resource, *more, **parameters)
        since = self.now
        fetched = await self.reader.fetch(plan, self.shelf, lambda _, __: None)
        if plan.kept:
            label = Label(
                plan.key, plan.family, since, fetched.complete, fetched.settled, plan.about
            )
            await self.shelf.put(Kept(label, fetched.data, fetched.meta))
        return fetched

    async def ask(self, resource: str, *more: tuple[str, str], **parameters: str) -> Any:
        """The data of the answer."""
        return (await self.fetch(resource, *more, **parameters)).data

    async def recall(self, resource: str, *more: tuple[str, str], **parameters: str) -> Recalled:
        plan = self.plan(resource, *more, **parameters)
        return await self.reader.recall(plan, self.shelf, partial=False)

    def merged(
        self, data: Any, entries: Sequence[Queued], resource: str, **parameters: str
    ) -> tuple[Any, int]:
        """The data with what waits here."""
        plan = self.plan(resource, **parameters)
        kinds = self.reader.queued(plan)
        assert kinds is not None
        return self.reader.merged(plan, data, [one for one in entries if one.kind in kinds])


Open = Callable[..., Desk]


def logbook(served: Served, name: str = EXPERIMENT) -> Experiment:
    """An experiment of the emulator."""
    return emulator(served).store.experiments[name]


def emulator(served: Served) -> ElogEmulator:
    made = served.emulator
    assert isinstance(made, ElogEmulator)
    return made


def posted(
    served: Served, text: str, tags: str = "", files: Sequence[Upload] = (), **more: str
) -> str:
    """A person posts; the id of the entry."""
    form = {"log_text": text, "log_tags": tags, **more}
    store = emulator(served).store
    return str(store.post(logbook(served), form, "pi1", list(files))["_id"])


def waiting(kind: str, number: int = 1, **payload: Any) -> Queued:
    """An entry of our outbox; `number` says in which order they were accepted."""
    said = {"experiment": EXPERIMENT, **payload}
    return Queued(f"ID{number}", kind, said, "pending", NOW + number)
