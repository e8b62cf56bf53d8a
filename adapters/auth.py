"""Credentials, attached at send time and kept nowhere else.

Promises: a secret is read from its file (or command) for every request, so that a renewed
one is used at once; it is never logged and never part of an error's text.
"""

import asyncio
import base64
import os
import signal
from contextlib import suppress

from adapters.base import AuthOptions, Refused, Site

TOKEN_COMMAND_SECONDS = 30  # a command that asks a person for a password must not hang a lane


async def attach_credentials(site: Site) -> dict[str, str]:
    """The request headers that prove who we are. Raises Refused when no secret can be had."""
    match site.auth.method:
        case "none":
            return {}
        case "basic":
            return {"Authorization": _basic(site)}
        case "bearer":
            return {"Authorization": f"Bearer {await _token(site)}"}


def missing_auth_keys(auth: AuthOptions) -> list[str]:
    """The keys that `auth.method` needs and that are not there; empty when all is well."""
    match auth.method:
        case "basic":
            return [key for key in ("username", "password_file") if getattr(auth, key) is None]
        case "bearer" if auth.token_file is None and auth.token_command is None:
            return ["token_file"]
        case _:
            return []


def _basic(site: Site) -> str:
    options = site.options.model_dump() if site.options is not None else {}
    username = str(site.auth.username)
    for name, value in options.items():
        username = username.replace(f"{{{name}}}", str(value))
    password = _read(site, str(site.auth.password_file))
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


async def _token(site: Site) -> str:
    if site.auth.token_file is not None:
        token = _read(site, site.auth.token_file)
    else:
        token = (await _printed(site, site.auth.token_command or ())).strip()
    if not (token.isascii() and token.isprintable()):
        raise _unusable(site, "the token has characters that no token has")
    return token


async def _printed(site: Site, command: tuple[str, ...]) -> str:
    """What `token_command` prints. It is not left behind, however this ends."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        raise _unusable(
            site, f"token_command {command[0]!r} cannot be run: {exc.strerror}"
        ) from exc
    try:
        async with asyncio.timeout(TOKEN_COMMAND_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError as exc:
        raise _unusable(site, f"token_command gave nothing in {TOKEN_COMMAND_SECONDS} s") from exc
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
            await process.wait()
    if process.returncode != 0 or not output.strip():
        raise _unusable(site, f"token_command ended with {process.returncode}")
    return output.decode("utf-8", "replace")


def _read(site: Site, name: str) -> str:
    try:
        text = site.read_secret(name).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise _unusable(site, f"the secret file {name!r} cannot be read: {reason}") from exc
    if not text or not text[0].strip():
        raise _unusable(site, f"the secret file {name!r} is empty")
    return text[0].strip()


def _unusable(site: Site, reason: str) -> Refused:
    return Refused(f"backends.{site.name}.auth: {reason}", credentials=True)
