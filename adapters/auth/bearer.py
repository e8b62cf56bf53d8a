"""Tokens: a file is read for every request, a command is run when its last token is used up.

A command may be slow, and what it asks may limit how often. So its token is kept until shortly
before it says that it ends (the claim `exp` of a JWT), or until a server does not take it.
"""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress

from adapters.auth import secrets
from adapters.base import Site

COMMAND_SECONDS = 30  # a command that asks a person for a password must not hang a lane
MARGIN_SECONDS = 60  # a token must not end on its way, and clocks differ
JWT_PARTS = 3


class FileToken:
    """A token that somebody else renews."""

    def __init__(self, site: Site, file: str) -> None:
        self._site = site
        self._file = file

    async def headers(self) -> Mapping[str, str]:
        """What proves the account. Raises Refused."""
        return _headers(self._site, secrets.read(self._site, self._file))

    def refused(self, shown: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's shape
        """There is no other until the file changes."""
        return False

    def close(self) -> None:
        """Nothing is kept."""


class CommandToken:
    """A token that a command prints."""

    def __init__(self, site: Site, command: tuple[str, ...]) -> None:
        self._site = site
        self._command = command
        self._kept: Mapping[str, str] | None = None
        self._ends: float | None = None  # epoch seconds
        self._one_at_a_time = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """What proves the account. Raises Refused."""
        async with self._one_at_a_time:
            if self._kept is None or self._is_used_up():
                token = (await printed(self._site, self._command)).strip()
                self._kept, self._ends = _headers(self._site, token), expiry(token)
            return self._kept

    def refused(self, shown: Mapping[str, str]) -> bool:
        """The server did not take it: the next one is a new one."""
        if self._kept == shown:
            self._kept = None
        return True

    def close(self) -> None:
        """Forget it."""
        self._kept = None

    def _is_used_up(self) -> bool:
        return self._ends is not None and self._site.now() / 1000 > self._ends - MARGIN_SECONDS


def expiry(token: str) -> float | None:
    """When a JWT ends, in epoch seconds; None: it does not say, or is no JWT."""
    parts = token.split(".")
    if len(parts) != JWT_PARTS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    ends = claims.get("exp") if isinstance(claims, dict) else None
    return float(ends) if isinstance(ends, int | float) and abs(ends) < 1e15 else None  # noqa: PLR2004 - beyond any date


async def printed(site: Site, command: tuple[str, ...]) -> str:
    """What `token_command` prints. It is not left behind, however this ends."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        said = f"token_command {command[0]!r} cannot be run: {exc.strerror}"
        raise secrets.unusable(site, said) from exc
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError as exc:
        said = f"token_command gave nothing in {COMMAND_SECONDS} s"
        raise secrets.unusable(site, said) from exc
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
            await process.wait()
    if process.returncode != 0 or not output.strip():
        raise secrets.unusable(site, f"token_command ended with {process.returncode}")
    return output.decode("utf-8", "replace")


def _headers(site: Site, token: str) -> Mapping[str, str]:
    if not (token.isascii() and token.isprintable()):
        raise secrets.unusable(site, "the token has characters that no token has")
    return {"Authorization": f"Bearer {token}"}
