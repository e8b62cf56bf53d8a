"""What moves in the OMS emulator: a run that goes on, corrections, and what goes wrong."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.kit import Served
from tests.emulators.oms import ROOT, OmsEmulator
from tests.emulators.oms_errors import BadRequest
from tests.emulators.oms_wire import ask, call, column, ids, refusal

NOW = 1_790_000_000.0
NEWEST = "sort=-run_number&page[offset]=0&page[limit]=1&filter[sequence][EQ]=GLOBAL-RUN"
NUMBER = 500_001


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OmsEmulator()) as server:
        yield server


@pytest.fixture
def oms(server: Served) -> OmsEmulator:
    emulator = OmsEmulator()
    emulator.world.now = NOW
    server.serve(emulator)
    return emulator


def newest(server: Served) -> dict[str, Any]:
    """The newest run, as the portal asks for it."""
    (row,) = ask(server, f"runs?{NEWEST}")["data"]
    found: dict[str, Any] = row["attributes"]
    return found


def rates(server: Served) -> list[bool]:
    """For each lumisection, whether its rate has come."""
    asked = f"l1triggerrates?filter[run_number]={NUMBER}&group[granularity]=lumisection"
    return [one["rate"] is not None for one in column(ask(server, asked), "l1a_physics")]


def test_a_run_goes_on(server: Served, oms: OmsEmulator) -> None:
    oms.world.begin(NUMBER)
    first = newest(server)
    assert (first["last_lumisection_number"], first["end_time"]) == (1, None)
    assert rates(server) == [False]

    oms.world.now = NOW + 24
    assert newest(server)["last_lumisection_number"] == 2
    oms.world.tick(3)
    going = newest(server)
    assert (going["last_lumisection_number"], going["tier0_transfer"]) == (5, False)
    assert going["last_update"] > first["last_update"]
    assert rates(server) == [True, True, True, False, False]
    lumi = ask(server, f"lumisections?filter[run_number]={NUMBER}&filter[init_lumi]=null")
    assert ids(lumi) == [f"{NUMBER}_4", f"{NUMBER}_5"]

    oms.world.end(NUMBER)
    oms.world.tick(9)
    ended = newest(server)
    assert ended["end_time"] is not None
    same = ("last_update", "last_lumisection_number", "tier0_transfer")
    assert [ended[name] for name in same] == [going[name] for name in same]
    assert rates(server) == [True] * 5
    oms.world.transfer(NUMBER)
    assert newest(server) == {**ended, "tier0_transfer": True}


def test_a_run_that_goes_on_may_lack_lumisections(server: Served, oms: OmsEmulator) -> None:
    oms.world.begin(NUMBER, gaps=[3])
    oms.world.tick(4)

    answer = ask(server, f"lumisections?filter[run_number]={NUMBER}")
    assert column(answer, "lumisection_number") == [1, 2, 4, 5]
    assert ask(server, f"fills/{9999}")["data"]["attributes"]["end_time"] is None


@pytest.mark.parametrize("touch", [True, False], ids=["told", "untold"])
def test_a_settled_row_may_change(server: Served, oms: OmsEmulator, touch: bool) -> None:
    before = ask(server, "runs/297050")["data"]["attributes"]
    ask(server, "lumisections/297050_5")
    oms.world.change("lumisections", "297050_5", touch=touch, pileup=99.0)
    oms.world.change("runs", "297050", touch=touch, l1_rate=1.0)
    oms.world.change("eras", "2024C", touch=touch, end_fill=9999)

    assert ask(server, "lumisections/297050_5")["data"]["attributes"]["pileup"] == 99.0
    run = ask(server, "runs/297050")["data"]["attributes"]
    assert run["l1_rate"] == 1.0
    assert (run["last_update"] != before["last_update"]) == touch
    assert ask(server, "eras/2024C")["data"]["attributes"]["end_fill"] == 9999


def test_there_can_be_as_many_rows_as_wanted(server: Served, oms: OmsEmulator) -> None:
    oms.world.add_runs(5000)
    oms.world.add_runs(1, first=600_000, sections=6000)
    oms.world.add_rows("downtimes", ((str(n), {"id": n, "group": "CMS"}) for n in range(5000)))

    numbers = ask(server, "runs?fields=run_number&filter[run_number][GE]=400000&page[limit]=10000")
    assert numbers["meta"]["totalResourceCount"] == len(numbers["data"]) == 5001
    asked = "fields=lumisection_number&filter[run_number]=600000&page[limit]=100000"
    assert len(ask(server, f"lumisections?{asked}")["data"]) == 6000
    assert len(ask(server, "downtimes?page[limit]=5000&filter[group]=CMS")["data"]) == 5000


def test_an_older_server_knows_fewer_attributes(server: Served, oms: OmsEmulator) -> None:
    oms.lacks = {"runs": {"era", "components_out"}}

    assert len(ask(server, "runs/297050")["data"]["attributes"]) == 41
    assert len(ask(server, "runs/meta")["meta"]["fields"]) == 41
    assert refusal(server, "runs?fields=era")[0] == 400


def test_totals_may_lie(server: Served, oms: OmsEmulator) -> None:
    page = "runs?fields=run_number&page[limit]=5"
    honest = ask(server, page)["meta"]["totalResourceCount"]
    oms.overcounts = 3
    assert ask(server, page)["meta"]["totalResourceCount"] == honest + 3
    oms.overcounts, oms.grows = 0, 1
    totals = [ask(server, page)["meta"]["totalResourceCount"] for _ in range(3)]
    assert totals == [honest, honest + 1, honest + 2]
    oms.loose = 2
    assert ask(server, "hltpathinfo?filter[run_number]=297052")["meta"] == {
        "totalResourceCount": 278 + 2 + 3
    }


def test_something_may_happen_between_two_pages(server: Served, oms: OmsEmulator) -> None:
    oms.world.begin(NUMBER)
    oms.afterwards = oms.world.tick
    asked = f"lumisections?filter[run_number]={NUMBER}&page[limit]=1&page[offset]="

    assert [ask(server, f"{asked}{n}")["meta"]["totalResourceCount"] for n in (0, 1)] == [1, 2]


def test_it_refuses_in_json_when_told_to(server: Served, oms: OmsEmulator) -> None:
    oms.refusals = [BadRequest("INTERNAL_SERVER_ERROR", "no connection", 500)]

    assert refusal(server, "runs") == (500, "INTERNAL_SERVER_ERROR", "no connection")
    assert ask(server, "runs/297050")


def test_the_wire_fails_as_for_every_emulator(server: Served, oms: OmsEmulator) -> None:
    del oms
    server.fault("status", path="/runs", status=503, times=1)
    assert (reply := call(server, "GET", f"{ROOT}runs")).status == 503
    assert reply.headers["content-type"] == "text/html"
    server.fault("truncate", path="/runs", times=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        call(server, "GET", f"{ROOT}runs")
    server.fault("hang", path="/runs", times=1, seconds=0.05)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        call(server, "GET", f"{ROOT}runs")
    assert call(server, "GET", f"{ROOT}runs").status == 200


def test_another_process_can_move_it(server: Served, oms: OmsEmulator) -> None:
    def tell(what: str, body: bytes) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", f"/_emulator/{what}", body)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    tell("begin", b'{"number": 500001}')
    tell("tick", b'{"sections": 2}')
    assert newest(server)["last_lumisection_number"] == 3
    tell("end", b'{"number": 500001}')
    tell("change", b'{"resource":"runs","row_id":"500001","touch":false,"era":"2026A"}')
    assert newest(server)["era"] == "2026A"
    assert tell("now", b'{"seconds": 1800000000}')["now"] == 1_800_000_000
    assert tell("gate", b'{"ways": ["cookie"]}')["ways"] == ["cookie"]
    tell("sso", b'{"lifetime_seconds": 5}')
    assert oms.sso.lifetime_seconds == 5
    assert tell("log_in", b"{}")["cookie"] in oms.gate.sessions
    tell("switch", b'{"overcounts": 4}')
    assert oms.overcounts == 4
