"""As whom the eLog is asked: the operator account, a person, or by `auto` the one that may.

An operator account may write only to the experiment that is active on its instrument's station
(elog sheet, sections 1 and 3.1). Promises: standby, or an instrument that the eLog does not know,
is no error, but a matter for the person; what the eLog said is kept for a minute at most. With two
accounts, what the person cannot do holds up no entry of the operator's. Raises only DeliveryErrors.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from adapters.answer import Answer
from adapters.auth.basic import username_of
from adapters.auth.kerberos import whose
from adapters.auth.options import AuthOptions, operator_of, person_of
from adapters.auth.secrets import unshown
from adapters.base import Site
from adapters.elog.payloads import CURRENT
from adapters.elog.verdicts import Asked, is_hard_refusal, value_of
from adapters.http import HttpClient
from adapters.verdict import DeliveryError, Parked, Refused, Throttled, Unreachable

# The proxy tells by the first part of the path which credential it should look for.
GATES = {
    "none": "ws",
    "basic": "ws-auth",
    "bearer": "ws-jwt",
    "oidc": "ws-jwt",
    "kerberos": "ws-kerb",
}

ACTIVE = "/lgbk/ws/activeexperiment_for_instrument_station"
REFUSED_MS = 3600_000
UNAUTHORIZED = 401
GOES_ON = "What the operator account may write goes on meanwhile"
KEPT_MS = 60_000  # a switch of the experiment is noticed by then, and by its first 403 at once


@dataclass(frozen=True, slots=True)
class Account:
    """One way to be known there. `name` is for the words of a verdict."""

    auth: AuthOptions
    name: str
    gate: str

    @property
    def is_operator(self) -> bool:
        """Is it an account of an instrument, as the server tells them (elog sheet, 3.9)?"""
        user = self.name.partition("@")[0]
        return user == "root" or bool(re.fullmatch(r"...opr", user))


class Accounts:
    """The accounts of one backend. `ask` tells the eLog's word on the active experiment."""

    def __init__(self, site: Site, active: "Active") -> None:
        is_auto = site.auth.method == "auto"
        self.person = account(site, person_of(site.auth) if is_auto else site.auth)
        self.operator = account(site, operator_of(site.auth)) if is_auto else None
        self._active = active
        self._key = RefusedKey(site, self.person.auth)

    async def of(self, experiment: str, *, as_person: bool) -> Account:
        """Who asks for something in the experiment. Raises Parked where nobody may."""
        self._check(experiment, as_person=as_person)
        if self.operator is None or as_person:
            return self.person
        if experiment == CURRENT:
            return self.operator  # which one that is may be asked by anybody
        return self.operator if await self._active.name() == experiment else self.person

    def likely(self, experiment: str, *, as_person: bool) -> tuple[Account, str | None]:
        """Who asks if the experiment is the active one, and what has to be said about that."""
        self._check(experiment, as_person=as_person)
        if self.operator is None or as_person:
            return self.person, None
        if experiment == CURRENT:
            return self.operator, None
        person = f"as {self.person.name}, by /{self.person.gate}/"
        return self.operator, f"{person}, where {experiment} is not the active experiment"

    def _check(self, experiment: str, *, as_person: bool) -> None:
        if as_person and self.person.is_operator:
            raise Parked(
                f"an operator account ({self.person.name}) may not do this in {experiment}: the"
                " eLog takes it from people only. Set auth.method to kerberos, bearer or auto",
                scope=f"{experiment}/as a person",
            )

    def other(self, refused: Account) -> Account | None:
        """Who else may try what was refused to one; None: there is nobody else.

        What was known of the active experiment is forgotten: it may have changed.
        """
        if self.operator is None:
            return None
        self._active.forget()
        return self.person if refused == self.operator else self.operator

    def check(self, asking: Account) -> None:
        """Raise what a Kerberos server has said of the person's key, rather than ask it again."""
        if self.operator is not None and asking == self.person and (said := self._key.refused()):
            raise unshown(Refused(said, credentials=True))

    def without(self, missing: Account, error: DeliveryError, scope: str) -> DeliveryError:
        """The verdict where a credential of `missing` could not be had."""
        if self.operator is None or missing != self.person or error.shown_to == "backend":
            return error
        if error.shown_to == "kdc":
            self._key.refuse(error.detail)
        return Parked(f"{error.detail}. {GOES_ON}", scope=scope)

    def unwanted(self, asking: Account, answer: Answer, url: str, scope: str) -> Parked | None:
        """The verdict where the eLog does not take the person's ticket or token, and only that.

        Neither of them locks an account, and the operator has another credential.
        """
        if self.operator is None or asking != self.person or answer.status != UNAUTHORIZED:
            return None
        detail = f"{url} answered 401: the credentials of {asking.name} are not accepted. {GOES_ON}"
        return Parked(detail, scope=scope, status=answer.status, excerpt=answer.text)


