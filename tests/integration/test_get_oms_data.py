"""docs/clients/get_oms_data.py: what it asks, what it makes of answers, and what it never does."""

import json
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.copied import CLIENTS, module, pythons

oms = module(CLIENTS / "get_oms_data.py")

ROWS = [
    {"id": "297050", "type": "runs", "attributes": {"run_number": 297050, "l1_rate": 49130.85}},
    {"id": "297055", "type": "runs", "attributes": {"run_number": 297055, "l1_rate": None}},
]
ANSWER = {
    "backend": "oms",
    "resource": "runs",
    "source": "live",
    "fetched_at": "2026-11-25T07:12:03Z",
    "settled": False,
    "complete": True,
    "stale": False,
    "data": ROWS,
    "meta": {"totalResourceCount": 2},
    "notes": [],
}
RUN = "filter[run_number][EQ]"


class Agent(socketserver.ThreadingUnixStreamServer):
    """A stand-in for the agent: answers one thing, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.status, self.body = 200, json.dumps(ANSWER).encode()
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        super().__init__(path, Handler)

    def answers(self, status: int = 200, **changes: Any) -> None:
        base = ANSWER if status == 200 else {"status": status, "title": "x"}
        self.status, self.body = status, json.dumps({**base, **changes}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Agent

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
        self.server.asked.append((url.path, pairs))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def address_string(self) -> str:
        return "a Unix socket"

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def listening() -> Iterator[Agent]:
    # Not pytest's tmp_path: a Unix socket's path ends at 107 bytes.
    with TemporaryDirectory(prefix="hf") as folder, Agent(f"{folder}/s") as agent:
        thread = threading.Thread(target=agent.serve_forever, args=(0.01,))
        thread.start()
        yield agent
        agent.shutdown()
        thread.join()


@pytest.fixture
def agent(listening: Agent, monkeypatch: pytest.MonkeyPatch) -> Agent:
    monkeypatch.setenv("HOLDFAST_AGENT__SOCKET", str(listening.server_address))
    monkeypatch.delenv("HOLDFAST_OMS_BACKEND", raising=False)
    listening.asked.clear()
    listening.answers()
    return listening


def get(endpoint: str = "runs", *arguments: Any, **more: Any) -> Any:
    return oms.get_oms_data(oms.get_oms_api(), endpoint, *arguments, **more)


class Whole:
    """As numpy's integers are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return str(self.value)


FILTERS: list[dict[str, Any]] = [
    {"attribute_name": "sequence", "value": "GLOBAL-RUN&x=+", "operator": "EQ"},
    {"attribute_name": "stable_beam", "value": True, "operator": "eq"},
    {"attribute_name": "end_time", "value": None, "operator": "NEQ"},
    {"attribute_name": "components", "value": ["DT", "CSC"], "operator": "CT"},
]


@pytest.mark.parametrize(
    ("arguments", "more", "asked"),
    [
        ([], {}, []),
        ([297050], {}, [(RUN, "297050")]),
        ([Whole(297050)], {}, [(RUN, "297050")]),
        (
            [(297050, 297056)],
            {},
            [("filter[run_number][GE]", "297050"), ("filter[run_number][LE]", "297056")],
        ),
        (
            [],
            {"fillnb": [5839, Whole(5840)]},
            [("filter[fill_number][GE]", "5839"), ("filter[fill_number][LE]", "5840")],
        ),
        ([], {"runnb": 1, "fillnb": 2}, [(RUN, "1"), ("filter[fill_number][EQ]", "2")]),
        (
            [1, FILTERS],
            {},
            [
                (RUN, "1"),
                ("filter[sequence][EQ]", "GLOBAL-RUN&x=+"),
                ("filter[stable_beam][EQ]", "true"),
                ("filter[end_time][NEQ]", "null"),
                ("filter[components][CT]", "DT,CSC"),
            ],
        ),
        (
            [1, [], {"group[granularity]": "lumisection", "include": "meta"}, "run_number", ["a"]],
            {"limit_entries": 1},
            [
                (RUN, "1"),
                ("fields", "a"),
                ("sort", "run_number"),
                ("group[granularity]", "lumisection"),
                ("include", "meta"),
            ],
        ),
        (
            [],
            {"attributes": ("a", "b"), "sort": ["run_number", "-a"], "partial": True},
            [("fields", "a,b"), ("sort", "run_number,-a"), ("partial", "1")],
        ),
        ([], {"attributes": None, "extraargs": None}, []),
    ],
)
def test_arguments_become_oms_own_parameters(
    agent: Agent, arguments: list[Any], more: dict[str, Any], asked: list[tuple[str, str]]
) -> None:
    get("/runs/", *arguments, **more)

    assert agent.asked == [("/v1/query/oms/runs", asked)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"runnb": "297050"},
        {"runnb": 297050.0},
        {"runnb": True},
        {"runnb": (1, 2, 3)},
        {"runnb": [1]},
        {"runnb": []},
        {"runnb": (1, "2")},
        {"runnb": {1, 2}},
        {"fillnb": "5839"},
        {"extrafilters": [{"attribute_name": "a", "value": 1}]},
        {"extrafilters": [{**FILTERS[0], "type": "runs"}]},
        {"attributes": "l1_rate"},
        {"attributes": [1]},
        {"sort": [None]},
    ],
)
def test_a_wrong_argument_fetches_nothing(agent: Agent, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        get("runs", **wrong)

    assert agent.asked == []


def test_the_answer_has_the_servers_shape_and_the_marks_beside_it(
    agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    response = get("runs", (297050, 297055), limit_entries=1)

    marks = {key: ANSWER[key] for key in ("source", "fetched_at", "settled", "complete")}
    assert response == {
        "data": ROWS,
        "links": {"first": None, "last": None, "next": None, "prev": None},
        "meta": {"totalResourceCount": 2, "holdfast": marks},
    }
    assert oms.get_oms_response_attribute(response, "l1_rate") == [49130.85, None]
    assert oms.get_oms_response_attributes(response)[1]["run_number"] == 297055
    assert capsys.readouterr().err == ""
    agent.answers(meta={}, data=ROWS[:1])
    assert get()["meta"]["totalResourceCount"] == 1
    agent.answers(meta={}, data=ROWS[0])
    assert oms.get_oms_response_attribute(get("runs/297050"), "run_number") == [297050]
    assert agent.asked[-1][0] == "/v1/query/oms/runs/297050"


def test_a_stale_answer_says_so_in_one_line(
    agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.answers(source="cache", stale=True)
    stale = get()
    agent.answers(source="cache", stale=False, settled=True)
    settled = get()

    assert (stale["meta"]["holdfast"]["source"], settled["meta"]["holdfast"]["settled"]) == (
        "cache",
        True,
    )
    assert capsys.readouterr().err == "OMS runs: stale (cache, fetched 2026-11-25T07:12:03Z)\n"


def test_a_part_is_an_answer_only_for_whom_it_will_do(
    agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.answers(source="derived", complete=False, stale=True, missing=[[297051, 297054]])

    with pytest.raises(oms.Incomplete, match="297051") as incomplete:
        get()
    part = get(partial=True)

    assert incomplete.value.response == part
    assert part["meta"]["holdfast"]["missing"] == [[297051, 297054]]
    assert "OMS runs: NOT COMPLETE (derived" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, "Refused"),
        (422, "Refused"),
        (429, "NotNow"),
        (503, "NotNow"),
        (500, "NotNow"),
    ],
)
def test_a_refusal_comes_in_words(agent: Agent, status: int, kind: str) -> None:
    errors = [{"pointer": "/run", "detail": "not kept: 1:2"}, {"pointer": "/run", "detail": "no"}]
    agent.answers(status, detail="no", errors=errors)

    with pytest.raises(getattr(oms, kind), match=r"^no; not kept: 1:2$"):
        get()
    assert issubclass(oms.Refused, ValueError)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"data":[]}'),
        (502, b"x"),
        (404, b"[]"),
        (404, b"{}"),
    ],
)
def test_what_is_no_answer_of_the_agent_is_none(agent: Agent, status: int, body: bytes) -> None:
    agent.status, agent.body = status, body

    with pytest.raises(oms.OmsError) as raised:
        get()
    assert type(raised.value) is oms.OmsError


