"""The OMS emulator answers as the sheet says: its examples first, then the oddities one by one."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.emulators.kit import Served
from tests.emulators.oms import OmsEmulator

RANGE = "filter[run_number][GE]=297050&filter[run_number][LE]=297056"
SPRING = "filter[run_number][GE]=315190&filter[run_number][LE]=315290"
FIRST = "page[offset]=0&page[limit]=1000"
RUN = "filter[run_number][EQ]=297050"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One for the tests that change nothing."""
    with Served(OmsEmulator()) as served:
        yield served


def ask(served: Served, path: str) -> Any:
    reply = httpx.get(f"{served.url}/agg/api/v1/{path}")
    assert reply.status_code == 200, reply.text
    return reply.json()


def refusal(served: Served, path: str) -> tuple[int, str]:
    """The status and what is said."""
    reply = httpx.get(f"{served.url}/agg/api/v1/{path}")
    (error,) = reply.json()["errors"]
    assert error["status"] == str(reply.status_code)
    return reply.status_code, error["detail"]


def column(answer: Any, name: str) -> list[Any]:
    return [row["attributes"][name] for row in answer["data"]]


def test_one_run_has_its_43_attributes(served: Served) -> None:
    answer = ask(served, f"runs/?{RUN}&{FIRST}")

    (row,) = answer["data"]
    assert (row["id"], row["type"], len(row["attributes"])) == ("297050", "runs", 43)
    assert answer["meta"] == {"totalResourceCount": 1}
    known = {
        "fill_number": 5839,
        "start_time": "2017-06-16T20:50:33Z",
        "end_time": "2017-06-17T01:57:57Z",
        "last_update": "2017-06-16T21:13:57Z",
        "last_lumisection_number": 793,
        "duration": 18444,
        "stable_beam": True,
        "sequence": "GLOBAL-RUN",
        "era": "2017B",
    }
    assert known.items() <= row["attributes"].items()


def test_two_fields_of_seven_runs(served: Served) -> None:
    answer = ask(served, f"runs/?fields=l1_menu,l1_rate&{RANGE}&{FIRST}")

    rates = [49130.85, 1114.198, 766.784, 972.374, 0.686, None, 60997.938]
    assert column(answer, "l1_rate") == rates
    assert column(answer, "l1_menu")[0] == "L1Menu_Collisions2017_dev_r5"
    assert all(len(row["attributes"]) == 2 for row in answer["data"])


def test_one_lumisection_is_the_last_of_its_answer(served: Served) -> None:
    answer = ask(served, f"lumisections/?{RUN}&filter[lumisection_number][EQ]=1&{FIRST}")

    (row,) = answer["data"]
    assert (row["id"], len(row["attributes"])) == ("297050_1", 53)
    assert row["attributes"]["end_lumi"] == 0.0


def test_a_range_of_runs_has_more_lumisections_than_a_page(served: Served) -> None:
    fields = "fields=lumisection_number,fill_number,run_number"
    answer = ask(served, f"lumisections/?{fields}&{SPRING}&{FIRST}")

    assert (answer["data"][0]["id"], answer["data"][-1]["id"]) == ("315190_1", "315224_17")
    assert (len(answer["data"]), answer["meta"]["totalResourceCount"]) == (1000, 4655)
    assert answer["links"]["next"].endswith("&page[offset]=1000")
    assert answer["links"]["last"].endswith("&page[offset]=4000")


def test_level_one_rates_by_lumisection(served: Served) -> None:
    answer = ask(served, f"l1triggerrates/?{RUN}&{FIRST}&group[granularity]=lumisection")

    physics = [one["rate"] for one in column(answer, "l1a_physics")]
    assert len(physics) == 793
    assert round(sum(physics) / len(physics), 2) == 48025.66
    first = answer["data"][0]["attributes"]
    assert first["start_time"] == "2017-06-16T20:51:27Z"
    assert first["l1a_physics"] == {"counter": 557503, "rate": 23916.926}
    assert first["l1a_total"] == {"counter": 569191, "rate": 24418.342}
    assert first["physics_generated_fdl_gt"] == {"counter": None, "rate": None}
    assert first["percentage_physics_triggers_lost"] == 27.708


def test_paths_of_the_hlt_and_the_rate_of_one(served: Served) -> None:
    answer = ask(served, f"hltpathinfo/?fields=path_name,run_number&{RUN}&{FIRST}")
    names = column(answer, "path_name")
    assert len(set(names)) == len(names) == 278
    assert names == sorted(names)
    assert answer["meta"]["totalResourceCount"] == 275, "of one group of lumisections"

    path = "filter[path_name][EQ]=HLT_ZeroBias_v5"
    rates = ask(served, f"hltpathrates/?{RUN}&{path}&{FIRST}&group[granularity]=lumisection")
    assert column(rates, "first_lumisection_number") == list(range(1, 794))
    assert all(isinstance(rate, float) for rate in column(rates, "rate"))


def test_cms_was_active_or_not(served: Served) -> None:
    fields = "fields=lumisection_number,cms_active"
    answer = ask(served, f"lumisections/?{fields}&filter[run_number][EQ]=306458&{FIRST}")

    assert len(answer["data"]) == answer["meta"]["totalResourceCount"] == 269
    assert set(column(answer, "cms_active")) == {True, False}


def test_more_of_any_kind(served: Served) -> None:
    assert len(ask(served, "fills?fields=fill_number")["data"]) > 5
