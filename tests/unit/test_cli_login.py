"""`holdfast login`: what a person is shown, what a program is told, and how it can end."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_desk import Desk, a_desk
from tests.emulators.kit import Served
from tests.emulators.oidc import REALM, OidcEmulator


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(OidcEmulator()) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(OidcEmulator(seconds=4_000_000_000))  # a command has the clock of this host
    return server


@pytest.fixture
def emulator(served: Served) -> Any:
    return served.emulator


@pytest.fixture
def desk(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    with a_desk(capsys) as made:
        monkeypatch.setenv("XDG_STATE_HOME", str(made.home / "xdg"))
        with made.config.open("a") as file:
            file.write(
                '\n[backends.oms]\nkind = "auditor"\nurl = "http://127.0.0.1:9"\n'
                '[backends.oms.auth]\nmethod = "oidc"\nflow = "device"\nclient_id = "people"\n'
                f'audience = "data-prod"\ntoken_url = "{served.url}{REALM}"\n'
            )
        yield made


def kept(desk: Desk) -> Path:
    return desk.home / "xdg" / "holdfast" / "tokens" / "oms.json"


def events(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.out.splitlines()]


def test_a_person_is_shown_where_to_go_and_what_became_of_it(desk: Desk) -> None:
    assert desk.do("login", "oms") == 0

    assert desk.out.splitlines() == [
        "Open https://auth.example/device in a browser and type WXYZ-ABCD",
        "(or open https://auth.example/device?user_code=WXYZ-ABCD)",
        "The code is good for 10 min. Nothing else has to be done here.",
        f"logged in to oms as anna; it is renewed by itself (kept in {kept(desk)})",
    ]
    assert desk.err == ""
    assert json.loads(kept(desk).read_text())["client_id"] == "people"


def test_a_program_is_told_line_by_line_and_no_secret(desk: Desk, emulator: OidcEmulator) -> None:
    emulator.polls = ["authorization_pending"]

    assert desk.do("login", "oms", "--json") == 0

    code, done = events(desk)
    assert (code["event"], code["user_code"], code["expires_in"]) == ("code", "WXYZ-ABCD", 600)
    assert (done["event"], done["user"], done["file"]) == ("logged_in", "anna", str(kept(desk)))
    assert done["renews_itself"]
    assert not any(token in desk.out for token in (*emulator.good, *emulator.refreshes, "the-dev"))


def test_what_a_server_says_cannot_move_the_cursor(desk: Desk, emulator: OidcEmulator) -> None:
    emulator.code |= {"user_code": "A\x1b[2JB"}

    assert desk.do("login", "oms") == 0
    assert "type A\\x1b[2JB" in desk.out


@pytest.mark.parametrize(
    ("polls", "code", "reason", "said"),
    [
        (["access_denied"], 65, "denied", "it was declined in the browser"),
        (["expired_token"], 75, "expired", "nobody has confirmed the code in time"),
        (["server_error"], 65, "refused", "gives no token (server_error)"),
    ],
)
def test_without_a_login_it_says_why_and_keeps_what_there_was(
    desk: Desk, emulator: OidcEmulator, polls: list[str], code: int, reason: str, said: str
) -> None:
    desk.do("login", "oms")
    before = kept(desk).read_bytes()
    emulator.polls = list(polls)

    assert desk.do("login", "oms", "--json") == code

    failed = events(desk)[-1]
    assert (failed["event"], failed["reason"]) == ("failed", reason)
    assert said in failed["detail"]
    assert said in desk.err
    assert kept(desk).read_bytes() == before


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ({"mode": "drop_before"}, 75, "the token server cannot be asked"),
        ({"mode": "html"}, 78, "backends.oms.auth.token_url"),
    ],
)
def test_a_token_server_that_cannot_be_asked_is_named(
    desk: Desk, served: Served, fault: dict[str, Any], code: int, said: str
) -> None:
    served.fault(**fault)

    assert desk.do("login", "oms") == code
    assert said in desk.err
    assert desk.out == ""


def test_where_a_login_cannot_be_kept_nobody_is_sent_to_a_browser(
    desk: Desk, emulator: OidcEmulator
) -> None:
    (desk.home / "xdg").write_text("a file where a folder has to be")

    assert desk.do("login", "oms") == 78
    assert str(kept(desk)) in desk.err
    assert emulator.asked == []


def test_a_login_can_be_forgotten(desk: Desk) -> None:
    desk.do("login", "oms")

    assert desk.do("login", "oms", "--forget") == 0
    assert desk.out == "forgot the login to oms\n"
    assert not kept(desk).exists()
    assert desk.do("login", "oms", "--forget", "--json") == 0
    assert events(desk) == [{"event": "forgotten", "backend": "oms", "was_there": False}]


def test_a_backend_that_nobody_logs_in_to_is_64(desk: Desk) -> None:
    assert desk.do("login", "elog") == 64
    assert 'backends.elog.auth has not method = "oidc" and flow = "device"' in desk.err
    assert desk.do("login", "nobody") == 64
    assert "there is no backend 'nobody'; there are events, accounting, elog, oms" in desk.err


def test_a_login_is_for_one_user_and_the_agent_may_be_another(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.home / "state").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 54321)

    desk.do("login", "oms")

    assert "the agent runs as" in desk.err
    assert "say `holdfast login oms` as that user" in desk.err


class Interrupting(list[str]):
    """A person who presses Ctrl-C while the server is asked."""

    def pop(self, _: Any = -1) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "authorization_pending"


def test_ctrl_c_ends_it_and_keeps_nothing(desk: Desk, emulator: OidcEmulator) -> None:
    emulator.polls = Interrupting(["authorization_pending"])

    assert desk.do("login", "oms") == 130
    assert not kept(desk).exists()
    assert emulator.grant_types == ["code", "device_code"]
