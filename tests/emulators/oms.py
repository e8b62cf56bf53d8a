"""An OMS of our own: what the sheet says it answers, its oddities included (OMS sheet, section 11).

    with Served(OmsEmulator()) as served:      # served.url + "/agg/api" is the API's address

`world` is what it holds (oms_world.py), `rules` what the sheet leaves open (oms_query.py),
`gate` who may come in (oms_gate.py), by tokens of `sso` (oms_sso.py), which is on the same port.
From outside: oms_control.py. Other switches:
`lacks`: attributes that this server does not have, by resource (2021: no `era` of runs, ...);
`loose`: how far the total of `hltpathinfo` is from the number of its rows;
`overcounts`: how many rows fewer than the total every collection has;
`grows`: how much the total gains after each answer, though no row comes;
`afterwards`: called after each answer of rows, to change something between two pages;
`refusals`: JSON:API errors that the next questions get, one each, such as
`BadRequest("INTERNAL_SERVER_ERROR", "...", 500)`;
`doubled_scheme`: whether links say `https://https://`, as the real ones do;
`media_type`: of JSON answers, which is not known of the real one.
Faults of the wire are the kit's: `served.fault("truncate", path="/runs")`.

    python -m tests.emulators.oms --port 8000
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulators import oms_answers as answers
from tests.emulators.kit import main
from tests.emulators.oms_catalogue import CATALOGUE, RELATIONS, RESOURCES, Attributes
from tests.emulators.oms_control import control
from tests.emulators.oms_errors import BadRequest, not_found
from tests.emulators.oms_gate import Gate
from tests.emulators.oms_query import Filter, Query, Row, Rules, parse
from tests.emulators.oms_services import listed, service
from tests.emulators.oms_sso import Sso
from tests.emulators.oms_world import World

ROOT = "/agg/api/v1/"
JSON_API = "application/vnd.api+json"


class OmsEmulator:
    """The server and its database."""

    def __init__(
        self,
        *,
        world: World | None = None,
        rules: Rules | None = None,
        ways: tuple[str, ...] = (),
        audience: str = "cmsoms-prod",
        lacks: dict[str, set[str]] | None = None,
        loose: int = -3,
        doubled_scheme: bool = True,
        media_type: str = JSON_API,
    ) -> None:
        self.world = world or World()
        self.rules = rules or Rules()
        self.sso = Sso(lambda: self.world.now)
        self.gate = Gate(self.sso, ways, audience)
        self.lacks = lacks or {}
        self.loose = loose
        self.doubled_scheme = doubled_scheme
        self.media_type = media_type
        self.overcounts = 0
        self.grows = 0
        self.afterwards: Callable[[], object] = lambda: None
        self.refusals: list[BadRequest] = []
        self.queries: list[str] = []  # path and raw query string of each, in order
        self._grown = 0
        self.app = Starlette(
            routes=[
                Route(ROOT + "{path:path}", self.read, methods=["GET"]),
                *self.sso.routes(),
            ],
            exception_handlers={404: self.no_route, 405: self.wrong_method},
        )
        self.app.router.redirect_slashes = False

    def now(self) -> int:
        return int(self.world.now * 1000)

    def counts(self) -> dict[str, int]:
        """How many tokens were asked for, by kind, and how many questions came."""
        return {**self.sso.requests, "questions": len(self.queries)}

    def control(self, what: str, told: dict[str, Any]) -> Any:
        """From another process (oms_control.py)."""
        return control(self, what, told)

    def ledger(self) -> list[dict[str, Any]]:
        """The runs as they stand."""
        return [dict(run.attributes) for run in self.world.runs.values()]

    async def read(self, request: Request) -> Response:
        raw = request.scope["query_string"].decode("latin-1")
        self.queries.append(f"{request.url.path}?{raw}")
        turned_away = self.gate.judge(request)
        if turned_away is not None:
            return turned_away
        base = f"https://https://{request.url.netloc}" if self.doubled_scheme else ""
        base = (base or f"http://{request.url.netloc}") + ROOT.rstrip("/")
        parts = [one for one in request.path_params["path"].split("/") if one]
        try:
            if self.refusals:
                raise self.refusals.pop(0)
            return self.answer(parts, raw, base)
        except BadRequest as exc:
            return exc.response(self.media_type)

    def answer(self, parts: list[str], raw: str, base: str) -> Response:
        rows = service(parts, raw, self.world)
        if rows is not None:
            return self.json(listed("_".join(parts), rows))
        match parts:
            case [resource, "meta"] if resource in RESOURCES:
                return self.catalogue(resource)
            case [resource, "csv"] if resource in CATALOGUE:
                return self.csv(resource, raw)
            case [resource] if resource in RESOURCES:
                query = parse(resource, self.attributes(resource), raw, self.rules)
                return self.json(self.collection(query, base, resource))
            case [resource, row_id] if resource in RESOURCES:
                query = parse(resource, self.attributes(resource), raw, self.rules)
                row = self.one(query, row_id)
                return self.json({"data": answers.resource(query, row, base)})
            case [resource, row_id, "relationships", name] if name in RELATIONS.get(resource, {}):
                return self.related(resource, row_id, name, raw, base, linked=True)
            case [resource, row_id, name] if name in RELATIONS.get(resource, {}):
                return self.related(resource, row_id, name, raw, base, linked=False)
        raise not_found(f"No repository found for path {'/'.join(parts)}")

    def attributes(self, resource: str) -> Attributes | None:
        known = CATALOGUE.get(resource)
        lacking = self.lacks.get(resource)
        if known is None or not lacking:
            return known
        return {name: one for name, one in known.items() if name not in lacking}

    def catalogue(self, resource: str) -> Response:
        """All of it or 404: clients drop what a partial one does not name."""
        attributes = self.attributes(resource)
        if attributes is None:
            raise not_found(f"{resource} has no meta")
        return self.json({"meta": answers.catalogue(attributes)})

    def csv(self, resource: str, raw: str) -> Response:
        attributes = self.attributes(resource)
        assert attributes is not None
        query = parse(resource, attributes, raw, self.rules)
        rows = query.ordered(self.world.rows(query))[query.offset : query.offset + query.limit]
        return Response(answers.as_csv(query, rows, attributes), media_type="text/csv")

    def collection(self, query: Query, base: str, path: str) -> dict[str, Any]:
        rows = query.ordered(self.world.rows(query))
        body = answers.collection(query, rows, self.total(query, rows), base, path)
        self.afterwards()
        return body

    def total(self, query: Query, rows: list[Row]) -> int:
        loose = self.loose if query.resource == "hltpathinfo" and rows else 0
        total = len(rows) + self.overcounts + self._grown + loose
        self._grown += self.grows
        return total

    def one(self, query: Query, row_id: str) -> Row:
        for attribute, value in of_id(query.resource, row_id).items():
            query.filters.append(Filter(attribute, "EQ", value))
        for row in self.world.rows(query):
            if row.id == row_id:
                return row
        raise not_found(f"{query.resource} with id {row_id} not found")

    def related(
        self, resource: str, row_id: str, name: str, raw: str, base: str, *, linked: bool
    ) -> Response:
        """What belongs to a row: rows of another resource, or one row."""
        owner = self.one(Query(resource, self.attributes(resource), self.rules), row_id)
        wanted, single = RELATIONS[resource][name]
        query = parse(wanted, self.attributes(wanted), raw, self.rules)
        for key in ("run_number", "fill_number"):
            if key in owner.attributes and key in (query.attributes or {}):
                query.filters.append(Filter(key, "EQ", str(owner.attributes[key])))
                break
        path = f"{resource}/{row_id}/{'relationships/' if linked else ''}{name}"
        if linked:
            return self.json(answers.identifiers(self.collection(query, base, path), single=single))
        if not single:
            return self.json(self.collection(query, base, path))
        found = self.world.rows(query)
        return self.json({"data": answers.resource(query, found[0], base) if found else None})

    def json(self, body: dict[str, Any], status: int = 200) -> Response:
        return Response(json.dumps(body), status, media_type=self.media_type)

    async def no_route(self, request: Request, _: Exception) -> Response:
        return not_found(f"No repository found for path {request.url.path}").response(
            self.media_type
        )

    async def wrong_method(self, request: Request, _: Exception) -> Response:
        detail = f"method {request.method} not allowed"
        return BadRequest("METHOD_NOT_ALLOWED", detail, 405).response(self.media_type)


def of_id(resource: str, row_id: str) -> dict[str, str]:
    """What an id tells about its row, so that only few rows are made."""
    run, _, rest = row_id.partition("_")
    if resource not in CATALOGUE or "run_number" not in CATALOGUE[resource] or not run.isdigit():
        return {}
    if resource == "lumisections" and rest.isdigit():
        return {"run_number": run, "lumisection_number": rest}
    return {"run_number": run}


def make(arguments: argparse.Namespace) -> OmsEmulator:
    return OmsEmulator(ways=tuple(arguments.way), audience=arguments.audience)


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m tests.emulators.oms")
    options.add_argument("--way", action="append", default=[], choices=["bearer", "cookie"])
    options.add_argument("--audience", default="cmsoms-prod", help="whom tokens have to be for")
    main(make, options)
