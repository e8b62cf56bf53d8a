"""The tables of answers in docs/backends/elog.md, and every kind of body that they speak of."""

import itertools
import json
from typing import Any

from adapters.elog.verdicts import NO_RUN
from tests.builders import repository

PAGE = repository() / "docs" / "backends" / "elog.md"
STATUSES = range(100, 600)
HTML = b"<!doctype html><title>x</title>"
JSON = "application/json; charset=utf-8"


def said(value: Any) -> bytes:
    return json.dumps({"success": True, "value": value}).encode()


# name -> bodies and their label; "yes" depends on the endpoint
BODIES: dict[str, list[tuple[bytes, str]]] = {
    "another yes": [(said(None), JSON), (said({"_id": 7}), JSON), (b'{"success": true}', JSON)],
    "no": [(b'{"success": false, "errormsg": "no"}', JSON), (b'{"success": false}', JSON)],
    "no run": [(json.dumps({"success": False, "errormsg": f"{NO_RUN} - 7"}).encode(), JSON)],
    "other JSON": [(b'{"status": "ok"}', JSON), (b"[]", JSON), (b"null", JSON), (b"7", JSON)],
    "cut": [(b'{"success": true, "value": {"_id"', JSON)],
    "empty": [(b"", JSON), (b" \n", JSON)],
    "page": [(HTML, JSON)],
    "text": [(b"Cannot post empty message", JSON)],
    "foreign page": [(HTML, "text/html"), (b"Log in", "text/html")],
    "foreign text": [(b"upstream failed", "text/plain"), (b"OK", "")],
}


def rows(head: str) -> list[list[str]]:
    """The cells of the table with this head."""
    lines = iter(PAGE.read_text().splitlines())
    table = itertools.takewhile(
        lambda line: line.startswith("|"), itertools.dropwhile(lambda line: line != head, lines)
    )
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in list(table)[2:]]


def covers(cell: str, status: int) -> bool:
    """Is the status in a cell such as `401, 407` or `500-599`?"""
    ranges = [[int(end) for end in one.split("-")] for one in cell.split(", ")]
    return any(one[0] <= status <= one[-1] for one in ranges)


def in_cell(cell: str, body: str) -> bool:
    """Is the body in a cell such as `page, text` or `any`?"""
    return cell == "any" or body in cell.split(", ")
