"""A backend that takes no entries says so, whoever tries to hand it one."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.oms import KIND, OmsAdapter
from adapters.verdict import Refused, Uncertain
from agent.cli.app import run
from agent.clock import Clock
from agent.draft import Bounds, Draft
from agent.intake import Intake
from agent.refusal import Refusal
from storage.entry import Claim, Doubt, Producer
from storage.outbox import Outbox
from tests import spool_world
from tests.builders import NOW, a_claim
from tests.cli_desk import a_desk

ONLY_ASKED = "oms takes no entries: it can only be asked"
OMS = '\n[backends.oms]\nkind = "oms"\nurl = "http://127.0.0.1:9"\n'


@pytest.mark.parametrize(
    ("envelope", "backend"),
    [
        ({"backend": "oms", "payload": {}}, None),
        ({"backend": "oms", "kind": "event", "payload": {}}, None),
        ({"run_number": 1}, "oms"),
    ],
)
def test_an_entry_for_it_is_refused_by_its_backend(
    outbox: Outbox, envelope: dict[str, Any], backend: str | None
) -> None:
    intake = Intake(outbox, {"oms": KIND}, clock=Clock(), bounds=Bounds(), wake=lambda _: None)
    draft = Draft(json.dumps(envelope).encode(), backend=backend, kind=None, producer=Producer("t"))

    with pytest.raises(Refusal) as refused:
        intake.judge(draft)

    assert refused.value.status == 422
    assert [(one.pointer, ONLY_ASKED in one.detail) for one in refused.value.errors] == [
        ("/backend", True)
    ]


@pytest.mark.parametrize("name", ["a.json", "a.txt", "lines.ndjson", "a.entry/entry.json"])
async def test_a_file_for_it_is_moved_aside_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(spool_world.BACKENDS, "oms", KIND)
    async with spool_world.a_world(tmp_path) as world:
        world.drop(f"oms/{name}", '{"run_number": 1}\n')
        await world.settle()

        assert world.left() == []
        (aside,) = world.aside()
        assert aside == f"oms/{name}"
        assert "takes no entries: it can only be asked" in json.dumps(
            world.reason(f"oms/{name.partition('/')[0]}")
        )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["oms", "--text", "hello"], 64, "backends of kind oms take no entries"),
        (["oms"], 65, "oms takes no entries: it is only asked"),
        (["oms", "--ndjson"], 65, "oms takes no entries: it is only asked"),
        (["oms", "--frobnicate"], 64, "there is no option --frobnicate"),
        (["oms", "--help"], 0, "oms takes no entries: it can only be asked"),
    ],
)
def test_put_says_so_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    with a_desk(capsys) as desk:
        desk.config.write_text(desk.config.read_text() + OMS)

        assert desk.put(*arguments) == code

        assert told in " ".join((desk.out + desk.err).split())
        assert desk.spooled() == []


def test_the_tab_key_does_not_offer_it_to_put(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_desk(capsys) as desk:
        desk.config.write_text(desk.config.read_text() + OMS)
        monkeypatch.setenv("HOLDFAST_CONFIG", str(desk.config))

        assert run(["__complete", "put", ""]) == 0
        to_put = capsys.readouterr().out.split()
        assert run(["__complete", "pause", ""]) == 0
        to_pause = capsys.readouterr().out.split()

    assert ("elog" in to_put, "oms" in to_put) == (True, False)
    assert "oms" in to_pause


async def test_what_was_accepted_under_other_settings_is_never_confirmed() -> None:
    adapter = KIND.adapter(None)  # type: ignore[arg-type] - it looks at no settings
    claim: Claim = a_claim()
    assert isinstance(adapter, OmsAdapter)

    with pytest.raises(Refused, match="only be asked"):
        await adapter.deliver([claim])
    with pytest.raises(Uncertain, match="only be asked"):
        await adapter.find(Doubt(claim, NOW, NOW))
    assert adapter.preview(claim) == []
    await adapter.close()
