"""A token server (OpenID Connect): how it is asked, and what its answers mean in words.

Promises: whatever goes wrong here, nothing was sent to the backend, so nothing is in doubt; a
token server that is away is never taken for a wrong secret; no secret, token or code is in the
text of an error. Source: protocols sheet of OMS, section 9; RFC 6749, section 5; RFC 8693.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from adapters.answer import Answer
from adapters.auth import secrets
from adapters.auth.bearer import MARGIN_SECONDS, claims, expiry
from adapters.auth.credential import UNAUTHORIZED, Exchange
from adapters.auth.options import AuthOptions, token_url_of
from adapters.auth.secrets import unshown
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused, Rejected, Throttled, Uncertain, Unreachable

EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
LONGEST_SAID = 200  # characters of what a server says of a refusal
LONGEST_LIFE = 10 * 365 * 86_400  # seconds; beyond any token's


@dataclass(frozen=True, slots=True)
class Token:
    """What proves us. `got` and `ends`: epoch seconds; `ends` None: it does not say.

    `refresh`: what a new one is asked for with, where the server gave that, too.
    """

    text: str = field(repr=False)
    got: float
    ends: float | None = None
    refresh: str | None = field(default=None, repr=False)

    def left(self, now: float) -> float:
        """Seconds until it ends."""
        return float("inf") if self.ends is None else self.ends - now

    def is_fresh(self, now: float) -> bool:
        """Is it good, and for longer than until it is to be renewed?"""
        margin = 0.0 if self.ends is None else min(MARGIN_SECONDS, (self.ends - self.got) / 4)
        return self.left(now) > margin


@dataclass(frozen=True, slots=True)
class Denial:
    """The server's No: `code` as RFC 6749 names it, `said` in its own words."""

    code: str
    said: str
    status: int

    def __str__(self) -> str:
        return f"{self.code}: {self.said}" if self.said else self.code


class TokenServer:
    """The token server of one account. Raises only DeliveryErrors."""

    def __init__(self, site: Site, auth: AuthOptions, exchange: Exchange) -> None:
        self._site = site
        self._auth = auth
        self._exchange = exchange
        self.url = token_url_of(auth)
        self.key = f"backends.{site.name}.auth"

    async def token(self, form: Mapping[str, str]) -> Token | Denial:
        """Ask for a token as the client of the settings; a No is given back."""
        asked_at = self._site.now() / 1000
        found = await self.ask(self.url, form)
        return found if isinstance(found, Denial) else self._token(found, asked_at)

    async def for_audience(self, token: Token) -> Token | Denial:
        """The token that the audience takes, for one of ours (RFC 8693)."""
        return await self.token(
            {
                "grant_type": EXCHANGE_GRANT,
                "subject_token": token.text,
                "audience": str(self._auth.audience),
                "requested_token_type": ACCESS_TOKEN,
            }
        )

    async def ask(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any] | Denial:
        """Post a form as the client of the settings: the JSON object that came, or a No."""
        own = {"client_id": str(self._auth.client_id)}
        if (secret := self.secret()) is not None:
            own["client_secret"] = secret
        answer = await self._posted(url, {**form, **own})
        return self._read(url, answer, secret)

    def secret(self) -> str | None:
        """The client's secret, read now; None: it is a public client. Raises Refused."""
        name = self._auth.client_secret_file
        return None if name is None else secrets.read(self._site, name, "client_secret_file")

    async def _posted(self, url: str, form: Mapping[str, str]) -> Answer:
        try:
            return await self._exchange(url, form)
        except (Unreachable, Uncertain) as exc:
            detail = f"the token server cannot be asked, so nothing was sent: {exc.detail}"
            raise unshown(Unreachable(detail)) from exc
        except Rejected as exc:
            raise unshown(Refused(f"{self.key}.token_url: {exc.detail}", credentials=True)) from exc

    def _read(self, url: str, answer: Answer, secret: str | None) -> Mapping[str, Any] | Denial:
        found = answer.json()
        said: Mapping[str, Any] | None = found if isinstance(found, dict) else None
        if answer.status == HTTPStatus.OK and said is not None:
            return said
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= 500:  # noqa: PLR2004
            raise self._later(url, answer)
        if 400 <= answer.status < 500 and said and isinstance(code := said.get("error"), str):  # noqa: PLR2004
            why = said.get("error_description")
            why = _words(why, secret) if isinstance(why, str) else ""
            return Denial(_words(code, secret), why, answer.status)
        if answer.status == UNAUTHORIZED:
            return Denial("401", "", answer.status)
        raise unshown(Refused(self._strange(url, answer), status=answer.status))

    def _later(self, url: str, answer: Answer) -> DeliveryError:
        detail = f"the token server {url} answered {answer.status}, so nothing was sent"
        asked = answer.retry_after
        if asked is not None or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return unshown(Throttled(detail, retry_after=asked, status=answer.status))
        return unshown(Unreachable(detail, status=answer.status))

    def _strange(self, url: str, answer: Answer) -> str:
        what = "a web page" if answer.is_html else "something that is no answer of a token server"
        if 300 <= answer.status < 400:  # noqa: PLR2004 - the range is the meaning
            what = f"by pointing to {host_of(answer.headers.get('location', '')) or 'nowhere'}"
        return (
            f"{url} answered {answer.status}, {what}: is {self.key}.token_url right, and no gate"
            " or proxy in front of it? Nothing was sent to the backend"
        )

    def _token(self, found: Mapping[str, Any], asked_at: float) -> Token:
        text, refresh = found.get("access_token"), found.get("refresh_token")
        if not isinstance(text, str) or not text or not (text.isascii() and text.isprintable()):
            detail = f"the answer of {self.url} has no access_token that could be one"
            raise unshown(Refused(f"{detail}: is {self.key}.token_url right?"))
        return Token(
            text,
            asked_at,
            _end(found.get("expires_in"), text, asked_at),
            refresh if isinstance(refresh, str) and refresh else None,
        )


def host_of(url: str) -> str | None:
    """The host of an address; None: it has none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def is_for(token: str, audience: str) -> bool:
    """Does a JWT say that it is for this audience?"""
    named = claims(token).get("aud")
    return audience in named if isinstance(named, list) else audience == named


def _end(expires_in: Any, token: str, asked_at: float) -> float | None:
    """When a token ends: what the answer says, else what the token does."""
    seconds = expires_in
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdecimal():
        seconds = float(seconds[:12])
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if is_number and 0 < seconds < LONGEST_LIFE:
        return asked_at + float(seconds)
    return expiry(token)


def _words(said: str, secret: str | None) -> str:
    """What the server says, fit for a line; a server may repeat what it was told."""
    if secret:
        said = said.replace(secret, "...")
    return "".join(one if one.isprintable() else " " for one in said)[:LONGEST_SAID].strip()
