"""What waits in our own outbox, in answers: never as if the eLog held it."""

from typing import Any

import pytest

from tests.emulators.elog_desk import Desk, logbook, posted, waiting
from tests.emulators.elog_site import EXPERIMENT
from tests.emulators.kit import Served

IN = {"experiment": EXPERIMENT}


def params(number: int, run: int | str, **values: Any) -> Any:
    return waiting("run_params", number, run=run, params=values)


async def test_parameters_of_ours_are_in_their_runs_and_say_so(served: Served, desk: Desk) -> None:
    logbook(served).runs[1]["params"] = {"a": 1, "b": 1}
    ours = [params(2, 1, b=3), params(1, 1, b=2, c=2), params(3, 7, a=7), params(4, "current", a=9)]
    elsewhere = waiting("run_params", 5, experiment="current", run=1, params={"a": 5})
    others = waiting("run_params", 6, experiment="mfxl1000223", run=1, params={"a": 6})
    data = await desk.ask("params", **IN)

    found, count = desk.merged(data, [*ours, elsewhere, others], "params", **IN)

    assert found[:3] == [
        {"run": 1, "params": {"a": 1, "b": 3, "c": 2}, "queued": {"b": "ID2", "c": "ID1"}},
        {"run": 2, "params": {}},
        {"run": 7, "params": {"a": 7}, "queued": {"a": "ID3"}},
    ]
    apart = found[3]["queued_elsewhere"]
    assert [one["queued_entry"] for one in apart] == ["ID4", "ID5"]
    assert count == 5
    assert data[0] == {"run": 1, "params": {"a": 1, "b": 1}}  # is not changed itself
    some, count = desk.merged(data[:1], ours[:3], "params", runs="1:6", names="c", **IN)
    assert (count, some[0]["params"]["c"]) == (1, 2)


async def test_one_run_takes_only_its_own(desk: Desk) -> None:
    ours = [params(1, 1, **{"PV.RBV": 1}), params(2, 2, b=2), params(3, "current", c=3)]

    run, count = desk.merged(await desk.ask("run", run="1", **IN), ours, "run", run="1", **IN)
    assert (run["params"], run["queued"]) == ({"PV.RBV": 1}, {"PV.RBV": "ID1"})
    assert [one["queued_entry"] for one in run["queued_elsewhere"]] == ["ID3"]
    assert count == 2
    latest = await desk.ask("current_run", **IN)
    assert desk.merged(latest, ours[:2], "current_run", **IN)[0]["params"] == {"b": 2}
    assert desk.merged(None, ours[:2], "current_run", **IN) == (None, 0)
    runs, _ = desk.merged(
        await desk.ask("runs", **IN), [*ours[:2], params(4, 9, d=4)], "runs", **IN
    )
    assert [(one["num"], one["queued"]) for one in runs] == [
        (9, {"d": "ID4"}),
        (2, {"b": "ID2"}),
        (1, {"PV.RBV": "ID1"}),
    ]


def test_without_an_answer_what_waits_is_all_there_is(desk: Desk) -> None:
    ours = [params(1, 3, a=1)]

    assert desk.merged(None, ours, "params", **IN)[0] == [
        {"run": 3, "params": {"a": 1}, "queued": {"a": "ID1"}}
    ]
    assert desk.merged(None, ours, "run", run="3", **IN)[0]["queued"] == {"a": "ID1"}
    assert desk.merged(None, ours, "run", run="4", **IN) == (None, 0)


