"""Numbers that JSON has no word for: some servers write NaN and Infinity all the same. Pure."""

import math
from typing import Any


def finite(value: Any) -> tuple[Any, int]:
    """The value with null in the place of each such number, and how many there were."""
    match value:
        case float() if not math.isfinite(value):
            return None, 1
        case dict():
            parts = {name: finite(part) for name, part in value.items()}
            return {name: part for name, (part, _) in parts.items()}, _sum(parts.values())
        case list():
            items = [finite(part) for part in value]
            return [part for part, _ in items], _sum(items)
        case _:
            return value, 0


def finite_notes(count: int) -> tuple[str, ...]:
    """The note that belongs to an answer in which so many numbers became null."""
    if not count:
        return ()
    return (f"{count} numbers that JSON has no word for (NaN, Infinity) are null here",)


def _sum(parts: Any) -> int:
    return sum(count for _, count in parts)
