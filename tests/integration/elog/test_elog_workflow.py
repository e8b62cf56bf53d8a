"""Workflow definitions: created, updated, left alone, and never asked for as an operator."""

from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter, AuthOptions
from adapters.elog import KIND, Options
from adapters.verdict import DeliveryError, Parked, Refused, Rejected, Uncertain
from storage.entry import Claim, Doubt, Receipt
from tests.adapter_lane import adapter_lane, drained
from tests.builders import NOW, a_claim, an_entry
from tests.emulators.elog_site import (
    AN_ID,
    EXPERIMENT,
    JSON,
    Connect,
    a_site,
    as_json,
    page,
    verdict_of,
)
from tests.emulators.kit import Served

PERSON = AuthOptions(method="bearer", token_file="token")
BASE = f"/ws-jwt/lgbk/lgbk/{EXPERIMENT}/ws"
DEFINE = f"POST {BASE}/create_update_workflow_def"
LIST = f"GET {BASE}/workflow_definitions"
PAYLOAD: dict[str, Any] = {
    "experiment": EXPERIMENT,
    "name": "smd",
    "executable": "/sdf/x.sh",
    "parameters": "-c a.yaml",
}
AS_A_PERSON = f"{EXPERIMENT}/as a person"


def a_workflow(**more: Any) -> Claim:
    payload = {**PAYLOAD, **more}
    experiment = payload["experiment"]
    return a_claim(payload, kind="workflow", stream=f"{experiment}/x", scope=experiment)


@pytest.fixture
async def adapter(served: Served, connect: Connect) -> Adapter:
    return connect(served, auth=PERSON)


async def found(adapter: Adapter, claim: Claim) -> list[Receipt]:
    return list(await adapter.find(Doubt(claim, NOW, NOW)))


async def test_a_new_definition_is_confirmed_by_its_echo(served: Served, adapter: Adapter) -> None:
    claim = a_workflow(trigger="param_is", run_param_name="SmallData", run_param_val="done")

    receipt = await verdict_of(adapter, claim)

    (there,) = served.emulator.ledger()
    assert receipt == Receipt(
        claim.id, f"{there['_id']}/{claim.id}", f"{served.url}{BASE}/workflow_definitions"
    )
    assert (there["trigger"], there["run_as_user"]) == ("RUN_PARAM_IS_VALUE", "pi1")
    assert (there["run_param_name"], there["run_param_value"]) == ("SmallData", "done")
    assert "run_param_val" not in there


async def test_the_same_again_changes_nothing(served: Served, adapter: Adapter) -> None:
    await verdict_of(adapter, a_workflow())

    receipt = await verdict_of(adapter, a_workflow())

    assert isinstance(receipt, Receipt)
    assert receipt.duplicate
    assert served.faulty.requests[DEFINE] == 1


async def test_an_update_keeps_the_id_and_drops_what_is_not_named(
    served: Served, adapter: Adapter
) -> None:
    watching = {"trigger": "param_is", "run_param_name": "a", "run_param_value": "b"}
    await verdict_of(adapter, a_workflow(**watching))
    (before,) = served.emulator.ledger()

    receipt = await verdict_of(adapter, a_workflow(parameters={"config": "b.yaml"}))

    (after,) = served.emulator.ledger()
    assert isinstance(receipt, Receipt)
    assert not receipt.duplicate
    assert after["_id"] == before["_id"]
    assert (after["parameters"], after["trigger"]) == ({"config": "b.yaml"}, "END_OF_RUN")
    assert after.keys().isdisjoint({"run_param_name", "run_param_value"})


async def test_an_operator_account_is_not_even_asked(served: Served, connect: Connect) -> None:
    verdict = await verdict_of(connect(served), a_workflow())

    assert isinstance(verdict, Parked)
    assert verdict.scope == AS_A_PERSON
    assert not served.faulty.requests


@pytest.mark.parametrize(
    ("more", "told"),
    [({"location": "NERSC"}, "Invalid location NERSC"), ({"location": "SLAC"}, "Invalid location")],
)
async def test_what_the_server_dislikes_is_told_in_its_words(
    served: Served, adapter: Adapter, more: dict[str, Any], told: str
) -> None:
    verdict = await verdict_of(adapter, a_workflow(**more))

    assert type(verdict) is Rejected
    assert told in verdict.detail
    assert served.emulator.ledger() == []


@pytest.mark.parametrize("role", ["Reader", None])
async def test_who_may_not_define_waits_and_posts_go_on(
    served: Served, adapter: Adapter, role: str | None
) -> None:
    grants = served.emulator.people.grants
    grants["MFX"]["pi1"] = "Writer"  # does not count
    grants[EXPERIMENT]["pi1"] = role
    if role is None:
        del grants["MFX"]["pi1"], grants[EXPERIMENT]["pi1"]

    verdict = await verdict_of(adapter, a_workflow())

    assert isinstance(verdict, Parked)
    assert (verdict.scope, verdict.status) == (AS_A_PERSON, 403)
    assert "in the experiment itself" in verdict.detail


