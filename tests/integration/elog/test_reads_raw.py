"""`raw`: any page that answers a GET, and none that changes anything."""

import pytest

from adapters.reading import Misasked
from adapters.verdict import Refused, Uncertain
from tests.emulators.elog_desk import NOBODY, PERSON, Desk, Open, logbook
from tests.emulators.elog_site import EXPERIMENT, JSON, Stranger
from tests.emulators.kit import Served

AT = f"raw/lgbk/{EXPERIMENT}/ws"


async def test_a_page_is_told_as_it_came(served: Served, desk: Desk, open_desk: Open) -> None:
    logbook(served).runs[1]["params"] = {"PV\uff0eRBV": 1, "PV\uff0eX": float("inf")}
    nobody = open_desk(served, auth=NOBODY)

    run = await desk.fetch(f"{AT}/runs/1")
    assert run.data["params"] == {"PV\uff0eRBV": 1, "PV\uff0eX": None}
    assert "null" in run.notes[0]
    assert [one["num"] for one in await desk.ask(f"{AT}/runs", includeParams="true")] == [2, 1]
    assert await desk.ask("raw/lgbk/current/ws/get_elog_tags") == ["CALIB", "DARK"]
    prefix = await nobody.ask(f"{AT}/1/get_params_matching_prefix", prefix="PV\uff0e")
    assert prefix == ["PV\uff0eRBV", "PV\uff0eX"]
    active = await nobody.ask(
        "raw/lgbk/ws/activeexperiment_for_instrument_station", instrument_name="mfx"
    )
    assert active["name"] == EXPERIMENT
    kept = await desk.recall(f"{AT}/runs", includeParams="true")
    assert (kept.source, len(kept.data)) == ("cache", 2)


def test_parameters_are_passed_on_escaped(served: Served, desk: Desk) -> None:
    plan = desk.plan(f"{AT}/a b?c#d/%2e", ("q", "1&2"), ("q", "x"), ("a", "\u00e9+"))

    shown = desk.reader.shown(plan)

    assert shown == (
        f"GET {served.url}/ws-jwt/lgbk/lgbk/{EXPERIMENT}/ws/a%20b%3Fc%23d/%252e"
        "?a=%C3%A9%2B&q=1%262&q=x"
    )
    again = desk.plan(f"{AT}/a b?c#d/%2e", ("a", "\u00e9+"), ("q", "1&2"), ("q", "x"))
    assert again.key == plan.key


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("raw", "below raw/lgbk"),
        ("raw/", "below raw/lgbk"),
        ("raw/ws/lgbk/x", "below raw/lgbk"),
        ("raw/lgbk/../admin", "no path"),
        ("raw/lgbk//ws/runs", "no path"),
        ("raw/lgbk/./ws", "no path"),
        (f"{AT}/runs\n", "no path"),
        (f"{AT}/a\\b", "no path"),
        (f"{AT}/new_elog_entry", "holdfast put elog$"),
        (f"raw/run_control/{EXPERIMENT}/ws/add_run_params", "put elog --kind run_params"),
        (f"{AT}/create_update_workflow_def", "put elog --kind workflow"),
        (f"{AT}/update_workflow_job", "put elog --kind run_status"),
        (f"{AT}/generate_arp_token", "gives out a credential"),
        (f"raw/run_control/{EXPERIMENT}/ws/start_run", "changes something"),
        (f"raw/run_control/{EXPERIMENT}/ws/end_run", "changes something"),
        ("raw/lgbk/ws/switch_experiment", "changes something"),
        ("raw/lgbk/ws/instrument_standby", "changes something"),
        ("raw/lgbk/ws/lock_unlock_experiment", "changes something"),
        (f"{AT}/elog_email_subscribe", "changes something"),
        (f"{AT}/delete_elog_entry", "changes something"),
        (f"{AT}/attachment", "ask for the resource attachment"),
    ],
)
def test_what_is_no_question_is_never_sent(desk: Desk, path: str, said: str) -> None:
    with pytest.raises(Misasked, match=said):
        desk.plan(path, token_lifetime="480")


