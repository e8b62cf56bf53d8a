"""The tokens of a person who has logged in: renewed with what the login gave, by itself.

Promises: whatever the token server says, the last thing that it gave to renew the login with is
on the disk before anything else is asked; several processes of one user renew a login once.
Source: protocols sheet of OMS, section 9; RFC 6749, section 6.
"""

from dataclasses import replace

from adapters.auth import logins
from adapters.auth.credential import Exchange
from adapters.auth.options import AuthOptions
from adapters.auth.refusals import LastRefusal
from adapters.auth.token_server import Denial, Token, TokenServer, is_for
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused, Throttled, Unreachable

REFUSED_SECONDS = 300  # a login that is over stays over; the server may have erred, though
OVER = "invalid_grant"


class LoginTokens:
    """Where the tokens of a login come from."""

    def __init__(self, site: Site, auth: AuthOptions, exchange: Exchange) -> None:
        self._site = site
        self._auth = auth
        self._server = TokenServer(site, auth, exchange)
        self._refusal = LastRefusal(site, REFUSED_SECONDS)
        self._seen = ""

    def is_replaced(self) -> bool:
        """Has somebody logged in, or forgotten the login, since we have last looked?"""
        return logins.fingerprint(self._site) != self._seen

    async def token(self, declined: str | None) -> Token:
        """The token of the login, renewed if it has to be. Raises DeliveryError."""
        token = self._read()
        if self._is_good(token, declined):
            return token
        try:
            async with logins.alone(self._site):
                token = self._read()  # another process may have renewed it
                if self._is_good(token, declined):
                    return token
                return await self._renewed(token, declined)
        except OSError as exc:
            where = logins.place_of(self._site).parent
            raise logins.needed(
                self._site, f"a new token cannot be written to {where}: {exc.strerror}"
            ) from exc

    def _read(self) -> Token:
        self._seen = logins.fingerprint(self._site)
        return logins.read(self._site, self._auth).token

    def _is_good(self, token: Token, declined: str | None) -> bool:
        return token.text != declined and token.is_fresh(self._site.now() / 1000)

    async def _renewed(self, token: Token, declined: str | None) -> Token:
        try:
            return await self._refreshed(token)
        except (Unreachable, Throttled):
            if token.text != declined and token.left(self._site.now() / 1000) > 0:
                return token
            raise

    async def _refreshed(self, token: Token) -> Token:
        if token.refresh is None:
            raise logins.needed(self._site, "the login is over: it gave nothing to renew it with")
        self._refusal.check(token.refresh)
        form = {"grant_type": "refresh_token", "refresh_token": token.refresh}
        found = await self._server.token(form)
        if isinstance(found, Denial):
            raise self._refusal.keep(self._refused(found), token.refresh)
        renewed = replace(found, refresh=found.refresh or token.refresh)
        # First this: the one before may be worth nothing now.
        self._write(replace(renewed, ends=renewed.got))
        finished = await finish(self._server, self._auth, renewed)
        if isinstance(finished, Denial):
            raise self._refusal.keep(self._refused(finished), str(renewed.refresh))
        self._write(finished)
        return finished

    def _write(self, token: Token) -> None:
        logins.write(self._site, logins.login_of(self._auth, token))
        self._seen = logins.fingerprint(self._site)

    def _refused(self, denial: Denial) -> DeliveryError:
        if denial.code == OVER:
            error = logins.needed(self._site, f"the login is over ({denial})")
        else:
            error = Refused(
                f"{self._server.url} does not renew the login ({denial}), so nothing was sent:"
                f" are client_id and audience of {self._server.key} right? If they are, say"
                f" `holdfast login {self._site.name}`",
                credentials=True,
            )
        error.status, error.shown_to = denial.status, "token server"
        return error


async def finish(server: TokenServer, auth: AuthOptions, token: Token) -> Token | Denial:
    """The token for the audience of the settings; what renews the login stays what it was."""
    if auth.audience is None or is_for(token.text, auth.audience):
        return token
    found = await server.for_audience(token)
    return found if isinstance(found, Denial) else replace(found, refresh=token.refresh)
