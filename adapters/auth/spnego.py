"""The one door to the optional library gssapi: a SPNEGO token for a service. It may block.

Import it only where Kerberos is used. Raises only NoToken.
"""

from dataclasses import dataclass

import gssapi
from gssapi.raw.misc import GSSError

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
KERBEROS = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose tickets. None: what the library takes by itself, the user's own.

    `store` names the keytab and the place of its tickets, as the library spells them.
    """

    principal: str | None
    store: dict[bytes | str, bytes | str] | None


class NoToken(Exception):
    """`code` is Kerberos' own number, `said` its words; `expired`: the tickets are over."""

    def __init__(self, code: int, said: str, *, expired: bool) -> None:
        super().__init__(said)
        self.code = code
        self.said = said
        self.expired = expired


def stored(keytab: str, place: str) -> dict[bytes | str, bytes | str]:
    """The store of an account whose tickets are made of a keytab, and kept at `place`."""
    return {"client_keytab": f"FILE:{keytab}", "ccache": place}


def token(account: Account, service: str) -> bytes:
    """A new token of the account for a service, "HTTP@host"; asks the KDC for what is not there.

    The library renews tickets of a keytab by itself, at half of their lifetime.
    """
    try:
        return _token(account, service)
    except GSSError as exc:
        raise _no_token(exc) from exc


def _token(account: Account, service: str) -> bytes:
    # First by Kerberos alone: of every trouble, SPNEGO says only that it has no mechanism.
    own = _credentials(account, KERBEROS)
    own.inquire(name=True, lifetime=True, usage=False, mechs=False)
    try:
        return _first(SPNEGO, _credentials(account, SPNEGO), service)
    except GSSError:
        _first(KERBEROS, own, service)
        raise


def _credentials(account: Account, mechanism: gssapi.OID) -> gssapi.Credentials:
    name = None
    if account.principal is not None:
        name = gssapi.Name(account.principal, gssapi.NameType.kerberos_principal)
    return gssapi.Credentials(name=name, mechs=[mechanism], usage="initiate", store=account.store)


def _first(mechanism: gssapi.OID, credentials: gssapi.Credentials, service: str) -> bytes:
    context = gssapi.SecurityContext(
        name=gssapi.Name(service, gssapi.NameType.hostbased_service),
        mech=mechanism,
        creds=credentials,
        usage="initiate",
        # Neither mutual authentication, which has an answer to wait for, nor delegation.
        flags=gssapi.RequirementFlag.out_of_sequence_detection,
    )
    made: bytes | None = context.step()
    return made or b""


def _no_token(exc: GSSError) -> NoToken:
    expired = isinstance(exc, gssapi.exceptions.ExpiredCredentialsError)
    code = exc.min_code - 2**32 if exc.min_code >= 2**31 else exc.min_code
    words = exc.get_all_statuses(exc.min_code, False) if exc.min_code else []
    said = "the ticket is over" if expired else "; ".join(words) or str(exc)
    return NoToken(code, said, expired=expired)
