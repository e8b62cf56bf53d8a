"""The real client of OMS, `omsapi` 0.9.8.1, asks our emulator: what the emulator says is true.

One process of the client asks everything (tests/real/oms_client.py); the tests look at what it
got, and at what went over the wire.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.emulators.kit import Served
from tests.emulators.oms import ROOT, OmsEmulator
from tests.emulators.oms_catalogue import CATALOGUE
from tests.emulators.oms_sso import DEVICE_CODE, EXCHANGE
from tests.emulators.oms_wire import column, ids
from tests.real.cached_env import Unavailable, cached_environment

pytestmark = pytest.mark.real
PACKAGES = ("omsapi==0.9.8.1", "tsgauth==0.12.0")
SCRIPT = Path(__file__).parent.parent / "real" / "oms_client.py"
ASK_SECONDS = 60
FIRST = "page[offset]=0&page[limit]=1000"


@dataclass(frozen=True)
class Told:
    """What the client got, by kind and question; what it sent, decoded; the tokens it asked for."""

    got: dict[str, Any]
    sent: list[str]
    raw: list[str]
    counts: dict[str, int]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    try:
        python = cached_environment("oms-client-0.9.8.1", PACKAGES)
    except Unavailable as exc:
        pytest.skip(f"the real client of OMS cannot be had here: {exc.reason}")
    home = tmp_path_factory.mktemp("oms_client")
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    emulator = OmsEmulator(ways=("bearer",))
    with Served(emulator) as served:
        asked = subprocess.run(
            [python, "-I", SCRIPT, served.url],
            env={**kept, "HOME": str(home)},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=False,
        )
    assert asked.returncode == 0, asked.stderr
    raw = [one.removeprefix(ROOT) for one in emulator.queries]
    sent = [unquote(one) for one in raw]
    return Told(json.loads(asked.stdout), sent, raw, emulator.counts())


@pytest.mark.parametrize(
    ("number", "rows", "total"),
    [
        ("1", 1, 1),
        ("2", 1, 1),
        ("3", 7, 7),
        ("4", 1, 1),
        ("5b", 1000, 4655),
        ("6", 793, 793),
        ("7a", 278, 275),  # its total is loose
        ("7b", 793, 793),
        ("8", 269, 269),
    ],
)
def test_each_example_of_the_reference_is_answered(
    told: Told, number: str, rows: int, total: int
) -> None:
    answer = told.got["examples"][number]

    assert (len(answer["data"]), answer["meta"]["totalResourceCount"]) == (rows, total)


def test_the_values_are_those_that_were_recorded(told: Told) -> None:
    examples = told.got["examples"]

    assert len(examples["1"]["data"][0]["attributes"]) == 43
    rates = [49130.85, 1114.198, 766.784, 972.374, 0.686, None, 60997.938]
    assert column(examples["3"], "l1_rate") == rates
    assert ids(examples["4"]) == ["297050_1"]
    assert (ids(examples["5b"])[0], ids(examples["5b"])[-1]) == ("315190_1", "315224_17")
    physics = [one["rate"] for one in column(examples["6"], "l1a_physics")]
    assert round(sum(physics) / len(physics), 2) == 48025.66
    assert "HLT_ZeroBias_v5" in column(examples["7a"], "path_name")


def test_the_catalogue_is_asked_for_before_each_question(told: Told) -> None:
    number = f"filter[run_number][EQ]=297050&{FIRST}"

    assert told.sent[:2] == ["runs/meta?", f"runs?{number}"]
    grouped = f"l1triggerrates?{number}&group[granularity]=lumisection"
    place = told.sent.index(grouped)
    assert told.sent[place - 1] == "l1triggerrates/meta?"
    assert told.got["questions"]["catalogue"].keys() == CATALOGUE["fills"].keys()


def test_the_client_drops_what_the_catalogue_does_not_name(told: Told) -> None:
    """And so asks for everything; the emulator itself refuses, and so must everybody's answer."""
    questions = told.got["questions"]

    assert "runs?page[offset]=0&page[limit]=1" in told.sent
    assert len(questions["dropped"]["data"]) == 1
    assert questions["unchecked"]["status"] == 400
    assert "no_such_attribute" in questions["unchecked"]["body"]
    # It looks into the catalogue of the first resource of a path only.
    assert "runs/297050/lumisections?page[offset]=0&page[limit]=10" in told.sent
    assert questions["below"]["meta"]["totalResourceCount"] == 793


def test_without_a_catalogue_the_client_sends_what_it_is_told(told: Told) -> None:
    questions = told.got["questions"]

    assert questions["without catalogue"]["status"] == 200
    assert "runkeys?filter[anything][EQ]=1&page[offset]=0&page[limit]=10" in told.sent
    assert questions["no resource"]["status"] == 404


def test_operators_sorting_pages_and_includes(told: Told) -> None:
    questions = told.got["questions"]

    assert questions["one row"]["data"]["id"] == "297050"
    assert column(questions["like"], "path_name") == ["HLT_ZeroBias_v5"]
    assert any("%5BLIKE%5D=%25ZeroBias%25&" in one for one in told.raw)
    assert sorted(ids(questions["contains"])) == [str(297050 + n) for n in range(7)]
    assert ids(questions["sorted"]) == [str(297050 + n) for n in (6, 0, 1, 3, 2, 4, 5)]
    assert ids(questions["null"]) == ["297055"]
    assert ids(questions["second page"])[:2] == ["297055", "297056"]
    assert column(questions["presented"], "start_time") == ["2017-06-16 20:50:33"]
    assert questions["presented"]["meta"]["fields"].keys() == CATALOGUE["runs"].keys()
    assert questions["version"]["status"] == 200
    assert questions["too large"]["status"] == 400


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("young token", 401),  # it is repeated with the same token, for 30 s
        ("renewed", 200),
        ("once", 200),
        ("401", 401),
        ("403", 403),
        ("html", 200),
    ],
)
def test_the_client_asks_for_another_token_once(told: Told, what: str, status: int) -> None:
    assert told.got["refusals"][what]["status"] == status


def test_the_client_raises_for_redirects_and_wrong_secrets(told: Told) -> None:
    refusals = told.got["refusals"]

    assert refusals["302"]["raised"].startswith("Received redirect (HTTP 302)")
    assert refusals["wrong secret"]["raised"].startswith("Unable to acquire OAuth token")
    assert "401" in refusals["strict"]["raised"]
    assert told.counts["api-access"] == 5, "at first, three times renewed, and the wrong secret"


def test_a_device_signs_in_by_its_user(told: Told) -> None:
    assert told.got["device"]["status"] == 200
    assert told.got["device"]["waits"] == [5, 5]
    assert (told.counts["device"], told.counts[DEVICE_CODE], told.counts[EXCHANGE]) == (1, 2, 1)
