"""POST /v1/backends/NAME/resend and verify: which receipts are meant, a page at a time."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.draft import Bounds
from tests.door import Door
from tests.door_client import Answer, event, post

WIDE = 2**62


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def resend(door: Door, *, admin: bool = True, backend: str = "events", **wish: Any) -> Answer:
    return door.ask("POST", f"/v1/backends/{backend}/resend", admin=admin, said=wish)


def test_receipts_come_back_page_by_page_and_wake_their_lane(door: Door) -> None:
    ids = []
    for number in range(5):
        door.hand_in(event(key=f"k{number}", labels={"even": str(number % 2 == 0)}))
        ids.append(door.confirm(keep=number != 4))
    door.hand_in(post())
    door.confirm("elog", keep=True)
    door.woken.clear()
    until = "2099-01-01T00:00:00Z"

    dry = resend(door, until=until, dry_run=True, limit=3).json
    assert dry["resent"] == ids[:3]
    assert door.rows() == [(0,)]
    first = resend(door, until=until, limit=3).json
    rest = resend(door, after=first["next"], reason="a dump").json

    assert (first["resent"], rest["resent"], rest["next"]) == (ids[:3], [ids[3]], None)
    assert [(one["id"], one["why"]) for one in rest["left"]] == [(ids[4], "no payload kept")]
    assert door.woken == ["events", "events"]
    shown = door.ask("GET", f"/v1/entries/{ids[3]}").json
    assert (shown["state"], shown["in_doubt"]) == ("pending", True)
    assert shown["operators"][0]["detail"].endswith("; a dump")
    assert resend(door, until=until).json["resent"] == []


@pytest.mark.parametrize(
    "bounds", [Bounds(max_outbox_bytes=80), Bounds(max_backend_bytes={"events": 80})]
)
def test_what_comes_back_keeps_to_the_budgets(bounds: Bounds) -> None:
    with Door(bounds=bounds) as door:
        for number in range(2):
            assert door.hand_in(event(key=f"k{number}")).status == 202
            door.confirm(keep=True)
        wish = {"until": "2099-01-01T00:00:00Z", "limit": 1}

        first = resend(door, **wish)
        assert door.hand_in(event(key="fresh")).status == 507
        second = resend(door, **wish, after=first.json["next"])

        assert (first.status, second.status) == (200, 507)
        assert "may hold 80 bytes and has 4" in second.json["detail"]
        assert len(door.rows("SELECT entry_id FROM receipt")) == 1
        assert resend(door, **wish, after=first.json["next"], dry_run=True).status == 200


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"labels": {"even": "True"}}, [0, 2]),
        ({"keys": ["k1"]}, [1]),
        ({"since": "2099-01-01T00:00:00Z", "until": "2099-01-01T00:00:01Z"}, []),
        ({"from_url": "http://old.test"}, []),
    ],
)
def test_only_what_is_meant_comes_back(
    door: Door, wish: dict[str, Any], expected: list[int]
) -> None:
    ids = []
    for number in range(3):
        door.hand_in(event(key=f"k{number}", labels={"even": str(number % 2 == 0)}))
        ids.append(door.confirm(keep=True))

    answer = resend(door, **{"until": "2098-01-01T00:00:00Z", **wish})

    assert answer.json["resent"] == [ids[one] for one in expected]


@pytest.mark.parametrize("verb", ["resend", "verify"])
@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"since": "yesterday"}, 422),
        ({"labels": {"a b": "c"}}, 422),
        ({"limit": 0}, 422),
        ({"limit": 1001}, 422),
        ({"after": "7"}, 422),
        ({"ids": ["x"] * 1001}, 422),
        ({"unknown": 1}, 422),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused(
    standing: Door, verb: str, wish: dict[str, Any], status: int
) -> None:
    target = f"/v1/backends/events/{verb}"

    assert standing.ask("POST", target, admin=True, said=wish).status == status


@pytest.mark.parametrize("verb", ["resend", "verify"])
def test_only_operators_may_and_only_known_backends(standing: Door, verb: str) -> None:
    assert standing.ask("POST", f"/v1/backends/events/{verb}", said={}).status == 403
    assert standing.ask("POST", f"/v1/backends/no/{verb}", admin=True, said={}).status == 404


@pytest.fixture(scope="module")
def standing() -> Iterator[Door]:
    """For what changes nothing."""
    with Door() as served:
        yield served
