"""Starting and stopping runs of a telemetry server, each in its place among the events.

Neither is safe to repeat: a second start is refused, or makes another folder, and a second stop
may end somebody else's run. So a start carries the id of its entry in the run's `meta`, which
the server shows as long as the run is active, and a stop is sent only after a look at which run
that is. Promises: a start is proven by our own id, a stop by a run that is over; a run that was
begun after a stop was made is not ended by it (telemetry sheet, section 7; the rules in words:
docs/backends/telemetry.md, "Runs").
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from adapters.answer import Answer
from adapters.http import HttpClient
from adapters.telemetry import wire
from adapters.verdict import Refused, Rejected, Throttled, Uncertain, Unreachable
from storage.entry import Claim, Receipt

TOKEN = "holdfast_id"  # noqa: S105 - the name of a field of `meta`
NO_RUN, RUN_IS_ACTIVE = "No run is active", "A run is already active"
# The server's Date has whole seconds, and the answer takes a moment.
CLOCK_TOLERANCE = timedelta(seconds=2)
FOLDER_TRIES = 3  # after so many failures it is the folder that cannot be made


@dataclass(frozen=True, slots=True)
class Run:
    """The active run. `token`: the entry that started it, if Holdfast did. `begun` and `seen`,
    when it was looked at, are by one and the same clock.
    """

    run_id: str
    token: str | None
    begun: datetime | None
    seen: datetime

    def began_after(self, made_at: datetime) -> bool:
        """Did it begin after `made_at`, which is by our clock? False where nobody can tell."""
        return self.begun is not None and self.begun > made_at + CLOCK_TOLERANCE

    def is_same(self, other: "Run") -> bool:
        """A run that is started again is another one, also under the same id."""
        mine = (self.run_id, self.token, self.begun)
        return mine == (other.run_id, other.token, other.begun)

    def __str__(self) -> str:
        return f"the run {self.run_id!r}" + (f", begun {self.begun:%F %T %Z}" if self.begun else "")


class Runs:
    """The runs of one server. What it remembers of them may be forgotten: it has seen less then."""

    def __init__(self, http: HttpClient, url: str, now: Callable[[], int]) -> None:
        self._http = http
        self._url = url
        self._now = now
        self._since = now()
        self._seen: set[str] = set()
        self._started: str | None = None
        self._aim: tuple[str, Run] | None = None  # the last stop that was sent, and at which run
        self._failures: Counter[str] = Counter()

    async def start(self, claim: Claim) -> Receipt:
        """Start the run. Raises a DeliveryError where nothing proves that it has begun."""
        url, body = f"{self._url}/run/start", start_body(claim)
        answer = await self._http.request("POST", "/run/start", json_text=json.dumps(body))
        taken = says(answer, HTTPStatus.CONFLICT, RUN_IS_ACTIVE)
        if taken or wire.is_poisoned(answer):
            return await self._not_started(claim, answer)
        run = self._noted(run_in(answer, self._now()))
        if run is None or run.token != claim.id:
            raise wire.unproven(answer, url, "the start")
        return self._is_ours(claim)

    async def stop(self, claim: Claim) -> Receipt:
        """Stop the run that was active when the entry was made, unless it is over already.

        Raises Rejected when there was none as far as we have seen.
        """
        run = await self.before()
        if self._is_over(claim, run, sent=claim.in_doubt):
            return Receipt(claim.id, claim.id, duplicate=True)
        self._aim = None if run is None else (claim.id, run)
        answer = await self._http.request("POST", "/run/stop")
        stopped = run_in(answer, self._now()) is not None
        if not stopped and not says(answer, HTTPStatus.NOT_FOUND, NO_RUN):
            raise wire.unproven(answer, f"{self._url}/run/stop", "the stop")
        return Receipt(claim.id, claim.id, duplicate=not stopped)

    async def find(self, claim: Claim) -> list[Receipt]:
        """Has the start, or the stop, that was sent been done? Empty: not to be seen now."""
        run = await self.active()
        if claim.kind == "run_start":
            ours = run is not None and run.token == claim.id
            return [self._is_ours(claim)] if ours else []
        over = self._is_over(claim, run, sent=True)
        return [Receipt(claim.id, claim.id)] if over else []

    async def active(self) -> Run | None:
        """The active run; None: there is none. Raises the verdict of any other answer."""
        answer = await self._http.request("GET", "/run")
        run = self._noted(run_in(answer, self._now()))
        if run is None and not says(answer, HTTPStatus.NOT_FOUND, NO_RUN):
            raise wire.unread(answer, f"{self._url}/run")
        return run

    async def before(self) -> Run | None:
        """As `active`, where what was sent of the entry, if anything, is known to be void."""
        try:
            return await self.active()
        except Uncertain as exc:
            detail = f"nothing was sent, for the active run cannot be read: {exc.detail}"
            raise Unreachable(detail, status=exc.status, excerpt=exc.excerpt) from exc

    async def _not_started(self, claim: Claim, answer: Answer) -> Receipt:
        """The server says that it has started nothing now. Who has the run, then?"""
        run = await self.before()
        if run is not None and run.token == claim.id:
            return replace(self._is_ours(claim), duplicate=True)
        if run is None and wire.is_poisoned(answer):
            raise self._no_folder(claim, answer)
        if run is None:
            raise Throttled("a run was active, and has just ended", retry_after=1)
        told = wire.told(answer)
        if run.token is not None:
            detail = f"{run} is active, which Holdfast has started and nobody has stopped yet"
            raise Rejected(detail, **told)
        raise Refused(
            f"{run} is active at {self._url}, and Holdfast has not started it: the start of"
            f" another one waits until it is stopped, and everything behind it. Discard"
            f" {claim.id} to let the rest go on without it",
            **told,
        )

    def _no_folder(self, claim: Claim, answer: Answer) -> Refused | Rejected:
        """A 500 without a run: the server cannot make its folder. The entry may have named it."""
        folder = json.loads(claim.payload).get("run_dir")
        self._failures[claim.id] += 1
        if folder is not None and self._failures[claim.id] >= FOLDER_TRIES:
            detail = f"{self._url} can make no folder {folder!r} for the run"
            return Rejected(detail, **wire.told(answer))
        detail = f"{self._url} cannot start a run: can it make a folder there, is its disk full?"
        return Refused(detail, **wire.told(answer))

    def _is_over(self, claim: Claim, run: Run | None, *, sent: bool) -> bool:
        """Is the run that the stop means over? Raises Rejected when none is known to have been."""
        named = json.loads(claim.payload).get("run_id")
        if run is not None and self._is_meant(claim, run, named):
            return False
        # An earlier life of ours may have seen what this one has not.
        if sent or claim.accepted_at < self._since or self._has_seen(named):
            return True
        found = f"{run} is active" if run else "no run is active"
        wanted = "none" if named is None else f"none of the name {named!r}"
        raise Rejected(f"{found} at {self._url}, and {wanted} has been seen: nothing to stop")

    def _is_meant(self, claim: Claim, run: Run, named: str | None) -> bool:
        """Is it this run, at most one of which is active, that the stop is to end?"""
        if self._aim is not None and self._aim[0] == claim.id:
            return self._aim[1].is_same(run)
        if named not in (None, run.run_id):
            return False
        if run.token is not None and run.token == self._started:
            return True
        return not run.began_after(wire.moment_at(claim.created_at) + self._skew(run))

    def _skew(self, run: Run) -> timedelta:
        """By how much the clock that `run` was timed with is ahead of ours."""
        return run.seen - wire.moment_at(self._now())

    def _has_seen(self, named: str | None) -> bool:
        return bool(self._seen) if named is None else named in self._seen

    def _noted(self, run: Run | None) -> Run | None:
        if run is not None:
            self._seen.add(run.run_id)
        return run

    def _is_ours(self, claim: Claim) -> Receipt:
        self._started = claim.id
        self._failures.pop(claim.id, None)
        return Receipt(claim.id, claim.id)


def start_body(claim: Claim) -> dict[str, Any]:
    """The body for POST /run/start: the producer's, with our id and when it was made.

    The server itself tells only when the start arrived.
    """
    payload: dict[str, Any] = json.loads(claim.payload)
    meta = {**payload.get("meta", {}), TOKEN: claim.id}
    meta.setdefault("origin_ts", wire.iso(claim.created_at))
    if claim.raw_created_at is not None:
        meta.setdefault("raw_ts", wire.iso(claim.raw_created_at))
    return {**payload, "meta": meta}


def run_in(answer: Answer, now: int) -> Run | None:
    """The run that an answer shows; None when it shows none. `now` is our clock."""
    fields = wire.fields_of(answer)
    run_id, meta = fields.get("run_id"), fields.get("meta")
    if answer.status != HTTPStatus.OK or not (isinstance(run_id, str) and isinstance(meta, dict)):
        return None
    token = meta.get(TOKEN)
    if not isinstance(token, str):
        seen = _date_of(answer) or wire.moment_at(now)
        return Run(run_id, None, wire.moment_of(fields.get("started_at")), seen)
    # When it was made, not when it arrived: by a clock of ours.
    return Run(run_id, token, wire.moment_of(meta.get("origin_ts")), wire.moment_at(now))


def says(answer: Answer, status: HTTPStatus, detail: str) -> bool:
    """Is this what the server itself says, in its very words?"""
    return answer.status == status and wire.fields_of(answer) == {"detail": detail}


def _date_of(answer: Answer) -> datetime | None:
    """When the server answered, by its own clock."""
    try:
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
