"""The OMS emulator answers as the sheet says: its examples first, then the oddities one by one."""

from collections.abc import Iterator

import pytest

from tests.emulators.kit import Served
from tests.emulators.oms import JSON_API, ROOT, OmsEmulator
from tests.emulators.oms_catalogue import CATALOGUE, WITHOUT_CATALOGUE
from tests.emulators.oms_wire import ask, call, column, ids, refusal

RANGE = "filter[run_number][GE]=297050&filter[run_number][LE]=297056"
SPRING = "filter[run_number][GE]=315190&filter[run_number][LE]=315290"
FIRST = "page[offset]=0&page[limit]=1000"
RUN = "filter[run_number][EQ]=297050"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One for the tests that change nothing."""
    with Served(OmsEmulator()) as served:
        yield served


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


def test_a_row_looks_as_recorded(served: Served) -> None:
    reply = call(served, "GET", f"{ROOT}runs?{RUN}&page[limit]=1000")
    assert reply.headers["content-type"] == JSON_API
    (row,) = reply.json()["data"]

    here = f"https://https://127.0.0.1:{served.port}{ROOT}runs"
    assert list(row) == ["id", "type", "attributes", "relationships", "links", "meta"]
    assert row["links"] == {"self": f"{here}/297050"}
    assert row["relationships"]["lumisections"]["links"] == {
        "self": f"{here}/297050/relationships/lumisections",
        "related": f"{here}/297050/lumisections",
    }
    assert len(row["relationships"]) == 9
    assert row["meta"]["row"]["delivered_lumi"] == {"units": "pb^{-1}"}
    link = f"{here}?page[limit]=1000&filter[runs][run_number][EQ]=297050"
    assert reply.json()["links"] == {"first": link, "last": link, "next": None, "prev": None}


def test_with_fields_a_row_tells_of_no_relations(served: Served) -> None:
    (row,) = ask(served, f"runs?fields=era,fill_number&{RUN}")["data"]
    assert list(row) == ["id", "type", "attributes", "links"]

    (row,) = ask(served, f"runs?fields=era,init_lumi&{RUN}")["data"]
    assert list(row["meta"]["row"]) == ["init_lumi"]


def test_units_differ_between_the_rows_of_one_answer(served: Served) -> None:
    answer = ask(served, f"runs?fields=delivered_lumi&{RANGE}")

    units = [row["meta"]["row"]["delivered_lumi"]["units"] for row in answer["data"]]
    assert set(units) == {"pb^{-1}", "nb^{-1}"}


def test_no_match_is_an_empty_answer(served: Served) -> None:
    answer = ask(served, "runs?filter[run_number][EQ]=1")

    assert answer == {
        "data": [],
        "links": dict.fromkeys(("first", "last", "next", "prev")),
        "meta": {"totalResourceCount": 0},
    }


@pytest.mark.parametrize("resource", CATALOGUE)
def test_a_catalogue_is_complete(served: Served, resource: str) -> None:
    meta = ask(served, f"{resource}/meta")["meta"]
    narrow = "&filter[run_number]=297052" if "run_number" in meta["fields"] else ""
    answer = ask(served, f"{resource}?page[limit]=1&include=meta{narrow}")

    assert meta["fields_order"] == list(meta["fields"])
    assert list(answer["data"][0]["attributes"]) == meta["fields_order"]
    assert answer["meta"]["fields"] == meta["fields"]
    assert set(next(iter(meta["fields"].values()))) == {
        *("title", "description", "units", "api_type"),
        *("sortable", "searchable", "projectable"),
    }


@pytest.mark.parametrize("resource", WITHOUT_CATALOGUE)
def test_or_absent(served: Served, resource: str) -> None:
    assert refusal(served, f"{resource}/meta")[0] == 404
    assert ask(served, resource)["data"] == []


def test_one_row_and_what_belongs_to_it(served: Served) -> None:
    assert ask(served, "runs/297050")["data"]["attributes"]["fill_number"] == 5839
    assert ask(served, "lumisections/297050_1")["data"]["id"] == "297050_1"
    assert ask(served, "fills/5839")["data"]["attributes"]["era"] == "2017B"
    assert ask(served, "eras/2024C/")["data"]["attributes"]["end_time"] is None

    stable = ask(served, "runs/297050/lumisections?filter[beams_stable]=true&page[limit]=1")
    assert (ids(stable), stable["meta"]["totalResourceCount"]) == (["297050_3"], 791)
    assert ask(served, "runs/297050/fill")["data"]["id"] == "5839"
    assert len(ask(served, "fills/5839/runs")["data"]) == 7
    linked = ask(served, "runs/297050/relationships/lumisections?page[limit]=2")
    assert linked["data"] == [{"type": "lumisections", "id": f"297050_{n}"} for n in (1, 2)]


@pytest.mark.parametrize(
    "path",
    [
        "runs/1",
        "runs/none",
        "lumisections/297050_9999",
        "nowhere",
        "runs/297050/none",
        "runs/1/fill",
    ],
)
def test_what_is_not_there_is_404(served: Served, path: str) -> None:
    status, title, detail = refusal(served, path)
    assert (status, title) == (404, detail)


def test_other_methods_and_addresses_are_refused_in_json(served: Served) -> None:
    assert call(served, "POST", f"{ROOT}runs").json()["errors"][0]["status"] == "405"
    assert call(served, "GET", "/agg/api/runs/meta").json()["errors"][0]["status"] == "404"


def test_the_same_as_csv(served: Served) -> None:
    asked = f"runs/csv?fields=run_number,l1_rate,components&{RANGE}&sort=-run_number&page[limit]=2"
    reply = call(served, "GET", ROOT + asked)

    lines = reply.body.decode().splitlines()
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    assert lines[0] == "components,l1_rate,run_number"
    assert [line.rpartition('"')[2] for line in lines[1:]] == [",60997.938,297056", ",,297055"]


def test_the_small_lists_of_the_portal(served: Served) -> None:
    wanted = "filter[items][EQ]=5&filter[sequence][EQ]=GLOBAL-RUN&filter[run_number][EQ]=2970%25"
    assert column(ask(served, f"runs/autocomplete?{wanted}"), "run_number") == [
        *(297056, 297055, 297054, 297053, 297052),
    ]
    assert column(ask(served, "runs/sequences"), "sequence") == ["GLOBAL-RUN", "MINIDAQ"]
    assert "version" in ask(served, "version")["data"][0]["attributes"]
    assert "runs" in column(ask(served, "version/endpoints"), "endpoint")
    assert ask(served, "downtimes/groups")["data"]


def test_the_rates_of_all_paths_of_all_runs_are_too_much_for_a_database(served: Served) -> None:
    assert refusal(served, "hltpathrates") == (500, "INTERNAL_SERVER_ERROR", "statement timeout")
