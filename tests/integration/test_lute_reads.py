"""docs/clients/lute_elog.py: what it asks servers itself, and what it makes of their answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.copied import CLIENTS, lute_environment, module
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import JSON, Stranger
from tests.emulators.kit import Served

module(CLIENTS / "holdfast_client.py")
lute = module(CLIENTS / "lute_elog.py")

EXP = "mfxl1000123"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with lute_environment(monkeypatch) as home:
        yield home


@pytest.fixture(scope="module")
def elog() -> Iterator[tuple[ElogEmulator, str]]:
    """An eLog, and its address."""
    emulator = ElogEmulator()
    server = Served(emulator)
    yield emulator, server.url
    server.unplug()


@pytest.fixture(scope="module")
def stranger() -> Iterator[tuple[Stranger, str]]:
    """A server that answers one thing, and its address."""
    emulator = Stranger()
    server = Served(emulator)
    yield emulator, server.url
    server.unplug()


def tagged(emulator: ElogEmulator, run: int, tags: str) -> None:
    """A person posts to the logbook."""
    store = emulator.world.store
    form = {"log_text": "x", "log_tags": tags, "run_num": str(run)}
    store.post(store.experiments[EXP], form, "pi1", [])


def test_open_questions_are_asked_without_credentials(
    elog: tuple[ElogEmulator, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUTE_ELOG_URL", elog[1] + "/")
    tagged(elog[0], 2, "A&B#c d")
    tagged(elog[0], 1, "A&B#c")

    assert lute.get_elog_active_expmt("MFX") == EXP
    assert lute.get_elog_runs_by_tag(EXP, "A&B#c") == [1, 2]
    assert lute.get_elog_runs_by_tag(EXP, "A", auth=lute.get_elog_auth(EXP)) == []
    with pytest.raises(RuntimeError, match="Cannot find a valid active experiment"):
        lute.get_elog_active_expmt("xpp")
    with pytest.raises(RuntimeError, match="Response 403"):
        lute.get_elog_params_by_run(EXP, ["a"])


def test_with_the_jobs_token_parameters_are_read_by_run(
    elog: tuple[ElogEmulator, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUTE_ELOG_URL", elog[1])
    monkeypatch.setenv("Authorization", "Bearer token")
    runs = elog[0].world.store.experiments[EXP].runs
    runs[1]["params"] = {"PV\uff0eRBV": 1.5, "other": 2}

    assert lute.get_elog_params_by_run(EXP, ["PV.RBV", "none"]) == {1: {"PV.RBV": 1.5}, 2: {}}
    assert lute.get_elog_params_by_run(EXP, ["other"], runs=[1, 99]) == {1: {"other": 2}}
    with pytest.raises(ValueError, match="comma"):
        lute.get_elog_params_by_run(EXP, ["a,b"])


def test_workflows_are_told_by_name(
    stranger: tuple[Stranger, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUTE_ELOG_URL", stranger[1])
    smd = {"_id": "1", "name": "smd", "trigger": "MANUAL"}
    stranger[0].says(200, json.dumps({"success": True, "value": [smd]}).encode(), JSON)

    assert lute.get_elog_workflows(EXP) == {"smd": smd}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b'{"success": false, "errormsg": "no such run", "value": null}', "no such run"),
        (200, b"<!doctype html><html>Please log in</html>", "Response 200"),
        (200, b'["x"]', "Response 200"),
        (200, b'{"success": true, "value": null}', "answers None"),
        (500, b"Please specify the tag", "Please specify the tag"),
        (302, b"", "Response 302"),
        (404, b"<!doctype html>", "Response 404"),
    ],
)
def test_whatever_a_server_answers_is_told_and_never_taken_for_no_runs(
    stranger: tuple[Stranger, str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    said: str,
) -> None:
    monkeypatch.setenv("LUTE_ELOG_URL", stranger[1])
    stranger[0].says(status, body, JSON)

    assert lute.elog_http_request(EXP, f"{EXP}/ws/x y?a=1", "GET")[0] == status
    with pytest.raises(RuntimeError, match=said):
        lute.get_elog_runs_by_tag(EXP, "T")


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9", "nonsense"])
def test_without_a_server_reads_raise(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LUTE_ELOG_URL", url)

    with pytest.raises(RuntimeError, match=r"is not set|cannot be asked"):
        lute.get_elog_runs_by_tag(EXP, "T")


def test_the_present_counters_of_a_job_are_read(
    stranger: tuple[Stranger, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stranger[1] + "/arp/jid/ws/replace_counters/mfxl1000123/6512abc"
    with pytest.raises(RuntimeError, match="ARP_ROOT_JOB_ID"):
        lute._get_current_run_status(url)
    monkeypatch.setenv("ARP_ROOT_JOB_ID", "6512abc")
    monkeypatch.setenv("RUN_NUM", "12")
    stranger[0].says(200, b'{"value": [{"key": "Hits", "value": "4"}]}', JSON)

    assert lute._get_current_run_status(url) == {"Hits": "4"}
    stranger[0].says(401, b"no", JSON)
    with pytest.raises(RuntimeError, match="no"):
        lute._get_current_run_status(url)
