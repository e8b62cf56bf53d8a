"""Posts without a marker that say the same: only the answer that each got tells them apart.

Promises: what the eLog has called one entry's own is never found for another one.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from adapters.elog import search
from adapters.elog.files import wire_name
from adapters.verdict import Uncertain
from storage.entry import Claim

REMEMBERED = 1000  # answers: many more than there can be between an answer and its receipt


class Twins:
    """What is on its way, and what was answered of late."""

    def __init__(self) -> None:
        self._under_way: Counter[Hashable] = Counter()
        self._answered: OrderedDict[str, str] = OrderedDict()  # remote id -> the entry it is

    @contextmanager
    def under_way(self, claim: Claim, form: Mapping[str, str]) -> Iterator[None]:
        """The time in which an equal entry may be this one."""
        words = _words(claim, form)
        self._under_way[words] += 1
        try:
            yield
        finally:
            self._under_way[words] -= 1
            self._under_way += Counter()  # forgets what is down to zero

    def answered(self, claim: Claim, remote_id: str) -> None:
        """The eLog has said that this is the entry."""
        self._answered[remote_id] = claim.id
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)

    def free(self, claim: Claim, form: Mapping[str, str], found: Iterable[str]) -> list[str]:
        """Those of `found` that are no other entry. Raises Uncertain while one may become so."""
        free = [one for one in found if self._answered.get(one, claim.id) == claim.id]
        if free and self._under_way[_words(claim, form)]:
            raise Uncertain("an entry that says the same is on its way: which is which comes out")
        return free


def _words(claim: Claim, form: Mapping[str, str]) -> Hashable:
    """What a search can compare: an entry may be another one's twin and have other readers."""
    said = [(name, value) for name, value in form.items() if name in search.COMPARED]
    return (*sorted(said), *sorted(map(wire_name, claim.attachments)))
