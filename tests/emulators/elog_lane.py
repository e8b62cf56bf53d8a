"""A lane, an outbox and the eLog adapter over an emulated server, all on the lane's clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.base import AuthOptions
from adapters.elog import KIND, Options
from storage.entry import Entry
from tests.builders import an_entry
from tests.emulators.elog_site import EXPERIMENT, a_site
from tests.emulators.kit import Served
from tests.lane_world import FakeClock, LaneWorld, lane_world

# Who may write to every experiment, and who only to the active one.
EDITOR = AuthOptions(method="bearer", token_file="token")
OPERATOR = AuthOptions(method="basic", username="{instrument}opr", password_file="password")


@asynccontextmanager
async def elog_world(
    served: Served,
    tmp_path: Path,
    auth: AuthOptions = EDITOR,
    patience: float = 10.0,
    ahead_ms: int = 0,
    **options: Any,
) -> AsyncIterator[LaneWorld]:
    """A lane to the emulated server, on the lane's clock; the server's may be ahead of that.

    No post says that it is late unless the options want it.
    """
    said = {"instrument": "mfx", "late_after_seconds": 0, **options}
    clocks: list[FakeClock] = []

    def now() -> int:
        return clocks[0].now()

    site = a_site(
        served.url,
        options=Options(**said),
        auth=auth,
        attempt_timeout_seconds=patience,
        host="mfx-daq",
        now=now,
    )
    adapter = KIND.adapter(site)
    with lane_world(
        tmp_path, backend="elog", kind=KIND, adapter=adapter, concurrency=KIND.concurrency
    ) as world:
        clocks.append(world.clock)
        served.emulator.store.now = lambda: now() + ahead_ms
        try:
            yield world
        finally:
            await adapter.close()


def a_post_entry(text: str, experiment: str = EXPERIMENT, **changes: Any) -> Entry:
    """A post as it is accepted; `more` are further fields of its payload."""
    payload = {"experiment": experiment, "text": text, "emails": ["pi@lab"], "tags": ["SHIFT"]}
    stream = changes.pop("stream", experiment)
    payload |= changes.pop("more", {})
    fields = {"backend": "elog", "kind": "post", "payload": payload, "scope": experiment}
    return an_entry(changes.pop("key", text), stream=stream, **fields, **changes)
