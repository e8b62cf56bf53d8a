"""`auth` of a backend: which keys there are, and which of them a method needs. Pure.

`auto` holds the settings of two accounts; everything else here sees them one by one
(`accounts_of`).
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field


class BasicKeys(BaseModel, extra="forbid", frozen=True):
    """A name and a password."""

    username: str | None = None
    password_file: str | None = None


class BearerKeys(BaseModel, extra="forbid", frozen=True):
    """A token, from a file or a command."""

    token_file: str | None = None
    token_command: tuple[str, ...] | None = Field(default=None, min_length=1)


class KerberosKeys(BaseModel, extra="forbid", frozen=True):
    """A principal's key; without a keytab the tickets of the user that the agent runs as.

    `service` is whom the ticket is for: "HTTP@" and the host of the URL when not given.
    """

    keytab_file: str | None = None
    principal: str | None = Field(default=None, min_length=1)
    service: str | None = Field(default=None, pattern=r"^[^@/\s]+@[^@/\s]+$")


class AuthOptions(BasicKeys, BearerKeys, KerberosKeys, extra="forbid", frozen=True):
    """`auth` of a backend. Secrets are named by file, never written here."""

    method: Literal["none", "basic", "bearer", "kerberos", "auto"] = "none"
    operator: BasicKeys | None = None
    kerberos: KerberosKeys | None = None
    bearer: BearerKeys | None = None


KEYS = {
    "none": (),
    "basic": tuple(BasicKeys.model_fields),
    "bearer": tuple(BearerKeys.model_fields),
    "kerberos": tuple(KerberosKeys.model_fields),
    "auto": ("operator", "kerberos", "bearer"),
}
FILES = ("password_file", "token_file", "keytab_file")  # the keys that name a secret


def operator_of(auth: AuthOptions) -> AuthOptions:
    """The account of the instrument, of a complete `auto`."""
    keys = auth.operator or BasicKeys()
    return AuthOptions(method="basic", **keys.model_dump())


def person_of(auth: AuthOptions) -> AuthOptions:
    """The account of a person, of a complete `auto`."""
    if auth.bearer is not None:
        return AuthOptions(method="bearer", **auth.bearer.model_dump())
    keys = auth.kerberos or KerberosKeys()
    return AuthOptions(method="kerberos", **keys.model_dump())


def accounts_of(auth: AuthOptions) -> list[tuple[str, AuthOptions]]:
    """The accounts that may be used, and what their keys begin with: "", or "operator."."""
    if auth.method != "auto":
        return [("", auth)]
    person = person_of(auth)
    return [("operator.", operator_of(auth)), (f"{person.method}.", person)]


def secret_files(auth: AuthOptions) -> Iterator[tuple[str, str]]:
    """(key, file) of every secret that is in use."""
    for prefix, account in accounts_of(auth):
        for key in set(FILES).intersection(KEYS[account.method]):
            if (file := getattr(account, key)) is not None:
                yield prefix + key, file


def problems_of(auth: AuthOptions) -> Iterator[tuple[str, str]]:
    """(key, what is wrong with it); nothing when all is well."""
    for key in auth.model_fields_set - {"method", *KEYS[auth.method]}:
        if getattr(auth, key) is not None:
            yield key, f"is no key of method = {auth.method!r}"
    if auth.method == "auto" and auth.kerberos is not None and auth.bearer is not None:
        yield "bearer", "only one of kerberos and bearer can be the person's account"
    missing = _missing_account(auth)
    if missing is not None:
        yield missing, "is required by method = 'auto'"
        return
    for prefix, account in accounts_of(auth):
        for key in _missing(account):
            yield prefix + key, f"is required by method = {auth.method!r}"


def _missing_account(auth: AuthOptions) -> str | None:
    if auth.method != "auto":
        return None
    if auth.operator is None:
        return "operator"
    return "kerberos" if auth.kerberos is None and auth.bearer is None else None


def _missing(account: AuthOptions) -> list[str]:
    """The keys that a method cannot do without."""
    match account.method:
        case "basic":
            return [key for key in KEYS["basic"] if getattr(account, key) is None]
        case "bearer" if account.token_file is None and account.token_command is None:
            return ["token_file"]
        case _:
            return []
