"""Commands that somebody else wrote, and that get us a credential. Raises only Refused.

Promises: none is left behind, nor what it has started, however this ends.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

from adapters.auth import secrets
from adapters.base import Site

COMMAND_SECONDS = 30  # a command that asks a person for a password must not hang a lane


async def run(site: Site, key: str, command: Sequence[str]) -> bytes:
    """What the command of `auth.KEY` prints. Raises Refused where it fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or "its words cannot be words of a command"
        raise secrets.unusable(site, f"{key} {command[0]!r} cannot be run: {why}") from exc
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError as exc:
        said = f"{key} gave nothing in {COMMAND_SECONDS} s"
        raise secrets.unusable(site, said) from exc
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
            await process.wait()
    if process.returncode != 0:
        raise secrets.unusable(site, f"{key} ended with {process.returncode}")
    return output
