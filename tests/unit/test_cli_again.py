"""resend, verify and edit against a small agent on a real socket."""

import json
import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.cli.endings import Ending
from agent.cli.receipts import moment_of
from tests.cli_desk import WHEN, Desk, Fake, a_desk, an_entry
from tests.cli_server import Answer, Asked

RESEND, VERIFY = "/v1/backends/events/resend", "/v1/backends/events/verify"
LEFT = {"id": "ID9", "kind": "event", "key": "k9", "why": "no payload kept", "detail": "it is not"}


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        yield desk


class Holder:
    """An agent that holds receipts: pages of two, and what the backend answers for each."""

    def __init__(
        self,
        *ids: str,
        left: tuple[Any, ...] = (),
        missing: str = "",
        untold: str = "",
        away: int = 99,
    ) -> None:
        self.untold = untold
        self.ids = list(ids)
        self.left = list(left)
        self.missing = missing
        self.away = away  # how many pages it answers
        self.sent: list[str] = []
        self.said: list[Any] = []

    def __call__(self, asked: Asked) -> Answer:
        wish = asked.json
        self.said.append(wish)
        if len(self.said) > self.away:
            return 503, {"detail": "events is offline: no route"}
        wanted = wish.get("ids", self.ids)
        start = int(wish.get("after", "0"))
        page = wanted[start : start + 2]
        following = str(start + 2) if len(wanted) > start + 2 else None
        if asked.path == VERIFY:
            return 200, {"receipts": [self._found(one) for one in page], "next": following}
        if not wish.get("dry_run"):
            self.sent += page
        left = self.left if following is None else []
        return 200, {"resent": page, "left": left, "next": following, "through": WHEN}

    def _found(self, id_: str) -> dict[str, Any]:
        answer = "missing" if id_ in self.missing else "there"
        answer = "cannot tell" if id_ in self.untold else answer
        known = {"id": id_, "kind": "event", "key": f"k{id_}", "delivered_at": WHEN}
        return {**known, "answer": answer, "why": "", "payload_kept": id_ != "D"}


@contextmanager
def at_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> Iterator[None]:
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        os.write(keyboard, typed.encode())
        yield
    os.close(keyboard)


def test_what_was_delivered_is_sent_again_page_by_page(desk: Desk) -> None:
    holder = Holder("A", "B", "C")
    with desk.agent(holder):  # type: ignore[arg-type]
        code = desk.do(
            "resend", "--backend", "events", "--since", "2020-01-02", "--until",
            "2020-01-03T10:00:00+01:00", "--label", "run=7", "--from-url", "http://old",
            "--reason", "moved", "--yes",
        )  # fmt: skip

    assert (code, desk.out) == (0, "3 entries of events will be sent again\n")
    assert holder.sent == ["A", "B", "C"]
    counted, _, first, second = holder.said
    assert counted == {**first, "dry_run": True}
    assert first["until"] == "2020-01-03T09:00:00.000Z"
    assert (first["labels"], first["from_url"], first["reason"]) == (
        {"run": "7"},
        "http://old",
        "moved",
    )
    assert second == {**first, "after": "2"}


def test_a_dry_run_sends_nothing_and_what_cannot_go_is_named(desk: Desk) -> None:
    holder = Holder("A", left=(LEFT,))
    with desk.agent(holder):  # type: ignore[arg-type]
        assert desk.do("resend", "--backend", "events", "--dry-run") == 65

    assert (desk.out, holder.sent) == ("1 entry of events would be sent again\n", [])
    assert "1 entry cannot be sent again: no payload kept" in desk.err
    assert "ID9 (event, k9): it is not" in desk.err


@pytest.mark.parametrize(("answer", "sent"), [("y\n", ["A", "B"]), ("n\n", [])])
def test_a_person_is_asked_before_many_are_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, sent: list[str]
) -> None:
    holder = Holder("A", "B")
    with at_a_terminal(monkeypatch, answer), desk.agent(holder):  # type: ignore[arg-type]
        assert desk.do("resend", "--backend", "events") == 0

    assert "Send 2 entries to events again?" in desk.err
    assert holder.sent == sent


