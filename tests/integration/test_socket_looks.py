"""What may be read over the socket, in the shapes of the contract."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.door import Door
from tests.door_client import JSON, NDJSON, event, post

E = set(
    """
    id seq backend kind key stream labels state in_doubt accepted_at created_at expires_at
    producer size attempts not_before waits_for last_error
    """.split()  # noqa: SIM905 - as the contract writes it
)
RECEIPT = set(
    """
    entry_id backend kind key labels remote_id url delivered_at sha256 duplicate
    """.split()  # noqa: SIM905
)


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as served:
        yield served


def entries(door: Door, query: str) -> list[dict[str, Any]]:
    answer = door.ask("GET", f"/v1/entries?{query}")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json["entries"]
    return found


def test_an_entry_of_the_list_has_the_fields_of_the_contract(door: Door) -> None:
    door.hand_in(
        event(
            key="a",
            stream="s",
            labels={"run": "7"},
            created_at="2020-01-01T00:00:00Z",
            expires_at="2200-01-01T00:00:00+00:00",
        )
    )

    (one,) = entries(door, "")

    assert set(one) >= E
    assert (one["key"], one["stream"], one["labels"]) == ("a", "s", {"run": "7"})
    assert (one["state"], one["in_doubt"], one["attempts"]) == ("pending", False, 0)
    assert one["created_at"] == "2020-01-01T00:00:00.000Z"
    assert one["expires_at"] == "2200-01-01T00:00:00.000Z"
    assert one["last_error"] is None


def test_pages_follow_one_another_until_the_end(door: Door) -> None:
    keys = [f"k{number}" for number in range(25)]
    door.hand_in(b"\n".join(event(key=key) for key in keys), media_type=NDJSON)

    seen, sizes, after = [], [], 0
    while after is not None:
        page = door.ask("GET", f"/v1/entries?limit=10&after={after}").json
        assert set(page) == {"entries", "next"}
        seen += [one["key"] for one in page["entries"]]
        sizes.append(len(page["entries"]))
        after = page["next"]

    assert seen == keys
    assert sizes == [10, 10, 5]


def test_a_page_is_bounded_whatever_is_asked_for(door: Door) -> None:
    door.hand_in(b"\n".join([event()] * 1001), media_type=NDJSON)

    assert len(entries(door, "")) == 100
    assert len(entries(door, f"limit={2**63 - 1}")) == 1000
    assert entries(door, f"after={2**63 - 1}") == []


def test_filters_narrow_the_list(door: Door) -> None:
    door.hand_in(event(key="dead"))
    door.bury()
    door.hand_in(event(key="a", labels={"run": "7", "sample": "a=b c"}))
    door.hand_in(event(key="b", labels={"run": "8"}))
    door.hand_in(post(key="c", labels={"run": "7"}))

    def keys(query: str) -> list[str]:
        return [one["key"] for one in entries(door, query)]

    assert keys("state=dead") == ["dead"]
    assert keys("backend=elog") == ["c"]
    assert keys("label=run=7") == ["a", "c"]
    assert keys("label=run=7&backend=events") == ["a"]
    assert keys(f"label=run=7&label={quote('sample=a=b c')}") == ["a"]
    assert keys("label=run=7&state=dead") == []
    assert keys("backend=nowhere") == []


def test_one_entry_is_shown_with_everything(door: Door) -> None:
    sent = {"event_type": "test", "event_data": {"z": 1, "a": "\u00fc"}}
    id_ = door.hand_in(event(payload=sent)).json["id"]

    shown = door.ask("GET", f"/v1/entries/{id_}").json

    assert set(shown) >= E | {"payload", "attachments", "history"}
    assert shown["payload"] == sent
    assert (shown["attachments"], shown["history"]) == ([], [])


def test_a_dead_letter_tells_what_happened(door: Door) -> None:
    door.hand_in(event())
    id_ = door.bury()

    shown = door.ask("GET", f"/v1/entries/{id_}").json

    assert shown["state"] == "dead"
    assert set(shown["last_error"]) >= {"at", "class", "side", "detail"}
    assert shown["last_error"]["detail"] == "no such thing"
    assert [one["class"] for one in shown["history"]] == ["Rejected"]


def test_a_delivered_entry_is_shown_by_its_receipt(door: Door) -> None:
    door.hand_in(event(key="a", labels={"run": "7"}))
    id_ = door.confirm()

    shown = door.ask("GET", f"/v1/entries/{id_}").json
    (receipt,) = door.ask("GET", "/v1/receipts?backend=events&key=a&label=run=7").json["receipts"]

    assert (shown["state"], shown["receipt"]) == ("delivered", receipt)
    assert set(receipt) == RECEIPT
    assert receipt["entry_id"] == id_
    assert receipt["remote_id"] == f"remote-{id_}"
    for other in ("backend=elog", "key=b", "label=run=8"):
        assert door.ask("GET", f"/v1/receipts?{other}").json == {"receipts": [], "next": None}


def test_receipts_come_in_pages_too(door: Door) -> None:
    for key in ("a", "b", "c"):
        door.hand_in(event(key=key))
        door.confirm()

    first = door.ask("GET", "/v1/receipts?limit=2").json
    rest = door.ask("GET", f"/v1/receipts?limit=2&after={first['next']}").json

    assert [one["key"] for one in first["receipts"] + rest["receipts"]] == ["a", "b", "c"]
    assert rest["next"] is None


def test_what_was_discarded_is_gone_and_says_by_whom(door: Door) -> None:
    id_ = door.hand_in(event()).json["id"]
    door.ask("POST", f"/v1/entries/{id_}/discard", admin=True)

    answer = door.ask("GET", f"/v1/entries/{id_}")

    answer.check_problem(410)
    assert "uid" in answer.json["detail"]


def test_status_counts_what_the_database_holds(door: Door) -> None:
    door.hand_in(event())
    door.hand_in(post())

    status = door.ask("GET", "/v1/status").json

    assert status["totals"] == {"pending": 2, "leased": 0, "held": 0, "dead": 0, "in_doubt": 0}
    assert status["backends"]["elog"]["pending"] == 1


def test_metrics_are_what_prometheus_reads(door: Door) -> None:
    door.hand_in(event())
    door.hand_in(event())
    door.confirm()
    door.ask("POST", "/v1/backends/elog/pause", admin=True)

    answer = door.ask("GET", "/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    families = {one.name: one for one in text_string_to_metric_families(answer.body.decode())}
    samples = {
        (one.labels["backend"], one.labels["state"]): one.value
        for one in families["holdfast_entries"].samples
    }
    assert samples["events", "pending"] == 1
    assert samples["elog", "pending"] == 0
    delivered = {
        one.labels["backend"]: one.value for one in families["holdfast_delivered_entries"].samples
    }
    assert delivered["events"] == 1
    for name, expected in (("holdfast_paused", 0), ("holdfast_flowing", 1)):
        found = {one.labels["backend"]: one.value for one in families[name].samples}
        assert (found["events"], found["elog"]) == (expected, 1 - expected)


def test_health_is_that_of_the_loops(door: Door) -> None:
    well = door.ask("GET", "/healthz")
    door.stopped_loop = "lane events"
    ill = door.ask("GET", "/healthz")

    assert (well.status, well.json) == (200, {"ok": True})
    assert (ill.status, ill.json) == (503, {"ok": False, "stopped": "lane events"})


@pytest.mark.parametrize("admin", [False, True])
def test_both_sockets_serve_what_changes_nothing_of_others(door: Door, *, admin: bool) -> None:
    door.hand_in(event())

    for target in ("/v1/entries", "/v1/receipts", "/v1/status", "/healthz"):
        answer = door.ask("GET", target, admin=admin)
        assert (answer.status, answer.headers["content-type"]) == (200, JSON)


def test_a_head_has_no_body(door: Door) -> None:
    answer = door.ask("HEAD", "/v1/entries")

    assert (answer.status, answer.body) == (200, b"")


def test_a_405_names_what_is_allowed(door: Door) -> None:
    answer = door.ask("DELETE", "/v1/entries")

    answer.check_problem(405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
