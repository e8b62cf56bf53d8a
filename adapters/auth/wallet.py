"""The credentials of one backend's accounts, and what a 401 means for them.

Promises: a request that was answered with 401 has done nothing; where another credential can be
had at once (a new ticket, a new token of a command), it is sent once more with that one, and then
the answer stands. Raises only DeliveryErrors; a credential that cannot be had in time is a matter
of the network, and nothing was sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from adapters.auth.basic import Basic
from adapters.auth.bearer import CommandToken, FileToken
from adapters.auth.kerberos import Kerberos
from adapters.auth.options import AuthOptions
from adapters.auth.secrets import unshown
from adapters.base import Site
from adapters.verdict import Unreachable

UNAUTHORIZED = 401

Headers = Mapping[str, str]


class Answered(Protocol):
    """What there has to be to an answer."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...


A = TypeVar("A", bound=Answered)


class Credential(Protocol):
    """One account's credential."""

    async def headers(self) -> Headers:
        """The request headers that prove the account. Raises DeliveryError."""
        ...

    def refused(self, shown: Headers) -> bool:
        """A server answered 401 to these headers. True: others may be had at once."""
        ...

    def close(self) -> None:
        """Forget what is kept. No other method is called afterwards."""
        ...


class Nobody:
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

    def __init__(self, site: Site) -> None:
        self._site = site
        self._credentials: dict[AuthOptions, Credential] = {}

    async def show(
        self, auth: AuthOptions, send: Callable[[Headers], Awaitable[A]], *, until: float
    ) -> A:
        """Send something with a credential; again with another one after a 401.

        `send` may be called twice; `until` is a time of the loop.
        """
        credential = self._credential(auth)
        shown = await self._had(credential, until)
        answer = await send(shown)
        if answer.status != UNAUTHORIZED or not credential.refused(shown):
            return answer
        other = await self._had(credential, until)
        if other == shown:
            return answer
        answer = await send(other)
        if answer.status == UNAUTHORIZED:
            credential.refused(other)
        return answer

    def close(self) -> None:
        """Forget everything."""
        for credential in self._credentials.values():
            credential.close()
        self._credentials.clear()

    def _credential(self, auth: AuthOptions) -> Credential:
        if auth not in self._credentials:
            self._credentials[auth] = credential_of(self._site, auth)
        return self._credentials[auth]

    async def _had(self, credential: Credential, until: float) -> Headers:
        try:
            async with asyncio.timeout_at(until):
                return await credential.headers()
        except TimeoutError as exc:
            limit = f"{self._site.attempt_timeout_seconds:g} s"
            detail = (
                f"backends.{self._site.name}.auth: no credential could be had within {limit}:"
                " what makes it (the Kerberos server, or token_command) does not answer"
            )
            raise unshown(Unreachable(detail)) from exc


def credential_of(site: Site, auth: AuthOptions) -> Credential:
    """The credential of one account."""
    match auth.method:
        case "basic":
            return Basic(site, auth)
        case "bearer" if auth.token_file is not None:
            return FileToken(site, auth.token_file)
        case "bearer":
            return CommandToken(site, auth.token_command or ())
        case "kerberos":
            return Kerberos(site, auth)
        case "none":
            return Nobody()
        case "auto":
            raise ValueError("auto is two accounts: the adapter says which of them")