def test_nobody_is_asked_where_nobody_is(desk: Desk) -> None:
    assert desk.do("resend", "--backend", "events") == 64
    assert desk.do("verify", "--backend", "events", "--resend-missing") == 64
    assert desk.do("resend", "--backend", "events", "--since", "1h", "--until", "2h", "--yes") == 64
    assert desk.do("edit", "ID1") == 64


@pytest.mark.parametrize("command", [("resend", "--yes"), ("verify",)])
def test_without_an_agent_it_is_69(desk: Desk, command: tuple[str, ...]) -> None:
    assert desk.do(*command, "--backend", "events") == 69


def test_verify_lists_what_is_missing_and_ends_with_1(desk: Desk) -> None:
    with desk.agent(Holder("A", "B", "C", "D", missing="BD")):  # type: ignore[arg-type]
        assert desk.do("verify", "--backend", "events") == 1

    _, second, fourth, told = desk.out.splitlines()
    assert second.split("\t")[0::4] == ["B", "missing"]
    assert fourth.split("\t")[4:] == ["missing", "no payload is kept: it cannot be sent again"]
    assert told == "events: 4 receipts: 2 there, 2 missing, 0 cannot tell"


def test_verify_of_what_nobody_can_tell_is_2(desk: Desk) -> None:
    with desk.agent(Holder("A", "B", untold="B")):  # type: ignore[arg-type]
        assert desk.do("verify", "--backend", "events") == 2

    assert desk.out.splitlines()[-1] == "events: 2 receipts: 1 there, 0 missing, 1 cannot tell"


def test_what_came_back_before_the_agent_went_is_told(desk: Desk) -> None:
    with desk.agent(Holder("A", "B", "C", away=3)):  # type: ignore[arg-type]
        assert desk.do("resend", "--backend", "events", "--yes") == 75

    said = f"ended early; 2 of 3 entries will be sent again; go on with --since {WHEN}"
    assert said in desk.err


def test_verify_of_what_is_all_there_is_0(desk: Desk) -> None:
    with desk.agent(Holder("A")):  # type: ignore[arg-type]
        assert desk.do("verify", "--backend", "events", "--all") == 0

    assert desk.out.splitlines()[1].startswith("A\t")


def test_what_is_missing_is_sent_again_and_nothing_else(desk: Desk) -> None:
    holder = Holder("A", "B", "C", missing="AC")
    with desk.agent(holder):  # type: ignore[arg-type]
        assert desk.do("verify", "--backend", "events", "--resend-missing", "--yes") == 0

    assert holder.sent == ["A", "C"]
    assert "2 entries will be sent again" in desk.out


def test_what_was_found_before_the_backend_went_is_told(desk: Desk) -> None:
    with desk.agent(Holder("A", "B", "C", missing="A", away=1)):  # type: ignore[arg-type]
        assert desk.do("verify", "--backend", "events", "--json") == 75

    told = json.loads(desk.out)
    assert (told["complete"], [one["id"] for one in told["receipts"]]) == (False, ["A", "B"])
    assert "ended early" in desk.err
    assert "no route" in desk.err


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2d", NOW - timedelta(days=2)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("2026-11-24T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-11-24T10:00:00", datetime(2026, 11, 24, 10).astimezone()),
    ],
)
def test_a_time_is_one_of_the_calendar_or_so_long_ago(text: str, moment: datetime) -> None:
    assert moment_of(text, "--since", NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2", "-2d", "2026-13-01"])
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Ending, match="--since"):
        moment_of(text, "--since", NOW)


# edit


