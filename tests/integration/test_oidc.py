"""Tokens for programs: asked for once, kept while they are good, and every No in words."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapters.answer import Answer
from adapters.auth.oidc import PAUSE_SECONDS, REFUSED_SECONDS, YOUNG_SECONDS
from adapters.auth.token_server import Token, TokenServer
from adapters.base import TlsOptions
from adapters.verdict import DeliveryError, Refused, Throttled, Unreachable
from tests.emulators.kit import Served
from tests.emulators.oidc import AUDIENCE, SECRET, OidcEmulator, coded
from tests.emulators.oidc_site import World
from tests.emulators.raw import Line, peer, reply


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OidcEmulator()) as made:
        yield made


@pytest.fixture
def world(server: Served, tmp_path: Path) -> World:
    return World(server, tmp_path)


async def test_a_program_asks_once_for_its_token_and_shows_it_each_time(world: World) -> None:
    async with world.asking(world.robot()) as ask:
        assert [await ask(), await ask()] == [200, 200]

    assert world.emulator.asked == [
        (
            "/realm/api-access/token",
            {
                "grant_type": "client_credentials",
                "audience": AUDIENCE,
                "client_id": "robot",
                "client_secret": SECRET,
            },
        )
    ]
    assert len(set(world.emulator.shown)) == 1


async def test_an_older_client_exchanges_its_own_token_for_the_audiences(world: World) -> None:
    async with world.asking(world.robot("token-exchange")) as ask:
        assert await ask() == 200

    (_, first), (_, second) = world.emulator.asked
    assert "audience" not in first
    assert second == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": second["subject_token"],
        "audience": AUDIENCE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "client_id": "robot",
        "client_secret": SECRET,
    }


async def test_requests_at_once_ask_for_one_token(world: World) -> None:
    async with world.asking(world.robot()) as ask:
        assert await asyncio.gather(*(ask() for _ in range(5))) == [200] * 5

    assert world.emulator.grant_types == ["client_credentials"]


async def test_who_gives_up_waiting_leaves_the_token_to_the_others(world: World) -> None:
    world.served.fault("delay", path="/token", seconds=0.1)

    async with world.asking(world.robot()) as ask:
        first = asyncio.create_task(ask())
        second = asyncio.create_task(ask())
        await asyncio.sleep(0.02)
        first.cancel()
        assert await second == 200

    assert world.emulator.grant_types == ["client_credentials"]


@pytest.mark.parametrize("says_expires_in", [True, False])
async def test_a_token_that_ends_between_two_requests_is_renewed_first(
    world: World, says_expires_in: bool
) -> None:
    world.emulator.says_expires_in = says_expires_in  # else the token itself says it

    async with world.asking(world.robot()) as ask:
        await ask()
        world.emulator.seconds += world.emulator.life - 61
        await ask()
        assert len(world.emulator.asked) == 1
        world.emulator.seconds += 2
        assert await ask() == 200

    assert len(world.emulator.asked) == 2
    assert len(set(world.emulator.shown)) == 2


async def test_a_short_token_is_not_renewed_for_every_request(world: World) -> None:
    world.emulator.life = 40

    async with world.asking(world.robot()) as ask:
        await ask()
        world.emulator.seconds += 29
        await ask()

    assert len(world.emulator.asked) == 1


async def test_while_a_token_is_good_the_token_server_may_be_away(world: World) -> None:
    async with world.asking(world.robot()) as ask:
        await ask()
        world.emulator.seconds += world.emulator.life - 30
        world.served.fault("drop_before", path="/token")
        tried = world.served.faulty.requests

        assert [await ask(), await ask()] == [200, 200]
        assert tried["POST /realm/api-access/token"] == 2  # and not for each request

        world.emulator.seconds += PAUSE_SECONDS
        assert await ask() == 200
        assert tried["POST /realm/api-access/token"] == 3

        world.emulator.seconds += 30
        away = await ask()
        assert isinstance(away, Unreachable)
        world.served.heal()
        assert await ask() == 200


async def test_a_token_server_that_hangs_does_not_hold_up_a_good_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.auth.oidc.PATIENCE_SECONDS", 0.05)

    async with world.asking(world.robot(), attempt_timeout_seconds=1) as ask:
        await ask()
        world.emulator.seconds += world.emulator.life - 30
        world.served.fault("hang", path="/token", seconds=5)

        assert await ask() == 200


async def test_a_declined_token_is_replaced_once_and_the_request_repeated_once(
    world: World,
) -> None:
    async with world.asking(world.robot()) as ask:
        await ask()
        world.emulator.seconds += YOUNG_SECONDS
        world.emulator.revoke()
        assert await ask() == 200

    assert len(world.emulator.asked) == 2
    assert len(world.emulator.shown) == 3


async def test_requests_that_are_declined_at_once_share_the_next_token(world: World) -> None:
    async with world.asking(world.robot()) as ask:
        await ask()
        world.emulator.seconds += YOUNG_SECONDS
        world.emulator.revoke()
        assert await asyncio.gather(ask(), ask(), ask()) == [200] * 3

    assert len(world.emulator.asked) == 2


async def test_a_young_token_that_is_declined_is_not_the_trouble(world: World) -> None:
    async with world.asking(world.robot()) as ask:
        await ask()
        world.emulator.seconds += YOUNG_SECONDS - 1
        world.emulator.revoke()
        assert [await ask(), await ask()] == [401, 401]
        assert len(world.emulator.asked) == 1

        world.emulator.seconds += 1
        assert await ask() == 200

    assert len(world.emulator.asked) == 2


async def test_a_wrong_secret_is_asked_once_until_it_changes_or_time_has_passed(
    world: World,
) -> None:
    world.secret.write_text("hunter2")

    async with world.asking(world.robot()) as ask:
        first, second = await ask(), await ask()
        assert len(world.emulator.asked) == 1

        world.emulator.seconds += REFUSED_SECONDS
        await ask()
        assert len(world.emulator.asked) == 2

        world.secret.write_text(SECRET)
        assert await ask() == 200

    assert isinstance(first, Refused)
    assert isinstance(second, Refused)
    assert first.detail == second.detail
    assert first.credentials
    assert (first.shown_to, first.status) == ("token server", 401)
    assert second.shown_to == "nobody"
    for words in ("backends.oms.auth.client_secret_file", "unauthorized_client", "api-access"):
        assert words in first.detail
    assert "hunter2" not in first.detail  # the emulator repeats the secret, as bad servers do
    assert world.emulator.shown[:-1] == []


@pytest.mark.parametrize("flow", ["api-access", "token-exchange"])
async def test_an_audience_that_the_client_may_not_have_is_told(world: World, flow: str) -> None:
    async with world.asking(world.robot(flow, audience="other")) as ask:
        refused, again = await ask(), await ask()

    assert isinstance(refused, Refused)
    assert "'other'" in refused.detail
    assert again.detail == refused.detail
    assert len(world.emulator.asked) == (1 if flow == "api-access" else 2)


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read"), ("\n", "is empty")])
async def test_a_secret_that_is_not_there_is_our_trouble_and_nobody_is_asked(
    world: World, text: str | None, said: str
) -> None:
    world.secret.unlink()
    if text is not None:
        world.secret.write_text(text)

    async with world.asking(world.robot()) as ask:
        refused = await ask()

    assert isinstance(refused, Refused)
    assert refused.detail.startswith("backends.oms.auth.client_secret_file: ")
    assert said in refused.detail
    assert (refused.credentials, refused.shown_to) == (True, "nobody")
    assert world.emulator.asked == world.emulator.shown == []


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ({"mode": "html"}, Refused, "a web page: is backends.oms.auth.token_url right"),
        ({"mode": "redirect"}, Refused, "by pointing to login.example"),
        ({"mode": "empty"}, Refused, "no answer of a token server"),
        ({"mode": "status", "status": 403}, Refused, "answered 403, a web page"),
        ({"mode": "status", "status": 404}, Refused, "answered 404, a web page"),
        ({"mode": "status", "status": 401}, Refused, "(401)"),
        ({"mode": "status", "status": 429}, Throttled, "answered 429"),
        ({"mode": "retry_after", "seconds": 7}, Throttled, "answered 503"),
        ({"mode": "status", "status": 503}, Unreachable, "answered 503"),
        ({"mode": "status", "status": 500}, Unreachable, "answered 500"),
        ({"mode": "drop_after"}, Unreachable, "the token server cannot be asked"),
        ({"mode": "truncate"}, Unreachable, "the token server cannot be asked"),
    ],
    ids=str,
)
async def test_whatever_the_token_server_does_nothing_is_sent_and_it_is_told(
    world: World, fault: dict[str, Any], error: type[DeliveryError], said: str
) -> None:
    world.served.fault(path="/token", **fault)

    async with world.asking(world.robot()) as ask:
        told = await ask()

    assert type(told) is error
    assert said in told.detail
    assert "/realm/api-access/token" in told.detail
    assert SECRET not in told.detail + str(told.excerpt)
    assert world.emulator.shown == []
    assert getattr(told, "retry_after", None) == (7 if fault["mode"] == "retry_after" else None)


async def test_a_token_server_that_cannot_be_reached_is_named(world: World) -> None:
    auth = world.robot(token_url="http://127.0.0.1:1/token")

    async with world.asking(auth) as ask:
        away = await ask()

    assert isinstance(away, Unreachable)
    assert "the token server cannot be asked" in away.detail
    assert "http://127.0.0.1:1/token" in away.detail
    assert (away.side, away.shown_to) == ("network", "nobody")


async def test_a_token_server_that_hangs_costs_one_attempt(world: World) -> None:
    world.served.fault("hang", path="/token", seconds=0.4)

    async with world.asking(world.robot(), attempt_timeout_seconds=0.1) as ask:
        away = await ask()

    assert isinstance(away, Unreachable)
    assert world.emulator.shown == []


@pytest.mark.parametrize("token", [None, 5, "", "a\nb", "t\u00f6ken"])
async def test_an_answer_without_a_token_is_no_token(world: World, token: Any) -> None:
    world.emulator.more = {"access_token": token, "id_token": "xyz"}

    async with world.asking(world.robot()) as ask:
        refused = await ask()

    assert isinstance(refused, Refused)
    assert "no access_token that could be one" in refused.detail
    assert "xyz" not in refused.detail + str(refused.excerpt)


@pytest.mark.parametrize(
    ("said", "life"),
    [
        (60, 60),
        ("60", 60),
        (1.5, 1.5),
        (0, 900),
        (-5, 900),
        ("soon", 900),
        (1e300, 900),
        (True, 900),
        (None, 900),
        ([], 900),
    ],
)
async def test_an_end_that_makes_no_sense_is_read_off_the_token(
    world: World, said: Any, life: float
) -> None:
    now = world.emulator.seconds
    own = ".".join(coded(part) for part in ({}, {"exp": now + 900}, {}))
    body = json.dumps({"access_token": own, "expires_in": said}).encode()

    async def exchange(*_: Any) -> Answer:
        return Answer(200, {}, body)

    token = await TokenServer(world.site(world.robot()), world.robot(), exchange).token({})

    assert isinstance(token, Token)
    assert token.ends == now + life


async def test_the_token_server_is_trusted_by_what_the_backend_is_trusted_by(
    world: World, tmp_path: Path
) -> None:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA).configure_cert(context)
    world.emulator.good["the-token"] = (AUDIENCE, float("inf"))

    async def give(line: Line) -> None:
        while await line.hear_request():
            await line.say(reply(200, b'{"access_token": "the-token"}'))

    async with peer(give, context) as there:
        auth = world.robot(token_url=there.url.replace("http:", "https:") + "/token")
        async with world.asking(auth) as ask:
            mistrusted = await ask()
        async with world.asking(auth, tls=TlsOptions(ca_file=tmp_path / "ca.pem")) as ask:
            assert await ask() == 200

    assert isinstance(mistrusted, Unreachable)
    assert "the token server cannot be asked" in mistrusted.detail
    assert "ca_file of backends.oms.tls" in mistrusted.detail
    assert there.everything.count(SECRET.encode()) == 1  # by who was trusted


def test_no_secret_is_in_the_words_for_a_token() -> None:
    token = Token("the-token", 1.0, 2.0, "the-refresh")

    assert "the-" not in f"{token!r} {token}"
