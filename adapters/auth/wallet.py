"""The credentials of one backend's accounts, and what it means for them to be declined.

Promises: a request that was answered with 401 has done nothing (for cookies: one that was sent to
another host to log in, too); where another credential can be had at once (a new ticket, a new
token), it is sent once more with that one, and then the answer stands. Raises only
DeliveryErrors; a credential that cannot be had in time is a matter of the network, and nothing
was sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from adapters.auth.basic import Basic
from adapters.auth.bearer import CommandToken, FileToken
from adapters.auth.cookie import CommandCookies, FileCookies
from adapters.auth.credential import Answered, Credential, Exchange, Headers
from adapters.auth.kerberos import Kerberos
from adapters.auth.oidc import Oidc
from adapters.auth.options import AuthOptions
from adapters.auth.secrets import unshown
from adapters.base import Site
from adapters.verdict import Unreachable

A = TypeVar("A", bound=Answered)


class Nobody(Credential):
    """No credential at all."""

    async def headers(self) -> Headers:
        """Nothing."""
        return {}

    def refused(self, shown: Headers) -> bool:  # noqa: ARG002 - the port's shape
        """There is nothing else to show."""
        return False

    def close(self) -> None:
        """Nothing is kept."""


class Wallet:
    """The credentials of one backend, made when they are first needed."""

    def __init__(self, site: Site, exchange: Exchange) -> None:
        self._site = site
        self._exchange = exchange
        self._credentials: dict[AuthOptions, Credential] = {}

    async def show(
        self, auth: AuthOptions, send: Callable[[Headers], Awaitable[A]], *, until: float
    ) -> A:
        """Send something with a credential; again with another one if it is declined.

        `send` may be called twice; `until` is a time of the loop.
        """
        credential = self._credential(auth)
        shown = await self._had(credential, until)
        answer = await send(shown)
        if not credential.declined(answer):
            return answer
        if credential.refused(shown):
            other = await self._had(credential, until)
            if other != shown:
                answer = await send(other)
                if not credential.declined(answer):
                    return answer
                credential.refused(other)
        if (error := credential.verdict(answer)) is not None:
            raise error
        return answer

    def close(self) -> None:
        """Forget everything."""
        for credential in self._credentials.values():
            credential.close()
        self._credentials.clear()

    def _credential(self, auth: AuthOptions) -> Credential:
        if auth not in self._credentials:
            self._credentials[auth] = credential_of(self._site, auth, self._exchange)
        return self._credentials[auth]

    async def _had(self, credential: Credential, until: float) -> Headers:
        try:
            async with asyncio.timeout_at(until):
                return await credential.headers()
        except TimeoutError as exc:
            limit = f"{self._site.attempt_timeout_seconds:g} s"
            detail = (
                f"backends.{self._site.name}.auth: no credential could be had within {limit}:"
                " what makes it (the Kerberos or the token server, or a command) does not answer"
            )
            raise unshown(Unreachable(detail)) from exc


def credential_of(site: Site, auth: AuthOptions, exchange: Exchange) -> Credential:
    """The credential of one account."""
    match auth.method:
        case "basic":
            return Basic(site, auth)
        case "bearer":
            return _tokens(site, auth)
        case "kerberos":
            return Kerberos(site, auth)
        case "oidc":
            return Oidc(site, auth, exchange)
        case "cookie":
            return _cookies(site, auth)
        case "none":
            return Nobody()
        case "auto":
            raise ValueError("auto is two accounts: the adapter says which of them")


def _tokens(site: Site, auth: AuthOptions) -> Credential:
    if auth.token_file is not None:
        return FileToken(site, auth.token_file)
    return CommandToken(site, auth.token_command or ())


def _cookies(site: Site, auth: AuthOptions) -> Credential:
    if auth.cookie_file is not None:
        return FileCookies(site, auth.cookie_file)
    return CommandCookies(site, auth.cookie_command or ())
