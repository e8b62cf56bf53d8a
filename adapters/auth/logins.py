"""What a person's login has given: one file per backend, for the user that has logged in.

Promises: the file is readable for nobody else, or it is not used; it is replaced as a whole, so
that a crash leaves the old or the new one; a login is shown to no other token server and for no
other client than the one that it was made with. Raises only Refused, and OSError where a file
cannot be written.
"""

import asyncio
import fcntl
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from adapters.auth.options import AuthOptions, token_url_of
from adapters.auth.secrets import unshown
from adapters.auth.token_server import Token
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused

OTHERS = 0o077  # whoever else may touch a file
BUSY_SECONDS = 0.05  # between two looks whether another process has done with the file


class _File(BaseModel, extra="ignore", strict=True):
    """What is written in it. Times are epoch seconds."""

    token_url: str
    client_id: str
    audience: str | None
    access_token: str
    got: float
    ends: float | None
    refresh_token: str | None


@dataclass(frozen=True, slots=True)
class Login:
    """A login: whom it was made with, and its present token."""

    token_url: str
    client_id: str
    audience: str | None
    token: Token = field(repr=False)


def login_of(auth: AuthOptions, token: Token) -> Login:
    """A token as a login with the settings' client."""
    return Login(token_url_of(auth), str(auth.client_id), auth.audience, token)


def place_of(site: Site) -> Path:
    """Where the login of this user at the backend is."""
    return site.logins / f"{site.name}.json"


def fingerprint(site: Site) -> str:
    """Tells when the file was replaced, or removed."""
    try:
        seen = place_of(site).stat()
    except OSError as exc:
        return type(exc).__name__
    return f"{seen.st_ino} {seen.st_mtime_ns} {seen.st_ctime_ns}"


def read(site: Site, auth: AuthOptions) -> Login:
    """The login. Raises Refused with what to say where there is none that can be used."""
    place = place_of(site)
    try:
        with place.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read()
    except FileNotFoundError as exc:
        raise needed(site, f"nobody has logged in (there is no {place})") from exc
    except OSError as exc:
        raise needed(site, f"the login in {place} cannot be read: {exc.strerror}") from exc
    if mode & OTHERS:
        detail = f"others may read the login in {place}, so it is not used: say `chmod 600 {place}`"
        raise unshown(Refused(f"backends.{site.name}.auth: {detail}", credentials=True))
    try:
        found = _File.model_validate_json(raw)
    except ValidationError as exc:
        raise needed(site, f"the login in {place} is damaged") from exc
    login = _made(found)
    if replace(login, token=Token("", 0)) != login_of(auth, Token("", 0)):
        raise needed(site, f"the login in {place} is for another client, audience or token server")
    return login


def needed(site: Site, why: str) -> DeliveryError:
    """Only a person can help."""
    hint = f"Say `holdfast login {site.name}`, as the user that the agent (or the command) runs as"
    return unshown(Refused(f"backends.{site.name}.auth: {why}. {hint}", credentials=True))


def write(site: Site, login: Login) -> Path:
    """Put a login in the place of the last one, on the disk when this returns."""
    place = place_of(site)
    make_folder(place.parent)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{site.name}-")  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(_written(login), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    _sync_folder(place.parent)
    return place


def forget(site: Site) -> bool:
    """Remove the login. False: there was none."""
    try:
        place_of(site).unlink()
    except FileNotFoundError:
        return False
    return True


@asynccontextmanager
async def alone(site: Site) -> AsyncIterator[None]:
    """Keep other processes of this user from renewing the same login meanwhile.

    Many servers take a refresh token once: who comes second with it would be logged out.
    """
    make_folder(site.logins)
    lock = os.open(site.logins / f".{site.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(lock):  # noqa: ASYNC110 - what is waited for is another process
            # It cannot be waited for in a thread: one that is given up would hold the lock.
            await asyncio.sleep(BUSY_SECONDS)
        yield
    finally:
        os.close(lock)


def make_folder(folder: Path) -> None:
    """The folder of the logins, for nobody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _made(found: _File) -> Login:
    token = Token(found.access_token, found.got, found.ends, found.refresh_token)
    return Login(found.token_url, found.client_id, found.audience, token)


def _written(login: Login) -> dict[str, Any]:
    own = {key: value for key, value in asdict(login).items() if key != "token"}
    token = login.token
    return own | {
        "access_token": token.text,
        "got": token.got,
        "ends": token.ends,
        "refresh_token": token.refresh,
    }


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
