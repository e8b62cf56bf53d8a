"""A run that goes on, asked again lumisection by lumisection. Pure.

Source: protocols sheet of OMS, section 8. Values of a lumisection come late and are null until
then. So what is kept before the first null stays, and the rest is asked again, together with the
last row that stays: when that one says something else now, nothing of the kept rows is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapters.oms.forms import NEXT_ROW, Form, form_of, is_summed, only_oms
from adapters.oms.implied import spans_of
from adapters.oms.parts import fetched_at, rows_of
from adapters.oms.query import Filter, Query
from adapters.oms.resources import resource_of
from adapters.oms.rows import Row, has, in_order, same
from adapters.oms.settled import waits
from adapters.oms.values import SECTIONS
from storage.cached import Fact, Kept

OLDEST_MS = 10 * 60 * 1000  # what is kept longer is asked again as a whole


@dataclass(frozen=True, slots=True)
class Tail:
    """What to ask again. `query`: the lumisections from the last good one on.

    `last`: the rows of that one; `rows`: those before it, which stay. `whole_at` (epoch ms)
    belongs into the meta of the joined answer (`parts.WHOLE_AT`): so old its oldest rows are.
    `asked`: the question as one about a list.
    """

    query: Query
    asked: Query
    rows: Sequence[Row]
    last: Sequence[Row]
    whole_at: int

    def joined(self, rows: Sequence[Row]) -> list[Row] | None:
        """What stays and what was fetched; None when everything has to be fetched.

        That is so when a row that both have has changed, or is gone.
        """
        section = resource_of(self.asked.resource).section or ""
        numbers = [_number(row, section) for row in rows]
        first = max(number for row in self.last if (number := _number(row, section)))
        if any(number is None or number < first for number in numbers):
            return None
        if not all(_is_there(one, rows) for one in self.last):
            return None
        return _ordered(self.asked, [*self.rows, *rows])


def _is_there(one: Row, rows: Sequence[Row]) -> bool:
    found = [row for row in rows if row.get("id") == one.get("id")]
    return len(found) == 1 and same(found[0], one)


def _ordered(asked: Query, rows: Sequence[Row]) -> list[Row]:
    told = [n for n in resource_of(asked.resource).order if all(has(asked, r, n) for r in rows)]
    return in_order(replace(asked, sort=asked.sort or tuple(told)), rows)


def tail_of(query: Query, kept: Kept, now: int, run: Fact | None = None) -> Tail | None:
    """What of a kept answer need not be asked again at `now` (epoch ms); None: ask for all.

    `run`: what is remembered of the run, where that is known.
    """
    form = form_of(query)
    whole_at = fetched_at(kept)
    if form is None or not _has_tail(form) or (run is not None and run.value[0] is not None):
        return None
    if not kept.label.complete or kept.label.about != query.as_json():
        return None
    if not 0 <= now - whole_at <= OLDEST_MS:
        return None
    return _cut(form.query, query, rows_of(kept) or (), whole_at)


def _has_tail(form: Form) -> bool:
    """Is it about all lumisections of one run, in their order, and do the rows tell them?

    Conditions on values would let rows in when their values come.
    """
    query, about = form.query, form.resource
    if only_oms(form) is not None or is_summed(query) or about.section is None or form.single:
        return False
    spans = spans_of("run_number", query.filters)
    one_run = len(spans) == 1 and spans[0][0] == spans[0][1]
    steady = {*about.order} - SECTIONS
    return (
        one_run
        and query.limit is None
        and all(one.attribute in steady for one in query.filters)
        and query.sort in ((), (about.section,), about.order)
        and (not query.fields or about.section in query.fields)
    )


def _cut(asked: Query, query: Query, rows: Sequence[Row], whole_at: int) -> Tail | None:
    section = resource_of(asked.resource).section or ""
    counted = [(number, row) for row in rows if (number := _number(row, section))]
    if len(counted) != len(rows) or _ids(rows) != len(rows):
        return None
    waiting = [(number, _waiting(query, row)) for number, row in counted]
    # What no row has is no value that comes late; should it come after all, the last row tells.
    never = frozenset.intersection(*(names for _, names in waiting)) if waiting else frozenset()
    first_wait = min((n for n, names in waiting if names - never), default=None)
    good = [(n, row) for n, row in counted if first_wait is None or n < first_wait]
    if not good:
        return None
    last = max(number for number, _ in good)
    again = Filter(section, "GE", str(last))
    return Tail(
        replace(query, filters=tuple(sorted([*query.filters, again]))),
        asked,
        [row for number, row in good if number < last],
        [row for number, row in good if number == last],
        whole_at,
    )


def _number(row: Row, section: str) -> int | None:
    given = row.get("attributes", {}).get(section)
    return given if isinstance(given, int) else None


def _ids(rows: Sequence[Row]) -> int:
    return len({row.get("id") for row in rows if isinstance(row.get("id"), str)})


def _waiting(query: Query, row: Row) -> frozenset[str]:
    """The attributes whose values have not come yet."""
    attributes: dict[str, Any] = dict(row.get("attributes", {}))
    asked = [name for name in attributes if _is_asked(query, name)]
    return frozenset(name for name in asked if waits(name, attributes[name]))


def _is_asked(query: Query, name: str) -> bool:
    return name != NEXT_ROW and (not query.fields or name in query.fields)
