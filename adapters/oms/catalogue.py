"""The attributes of a resource, as OMS lists them; and questions that name others.

OMS's own client leaves out what the catalogue does not know, so that a wrong name turns "one run"
into "all runs". Promises: here an unknown name is refused, with the names that look like it; a
kept list is asked for anew before anything is refused by it; where there is no list, nothing is
refused, and that is said. Source: protocols sheet of OMS, section 4.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any

from adapters.oms.query import Query
from adapters.oms.resources import RESOURCES, resource_of
from adapters.reading import Misasked, Shelf
from adapters.verdict import DeliveryError, Refused
from storage.cached import Kept, Label

DAY_MS = 24 * 3600 * 1000
NEW_MS = 60 * 1000  # so young a list is not asked for anew
META = "meta"
SERVICES = frozenset(("autocomplete", "sequences", "groups", "endpoints"))

Attributes = Mapping[str, Any]
AskFields = Callable[[str], Awaitable[dict[str, Any] | None]]
FLAGS = {"fields": "projectable", "filter": "searchable", "sort": "sortable"}


@dataclass(frozen=True, slots=True)
class Known:
    """What OMS lists of a resource. `attributes` None: it lists nothing. `at`: since (epoch ms)."""

    attributes: Attributes | None
    at: int


def listed_by(path: str) -> str | None:
    """The resource whose catalogue says what a question may name; None: no certain one does."""
    parts = [one for one in path.split("/") if one != "relationships"]
    if len(parts) <= 2:  # noqa: PLR2004 - RESOURCE and RESOURCE/ID
        return None if parts[-1] in SERVICES else parts[0]
    relation = parts[(len(parts) - 1) // 2 * 2]
    return relation if relation in RESOURCES else None


def catalogue_asked(path: str) -> str | None:
    """The resource whose catalogue itself is asked for, by RESOURCE/meta."""
    resource, _, rest = path.partition("/")
    return resource if rest == META else None


def key_of(resource: str) -> str:
    """Under which a catalogue is kept."""
    return f"{META}:{resource}"


async def kept(resource: str, shelf: Shelf) -> Known | None:
    """The kept catalogue, however old; None when none is kept."""
    found = await shelf.get(key_of(resource))
    if found is None or not isinstance(found.data, dict):
        return None
    return Known(found.data or None, found.label.fetched_at)


async def keep(resource: str, fields: dict[str, Any], shelf: Shelf, now: int) -> Known:
    """Remember a catalogue that was asked for at `now` (epoch ms)."""
    label = Label(key_of(resource), META, now, complete=True, settled=False)
    await shelf.put(Kept(label, fields))
    return Known(fields or None, now)


async def current(query: Query, shelf: Shelf, ask: AskFields, now: int) -> Known | None:
    """The catalogue for a question that OMS is to be asked. None: there is none.

    Raises Misasked for a question that it does not allow, DeliveryError when OMS is away.
    """
    resource = listed_by(query.resource)
    if resource is None or not (query.attributes or resource_of(query.resource).order):
        return None
    known = await kept(resource, shelf)
    if known is None or not _will_do(query, known, now - known.at):
        known = await _anew(resource, shelf, ask, now, known)
    check(query, known)
    return known


def check(query: Query, known: Known | None) -> None:
    """Raises Misasked when a question names what is not there, or not for that."""
    fault = next(_faults(query, known.attributes if known else None), None)
    if fault is not None:
        raise fault


def _will_do(query: Query, known: Known, age_ms: int) -> bool:
    allows = next(_faults(query, known.attributes), None) is None
    return 0 <= age_ms <= (DAY_MS if allows else NEW_MS)


async def _anew(
    resource: str, shelf: Shelf, ask: AskFields, now: int, before: Known | None
) -> Known | None:
    try:
        fields = await ask(resource)
    except Misasked:
        return before
    except DeliveryError as error:
        if not _is_only_the_list(error):
            raise
        return before
    if fields is None:
        return before
    return await keep(resource, fields, shelf, now)


def _is_only_the_list(error: DeliveryError) -> bool:
    """Did OMS answer, and has just no list to give?"""
    if isinstance(error, Refused):
        return error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
    return error.status == HTTPStatus.INTERNAL_SERVER_ERROR


def _faults(query: Query, attributes: Attributes | None) -> Iterator[Misasked]:
    if not attributes:
        return
    named = {
        "fields": sorted(query.fields),
        "filter": [one.attribute for one in query.filters],
        "sort": [one.removeprefix("-") for one in query.sort],
    }
    for parameter, names in named.items():
        for name in names:
            if name not in attributes:
                yield _unknown(name, attributes, parameter, query.resource)
            elif attributes[name].get(FLAGS[parameter]) is False:
                said = f"{parameter}: {name} of {query.resource} is not {FLAGS[parameter]} at OMS"
                yield Misasked(said, parameter=parameter)


def _unknown(name: str, attributes: Collection[str], parameter: str, resource: str) -> Misasked:
    near = get_close_matches(name, sorted(attributes), n=3, cutoff=0.6)
    contained = [one for one in sorted(attributes) if name.lower() in one.lower()][:3]
    told = list(dict.fromkeys([*near, *contained]))[:4]
    hint = f"is it {' or '.join(told)}?" if told else f"ask for {resource}/{META} to see all names"
    said = f"{parameter}: {resource} of OMS has no attribute {name!r}: {hint}"
    return Misasked(said, parameter=parameter)
