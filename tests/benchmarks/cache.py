"""How long it takes to keep and to find an answer: `python -m tests.benchmarks.cache`.

Beside each time stands its ratio to what cannot be saved: for `put`, `json.dumps` and a write
with fsync of the same answer; for `get`, a read and `json.loads`. Machines and moments differ,
ratios do not. The answers are rows as OMS gives them.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from storage.cached import Kept
from tests.cache_world import World, an_answer

ROUNDS = 7
SIZES = (1, 100, 5000)


def a_row(number: int) -> dict[str, Any]:
    """A run as OMS describes it: about a kilobyte of JSON."""
    attributes = {
        "run_number": 360_000 + number,
        "fill_number": 8_900 + number // 7,
        "start_time": f"2026-07-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:07Z",
        "end_time": f"2026-07-{1 + number % 28:02}T{(number + 2) % 24:02}:{number % 60:02}:31Z",
        "delivered_lumi": number * 0.7319,
        "recorded_lumi": number * 0.7011,
        "hlt_key": f"/cdaq/physics/Run2026/2e34/v1.{number % 9}.0/HLT/V{number % 5}",
        "l1_key": f"l1_hlt_collisions2026/v{number % 40}",
        "components": ["BPIX", "CSC", "CTPPS", "DAQ", "DCS", "DQM", "DT", "ECAL", "ES", "FPIX"],
    }
    attributes |= {f"{name}_ready": number % 3 > 0 for name in ("tracker", "ecal", "hcal", "dt")}
    attributes |= {f"rate_{place}": number * 1.37 / (place + 1) for place in range(20)}
    own = f"https://oms.test/agg/api/v1/runs/{360_000 + number}"
    return {"id": str(360_000 + number), "type": "runs", "attributes": attributes, "links": own}


def by_hand(path: Path, kept: Kept) -> None:
    """What it costs without any promise but the disk's."""
    with path.open("wb") as file:
        file.write(json.dumps(kept.data).encode())
        file.flush()
        os.fsync(file.fileno())


async def measure(folder: Path, rows: int) -> str:
    """One line of the table."""
    world = World(folder / f"{rows}.db", max_bytes=2**30)
    times: dict[str, list[float]] = {"put": [], "write": [], "get": [], "read": []}
    kept = an_answer(data=[a_row(number) for number in range(rows)])
    plain = folder / "plain.json"
    await world.shelf.put(an_answer("first", family="others"))
    for number in range(ROUNDS):
        began = time.perf_counter()
        await world.shelf.put(an_answer(f"q {number}", data=kept.data))
        times["put"].append(time.perf_counter() - began)
        began = time.perf_counter()
        by_hand(plain, kept)
        times["write"].append(time.perf_counter() - began)
        began = time.perf_counter()
        found = await world.shelf.get(f"q {number}")
        times["get"].append(time.perf_counter() - began)
        began = time.perf_counter()
        read = json.loads(plain.read_bytes())
        times["read"].append(time.perf_counter() - began)
        assert found is not None
        assert found.data == read
    size = (await world.shelf.family("runs"))[0].size
    await world.cache.close()
    text = json.dumps(kept.data).encode()
    put, write, get, load = (statistics.median(values) * 1000 for values in times.values())
    return (
        f"{rows:>5} {len(text) / 1e6:>8.3f} {size / len(text):>6.1%}"
        f" {put:>8.1f} {put / write:>6.2f}x {get:>8.1f} {get / load:>6.2f}x"
    )


def levels() -> str:
    """What zlib makes of the largest answer, at several levels."""
    text = json.dumps([a_row(number) for number in range(SIZES[-1])], separators=(",", ":"))
    said = []
    for level in (1, 3, 6):
        began = time.perf_counter()
        size = len(zlib.compress(text.encode(), level))
        took = time.perf_counter() - began
        said.append(f"level {level}: {took * 1000:.0f} ms, {size / len(text):.1%}")
    return "; ".join(said)


def main() -> None:
    """Print the table."""
    print(" rows   MB JSON  stored   put ms   ratio   get ms   ratio")
    with tempfile.TemporaryDirectory() as folder:
        for rows in SIZES:
            print(asyncio.run(measure(Path(folder), rows)))
    print(f"zlib: {levels()}")


if __name__ == "__main__":
    main()
