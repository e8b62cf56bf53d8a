"""What the parameters of a question to the OMS emulator do, one by one (OMS sheet, section 2)."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.emulators.kit import Served
from tests.emulators.oms import OmsEmulator
from tests.emulators.oms_query import Rules
from tests.emulators.oms_wire import ask, column, ids, refusal

RANGE = "filter[run_number][GE]=297050&filter[run_number][LE]=297056"
BAD_PARAMETER = "Request parameters error"
BAD_REQUEST = "BAD_REQUEST"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served(OmsEmulator()) as served:
        yield served


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ("filter[run_number][EQ]=297051", [297051]),
        ("filter[run_number]=297051", [297051]),
        ("filter[runs][run_number]=297051", [297051]),
        ("filter[runs][run_number][eq]=297051", [297051]),
        ("filter%5Brun_number%5D%5Beq%5D=297051", [297051]),
        (f"{RANGE}&filter[run_number][NEQ]=297052&filter[run_number][neq]=297053&", "014 56"),
        ("filter[run_number][gt]=297050&filter[run_number][Lt]=297053", [297051, 297052]),
        ("filter[run_number][IN]=297050,297056", [297050, 297056]),
        ("filter[run_number][LIKE]=29705%25", "0123456"),
        ("filter[run_number][LIKE]=9705", "0123456"),
        (f"{RANGE}&filter[l1_rate][EQ]=null", [297055]),
        (f"{RANGE}&filter[l1_rate][NEQ]=null", "01234 6"),
        (f"{RANGE}&filter[l1_rate][LT]=1000", "234"),
        (f"{RANGE}&filter[l1_rate][NEQ]=0.686", "0123 6"),
        (f"{RANGE}&filter[stable_beam][EQ]=True", [297050, 297056]),
        (f"{RANGE}&filter[stable_beam][EQ]=false", "12345"),
        (f"{RANGE}&filter[start_time][GE]=2017-06-17T02:49", [297055, 297056]),
        (f"{RANGE}&filter[start_time][GE]=2017-06-17T02:49:02Z", [297055, 297056]),
        (f"{RANGE}&filter[components][CT]=DT,CSC", "0123456"),
        (f"{RANGE}&filter[components][CT]=DT,CTPPS", []),
        ("filter[sequence][EQ]=MINIDAQ", [315199]),
        (f"{RANGE}&filter[l1_menu][EQ]=L1Menu%5FCollisions2017_dev_r5&sort=run_number", "0123456"),
        (f"{RANGE}&filter[l1_menu][EQ]=l1menu_Collisions2017_dev_r5", []),
        ("filter[last_lumisection_number][EQ]=null", [315199]),
    ],
)
def test_filters(served: Served, filters: str, numbers: list[int] | str) -> None:
    if isinstance(numbers, str):
        numbers = [297050 + int(one) for one in numbers.replace(" ", "")]
    answer = ask(served, f"runs?fields=run_number&{filters}")

    assert column(answer, "run_number") == numbers
    assert answer["meta"]["totalResourceCount"] == len(numbers)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("l1_rate", "4 2 3 1 0 6 5"),
        ("-l1_rate", "6 0 1 3 2 4 5"),
        ("stable_beam,-run_number", "5 4 3 2 1 6 0"),
        ("-stable_beam,run_number", "0 6 1 2 3 4 5"),
    ],
)
def test_sorting_puts_nulls_last_whichever_way(served: Served, sort: str, order: str) -> None:
    answer = ask(served, f"runs?fields=run_number&{RANGE}&sort={sort}")

    assert column(answer, "run_number") == [297050 + int(one) for one in order.split()]


def test_pages(served: Served) -> None:
    asked = "lumisections?fields=lumisection_number&filter[run_number]=297050"
    assert len(ask(served, asked)["data"]) == 100
    assert len(ask(served, f"{asked}&page[limit]=100000")["data"]) == 793

    last = ask(served, f"{asked}&page[offset]=700&page[limit]=100&sort=-lumisection_number")
    assert column(last, "lumisection_number") == list(range(93, 0, -1))
    links = last["links"]
    assert links["next"] is None
    tail = "&filter[lumisections][run_number][EQ]=297050&fields[lumisections]=lumisection_number"
    assert tail in links["prev"]
    assert links["prev"].endswith("&sort[lumisections]=-lumisection_number&page[offset]=600")
    assert links["last"].endswith("&page[offset]=700")
    assert ask(served, f"{asked}&page[offset]=900&page[limit]=100")["data"] == []


def test_links_escape_commas_and_not_brackets(served: Served) -> None:
    answer = ask(served, f"runs?fields=era,energy&{RANGE}&page[limit]=5")

    assert answer["links"]["next"].endswith("&fields[runs]=era%2Cenergy&page[offset]=5")


@pytest.mark.parametrize(
    ("asked", "title", "said"),
    [
        ("runs?page[limit]=100001", BAD_REQUEST, "larger than the maximum allowed of 100000"),
        ("runs?page[offset]=3&page[limit]=2", BAD_REQUEST, "offset 3 is not a multiple of limit 2"),
        ("runs?page[limit]=0", BAD_REQUEST, "limit value 0"),
        ("runs?page[limit]=x", BAD_PARAMETER, "page[limit]"),
        ("runs?fields=nothing", BAD_PARAMETER, "nothing"),
        ("runs?filter[nothing][EQ]=1", BAD_PARAMETER, "nothing"),
        ("runs?sort=-nothing", BAD_PARAMETER, "nothing"),
        ("runs?filter[run_number][ABOUT]=1", BAD_PARAMETER, "ABOUT"),
        ("runs?filter[run_number][EQ]=abc", BAD_PARAMETER, "abc is no int"),
        ("runs?filter[stable_beam][EQ]=1", BAD_PARAMETER, "1 is no bool"),
        ("runs?filter[end_time][GE]=yesterday", BAD_PARAMETER, "yesterday is no time"),
        ("runs?filter[end_time][GE]=null", BAD_PARAMETER, "null"),
        ("runs?run_number=1", BAD_PARAMETER, "unknown parameter run_number"),
        ("runs?include=everything", BAD_PARAMETER, "everything"),
        ("l1triggerrates?group[granularity]=week", BAD_PARAMETER, "week"),
        ("l1triggerrates?sort=l1a_physics", BAD_PARAMETER, "not sortable"),
        ("l1triggerrates?filter[l1a_physics][GE]=1", BAD_PARAMETER, "not searchable"),
    ],
)
def test_what_makes_no_sense_is_refused(served: Served, asked: str, title: str, said: str) -> None:
    status, told, detail = refusal(served, asked)

    assert (status, told) == (400, title)
    assert said in detail


@pytest.mark.parametrize(
    ("rules", "value", "found"),
    [
        (Rules(), "ZeroBias", 1),
        (Rules(), "zerobias", 1),
        (Rules(), "HLT_Mu%", 31),
        (Rules(), "HLT-ZeroBias_v5", 0),
        (Rules(like_case=True), "zerobias", 0),
        (Rules(like_contains=False), "ZeroBias", 0),
        (Rules(like_contains=False), "%ZeroBias%", 1),
        (Rules(), "HLT_Zero_ias_v5", 0),
        (Rules(like_underscore=True), "HLT_Zero_ias_v5", 1),
    ],
    ids=str,
)
def test_how_like_matches_can_be_switched(
    served: Served, rules: Rules, value: str, found: int
) -> None:
    emulator = served.emulator
    assert isinstance(emulator, OmsEmulator)
    emulator.rules, before = rules, emulator.rules
    try:
        asked = f"filter[run_number]=297052&filter[path_name][LIKE]={quote(value)}"
        answer = ask(served, f"hltpathinfo?fields=path_name&{asked}")
    finally:
        emulator.rules = before

    assert len(answer["data"]) == found


def test_the_next_row_of_an_answer_gives_end_lumi(served: Served) -> None:
    asked = "lumisections?fields=init_lumi,end_lumi&filter[run_number]=297050&page[limit]=2"
    answer = ask(served, asked)
    first, second = column(answer, "init_lumi")
    assert column(answer, "end_lumi")[0] == second != first

    odd = ask(served, f"{asked}&filter[lumisection_number][IN]=1,3")
    assert column(odd, "end_lumi") == [column(odd, "init_lumi")[1], 0.0]
    assert column(odd, "end_lumi")[0] != second


def test_the_latest_lumisection_of_a_run(served: Served) -> None:
    for resource, name in (("lumisections", ""), ("l1triggerrates", "last_")):
        asked = f"filter[run_number]=306458&filter[{name}lumisection_number][EQ]=-1"
        answer = ask(served, f"{resource}?{asked}&group[granularity]=lumisection")
        assert ids(answer) == ["306458_269"]


def test_times_as_people_read_them(served: Served) -> None:
    asked = "runs?fields=start_time&include=presentation_timestamp"
    since = quote("2017-06-17 02:49:02")
    answer = ask(served, f"{asked}&{RANGE}&filter[start_time][GE]={since}")

    assert column(answer, "start_time") == ["2017-06-17 02:49:02", "2017-06-17 02:58:47"]
    status, _, detail = refusal(served, f"{asked}&filter[start_time][GE]=2017-06-17T02:49:02Z")
    assert (status, "2017-06-17T02:49:02Z" in detail) == (400, True)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("l1triggerrates?filter[run_number]=297056&group[granularity]=lumisection", 211),
        ("l1triggerrates?filter[run_number]=297056&group[granularity]=run", 1),
        ("l1triggerrates?filter[run_number]=297056", 1),
        ("l1triggerrates?filter[run_number]=297056&group[size]=50", 5),
        ("l1triggerrates?filter[run_number]=297056&group[count]=3", 3),
        (f"deadtimes?{RANGE}&group[granularity]=fill", 1),
        (f"deadtimes?{RANGE}&group[granularity]=run", 7),
        ("l1algorithmtriggers?filter[run_number]=297052&group[granularity]=run", 3),
        ("l1algorithmtriggers?filter[run_number]=297052", 24),
        ("hltpathrates?filter[run_number]=297052&group[granularity]=run", 278),
        ("streams?filter[run_number]=297052&group[granularity]=run", 3),
    ],
)
def test_rows_are_put_together(served: Served, asked: str, found: int) -> None:
    answer = ask(served, f"{asked}&page[limit]=1000")

    assert len(set(ids(answer))) == answer["meta"]["totalResourceCount"] == found


def test_a_run_has_the_sum_of_its_lumisections(served: Served) -> None:
    asked = "l1triggerrates?fields=l1a_physics,last_lumisection_number&filter[run_number]=297050"
    (row,) = ask(served, f"{asked}&group[granularity]=run")["data"]

    assert row["attributes"]["last_lumisection_number"] == 793
    assert round(row["attributes"]["l1a_physics"]["rate"], 2) == 48025.66

    sized = ask(served, f"{asked}&group[size]=100")
    assert column(sized, "last_lumisection_number") == [*range(100, 701, 100), 793]


def test_a_run_may_lack_a_lumisection(served: Served) -> None:
    asked = "lumisections?fields=lumisection_number&filter[run_number]=380147&page[limit]=500"
    sections = column(ask(served, asked), "lumisection_number")

    assert (len(sections), sections[-1], 186 in sections) == (409, 410, False)


def test_luminosity_is_cumulative_over_the_fill_and_small_ones_have_units_of_their_own(
    served: Served,
) -> None:
    asked = "lumisections?fields=delivered_lumi&filter[fill_number]=5839&page[limit]=2000"
    rows = ask(served, f"{asked}&filter[delivered_lumi][NEQ]=null")["data"]
    scales = {"pb^{-1}": 1.0, "nb^{-1}": 0.001}
    units = [row["meta"]["row"]["delivered_lumi"]["units"] for row in rows]
    lumi = [
        row["attributes"]["delivered_lumi"] * scales[unit]
        for row, unit in zip(rows, units, strict=True)
    ]

    assert set(units[:10]) == set(scales)
    assert lumi[:793] == sorted(lumi[:793])
    assert lumi[793] > 100, "the next run of the fill goes on from there"
