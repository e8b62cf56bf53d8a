"""Credentials: a secret that cannot be used is our trouble, and no command is left behind."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.answer import Answer
from adapters.auth.bearer import MARGIN_SECONDS, expiry
from adapters.base import AuthOptions
from adapters.http import HttpClient
from adapters.verdict import Refused, Unreachable
from tests.emulators.raw import Line, a_site, peer, reply, until

NOW = 1_800_000_000  # epoch seconds


async def asked(auth: AuthOptions) -> Answer:
    client = HttpClient(a_site("http://127.0.0.1:1", auth=auth))
    try:
        return await client.request("GET", "/x")
    finally:
        await client.close()


class Guard:
    """A server that takes some tokens, and a command that prints one after the other."""

    def __init__(self, folder: Path) -> None:
        self.shown: list[str] = []
        self.good: set[str] | None = None  # None: any
        self._next, self._runs = folder / "next", folder / "runs"
        self._runs.touch()
        script = (
            'n=$(wc -c < "$2"); printf x >> "$2"; set -- $(cat "$1");'
            ' [ $n -lt $# ] || n=$(($# - 1)); shift $n; echo "$1"'
        )
        command = ("/bin/sh", "-c", script, "sh", str(self._next), str(self._runs))
        self.by_command = AuthOptions(method="bearer", token_command=command)

    def prints(self, *tokens: str) -> None:
        self._next.write_text(" ".join(tokens))

    @property
    def runs(self) -> int:
        return len(self._runs.read_text())

    async def __call__(self, line: Line) -> None:
        while head := await line.hear_request():
            token = head.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode()
            self.shown.append(token)
            taken = self.good is None or token in self.good
            await line.say(reply(200 if taken else 401, set_cookie="session=abc"))


@asynccontextmanager
async def guarded(
    guard: Guard, auth: AuthOptions | None = None, **site: Any
) -> AsyncIterator[Callable[[], Any]]:
    """Gives what asks the guard, and tells the answer's status."""
    async with peer(guard) as there:
        client = HttpClient(a_site(there.url, auth=auth or guard.by_command, **site))

        async def ask() -> int:
            return (await client.request("POST", "/x", form={"a": "b"})).status

        yield ask
        await client.close()


def a_jwt(**claims: Any) -> str:
    parts = [{"alg": "none"}, claims, {}]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(part.rstrip("=") for part in coded)


