"""Tokens: a file is read for every request, a command is run when its last token is used up.

A command may be slow, and what it asks may limit how often. So its token is kept until shortly
before it says that it ends (the claim `exp` of a JWT), or until a server does not take it.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from adapters.auth import commands, secrets
from adapters.auth.credential import Credential
from adapters.base import Site

MARGIN_SECONDS = 60  # a token must not end on its way, and clocks differ
JWT_PARTS = 3


class FileToken(Credential):
    """A token that somebody else renews."""

    def __init__(self, site: Site, file: str) -> None:
        self._site = site
        self._file = file

    async def headers(self) -> Mapping[str, str]:
        """What proves the account. Raises Refused."""
        return bearer(self._site, secrets.read(self._site, self._file))

    def refused(self, shown: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's shape
        """There is no other until the file changes."""
        return False

    def close(self) -> None:
        """Nothing is kept."""


class CommandToken(Credential):
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
                token = await self._printed()
                self._kept, self._ends = bearer(self._site, token), expiry(token)
            return self._kept

    def refused(self, shown: Mapping[str, str]) -> bool:
        """The server did not take it: the next one is a new one."""
        if self._kept == shown:
            self._kept = None
        return True

    def close(self) -> None:
        """Forget it."""
        self._kept = None

    async def _printed(self) -> str:
        output = await commands.run(self._site, "token_command", self._command)
        if not (token := output.decode("utf-8", "replace").strip()):
            raise secrets.unusable(self._site, "token_command printed nothing")
        return token

    def _is_used_up(self) -> bool:
        return self._ends is not None and self._site.now() / 1000 > self._ends - MARGIN_SECONDS


def claims(token: str) -> Mapping[str, Any]:
    """What a JWT says of itself, unproven; empty: it says nothing, or is no JWT."""
    parts = token.split(".")
    if len(parts) != JWT_PARTS:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def expiry(token: str) -> float | None:
    """When a JWT ends, in epoch seconds; None: it does not say, or is no JWT."""
    ends = claims(token).get("exp")
    return float(ends) if isinstance(ends, int | float) and abs(ends) < 1e15 else None  # noqa: PLR2004 - beyond any date


def bearer(site: Site, token: str) -> Mapping[str, str]:
    """The header that carries a token. Raises Refused where none can."""
    if not (token.isascii() and token.isprintable()):
        raise secrets.unusable(site, "the token has characters that no token has")
    return {"Authorization": f"Bearer {token}"}