def test_other_methods_and_control_characters_are_refused(desk: Desk) -> None:
    with pytest.raises(Misasked, match="holdfast put elog") as refused:
        desk.plan(f"{AT}/runs", method="post")
    assert refused.value.parameter == "method"
    with pytest.raises(Misasked, match="control characters"):
        desk.plan(f"{AT}/runs", includeParams="true\r\nX: y")
    assert desk.plan(f"{AT}/runs", method="GET")


async def test_reading_names_are_not_taken_for_writing_ones(desk: Desk) -> None:
    for name in ("workflow_jobs", "workflow_triggers", "dm_locations", "info", "internalinfo"):
        assert await desk.ask(f"{AT}/{name}") is not None


async def test_pages_that_are_not_there_and_crashes_are_told_apart(desk: Desk) -> None:
    with pytest.raises(Misasked, match="no such page for a GET") as missing:
        await desk.ask(f"{AT}/nothing_here")
    assert missing.value.status == 404
    with pytest.raises(Misasked, match="no such page"):
        await desk.ask(f"{AT}/get_runs_matching_params")  # answers a POST only
    with pytest.raises(Misasked, match="Please specify the run parameters"):
        await desk.ask(f"{AT}/get_run_params_for_all_runs")
    with pytest.raises(Uncertain, match="page of a crash"):
        await desk.ask(f"{AT}/search_elog", _id="zz")


@pytest.mark.parametrize(
    ("status", "body", "media_type", "error", "said"),
    [
        (
            200,
            b'{"success": false, "errormsg": "no such", "value": null}',
            JSON,
            Misasked,
            "no such",
        ),
        (200, b'{"success": false}', JSON, Misasked, "no reason"),
        (200, b"<!doctype html>log in", "text/html", Refused, "in between"),
        (200, b'["x"]', JSON, Refused, "in between"),
        (200, b'{"success": true, "val', JSON, Uncertain, "cut off"),
        (200, b'{"success": true, "value": [{"num": "1"}]}', JSON, Refused, "in between"),
        (500, b"Please specify", JSON, Misasked, "Please specify"),
        (500, b"<!doctype html>", JSON, Uncertain, "crash"),
        (502, b"<html>bad gateway", "text/html", Uncertain, "failed over the question"),
        (302, b"", JSON, Refused, "points to"),
        (401, b"", JSON, Refused, "not accepted"),
        (404, b"<!doctype html>", JSON, Misasked, "knows no experiment"),
        (404, b"<html>", "text/html", Refused, "is the url"),
        (400, b"<html>", JSON, Misasked, "status 400"),
        (423, b"<html>", JSON, Refused, "is locked"),
    ],
)
async def test_whatever_is_answered_is_told_and_never_taken_for_an_answer(
    stranger: Served,
    open_desk: Open,
    status: int,
    body: bytes,
    media_type: str,
    error: type[Exception],
    said: str,
) -> None:
    emulator = stranger.emulator
    assert isinstance(emulator, Stranger)
    emulator.says(status, body, media_type)
    desk = open_desk(stranger, auth=PERSON)

    with pytest.raises(error, match=said):
        await desk.ask("runs", experiment=EXPERIMENT)
    assert not desk.shelf.kept


async def test_a_number_beyond_all_bounds_is_null(stranger: Served, open_desk: Open) -> None:
    emulator = stranger.emulator
    assert isinstance(emulator, Stranger)
    emulator.says(200, b'{"success": true, "value": [1e400, 1e4, -1E+999]}', JSON)

    assert await open_desk(stranger, auth=PERSON).ask(f"{AT}/x") == [None, 10_000.0, None]


async def test_an_empty_success_is_null(stranger: Served, open_desk: Open) -> None:
    emulator = stranger.emulator
    assert isinstance(emulator, Stranger)
    emulator.says(200, b'{"success": true}', JSON)

    assert await open_desk(stranger, auth=PERSON).ask(f"{AT}/something") is None
