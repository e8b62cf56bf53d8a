"""docs/clients/lute_elog.py: what LUTE calls, what the agent gets of it, and what comes back."""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.registry import KINDS
from tests.cli_server import CliServer, accepted, refusing, served
from tests.copied import CLIENTS, lute_environment, module

module(CLIENTS / "holdfast_client.py")
lute = module(CLIENTS / "lute_elog.py")

EXP = "mfxl1000123"
JOB_URL = "https://arp.test/arps3dfjid/jid/ws/replace_counters/mfxl1000123/6512abc"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with lute_environment(monkeypatch) as home:
        yield home


@pytest.fixture
def agent(home: Path) -> Iterator[CliServer]:
    with served(home / "s", accepted) as server:
        yield server


def told(agent: CliServer) -> list[tuple[str, str, Any]]:
    """Backend, kind and payload of what arrived."""
    return [(one.json["backend"], one.json["kind"], one.json["payload"]) for one in agent.asked]


def test_a_message_is_a_post_with_its_tags_and_title(agent: CliServer) -> None:
    assert (
        lute.post_elog_message(EXP, "Peaks <b>found</b>", tag="A&B#c SECOND", title="R12") is None
    )
    assert lute.post_elog_message(EXP, "plain", tag=None, title=None) is None

    first = {"experiment": EXP, "text": "Peaks <b>found</b>", "tags": ["A&B#c", "SECOND"]}
    plain = {"experiment": EXP, "text": "plain", "tags": []}
    assert told(agent) == [("elog", "post", {**first, "title": "R12"}), ("elog", "post", plain)]