class Editable(Fake):
    """Takes an edit once its payload says that it is good."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(an_entry(1, payload={"good": False}, **changes))
        self.edits: list[Any] = []

    def __call__(self, asked: Asked) -> Answer:
        if asked.method != "PUT":
            return super().__call__(asked)
        self.edits.append(asked.json)
        if not asked.json["payload"].get("good"):
            fault = {"pointer": "/payload/good", "detail": "must be true"}
            return 422, {"detail": "/payload/good: must be true", "errors": [fault]}
        return 200, {"id": "ID1", "state": "dead", "changed": True, "next": "retry it"}


def editor(desk: Desk, monkeypatch: pytest.MonkeyPatch, *scripts: str) -> None:
    """An editor that does one thing after the other, as often as it is opened."""
    count = desk.home / "count"
    lines = [f"[ $n = {n} ] && {{ {script}; }}" for n, script in enumerate(scripts)]
    text = f"#!/bin/sh\nn=$(cat {count} 2>/dev/null || echo 0)\necho $((n+1)) > {count}\n"
    path = Path(desk.file(text + "\n".join([*lines, "exit 0"]), "editor"))
    path.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{path} --wait")
    monkeypatch.setenv("TMPDIR", str(desk.home))
    monkeypatch.setattr("tempfile.tempdir", str(desk.home))


GOOD = """echo '{"good": true}' > "$2" """


def left(desk: Desk) -> list[str]:
    """What was written and not taken."""
    return [path.read_text() for path in desk.home.glob("holdfast-ID1-*")]


def test_an_editor_opens_and_a_refusal_is_edited_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Editable()
    editor(desk, monkeypatch, """echo '{"good": 0}' > "$2" """, """echo '{"go' > "$2" """, GOOD)
    with at_a_terminal(monkeypatch, "y\n\n"), desk.agent(fake):
        assert desk.do("edit", "ID1") == 0

    assert fake.edits == [{"payload": {"good": 0}}, {"payload": {"good": True}}]
    assert "/payload/good: must be true" in desk.err
    assert "it is no JSON" in desk.err
    assert desk.out.strip() == "edited ID1: retry it"
    assert left(desk) == []


def test_what_was_refused_and_given_up_is_not_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(desk, monkeypatch, """echo '{"good": 0}' > "$2" """)
    with at_a_terminal(monkeypatch, "n\n"), desk.agent(Editable()):
        assert desk.do("edit", "ID1") == 65

    assert left(desk) == ['{"good": 0}\n']
    assert str(next(desk.home.glob("holdfast-ID1-*"))) in desk.err


def test_unchanged_is_nothing_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Editable()
    editor(desk, monkeypatch, """grep -q '^  "good": false$' "$2" """)
    with at_a_terminal(monkeypatch, ""), desk.agent(fake):
        assert desk.do("edit", "ID1") == 0

    assert (fake.edits, left(desk)) == ([], [])
    assert "nothing was changed" in desk.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"in_doubt": True}, "in doubt"), ({"state": "leased"}, "being sent")],
)
def test_no_editor_opens_for_what_cannot_be_edited(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    editor(desk, monkeypatch, "exit 1")
    with at_a_terminal(monkeypatch, ""), desk.agent(Editable(**changes)):
        assert desk.do("edit", "ID1") == 65

    assert said in desk.err
    assert not (desk.home / "count").exists()


def test_an_editor_that_fails_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(desk, monkeypatch, "exit 3")
    with at_a_terminal(monkeypatch, ""), desk.agent(Editable()):
        assert desk.do("edit", "ID1") == 66
        assert desk.do("edit", "nobody") == 66

    monkeypatch.setenv("EDITOR", "/no/such/editor")
    with at_a_terminal(monkeypatch, ""), desk.agent(Editable()):
        assert desk.do("edit", "ID1") == 66
    assert "set $EDITOR" in desk.err


def test_an_edit_comes_from_a_file(desk: Desk) -> None:
    fake = Editable()
    with desk.agent(fake):
        assert desk.do("edit", "ID1", "--payload", desk.file({"payload": {"good": True}})) == 0
        assert desk.do("edit", "ID1", "--payload", desk.file({"payload": {}})) == 65

    assert "/payload/good: must be true" in desk.err
    assert fake.edits == [{"payload": {"good": True}}, {"payload": {}}]