async def test_posts_of_ours_are_found_by_what_they_say(served: Served, desk: Desk) -> None:
    posted(served, "there", "T", run_num="1")
    one = waiting("post", 1, text="Peaks found", tags=["T"], run=2, title="R2")
    two = waiting("post", 2, text="no beam", flags=["issue"], author="somebody", run="current")
    ours = [one, two]
    data = await desk.ask("search", tag="T", **IN)

    found, count = desk.merged(data, ours, "search", tag="T", **IN)

    assert (len(found), count) == (2, 1)
    mine = found[1]
    assert {mine[name] for name in ("content", "title", "run_num")} == {"Peaks found", "R2", 2}
    assert (mine["queued"], mine["queued_entry"], mine["queued_state"]) == (True, "ID1", "pending")
    assert "_id" not in mine

    def of(**form: str) -> list[str]:
        found, _ = desk.merged([], ours, "search", **form, **IN)
        return [one["queued_entry"] for one in found if "queued_entry" in one]

    def apart(**form: str) -> list[str]:
        found, _ = desk.merged([], ours, "search", **form, **IN)
        listed = found[-1].get("queued_elsewhere", []) if found else []
        return [one["queued_entry"] for one in listed]

    assert of(tag="ISSUE") == of(text="BEAM off") == of(text="somebody") == ["ID2"]
    assert (of(run="2"), apart(run="2")) == (["ID1"], ["ID2"])
    assert of(regex="beam") == ["ID2"]
    assert (of(regex="b.am"), apart(regex="b.am")) == ([], ["ID1", "ID2"])
    assert of(since="2020-01-01T00:00:00Z") == ["ID1", "ID2"]
    assert of(until="2020-01-01T00:00:00Z") == []
    everything, count = desk.merged([], ours, "entries", **IN)
    assert ([one["relevance_time"][-9:] for one in everything], count) == (
        ["001+00:00", "002+00:00"],
        2,
    )


def test_runs_and_tags_of_ours_are_marked(desk: Desk) -> None:
    ours = [
        waiting("post", 1, text="x", tags=["T", "U"], run=5),
        waiting("post", 2, text="x", tags=["T"], run=1),
        waiting("post", 3, text="x", tags=["T"], run="current"),
        waiting("post", 4, text="x", tags=["T"]),
    ]
    mark = {"queued": True, "queued_entry": "ID1", "queued_state": "pending"}

    runs, count = desk.merged([1, 2], ours, "runs_by_tag", tag="T", **IN)
    assert runs[:3] == [1, 2, {"run": 5, **mark}]
    assert [one["queued_entry"] for one in runs[3]["queued_elsewhere"]] == ["ID3"]
    assert count == 2
    assert desk.merged(["T"], ours, "tags", **IN) == (["T", {"tag": "U", **mark}], 1)
    by_run, count = desk.merged({"5": ["T"]}, ours[:1], "tags_by_run", **IN)
    assert (by_run, count) == ({"5": ["T", {"tag": "U", **mark}]}, 1)


async def test_a_workflow_of_ours_stands_for_the_one_that_it_replaces(
    served: Served, desk: Desk
) -> None:
    there = {"_id": "1" * 24, "name": "smd", "executable": "/old", "run_as_user": "pi1"}
    logbook(served).definitions["1" * 24] = there
    ours = [
        waiting("workflow", 1, name="new", executable="/a", parameters=""),
        waiting("workflow", 2, name="smd", executable="/new", wf_params="-c", trigger="manual"),
    ]

    found, count = desk.merged(await desk.ask("workflows", **IN), ours, "workflows", **IN)

    assert [(one["name"], one["queued_entry"]) for one in found] == [("new", "ID1"), ("smd", "ID2")]
    assert (found[1]["_id"], found[1]["executable"]) == ("1" * 24, "/new")
    assert found[1]["trigger"] == "MANUAL"
    assert "run_as_user" not in found[1]
    assert count == 2


@pytest.mark.parametrize(
    ("resource", "parameters", "kinds"),
    [
        ("runs", {**IN, "include_params": "false"}, ()),
        ("params", {"experiment": "current"}, None),
        ("search", {**IN, "run": "current"}, None),
        ("raw/lgbk/x/ws/runs", {}, None),
        ("workflow_jobs", IN, None),
        ("active_experiments", {}, ()),
        ("attachment", {**IN, "entry": "1" * 24, "attachment": "a"}, ()),
    ],
)
def test_what_cannot_be_told_is_not_told(
    desk: Desk, resource: str, parameters: dict[str, str], kinds: tuple[str, ...] | None
) -> None:
    assert desk.reader.queued(desk.plan(resource, **parameters)) == kinds
