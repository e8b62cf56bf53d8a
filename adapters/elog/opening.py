"""Entries that say "current": what they may leave open, and where they wait until it is known.

Promises: pure. An open entry waits apart from all that know where they belong, and is refused
where the settings could never tell.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from adapters.base import EntryKind
from adapters.elog.payloads import CURRENT
from storage.entry import Address

FIELDS = ("experiment", "run")
NO_INSTRUMENT = (
    f'"{CURRENT}" needs the key instrument in the settings of this backend (and station, if that is'
    " not 0); or name the experiment, as in mfxl1000123"
)
Check = Callable[[Any, Any], Iterable[tuple[str, str]]]


def openable(kinds: Mapping[str, EntryKind]) -> dict[str, EntryKind]:
    """The kinds of entry, each of which may leave open the experiment or run that it has."""
    return {
        name: replace(kind, address=_placed(kind.address), check=_checked(kind.check))
        for name, kind in kinds.items()
    }


def is_open(payload: Mapping[str, Any]) -> bool:
    """Does the payload leave open where it belongs?"""
    return any(payload.get(field) == CURRENT for field in FIELDS)


def scope_of(payload: Mapping[str, Any]) -> str:
    """Where an open entry waits."""
    experiment = payload.get("experiment")
    return CURRENT if experiment == CURRENT else f"{experiment}/{CURRENT}"


def _placed(own: Callable[[Any], Address]) -> Callable[[Any], Address]:
    """The address of a kind; of an open entry the place where it waits."""

    def address(judged: Any) -> Address:
        made, said = own(judged), _said(judged)
        if not is_open(said):
            return made
        known = {name: value for name, value in made.labels.items() if value != CURRENT}
        place = scope_of(said)
        return replace(made, stream=place, scope=place, labels=known, open=True)

    return address


def _checked(own: Check | None) -> Check:
    """What a kind checks, and that somebody can tell whose current experiment is meant."""

    def check(judged: Any, options: Any) -> Iterable[tuple[str, str]]:
        if own is not None:
            yield from own(judged, options)
        if _said(judged)["experiment"] == CURRENT and options.instrument is None:
            yield "/experiment", NO_INSTRUMENT

    return check


def _said(judged: Any) -> dict[str, Any]:
    return {field: getattr(judged, field, None) for field in FIELDS}
