"""What "current" means: the experiment, and the run, of the time at which an entry was written.

Promises: an entry goes to the experiment and the run that were current when it was written, or it
is held and says why; never silently to another one. That nothing has changed since is proven by
the eLog's own times (`switch_time`, `begin_time`). While an entry is being accepted, what is
current now needs no proof. From here nothing is sent; what was found is stored first, and stays.
Facts: elog sheet, sections 3.1 and 3.8.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from adapters.answer import Answer
from adapters.base import EntryKind
from adapters.elog.late import written
from adapters.elog.logbook import Logbook, of_experiment
from adapters.elog.moment import Moment, epoch_ms
from adapters.elog.opening import is_open, scope_of
from adapters.elog.payloads import CURRENT, payload_of
from adapters.elog.verdicts import Asked, value_of
from adapters.verdict import (
    DeliveryError,
    Held,
    Parked,
    Refused,
    Rejected,
    Uncertain,
)
from storage.entry import Claim, Resolution

NOW_MS = 2_000  # what is that young while it is being accepted means what is current now
FRESH_MS = 60_000  # where nobody may ask what has changed since, nothing will have in that time
NONE_ACTIVE = "Cannot find a valid active experiment"
FORBIDDEN = 403
BY_NAME = "discard this one and hand it in again with the experiment that is meant"
BY_RUN = "discard this one and hand it in again with the run that is meant"

Json = Mapping[str, Any]


class Current:
    """Finds out what is current, for one logbook server."""

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook

    async def at_accept(self, kind: EntryKind, payload: Json, created_at: int) -> Resolution:
        """All that can be told of an entry at once. Raises DeliveryError when that is nothing."""
        now = self._logbook.now()
        moment = Moment(min(created_at, now), now)
        means_now = moment.age <= NOW_MS
        found = await self._step(kind, payload, moment, now=means_now)
        if not is_open({**payload, **found.values}):
            return found
        try:
            more = await self._step(kind, {**payload, **found.values}, moment, now=means_now)
        except DeliveryError:
            return found  # the rest is found out before delivery
        return replace(more, values={**found.values, **more.values})

    async def of_claim(self, kind: EntryKind, claim: Claim) -> Resolution:
        """The next thing that an entry leaves open: the experiment, or else the run.

        Raises Held, with the run of that time as the proposal where there is one; Parked while no
        experiment is active; or why the server could not be asked.
        """
        # Nothing is written after it was accepted, whatever its producer's clock says.
        moment = Moment(min(claim.created_at, claim.accepted_at), self._logbook.now())
        known = claim.resolved
        try:
            found = await self._step(kind, payload_of(claim), moment, now=False)
        except Held as held:
            if held.proposal is None:
                raise
            whole = replace(held.proposal, values={**known, **held.proposal.values})
            raise Held(held.detail, proposal=whole) from held
        return replace(found, values={**known, **found.values})

    async def _step(
        self, kind: EntryKind, payload: Json, moment: Moment, *, now: bool
    ) -> Resolution:
        """`now`: it means what is current now."""
        try:
            if payload.get("experiment") != CURRENT:
                return await self._run(kind, payload, moment, now=now)
            name = await (self._active_now() if now else self._active_then(moment))
            return _resolution(kind, payload, experiment=name)
        except DeliveryError as failed:
            meant = _of_question(failed, scope_of(payload))
            if meant is failed:
                raise
            raise meant from failed

    async def _active_then(self, moment: Moment) -> str:
        """The experiment that was active at a moment of the past."""
        answer, asked = await self._ask("/lgbk/ws/activeexperiments")
        if answer.status == FORBIDDEN:  # the list is for whoever has an account
            return await self._active_of_late(moment, asked)
        here = self._here(_listed(answer, asked))
        moment = moment.seen_with(answer, self._logbook.now())
        if moment.surely_after(epoch_ms(here.get("switch_time"))):
            return str(here["name"])
        raise self._switched(moment, here)

    async def _active_now(self) -> str:
        """The open endpoint's word."""
        options = self._logbook.options
        query = {"instrument_name": str(options.instrument), "station": str(options.station)}
        path = "/lgbk/ws/activeexperiment_for_instrument_station"
        answer, asked = await self._ask(path, params=query)
        try:
            found = value_of(answer, asked)
        except Rejected as refused:
            if NONE_ACTIVE in refused.detail:
                raise self._standby() from refused
            raise
        if not _has_name(found):
            raise _odd(answer, asked)
        return str(found["name"])

    async def _active_of_late(self, moment: Moment, asked: Asked) -> str:
        if abs(moment.age) <= FRESH_MS:
            return await self._active_now()
        raise Held(
            f"nobody can tell which experiment was current on {self._place()} when this was"
            f" written, {moment.told()}: {asked.account} may not ask (403). Give Holdfast an"
            f" account and release this; or {BY_NAME}"
        )

    async def _run(
        self, kind: EntryKind, payload: Json, moment: Moment, *, now: bool
    ) -> Resolution:
        experiment = str(payload["experiment"])
        answer, asked = await self._ask(f"{of_experiment(experiment)}/current_run", experiment)
        if has_no_runs(answer):
            raise Held(
                f"{experiment} has no runs, so none is current. Best {BY_RUN}, or without any"
            )
        latest = value_of(answer, asked)
        if not _is_run(latest):
            raise _odd(answer, asked)
        moment = moment.seen_with(answer, self._logbook.now())
        found = _resolution(kind, payload, run=latest["num"])
        if now:
            return found
        if not moment.surely_after(epoch_ms(latest.get("begin_time"))):
            raise await self._another(kind, payload, moment, latest)
        if moment.after(epoch_ms(latest.get("end_time"))):
            raise _agreeable(f"{_of(latest, experiment)} had ended before", moment, found)
        return found

    async def _another(self, kind: EntryKind, payload: Json, moment: Moment, latest: Json) -> Held:
        """A run has begun since, or just then: which one was it when the entry was written?"""
        experiment = str(payload["experiment"])
        begun = epoch_ms(latest.get("begin_time"))
        if begun is None or moment.there is None:
            return _unclear(f"the eLog does not tell since when {_of(latest, experiment)}", moment)
        if moment.after(begun):
            said = f"{_of(latest, experiment)} began {written(begun)}, too close to tell"
            return _agreeable(said, moment, _resolution(kind, payload, run=latest["num"]))
        said = f"{_of(latest, experiment)} began only {written(begun)}"
        path = f"{of_experiment(experiment)}/runs"
        answer, asked = await self._ask(path, experiment, params={"includeParams": "false"})
        if answer.status == FORBIDDEN:
            return _unclear(f"{said}, and {asked.account} may not see those before it", moment)
        runs = [run for run in _listed(answer, asked) if _is_run(run)]
        then = [run["num"] for run in runs if moment.after(epoch_ms(run.get("begin_time")))]
        if not then:
            return _unclear(f"{said}, and there was none before it", moment)
        proposal = _resolution(kind, payload, run=max(then))
        return _agreeable(f"{said}; before that it was run {max(then)}", moment, proposal)

    async def _ask(
        self, path: str, experiment: str = CURRENT, **request: Any
    ) -> tuple[Answer, Asked]:
        if experiment == CURRENT and self._logbook.options.instrument is None:
            raise Parked(
                "the settings of this backend name no instrument any more, so that nobody knows"
                " whose current experiment is meant",
                scope=CURRENT,
            )
        return await self._logbook.ask("GET", path, experiment, **request)

    def _here(self, listed: list[Json]) -> Json:
        """What is active on our station."""
        options = self._logbook.options
        mine = (str(options.instrument).lower(), options.station)
        for one in listed:
            place = (str(one.get("instrument")).lower(), one.get("station"))
            if place == mine and _has_name(one) and not one.get("is_standby"):
                return one
        raise self._standby()

    def _standby(self) -> Parked:
        return Parked(
            f"no experiment is active on {self._place()}: what is for the current one waits until"
            " one is. If there is no such place, correct instrument or station of the backend",
            scope=CURRENT,
        )

    def _switched(self, moment: Moment, here: Json) -> Held:
        switched = epoch_ms(here.get("switch_time"))
        if switched is None or moment.there is None:
            since = f"the eLog does not tell since when {here['name']} is active there"
        elif moment.is_to_come:
            since = "that time is still to come, so our clock was set back since"
        else:
            since = f"{here['name']} is active there since {written(switched)}"
        return Held(
            f"when this was written, {moment.told()}, another experiment may have been active on"
            f" {self._place()}: {since}. Best {BY_NAME}"
        )

    def _place(self) -> str:
        options = self._logbook.options
        return f"{str(options.instrument).upper()}/{options.station}"


