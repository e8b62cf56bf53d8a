"""`put` against a small agent on a real socket, and against none: accepted, refused, spooled."""

import json
import os
import stat
from collections.abc import Iterator

import pytest

from tests.cli_desk import Desk, a_desk
from tests.cli_server import accepted, listening, refusing, served

EVENT = {"event_type": "test"}


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with a_desk(capsys) as desk:
        yield desk


def test_an_accepted_entry_is_told_by_its_id(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        assert desk.put("events", desk.file(EVENT)) == 0

    assert desk.out == "accepted ID1\n"
    sent = server.asked[0].json
    assert (sent["backend"], sent["payload"]) == ("events", EVENT)
    assert sent["key"].startswith("put-")
    assert sent["created_at"].endswith("Z")


@pytest.mark.parametrize("state", ["duplicate", "retried"])
def test_an_entry_that_is_known_already_is_told_so(desk: Desk, state: str) -> None:
    with served(desk.socket, lambda _: (200, {"id": "ID1", "state": state})):
        assert desk.put("events", desk.file(EVENT)) == 0

    assert desk.out == f"{state} ID1\n"


def test_options_travel_in_the_envelope(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        desk.put("events", desk.file(EVENT), "--kind", "event", "--key", "k", "--stream", "s",
                 "--label", "run=12", "--label", "a=b=c")  # fmt: skip

    sent = server.asked[0].json
    assert [sent[name] for name in ("kind", "key", "stream")] == ["event", "k", "s"]
    assert sent["labels"] == {"run": "12", "a": "b=c"}


def test_json_prints_the_agents_answer(desk: Desk) -> None:
    with served(desk.socket, accepted):
        desk.put("events", desk.file(EVENT), "--json")

    assert json.loads(desk.out)["state"] == "accepted"


def test_a_refusal_is_told_field_by_field_and_nothing_is_spooled(desk: Desk) -> None:
    errors = [{"pointer": "/payload/a", "detail": "bad"}, {"pointer": "/key", "detail": "long"}]
    with served(desk.socket, refusing(422, errors=errors)):
        assert desk.put("events", desk.file(EVENT)) == 65

    assert "/payload/a: bad" in desk.err
    assert "/key: long" in desk.err
    assert desk.spooled() == []


def test_what_is_no_json_is_refused_without_asking_anybody(desk: Desk) -> None:
    assert desk.put("events", desk.file("{")) == 65
    assert desk.put("events", desk.file("[1]")) == 65
    assert desk.spooled() == []


@pytest.mark.parametrize("status", [429, 500, 503, 507])
def test_what_the_agent_cannot_take_now_waits_in_the_spool(desk: Desk, status: int) -> None:
    with served(desk.socket, refusing(status, detail="the disk is full")):
        assert desk.put("events", desk.file(EVENT)) == 0

    (path,) = desk.spooled()
    assert desk.out == f"spooled {path}\n"
    assert "the disk is full" in desk.err


def test_without_an_agent_the_same_envelope_lies_in_the_spool(desk: Desk) -> None:
    assert desk.put("events", desk.file(EVENT), "--key", "k1") == 0

    (path,) = desk.spooled()
    assert path.parent == desk.spool / "events"
    assert path.suffix == ".json"
    entry = json.loads(path.read_text())
    assert (entry["key"], entry["backend"], entry["payload"]) == ("k1", "events", EVENT)
    assert entry["created_at"]


def test_a_hanging_agent_and_the_spool_get_the_same_key(desk: Desk) -> None:
    with listening(desk.socket) as listener:
        assert desk.put("events", desk.file(EVENT), "--timeout", "0.1") == 0
        peer, _ = listener.accept()
        with peer:
            sent = json.loads(peer.recv(65536).partition(b"\r\n\r\n")[2])

    (path,) = desk.spooled()
    assert json.loads(path.read_text()) == sent


def test_what_is_spooled_can_be_read_and_removed_by_the_agents_group(desk: Desk) -> None:
    before = os.umask(0o077)
    try:
        desk.put("events", desk.file(EVENT))
    finally:
        os.umask(before)

    (path,) = desk.spooled()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o2770


def test_an_entry_with_files_is_spooled_as_a_folder(desk: Desk) -> None:
    plot = desk.file("PNG", "plot.png")

    assert desk.put("elog", desk.file({"text": "x"}), "--attach", plot) == 0

    (path,) = desk.spooled()
    assert path.suffix == ".entry"
    assert (path / "plot.png").read_text() == "PNG"
    listed = json.loads((path / "entry.json").read_text())["attachments"]
    assert listed == [{"name": "plot.png", "media_type": "image/png"}]


def test_an_entry_with_files_is_sent_as_a_form(desk: Desk) -> None:
    plot = desk.file("PNG", "plot.png")

    with served(desk.socket, accepted) as server:
        assert desk.put("elog", desk.file({"text": "x"}), "--attach", plot) == 0

    assert server.asked[0].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'filename="plot.png"\r\nContent-Type: image/png\r\n\r\nPNG' in server.asked[0].body


def test_a_backend_that_nobody_configured_is_not_spooled(desk: Desk) -> None:
    assert desk.put("../etc", desk.file(EVENT)) == 65
    assert "known: accounting, elog, events" in desk.err
    assert desk.spooled() == []


def test_when_the_spool_cannot_be_written_either_both_reasons_are_told(desk: Desk) -> None:
    desk.spool.write_text("in the way")

    assert desk.put("events", desk.file(EVENT)) == 69

    assert "there is no socket" in desk.err
    assert "spool" in desk.err


@pytest.mark.parametrize("name", ["no-such-file.json", ""])
def test_an_input_that_cannot_be_read_is_66(desk: Desk, name: str) -> None:
    assert desk.put("events", str(desk.home / name)) == 66
    assert "cannot be read" in desk.err


def test_an_empty_input_is_66(desk: Desk) -> None:
    assert desk.put("events", desk.file(" \n")) == 66


def test_a_missing_attachment_is_66_and_nothing_is_sent(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        assert desk.put("elog", desk.file({}), "--attach", "/no/such") == 66

    assert server.asked == []


def test_two_files_of_one_name_are_64(desk: Desk) -> None:
    (desk.home / "sub").mkdir()
    files = [desk.file("1", "a.png"), desk.file("2", "sub/a.png")]

    assert desk.put("elog", desk.file({}), "--attach", files[0], "--attach", files[1]) == 64


@pytest.mark.parametrize(
    "arguments",
    [
        ["--label", "x"],
        ["--timeout", "0"],
        ["--timeout", "soon"],
        ["--ndjson", "--key", "k"],
        ["--attach", "entry.json"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_64(desk: Desk, arguments: list[str]) -> None:
    assert desk.put("events", desk.file(EVENT), *arguments) == 64


def test_an_envelope_for_another_backend_is_64(desk: Desk) -> None:
    envelope = {"backend": "elog", "payload": {}}

    assert desk.put("events", desk.file(envelope)) == 64
    assert desk.spooled() == []


def test_a_markdown_file_is_a_post(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        text = "---\nexperiment: xpp\n---\nHello\n"
        assert desk.put("elog", desk.file(text, "note.md"), "--label", "run=1") == 0

    sent = server.asked[0].json
    assert sent["payload"] == {"experiment": "xpp", "text": "Hello\n"}
    assert sent["labels"] == {"run": "1"}


def test_an_event_that_names_itself_is_told_to_the_agent_without_a_key_of_ours(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        desk.put("events", desk.file({**EVENT, "event_id": "E1"}))

    assert "key" not in server.asked[0].json
