"""A token server, and things behind it that want its tokens or cookies (sheet of OMS, section 9).

POST /realm/api-access/token                        client_credentials with an audience
POST /realm/protocol/openid-connect/token           client_credentials, token-exchange,
                                                    refresh_token, device_code
POST /realm/protocol/openid-connect/auth/device     a code for a person
GET, POST /data                                     200 for a token of the right audience
GET, POST /sso/data                                 200 for a cookie, else 302 to log in
"""

import argparse
import base64
import hashlib
import json
import time
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.kit import main

AUDIENCE = "data-prod"
SECRET = "s3cret-of-the-client"
API, REALM = "/realm/api-access/token", "/realm/protocol/openid-connect/token"


class OidcEmulator:
    """`seconds`: its clock. `asked`: (path, form) of every request for a token or a code.

    `polls`: what the next questions of a device are answered, before the person has confirmed
    it: error codes. `good`: texts of tokens and cookies that are taken, as long as they last.
    """

    def __init__(self, *, seconds: float = 1_800_000_000) -> None:
        self.seconds = seconds
        self.life = 1200.0
        self.clients: dict[str, str | None] = {"robot": SECRET, "people": None}
        self.grants = {("robot", AUDIENCE), ("people", AUDIENCE)}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.shown: list[str] = []
        self.good: dict[str, tuple[str, float]] = {}  # token: audience, end
        self.cookies = {"good"}
        self.login = "https://auth.example/login?x=1"
        self.refreshes: set[str] = set()
        self.polls: list[str] = []
        self.says_expires_in = True
        self.gives_refresh = True
        self.more: dict[str, Any] = {}  # what else is in every answer with a token
        self.code: dict[str, Any] = {"interval": 0.001, "expires_in": 600}
        self._challenge = ""
        self._number = 0
        token = {"methods": ["POST"]}
        self.app = Starlette(
            routes=[
                Route(API, self._token, **token),  # type: ignore[arg-type]
                Route(REALM, self._token, **token),  # type: ignore[arg-type]
                Route(REALM.replace("/token", "/auth/device"), self._device, **token),  # type: ignore[arg-type]
                Route("/data", self._data, methods=["GET", "POST"]),
                Route("/sso/data", self._sso, methods=["GET", "POST"]),
            ]
        )

    def now(self) -> int:
        return int(self.seconds * 1000)

    def ledger(self) -> list[dict[str, Any]]:
        return []

    @property
    def grant_types(self) -> list[str]:
        """What was asked for, in short words."""
        return [form.get("grant_type", "code").rpartition(":")[2] for _, form in self.asked]

    def revoke(self) -> None:
        """No token of until now is taken any more."""
        self.good.clear()

    async def _token(self, request: Request) -> Response:
        form = await self._form(request)
        client = form.get("client_id", "")
        if client not in self.clients or self.clients[client] != form.get("client_secret"):
            secret = form.get("client_secret")  # some servers do repeat what they were told
            said = f"Invalid client or Invalid client credentials {secret}"
            return refusal(401, "unauthorized_client", said)
        match form.get("grant_type"):
            case "client_credentials" if request.url.path == API:
                return self._granted(client, form.get("audience", ""))
            case "client_credentials":
                return JSONResponse(self._given(client))
            case "refresh_token":
                return self._refreshed(client, form.get("refresh_token", ""))
            case "urn:ietf:params:oauth:grant-type:token-exchange":
                return self._exchanged(client, form)
            case "urn:ietf:params:oauth:grant-type:device_code":
                return self._polled(client, form)
            case _:
                return refusal(400, "unsupported_grant_type", "Unsupported grant_type")

    async def _device(self, request: Request) -> Response:
        form = await self._form(request)
        if form["client_id"] not in self.clients:
            return refusal(401, "invalid_client", "Invalid client")
        self._challenge = form["code_challenge"]
        address = "https://auth.example/device"
        own = {
            "device_code": "the-device-code",
            "user_code": "WXYZ-ABCD",
            "verification_uri": address,
            "verification_uri_complete": f"{address}?user_code=WXYZ-ABCD",
        }
        return JSONResponse(own | self.code)

    async def _form(self, request: Request) -> dict[str, str]:
        form = dict(parse_qsl((await request.body()).decode()))
        self.asked.append((request.url.path, form))
        assert "authorization" not in request.headers
        assert "cookie" not in request.headers
        return form

    def _granted(self, client: str, audience: str) -> Response:
        if (client, audience) not in self.grants:
            return refusal(400, "access_denied", "Client not allowed to exchange")
        return JSONResponse(self._given(audience))

    def _exchanged(self, client: str, form: dict[str, str]) -> Response:
        subject = self.good.get(form["subject_token"])
        if subject is None or subject[1] <= self.seconds or subject[0] != client:
            return refusal(400, "invalid_token", "Invalid token")
        return self._granted(client, form.get("audience", ""))

    def _refreshed(self, client: str, refresh: str) -> Response:
        if refresh not in self.refreshes:
            return refusal(400, "invalid_grant", "Token is not active")
        self.refreshes.discard(refresh)  # each is good for once
        return JSONResponse(self._given(client, refreshes=True))

    def _polled(self, client: str, form: dict[str, str]) -> Response:
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == self._challenge
        assert form["device_code"] == "the-device-code"
        if self.polls:
            return refusal(400, self.polls.pop(0), "")
        return JSONResponse(self._given(client, refreshes=True))

    def _given(self, audience: str, *, refreshes: bool = False) -> dict[str, Any]:
        self._number += 1
        ends = self.seconds + self.life
        claims = {"aud": audience, "exp": ends, "jti": self._number, "preferred_username": "anna"}
        token = ".".join(coded(part) for part in ({"alg": "none"}, claims, {}))
        self.good[token] = (audience, ends)
        given: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if self.says_expires_in:
            given["expires_in"] = self.life
        if refreshes and self.gives_refresh:
            given["refresh_token"] = f"refresh-{self._number}"
            self.refreshes.add(given["refresh_token"])
        return given | self.more

    async def _data(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.shown.append(token)
        audience, ends = self.good.get(token, ("", 0.0))
        taken = audience == AUDIENCE and self.seconds < ends
        return JSONResponse({"data": []}, 200 if taken else 401)

    async def _sso(self, request: Request) -> Response:
        said = request.headers.get("cookie", "")
        self.shown.append(said)
        if set(said.replace("mod_auth_openidc_session=", "").split("; ")) & self.cookies:
            return JSONResponse({"data": []}, headers={"set-cookie": "fresh=1"})
        return Response(status_code=302, headers={"location": self.login})


def coded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def refusal(status: int, error: str, said: str) -> Response:
    return JSONResponse({"error": error, "error_description": said}, status)


if __name__ == "__main__":
    main(lambda _: OidcEmulator(seconds=time.time()), argparse.ArgumentParser(description=__doc__))
