"""Sets of whole numbers as intervals: of run numbers, mostly. Pure.

Promises: intervals are in order, do not touch, and have both ends included. `TOP` as an end means
"and all that will come": no interval without it covers one with it.
"""

from collections.abc import Iterable, Iterator, Sequence

TOP = 2**63

Span = tuple[int, int]
ALL: tuple[Span, ...] = ((0, TOP),)


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """All that is in any of them."""
    made: list[Span] = []
    for low, high in sorted(spans):
        if low > high:
            continue
        if made and low <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], high))
        else:
            made.append((low, high))
    return tuple(made)


def common(one: Sequence[Span], other: Sequence[Span]) -> tuple[Span, ...]:
    """All that is in both."""
    return united((max(a, c), min(b, d)) for a, b in one for c, d in other)


def without(spans: Sequence[Span], taken: Sequence[Span]) -> tuple[Span, ...]:
    """What is in `spans` and not in `taken`."""
    return united(_left(spans, taken))


def _left(spans: Sequence[Span], taken: Sequence[Span]) -> Iterator[Span]:
    for low, high in spans:
        for first, last in united(taken):
            if last < low or first > high:
                continue
            yield (low, first - 1)
            low = last + 1  # noqa: PLW2901 - what is left of this one
        yield (low, high)


def within(number: int, spans: Iterable[Span]) -> bool:
    """Is the number in one of them?"""
    return any(low <= number <= high for low, high in spans)


def is_open(spans: Sequence[Span]) -> bool:
    """Do they hold what will come?"""
    return any(high >= TOP for _, high in spans)


def in_words(spans: Sequence[Span], what: str = "run") -> str:
    """`runs 315210-315250 and 315260`, for people."""
    texts = [
        str(low) if low == high else f"{low} and later" if high >= TOP else f"{low}-{high}"
        for low, high in spans
    ]
    several = len(spans) > 1 or any(low != high for low, high in spans)
    listed = " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)
    return f"{what}{'s' if several else ''} {listed}"
