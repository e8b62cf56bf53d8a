"""As much of an OMS as tests of the reader need: tables of rows, and a list of their attributes.

Filters on whole numbers (EQ, GE, LE) and pages are applied, the rest of a question is written
down: `asked`. What OMS really does: tests/emulators/oms.py.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.base import AuthOptions, Site, TlsOptions
from adapters.oms import OmsReader, Options
from tests.builders import NOW

Attributes = dict[str, Any]

FILTER = re.compile(r"filter\[(\w+)\]\[(EQ|GE|LE)\]")
ENDED = "2017-06-17T01:57:57Z"
COMPARED = {"EQ": int.__eq__, "GE": int.__ge__, "LE": int.__le__}
NAMES = {
    "runs": ("run_number", "end_time", "last_update", "last_lumisection_number", "l1_rate"),
    "lumisections": ("run_number", "lumisection_number", "pileup"),
}


def a_run(number: int, **changes: Any) -> Attributes:
    told = {"end_time": ENDED, "last_update": ENDED, "last_lumisection_number": 3, "l1_rate": 1.5}
    return {"run_number": number, **told, **changes}


def sections(run: int, count: int) -> list[Attributes]:
    return [
        {"run_number": run, "lumisection_number": one, "pileup": 30.0}
        for one in range(1, count + 1)
    ]


class SmallOms:
    """`tables`: attributes of rows by resource; `lists`: what each has, None answers 404.

    `unknown`: texts in a query string that are answered with 400.
    """

    def __init__(self) -> None:
        self.tables: dict[str, list[Attributes]] = {
            "runs": [a_run(number) for number in (297050, 297051, 297056)],
            "lumisections": [*sections(297050, 3), *sections(297051, 2)],
        }
        self.lists: dict[str, dict[str, Any] | None] = {
            name: {one: {"searchable": True, "sortable": True} for one in names}
            for name, names in NAMES.items()
        }
        self.unknown: tuple[str, ...] = ()
        self.asked: list[str] = []
        self.app = Starlette(routes=[Route("/agg/api/v1/{path:path}", self.read)])

    def ledger(self) -> list[dict[str, Any]]:
        return []

    def rows_asked(self, resource: str) -> list[str]:
        """The questions for rows of a resource, without the lists of attributes."""
        return [one for one in self.asked if one.partition("?")[0] == resource]

    async def read(self, request: Request) -> Response:
        path, query = request.path_params["path"], request.scope["query_string"].decode("latin-1")
        self.asked.append(f"{path}?{query}" if query else path)
        resource, _, rest = path.partition("/")
        if rest == "meta":
            fields = self.lists.get(resource)
            body = {"meta": {"fields": fields}}
            return missing() if fields is None else JSONResponse(body)
        if resource not in self.tables:
            return missing()
        if any(name in query for name in self.unknown):
            return JSONResponse({"errors": [{"detail": "bad parameter"}]}, status_code=400)
        if rest:
            return self._one(resource, rest)
        return JSONResponse(self._page(resource, dict(parse_qsl(query))))

    def _one(self, resource: str, name: str) -> Response:
        found = [row for row in self.tables[resource] if id_of(row) == name]
        return JSONResponse({"data": row_of(resource, found[0])}) if found else missing()

    def _page(self, resource: str, asked: dict[str, str]) -> dict[str, Any]:
        rows = [
            row for row in self.tables[resource] if all(fits(row, *one) for one in asked.items())
        ]
        offset, limit = int(asked["page[offset]"]), int(asked["page[limit]"])
        names = asked["fields"].split(",") if "fields" in asked else None
        page = [row_of(resource, row, names) for row in rows[offset : offset + limit]]
        return {"data": page, "links": {"next": None}, "meta": {"totalResourceCount": len(rows)}}


def fits(row: Attributes, name: str, value: str) -> bool:
    match = FILTER.fullmatch(name)
    return match is None or COMPARED[match[2]](row[match[1]], int(value))


def id_of(row: Attributes) -> str:
    section = row.get("lumisection_number")
    return str(row["run_number"]) + (f"_{section}" if section is not None else "")


def row_of(resource: str, row: Attributes, names: list[str] | None = None) -> dict[str, Any]:
    told = row if names is None else {name: row[name] for name in names}
    units = {"row": {"pileup": {"units": "1"}}} if "pileup" in told else None
    found = {"id": id_of(row), "type": resource, "attributes": told}
    return {**found, "meta": units} if units else found


def missing() -> Response:
    error = {"status": "404", "title": "RESOURCE_NOT_FOUND", "detail": "there is none"}
    return JSONResponse({"errors": [error]}, status_code=404)


class At:
    """The time that the reader is told (epoch ms); tests turn it on."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def a_reader(url: str, at: At, **options: Any) -> OmsReader:
    return OmsReader(
        Site(
            name="oms",
            url=url,
            timeout_seconds=5,
            attempt_timeout_seconds=10,
            concurrency=2,
            auth=AuthOptions(),
            tls=TlsOptions(),
            options=Options(**options),
            read_secret=lambda _: "",
            now=at,
        )
    )
