"""Credentials: a secret that cannot be used is our trouble, and no command is left behind."""

import asyncio
import sys
from pathlib import Path

import pytest

from adapters.base import AuthOptions, Refused
from adapters.http import Answer, HttpClient
from tests.emulators.raw import a_site, until


async def asked(auth: AuthOptions) -> Answer:
    client = HttpClient(a_site("http://127.0.0.1:1", auth=auth))
    try:
        return await client.request("GET", "/x")
    finally:
        await client.close()


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
