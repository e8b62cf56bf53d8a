"""Cookies of a login that another program makes: which are sent, and what a gate's No means."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.auth.cookie import YOUNG_SECONDS
from adapters.auth.cookie_file import cookies_in, fitting, header
from adapters.auth.options import AuthOptions
from adapters.verdict import Refused
from tests.emulators.kit import Served
from tests.emulators.oidc import OidcEmulator
from tests.emulators.oidc_site import World

NAME = "mod_auth_openidc_session"
NOW = 1_800_000_000
HEAD = "# Netscape HTTP Cookie File\n\n"


def line(value: str = "good", **changes: str) -> str:
    fields = {
        "domain": "127.0.0.1",
        "below": "FALSE",
        "path": "/",
        "secure": "FALSE",
        "ends": "0",
        "name": NAME,
        "value": value,
    }
    return "\t".join({**fields, **changes}.values()) + "\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OidcEmulator()) as made:
        yield made


@pytest.fixture
def world(server: Served, tmp_path: Path) -> World:
    return World(server, tmp_path)


class Program:
    """What logs in: a command that writes `cookies.next`, and counts its runs."""

    def __init__(self, folder: Path) -> None:
        self.next, self._runs = folder / "cookies.next", folder / "runs"
        self.next.write_text(HEAD + line())
        script = 'echo "$1 $2" >> "$3"; cp "$4" "$2" 2>/dev/null; chmod 444 "$2"; [ -s "$4" ]'
        words = ("/bin/sh", "-c", script, "sh", "{url}", "{file}", str(self._runs), str(self.next))
        self.auth = AuthOptions(method="cookie", cookie_command=words)

    @property
    def runs(self) -> list[list[str]]:
        said = self._runs.read_text() if self._runs.exists() else ""
        return [one.split() for one in said.splitlines()]


async def test_a_command_logs_in_once_and_leaves_no_file(world: World, tmp_path: Path) -> None:
    program = Program(tmp_path)

    async with world.asking(program.auth, "/sso/data") as ask:
        assert await asyncio.gather(ask(), ask()) == [200, 200]
        assert await ask() == 200

    ((url, file),) = program.runs
    assert url == world.served.url
    assert not Path(file).parent.exists()
    assert world.emulator.shown == [f"{NAME}=good"] * 3  # and never what the server set


async def test_being_sent_to_log_in_means_a_new_login_and_the_request_once_more(
    world: World, tmp_path: Path
) -> None:
    program = Program(tmp_path)

    async with world.asking(program.auth, "/sso/data") as ask:
        await ask()
        world.emulator.cookies = {"newer"}
        program.next.write_text(line("newer"))
        world.emulator.seconds += YOUNG_SECONDS
        assert await ask() == 200

    assert len(program.runs) == 2
    assert [one.rpartition("=")[2] for one in world.emulator.shown] == ["good", "good", "newer"]


async def test_a_login_that_is_not_taken_is_told_and_not_made_for_every_request(
    world: World, tmp_path: Path
) -> None:
    program = Program(tmp_path)
    world.emulator.cookies = set()

    async with world.asking(program.auth, "/sso/data") as ask:
        refused, again = await ask(), await ask()
        assert len(program.runs) == 1
        world.emulator.seconds += YOUNG_SECONDS
        await ask()

    assert len(program.runs) == 2
    assert len(world.emulator.shown) == 3  # the same cookies again are not shown again
    for one in (refused, again):
        assert isinstance(one, Refused)
        assert one.detail.startswith(f"{world.served.url} answered 302")
        assert "sends us to auth.example to log in" in one.detail
        assert "backends.oms.auth.cookie_command" in one.detail
        assert (one.credentials, one.status, one.landed) == (True, 302, False)


@pytest.mark.parametrize("target", ["/data/", "https://127.0.0.1/data", "", "http://[half"])
async def test_a_redirect_within_the_host_is_an_answer_and_no_login(
    world: World, tmp_path: Path, target: str
) -> None:
    program = Program(tmp_path)
    world.emulator.cookies, world.emulator.login = set(), target

    async with world.asking(program.auth, "/sso/data") as ask:
        assert await ask() == 302

    assert len(program.runs) == len(world.emulator.shown) == 1


async def test_cookies_that_are_over_are_fetched_again_before_anything_is_sent(
    world: World, tmp_path: Path
) -> None:
    program = Program(tmp_path)
    world.emulator.cookies = {"good", "newer"}
    program.next.write_text(line(ends=str(NOW + 100)))

    async with world.asking(program.auth, "/sso/data") as ask:
        await ask()
        world.emulator.seconds += 100
        program.next.write_text(line("newer", ends=str(NOW + 900)))
        assert await ask() == 200

    assert [one.rpartition("=")[2] for one in world.emulator.shown] == ["good", "newer"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "cookie_command ended with 1"),
        (HEAD, "the file has no cookie at all"),
        (line(domain="other.example"), "no cookie for 127.0.0.1 that is not over"),
        (line(ends="5"), "no cookie for 127.0.0.1 that is not over"),
    ],
)
async def test_a_login_that_fails_is_told_and_not_tried_for_every_request(
    world: World, tmp_path: Path, written: str, said: str
) -> None:
    program = Program(tmp_path)
    program.next.write_text(written)

    async with world.asking(program.auth, "/sso/data") as ask:
        refused, again = await ask(), await ask()
        assert len(program.runs) == 1
        program.next.write_text(line())
        world.emulator.seconds += YOUNG_SECONDS
        assert await ask() == 200

    assert isinstance(refused, Refused)
    assert said in refused.detail
    assert refused.detail.startswith("backends.oms.auth")
    assert (refused.credentials, refused.shown_to) == (True, "nobody")
    assert again.detail == refused.detail


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ((sys.executable, "-c", "import sys; sys.argv", "{file}"), "wrote no file"),
        (("/nowhere/login", "{file}"), "cookie_command '/nowhere/login' cannot be run"),
    ],
)
async def test_a_command_that_makes_no_file_is_our_trouble(
    world: World, command: tuple[str, ...], said: str
) -> None:
    auth = AuthOptions(method="cookie", cookie_command=command)

    async with world.asking(auth, "/sso/data") as ask:
        refused = await ask()

    assert isinstance(refused, Refused)
    assert said in refused.detail
    assert world.emulator.shown == []


async def test_a_file_that_somebody_else_renews_is_read_for_every_request(world: World) -> None:
    file = world.folder / "cookies"
    auth = AuthOptions(method="cookie", cookie_file=str(file))

    async with world.asking(auth, "/sso/data") as ask:
        missing = await ask()
        file.write_text(line("old"))
        declined = await ask()
        file.write_text(line())
        assert await ask() == 200
        file.write_bytes(b"\xff")
        unreadable = await ask()

    assert len(world.emulator.shown) == 2
    for one in (missing, declined, unreadable):
        assert isinstance(one, Refused)
        assert "backends.oms.auth.cookie_file" in one.detail
    assert "old" not in declined.detail


# Which cookies are for whom


@pytest.mark.parametrize(
    ("changes", "url", "sent"),
    [
        ({}, "http://127.0.0.1:5/agg", True),
        ({}, "http://localhost/agg", False),
        ({"domain": "cms.cern.ch"}, "https://cms.cern.ch/", True),
        ({"domain": "CMS.cern.ch"}, "https://cms.CERN.ch/", True),
        ({"domain": "cern.ch"}, "https://cms.cern.ch/", False),
        ({"domain": "cern.ch", "below": "TRUE"}, "https://cms.cern.ch/", True),
        ({"domain": ".cern.ch"}, "https://cms.cern.ch/", True),
        ({"domain": ".cern.ch"}, "https://cern.ch/", True),
        ({"domain": ".ern.ch"}, "https://cern.ch/", False),
        ({"domain": "#HttpOnly_127.0.0.1"}, "http://127.0.0.1/", True),
        ({"domain": "#127.0.0.1"}, "http://127.0.0.1/", False),
        ({"path": "/agg"}, "http://127.0.0.1/agg/api", True),
        ({"path": "/agg/"}, "http://127.0.0.1/agg/api", True),
        ({"path": "/agg"}, "http://127.0.0.1/aggregate", False),
        ({"path": "/agg"}, "http://127.0.0.1", False),
        ({"secure": "TRUE", "domain": "cms.cern.ch"}, "http://cms.cern.ch/", False),
        ({"secure": "TRUE", "domain": "cms.cern.ch"}, "https://cms.cern.ch/", True),
        ({"secure": "TRUE"}, "http://127.0.0.1/", True),
        ({"ends": str(NOW)}, "http://127.0.0.1/", False),
        ({"ends": str(NOW + 1)}, "http://127.0.0.1/", True),
        ({"ends": "-1"}, "http://127.0.0.1/", True),
        ({"ends": "soon"}, "http://127.0.0.1/", True),
        ({"value": "a; admin=1"}, "http://127.0.0.1/", False),
        ({"value": "a\x1bb"}, "http://127.0.0.1/", False),
        ({"value": "\u00e4"}, "http://127.0.0.1/", False),
        ({"name": ""}, "http://127.0.0.1/", False),
        ({"value": ""}, "http://127.0.0.1/", True),
    ],
)
def test_a_cookie_is_sent_where_it_belongs_and_while_it_lasts(
    changes: dict[str, str], url: str, sent: bool
) -> None:
    assert bool(fitting(cookies_in(HEAD + line(**changes)), url, NOW)) is sent


def test_longer_paths_go_first_and_lines_that_are_no_cookies_are_left_out() -> None:
    text = (
        HEAD + line("1") + "half a line\n" + line("2", path="/agg", name="b").replace("\n", "\r\n")
    )

    found = fitting(cookies_in(text), "http://127.0.0.1/agg", NOW)

    assert header(found) == f"b=2; {NAME}=1"
    assert "value" not in repr(found)