async def test_an_unknown_experiment_is_one(adapter: Adapter) -> None:
    verdict = await verdict_of(adapter, a_workflow(experiment="nope"))

    assert isinstance(verdict, Parked)
    assert verdict.unknown


SAYS_NO = {"success": False, "value": None}
PEOPLE = {
    "errormsg": "Cannot create a workflow definition for the user mfxopr for security reasons"
}
TAKEN = {"errormsg": "There already exists a workflow definition for smd"}
LOST = {"errormsg": "Cannot find workflow definition with id 0 "}
ECHO = {
    "_id": AN_ID,
    "name": "smd",
    "executable": "/sdf/x.sh",
    "parameters": "-c a.yaml",
    "trigger": "END_OF_RUN",
    "location": "S3DF",
}


@pytest.mark.parametrize(
    ("status", "body", "verdict", "scope"),
    [
        (200, as_json({**SAYS_NO, **PEOPLE}), Parked, AS_A_PERSON),
        (200, as_json({**SAYS_NO, **TAKEN}), Parked, f"{EXPERIMENT}/workflow smd"),
        (200, as_json({**SAYS_NO, **LOST}), Parked, f"{EXPERIMENT}/workflow smd"),
        (200, as_json({**SAYS_NO, "errormsg": "Invalid trigger X"}), Rejected, None),
        (200, as_json({"success": True, "value": {**ECHO, "location": "X"}}), Uncertain, None),
        (200, as_json({"success": True, "value": {**ECHO, "_id": "zz"}}), Refused, None),
        (200, as_json({"success": True, "value": None}), Refused, None),
        (200, b"", Uncertain, None),
        (403, page("403 Forbidden"), Parked, AS_A_PERSON),
        (423, page("423 Locked"), Parked, AS_A_PERSON),
        (404, page("404 Not Found"), Parked, EXPERIMENT),
        (500, b"Please pass in the workflow definition as a JSON document.", Rejected, None),
        (500, page("500 Internal Server Error"), Uncertain, None),
    ],
)
async def test_each_answer_to_a_definition_has_its_verdict(
    connect: Connect,
    stranger: Served,
    status: int,
    body: bytes,
    verdict: type[DeliveryError],
    scope: str | None,
) -> None:
    stranger.emulator.says(status, body, JSON)
    stranger.emulator.only = "/create_update_workflow_def"
    stranger.emulator.otherwise = as_json({"success": True, "value": []})

    judged = await verdict_of(connect(stranger, auth=PERSON), a_workflow())

    assert type(judged) is verdict
    assert getattr(judged, "scope", None) == scope


async def test_what_cannot_be_listed_judges_nothing(stranger: Served, connect: Connect) -> None:
    stranger.emulator.says(200, as_json({**SAYS_NO, "errormsg": "not today"}), JSON)
    adapter = connect(stranger, auth=PERSON)

    delivered = await verdict_of(adapter, a_workflow())
    with pytest.raises(Uncertain, match="not today"):
        await found(adapter, a_workflow())

    assert type(delivered) is Uncertain


# Doubt, and others who write


async def test_a_lost_definition_is_found_by_its_name(served: Served, adapter: Adapter) -> None:
    claim = a_workflow()
    assert await found(adapter, claim) == []
    served.fault("drop_after", path="create_update")
    assert type(await verdict_of(adapter, claim)) is Uncertain

    (receipt,) = await found(adapter, claim)

    assert receipt.duplicate
    assert await found(adapter, a_workflow(executable="/other")) == []
    assert await found(adapter, a_workflow(name="other")) == []


async def test_with_every_answer_lost_it_is_there_once_and_in_order(
    served: Served, tmp_path: Path
) -> None:
    def site(now: Any) -> Any:
        return a_site(served.url, auth=PERSON, options=Options(), now=now)

    for mode in ("drop_after", "drop_before", "status_after", "truncate"):
        served.fault(mode, path="create_update", times=1)
    served.fault("drop_after", path="workflow_definitions", times=2)
    async with adapter_lane(tmp_path, KIND, site, backend="elog") as world:
        fields = {"backend": "elog", "kind": "workflow", "scope": EXPERIMENT, "stream": "w"}
        for config in "ab":
            payload = {**PAYLOAD, "parameters": config}
            await world.accept(an_entry(config, payload=payload, **fields))
        await drained(world)

        assert [await world.state(key) for key in "ab"] == ["delivered"] * 2
    (there,) = served.emulator.ledger()
    assert there["parameters"] == "b"
