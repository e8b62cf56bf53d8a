"""What it means that no Kerberos ticket can be had (RFC 4120, section 7.5.9). Pure.

Promises: Kerberos servers that are away are never taken for a wrong key; what such a server has
refused, and only that, may lock an account: everything else is marked as shown to nobody.
"""

from dataclasses import dataclass

from adapters.auth.secrets import unshown
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused, Unreachable

LIBRARY = -1765328384  # where the library's numbers begin; the protocol's own come first

AWAY = {LIBRARY + number for number in (29, 154, 156, 220)}
# 29: the service is not available; 154, 156, 220: no server is known, answers, or has an address.
WRONG_KEY = {LIBRARY + 24, LIBRARY + 31}  # pre-authentication failed; it does not decrypt
NO_ACCOUNT = {LIBRARY + number for number in (1, 6, 18, 23)}  # expired, unknown, locked, old key
NO_SERVICE = {LIBRARY + 7}
CLOCKS = {LIBRARY + number for number in (33, 37)}  # not yet valid; too far apart
NO_TICKET = {LIBRARY + number for number in (32, 141, 195)}  # over; none in the cache; no cache


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the library says: `code` is Kerberos' own, `said` its words.

    `whose`: the principal as the settings name it; `keytab` the file that they name, and
    `service` whom the ticket was for. `flaw`: what is wrong with the keytab, seen from here.
    """

    code: int
    said: str
    whose: str
    service: str
    keytab: str | None = None
    flaw: str | None = None
    expired: bool = False


def verdict(site: Site, trouble: Trouble) -> DeliveryError:
    """The error that says what to do."""
    code = trouble.code
    told = f"no Kerberos ticket for {trouble.whose}: {trouble.said}"
    if code in AWAY:
        return unshown(Unreachable(f"{told}. {_AWAY}"))
    if code in CLOCKS:
        error = Refused(f"{told}. {_CLOCKS}", credentials=True)
        error.side = "agent"
        return unshown(error)
    detail = _detail(f"backends.{site.name}.auth", trouble, told)
    error = Refused(detail, credentials=True)
    if code not in WRONG_KEY | NO_ACCOUNT:
        return unshown(error)
    error.shown_to = "kdc"
    return error


_AWAY = (
    "The Kerberos servers (KDC) of the realm cannot be reached, or the host's krb5.conf names"
    " none. The key itself was not refused; it is tried again by itself"
)
_CLOCKS = (
    "This host's clock, or the Kerberos server's, is wrong: set it right (timedatectl), and it"
    " goes on by itself"
)


def _detail(place: str, trouble: Trouble, told: str) -> str:
    code, keytab = trouble.code, trouble.keytab
    if code in WRONG_KEY:
        return (
            f"{told}. {place}.keytab_file: the key in {keytab!r} is not, or no longer, the one"
            " that the Kerberos server has: make the keytab anew (its old keys end when another"
            " keytab is made, or the password is changed)"
        )
    if code in NO_ACCOUNT:
        return f"{told}. {place}.principal: ask who keeps the accounts, then `holdfast resume`"
    if code in NO_SERVICE:
        return f"{told}. Is {trouble.service} right? {place}.service says whom a ticket is for"
    return _flaw(place, trouble, told)


def _flaw(place: str, trouble: Trouble, told: str) -> str:
    """What is wrong on this host."""
    code, keytab = trouble.code, trouble.keytab
    if trouble.flaw is not None:
        return f"{place}.keytab_file: {trouble.flaw}"
    if keytab is not None and code in NO_TICKET:
        return f"{place}.keytab_file: {keytab} has no key of {trouble.whose} (look: `klist -k`)"
    if keytab is None and (trouble.expired or code in NO_TICKET):
        return (
            f"{told}. There is no keytab_file in {place}, so somebody has to say `kinit` as the"
            " user that the agent runs as; or give it a keytab, which needs nobody"
        )
    return f"{place}: {told}"