async def test_a_command_is_not_run_for_every_request(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.prints("one", "two")

    async with guarded(guard) as ask:
        await asyncio.gather(ask(), ask())
        await ask()

    assert (guard.shown, guard.runs) == (["one"] * 3, 1)


async def test_a_token_is_renewed_shortly_before_it_says_that_it_ends(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    brief, longer = a_jwt(exp=NOW + 1000), a_jwt(exp=NOW + 9000)
    guard.prints(brief, longer)
    seconds = [NOW]

    async with guarded(guard, now=lambda: seconds[0] * 1000) as ask:
        await ask()
        seconds[0] = NOW + 1000 - MARGIN_SECONDS
        await ask()
        seconds[0] += 1
        await ask()

    assert guard.shown == [brief, brief, longer]


async def test_a_token_that_is_not_taken_is_replaced_once_within_the_attempt(
    tmp_path: Path,
) -> None:
    guard = Guard(tmp_path)
    guard.prints("old", "new", "newer", "newest")

    async with guarded(guard) as ask:
        await ask()
        guard.good = {"new"}
        replaced, kept = await ask(), await ask()
        guard.good = {"newest"}
        refused, at_last = await ask(), await ask()

    assert (replaced, kept, refused, at_last) == (200, 200, 401, 200)
    assert guard.shown == ["old", "old", "new", "new", "new", "newer", "newest"]
    assert guard.runs == 4


async def test_the_same_token_again_is_not_sent_again(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.prints("same")
    guard.good = set()

    async with guarded(guard) as ask:
        assert await ask() == 401

    assert (guard.shown, guard.runs) == (["same"], 2)


@pytest.mark.parametrize("method", ["basic", "bearer"])
async def test_a_secret_from_a_file_is_read_each_time_and_refused_once(
    tmp_path: Path, method: str
) -> None:
    guard = Guard(tmp_path)
    guard.good = {"second"}
    secret = tmp_path / "secret"
    keys = {"basic": {"username": "u", "password_file": str(secret)}}
    keys["bearer"] = {"token_file": str(secret)}
    secret.write_text("first")

    async with guarded(guard, AuthOptions(method=method, **keys[method])) as ask:
        await ask()
        secret.write_text("second\n")
        await ask()

    assert guard.shown == (["first", "second"] if method == "bearer" else ["", ""])


async def test_a_command_that_hangs_costs_one_attempt_and_nothing_is_sent(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    auth = AuthOptions(method="bearer", token_command=("/bin/sleep", "60"))

    async with guarded(guard, auth, attempt_timeout_seconds=0.2) as ask:
        with pytest.raises(Unreachable, match=r"backends\.peer\.auth: no credential") as cut:
            await ask()

    assert cut.value.shown_to == "nobody"
    assert guard.shown == []


async def test_a_credential_that_took_all_the_time_is_not_sent(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    (tmp_path / "token").write_text("t")
    auth = AuthOptions(method="bearer", token_file=str(tmp_path / "token"))

    async with guarded(guard, auth, attempt_timeout_seconds=1e-9) as ask:
        with pytest.raises(Unreachable, match="no time was left"):
            await ask()

    assert guard.shown == []


async def test_a_cookie_is_never_sent_back(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.prints("t")
    async with peer(guard) as there:
        client = HttpClient(a_site(there.url, auth=guard.by_command))
        statuses = [(await client.request("GET", "/x")).status for _ in range(3)]
        await client.close()

        assert statuses == [200] * 3
        assert len(there.heard) == 1  # on one connection
        assert there.everything.count(b"GET /x") == 3
        assert b"cookie" not in there.everything.lower()


@pytest.mark.parametrize(
    ("token", "ends"),
    [
        (a_jwt(exp=NOW), NOW),
        (a_jwt(exp=1.5), 1.5),
        (a_jwt(), None),
        (a_jwt(exp="soon"), None),
        (a_jwt(exp=1e300), None),
        ("opaque", None),
        ("a.b.c", None),
        ("\u00e4.\u00e4.\u00e4", None),
        (f"x.{base64.urlsafe_b64encode(b'[1]').decode()}.x", None),
    ],
)
def test_when_a_token_ends_is_what_it_says_itself(token: str, ends: float | None) -> None:
    assert expiry(token) == ends


@pytest.mark.parametrize("token", ["t\u00f6ken", "to\x00ken", "to\x1bken"])
async def test_a_token_that_no_header_can_carry_is_our_trouble(tmp_path: Path, token: str) -> None:
    (tmp_path / "t").write_text(token)
    auth = AuthOptions(method="bearer", token_file=str(tmp_path / "t"))

    with pytest.raises(Refused, match=r"backends\.peer\.auth") as refused:
        await asked(auth)

    assert refused.value.credentials
    assert token not in refused.value.detail


async def test_a_token_command_that_prints_no_text_is_our_trouble() -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')"
    auth = AuthOptions(method="bearer", token_command=(sys.executable, "-c", code))

    with pytest.raises(Refused, match="no token has"):
        await asked(auth)


async def test_a_token_command_is_not_left_behind(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import os, signal, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"open({str(pid_file)!r} + '.new', 'w').write(str(child.pid))\n"
        f"os.rename({str(pid_file)!r} + '.new', {str(pid_file)!r})\n"
        "signal.pause()\n"
    )
    auth = AuthOptions(method="bearer", token_command=(sys.executable, "-c", code))
    asking = asyncio.create_task(asked(auth))
    await until(pid_file.exists)

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    grandchild = int(pid_file.read_text())
    await until(lambda: not is_running(grandchild))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