def _of_question(failed: DeliveryError, scope: str) -> DeliveryError:
    """What a question that failed means: it judges no entry, and nothing of one was sent."""
    status, excerpt = failed.status, failed.excerpt
    match failed:
        case Refused(landed=True):
            return Refused(failed.detail, status=status, excerpt=excerpt)
        case Parked(unknown=True, scope="current") | Rejected() | Uncertain():
            detail = f"what is current could not be found out: {failed.detail}"
            return Parked(detail, scope=scope, status=status, excerpt=excerpt)
    return failed


def _resolution(kind: EntryKind, payload: Json, **values: Any) -> Resolution:
    """What was found out, and where the entry belongs by it."""
    try:
        judged = kind.payload.model_validate({**payload, **values})
    except ValidationError as exc:
        raise Uncertain(f"the eLog names what cannot be one: {values}") from exc
    return Resolution(values, kind.address(judged))


def _agreeable(said: str, moment: Moment, proposal: Resolution) -> Held:
    run = proposal.values["run"]
    agreed = f"Release it if run {run} is meant; else {BY_RUN}"
    return Held(f"{said}; this was written {moment.told()}. {agreed}", proposal=proposal)


def _unclear(said: str, moment: Moment) -> Held:
    return Held(f"{said}; this was written {moment.told()}. Best {BY_RUN}")


def _of(run: Json, experiment: str) -> str:
    return f"run {run['num']} of {experiment}"


def _odd(answer: Answer, asked: Asked) -> Uncertain:
    said = f"{asked.url} does not answer as an eLog does"
    return Uncertain(said, status=answer.status, excerpt=answer.text)


def _listed(answer: Answer, asked: Asked) -> list[Json]:
    value = value_of(answer, asked)
    if not isinstance(value, list):
        raise _odd(answer, asked)
    return [one for one in value if isinstance(one, dict)]


def _has_name(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def has_no_runs(answer: Answer) -> bool:
    """Is it the refusal without a reason that means so (elog sheet, section 3.8)?"""
    match answer.status, answer.json():
        case 200, {"success": False, "value": None, **rest}:
            return not answer.is_html and not rest.get("errormsg")
    return False


def _is_run(value: Any) -> bool:
    return isinstance(value, dict) and type(value.get("num")) is int
