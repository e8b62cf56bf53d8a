"""Tokens of a token server (OpenID Connect): kept while they are good, renewed by one request.

Promises: a token lives in memory until shortly before it ends; however many requests need a new
one, it is asked for once; while the present one is good, a token server that is away, or hangs,
holds up nothing. A token that a server declines is replaced, but not one that is younger than
YOUNG_SECONDS: then the token is not the trouble.
"""

import asyncio
from typing import Protocol

from adapters.auth.bearer import bearer
from adapters.auth.credential import Credential, Exchange, Headers
from adapters.auth.login import LoginTokens
from adapters.auth.options import AuthOptions
from adapters.auth.refusals import LastRefusal
from adapters.auth.token_server import Denial, Token, TokenServer
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused

YOUNG_SECONDS = 30  # as the original client of OMS does (protocols sheet of OMS, section 9)
PATIENCE_SECONDS = 3  # for a new token, while the present one is good
PAUSE_SECONDS = 10  # between two tries to renew a token that is good
REFUSED_SECONDS = 300  # a client is not locked by a wrong secret, but nobody likes to be asked


class Source(Protocol):
    """Where new tokens come from."""

    async def token(self, declined: str | None) -> Token:
        """A token, and another one than the `declined`. Raises DeliveryError."""
        ...

    def is_replaced(self) -> bool:
        """Has somebody put another login, or none, in the place of the one last used?"""
        ...


class Oidc(Credential):
    """One account's token."""

    def __init__(self, site: Site, auth: AuthOptions, exchange: Exchange) -> None:
        self._site = site
        self._source = source_of(site, auth, exchange)
        self._token: Token | None = None
        self._declined: str | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._renew_after = 0.0

    async def headers(self) -> Headers:
        """What proves the account. Raises DeliveryError."""
        if self._token is not None and self._source.is_replaced():
            self._token = None
        token = self._token
        if token is None or token.left(self._now()) <= 0:
            token = await asyncio.shield(self._renewed())
        elif not token.is_fresh(self._now()) and self._now() >= self._renew_after:
            token = await self._renewed_or(token)
        return bearer(self._site, token.text)

    def refused(self, shown: Headers) -> bool:
        """The server did not take it: the next one is a new one, if this one was not."""
        token = self._token
        if token is None or shown != bearer(self._site, token.text):
            return True  # another request has noticed, too
        if 0 <= self._now() - token.got < YOUNG_SECONDS:
            return False
        self._token, self._declined = None, token.text
        return True

    def close(self) -> None:
        """Forget it."""
        self._token = None
        if self._renewal is not None:
            self._renewal.cancel()

    def _now(self) -> float:
        return self._site.now() / 1000

    def _renewed(self) -> "asyncio.Task[Token]":
        """The one renewal that is under way. Who waits for it may give up; it goes on."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.get_running_loop().create_task(self._renew())
            self._renewal.add_done_callback(_heard)
        return self._renewal

    async def _renew(self) -> Token:
        self._token = await self._source.token(self._declined)
        self._declined = None
        return self._token

    async def _renewed_or(self, token: Token) -> Token:
        """A new token; the present one where there is none in time."""
        renewal = self._renewed()
        await asyncio.wait({renewal}, timeout=PATIENCE_SECONDS)
        if renewal.done() and not renewal.cancelled():
            error = renewal.exception()
            if error is None:
                return renewal.result()
            if not isinstance(error, DeliveryError):
                raise error
        self._renew_after = self._now() + PAUSE_SECONDS
        return token


class ClientTokens:
    """Tokens for a program, by its secret: at once (api-access), or by an exchange."""

    def __init__(self, site: Site, auth: AuthOptions, exchange: Exchange) -> None:
        self._auth = auth
        self._server = TokenServer(site, auth, exchange)
        self._refusal = LastRefusal(site, REFUSED_SECONDS)

    def is_replaced(self) -> bool:
        """A new secret ends no token."""
        return False

    async def token(self, declined: str | None) -> Token:  # noqa: ARG002 - every token is new
        """A new token. Raises DeliveryError."""
        secret = self._server.secret() or ""
        self._refusal.check(secret)
        form = {"grant_type": "client_credentials"}
        if self._auth.flow == "api-access":
            form["audience"] = str(self._auth.audience)
        found = await self._server.token(form)
        if isinstance(found, Token) and self._auth.flow == "token-exchange":
            found = await self._server.for_audience(found)
        if isinstance(found, Denial):
            raise self._refusal.keep(self._refused(found), secret)
        return found

    def _refused(self, denial: Denial) -> Refused:
        auth, key = self._auth, self._server.key
        error = Refused(
            f"{self._server.url} gives the client {auth.client_id!r} no token ({denial}), so"
            f" nothing was sent. {key}.client_secret_file: is the secret in"
            f" {auth.client_secret_file!r} the client's present one? Is the client registered"
            f" there, and may it have tokens for {auth.audience!r} (at CERN: is it in the"
            " api-access group)? It is asked again when the secret has changed, and in"
            f" {REFUSED_SECONDS // 60} minutes",
            status=denial.status,
            credentials=True,
        )
        error.shown_to = "token server"
        return error


def source_of(site: Site, auth: AuthOptions, exchange: Exchange) -> Source:
    """Where the tokens of a flow come from."""
    if auth.flow == "device":
        return LoginTokens(site, auth, exchange)
    return ClientTokens(site, auth, exchange)


def _heard(renewal: "asyncio.Task[Token]") -> None:
    """Who waited may be gone; Python would complain of an error that nobody saw."""
    if not renewal.cancelled():
        renewal.exception()
