"""Workflow definitions on paper: LUTE's names and the server's, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from adapters.elog.workflow import Workflow, definition, shows, workflow_address
from storage.entry import Address

ONE: dict[str, Any] = {"experiment": "mfxl1000123", "name": "smd", "executable": "/sdf/x.sh"}
PLAIN = {**ONE, "parameters": "-c a.yaml"}
WATCHED = {"run_param_name": "SmallData", "run_param_value": "done"}


def sent(**payload: Any) -> dict[str, Any]:
    return definition(Workflow.model_validate(payload))


def test_lutes_defaults() -> None:
    assert sent(**PLAIN) == {
        "name": "smd",
        "executable": "/sdf/x.sh",
        "parameters": "-c a.yaml",
        "trigger": "END_OF_RUN",
        "location": "S3DF",
    }


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("manual", "MANUAL"),
        ("run_start", "START_OF_RUN"),
        ("run_end", "END_OF_RUN"),
        ("ALL_FILES_TRANSFERRED", "ALL_FILES_TRANSFERRED"),
        ("ALL_NONREC_FILES_TRANSFERRED", "ALL_NONREC_FILES_TRANSFERRED"),
        ("FIRST_FILE_TRANSFERRED", "FIRST_FILE_TRANSFERRED"),
    ],
)
def test_triggers_by_both_names(name: str, wire: str) -> None:
    assert sent(**PLAIN, trigger=name)["trigger"] == wire


@pytest.mark.parametrize(
    "more",
    [
        WATCHED,
        {"run_param_name": "SmallData", "run_param_val": "done"},
        {"trig_param": "SmallData", "trig_param_val": "done"},
        {"trig_args": {"trig_param": "SmallData", "trig_param_val": "done"}},
        {"trig_args": {"run_param_val": "done"}, "run_param_name": "SmallData"},
    ],
)
@pytest.mark.parametrize("trigger", ["param_is", "RUN_PARAM_IS_VALUE"])
def test_a_watched_parameter_is_sent_by_the_servers_names(
    more: dict[str, Any], trigger: str
) -> None:
    wire = sent(**ONE, wf_params="-c a.yaml", trigger=trigger, **more)

    assert WATCHED.items() <= wire.items()
    assert wire.keys().isdisjoint({"run_param_val", "trig_param", "trig_param_val", "wf_params"})


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        (ONE, "parameters"),
        ({**PLAIN, "wf_params": "x"}, "wf_params"),
        ({**PLAIN, "parameters": 7}, "parameters"),
        ({**PLAIN, "trigger": "NOPE"}, "trigger"),
        ({**PLAIN, "location": " "}, "location"),
        ({**PLAIN, "name": "a\nb"}, "name"),
        ({**PLAIN, "executable": ""}, "executable"),
        ({**PLAIN, "trigger": "param_is", "run_param_value": "x"}, "run_param_name"),
        ({**PLAIN, "trigger": "param_is", "trig_param": "x"}, "run_param_value"),
        ({**PLAIN, "run_param_val": "x"}, "run_param_val"),
        (
            {**PLAIN, "trigger": "param_is", **WATCHED, "trig_args": {"trig_param": "x"}},
            "run_param",
        ),
        ({**PLAIN, "trigger": "param_is", "trig_args": {"param": "x"}}, "trig_args"),
        ({**PLAIN, "run_as_user": "mfxopr"}, "run_as_user"),
        ({**PLAIN, "_id": "0" * 24}, "_id"),
    ],
)
def test_what_is_refused_is_pointed_at(payload: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Workflow.model_validate(payload)

    assert str(refused.value.errors()[0]["loc"][0]).startswith(pointer)


def test_definitions_of_one_name_stay_in_order() -> None:
    assert workflow_address(Workflow.model_validate(PLAIN)) == Address(
        stream="mfxl1000123/workflow smd",
        scope="mfxl1000123",
        labels={"experiment": "mfxl1000123"},
    )


@pytest.mark.parametrize(
    ("there", "same"),
    [
        ({"name": "a", "p": {"x": 1, "y": [True]}, "run_as_user": "pi1"}, True),
        ({"name": "a", "p": {"y": [True], "x": 1}}, True),
        ({"name": "a", "p": {"x": True, "y": [True]}}, False),
        ({"name": "a", "p": {"x": 1, "y": [1]}}, False),
        ({"name": "a"}, False),
    ],
)
def test_the_same_is_the_same_as_json(there: dict[str, Any], same: bool) -> None:
    assert shows(there, {"name": "a", "p": {"x": 1, "y": [True]}}) is same
