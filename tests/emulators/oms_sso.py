"""The token endpoints that OMS believes in (OMS sheet, section 9), on the emulator's own port.

`clients`: the applications and their secrets; None: a public one, which has no secret.
`audiences`: whom a token can be made for. `revoke()` makes every token so far worthless.
A device's user says yes or no by `approve()` and `deny()`; until then polling is told to wait.
`requests` counts what was asked for, by kind of grant; the api-access endpoint is `api-access`.
"""

import base64
import collections
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

REALM = "/auth/realms/cern"
API_ACCESS = f"{REALM}/api-access/token"
TOKEN = f"{REALM}/protocol/openid-connect/token"
DEVICE = f"{REALM}/protocol/openid-connect/auth/device"
LOGIN = f"{REALM}/protocol/openid-connect/auth"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_SECONDS = 600
CLIENT, SECRET = "holdfast", "correct-horse"
PUBLIC = "cmsoms-prod-public"
AUDIENCES = ("cmsoms-prod", "cmsoms-int-0185", "cmsoms-int-0184", "cmsoms-dev-0184")
LOGIN_PAGE = b"<!doctype html><html><head><title>Sign in to CERN</title></head></html>"


class Denied(Exception):
    """Answered as Keycloak does: {"error", "error_description"}."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


@dataclass(frozen=True, slots=True)
class Token:
    client: str
    audience: str
    expires: float


@dataclass
class Device:
    """One sign-in by a device. `verdict`: None while the user has said nothing."""

    client: str
    code: str
    user_code: str
    expires: float
    challenge: str | None
    verdict: bool | None = None


@dataclass
class Sso:
    """The sign-on service. `now`: epoch seconds."""

    now: Callable[[], float]
    clients: dict[str, str | None] = field(default_factory=lambda: {CLIENT: SECRET, PUBLIC: None})
    audiences: set[str] = field(default_factory=lambda: set(AUDIENCES))
    lifetime_seconds: float = 1200
    refresh_seconds: float = 36_000
    slow_down: int = 0  # how many of the next polls are told to slow down
    requests: collections.Counter[str] = field(default_factory=collections.Counter)
    tokens: dict[str, Token] = field(default_factory=dict)
    refreshes: dict[str, Token] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    _made: int = 0

    def routes(self) -> list[Route]:
        return [
            Route(API_ACCESS, self._api_access, methods=["POST"]),
            Route(TOKEN, self._token, methods=["POST"]),
            Route(DEVICE, self._device, methods=["POST"]),
            Route(LOGIN, self._login, methods=["GET"]),
        ]

    def revoke(self) -> None:
        self.tokens.clear()

    def approve(self) -> None:
        """The user of the latest device signs in."""
        self.devices[-1].verdict = True

    def deny(self) -> None:
        self.devices[-1].verdict = False

    def valid(self, token: str) -> Token | None:
        """What a token that was given out here, and has not expired, is for."""
        held = self.tokens.get(token)
        return held if held is not None and self.now() < held.expires else None

    def give(self, client: str, audience: str, *, refreshable: bool = False) -> dict[str, Any]:
        """A new token, as it is answered. It looks like a JWT; its signature is none."""
        token = Token(client, audience, self.now() + self.lifetime_seconds)
        answer: dict[str, Any] = {
            "access_token": self._write(token),
            "expires_in": int(self.lifetime_seconds),
            "refresh_expires_in": int(self.refresh_seconds) if refreshable else 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "",
        }
        self.tokens[answer["access_token"]] = token
        if refreshable:
            longer = Token(client, audience, self.now() + self.refresh_seconds)
            answer["refresh_token"] = self._write(longer)
            self.refreshes[answer["refresh_token"]] = longer
        return answer

    def _write(self, token: Token) -> str:
        self._made += 1
        claims = {
            "iss": "https://auth.cern.ch/auth/realms/cern",
            "aud": token.audience,
            "azp": token.client,
            "sub": f"service-account-{token.client}",
            "iat": int(self.now()),
            "exp": int(token.expires),
            "jti": str(self._made),
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": "emulated"}
        return ".".join((encoded(header), encoded(claims), "bm9uZQ"))

    async def _api_access(self, request: Request) -> Response:
        return self._answered(await form_of(request), "api-access", self._for_api)

    async def _token(self, request: Request) -> Response:
        form = await form_of(request)
        grants = {
            "client_credentials": self._for_client,
            EXCHANGE: self._exchanged,
            DEVICE_CODE: self._polled,
            "refresh_token": self._refreshed,
        }
        grant = form.get("grant_type", "")
        return self._answered(form, grant, grants.get(grant, unsupported))

    async def _device(self, request: Request) -> Response:
        return self._answered(await form_of(request), "device", self._begun)

    async def _login(self, _: Request) -> Response:
        return Response(LOGIN_PAGE, media_type="text/html")

    def _answered(
        self,
        form: dict[str, str],
        what: str,
        grant: Callable[[dict[str, str]], dict[str, Any]],
    ) -> Response:
        self.requests[what] += 1
        try:
            return JSONResponse(grant(form))
        except Denied as exc:
            said = {"error": exc.error, "error_description": exc.description}
            return JSONResponse(said, exc.status)

    def _client(self, form: dict[str, str]) -> str:
        client = form.get("client_id", "")
        if client not in self.clients:
            raise Denied(401, "invalid_client", "Invalid client or Invalid client credentials")
        secret = self.clients[client]
        if secret is not None and form.get("client_secret") != secret:
            raise Denied(401, "unauthorized_client", "Invalid client or Invalid client credentials")
        return client

    def _audience(self, form: dict[str, str]) -> str:
        audience = form.get("audience", "")
        if audience not in self.audiences:
            raise Denied(400, "invalid_client", "Audience not found")
        return audience

    def _for_api(self, form: dict[str, str]) -> dict[str, Any]:
        if form.get("grant_type") != "client_credentials":
            return unsupported(form)
        return self.give(self._client(form), self._audience(form))

    def _for_client(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._client(form)
        if self.clients[client] is None:
            raise Denied(401, "unauthorized_client", "Public client not allowed")
        return self.give(client, client)

    def _exchanged(self, form: dict[str, str]) -> dict[str, Any]:
        subject = self.valid(form.get("subject_token", ""))
        if subject is None:
            raise Denied(400, "invalid_token", "Invalid token")
        client = self._client(form) if "client_id" in form else subject.client
        return self.give(client, self._audience(form), refreshable=self.clients[client] is None)

    def _begun(self, form: dict[str, str]) -> dict[str, Any]:
        number = len(self.devices) + 1
        device = Device(
            client=self._client(form),
            code=f"device-{number}",
            user_code=f"ABCD-{number:04}",
            expires=self.now() + DEVICE_SECONDS,
            challenge=form.get("code_challenge"),
        )
        self.devices.append(device)
        return {
            "device_code": device.code,
            "user_code": device.user_code,
            "verification_uri": "https://auth.cern.ch/auth/realms/cern/device",
            "verification_uri_complete": "https://auth.cern.ch/auth/realms/cern/device"
            f"?user_code={device.user_code}",
            "expires_in": DEVICE_SECONDS,
            "interval": 5,
        }

    def _polled(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._client(form)
        for device in self.devices:
            if (device.code, device.client) == (form.get("device_code"), client):
                break
        else:
            raise Denied(400, "invalid_grant", "Device code not valid")
        if device.challenge and device.challenge != challenge(form.get("code_verifier", "")):
            raise Denied(400, "invalid_grant", "PKCE verification failed")
        if self.now() >= device.expires:
            raise Denied(400, "expired_token", "Device code is expired")
        if self.slow_down:
            self.slow_down -= 1
            raise Denied(400, "slow_down", "Slow down")
        if device.verdict is None:
            raise Denied(400, "authorization_pending", "The authorization request is still pending")
        if not device.verdict:
            raise Denied(400, "access_denied", "The end user denied the authorization request")
        self.devices.remove(device)
        return self.give(client, client, refreshable=True)

    def _refreshed(self, form: dict[str, str]) -> dict[str, Any]:
        client = self._client(form)
        held = self.refreshes.get(form.get("refresh_token", ""))
        if held is None or held.client != client or self.now() >= held.expires:
            raise Denied(400, "invalid_grant", "Token is not active")
        return self.give(client, held.audience, refreshable=True)


def unsupported(_: dict[str, str]) -> dict[str, Any]:
    raise Denied(400, "unsupported_grant_type", "Unsupported grant_type")


async def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def encoded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def challenge(verifier: str) -> str:
    """S256 of PKCE."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
