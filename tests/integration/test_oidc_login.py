"""Tokens of a person: the login, what it leaves on the disk, and how it is renewed by itself."""

import asyncio
import fcntl
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.auth import logins
from adapters.auth.device import Code, DeviceLogin, NoLogin
from adapters.auth.login import REFUSED_SECONDS
from adapters.auth.logins import Login
from adapters.auth.oidc import YOUNG_SECONDS
from adapters.http import HttpClient
from adapters.verdict import DeliveryError, Refused, Throttled, Unreachable
from agent.cli.login import confirmed
from tests.emulators.kit import Served
from tests.emulators.oidc import AUDIENCE, OidcEmulator
from tests.emulators.oidc_site import World

VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OidcEmulator()) as made:
        yield made


@pytest.fixture
def world(server: Served, tmp_path: Path) -> World:
    return World(server, tmp_path)


class Person:
    """Somebody who logs in, and the clock that this takes: nobody really waits."""

    def __init__(self, world: World, **auth: Any) -> None:
        self.world = world
        self.auth = world.person(**auth)
        self.site = world.site(self.auth)
        self.http = HttpClient(self.site)
        self.trying = DeviceLogin(self.site, self.auth, self.http.post_form, dice=lambda: VERIFIER)
        self.slept: list[float] = []

    async def confirm(self, code: Code) -> Login:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        return await confirmed(self.trying, code, sleep=sleep, monotonic=lambda: sum(self.slept))

    async def log_in(self) -> Login:
        found = await self.confirm(await self.trying.begin())
        logins.write(self.site, found)
        return found


@pytest.fixture
async def person(world: World) -> AsyncIterator[Person]:
    made = Person(world)
    yield made
    await made.http.close()


def file_of(world: World) -> Path:
    return world.folder / "t" / "oms.json"


# Logging in


async def test_a_login_shows_an_address_and_a_code_and_waits_as_it_is_told(
    world: World, person: Person
) -> None:
    world.emulator.code = {"interval": 2, "expires_in": 60}
    world.emulator.polls = ["authorization_pending", "slow_down", "authorization_pending"]

    code = await person.trying.begin()
    found = await person.confirm(code)

    assert (code.address, code.user_code) == ("https://auth.example/device", "WXYZ-ABCD")
    assert code.complete == "https://auth.example/device?user_code=WXYZ-ABCD"
    assert person.slept == [2, 2, 7, 7]
    assert found.token.refresh is not None
    assert world.emulator.grant_types == ["code", *["device_code"] * 4, "token-exchange"]
    assert all("client_secret" not in form for _, form in world.emulator.asked)
    assert VERIFIER not in world.emulator.asked[0][1].values()
    assert not any(word in repr((code, found)) for word in ("the-device-code", "refresh-", "v" * 9))


async def test_a_token_that_is_for_the_audience_already_is_not_exchanged(world: World) -> None:
    world.emulator.clients[AUDIENCE] = None
    same = Person(world, client_id=AUDIENCE)

    await same.log_in()
    await same.http.close()

    assert world.emulator.grant_types == ["code", "device_code"]


@pytest.mark.parametrize(
    ("polls", "reason", "said"),
    [
        (["access_denied"], "denied", "declined in the browser"),
        (["expired_token"], "expired", "nobody has confirmed the code in time"),
        (["authorization_pending"] * 20, "expired", "nobody has confirmed the code in time"),
        (["invalid_grant"], "refused", "gives no token (invalid_grant)"),
    ],
)
async def test_how_a_login_can_end_without_one(
    world: World, person: Person, polls: list[str], reason: str, said: str
) -> None:
    world.emulator.code = {"interval": 5, "expires_in": 30}
    world.emulator.polls = polls

    with pytest.raises(NoLogin, match=said.replace("(", r"\(").replace(")", r"\)")) as ended:
        await person.log_in()

    assert ended.value.reason == reason
    assert sum(person.slept) <= 30
    assert not file_of(world).exists()


async def test_a_client_or_an_audience_that_is_not_known_is_told_by_its_key(world: World) -> None:
    told = []
    for auth in ({"client_id": "nobody"}, {"audience": "other"}):
        person = Person(world, **auth)
        with pytest.raises(NoLogin) as ended:
            await person.log_in()
        told.append(ended.value.detail)
        await person.http.close()

    assert "backends.oms.auth.client_id right" in told[0]
    assert "backends.oms.auth.audience right" in told[1]


