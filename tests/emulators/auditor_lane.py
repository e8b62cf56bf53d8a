"""What the tests of the auditor adapter share: its settings, and claims as the lane makes them."""

from collections.abc import Callable
from typing import Any

from adapters.auditor import AuditorAdapter, Options
from adapters.base import AuthOptions, Site, TlsOptions
from adapters.verdict import Verdict
from storage.entry import Claim
from tests.builders import NOW, a_claim
from tests.emulators.auditor import Auditor

START, STOP = "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"


def site_of(
    url: str,
    *,
    timeout_seconds: float = 5,
    now: Callable[[], int] = lambda: NOW,
    **options: Any,
) -> Site:
    return Site(
        name="accounting",
        url=url,
        timeout_seconds=timeout_seconds,
        attempt_timeout_seconds=10,
        concurrency=1,
        auth=AuthOptions(),
        tls=TlsOptions(),
        options=Options(**options),
        read_secret=lambda _: "",
        now=now,
    )


def add(record_id: str = "r1", **fields: Any) -> Claim:
    body = {"record_id": record_id, "components": [], "start_time": START, **fields}
    return a_claim(body, kind="record", id=f"add-{record_id}")


def update(record_id: str = "r1", **fields: Any) -> Claim:
    body = {"record_id": record_id, "components": [], "stop_time": STOP, **fields}
    return a_claim(body, kind="record_update", id=f"update-{record_id}")


async def verdict(adapter: AuditorAdapter, claim: Claim) -> Verdict:
    [only] = await adapter.deliver([claim])
    return only


def held(auditor: Auditor) -> list[str]:
    return [record["record_id"] for record in auditor.ledger()]
