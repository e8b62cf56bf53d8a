"""list and show against a small agent on a real socket."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli_desk import WHEN, Desk, Fake, a_desk, an_entry
from tests.cli_server import served


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        yield desk


# list


def test_a_list_in_a_pipe_is_tab_separated_and_whole(desk: Desk) -> None:
    long = an_entry(1, last_error={"detail": "x" * 500, "side": "entry", "class": "X", "at": WHEN})
    with desk.agent(Fake(long, an_entry(2))):
        assert desk.do("list") == 0

    header, first, second = desk.out.splitlines()
    assert header.split("\t") == ["id", "backend", "kind", "state", "age", "attempts", "last error"]
    assert first.split("\t")[:4] == ["ID1", "events", "event", "failed, kept"]
    assert first.endswith("x" * 500)
    assert second.endswith("a bad\\tfield")


def test_pages_are_followed_up_to_the_limit(desk: Desk) -> None:
    entries = [an_entry(n) for n in range(1, 1203)]
    with desk.agent(Fake(*entries)):
        assert desk.do("list", "--limit", "0", "--ids") == 0
        everything = desk.out.split()
        assert desk.do("list", "--limit", "501", "--json") == 0

    assert everything == [one["id"] for one in entries]
    told = json.loads(desk.out)
    assert (len(told["entries"]), told["next"]) == (501, 501)


def test_filters_are_handed_on(desk: Desk) -> None:
    with desk.agent(Fake()) as server:
        desk.do("list", "--backend", "events", "--state", "held", "--label", "a=b&c")

    query = parse_qs(urlsplit(server.asked[0].path).query)
    assert query["backend"] == ["events"]
    assert query["state"] == ["held"]
    assert query["label"] == ["a=b&c"]


def test_a_list_that_is_cut_says_so(desk: Desk) -> None:
    with desk.agent(Fake(*(an_entry(n) for n in range(1, 5)))):
        desk.do("list", "--limit", "2")

    assert "--limit 0" in desk.err


def test_a_refused_look_is_told_in_the_agents_words(desk: Desk) -> None:
    with served(desk.home / "admin.sock", lambda _: (422, {"detail": "?label: must be x"})):
        assert desk.do("list") == 65
        assert "?label: must be x" in desk.err
    with served(desk.home / "admin.sock", lambda _: (503, {"detail": "busy"})):
        assert desk.do("list") == 75


# show


def told(desk: Desk) -> dict[str, str]:
    """The pairs that `show` printed."""
    pairs = [line.split("\t") for line in desk.out.split("\n\n")[0].splitlines()]
    return {pair[0]: pair[1] for pair in pairs}


def shown(desk: Desk, entry: dict[str, Any], **backend: Any) -> dict[str, str]:
    with desk.agent(Fake(entry, **backend)):
        assert desk.do("show", entry["id"]) == 0
    return told(desk)


def test_an_entry_is_shown_with_who_and_whose_side(desk: Desk) -> None:
    pairs = shown(desk, an_entry(1, labels={"run": "12"}, stream="s"))

    assert pairs["what"] == "events / event"
    assert pairs["state"] == "failed, kept"
    assert pairs["handed in by"] == "root (uid 0), pid 7, by the socket"
    assert pairs["labels"] == "run=12"
    assert pairs["trouble with"] == "your entry"
    assert "holdfast retry ID1" in pairs["next"]


@pytest.mark.parametrize(
    ("side", "said"),
    [
        ("entry", "your entry"),
        ("backend", "their server"),
        ("network", "the network"),
        ("credentials", "our credentials"),
        ("agent", "the agent"),
    ],
)
def test_the_side_of_the_trouble_is_told_in_words(desk: Desk, side: str, said: str) -> None:
    error = {"at": WHEN, "class": "X", "side": side, "detail": "d"}

    assert shown(desk, an_entry(1, last_error=error))["trouble with"] == said


def test_a_waiting_entry_says_what_it_waits_for(desk: Desk) -> None:
    waiting = an_entry(1, state="pending", last_error=None)

    assert shown(desk, waiting)["next"] == "sent as soon as those before it are out"
    later = {**waiting, "not_before": "2999-01-01T00:00:00.000Z"}
    assert shown(desk, later)["next"].startswith("sent in ")
    parent = {**waiting, "waits_for": "ID0"}
    assert shown(desk, parent)["next"] == "sent once entry ID0 is delivered"
    away = {"state": "offline", "reason": "no route", "since": WHEN, "next_attempt_at": WHEN}
    assert "events is offline since" in shown(desk, waiting, **away)["next"]
    assert "no route; next try now" in told(desk)["next"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"waits_for": "ID0", "waits_for_state": "pending"}, "sent once entry ID0 is delivered"),
        (
            {"waits_for": "ID0", "waits_for_state": "dead"},
            (
                "sent once entry ID0 is delivered; that one failed and was kept:"
                " holdfast retry ID0, or discard it"
            ),
        ),
        ({"waits_for": "ID0", "waits_for_state": None}, "sent as soon as those before it are out"),
        (
            {"behind": {"id": "ID0", "state": "held"}},
            ("sent after entry ID0, which goes first; that one is held: holdfast release ID0"),
        ),
        (
            {"behind": {"id": "ID0", "state": "leased"}},
            "sent as soon as those before it are out",
        ),
    ],
    ids=str,
)
def test_an_entry_that_waits_for_another_one_says_how_that_one_is(
    desk: Desk, changes: dict[str, Any], said: str
) -> None:
    assert shown(desk, an_entry(1, state="pending", last_error=None, **changes))["next"] == said


@pytest.mark.parametrize(
    ("state", "word"), [("held", "a release agrees to"), ("pending", "found out")]
)
def test_what_was_found_out_of_an_open_entry_is_told(desk: Desk, state: str, word: str) -> None:
    told = shown(desk, an_entry(1, state=state, resolved={"experiment": "mfx1", "run": 5}))

    assert told[word] == "experiment mfx1, run 5"


def test_a_held_entry_says_who_holds_it_and_how_to_let_it_go(desk: Desk) -> None:
    acts = [
        {"at": WHEN, "verb": "hold", "who": "uid 0", "detail": "first"},
        {"at": WHEN, "verb": "release", "who": "uid 0", "detail": ""},
        {"at": WHEN, "verb": "hold", "who": "uid 0", "detail": "wrong run"},
    ]

    pairs = shown(desk, an_entry(1, state="held", last_error=None, operators=acts))

    assert pairs["state"] == "held"
    assert pairs["held"].startswith("by root (uid 0), ")
    assert pairs["held"].endswith(" ago: wrong run")
    release = "nothing, until an operator decides; holdfast release ID1"
    assert pairs["next"] == f"{release}; wrong? holdfast edit ID1 first"
    header, *rows = desk.out.split("\n\n")[1].splitlines()
    assert header.split("\t") == ["operators", "who", "did", "why"]
    assert [row.split("\t")[1:] for row in rows][::2] == [
        ["root (uid 0)", "hold", "first"],
        ["root (uid 0)", "hold", "wrong run"],
    ]
    assert shown(desk, an_entry(1, state="held", in_doubt=True))["next"] == release


@pytest.mark.parametrize(
    ("until", "end"),
    [(None, ": new disks; holdfast resume events"), ("2999-01-01T00:00:00.000Z", ": new disks")],
)
def test_an_entry_of_a_paused_backend_says_so(desk: Desk, until: str | None, end: str) -> None:
    pause = {"since": WHEN, "until": until, "who": "uid 0", "reason": "new disks"}

    said = shown(desk, an_entry(1, state="pending"), state="paused", pause=pause)["next"]

    assert said.startswith("events is paused for ")
    assert "by root (uid 0)" in said
    assert ("until 2999-" in said) == (until is not None)
    assert said.endswith(end)


@pytest.mark.parametrize(
    ("scope", "waits"), [("xpp", True), ("xpp/12", True), ("xpp2", False), (None, False)]
)
def test_an_entry_whose_part_rests_says_so_before_it_was_ever_tried(
    desk: Desk, scope: str | None, *, waits: bool
) -> None:
    part = {"scope": "xpp", "reason": "xpp is locked", "since": WHEN, "next_attempt_at": None}
    waiting = an_entry(1, state="pending", last_error=None, scope=scope)

    said = shown(desk, waiting, scopes=[part])["next"]

    assert said.startswith("xpp waits since ") == waits


def test_an_entry_of_a_part_that_waits_says_which_part(desk: Desk) -> None:
    error = {"at": WHEN, "class": "Parked", "side": "backend", "detail": "xpp is locked"}
    part = {"scope": "xpp", "reason": "xpp is locked", "since": WHEN, "next_attempt_at": None}

    pairs = shown(desk, an_entry(1, state="pending", last_error=error), scopes=[part])

    assert pairs["next"].startswith("xpp waits since ")


def test_what_was_tried_is_a_table_with_counts(desk: Desk) -> None:
    tried = {"first_at": WHEN, "last_at": WHEN, "times": 4, "class": "Unreachable"}
    told_of = {"side": "network", "detail": "no route", "status": None, "excerpt": None}

    shown(desk, an_entry(1, history=[{**tried, **told_of}]))

    header, row = desk.out.split("\n\n")[1].splitlines()
    assert header.split("\t")[:3] == ["tried", "times", "what happened"]
    assert row.split("\t")[1:] == ["4", "Unreachable", "the network", "no route"]


def test_a_delivered_entry_shows_its_receipt(desk: Desk) -> None:
    receipt = {"remote_id": "R1", "url": "http://elog/1", "delivered_at": WHEN, "duplicate": False}
    entry = {"id": "ID1", "state": "delivered", "backend": "events", "kind": "event", "key": "k"}

    pairs = shown(desk, {**entry, "labels": {}, "receipt": receipt, "history": []})

    assert pairs["state"] == "delivered"
    assert pairs["there it is"] == "R1"
    assert pairs["look at it"] == "http://elog/1"


@pytest.mark.parametrize(
    ("duplicate", "note"),
    [
        (False, None),
        (True, "it was there already"),
        ("same", "it was there already, with the same content"),
        ("differs", "another one was there under this name: what was sent is not there"),
        ("not verified", "nobody could see whether it is the same"),
        ("of the future", None),
    ],
)
def test_what_was_there_of_a_duplicate_is_said(
    desk: Desk, duplicate: bool | str, note: str | None
) -> None:
    receipt = {"remote_id": "R1", "url": None, "delivered_at": WHEN, "duplicate": duplicate}
    entry = {"id": "ID1", "state": "delivered", "backend": "events", "kind": "event", "key": "k"}

    pairs = shown(desk, {**entry, "labels": {}, "receipt": receipt, "history": []})

    assert (note in pairs["note"]) if note else ("note" not in pairs)


def test_the_payload_is_shown_only_when_asked_for(desk: Desk) -> None:
    entry = an_entry(1, payload={"secret": "text"})
    with desk.agent(Fake(entry)):
        desk.do("show", "ID1", "--json")
        assert "payload" not in json.loads(desk.out)
        desk.do("show", "ID1", "--json", "--payload")
        assert json.loads(desk.out)["payload"] == {"secret": "text"}
        desk.do("show", "ID1", "--payload")
        assert '"secret": "text"' in desk.out


@pytest.mark.parametrize("status", [404, 410])
def test_an_entry_that_is_not_there_is_66_with_the_agents_words(desk: Desk, status: int) -> None:
    with served(desk.home / "admin.sock", lambda _: (status, {"detail": "discarded by uid 7"})):
        assert desk.do("show", "ID9") == 66
    assert "discarded by uid 7" in desk.err


def test_an_id_cannot_leave_its_place_in_the_path(desk: Desk) -> None:
    with desk.agent(Fake()) as server:
        desk.do("show", "../status?x")

    assert server.asked[0].path == "/v1/entries/..%2Fstatus%3Fx"
