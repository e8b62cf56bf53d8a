"""docs/clients/lute_elog.py: what it asks by way of the agent, and what it makes of the answers."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from adapters.reading import Misasked
from adapters.verdict import DeliveryError
from tests.cli_server import Asked, CliServer, listening, served
from tests.copied import CLIENTS, lute_environment, module
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_desk import PERSON, Desk, logbook, posted
from tests.emulators.elog_site import EXPERIMENT, JSON, Stranger
from tests.emulators.kit import Served

client = module(CLIENTS / "holdfast_client.py")
lute = module(CLIENTS / "lute_elog.py")

Reply = tuple[int, dict[str, Any]]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with lute_environment(monkeypatch) as home:
        yield home


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


@pytest.fixture
def elog(server: Served) -> Served:
    """An eLog of which the agent of these tests knows."""
    server.serve(ElogEmulator())
    return server


@pytest.fixture(scope="module")
def stranger() -> Iterator[tuple[Stranger, str]]:
    """A server that answers one thing, and its address."""
    emulator = Stranger()
    with Served(emulator) as made:
        yield emulator, made.url


@pytest.fixture
def agent(home: Path, elog: Served) -> Iterator[CliServer]:
    """An agent that asks the eLog live, and keeps nothing."""
    with served(home / "s", answering(elog)) as made:
        yield made


def answering(elog: Served) -> Callable[[Asked], Reply]:
    """What GET /v1/query answers, as the reader has it."""

    def answer(asked: Asked) -> Reply:
        where = urlsplit(asked.path)
        resource = unquote(where.path).removeprefix("/v1/query/elog/")
        return asyncio.run(told(elog, resource, parse_qsl(where.query, keep_blank_values=True)))

    return answer


async def told(elog: Served, resource: str, parameters: list[tuple[str, str]]) -> Reply:
    desk = Desk(elog, auth=PERSON)
    try:
        data = await desk.ask(resource, *parameters)
    except Misasked as wrong:
        return wrong.status, {"status": wrong.status, "detail": wrong.detail}
    except DeliveryError as error:
        return 503, {"status": 503, "detail": error.detail}
    finally:
        await desk.reader.close()
    return 200, answer_of(data)


def answer_of(data: Any, source: str = "live") -> dict[str, Any]:
    times = {"fetched_at": "2026-11-25T06:00:00Z", "settled": False, "complete": True}
    return {"source": source, **times, "data": data}


def test_questions_are_asked_by_way_of_the_agent(agent: CliServer, elog: Served) -> None:
    posted(elog, "x", "A&B#c d", run_num="2")
    posted(elog, "x", "A&B#c", run_num="1")

    assert lute.get_elog_active_expmt("MFX") == EXPERIMENT
    assert lute.get_elog_runs_by_tag(EXPERIMENT, "A&B#c") == [1, 2]
    assert lute.get_elog_runs_by_tag(EXPERIMENT, "A", auth=lute.get_elog_auth(EXPERIMENT)) == []
    with pytest.raises(RuntimeError, match="no experiment is active on XPP/0"):
        lute.get_elog_active_expmt("xpp")
    with pytest.raises(RuntimeError, match=r"Response 404\n.*knows no experiment"):
        lute.get_elog_runs_by_tag("nothing", "A")
    assert {one.method for one in agent.asked} == {"GET"}


@pytest.mark.usefixtures("agent")
def test_parameters_are_told_by_run(elog: Served) -> None:
    runs = logbook(elog).runs
    runs[1]["params"] = {"PV\uff0eRBV": 1.5, "other": 2, "a,b": 3}

    found = lute.get_elog_params_by_run(EXPERIMENT, ["PV.RBV", "none"])
    assert found == {1: {"PV.RBV": 1.5}, 2: {}}
    assert lute.get_elog_params_by_run(EXPERIMENT, ["other"], runs=[1, 99]) == {1: {"other": 2}}
    assert lute.get_elog_params_by_run(EXPERIMENT, ["a,b"], runs=[1]) == {1: {"a,b": 3}}
    assert lute.get_elog_params_by_run(EXPERIMENT, []) == {1: {}, 2: {}}


@pytest.mark.usefixtures("agent")
def test_workflows_are_told_by_name(elog: Served) -> None:
    smd = {"_id": "1" * 24, "name": "smd", "trigger": "MANUAL"}
    logbook(elog).definitions["1" * 24] = smd

    assert lute.get_elog_workflows(EXPERIMENT) == {"smd": smd}


@pytest.mark.usefixtures("agent")
def test_any_page_can_be_asked_for_with_lutes_names(elog: Served) -> None:
    posted(elog, "x", "A&B", run_num="2")

    def get(endpoint: str, **more: Any) -> Any:
        return lute.elog_http_request(EXPERIMENT, endpoint, "GET", **more)

    assert get(f"{EXPERIMENT}/ws/get_runs_with_tag?tag=A%26B") == (200, "SUCCESS", [2])
    tagged = get(f"{EXPERIMENT}/ws/get_runs_with_tag", params={"tag": "A&B"}, headers={"x": "y"})
    assert tagged == (200, "SUCCESS", [2])
    status, said, value = get(f"{EXPERIMENT}/ws/get_runs_with_tag")
    assert (status, "Please specify the tag" in said, value) == (422, True, None)
    assert get(f"{EXPERIMENT}/ws/no%20page")[0] == 404
    assert get(f"{EXPERIMENT}/ws/info", params={"backend": "x"})[0] == 503  # and nothing raises


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            (503, {"status": 503, "detail": "elog gives no answer now; nothing kept"}),
            "nothing kept",
        ),
        ((422, {"status": 422, "detail": "no", "errors": [{"detail": "no tag"}]}), "no tag"),
        ((200, {"data": [1]}), "KeyError"),
        ((200, answer_of({"1": 2})), "answers"),
        ((200, answer_of(None)), "answers None"),
    ],
)
def test_what_is_no_answer_is_never_taken_for_no_runs(home: Path, reply: Reply, said: str) -> None:
    with served(home / "s", lambda _: reply), pytest.raises(RuntimeError, match=said):
        lute.get_elog_runs_by_tag(EXPERIMENT, "T")


def test_without_an_agent_reads_raise() -> None:
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        lute.get_elog_runs_by_tag(EXPERIMENT, "T")
    assert lute.elog_http_request(EXPERIMENT, "x", "GET")[0] == 503


def test_a_slow_answer_does_not_make_the_agent_seem_to_hang(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "QUERY_SECONDS", 0.05)
    holdfast = client.Holdfast(timeout=5)
    with listening(home / "s"), pytest.raises(client.NoAnswer, match="timed out"):
        holdfast.query("elog", "runs", experiment=EXPERIMENT)
    (home / "s").unlink()
    with served(home / "s", lambda _: (202, {"id": "ID1", "state": "accepted"})):
        assert holdfast.put("events", {"event_type": "test"}).state == "accepted"


def test_an_answer_of_earlier_is_logged(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with served(home / "s", lambda _: (200, answer_of([3], "cache"))):
        assert lute.get_elog_runs_by_tag(EXPERIMENT, "T") == [3]

    assert "runs_by_tag is what was known at 2026-11-25T06:00:00Z" in caplog.text


def test_the_present_counters_of_a_job_are_read(
    stranger: tuple[Stranger, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stranger[1] + "/arp/jid/ws/replace_counters/mfxl1000123/6512abc"
    with pytest.raises(RuntimeError, match="ARP_ROOT_JOB_ID"):
        lute._get_current_run_status(url)
    monkeypatch.setenv("ARP_ROOT_JOB_ID", "6512abc")
    monkeypatch.setenv("RUN_NUM", "12")
    monkeypatch.setenv("Authorization", "Bearer token")
    stranger[0].says(200, b'{"value": [{"key": "Hits", "value": "4"}]}', JSON)

    assert lute._get_current_run_status(url) == {"Hits": "4"}
    for status, body, said in (
        (401, b"no", "no"),
        (200, b"<html>log in", "Response 200"),
        (200, b'{"success": false, "errormsg": "no such job"}', "no such job"),
    ):
        stranger[0].says(status, body, JSON)
        with pytest.raises(RuntimeError, match=said):
            lute._get_current_run_status(url)
    with pytest.raises(RuntimeError, match="cannot be asked"):
        lute._get_current_run_status("http://127.0.0.1:9/a/jid/ws/replace_counters/x/y")