async def test_a_token_server_that_is_away_for_a_while_ends_no_login(
    world: World, person: Person
) -> None:
    code = await person.trying.begin()
    world.served.fault("drop_before", path="/token", times=2)
    world.served.fault("retry_after", path="/token", times=1, seconds=9)

    await person.confirm(replace(code, interval=1))

    assert person.slept == [1, 1, 1, 9]


async def test_without_the_token_server_a_login_does_not_begin(
    world: World, person: Person
) -> None:
    world.served.fault("drop_before")
    with pytest.raises(Unreachable, match="/auth/device"):
        await person.trying.begin()
    world.served.heal()
    world.served.fault("html")
    with pytest.raises(Refused, match="a web page"):
        await person.trying.begin()


@pytest.mark.parametrize(
    ("said", "interval", "lifetime"),
    [
        ({"interval": None, "expires_in": "x"}, 5, 600),
        ({"interval": -1, "expires_in": 1e9}, 5, 3600),
    ],
)
async def test_what_the_server_does_not_say_is_as_the_standard_says(
    world: World, person: Person, said: dict[str, Any], interval: float, lifetime: float
) -> None:
    world.emulator.code = {**said, "verification_uri_complete": None}

    code = await person.trying.begin()

    assert (code.interval, code.lifetime, code.complete) == (interval, lifetime, None)


async def test_a_code_that_lacks_its_address_is_none(world: World, person: Person) -> None:
    world.emulator.code = {"verification_uri": ""}

    with pytest.raises(Refused, match="is device_url right"):
        await person.trying.begin()


# What it leaves


async def test_what_is_kept_is_for_nobody_else(world: World, person: Person) -> None:
    await person.log_in()

    kept = file_of(world)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert [one.name for one in kept.parent.iterdir()] == ["oms.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
async def test_a_login_that_others_could_read_is_not_used(
    world: World, person: Person, mode: int
) -> None:
    await person.log_in()
    file_of(world).chmod(mode)

    async with world.asking(person.auth) as ask:
        refused = await ask()
        assert isinstance(refused, Refused)
        assert f"chmod 600 {file_of(world)}" in refused.detail
        file_of(world).chmod(0o600)
        assert await ask() == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"client_id": 1}', b"\xff"])
async def test_a_damaged_login_is_none(world: World, person: Person, raw: bytes) -> None:
    await person.log_in()
    file_of(world).write_bytes(raw)

    async with world.asking(person.auth) as ask:
        refused = await ask()

    assert isinstance(refused, Refused)
    assert "holdfast login oms" in refused.detail


@pytest.mark.parametrize("key", ["token_url", "client_id", "audience"])
async def test_a_login_is_shown_to_nobody_else_than_whom_it_was_made_with(
    world: World, person: Person, key: str
) -> None:
    await person.log_in()
    said = json.loads(file_of(world).read_text())
    file_of(world).write_text(json.dumps(said | {key: "http://127.0.0.1:1/other"}))
    before = len(world.emulator.asked)

    async with world.asking(person.auth) as ask:
        refused = await ask()

    assert isinstance(refused, Refused)
    assert "for another client, audience or token server" in refused.detail
    assert len(world.emulator.asked) == before


# Being logged in


async def test_nobody_is_logged_in_until_somebody_is(world: World, person: Person) -> None:
    async with world.asking(person.auth) as ask:
        refused = await ask()
        await person.log_in()
        assert await ask() == 200
        logins.forget(person.site)
        forgotten = await ask()

    for one in (refused, forgotten):
        assert isinstance(one, Refused)
        assert "nobody has logged in" in one.detail
        assert "holdfast login oms" in one.detail
        assert (one.credentials, one.shown_to) == (True, "nobody")
    assert len(world.emulator.shown) == 1


async def test_the_login_is_renewed_by_itself_and_what_renews_it_is_kept(
    world: World, person: Person
) -> None:
    first = await person.log_in()

    for _ in range(3):  # each with a client that knows nothing but the file
        world.emulator.seconds += world.emulator.life
        async with world.asking(person.auth) as ask:
            assert [await ask(), await ask()] == [200, 200]

    assert world.emulator.grant_types[3:] == ["refresh_token", "token-exchange"] * 3
    kept = json.loads(file_of(world).read_text())
    assert {kept["refresh_token"]} == world.emulator.refreshes != {first.token.refresh}
    assert stat.S_IMODE(file_of(world).stat().st_mode) == 0o600


