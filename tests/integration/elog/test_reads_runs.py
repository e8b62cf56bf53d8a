"""Questions about runs, their parameters and tags: live, and from what was kept."""

import json
import math

import pytest

from adapters.reading import Misasked, NotKept
from adapters.verdict import Refused, Unreachable
from tests.emulators.elog_desk import NOBODY, Desk, Open, emulator, logbook, posted
from tests.emulators.elog_site import EXPERIMENT
from tests.emulators.kit import Served

OTHER = "mfxl1000223"


def with_params(served: Served) -> None:
    runs = logbook(served).runs
    runs[1]["params"] = {"PV\uff0eRBV": 1.5, "A\uff04": "x", "one,two": 3}
    runs[2]["params"] = {"PV\uff0eRBV": 2.5}


async def test_parameters_have_the_names_that_were_handed_in(served: Served, desk: Desk) -> None:
    with_params(served)

    assert await desk.ask("params", experiment=EXPERIMENT) == [
        {"run": 1, "params": {"PV.RBV": 1.5, "A$": "x", "one,two": 3}},
        {"run": 2, "params": {"PV.RBV": 2.5}},
    ]
    assert await desk.ask("params", experiment=EXPERIMENT, names="PV.RBV, none", runs="1,5:") == [
        {"run": 1, "params": {"PV.RBV": 1.5}}
    ]
    by_comma = await desk.ask("params", ("name", "one,two"), ("name", "A$"), experiment=EXPERIMENT)
    assert by_comma == [{"run": 1, "params": {"A$": "x", "one,two": 3}}, {"run": 2, "params": {}}]
    assert (await desk.ask("run", experiment=EXPERIMENT, run="1"))["params"]["PV.RBV"] == 1.5
    asked = [one for one in served.faulty.requests if "get_run_params_for_all_runs" in one]
    assert len(asked) == 1  # a name with a comma is not asked for by name


async def test_runs_come_with_and_without_parameters(served: Served, desk: Desk) -> None:
    with_params(served)

    whole = await desk.ask("runs", experiment=EXPERIMENT)
    bare = await desk.ask("runs", experiment=EXPERIMENT, include_params="false")

    assert [(run["num"], run["params"].get("PV.RBV")) for run in whole] == [(2, 2.5), (1, 1.5)]
    assert [(run["num"], "params" in run) for run in bare] == [(2, False), (1, False)]


async def test_the_current_run_is_the_highest_and_null_where_there_is_none(
    served: Served, desk: Desk
) -> None:
    assert (await desk.ask("current_run", experiment=EXPERIMENT))["num"] == 2
    assert desk.plan("run", experiment=EXPERIMENT, run="current").key == (
        desk.plan("current_run", experiment=EXPERIMENT).key
    )
    logbook(served, OTHER).runs.clear()

    fetched = await desk.fetch("run", experiment=OTHER, run="current")

    assert (fetched.data, fetched.notes) == (None, (f"{OTHER} has no runs",))


async def test_a_run_that_is_not_there_is_told_from_a_crash(desk: Desk) -> None:
    with pytest.raises(Misasked, match="its runs go up to 2") as missing:
        await desk.fetch("run", experiment=EXPERIMENT, run="99")

    assert (missing.value.status, missing.value.parameter) == (404, "run")


async def test_tags_and_the_runs_that_have_them(
    served: Served, desk: Desk, open_desk: Open
) -> None:
    posted(served, "x", "A&B#c second", run_num="2")
    gone = posted(served, "x", "A&B#c", run_num="1")
    emulator(served).world.delete(EXPERIMENT, gone)
    nobody = open_desk(served, auth=NOBODY)

    assert await nobody.ask("runs_by_tag", experiment=EXPERIMENT, tag="A&B#c") == [1, 2]
    assert await nobody.ask("runs_by_tag", experiment=EXPERIMENT, tag="A") == []
    assert "A&B#c" in await desk.ask("tags", experiment=EXPERIMENT)
    by_run = await desk.ask("tags_by_run", experiment=EXPERIMENT)
    assert by_run == {"1": ["A&B#c"], "2": ["A&B#c", "second"]}
    with pytest.raises(NotKept):  # nothing proves that deleted entries count in both alike
        await desk.recall("runs_by_tag", experiment=EXPERIMENT, tag="second")


