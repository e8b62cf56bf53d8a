"""What is active, and questions that say "current": live, and as it was last known."""

import pytest

from adapters.auth.options import AuthOptions
from adapters.elog import Options
from adapters.reading import Misasked, NotKept
from adapters.verdict import Refused
from tests.builders import NOW
from tests.emulators.elog_desk import NOBODY, PERSON, Desk, Open, emulator, logbook, posted
from tests.emulators.elog_site import EXPERIMENT
from tests.emulators.kit import Served

OTHER = "mfxl1000223"
AUTO = AuthOptions.model_validate(
    {
        "method": "auto",
        "operator": {"username": "{instrument}opr", "password_file": "password"},
        "bearer": {"token_file": "token"},
    }
)


async def test_the_active_experiment_is_asked_without_credentials(
    served: Served, open_desk: Open
) -> None:
    nobody = open_desk(served, auth=NOBODY)
    emulator(served).world.switch(OTHER, station=1)

    assert (await nobody.ask("active_experiment"))["name"] == EXPERIMENT
    assert (await nobody.ask("active_experiment", instrument="MFX", station="1"))["name"] == OTHER
    same = nobody.plan("active_experiment", instrument="Mfx", station="0")
    assert same.key == nobody.plan("active_experiment").key
    with pytest.raises(Misasked, match=r"XPP/0, or there is no such place: .*Cannot find a valid"):
        await nobody.ask("active_experiment", instrument="xpp")
    with pytest.raises(Refused, match="whoever has an account"):
        await nobody.ask("active_experiments")


async def test_all_stations_are_for_whoever_has_an_account(desk: Desk) -> None:
    found = await desk.ask("active_experiments")

    assert [(one["name"], one["station"]) for one in found] == [(EXPERIMENT, 0)]


async def test_current_is_found_out_for_each_question(served: Served, desk: Desk) -> None:
    first = await desk.fetch("runs", experiment="current")
    emulator(served).world.switch(OTHER)
    second = await desk.fetch("runs", experiment="current")

    assert first.meta["experiment"] == EXPERIMENT
    assert (second.meta["experiment"], second.notes[0]) == (
        OTHER,
        f'"current" is the experiment {OTHER}',
    )
    ids = {run["_id"] for run in logbook(served, OTHER).runs.values()}
    assert {run["_id"] for run in second.data} == ids


async def test_offline_current_is_what_was_last_known(served: Served, desk: Desk) -> None:
    posted(served, "x", run_num="2")
    with pytest.raises(NotKept, match="never asked"):
        await desk.recall("search", experiment="current", run="current")
    await desk.ask("search", experiment="current", run="current")
    desk.now += 90 * 60 * 1000
    served.unplug()

    kept = await desk.recall("search", experiment="current", run="current")

    assert [one["content"] for one in kept.data] == ["x"]
    assert (kept.source, kept.fetched_at) == ("derived", NOW)
    assert kept.meta == {"experiment": EXPERIMENT, "run": 2}
    assert f"was the experiment {EXPERIMENT} when that was last asked, 1:30:00 ago" in kept.notes[0]
    named = await desk.recall("search", experiment=EXPERIMENT, run="2")
    assert (named.data, named.source) == (kept.data, "cache")
    # Each is kept under its own name; of the question itself, only that it was asked.
    word = desk.plan("search", experiment="current", run="current").key
    assert len(desk.shelf.kept) == 4
    assert (desk.shelf.kept[word].data, desk.shelf.kept[word].label.fetched_at) == (None, NOW)
    served.plug()


async def test_an_answer_about_current_is_as_old_as_its_oldest_part(desk: Desk) -> None:
    await desk.ask("active_experiment")
    desk.now += 1000
    await desk.ask("runs", experiment=EXPERIMENT)

    assert (await desk.recall("runs", experiment="current")).fetched_at == NOW
    assert (await desk.recall("runs", experiment=EXPERIMENT)).fetched_at == NOW + 1000


