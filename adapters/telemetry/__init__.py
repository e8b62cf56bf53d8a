"""The PANOPTES telemetry server: events, each under an id of its own, and runs.

Promises: an event is told with the producer's time and the same `ts` and `meta` on every
attempt; it becomes the current value of its type only when nothing newer waits behind it and
the server shows nothing as new (the server itself never compares: telemetry sheet, section 6);
only the echo of its id proves that it was stored. The server knows no ids and stores what it is
sent twice, so a lost answer is looked up: in the current values, by the server's count where
nobody else posts, and, on the server's host, in its files. Runs are in `runs.py`.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator

from adapters.base import BackendKind, EntryKind, Site
from adapters.http import HttpClient
from adapters.preview import Preview
from adapters.telemetry import wire
from adapters.telemetry.counting import Count
from adapters.telemetry.files import Sought, is_written
from adapters.telemetry.payloads import (
    RUNS,
    Event,
    RunStart,
    RunStop,
    event_address,
    run_of,
    start_address,
    stop_address,
)
from adapters.telemetry.preview import previewed
from adapters.telemetry.reads import RESOURCES, TelemetryReader
from adapters.telemetry.runs import Runs
from adapters.telemetry.versions import Server
from adapters.verdict import (
    DeliveryError,
    Parked,
    Refused,
    Rejected,
    Superseded,
    Uncertain,
    Unreachable,
    Verdict,
)
from storage.entry import Claim, Delivered, Doubt, Receipt

# The server answers 500 where it holds a value that it cannot show, and then closes the connection
# without saying so: an event posted on the same one would be lost and in doubt.
LAST_ON_CONNECTION = {"Connection": "close"}
# What the server adds to an event in its file: seq, stream, keys, and the active run's id.
RECORD_MARGIN_BYTES = 8192
# A clock that was set back between sending and looking must not hide the file written to.
FILE_MARGIN_SECONDS = 86_400


class Options(BaseModel, extra="forbid", frozen=True):
    """Settings of a telemetry backend beside the common ones."""

    site_dir: Path | None = Field(
        default=None,
        description="The server's site folder, when the server runs on this host: "
        "there a lost answer can be looked up.",
    )
    sole_writer: bool = Field(
        default=False,
        description="Nothing but this agent posts to the server: then its count of events "
        "tells whether one has landed whose answer was lost and that is in no file we can read.",
    )

    ended_runs: Literal["keep", "wait"] = Field(
        default="keep",
        description="What is done with an event that names a run, while another run is active: "
        '"keep" sends it now, and the server puts it into that run\'s file; "wait" sends it once '
        "no run is active, or its own is.",
    )

    @field_validator("site_dir")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError("must be an absolute path: ours is not the server's working folder")
        return folder


class TelemetryAdapter:
    """One telemetry server. Its `site.options` are `Options`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._url = site.url.rstrip("/")
        self._http = HttpClient(site)
        self._server = Server(self._http, self._url)
        self._runs = Runs(self._http, self._url, site.now)
        self._count = Count(self._http, self._url) if site.options.sole_writer else None

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Send the entries one by one, in order; behind one that is not settled, none is sent."""
        verdicts: list[Verdict] = []
        for claim in claims:
            try:
                verdicts.append(await self._deliver(claim))
            except (Rejected, Parked) as verdict:
                verdicts.append(verdict)
            except DeliveryError as verdict:
                self._server.forget()
                verdicts.append(verdict)
                break
        while len(verdicts) < len(claims):
            verdicts.append(Unreachable("not sent: the entry before it has to go first"))
        return verdicts

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """Look for the event among the current values, by the count, in the files of `site_dir`.

        Without the last two, empty only means: not the current value of its type. A start or a
        stop is looked for in the active run.
        Raises Unreachable, Refused, Throttled or Uncertain when it cannot tell.
        """
        try:
            return await self._find(doubt)
        except DeliveryError:
            self._server.forget()
            raise

    async def _find(self, doubt: Doubt) -> Sequence[Receipt]:
        if doubt.claim.kind != "event":
            return await self._runs.find(doubt.claim)
        body = wire.outgoing(doubt.claim)
        event_id = wire.event_id_of(body)
        current = await self._current(body["type"])
        landed = current.event_id == event_id or await self._has_landed(doubt, body, event_id)
        return [Receipt(doubt.claim.id, event_id)] if landed else []

    async def holds(self, receipt: Delivered) -> bool | None:
        """Is the event in the server's files? It knows no ids beside the current values.

        None: without `site_dir`, without a payload, of a run, and of what it was not to store.
        Raises Refused when the files cannot be read.
        """
        site_dir = self._site.options.site_dir
        if site_dir is None or receipt.kind != "event" or receipt.payload is None:
            return None
        body = json.loads(receipt.payload)
        if not body.get("store_permanently", True):
            return None
        body["meta"] = {**body.get("meta", {}), "event_id": receipt.remote_id}
        return await self._is_in_files(site_dir, receipt.delivered_at, body)

    def preview(self, claim: Claim) -> Sequence[Preview]:
        """The event, the start or the stop, as it is sent when nothing stands against it."""
        return [previewed(self._http, self._url, claim)]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _deliver(self, claim: Claim) -> Receipt | Superseded:
        if claim.kind == "event":
            return wire.superseded(claim) or await self._post(claim)
        if self._count is not None:
            self._count.forget()  # a run counts by itself
        start = claim.kind == "run_start"
        return await (self._runs.start(claim) if start else self._runs.stop(claim))

    async def _post(self, claim: Claim) -> Receipt:
        await self._await_turn(claim)
        keeps_times = await self._server.keeps_times()
        body = wire.outgoing(claim, keeps_times=keeps_times)
        event_id = wire.event_id_of(body)
        if body.get("make_current", True):
            current = await self._current_before(claim, body["type"])
            if claim.in_doubt and current.event_id == event_id:
                # A stalled server took it after `find` had looked (telemetry sheet, section 8).
                return Receipt(claim.id, event_id, duplicate=True)
            moment = wire.moment_of(body["ts"]) or wire.moment_at(claim.created_at)
            body["make_current"] = current.gives_way_to(moment, keeps_times=keeps_times)
        await self._send(body, event_id)
        return Receipt(claim.id, event_id)

    async def _await_turn(self, claim: Claim) -> None:
        """Where an event has to wait for the end of another run than its own, raise Parked."""
        named = run_of(json.loads(claim.payload).get("meta", {}))
        if named is None or self._site.options.ended_runs == "keep":
            return
        run = await self._runs.before()
        if run is not None and run.run_id != named:
            detail = (
                f"{run} is active: events of the run {named!r} wait until none is, or theirs is"
            )
            raise Parked(f'{detail} (ended_runs = "wait")', scope=f"{RUNS}/{named}")

    async def _send(self, body: Mapping[str, Any], event_id: str) -> None:
        if self._count is not None:
            await self._count.open(event_id)
        answer = await self._http.request("POST", "/event", json_text=json.dumps(body))
        try:
            seq = wire.prove(answer, body, f"{self._url}/event")
        except Rejected:
            if self._count is not None:
                self._count.judged()
            raise
        self._server.echoed(body["ts"], wire.fields_of(answer).get("ts"))
        if self._count is not None:
            self._count.stored(seq)

    async def _current_before(self, claim: Claim, event_type: str) -> wire.Current:
        """The value that the event would replace. As long as this fails, nothing was sent."""
        if not claim.newest_of_slot:
            return wire.Current(known=False)  # a newer one waits: no need to look
        try:
            return await self._current(event_type)
        except Uncertain as exc:
            detail = f"the event was not sent, for its current value cannot be read: {exc.detail}"
            raise Unreachable(detail, status=exc.status, excerpt=exc.excerpt) from exc

    async def _current(self, event_type: str) -> wire.Current:
        """GET /current/{type}, or all values where the type makes no path of one segment."""
        path = wire.current_path(event_type)
        answer = await self._http.request("GET", path or "/current", headers=LAST_ON_CONNECTION)
        if path is None:
            return wire.current_among(answer, event_type, f"{self._url}/current")
        return wire.current_in(answer, event_type, f"{self._url}{path}")

    async def _has_landed(self, doubt: Doubt, body: Mapping[str, Any], event_id: str) -> bool:
        """False also when nothing can tell."""
        site_dir = self._site.options.site_dir
        if site_dir is not None and body.get("store_permanently", True):
            return await self._is_in_files(
                site_dir, doubt.first_sent_at, body
            )  # what the count only concludes
        return self._count is not None and await self._count.has(event_id) is True

    async def _is_in_files(self, site_dir: Path, sent_at: int, body: Mapping[str, Any]) -> bool:
        """Raises Refused when the files cannot be read."""
        reach = len(json.dumps(body)) + RECORD_MARGIN_BYTES
        sought = Sought(wire.event_id_of(body), body["type"], reach)
        since = min(sent_at, self._site.now()) / 1000 - FILE_MARGIN_SECONDS
        run_dir = await self._run_dir()
        try:
            return await asyncio.to_thread(is_written, sought, site_dir, run_dir, since)
        except OSError as exc:
            detail = f"backends.{self._site.name}.site_dir cannot be searched: {exc}"
            raise Refused(detail) from exc

    async def _run_dir(self) -> Path | None:
        """The active run's folder when it can be found from here: it may lie outside `site_dir`."""
        answer = await self._http.request("GET", "/run")
        folder = wire.fields_of(answer).get("run_dir")
        if answer.status != HTTPStatus.OK or not isinstance(folder, str):
            return None
        # A relative one is relative to the server's working folder, which we do not know.
        return Path(folder) if folder.startswith("/") else None


KIND = BackendKind(
    options=Options,
    adapter=TelemetryAdapter,
    kinds={
        "event": EntryKind(payload=Event, address=event_address, in_doubt="find"),
        "run_start": EntryKind(RunStart, start_address, in_doubt="find", once=True),
        "run_stop": EntryKind(RunStop, stop_address, in_doubt="find", once=True),
    },
    main_kind="event",
    batch_size=1,
    concurrency=1,
    settles_after_seconds=4,
    absent_answers=2,
    reader=TelemetryReader,
    resources=RESOURCES,
)