class RefusedKey:
    """Keeps in mind that a Kerberos server refused a keytab: trying on would lock the account.

    It is tried again once the keytab is another one, or after an hour.
    """

    def __init__(self, site: Site, auth: AuthOptions) -> None:
        self._site = site
        self._file = str(auth.keytab_file)
        self._told: tuple[int, str, str] | None = None

    def refuse(self, said: str) -> None:
        """It was refused just now."""
        self._told = (self._site.now(), self._fingerprint(), said)

    def refused(self) -> str | None:
        """What was said of it; None: it may be tried."""
        if self._told is None:
            return None
        at, fingerprint, said = self._told
        if 0 <= self._site.now() - at < REFUSED_MS and fingerprint == self._fingerprint():
            return said
        self._told = None
        return None

    def _fingerprint(self) -> str:
        try:
            return hashlib.sha256(self._site.find_secret(self._file).read_bytes()).hexdigest()
        except OSError as exc:
            return type(exc).__name__


class Active:
    """Which experiment is active on the instrument's station, as the eLog says it."""

    def __init__(self, site: Site, http: HttpClient) -> None:
        self._http = http
        self._now: Callable[[], int] = site.now
        self._query = {
            "instrument_name": str(site.options.instrument),
            "station": str(site.options.station),
        }
        self._url = f"{site.url.rstrip('/')}/{site.options.gate or GATES['none']}/lgbk{ACTIVE}"
        self._told: tuple[int, str | None] | None = None

    async def name(self) -> str | None:
        """The active experiment; None: there is none, or the instrument is unknown.

        Nothing is sent that changes anything: no error of this leaves an entry in doubt.
        """
        now = self._now()
        if self._told is None or not 0 <= now - self._told[0] < KEPT_MS:
            answer = await self._http.request("GET", self._url, params=self._query, anonymous=True)
            self._told = (now, active_of(answer, self._url))
        return self._told[1]

    def forget(self) -> None:
        """Ask anew the next time."""
        self._told = None


def active_of(answer: Answer, url: str) -> str | None:
    """The active experiment's name. Raises what does not let us know."""
    if answer.status == 500 and is_hard_refusal(answer):  # noqa: PLR2004 - how it says "none"
        return None
    try:
        value = value_of(answer, Asked(url, "any experiment", "nobody"))
    except Throttled:
        raise
    except Refused as error:
        error.landed = False  # nothing was sent but a question
        raise
    except DeliveryError as error:
        raise _untold(answer, error.detail) from error
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise _untold(answer, "its answer names none")
    return str(value["name"])


def _untold(answer: Answer, said: str) -> Unreachable:
    detail = f"the eLog does not tell which experiment is active, so nothing was sent: {said}"
    return Unreachable(detail, status=answer.status, excerpt=answer.text)


def account(site: Site, auth: AuthOptions) -> Account:
    """The account that a credential belongs to, with the gate for it."""
    match auth.method:
        case "none":
            name = "nobody (auth.method is none)"
        case "basic":
            name = username_of(site, auth)
        case "kerberos":
            name = whose(auth)
        case _:
            name = "the account of our token"
    return Account(auth, name, site.options.gate or GATES[auth.method])


def check_auth(auth: AuthOptions, options: Any) -> Iterator[tuple[str, str]]:
    """What `auto` needs of the other settings, and cookies do: (key, what is wrong)."""
    if auth.method == "cookie" and options.gate is None:
        yield "gate", "is required by auth.method = 'cookie': no gate for cookies is known"
    if auth.method != "auto":
        return
    if options.instrument is None:
        yield "instrument", "is required by auth.method = 'auto'"
    if options.gate is not None:
        yield "gate", "cannot be set beside auth.method = 'auto': each account has its own"
