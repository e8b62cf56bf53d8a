"""Logging in at another device (RFC 8628): a code here, a browser there. Never waits by itself.

Raises DeliveryErrors where the token server cannot be asked, and NoLogin where it says No.
"""

import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.auth import logins
from adapters.auth.credential import Exchange
from adapters.auth.login import finish
from adapters.auth.options import AuthOptions, device_url_of
from adapters.auth.secrets import unshown
from adapters.auth.token_server import Denial, TokenServer
from adapters.base import Site
from adapters.verdict import Refused

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL_SECONDS = 5.0  # where the server does not say
LIFE_SECONDS = 600.0  # the same
LONGEST_SECONDS = 3600.0  # nobody waits for longer, whatever the server says
SLOWER_SECONDS = 5.0  # RFC 8628, section 3.5


@dataclass(frozen=True, slots=True)
class Code:
    """What a person needs: the address, and the code to type there.

    `complete`: the address with the code in it, if the server gave one. `interval`: seconds
    between two questions; `lifetime`: seconds until the code is worth nothing.
    """

    address: str
    user_code: str
    complete: str | None
    interval: float
    lifetime: float
    device_code: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The person has not decided yet. `slower`: the server wants to be asked less often."""

    slower: bool = False


class NoLogin(Exception):
    """There will be no login by this code. `detail` says why, and what to do."""

    def __init__(self, reason: Literal["denied", "expired", "refused"], detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class DeviceLogin:
    """One try to log in. `dice` gives a text that nobody can guess, of 43 letters at least."""

    def __init__(
        self, site: Site, auth: AuthOptions, exchange: Exchange, *, dice: Callable[[], str]
    ) -> None:
        self._site = site
        self._auth = auth
        self._server = TokenServer(site, auth, exchange)
        self._dice = dice

    async def begin(self) -> Code:
        """Ask for a code."""
        verifier = self._dice()
        form = {"code_challenge": challenge(verifier), "code_challenge_method": "S256"}
        url = device_url_of(self._auth)
        found = await self._server.ask(url, form)
        if isinstance(found, Denial):
            detail = (
                f"{url} gives the client {self._auth.client_id!r} no code ({found}): is"
                f" {self._server.key}.client_id right, and may it log people in by a device?"
            )
            raise NoLogin("refused", detail)
        code = _code(found, verifier)
        if code is None:
            detail = f"{url} answered without an address and a code: is device_url right?"
            raise unshown(Refused(f"backends.{self._site.name}.auth: {detail}"))
        return code

    async def ask(self, code: Code) -> logins.Login | Waiting:
        """Has the person decided? Raises NoLogin when there is nothing more to wait for."""
        form = {
            "grant_type": DEVICE_GRANT,
            "device_code": code.device_code,
            "code_verifier": code.verifier,
        }
        found = await self._server.token(form)
        if isinstance(found, Denial):
            return self._waiting(found)
        finished = await finish(self._server, self._auth, found)
        if isinstance(finished, Denial):
            detail = (
                f"you are logged in there, but {self._server.url} gives no token for"
                f" {self._auth.audience!r} ({finished}): is {self._server.key}.audience right, and"
                f" does that application let {self._auth.client_id!r} have such tokens?"
            )
            raise NoLogin("refused", detail)
        return logins.login_of(self._auth, finished)

    def _waiting(self, denial: Denial) -> Waiting:
        match denial.code:
            case "authorization_pending":
                return Waiting()
            case "slow_down":
                return Waiting(slower=True)
            case "access_denied":
                raise NoLogin("denied", f"it was declined in the browser ({denial})")
            case "expired_token":
                raise NoLogin("expired", EXPIRED)
            case _:
                raise NoLogin("refused", f"{self._server.url} gives no token ({denial})")


EXPIRED = "nobody has confirmed the code in time: begin again"


def challenge(verifier: str) -> str:
    """What proves later that who asks for the token has asked for the code (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _code(found: Mapping[str, Any], verifier: str) -> Code | None:
    names = ("verification_uri", "user_code", "device_code")
    address, user_code, device_code = (found.get(name) for name in names)
    if not all(isinstance(one, str) and one for one in (address, user_code, device_code)):
        return None
    complete = found.get("verification_uri_complete")
    return Code(
        str(address),
        str(user_code),
        complete if isinstance(complete, str) and complete else None,
        interval=_seconds(found.get("interval"), INTERVAL_SECONDS),
        lifetime=_seconds(found.get("expires_in"), LIFE_SECONDS),
        device_code=str(device_code),
        verifier=verifier,
    )


def _seconds(said: Any, otherwise: float) -> float:
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        return otherwise
    return min(float(said), LONGEST_SECONDS) if said > 0 else otherwise
