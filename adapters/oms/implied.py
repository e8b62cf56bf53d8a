"""Do the conditions of one question contain those of another? Pure.

Promises: sound. It says yes only when every row, null or not, that meets the asked conditions
meets the kept ones as well, in every way in which the literals may be read where the kind of the
attribute is not known. It may say no too often.

How: the literals of both sides cut the line of all values into points and the gaps between them.
A condition is the set of those that it admits, so one side contains the other as sets do.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import floor
from typing import Any

from adapters.oms.query import NULL, Filter
from adapters.oms.spans import ALL, TOP, Span, common, united, without
from adapters.oms.values import RANGES, Kind, kind_of, literal, literals, number_of

NOTHING = -1  # the cell of null


def implied(kept: Sequence[Filter], asked: Sequence[Filter]) -> bool:
    """Is every row that meets `asked` among those that meet `kept`?"""
    return all(
        _implied_on(name, _on(name, kept), _on(name, asked))
        for name in {one.attribute for one in kept}
    )


def _on(attribute: str, filters: Iterable[Filter]) -> list[Filter]:
    return [one for one in filters if one.attribute == attribute]


def _implied_on(attribute: str, kept: Sequence[Filter], asked: Sequence[Filter]) -> bool:
    rest = [one for one in kept if one not in asked]
    if not rest:
        return True
    return all(_contained(kind, rest, asked) for kind in _readings(attribute, [*rest, *asked]))


def _readings(attribute: str, filters: Sequence[Filter]) -> Iterator[Kind]:
    known = kind_of(attribute)
    if known is not None:
        yield known
        return
    # What LIKE looks for says nothing of the kind.
    compared = [one for one in filters if one.operator not in ("LIKE", "CT")]
    texts = [text for one in compared for text in literals(one) if text != NULL]
    yield Kind.TEXT
    for kind in (Kind.NUMBER, Kind.TIME, Kind.TRUTH):
        if all(literal(text, kind) is not None for text in texts):
            yield kind


def _contained(kind: Kind, kept: Sequence[Filter], asked: Sequence[Filter]) -> bool:
    if any(_opaque(one, kind) for one in kept):
        return False  # only the very same condition implies it
    clear = [one for one in asked if not _opaque(one, kind)]
    cells = _Cells(kind, [*kept, *clear])
    meant = cells.admitted(clear)
    if any(_wants_a_value(one) for one in asked if one not in clear):
        meant.discard(NOTHING)
    return meant <= cells.admitted(kept)


def _opaque(one: Filter, kind: Kind) -> bool:
    if one.operator in ("LIKE", "CT"):
        return True
    if one.operator in RANGES and kind in (Kind.TEXT, Kind.TRUTH):
        return True  # how the server orders texts is not known
    if NULL in literals(one):
        return one.operator not in ("EQ", "NEQ")
    return any(literal(text, kind) is None for text in literals(one))


def _wants_a_value(one: Filter) -> bool:
    """Whatever else it wants, it is no null; what a comparison with null wants, nobody knows."""
    return one.operator in ("LIKE", *RANGES) and NULL not in literals(one)


class _Cells:
    """Points have odd numbers, the gaps beside them even ones."""

    def __init__(self, kind: Kind, filters: Sequence[Filter]) -> None:
        self._kind = kind
        named: set[Any] = {
            literal(text, kind) for one in filters for text in literals(one) if text != NULL
        }
        points = [False, True] if kind is Kind.TRUTH else sorted(named)
        self._index = {point: 2 * at + 1 for at, point in enumerate(points)}
        self._all = {NOTHING, *self._possible(points)}

    def _possible(self, points: Sequence[Any]) -> Iterator[int]:
        if self._kind is Kind.TRUTH:
            yield from self._index.values()
            return
        whole = self._kind is Kind.WHOLE
        yield from (0, 2 * len(points))
        for at, point in enumerate(points):
            if not whole or point == floor(point):
                yield 2 * at + 1
        for at, (one, other) in enumerate(pairwise(points)):
            if not whole or floor(one) + 1 < other:
                yield 2 * at + 2

    def admitted(self, filters: Sequence[Filter]) -> set[int]:
        return {cell for cell in self._all if all(self._admits(one, cell) for one in filters)}

    def _admits(self, one: Filter, cell: int) -> bool:
        if one.value == NULL:
            return (cell == NOTHING) == (one.operator == "EQ")
        if cell == NOTHING:
            return False
        points = [self._index[literal(text, self._kind)] for text in literals(one)]
        return _beside(one.operator, cell, points)


def _beside(operator: str, cell: int, points: Sequence[int]) -> bool:
    match operator:
        case "EQ" | "IN":
            return cell in points
        case "NEQ":
            return cell not in points
        case "LT":
            return cell < points[0]
        case "LE":
            return cell <= points[0]
        case "GT":
            return cell > points[0]
        case _:
            return cell >= points[0]


def is_plain(one: Filter) -> bool:
    """Does the condition, on whole numbers, give intervals?"""
    if one.operator in ("LIKE", "CT"):
        return False
    return all(number_of(text) is not None for text in literals(one))


def spans_of(attribute: str, filters: Iterable[Filter]) -> tuple[Span, ...]:
    """The whole numbers, 0 or more, that the plain conditions on an attribute leave."""
    spans = ALL
    for one in filters:
        if one.attribute == attribute and is_plain(one):
            spans = common(spans, _spans(one))
    return spans


def _spans(one: Filter) -> tuple[Span, ...]:
    numbers = [number for text in literals(one) if (number := number_of(text)) is not None]
    points = united((int(number), int(number)) for number in numbers if number == int(number))
    below, first = floor(numbers[0]), -floor(-numbers[0])  # the whole numbers on either side
    match one.operator:
        case "EQ" | "IN":
            return points
        case "NEQ":
            return without(ALL, points)
        case "LT":
            return united([(0, first - 1)])
        case "LE":
            return united([(0, below)])
        case "GT":
            return united([(below + 1, TOP)])
        case _:
            return united([(first, TOP)])