def test_files_are_attached_under_their_descriptions(
    agent: CliServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plot = tmp_path / "peaks.png"
    plot.write_bytes(b"\x89PNG")

    files = [str(plot), (str(plot), "r12/peaks"), [str(plot), "third"], 7]
    assert lute.post_elog_message(EXP, "x", tag=None, title=None, in_files=files) is None

    sent = agent.asked[0].json["attachments"]
    assert [(one["name"], one["media_type"]) for one in sent] == [
        ("peaks.png", "image/png"),
        ("r12_peaks", "image/png"),
        ("third", "image/png"),
    ]
    assert "Posted without it" in caplog.text
    with pytest.raises(FileNotFoundError):
        lute.post_elog_message(EXP, "x", tag=None, title=None, in_files=["missing.png"])


def test_both_shapes_of_a_file_are_understood(agent: CliServer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi")
    field, (name, source), media_type = lute.format_file_for_post(str(tmp_path / "a.txt"))
    as_lute = (field, (name, source), media_type)
    as_requests = ("files", ("b.bin", io.BytesIO(b"b"), None))
    as_bytes = ("files", ("c.bin", b"c"))

    answer = lute.elog_http_request(
        EXP,
        endpoint=f"{EXP}/ws/new_elog_entry",
        request_type="post",
        data={"log_text": "x", "run_num": "12", "xpost_instrument_elog": "true"},
        files=[as_lute, as_requests, as_bytes],
        headers=lute.get_elog_kerberos_auth(),
    )
    source.close()

    assert answer == (200, "SUCCESS", None)
    assert [one["content_base64"] for one in agent.asked[0].json["attachments"]] == [
        "aGk=",
        "Yg==",
        "Yw==",
    ]
    assert told(agent)[0][2]["run"] == 12
    assert told(agent)[0][2]["cross_post"] == ["instrument"]


class Numpy:
    """As much of numpy as matters: an array, or a scalar of any type."""

    def __init__(self, value: Any) -> None:
        self.tolist = lambda: value


def test_columns_of_the_run_table_may_be_numpys_and_no_numbers(agent: CliServer) -> None:
    data = {
        "hits": Numpy(41),
        "rate": Numpy(math.nan),
        "deep": {"a": [math.inf, -math.inf, (1, Numpy([1.5, math.nan]))]},
        "torch": SimpleNamespace(item=lambda: 2.5),
        3: True,
    }

    assert lute.post_elog_run_table(EXP, Numpy(12), data) is None

    params = {
        "hits": 41,
        "rate": "NaN",
        "deep": {"a": ["Infinity", "-Infinity", [1, [1.5, "NaN"]]]},
        "torch": 2.5,
        "3": True,
    }
    payload = {"experiment": EXP, "run": 12, "params": params}
    assert told(agent) == [("elog", "run_params", payload)]


def test_nothing_to_set_is_nothing_to_send(agent: CliServer) -> None:
    assert lute.post_elog_run_status({}, JOB_URL) is None
    assert lute.post_elog_run_table(EXP, 12, {}) is None
    assert agent.asked == []


def test_the_backend_may_have_another_name(
    agent: CliServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUTE_ELOG_BACKEND", "logbook")

    lute.post_elog_run_table(EXP, 12, {"a": 1})

    assert told(agent)[0][0] == "logbook"


def test_a_workflow_is_defined_with_the_servers_own_names(agent: CliServer) -> None:
    said = (EXP, "smd", "/bin/smd.sh", "-e x")
    assert lute.post_elog_workflow(*said) is None
    lute.post_elog_workflow(*said, trigger="param_is", trig_param="SmdComplete", trig_param_val="1")
    lute.post_elog_workflow(
        *said, trigger="param_is", run_param_name="SmdComplete", run_param_val="1"
    )

    plain = {
        "experiment": EXP,
        "name": "smd",
        "executable": "/bin/smd.sh",
        "parameters": "-e x",
        "trigger": "END_OF_RUN",
        "location": "S3DF",
    }
    on_value = {"run_param_name": "SmdComplete", "run_param_value": "1"}
    assert told(agent) == [
        ("elog", "workflow", plain),
        *[("elog", "workflow", {**plain, "trigger": "RUN_PARAM_IS_VALUE", **on_value})] * 2,
    ]


def test_a_workflow_that_cannot_be_is_refused_before_anything_is_sent(agent: CliServer) -> None:
    with pytest.raises(NotImplementedError):
        lute.post_elog_workflow(EXP, "n", "x", "", trigger="at_noon")
    with pytest.raises(RuntimeError, match="trig_param_val"):
        lute.post_elog_workflow(EXP, "n", "x", "", trigger="param_is", trig_param="p")
    assert agent.asked == []


def test_a_run_status_carries_the_job_and_its_credential_apart(
    agent: CliServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARP_UPDATE_COUNTERS", JOB_URL)
    monkeypatch.setenv("Authorization", "Bearer abc")
    monkeypatch.setenv("ARP_ROOT_JOB_ID", "6512abc")
    monkeypatch.setenv("RUN_NUM", "12")
    monkeypatch.setenv("LOGNAME", "ada")

    assert lute.post_elog_run_status({"Hits": 4, "Task status": "RUNNING"}) is None

    payload = {
        "counters": {"Hits": "4", "Task status": "RUNNING"},
        "update_url": JOB_URL,
        "job_id": "6512abc",
        "run": 12,
        "user": "ada",
    }
    assert told(agent) == [("elog", "run_status", payload)]
    sent = agent.asked[0].json["attachments"]
    assert [(one["name"], one["content_base64"]) for one in sent] == [
        ("authorization", "QmVhcmVyIGFiYw==")
    ]


def test_an_older_address_gets_its_experiment_from_the_environment(
    agent: CliServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPERIMENT", EXP)
    monkeypatch.delenv("RUN_NUM", raising=False)

    lute.post_elog_run_status({"a": 1}, "https://arp.test/jid/ws/replace_counters/6512abc")

    assert told(agent)[0][2]["experiment"] == EXP
    assert "run" not in told(agent)[0][2]


def test_without_an_address_a_run_status_goes_nowhere(
    agent: CliServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert lute.post_elog_run_status({"a": 1}) is None

    assert agent.asked == []
    assert "JID_UPDATE_COUNTERS" in caplog.text


def call_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_NUM", "12")
    monkeypatch.setenv("ARP_ROOT_JOB_ID", "6512abc")
    lute.post_elog_message(EXP, "x", tag="T", title="t")
    lute.post_elog_run_table(EXP, 12, {"a": math.nan})
    lute.post_elog_workflow(
        EXP, "n", "/x", "", trigger="param_is", trig_param="p", trig_param_val="1"
    )
    lute.post_elog_workflow(EXP, "n", "/x", "-v")
    lute.post_elog_run_status({"a": 1.5}, JOB_URL)


@pytest.mark.parametrize("kind", sorted(KINDS["elog"].kinds))
def test_what_is_sent_is_what_the_adapter_takes(
    agent: CliServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    call_all(monkeypatch)
    sent = [payload for _, name, payload in told(agent) if name == kind]
    taken = KINDS["elog"].kinds[kind]

    assert sent or kind == "run_table"  # the other name of run_params
    for payload in sent:
        taken.payload.model_validate(payload)


def test_a_refusal_comes_back_as_text_and_is_logged_where_nothing_is_returned(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [{"pointer": "/payload/text", "detail": "must not be blank"}]
    with served(home / "s", refusing(422, errors=errors)):
        text = lute.post_elog_message(EXP, " ", tag=None, title=None)
        call_all(monkeypatch)

    assert text == (
        "Error when posting to eLog: Response 422\n"
        "Include message: /payload/text: must not be blank"
    )
    assert "The workflow n was not taken" in caplog.text
    assert "The run status was not taken" in caplog.text


def test_an_agent_that_is_away_is_no_error_and_one_without_a_spool_is(home: Path) -> None:
    assert lute.post_elog_message(EXP, "x", tag=None, title=None) is None
    assert len(list((home / "spool" / "elog").iterdir())) == 1
    lute._agent().spool_dir = str(home / "none")

    assert "NOT stored" in lute.post_elog_run_table(EXP, 1, {"a": 1})


@pytest.mark.parametrize(
    ("endpoint", "method", "params", "said"),
    [
        (f"{EXP}/ws/new_elog_entry", "DELETE", {}, "Invalid request type!"),
        (f"{EXP}/ws/update_workflow_job", "POST", {"json": {}}, "does not know what to do"),
        ("nonsense", "POST", {}, "does not know what to do"),
        (f"{EXP}/ws/new_elog_entry", "POST", {"data": {"x": 1}}, "does not know the field x"),
        (f"{EXP}/ws/new_elog_entry", "POST", {"data": "a=b"}, "ValueError"),
        (f"run_control/{EXP}/ws/add_run_params", "POST", {"json": {"a": 1}}, "run_num"),
        (f"{EXP}/ws/add_run_params", "POST", {"json": {"a": object()}}, "Response -1"),
        (f"{EXP}/ws/create_update_workflow_def", "POST", {}, "json"),
    ],
)
def test_what_the_agent_cannot_be_given_is_told_and_never_raised(
    agent: CliServer, endpoint: str, method: str, params: dict[str, Any], said: str
) -> None:
    if "object" in repr(params):
        endpoint += "?run_num=4"
    status, text, value = lute.elog_http_request(EXP, endpoint, method, **params)

    assert (status, value) == (-1, None)
    assert said in text
    assert agent.asked == []
