"""`put --dry-run`: what would be sent, without anybody being asked; what would be refused."""

import json
import tempfile
from collections.abc import Iterator

import pytest

from tests.cli_desk import Desk, a_desk

SECURE = """
[backends.mfx]
kind = "elog"
url = "https://elog.example/base/"
instrument = "mfx"
auth = { method = "basic", username = "{instrument}opr", password_file = "elog-password" }
"""
POST = ["--experiment", "mfxl1000123", "--text", "two\nlines", "--tag", "a-b"]


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        desk.config.write_text(desk.config.read_text() + SECURE)
        (desk.home / "elog-password").write_text("hunter2")
        yield desk


def test_the_request_is_shown_as_it_would_go_out(desk: Desk) -> None:
    assert desk.put("mfx", *POST, "--dry-run") == 0

    first, *rest = desk.out.splitlines()
    assert first == "POST https://elog.example/base/ws-auth/lgbk/lgbk/mfxl1000123/ws/new_elog_entry"
    assert "Authorization: Basic <mfxopr with the password in elog-password>" in rest
    assert rest[-1].startswith("log_text=two%0Alines&log_tags=a-b&jira_ticket=")
    assert "hunter2" not in desk.out + desk.err
    assert desk.spooled() == []


def test_json_tells_the_same_with_the_parts_of_a_form(desk: Desk) -> None:
    plot = desk.file("PNG", "plot.png")

    assert desk.put("mfx", *POST, "--attach", plot, "--dry-run", "--json") == 0

    told = json.loads(desk.out)
    (request,) = told["requests"]
    assert (told["state"], told["kind"], told["scope"]) == ("dry run", "post", "mfxl1000123")
    assert request["fields"]["log_text"] == "two\nlines"
    assert request["files"] == [
        {"field": "files", "name": "plot.png", "media_type": "image/png", "size": 3}
    ]
    assert "body" not in request


def test_embedded_files_are_shown_and_leave_nothing_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(desk.home))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = sorted(desk.home.iterdir())
    file = {"name": "a.txt", "content_base64": "aGVsbG8="}
    payload = {"experiment": "X", "text": "t"}
    source = desk.file({"payload": payload, "attachments": [file]})

    assert desk.put("mfx", source, "--dry-run") == 0

    assert desk.out.splitlines()[-1] == "files: a.txt (text/plain, 5 bytes)"
    assert sorted(desk.home.iterdir()) == sorted([*before, desk.home / "e.json"])


def test_what_is_looked_at_before_is_told(desk: Desk) -> None:
    record = {"record_id": "r", "components": [], "start_time": "2026-01-01T00:00:00Z"}

    assert desk.put("accounting", desk.file(record), "--dry-run") == 0

    assert desk.out.startswith(
        "# POST http://127.0.0.1:9/records, if it goes out with others\nPOST"
    )
    assert desk.out.splitlines()[-1] == json.dumps(record, separators=(",", ":"))


def test_a_reply_shows_that_another_entry_goes_first(desk: Desk) -> None:
    assert desk.put("mfx", *POST, "--reply-to", "first", "--dry-run") == 0

    assert "what the backend will call first, which has to be delivered first" in desk.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mfx", "--experiment", "a/b", "--text", "t"], "/payload/experiment: "),
        (["mfx", *POST, "--attach", "{huge}"], "/attachments/0: "),
        (["events", "--event-id", "a/b"], "/payload/event_id: "),
        (["nowhere", "{empty}"], "there is no backend 'nowhere' here"),
        (["events", "{empty}", "--kind", "poem"], "/kind: events takes no 'poem'"),
        (["events", "{empty}", "--key", "x" * 300], "/key: "),
        (["events", "{empty}", "--attach", "{empty}"], "/attachments: "),
    ],
)
def test_what_would_be_refused_is_65_with_its_place(
    desk: Desk, arguments: list[str], told: str
) -> None:
    huge = desk.home / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(2**30)
    given = [one.format(huge=huge, empty=desk.file({})) for one in arguments]

    assert desk.put(*given, "--dry-run") == 65

    assert told in desk.err
    assert desk.out == ""


def test_a_refusal_is_told_as_json_too(desk: Desk) -> None:
    assert desk.put("events", "--event-id", "a/b", "--dry-run", "--json") == 65

    assert json.loads(desk.out)["errors"][0]["pointer"] == "/payload/event_id"


def test_wrong_settings_are_78(desk: Desk) -> None:
    desk.config.write_text(desk.config.read_text().replace('"mfx"\nauth', '"m/x"\nauth'))

    assert desk.put("events", "--alert", "--dry-run") == 78
    assert "backends.mfx.instrument" in desk.err
