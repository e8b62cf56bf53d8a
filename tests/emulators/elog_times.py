"""Entries that leave their experiment or run open, on two clocks: ours and the server's."""

import json
from typing import Any

from adapters.base import Adapter
from adapters.elog import KIND, Elog
from adapters.verdict import DeliveryError, Resolved, Verdict
from storage.entry import Claim
from tests.builders import NOW, a_claim
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import EXPERIMENT
from tests.emulators.kit import Served

OTHER = "mfxl1000223"
MINUTE, HOUR = 60_000, 3_600_000  # ms


class Times:
    """Our clock, and the server's, which is `ahead` of it."""

    def __init__(self) -> None:
        self.now = NOW
        self.ahead = 0

    def ours(self) -> int:
        return self.now

    def theirs(self) -> int:
        return self.now + self.ahead


def begun(server: Served, times: Times) -> Served:
    """Two experiments; the first is active, and its second run going on, for an hour."""
    times.now -= HOUR
    server.serve(ElogEmulator(experiments=(EXPERIMENT, OTHER), now=times.theirs))
    times.now += HOUR
    return server


def with_skew(served: Served, times: Times, ahead: int) -> None:
    """The server's clock has always been so far ahead of ours."""
    times.ahead = ahead
    times.now -= HOUR
    served.emulator.world.switch(EXPERIMENT)
    for number in (1, 2):
        served.emulator.world.begin_run(EXPERIMENT, number)
    times.now += HOUR


def an_open(kind: str = "post", written: int = NOW, **more: Any) -> Claim:
    """An entry that leaves both open, as the lane brings it."""
    content = {"post": {"text": "x"}, "run_params": {"params": {"a": 1}}}[kind]
    payload = {"experiment": "current", "run": "current", **content, **more}
    place = "current" if payload["experiment"] == "current" else f"{payload['experiment']}/current"
    return a_claim(
        payload, kind=kind, stream=place, scope=place, created_at=written, accepted_at=written
    )


async def at_accept(adapter: Adapter, claim: Claim) -> Verdict:
    """What is found out while the producer waits, as a verdict."""
    assert isinstance(adapter, Elog)
    assert KIND.resolve is not None
    payload = json.loads(claim.payload)
    try:
        resolution = await KIND.resolve(adapter, claim.kind, payload, claim.created_at)
    except DeliveryError as error:
        return error
    assert resolution is not None
    return Resolved(resolution)
