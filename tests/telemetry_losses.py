"""How many events a telemetry server holds twice when it loses answers: a whole lane against it.

    python -m tests.telemetry_losses [EVENTS]

prints the table of docs/backends/telemetry.md. 30 % of the answers to POST /event are lost after
the server has stored the event, those to probes too; nobody else posts.
"""

import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from adapters.telemetry import KIND, Options
from tests.adapter_lane import adapter_lane, drained
from tests.builders import an_entry
from tests.emulators.kit import Served
from tests.emulators.telemetry import TelemetryEmulator
from tests.emulators.telemetry_site import a_site
from tests.lane_world import LaneWorld

LOST = 0.3

KNOWING = ("site_dir", "sole_writer", "both", "neither")
SHAPES: Mapping[str, dict[str, Any]] = {
    "backlog of one type": {},
    "events out of `current`": {"make_current": False},
    "events in memory only": {"make_current": False, "store_permanently": False},
}


def telemetry_lane(
    folder: Path, served: Served, options: Options
) -> AbstractAsyncContextManager[LaneWorld]:
    """A lane to the served telemetry server."""
    return adapter_lane(folder, KIND, lambda now: a_site(served.url, now=now, options=options))


def events(number: int, **shape: Any) -> list[Any]:
    """Entries of one type, a second apart."""
    return [
        an_entry(
            f"e{index}",
            payload={
                "type": "weather",
                "data": index,
                "ts": f"2026-01-01T{index // 3600:02}:{index // 60 % 60:02}:{index % 60:02}Z",
                "meta": {"event_id": f"e{index}"},
                **shape,
            },
            stream="telemetry",
            slot="weather" if shape.get("make_current", True) else None,
        )
        for index in range(number)
    ]


async def copies(
    folder: Path, served: Served, knowing: str, shape: str, number: int
) -> Counter[str]:
    """How often the server holds each event at the end."""
    emulator = TelemetryEmulator(folder / "site")
    served.serve(emulator)
    served.fault("drop_after", path="/event", probability=LOST)
    served.faulty.dice = random.Random(1)
    options = Options(
        site_dir=emulator.site_dir if knowing in ("site_dir", "both") else None,
        sole_writer=knowing in ("sole_writer", "both"),
    )
    (folder / "state").mkdir()
    async with telemetry_lane(folder / "state", served, options) as world:
        await world.accept(*events(number, **SHAPES[shape]))
        await drained(world)
    ours = [one["event_id"] for one in emulator.ledger() if one["type"] == "weather"]
    return Counter(ours)


async def table(number: int) -> None:
    with Served(TelemetryEmulator()) as served:
        for shape in SHAPES:
            for knowing in KNOWING:
                with tempfile.TemporaryDirectory() as folder:
                    held = await copies(Path(folder), served, knowing, shape, number)
                missing = number - len(held)
                extra = held.total() - len(held)
                print(f"{shape:25} {knowing:12} lost {missing}, copies too many {extra}")


if __name__ == "__main__":
    asyncio.run(table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
