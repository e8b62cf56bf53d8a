"""What OMS answers with: JSON:API bodies, catalogues, CSV (OMS sheet, sections 3 and 4)."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from tests.emulators.oms_catalogue import RELATIONS, Attributes
from tests.emulators.oms_query import Query, Row

NO_LINKS = {"first": None, "last": None, "next": None, "prev": None}


def collection(query: Query, rows: list[Row], total: int, base: str, path: str) -> dict[str, Any]:
    """One page. `total` is what the answer claims; `base` is what its links begin with."""
    meta: dict[str, Any] = {"totalResourceCount": total}
    if "meta" in query.include and query.attributes is not None:
        meta = {**catalogue(query.attributes), **meta}
        del meta["fields_order"]
    page = rows[query.offset : query.offset + query.limit]
    return {
        "data": [resource(query, row, base) for row in page],
        "links": links(query, total, f"{base}/{path}"),
        "meta": meta,
    }


def resource(query: Query, row: Row, base: str) -> dict[str, Any]:
    """One row: with `fields` it tells of no relations; units are of what it tells."""
    asked = query.attributes if query.attributes is not None else row.attributes
    names = [name for name in asked if not query.fields or name in query.fields]
    here = f"{base}/{query.resource}/{row.id}"
    attributes = {name: row.attributes.get(name) for name in names}
    if "presentation_timestamp" in query.include and query.attributes is not None:
        attributes |= {
            name: value.replace("T", " ").removesuffix("Z")
            for name, value in attributes.items()
            if query.attributes[name].type == "time" and value is not None
        }
    told: dict[str, Any] = {"id": row.id, "type": query.resource, "attributes": attributes}
    relations = RELATIONS.get(query.resource, {})
    if not query.fields and relations:
        told["relationships"] = {
            name: {"links": {"self": f"{here}/relationships/{name}", "related": f"{here}/{name}"}}
            for name in relations
        }
    told["links"] = {"self": here}
    units = {name: {"units": row.units[name]} for name in names if name in row.units}
    if units:
        told["meta"] = {"row": units}
    return told


def links(query: Query, total: int, here: str) -> dict[str, str | None]:
    if not total:
        return dict(NO_LINKS)
    last = (total - 1) // query.limit * query.limit
    offsets = {
        "first": 0,
        "last": last,
        "next": query.offset + query.limit if query.offset + query.limit < total else None,
        "prev": max(query.offset - query.limit, 0) if query.offset else None,
    }
    return {
        name: None if offset is None else f"{here}?{asked(query, offset)}"
        for name, offset in offsets.items()
    }


def asked(query: Query, offset: int) -> str:
    """The parameters as links have them: typed names, raw brackets, no offset of 0."""
    kind = query.resource
    parts = [("page[limit]", str(query.limit))]
    parts += [
        (f"filter[{kind}][{one.attribute}][{one.operator}]", one.value) for one in query.filters
    ]
    parts += [(f"fields[{kind}]", ",".join(query.fields))] if query.fields else []
    parts += [(f"sort[{kind}]", ",".join(query.sort))] if query.sort else []
    parts += [("include", ",".join(sorted(query.include)))] if query.include else []
    parts += [(f"group[{name}]", value) for name, value in query.group.items()]
    parts += [("page[offset]", str(offset))] if offset else []
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in parts)


def identifiers(body: dict[str, Any], *, single: bool) -> dict[str, Any]:
    """What `/relationships/` tells: which rows, and nothing of them (as Crnk does)."""
    rows = [{"id": one["id"], "type": one["type"]} for one in body["data"]]
    return {**body, "data": (rows[0] if rows else None) if single else rows}


def catalogue(attributes: Attributes) -> dict[str, Any]:
    fields = {name: one.as_json() for name, one in attributes.items()}
    return {"fields": fields, "fields_order": list(fields)}


def as_csv(query: Query, rows: Iterable[Row], attributes: Attributes) -> str:
    """A line of names, then the rows; nested values and lists as JSON."""
    names = [name for name in attributes if not query.fields or name in query.fields]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[cell(row.attributes.get(name)) for name in names] for row in rows])
    return out.getvalue()


def cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
