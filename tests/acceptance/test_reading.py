"""Questions to a whole Holdfast: the OMS tutorial in a tunnel, runs, holes, pins, damage."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.copied import RECIPES, run
from tests.emulators.kit import Served
from tests.emulators.oms import OmsEmulator
from tests.terminal import Terminal
from tests.world import EXPERIMENT, World, wait_until
from tests.zygote import Zygote

OMS = '[backends.oms]\nkind = "oms"\nurl = "{url}"\ntimeout_seconds = 2\npage_rows = 1000\n'
FRESH, NOT_FRESH, REFUSED, NOT_NOW = 0, 4, 65, 75
MARKED = re.compile(r" \[(live|cache|derived)\]$", re.MULTILINE)


class Lab(World):
    """A world with an OMS."""

    def __init__(self, zygote: Zygote) -> None:
        super().__init__(zygote)
        self.oms = OmsEmulator()
        self.served["oms"] = Served(self.oms)
        with self.config.open("a") as config:
            config.write(OMS.format(url=self.served["oms"].url))

    def query(self, target: str) -> Any:
        """GET /v1/query/...; the body, whatever its status."""
        return self.request("GET", f"/v1/query/{quote(target, safe='/?&=,:[]%')}")[1]


@pytest.fixture
def lab(zygote: Zygote) -> Iterator[Lab]:
    with Lab(zygote) as made:
        made.start()
        yield made


@pytest.fixture
def type_(lab: Lab) -> Terminal:
    return Terminal(lab)


def test_the_tutorial_says_the_same_in_a_tunnel(lab: Lab, tmp_path: Path) -> None:
    script = RECIPES / "oms_examples.py"
    online = run(lab, sys.executable, script, tmp_path).stdout
    plots = {file.name: file.read_text() for file in tmp_path.iterdir()}
    lab.served["oms"].unplug()
    offline = run(lab, sys.executable, script, tmp_path)

    assert set(MARKED.findall(online)) == {"live"}
    assert set(MARKED.findall(offline.stdout)) == {"cache"}
    assert MARKED.sub("", offline.stdout) == MARKED.sub("", online)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == plots
    assert set(plots) == {"pileup.svg", "l1_rate.svg", "hlt_rate.svg", "cms_active.svg"}
    for said in (
        "4655 of 4655: 315190_1 to",
        "mean 48025.66 Hz",
        "278 paths",
        "297055  None",
        "269 lumisections",
    ):
        assert said in online


def test_what_was_asked_answers_what_it_implies_and_names_what_it_does_not(
    lab: Lab, type_: Terminal
) -> None:
    assert type_("query", "oms", "runs", "297050:297053", "--fields", "l1_rate,l1_menu") == FRESH
    assert type_("query", "oms", "runs", "297055:297056", "--fields", "l1_rate,l1_menu") == FRESH
    lab.served["oms"].unplug()

    assert type_("query", "oms", "runs", "297051:297053", "--fields", "l1_rate", "--csv") == FRESH
    assert type_.out.splitlines()[0].startswith("id,l1_rate")
    assert "made of kept answers" in type_.err
    assert type_("query", "oms", "runs", "297050:297056", "--fields", "l1_rate") == NOT_NOW
    assert "297054" in type_.err
    partial = ("query", "oms", "runs", "297050:297056", "--fields", "l1_rate", "--partial")
    assert type_(*partial, "--json") == NOT_FRESH
    told = json.loads(type_.out)
    assert (told["complete"], told["missing"]) == (False, [[297054, 297054]])
    assert [row["id"] for row in told["data"]] == [f"29705{last}" for last in (0, 1, 2, 3, 5, 6)]
    assert type_("query", "oms", "runs", "297050", "--fields", "l1_rat") == REFUSED
    assert "l1_rate" in type_.err
    assert type_("query", "oms", "runs", "297050", "--live") == NOT_NOW


def test_a_run_that_goes_on_is_not_settled_and_grows(lab: Lab) -> None:
    world = lab.oms.world
    world.begin(500001)
    world.tick(3)
    rates = "oms/l1triggerrates?run=500001&granularity=lumisection"
    first = lab.query(rates)
    world.tick(4)
    second = lab.query(rates)
    lab.served["oms"].unplug()
    kept = lab.query(rates)

    assert len(second["data"]) == len(first["data"]) + 4
    assert [one["source"] for one in (first, second, kept)] == ["live", "live", "cache"]
    assert [one["settled"] for one in (first, second, kept)] == [False] * 3
    assert kept["stale"] is True
    assert kept["data"] == second["data"]


def test_a_settled_row_that_changes_is_seen_by_whoever_can_ask(lab: Lab) -> None:
    target = "oms/runs?run=297050&fields=l1_rate"
    before = lab.query(target)
    lab.oms.world.change("runs", "297050", touch=True, l1_rate=1.5)
    live = lab.query(target)
    lab.served["oms"].unplug()
    kept = lab.query(target)

    assert before["settled"] is True
    assert live["data"][0]["attributes"]["l1_rate"] == 1.5
    assert kept["data"] == live["data"]


def test_five_thousand_rows_are_five_thousand_rows(lab: Lab, type_: Terminal) -> None:
    lab.oms.world.add_runs(5000, first=400000, sections=1)

    assert type_("query", "oms", "runs", "400000:404999", "--fields", "run_number", "--csv") == 0
    assert len(type_.out.splitlines()) == 5001
    lab.served["oms"].unplug()
    offline = ("query", "oms", "runs", "400000:404999", "--fields", "run_number", "--offline")
    assert type_(*offline, "--csv") in (FRESH, NOT_FRESH)
    assert len(type_.out.splitlines()) == 5001


def test_a_pin_is_at_hand_and_survives_the_loss_of_the_cache(lab: Lab, type_: Terminal) -> None:
    assert type_("pin", "oms", "runs", "297050", "--fields", "l1_rate") == FRESH
    assert "and fetched" in type_.out
    lab.kill()
    for file in (lab.home / "state").glob("cache.db*"):
        file.write_bytes(b"not a database any more" * 99)
    lab.start()

    wait_until(lambda: lab.request("GET", "/v1/pins")[1]["pins"][0]["fetched_at"], 20)
    lab.served["oms"].unplug()
    assert type_("query", "oms", "runs", "297050", "--fields", "l1_rate") == FRESH
    assert "49130.85" in type_.out
    assert type_("pin", "--list") == 0
    assert "settled" in type_.out
    identity = json.loads(_json(type_, "pin", "--list"))["pins"][0]["id"]
    assert type_("pin", "--remove", identity) == 0
    assert type_("pin", "--remove", identity) == 66


def _json(type_: Terminal, *words: str) -> str:
    assert type_(*words, "--json") == 0
    return type_.out


def test_without_an_agent_the_command_asks_and_keeps(lab: Lab, type_: Terminal) -> None:
    assert type_("query", "oms", "runs", "297050", "--fields", "l1_rate") == FRESH
    lab.kill()

    assert type_("query", "oms", "runs", "297051", "--fields", "l1_rate") == FRESH
    lab.served["oms"].unplug()
    # The agent's cache, and ours, are one here.
    assert type_("query", "oms", "runs", "297050:297051", "--fields", "l1_rate") == FRESH
    assert "made of kept answers" in type_.err
    shown = ("query", "oms", "runs", "1", "--filter", "l1_menu=a&b", "--show-request")
    assert type_(*shown) == FRESH
    assert "a%26b" in type_.out


def test_a_parameter_that_waits_is_there_for_the_script_that_asks(
    lab: Lab, type_: Terminal
) -> None:
    lab.served["elog"].unplug()
    payload = {"experiment": EXPERIMENT, "run": 1, "params": {"hits": 42}}
    status, accepted = lab.put("elog", payload, kind="run_params")
    assert status == 202

    question = ("query", "elog", "params", "--experiment", EXPERIMENT, "--include-queued", "--json")
    assert type_(*question) == NOT_FRESH
    told = json.loads(type_.out)

    assert (told["queued"], told["complete"], told["fetched_at"]) == (1, False, None)
    (one,) = told["data"]
    assert (one["run"], one["params"]["hits"]) == (1, 42)
    assert one["queued"] == {"hits": accepted["id"]}
    lab.kill()
    assert type_(*question) == NOT_FRESH
    assert json.loads(type_.out)["data"] == told["data"]


def test_the_four_systems_answer_in_one_shape_and_say_what_can_be_asked(
    lab: Lab, type_: Terminal
) -> None:
    for target in (
        "events/health",
        "events/recent?number=1",
        "telemetry/ready",
        "telemetry/current",
        "accounting/records",
        "accounting/health",
        f"elog/runs?experiment={EXPERIMENT}",
        f"elog/runs_by_tag?experiment={EXPERIMENT}&tag=A",
        "elog/active_experiments",
    ):
        told = lab.query(target)
        assert (told["source"], told["complete"], told["stale"]) == ("live", True, False), told
        assert told["fetched_at"].endswith("Z")

    assert set(lab.request("GET", "/v1/query")[1]["backends"]) == set(lab.served)
    assert type_("query", "--help") == 0
    assert "a backend of kind 'oms'" in type_.out
    assert type_("query", "elog", "runs_by_tag", "--help") == 0
    assert "--experiment" in type_.out
