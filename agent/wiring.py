"""From settings to parts: the adapters, the routes, the bounds. Reads no clock, sends nothing.

Raises SettingsError naming the full key of everything that an adapter finds wrong.
"""

import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from adapters.auth.kerberos import missing_library
from adapters.auth.logins import place_of
from adapters.auth.options import AuthOptions, accounts_of, problems_of, secret_files
from adapters.base import Adapter, BackendKind, Site, TlsOptions
from adapters.registry import KINDS
from agent.clock import Clock
from agent.draft import Bounds
from agent.retry import Policy
from agent.route import Route
from agent.schedule import window
from config.settings import BackendSettings, Settings, problems
from config.sources import SettingsError

M = TypeVar("M", bound=BaseModel)

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"  # where systemd puts what LoadCredential= names


def make_routes(settings: Settings, folder: Path, clock: Clock) -> dict[str, Route]:
    """One route per configured backend, its adapter made but not connected."""
    sites = check_backends(settings, folder, clock)
    return {
        name: _route(name, settings.backends[name], settings, site) for name, site in sites.items()
    }


def check_backends(settings: Settings, folder: Path, clock: Clock) -> dict[str, Site]:
    """Judge every backend's settings, all of them before anything is raised."""
    wrong: list[str] = []
    sites: dict[str, Site] = {}
    for name, backend in settings.backends.items():
        if backend.kind not in KINDS:
            known = ", ".join(sorted(KINDS))
            wrong.append(f"backends.{name}.kind: there is no such kind; known are {known}")
            continue
        try:
            sites[name] = _site(name, backend, folder, clock)
        except SettingsError as error:
            wrong += error.problems
    if wrong:
        raise SettingsError(wrong)
    return sites


def backend_kinds(settings: Settings) -> dict[str, BackendKind]:
    """The kind of each configured backend."""
    return {name: KINDS[backend.kind] for name, backend in settings.backends.items()}


def urls(settings: Settings) -> dict[str, str]:
    """Where each backend is: receipts and rests belong to (backend, url)."""
    return {name: backend.url.rstrip("/") for name, backend in settings.backends.items()}


def bounds(settings: Settings) -> Bounds:
    """The limits that intake keeps."""
    limits = settings.limits
    return Bounds(
        max_entry_bytes=limits.max_entry_bytes,
        max_attachment_bytes=limits.max_attachment_bytes,
        max_attachments=limits.max_attachments,
        max_outbox_bytes=limits.max_outbox_bytes,
        min_free_bytes=limits.min_free_bytes,
        max_backend_bytes={name: one.max_bytes for name, one in settings.backends.items()},
        drop_oldest=frozenset(
            name for name, one in settings.backends.items() if one.on_full == "drop_oldest"
        ),
    )


def _site(name: str, backend: BackendSettings, folder: Path, clock: Clock) -> Site:
    kind = KINDS[backend.kind]
    key = f"backends.{name}"
    options = _judged(kind.options, backend.options, key)
    auth = _auth(kind, backend, options, key)
    if backend.window is not None:
        try:
            window(backend.window)
        except ValueError as exc:
            raise SettingsError([f"{key}.window: {exc}"]) from exc
    return Site(
        name=name,
        url=backend.url.rstrip("/"),
        timeout_seconds=backend.timeout_seconds,
        attempt_timeout_seconds=backend.attempt_timeout_seconds,
        concurrency=backend.concurrency or kind.concurrency,
        auth=auth,
        tls=_judged(TlsOptions, backend.tls, f"{key}.tls"),
        options=options,
        read_secret=partial(read_secret, folder=folder),
        now=clock.now,
        host=socket.gethostname(),
        find_secret=partial(find_secret, folder=folder),
        logins=logins_folder(),
    )


def _auth(kind: BackendKind, backend: BackendSettings, options: BaseModel, key: str) -> AuthOptions:
    auth = _judged(AuthOptions, backend.auth, f"{key}.auth")
    wrong = [f"{key}.{name}: {said}" for name, said in kind.check_auth(auth, options)]
    wrong += [f"{key}.auth.{name}: {said}" for name, said in problems_of(auth)]
    if not wrong:
        wrong = list(_account_problems(auth, options, key))
    if wrong:
        raise SettingsError(wrong)
    return auth


def _account_problems(auth: AuthOptions, options: BaseModel, key: str) -> Iterator[str]:
    """`{instrument}` in a user name needs an instrument, and Kerberos its library."""
    values = options.model_dump()
    for prefix, account in accounts_of(auth):
        for name in re.findall(r"{(\w+)}", account.username or ""):
            if values.get(name) is None:
                yield f"{key}.{name}: is required by {key}.auth.{prefix}username"
        if account.method == "kerberos" and (missing := missing_library()) is not None:
            yield f"{key}.auth.{'kerberos' if prefix else 'method'}: {missing}"


def _judged(model: type[M], values: Mapping[str, Any], prefix: str) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise SettingsError(problems(exc, prefix)) from exc


def read_secret(name: str, *, folder: Path) -> str:
    """A secret file's text."""
    return find_secret(name, folder=folder).read_text(encoding="utf-8")


def find_secret(name: str, *, folder: Path) -> Path:
    """Where a secret file is. Relative names: $CREDENTIALS_DIRECTORY, then beside the settings."""
    path = Path(name)
    if path.is_absolute():
        return path
    handed_over = Path(os.environ.get(CREDENTIALS_VARIABLE, "/nonexistent")) / name
    return handed_over if handed_over.exists() else folder / name


def logins_folder() -> Path:
    """Where logins of this user are kept: its own, on whatever agent's settings it looks."""
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        state = Path(os.path.expanduser("~")) / ".local" / "state"  # noqa: PTH111 - may be unknown
    return state / "holdfast" / "tokens"


def _route(name: str, backend: BackendSettings, settings: Settings, site: Site) -> Route:
    kind = KINDS[backend.kind]
    adapter: Adapter = kind.adapter(site)
    return Route(
        name=name,
        kind=kind,
        adapter=adapter,
        policy=_policy(backend, settings, has_secret=site.auth.method != "none"),
        batch_size=min(backend.batch_size or kind.batch_size, kind.batch_size),
        concurrency=site.concurrency,
        timeout_seconds=backend.timeout_seconds,
        rate_per_second=backend.rate_per_second,
        open_at=window(backend.window) if backend.window else lambda _: True,
        credentials=fingerprint(site),
        options=site.options,
        keeps_payloads=settings.receipts.keep_payload_days > 0,
    )


def _policy(backend: BackendSettings, settings: Settings, *, has_secret: bool) -> Policy:
    values = settings.retry.model_dump() | backend.retry.model_dump(exclude_none=True)
    return Policy(**values, on_dead=backend.on_dead, has_secret=has_secret)


def fingerprint(site: Site) -> Callable[[], str]:
    """Tells when a secret was changed, without keeping it."""
    files = [file for _, file in sorted(secret_files(site.auth))]
    places = [partial(site.find_secret, file) for file in files]
    if site.auth.method == "oidc" and site.auth.flow == "device":
        places.append(partial(place_of, site))

    def seen() -> str:
        digest = hashlib.sha256(repr(site.auth).encode())
        for place in places:
            try:
                digest.update(place().read_bytes())
            except OSError as exc:
                digest.update(type(exc).__name__.encode())
        return digest.hexdigest()

    return seen
