"""The GET side: entries, receipts, status, metrics, health."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.envelope import MAX_LABELS
from agent.refusal import FieldError, Refusal, unfit
from agent.strict_json import LONGEST_INT
from storage.outbox import Outbox
from storage.states import State

StatusMaker = Callable[[], Awaitable[dict[str, Any]]]
DEFAULT_LIMIT = 100
ENTRY_FILTERS = ("backend", "state", "label", "limit", "after")
LOSS_FILTERS = ("backend", "limit", "after")
RECEIPT_FILTERS = ("backend", "key", "label", "limit", "after")


class Looks:
    """What may be read, by anybody who may open the socket."""

    def __init__(
        self, outbox: Outbox, *, status: StatusMaker, healthy: Callable[[], str | None]
    ) -> None:
        """`healthy` names the loop that has stopped, or None."""
        self._outbox = outbox
        self._status = status
        self._healthy = healthy

    async def entries(self, request: Request) -> Response:
        """GET /v1/entries?backend=&state=&label=k=v&limit=&after="""
        query = request.query_params
        check_names(query, ENTRY_FILTERS)
        page, after = await self._outbox.looks.list_entries(
            backend=query.get("backend"),
            state=_state(query.get("state")),
            labels=_labels(query),
            limit=_number(query, "limit", DEFAULT_LIMIT, least=1),
            after=_number(query, "after", 0),
        )
        return JSONResponse({"entries": page, "next": after})

    async def entry(self, request: Request) -> Response:
        """GET /v1/entries/{id}: everything; 410 after a discard."""
        id_ = request.path_params["id"]
        found = await self._outbox.looks.show(id_)
        if found is None:
            detail = (
                f"there is no entry {id_!r}; it may have been delivered and its receipt expired"
            )
            raise Refusal(HTTPStatus.NOT_FOUND, detail)
        if told := gone(id_, found):
            raise Refusal(HTTPStatus.GONE, told)
        return JSONResponse(found)

    async def receipts(self, request: Request) -> Response:
        """GET /v1/receipts?backend=&key=&label=k=v&limit=&after="""
        query = request.query_params
        check_names(query, RECEIPT_FILTERS)
        page, after = await self._outbox.looks.list_receipts(
            backend=query.get("backend"),
            key=query.get("key"),
            labels=_labels(query),
            limit=_number(query, "limit", DEFAULT_LIMIT, least=1),
            after=_number(query, "after", 0),
        )
        return JSONResponse({"receipts": page, "next": after})

    async def losses(self, request: Request) -> Response:
        """GET /v1/losses?backend=&limit=&after="""
        query = request.query_params
        check_names(query, LOSS_FILTERS)
        page, after = await self._outbox.looks.list_losses(
            backend=query.get("backend"),
            limit=_number(query, "limit", DEFAULT_LIMIT, least=1),
            after=_number(query, "after", 0),
        )
        return JSONResponse({"losses": page, "next": after})

    async def status(self, _: Request) -> Response:
        """GET /v1/status"""
        return JSONResponse(await self._status())

    async def metrics(self, _: Request) -> Response:
        """GET /metrics, in Prometheus' text format."""
        return Response(exposition(await self._status()), media_type=CONTENT_TYPE_LATEST)

    async def health(self, _: Request) -> Response:
        """GET /healthz: 200 while every loop that does the work goes round."""
        stopped = self._healthy()
        if stopped is not None:
            return JSONResponse({"ok": False, "stopped": stopped}, 503)
        return JSONResponse({"ok": True})


def gone(id_: str, found: dict[str, Any]) -> str | None:
    """What became of an entry that was neither kept nor delivered; None of all others."""
    match found["state"]:
        case "superseded":
            said = found["superseded"]
            return f"entry {id_} was not needed any more at {said['at']}: {said['detail']}"
        case "discarded":
            said = found["discarded"]
            return f"entry {id_} was discarded at {said['at']} by {said['who']}"
        case "lost":
            said = found["lost"]
            return f"entry {id_} was given up at {said['at']}: {said['reason']}"
        case _:
            return None


def check_names(query: QueryParams, known: tuple[str, ...]) -> None:
    """A filter that is misspelt, or given twice, must not silently answer with something else."""
    names = [name for name, _ in query.multi_items()]
    errors = [
        FieldError("", f"?{name} is no filter; known are {', '.join(known)}")
        for name in sorted(set(names) - set(known))
    ]
    errors += [
        FieldError("", f"?{name} is given twice")
        for name in known
        if name != "label" and names.count(name) > 1
    ]
    if errors:
        raise unfit(errors)


def _state(text: str | None) -> State | None:
    if text is None:
        return None
    try:
        return State[text.upper()]
    except KeyError as exc:
        names = ", ".join(state.name.lower() for state in State)
        raise unfit([FieldError("", f"?state must be one of {names}")]) from exc


def _labels(query: QueryParams) -> dict[str, str]:
    given = query.getlist("label")
    if len(given) > MAX_LABELS:
        raise unfit([FieldError("", f"?label: at most {MAX_LABELS} can be asked for")])
    labels: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise unfit([FieldError("", "?label must be name=value")])
        if labels.setdefault(name, value) != value:
            raise unfit([FieldError("", f"?label: {name!r} cannot have two values")])
    return labels


def _number(query: QueryParams, name: str, default: int, *, least: int = 0) -> int:
    text = query.get(name)
    if text is None:
        return default
    # The length first: the conversion itself refuses thousands of digits.
    if not (text.isascii() and text.isdecimal() and len(text) < LONGEST_INT):
        raise unfit([FieldError("", f"?{name} must be a whole number, and not that long")])
    if not least <= int(text) < 2**63:
        raise unfit([FieldError("", f"?{name} must be from {least} to {2**63 - 1}")])
    return int(text)


def exposition(status: dict[str, Any]) -> bytes:
    """A status as Prometheus metrics."""
    registry = CollectorRegistry()
    entries = Gauge(
        "holdfast_entries", "Entries in the outbox", ["backend", "state"], registry=registry
    )
    oldest = Gauge(
        "holdfast_oldest_age_seconds", "Age of the oldest entry", ["backend"], registry=registry
    )
    delivered = Gauge(
        "holdfast_delivered_entries", "Entries confirmed so far", ["backend"], registry=registry
    )
    lost = Gauge(
        "holdfast_lost_entries", "Entries given up for newer ones", ["backend"], registry=registry
    )
    flowing = Gauge("holdfast_flowing", "1 while the backend flows", ["backend"], registry=registry)
    spool = Gauge("holdfast_spool_files", "Files in the spool", ["state"], registry=registry)
    paused = Gauge(
        "holdfast_paused", "1 while an operator lets it wait", ["backend"], registry=registry
    )
    resting = Gauge(
        "holdfast_parts_at_rest", "Parts that wait by themselves", ["backend"], registry=registry
    )
    for name, one in status["backends"].items():
        for state in ("pending", "leased", "held", "dead"):
            entries.labels(name, state).set(one[state])
        oldest.labels(name).set(one["oldest_age_seconds"] or 0)
        delivered.labels(name).set(one["delivered_total"])
        lost.labels(name).set(one["lost_total"])
        flowing.labels(name).set(one["state"] == "flowing")
        paused.labels(name).set(one["pause"] is not None)
        resting.labels(name).set(len(one["scopes"]))
    for state, count in status["spool"].items():
        spool.labels(state).set(count)
    return generate_latest(registry)
