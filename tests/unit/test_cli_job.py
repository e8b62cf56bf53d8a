"""`put` of a job's status: what the job's environment tells, and where its token may lie."""

import getpass
import json
import stat
from collections.abc import Iterator

import pytest

from tests.cli_desk import Desk, a_desk
from tests.cli_server import accepted, refusing, served

TOKEN = "Bearer s3cr3t-t0ken"
URL = "https://host/arp/jid/ws/replace_counters/X/7"
JOB = {
    "ARP_UPDATE_COUNTERS": URL,
    "ARP_ROOT_JOB_ID": "7",
    "EXPERIMENT": "mfxl1000123",
    "RUN_NUM": "12",
    "Authorization": TOKEN,
}
COUNTERS = {"counters": {"events": "5"}}
STATUS = ["--kind", "run_status"]


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.delenv("JID_UPDATE_COUNTERS", raising=False)
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    with a_desk(capsys) as desk:
        yield desk


def test_what_the_entry_leaves_out_comes_from_the_job(desk: Desk) -> None:
    with served(desk.socket, accepted) as server:
        assert desk.put("elog", desk.file({**COUNTERS, "user": "lute"}), *STATUS) == 0

    body = server.asked[0].body
    entry = json.loads(body.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0])
    assert entry["payload"] == {
        **COUNTERS,
        "user": "lute",
        "update_url": URL,
        "job_id": "7",
        "experiment": "mfxl1000123",
        "run": 12,
    }
    assert entry["attachments"] == [{"name": "authorization"}]
    assert b'filename="authorization"\r\n\r\n' + TOKEN.encode() in body


def test_the_older_variable_goes_before_and_the_user_is_who_logged_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JID_UPDATE_COUNTERS", "https://older")
    for name in ("Authorization", "EXPERIMENT"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUN_NUM", "current")

    desk.put("elog", desk.file(COUNTERS), *STATUS)

    (path,) = desk.spooled()
    assert json.loads(path.read_text())["payload"] == {
        **COUNTERS,
        "update_url": "https://older",
        "job_id": "7",
        "user": getpass.getuser(),
    }


def test_another_kind_of_entry_takes_nothing_from_the_job(desk: Desk) -> None:
    desk.put("elog", desk.file({"text": "t"}))

    (path,) = desk.spooled()
    assert json.loads(path.read_text())["payload"] == {"text": "t"}


def test_the_token_of_a_job_is_left_to_an_agent_of_the_same_user_only(desk: Desk) -> None:
    (desk.home / "state").mkdir()

    assert desk.put("elog", desk.file(COUNTERS), *STATUS, "--json") == 0

    (path,) = desk.spooled()
    token = path / "authorization"
    assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == (TOKEN, 0o600)
    assert TOKEN not in (path / "entry.json").read_text() + desk.out + desk.err


def test_where_other_producers_could_read_it_the_token_is_not_spooled(desk: Desk) -> None:
    # No folder of the agent's that is ours: it runs as somebody else, or never ran here.
    with served(desk.socket, refusing(507, detail="the disk is full")):
        assert desk.put("elog", desk.file(COUNTERS), *STATUS) == 0

    (path,) = desk.spooled()
    entry = json.loads(path.read_text())
    assert entry["payload"]["job_id"] == "7"
    assert "attachments" not in entry
    assert "the token of the job is not left in the spool" in desk.err
    assert TOKEN not in path.read_text() + desk.out + desk.err


@pytest.mark.parametrize("ours", [True, False])
def test_a_file_that_is_named_goes_in_place_of_the_token_and_is_guarded_as_well(
    desk: Desk, *, ours: bool
) -> None:
    own = desk.file("mine", "authorization")
    if ours:
        (desk.home / "state").mkdir()

    assert desk.put("elog", desk.file(COUNTERS), *STATUS, "--attach", own) == 0

    (path,) = desk.spooled()
    if ours:
        token = path / "authorization"
        assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == ("mine", 0o600)
    else:
        assert "attachments" not in json.loads(path.read_text())
