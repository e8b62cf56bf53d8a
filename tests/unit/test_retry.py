"""The pure decision: what an error means for its entry and its backend."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.verdict import (
    BatchRefused,
    DeliveryError,
    Held,
    Parked,
    Refused,
    Rejected,
    Throttled,
    Uncertain,
    Unreachable,
)
from agent.retry import (
    SHORTEST_REST_SECONDS,
    Bug,
    Decision,
    Policy,
    RestWish,
    UnknownKind,
    decide,
)
from storage.entry import Claim
from storage.settlement import Bury, GiveBack, Hold
from tests.builders import NOW, a_claim

POLICY = Policy()


def decided(error: DeliveryError, claim: Claim | None = None, **changes: object) -> Decision:
    fields: dict[str, object] = {
        "others_confirmed": False,
        "uncertain_in_row": 1,
        "now": NOW,
        "dice": lambda: 1.0,
    }
    policy = changes.pop("policy", POLICY)
    return decide(error, claim or a_claim(), policy, **{**fields, **changes})  # type: ignore[arg-type]


EVERY = [
    Unreachable("no route"),
    Refused("404"),
    Refused("a login page", landed=True),
    Refused("401", credentials=True),
    Parked("locked", scope="exp"),
    Throttled("429", retry_after=5),
    Uncertain("timeout"),
    Bug("ours"),
    Rejected("422"),
    BatchRefused("400"),
    Held("which experiment?"),
    UnknownKind("elog", "event_manager", "post"),
]


@pytest.mark.parametrize(
    ("error", "buried", "in_doubt", "rest"),
    [
        (Unreachable("no route"), False, False, "offline"),
        (Refused("404"), False, False, "refused"),
        (Refused("a login page", landed=True), False, True, "refused"),
        (Refused("401", credentials=True), False, False, "refused"),
        (Parked("locked", scope="exp"), False, False, "parked"),
        (Throttled("429", retry_after=5), False, False, "throttled"),
        (Uncertain("timeout"), False, True, None),
        (Bug("ours"), False, True, None),
        (Rejected("422"), True, False, None),
        (BatchRefused("400"), True, False, None),
        (UnknownKind("elog", "event_manager", "post"), False, False, "refused"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_every_error_has_its_meaning(
    error: DeliveryError, buried: bool, in_doubt: bool, rest: str | None
) -> None:
    decision = decided(error)

    assert isinstance(decision.settlement, Bury) is buried
    if isinstance(decision.settlement, GiveBack):
        assert decision.settlement.in_doubt is in_doubt
        assert not decision.settlement.counted
    assert (decision.rest.state if decision.rest else None) == rest


def test_what_only_a_person_can_decide_is_held() -> None:
    decision = decided(Held("which experiment?"))

    assert isinstance(decision.settlement, Hold)
    assert decision.rest is None


def test_no_error_of_the_tree_is_without_a_meaning() -> None:
    assert {type(one) for one in EVERY} >= {
        kind for kind in DeliveryError.__subclasses__() if kind.__module__ == "adapters.verdict"
    }


@pytest.mark.parametrize("error", EVERY, ids=lambda one: f"{type(one).__name__}-{one}")
def test_what_was_in_doubt_is_given_back_in_doubt(error: DeliveryError) -> None:
    decision = decided(error, a_claim(in_doubt=True))

    # Those that stay where they are keep the mark that they have.
    assert not isinstance(decision.settlement, GiveBack) or decision.settlement.in_doubt


@pytest.mark.parametrize("error", EVERY, ids=lambda one: f"{type(one).__name__}-{one}")
def test_every_failure_is_kept_with_its_words(error: DeliveryError) -> None:
    failure = decided(error).settlement.failure

    assert failure is not None
    assert (failure.outcome, failure.detail) == (type(error).__name__, error.detail)


@pytest.mark.parametrize(("in_row", "rests"), [(1, False), (2, False), (3, True), (4, True)])
def test_the_third_lost_answer_in_a_row_is_the_backends(in_row: int, rests: bool) -> None:
    decision = decided(Uncertain("timeout"), uncertain_in_row=in_row)

    assert (decision.rest is not None) is rests
    assert isinstance(decision.settlement, GiveBack)
    assert (decision.settlement.due_at == NOW) is rests


@pytest.mark.parametrize(
    ("attempts", "others", "buried"),
    [(6, True, False), (7, True, True), (7, False, False), (20, False, True)],
)
def test_an_entry_that_fails_while_others_pass_is_buried_after_so_many_attempts(
    attempts: int, others: bool, buried: bool
) -> None:
    claim = a_claim(attempts=attempts)

    decision = decided(Uncertain("timeout"), claim, others_confirmed=others)

    assert isinstance(decision.settlement, Bury) is buried


@pytest.mark.parametrize(("on_dead", "stops"), [("continue", False), ("stop", True)])
def test_a_dead_letter_stops_its_stream_where_that_is_wished(on_dead: str, stops: bool) -> None:
    decision = decided(Rejected("422"), policy=replace(POLICY, on_dead=on_dead))

    assert isinstance(decision.settlement, Bury)
    assert decision.settlement.stop_stream is stops


@pytest.mark.parametrize(
    ("has_secret", "seconds"), [(True, POLICY.auth_retry_seconds), (False, None)]
)
def test_a_refused_secret_is_left_alone_for_long(has_secret: bool, seconds: float | None) -> None:
    policy = replace(POLICY, has_secret=has_secret)

    decision = decided(Refused("401", credentials=True), policy=policy)

    assert decision.rest is not None
    assert (decision.rest.seconds, decision.rest.credentials) == (seconds, has_secret)


@given(failures=st.integers(0, 10_000), roll=st.floats(0, 1, exclude_max=True))
def test_a_rest_is_drawn_between_the_shortest_and_its_doubling_cap(
    failures: int, roll: float
) -> None:
    cap = min(POLICY.max_delay_seconds, POLICY.first_delay_seconds * 2.0 ** min(failures, 32))

    drawn = POLICY.backoff(failures, lambda: roll)

    assert SHORTEST_REST_SECONDS <= drawn <= cap
    assert drawn == pytest.approx(max(SHORTEST_REST_SECONDS, cap * roll))


@given(
    asked=st.floats(allow_nan=True, allow_infinity=True),
    roll=st.floats(0, 1),
    failures=st.integers(0, 10_000),
)
def test_a_backend_is_obeyed_up_to_the_longest_that_we_allow(
    asked: float, roll: float, failures: int
) -> None:
    seconds = POLICY.obey(asked)

    if math.isnan(asked) or asked <= 0:
        assert seconds is None
    else:
        assert seconds is not None
        rested = POLICY.rest(RestWish("throttled", "429", "", seconds), failures, lambda: roll)
        assert min(asked, POLICY.max_retry_after_seconds) <= rested
        assert rested <= POLICY.max_retry_after_seconds


@pytest.mark.parametrize("scope", ["jid", "jid/1"])
def test_a_scope_is_obeyed_as_a_backend_is(scope: str) -> None:
    asked = Parked("429", scope=scope, retry_after=7200)

    decision = decided(asked, a_claim(scope="jid/1", stream="s"))

    assert decision.rest == RestWish("throttled", "429", scope, POLICY.max_retry_after_seconds)
    assert isinstance(decision.settlement, GiveBack)
    assert decision.settlement.due_at == 0


def test_who_is_told_the_same_time_again_and_again_spreads_ever_more() -> None:
    told = RestWish("throttled", "429", "", 30)

    assert [POLICY.rest(told, failures, lambda: 1.0) for failures in range(6)] == [
        *[45] * 4,
        46,
        62,
    ]


def test_no_rest_is_longer_than_its_state_allows() -> None:
    policy = Policy(max_delay_seconds=300, max_retry_after_seconds=1800, auth_retry_seconds=7200)

    assert policy.longest("offline") == policy.longest("parked") == policy.longest("refused") == 300
    assert policy.longest("throttled") == 1800
    assert policy.longest("refused", secret=True) == 7200
