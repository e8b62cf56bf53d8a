"""What it means that no Kerberos ticket can be had (RFC 4120, section 7.5.9). Pure.

Promises: Kerberos servers that are away are never taken for a wrong key; only what such a server
itself has refused may lock an account, and is not tried again at once.
"""

from dataclasses import dataclass

from adapters.auth.secrets import unshown
from adapters.base import DeliveryError, Refused, Site, Unreachable

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
    place, code = f"backends.{site.name}.auth", trouble.code
    told = f"no Kerberos ticket for {trouble.whose}: {trouble.said}"
    if code in AWAY:
        return unshown(Unreachable(f"{told}. {_AWAY}"))
    if code in CLOCKS:
        return unshown(_of(f"{told}. {_CLOCKS}", "agent"))
    if code in NO_SERVICE:
        detail = f"{told}. Is {trouble.service} right? {place}.service says whom a ticket is for"
        return unshown(_of(detail, "credentials"))
    if code in WRONG_KEY:
        detail = (
            f"{told}. {place}.keytab_file: the key in {trouble.keytab!r} is not, or no longer,"
            " the one that the Kerberos server has: make the keytab anew (its old keys end when"
            " another keytab is made, or the password is changed)"
        )
        return Refused(detail, credentials=True)
    if code in NO_ACCOUNT:
        detail = f"{told}. {place}.principal: ask who keeps the accounts, then `holdfast resume`"
        return Refused(detail, credentials=True)
    return unshown(_of_our_files(place, trouble, told))


_AWAY = (
    "The Kerberos servers (KDC) of the realm cannot be reached, or the host's krb5.conf names"
    " none. The key itself was not refused; it is tried again by itself"
)
_CLOCKS = (
    "This host's clock, or the Kerberos server's, is wrong: set it right (timedatectl), and it"
    " goes on by itself"
)


def _of_our_files(place: str, trouble: Trouble, told: str) -> DeliveryError:
    flaw = trouble.flaw
    if flaw is None and trouble.keytab is not None and trouble.code in NO_TICKET:
        flaw = f"{trouble.keytab} has no key of {trouble.whose} (`klist -k` lists what it has)"
    if flaw is not None:
        return Refused(f"{place}.keytab_file: {flaw}", credentials=True)
    if trouble.keytab is None and (trouble.expired or trouble.code in NO_TICKET):
        detail = (
            f"{told}. There is no keytab_file in {place}, so somebody has to say `kinit` as the"
            " user that the agent runs as; or give it a keytab, which needs nobody"
        )
        return _of(detail, "credentials")
    return Refused(f"{place}: {told}", credentials=trouble.keytab is not None)


def _of(detail: str, side: str) -> DeliveryError:
    """A refusal that locks nothing, and that ends without a new secret: it is tried on."""
    error = Refused(detail)
    error.side = "agent" if side == "agent" else "credentials"
    return error
