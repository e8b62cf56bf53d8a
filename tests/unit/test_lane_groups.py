"""What travels together: pure choices over claims."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.verdict import BatchRefused, Rejected
from agent.delivery import groups, halves
from storage.claim import choose
from storage.entry import Wanted
from tests.builders import a_claim
from tests.lane_world import a_kind, receipt

KINDS = a_kind().kinds
BATCHED = frozenset(name for name, kind in KINDS.items() if kind.batched)


@dataclass(frozen=True)
class Head:
    seq: int
    kind: str
    scope: str | None = None
    in_doubt: int = 0


heads = st.lists(
    st.tuples(
        st.sampled_from(["record", "update", "event", "unknown"]),
        st.sampled_from([None, "a", "b"]),
        st.booleans(),
    ),
    max_size=40,
).map(lambda rows: [Head(n, k, s, int(d)) for n, (k, s, d) in enumerate(rows)])


@given(heads=heads, requests=st.integers(1, 5), batch_size=st.integers(1, 7))
def test_what_is_chosen_fits_into_the_requests_that_are_free(
    heads: list[Head], requests: int, batch_size: int
) -> None:
    wanted = Wanted(requests, batch_size, BATCHED, probing=frozenset({"a"}))

    taken = choose(heads, wanted)  # type: ignore[arg-type]

    chosen = [head for head in heads if head.seq in taken]
    claims = [a_claim(kind=h.kind, in_doubt=bool(h.in_doubt)) for h in chosen]
    assert len(groups(claims, batch_size, KINDS)) <= requests
    assert sum(head.scope == "a" for head in chosen) <= 1
    assert bool(chosen) == bool(heads)


@given(heads=heads, batch_size=st.integers(1, 7))
def test_a_group_is_one_kind_and_an_entry_in_doubt_is_alone(
    heads: list[Head], batch_size: int
) -> None:
    claims = [a_claim(kind=h.kind, in_doubt=bool(h.in_doubt)) for h in heads]

    made = groups(claims, batch_size, KINDS)

    assert sorted(c.id for group in made for c in group) == sorted(c.id for c in claims)
    for group in made:
        assert len({claim.kind for claim in group}) == 1
        alone = group[0].in_doubt or group[0].kind not in BATCHED
        assert len(group) <= (1 if alone else batch_size)
        assert not (len(group) > 1 and any(claim.in_doubt for claim in group))


@pytest.mark.parametrize(
    ("outcomes", "parts"),
    [
        ("BBBB", [[0, 1], [2, 3]]),
        ("BBB", [[0, 1], [2]]),
        ("RBRB", [[1], [3]]),
        ("RBRX", [[1]]),
        ("RRRR", []),
        ("XXXX", []),
        ("B", []),
    ],
)
def test_only_what_was_refused_as_a_batch_is_halved(outcomes: str, parts: list[list[int]]) -> None:
    claims = [a_claim() for _ in outcomes]
    ends = {"B": BatchRefused("400"), "R": receipt("r"), "X": Rejected("422")}

    made = halves(claims, [ends[one] for one in outcomes])

    assert made == [[claims[n] for n in part] for part in parts]