async def test_what_is_open_is_asked_without_showing_a_secret(
    served: Served, open_desk: Open
) -> None:
    nothing: dict[str, str] = {}
    lost = open_desk(served, auth=PERSON, read_secret=nothing.__getitem__)

    assert (await lost.ask("current_run", experiment="current"))["num"] == 2
    assert (await lost.ask(f"raw/lgbk/{EXPERIMENT}/ws/current_run"))["num"] == 2
    assert {one.split("/")[1] for one in served.faulty.requests} == {"ws"}


async def test_without_a_current_one_there_is_no_answer(served: Served, desk: Desk) -> None:
    logbook(served).runs.clear()
    with pytest.raises(Misasked, match="has no runs, so none is current"):
        await desk.ask("search", experiment="current", run="current")
    emulator(served).world.stand_by("mfx")
    with pytest.raises(Misasked, match="no experiment is active on MFX/0"):
        await desk.ask("runs", experiment="current")


async def test_without_an_instrument_nobody_knows_what_is_current(
    served: Served, open_desk: Open
) -> None:
    lost = open_desk(served, auth=PERSON, options=Options())

    for question in ({"experiment": "current"}, {}):
        with pytest.raises(Misasked, match="instrument"):
            lost.plan("runs" if question else "active_experiment", **question)
    with pytest.raises(Misasked, match="instrument"):
        lost.plan("raw/lgbk/current/ws/runs")


async def test_the_operator_reads_where_its_experiment_is_active_and_a_person_elsewhere(
    served: Served, open_desk: Open
) -> None:
    both = open_desk(served, auth=AUTO)

    assert await both.ask("runs", experiment=EXPERIMENT)
    assert await both.ask("runs", experiment=OTHER)
    gates = {one.split("/")[1]: one for one in served.faulty.requests if "/runs" in one}
    assert f"/lgbk/{EXPERIMENT}/" in gates["ws-auth"]
    assert f"/lgbk/{OTHER}/" in gates["ws-jwt"]
    assert both.reader.shown(both.plan("runs", experiment=OTHER)).startswith("GET http")


def only_the_password(name: str) -> str:
    if name != "password":
        raise FileNotFoundError(name)
    return "secret"


async def test_a_person_without_a_token_is_no_reason_to_wait(
    served: Served, open_desk: Open
) -> None:
    both = open_desk(served, auth=AUTO, read_secret=only_the_password)

    assert await both.ask("runs", experiment=EXPERIMENT)
    with pytest.raises(Refused, match="token") as refused:
        await both.ask("runs", experiment=OTHER)
    assert "goes on meanwhile" not in refused.value.detail


def test_what_is_sent_first_can_be_shown(served: Served, desk: Desk) -> None:
    def shown(resource: str, **parameters: str) -> str:
        return desk.reader.shown(desk.plan(resource, **parameters)).replace(served.url, "")

    at = f"/lgbk/lgbk/{EXPERIMENT}/ws"
    active = "/ws/lgbk/lgbk/ws/activeexperiment_for_instrument_station"
    in_here = {"experiment": EXPERIMENT}
    assert shown("runs", experiment="current") == f"GET {active}?instrument_name=mfx&station=0"
    assert shown("search", run="current", **in_here) == f"GET /ws{at}/current_run"
    assert shown("search", tag="A&B #c+", **in_here) == (
        f"GET /ws-jwt{at}/search_elog?tag=A%26B%20%23c%2B"
    )
    assert shown("search", since="2026-11-25T13:00:00.5+01:00", **in_here).startswith(
        f"GET /ws-jwt{at}/search_elog?start_date=2026-11-25T12%3A00%3A00.500Z&end_date=9999-"
    )
    assert shown("params", names="b,a.b", **in_here) == (
        f"GET /ws-jwt{at}/get_run_params_for_all_runs?param_names=a%EF%BC%8Eb%2Cb"
    )


async def test_where_there_is_one_gate_all_goes_through_it(served: Served, open_desk: Open) -> None:
    gated = open_desk(served, options=Options(instrument="mfx", gate="ws-auth"))

    assert (await gated.ask("active_experiment"))["name"] == EXPERIMENT
    assert await gated.ask("runs_by_tag", experiment="current", tag="x") == []
    assert {one.split("/")[1] for one in served.faulty.requests} == {"ws-auth"}
    assert "/ws-auth/" in gated.reader.shown(gated.plan("active_experiment"))
