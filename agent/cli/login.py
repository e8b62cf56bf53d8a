"""`holdfast login`: a person says in a browser who they are, and this host remembers it.

Promises: the secret parts of it are never printed; nothing is kept before the server has given a
token; a server that is away while the person is at the browser ends nothing.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.endings import CONFIGURATION, NOT_NOW, OK, REFUSED, Ending, usage
from agent.cli.people import user_name
from agent.cli.printing import note
from agent.cli.progress import waiting
from agent.cli.words import examples, iso, one_line, span

if TYPE_CHECKING:
    from adapters.auth.device import Code, DeviceLogin
    from adapters.auth.logins import Login
    from adapters.base import Site
    from config.settings import Settings

VERIFIER_BYTES = 48

EXAMPLES = examples(
    "holdfast login oms",
    "sudo -u holdfast holdfast login oms",
    "holdfast login oms --forget",
)


def login(
    context: typer.Context,
    backend: Annotated[str, typer.Argument(metavar="BACKEND", help="Its name in the settings.")],
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Remove the login from here.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what happens as JSON, one object per line.")
    ] = False,
) -> Callable[[], int]:
    """Log in to a backend, as a person.

    For backends with `auth = { method = "oidc", flow = "device", ... }`. Shows an address and a
    code: open the address in any browser, on any device, and type the code there. What the
    login gives is kept for the user that says this command, and renewed by itself.

    For the agent, say it as the user that the agent runs as.
    """
    return partial(_login, context.obj, backend, forget=forget, teller=Teller(as_json=as_json))


@dataclass(frozen=True, slots=True)
class Teller:
    """Says what happens: an object per line for programs, sentences for people."""

    as_json: bool

    def tell(self, event: str, lines: tuple[str, ...] = (), **more: Any) -> None:
        """One event."""
        told = [json.dumps({"event": event, **more})] if self.as_json else map(one_line, lines)
        for line in told:
            print(line, flush=True)  # noqa: T201

    def fail(self, code: int, reason: str, detail: str) -> Ending:
        """The event that nothing comes after."""
        if self.as_json:
            self.tell("failed", reason=reason, detail=detail)
        return Ending(code, detail)


def _login(config: Path | None, backend: str, *, forget: bool, teller: Teller) -> int:
    settings, site = _site(config, backend)
    if forget:
        return _forget(site, teller)
    if site.auth.method != "oidc" or site.auth.flow != "device":
        key = f"backends.{backend}.auth"
        raise usage(
            f'nobody logs in to {backend}: {key} has not method = "oidc" and flow = "device"'
        )
    import asyncio  # noqa: PLC0415 - slow, and rarely needed

    _warn_others(settings, backend)
    return asyncio.run(_logged_in(site, teller))


def _site(config: Path | None, backend: str) -> "tuple[Settings, Site]":
    from agent.clock import Clock  # noqa: PLC0415 - loads the settings' models
    from agent.wiring import check_backends  # noqa: PLC0415
    from config.settings import judge  # noqa: PLC0415
    from config.sources import read_sources  # noqa: PLC0415

    sources = read_sources(config)
    settings = judge(sources)
    sites = check_backends(settings, sources.file.parent, Clock())
    if backend not in sites:
        raise usage(f"there is no backend {backend!r}; there are {', '.join(sites) or 'none'}")
    return settings, sites[backend]


def _forget(site: "Site", teller: Teller) -> int:
    from adapters.auth import logins  # noqa: PLC0415

    try:
        there_was = logins.forget(site)
    except OSError as exc:
        raise teller.fail(NOT_NOW, "unwritable", f"it cannot be removed: {exc}") from exc
    said = "forgot the login to" if there_was else "there was no login to"
    teller.tell("forgotten", (f"{said} {site.name}",), backend=site.name, was_there=there_was)
    return OK


def _warn_others(settings: "Settings", backend: str) -> None:
    """A login is for one user: the agent may be another."""
    try:
        owner = settings.agent.state_dir.stat().st_uid
    except OSError:
        return
    if owner != os.geteuid():
        note(
            f"this login is for your own commands; the agent runs as {user_name(owner)}:"
            f" for it, say `holdfast login {backend}` as that user"
        )


async def _logged_in(site: "Site", teller: Teller) -> int:
    import asyncio  # noqa: PLC0415 - as above
    import secrets  # noqa: PLC0415

    from adapters.auth import logins  # noqa: PLC0415
    from adapters.auth.device import DeviceLogin, NoLogin  # noqa: PLC0415
    from adapters.http import HttpClient  # noqa: PLC0415
    from adapters.verdict import DeliveryError, Throttled, Unreachable  # noqa: PLC0415

    http = HttpClient(site)
    dice = partial(secrets.token_urlsafe, VERIFIER_BYTES)
    trying = DeviceLogin(site, site.auth, http.post_form, dice=dice)
    try:
        logins.make_folder(logins.place_of(site).parent)  # before a person goes to a browser
        code = await trying.begin()
        _show(code, teller)
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + code.lifetime))
        with waiting(f"waiting for you to confirm it there, until {until} (Ctrl-C ends it)"):
            found = await confirmed(trying, code, sleep=asyncio.sleep, monotonic=time.monotonic)
        place = logins.write(site, found)
    except NoLogin as none:
        code_ = NOT_NOW if none.reason == "expired" else REFUSED
        raise teller.fail(code_, none.reason, none.detail) from none
    except (Unreachable, Throttled) as error:
        raise teller.fail(NOT_NOW, "unreachable", error.detail) from error
    except DeliveryError as error:
        raise teller.fail(CONFIGURATION, "refused", error.detail) from error
    except OSError as exc:
        place = logins.place_of(site)
        detail = f"the login cannot be kept in {place}: {exc.strerror}"
        raise teller.fail(CONFIGURATION, "unwritable", detail) from exc
    finally:
        await http.close()
    _tell(site, found, place, teller)
    return OK


async def confirmed(
    trying: "DeviceLogin",
    code: "Code",
    *,
    sleep: Callable[[float], Awaitable[None]],
    monotonic: Callable[[], float],
) -> "Login":
    """Ask until the person has decided, as often as the server wants to be asked (RFC 8628).

    Raises NoLogin; DeliveryError where asking makes no sense any more.
    """
    from adapters.auth.device import (  # noqa: PLC0415 - as above
        EXPIRED,
        SLOWER_SECONDS,
        NoLogin,
        Waiting,
    )
    from adapters.verdict import Throttled, Unreachable  # noqa: PLC0415

    end, interval = monotonic() + code.lifetime, code.interval
    while monotonic() < end:
        await sleep(interval)
        try:
            found = await trying.ask(code)
        except Unreachable as error:
            note(f"{error.detail}; asking on")
            continue
        except Throttled as error:
            interval = max(interval + SLOWER_SECONDS, error.retry_after or 0)
            continue
        if not isinstance(found, Waiting):
            return found
        interval += SLOWER_SECONDS if found.slower else 0
    raise NoLogin("expired", EXPIRED)


def _show(code: "Code", teller: Teller) -> None:
    teller.tell(
        "code",
        tuple(_steps(code)),
        address=code.address,
        user_code=code.user_code,
        complete=code.complete,
        expires_in=code.lifetime,
    )


def _steps(code: "Code") -> Iterator[str]:
    yield f"Open {code.address} in a browser and type {code.user_code}"
    if code.complete is not None:
        yield f"(or open {code.complete})"
    yield f"The code is good for {span(code.lifetime)}. Nothing else has to be done here."


def _tell(site: "Site", found: "Login", place: Path, teller: Teller) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - as above

    from adapters.auth.bearer import claims  # noqa: PLC0415

    said = claims(found.token.text)
    name = said.get("preferred_username") or said.get("sub")
    who = f" as {name}" if isinstance(name, str) else ""
    ends = found.token.ends
    renews = found.token.refresh is not None
    after = "it is renewed by itself" if renews else "it cannot be renewed: log in again then"
    teller.tell(
        "logged_in",
        (f"logged in to {site.name}{who}; {after} (kept in {place})",),
        backend=site.name,
        user=name if isinstance(name, str) else None,
        ends_at=None if ends is None else iso(datetime.fromtimestamp(ends, UTC)),
        renews_itself=renews,
        file=str(place),
    )
