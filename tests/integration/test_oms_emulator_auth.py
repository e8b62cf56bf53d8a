"""How the OMS emulator lets people in, and gives tokens (OMS sheet, section 9)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.emulators.kit import Served
from tests.emulators.oms import ROOT, OmsEmulator
from tests.emulators.oms_gate import COOKIE
from tests.emulators.oms_sso import (
    API_ACCESS,
    CLIENT,
    DEVICE,
    DEVICE_CODE,
    EXCHANGE,
    PUBLIC,
    SECRET,
    TOKEN,
    challenge,
)
from tests.emulators.oms_wire import Reply, call

NOW = 1_790_000_000.0
WHOLE = {
    "grant_type": "client_credentials",
    "client_id": CLIENT,
    "client_secret": SECRET,
    "audience": "cmsoms-prod",
}
QUESTION = f"{ROOT}runs/297050"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OmsEmulator()) as server:
        yield server


@pytest.fixture
def oms(server: Served) -> OmsEmulator:
    emulator = OmsEmulator(ways=("bearer",))
    emulator.world.now = NOW
    server.serve(emulator)
    return emulator


def token(server: Served, path: str, form: dict[str, str]) -> str:
    reply = call(server, "POST", path, form)
    assert reply.status == 200, reply.body
    answer = reply.json()
    assert answer["token_type"] == "Bearer"
    return str(answer["access_token"])


def denied(server: Served, path: str, form: dict[str, str]) -> tuple[int, str]:
    reply = call(server, "POST", path, form)
    return reply.status, reply.json()["error"]


def bearing(server: Served, token: str) -> Reply:
    return call(server, "GET", QUESTION, headers={"authorization": f"Bearer {token}"})


def test_a_token_of_api_access_opens_until_it_expires(server: Served, oms: OmsEmulator) -> None:
    assert call(server, "GET", QUESTION).status == 401
    held = token(server, API_ACCESS, WHOLE)
    assert bearing(server, held).status == 200

    oms.world.now = NOW + oms.sso.lifetime_seconds
    refused = bearing(server, held)
    assert (refused.status, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert bearing(server, token(server, API_ACCESS, WHOLE)).status == 200
    assert oms.counts() == {"api-access": 2, "questions": 4}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"client_secret": "wrong"}, (401, "unauthorized_client")),
        ({"client_id": "nobody"}, (401, "invalid_client")),
        ({"audience": "nobody"}, (400, "invalid_client")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
def test_no_token_for_others(
    server: Served, oms: OmsEmulator, changes: dict[str, str], answer: tuple[int, str]
) -> None:
    assert denied(server, API_ACCESS, WHOLE | changes) == answer
    assert not oms.sso.tokens


@pytest.mark.parametrize("again", [True, False], ids=["client named again", "token alone"])
def test_a_token_is_exchanged_for_one_for_oms(
    server: Served, oms: OmsEmulator, again: bool
) -> None:
    client = {"client_id": CLIENT, "client_secret": SECRET}
    mine = token(server, TOKEN, {"grant_type": "client_credentials", **client})
    assert bearing(server, mine).status == 401, "it is not for OMS"

    form = {"grant_type": EXCHANGE, "subject_token": mine, "audience": "cmsoms-prod"}
    form["requested_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
    held = token(server, TOKEN, form | client if again else form)
    assert bearing(server, held).status == 200
    assert denied(server, TOKEN, form | {"subject_token": "made up"}) == (400, "invalid_token")
    assert oms.counts()[EXCHANGE] == 2


def test_a_token_for_another_instance_opens_nothing(server: Served, oms: OmsEmulator) -> None:
    other = token(server, API_ACCESS, WHOLE | {"audience": "cmsoms-int-0185"})
    assert bearing(server, other).status == 401

    oms.gate.audience = "cmsoms-int-0185"
    assert bearing(server, other).status == 200


def test_a_revoked_token_opens_nothing_and_a_stranger_to_the_group_neither(
    server: Served, oms: OmsEmulator
) -> None:
    held = token(server, API_ACCESS, WHOLE)
    oms.sso.revoke()
    assert bearing(server, held).status == 401

    oms.gate.members = {"others"}
    assert bearing(server, token(server, API_ACCESS, WHOLE)).status == 403


def begin(server: Served, **more: str) -> dict[str, Any]:
    answer = call(server, "POST", DEVICE, {"client_id": PUBLIC, **more}).json()
    assert (answer["expires_in"], answer["interval"]) == (600, 5)
    assert answer["verification_uri_complete"].endswith(f"?user_code={answer['user_code']}")
    grant = {"grant_type": DEVICE_CODE, "device_code": answer["device_code"]}
    return {**grant, "client_id": PUBLIC}


def test_a_device_waits_for_its_user(server: Served, oms: OmsEmulator) -> None:
    poll = begin(server, code_challenge=challenge("a verifier"), code_challenge_method="S256")
    assert denied(server, TOKEN, poll) == (400, "invalid_grant"), "no verifier"
    poll["code_verifier"] = "a verifier"
    assert denied(server, TOKEN, poll) == (400, "authorization_pending")
    oms.sso.slow_down = 1
    assert denied(server, TOKEN, poll) == (400, "slow_down")
    call(server, "POST", "/_emulator/approve")
    answer = call(server, "POST", TOKEN, poll).json()
    assert denied(server, TOKEN, poll) == (400, "invalid_grant"), "used up"

    swap = {"grant_type": EXCHANGE, "client_id": PUBLIC, "audience": "cmsoms-prod"}
    held = token(server, TOKEN, {**swap, "subject_token": answer["access_token"]})
    assert bearing(server, held).status == 200

    oms.world.now = NOW + 3000
    renew = {"grant_type": "refresh_token", "client_id": PUBLIC}
    renew["refresh_token"] = answer["refresh_token"]
    newer = token(server, TOKEN, renew)
    assert bearing(server, token(server, TOKEN, {**swap, "subject_token": newer})).status == 200
    oms.world.now = NOW + 40_000
    assert denied(server, TOKEN, renew) == (400, "invalid_grant")


def test_a_device_may_be_denied_or_forgotten(server: Served, oms: OmsEmulator) -> None:
    poll = begin(server)
    oms.sso.deny()
    assert denied(server, TOKEN, poll) == (400, "access_denied")
    poll = begin(server)
    oms.world.now = NOW + 600
    assert denied(server, TOKEN, poll) == (400, "expired_token")


def test_a_cookie_opens_too_and_without_one_it_is_the_login_page(
    server: Served, oms: OmsEmulator
) -> None:
    oms.gate.ways = ("cookie", "bearer")
    turned_away = call(server, "GET", QUESTION)
    assert turned_away.status == 302
    where = turned_away.headers["location"].removeprefix(server.url)
    page = call(server, "GET", where)
    assert (page.status, b"Sign in" in page.body) == (200, True)

    cookie = {"cookie": f"{COOKIE}={oms.gate.log_in()}"}
    assert call(server, "GET", QUESTION, headers=cookie).status == 200
    assert bearing(server, token(server, API_ACCESS, WHOLE)).status == 200
    assert call(server, "GET", QUESTION, headers={"cookie": f"{COOKIE}=x"}).status == 302


@pytest.mark.parametrize(
    ("says", "statuses"),
    [
        ("401_once", [401, 200, 200]),
        ("401", [401, 401, 401]),
        ("403", [403, 403, 403]),
        ("302", [302, 302, 302]),
        ("html", [200, 200, 200]),
    ],
)
def test_the_gate_can_be_told_what_to_say(
    server: Served, oms: OmsEmulator, says: str, statuses: list[int]
) -> None:
    held = token(server, API_ACCESS, WHOLE)
    oms.gate.says = says

    replies = [bearing(server, held) for _ in range(3)]

    assert [one.status for one in replies] == statuses
    assert (b"Sign in" in replies[-1].body) == (says == "html")