def test_another_backend_and_no_response_at_all(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_OMS_BACKEND", "oms_int")
    get("eras")

    assert agent.asked[-1][0] == "/v1/query/oms_int/eras"
    with pytest.raises(ValueError, match="no response of OMS"):
        oms.get_oms_response_attribute({"errors": []}, "a")
    with pytest.raises(KeyError):
        oms.get_oms_response_attribute(get(), "energy")


def test_rows_are_chosen_by_patterns(agent: Agent) -> None:
    paths = ("HLT_ZeroBias_v5", "HLT_Mu_v1", "AlCa_x")
    agent.answers(data=[{"attributes": {"path_name": name}} for name in paths])
    response = get("hltpathinfo", 297050)

    def chosen(value: Any) -> list[Any]:
        some = oms.filter_oms_response(response, "path_name", value)
        names: list[Any] = oms.get_oms_response_attribute(some, "path_name")
        return names

    assert chosen("HLT_*") == list(paths[:2])
    assert chosen(["*Bias*", "AlCa_?"]) == [paths[0], paths[2]]


COMMAND = """#!/bin/sh
printf '%s\\n' "$@" > "$0.asked"
cat "$0.says"
echo 'it says why' >&2
exit $(cat "$0.ends")
"""


def test_without_an_agent_the_command_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_AGENT__SOCKET", "/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(oms.NotNow, match="no agent listens at /none, and there is no holdfast"):
        get()
    program = tmp_path / "holdfast"
    program.write_text(COMMAND)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}:/usr/bin:/bin")

    def ends(code: int, says: Any = ANSWER) -> None:
        Path(f"{program}.ends").write_text(str(code))
        Path(f"{program}.says").write_text(json.dumps(says) if says else "")

    ends(4)
    found = get("runs", 297050, partial=True, attributes=["l1_rate"])
    words = Path(f"{program}.asked").read_text().splitlines()

    assert found["data"] == ROWS
    assert words[:5] == ["query", "oms", "runs", "--json", "--partial"]
    assert words[5:] == ["--param", f"{RUN}=297050", "--param", "fields=l1_rate"]
    for code, kind in ((65, oms.Refused), (75, oms.NotNow), (78, oms.OmsError)):
        ends(code, None)
        with pytest.raises(kind, match="it says why"):
            get()
    ends(0, None)
    with pytest.raises(oms.OmsError, match="JSONDecodeError"):
        get()


PLAY = """
import get_oms_data as oms
api = oms.get_oms_api()
found = oms.get_oms_data(api, "runs", (297050, 297055), [], {}, "run_number", ["l1_rate"], 7)
assert oms.get_oms_response_attribute(found, "l1_rate") == [49130.85, None], found
try:
    oms.get_oms_data(api, "runs", "297050")
except ValueError:
    print("done")
"""


def test_old_pythons_can_do_it(agent: Agent) -> None:
    path = {"PYTHONPATH": str(CLIENTS), "PYTHONDONTWRITEBYTECODE": "1"}
    for python in pythons():
        ran = subprocess.run(
            [*python, "-c", PLAY],
            env={**os.environ, **path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.stdout, ran.stderr) == ("done\n", "")
    assert len(agent.asked) == len(pythons())