async def test_what_json_has_no_number_for_is_null_and_said(served: Served, desk: Desk) -> None:
    logbook(served).runs[1]["params"] = {"a": math.nan, "b": -math.inf, "c": "NaN", "d": 2}

    fetched = await desk.fetch("run", experiment=EXPERIMENT, run="1")
    kept = await desk.recall("run", experiment=EXPERIMENT, run="1")

    assert fetched.data["params"] == {"a": None, "b": None, "c": "NaN", "d": 2}
    assert json.dumps(fetched.data, allow_nan=False)
    assert fetched.notes == kept.notes
    assert "2 value(s)" in fetched.notes[0]


async def test_all_parameters_tell_of_some(served: Served, desk: Desk) -> None:
    with_params(served)
    await desk.ask("params", experiment=EXPERIMENT)
    served.unplug()

    exact = await desk.recall("params", experiment=EXPERIMENT)
    some = await desk.recall("params", experiment=EXPERIMENT, names="PV.RBV,none", runs="2:9")

    assert (exact.source, some.source) == ("cache", "derived")
    assert some.data == [{"run": 2, "params": {"PV.RBV": 2.5}}]
    assert not some.settled
    with pytest.raises(NotKept):
        await desk.recall("run", experiment=EXPERIMENT, run="1")  # its other fields are not there
    served.plug()


async def test_some_runs_were_asked_for_and_others_are_known(served: Served, desk: Desk) -> None:
    with_params(served)
    await desk.ask("params", experiment=EXPERIMENT, names="PV.RBV", runs="1")

    same = await desk.recall("params", experiment=EXPERIMENT, names="PV.RBV", runs="1:1")
    other = await desk.recall("params", experiment=EXPERIMENT, names="PV.RBV", runs="2")

    assert (same.data, same.source) == ([{"run": 1, "params": {"PV.RBV": 1.5}}], "cache")
    assert (other.data, other.source) == ([{"run": 2, "params": {"PV.RBV": 2.5}}], "derived")
    for names in ({}, {"names": "A$"}):
        with pytest.raises(NotKept):
            await desk.recall("params", experiment=EXPERIMENT, **names)


async def test_the_runs_tell_of_one_and_of_parameters(served: Served, desk: Desk) -> None:
    with_params(served)
    await desk.ask("runs", experiment=EXPERIMENT)

    run = await desk.recall("run", experiment=EXPERIMENT, run="1")
    params = await desk.recall("params", experiment=EXPERIMENT, names="A$")
    bare = await desk.recall("runs", experiment=EXPERIMENT, include_params="false")

    assert (run.source, run.data["params"]["A$"]) == ("derived", "x")
    assert params.data == [{"run": 1, "params": {"A$": "x"}}, {"run": 2, "params": {}}]
    assert ["params" in one for one in bare.data] == [False, False]
    with pytest.raises(NotKept, match="was not there when"):
        await desk.recall("run", experiment=EXPERIMENT, run="3")  # it may have begun since
    with pytest.raises(NotKept):
        await desk.recall("runs", experiment=OTHER)


async def test_the_newest_answer_counts(served: Served, desk: Desk) -> None:
    with_params(served)
    await desk.ask("run", experiment=EXPERIMENT, run="1")
    logbook(served).runs[1]["params"] = {"later": 1}
    desk.now += 1000
    await desk.ask("runs", experiment=EXPERIMENT)

    run = await desk.recall("run", experiment=EXPERIMENT, run="1")

    assert (run.data["params"], run.source, run.fetched_at) == ({"later": 1}, "derived", desk.now)


async def test_who_may_not_read_is_told_what_is_missing(served: Served, open_desk: Open) -> None:
    with pytest.raises(Refused, match=r"through the gate ws .*privilege read") as refused:
        await open_desk(served, auth=NOBODY).ask("runs", experiment=EXPERIMENT)
    assert refused.value.status == 403
    operator = open_desk(served)
    assert await operator.ask("runs", experiment=EXPERIMENT)
    with pytest.raises(Refused, match=f"mfxopr may not read {OTHER} through the gate ws-auth"):
        await operator.ask("runs", experiment=OTHER)


async def test_an_unknown_experiment_is_no_answer(desk: Desk) -> None:
    for resource in ("runs", "tags", "current_run"):
        with pytest.raises(Misasked, match="knows no experiment") as missing:
            await desk.ask(resource, experiment=EXPERIMENT.upper())
        assert (missing.value.status, missing.value.parameter) == (404, "experiment")


async def test_nothing_is_told_without_the_server(served: Served, desk: Desk) -> None:
    served.unplug()
    with pytest.raises(Unreachable):
        await desk.ask("runs", experiment=EXPERIMENT)
    with pytest.raises(NotKept, match="never asked"):
        await desk.recall("runs", experiment=EXPERIMENT)
    served.plug()