async def test_a_server_that_gives_no_new_one_lets_the_old_one_renew(
    world: World, person: Person
) -> None:
    await person.log_in()
    (old,) = world.emulator.refreshes
    world.emulator.gives_refresh = False
    world.emulator.seconds += world.emulator.life

    async with world.asking(person.auth) as ask:
        assert await ask() == 200

    assert json.loads(file_of(world).read_text())["refresh_token"] == old


async def test_two_processes_renew_a_login_once(world: World, person: Person) -> None:
    await person.log_in()
    world.emulator.seconds += world.emulator.life

    async with world.asking(person.auth) as one, world.asking(person.auth) as other:
        assert await asyncio.gather(one(), other()) == [200, 200]
        assert world.emulator.grant_types.count("refresh_token") == 1

        world.emulator.seconds += YOUNG_SECONDS
        world.emulator.revoke()  # both are declined, and the second takes what the first got
        assert await asyncio.gather(one(), other()) == [200, 200]
        assert world.emulator.grant_types.count("refresh_token") == 2


async def test_who_renews_too_long_elsewhere_costs_one_attempt(
    world: World, person: Person
) -> None:
    await person.log_in()
    world.emulator.seconds += world.emulator.life
    lock = os.open(file_of(world).parent / ".oms.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)

    async with world.asking(person.auth, attempt_timeout_seconds=0.1) as ask:
        assert isinstance(await ask(), Unreachable)
        os.close(lock)
        assert await ask() == 200


async def test_a_login_that_is_over_is_asked_for_once(world: World, person: Person) -> None:
    await person.log_in()
    world.emulator.seconds += world.emulator.life
    world.emulator.refreshes.clear()

    async with world.asking(person.auth) as ask:
        first, second = await ask(), await ask()
        assert world.emulator.grant_types.count("refresh_token") == 1
        world.emulator.seconds += REFUSED_SECONDS
        await ask()
        assert world.emulator.grant_types.count("refresh_token") == 2
        await person.log_in()
        assert await ask() == 200

    assert isinstance(first, Refused)
    assert "the login is over (invalid_grant: Token is not active)" in first.detail
    assert "holdfast login oms" in first.detail
    assert (first.credentials, first.shown_to) == (True, "token server")
    assert (second.detail, second.shown_to) == (first.detail, "nobody")


async def test_an_audience_that_is_taken_away_loses_nothing_of_the_login(
    world: World, person: Person
) -> None:
    await person.log_in()
    world.emulator.seconds += world.emulator.life
    world.emulator.grants.clear()

    async with world.asking(person.auth) as ask:
        refused, again = await ask(), await ask()
        assert isinstance(refused, Refused)
        assert "client_id and audience of backends.oms.auth" in refused.detail
        assert again.detail == refused.detail
        assert world.emulator.grant_types.count("refresh_token") == 1
        world.emulator.grants.add(("people", AUDIENCE))
        world.emulator.seconds += REFUSED_SECONDS
        assert await ask() == 200


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"mode": "drop_before"}, Unreachable), ({"mode": "retry_after"}, Throttled)],
)
async def test_a_token_server_that_is_away_is_no_end_of_the_login(
    world: World, person: Person, fault: dict[str, Any], error: type[DeliveryError]
) -> None:
    await person.log_in()
    world.emulator.seconds += world.emulator.life - 10
    world.served.fault(path="/token", **fault)

    async with world.asking(person.auth) as ask:
        assert await ask() == 200  # it is good for ten seconds more
        world.emulator.seconds += 10
        assert isinstance(await ask(), error)
        world.served.heal()
        assert await ask() == 200


async def test_a_login_without_anything_to_renew_it_ends(world: World, person: Person) -> None:
    world.emulator.gives_refresh = False
    await person.log_in()

    async with world.asking(person.auth) as ask:
        assert await ask() == 200
        world.emulator.seconds += world.emulator.life
        refused = await ask()

    assert isinstance(refused, Refused)
    assert "it gave nothing to renew it with" in refused.detail


async def test_where_the_new_token_cannot_be_written_the_old_one_is_not_used_up(
    world: World, person: Person
) -> None:
    await person.log_in()
    world.emulator.seconds += world.emulator.life
    (file_of(world).parent / ".oms.lock").mkdir()  # as root, a mode would not stop us

    async with world.asking(person.auth) as ask:
        refused = await ask()

    assert isinstance(refused, Refused)
    assert "a new token cannot be written to" in refused.detail
    assert "refresh_token" not in world.emulator.grant_types
