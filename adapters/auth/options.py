"""`auth` of a backend: which keys there are, and which of them a method needs. Pure.

`auto` holds the settings of two accounts; everything else here sees them one by one
(`accounts_of`).
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field


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


Flow = Literal["api-access", "token-exchange", "device"]

SAFE_URL = re.compile(r"(https://[^/]|http://(127\.0\.0\.1|localhost|\[::1\])[:/])[^\s@]*")


def _safe(url: str) -> str:
    if not SAFE_URL.fullmatch(url):
        raise ValueError("has to be https: secrets go there (http is for this host only)")
    return url


TokenUrl = Annotated[str, AfterValidator(_safe)]

REALM = "https://auth.cern.ch/auth/realms/cern"
TOKEN_URLS: dict[Flow, str] = {
    "api-access": f"{REALM}/api-access/token",
    "token-exchange": f"{REALM}/protocol/openid-connect/token",
    "device": f"{REALM}/protocol/openid-connect/token",
}


class OidcKeys(BaseModel, extra="forbid", frozen=True):
    """A token of a token server (OpenID Connect), for a program or for who has logged in.

    `flow`: how it is asked for (protocols sheet of OMS, section 9). `token_url`: CERN's when not
    given; `device_url`: beside it. `audience`: whom the token is for.
    """

    client_id: str | None = Field(default=None, min_length=1)
    client_secret_file: str | None = None
    audience: str | None = Field(default=None, min_length=1)
    flow: Flow = "api-access"
    token_url: TokenUrl | None = None
    device_url: TokenUrl | None = None


class CookieKeys(BaseModel, extra="forbid", frozen=True):
    """Cookies of a login that another program makes, and that it writes in Netscape's format."""

    cookie_command: tuple[str, ...] | None = Field(default=None, min_length=1)
    cookie_file: str | None = None


class AuthOptions(
    BasicKeys, BearerKeys, KerberosKeys, OidcKeys, CookieKeys, extra="forbid", frozen=True
):
    """`auth` of a backend. Secrets are named by file, never written here."""

    method: Literal["none", "basic", "bearer", "kerberos", "oidc", "cookie", "auto"] = "none"
    operator: BasicKeys | None = None
    kerberos: KerberosKeys | None = None
    bearer: BearerKeys | None = None


KEYS = {
    "none": (),
    "basic": tuple(BasicKeys.model_fields),
    "bearer": tuple(BearerKeys.model_fields),
    "kerberos": tuple(KerberosKeys.model_fields),
    "oidc": tuple(OidcKeys.model_fields),
    "cookie": tuple(CookieKeys.model_fields),
    "auto": ("operator", "kerberos", "bearer"),
}
# The keys that name a secret.
FILES = ("password_file", "token_file", "keytab_file", "client_secret_file", "cookie_file")


# What a flow cannot do without. People prove themselves in the browser; most of their clients are
# public and have no secret.
NEEDED: dict[Flow, tuple[str, ...]] = {
    "api-access": ("client_id", "client_secret_file", "audience"),
    "token-exchange": ("client_id", "client_secret_file", "audience"),
    "device": ("client_id",),
}


def token_url_of(auth: AuthOptions) -> str:
    """Where a flow asks for tokens."""
    return auth.token_url or TOKEN_URLS[auth.flow]


def device_url_of(auth: AuthOptions) -> str:
    """Where a login begins: beside the token server's address, if nothing else is said."""
    return auth.device_url or token_url_of(auth).rpartition("/")[0] + "/auth/device"


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
    yield from _contradictions(auth)
    missing = _missing_account(auth)
    if missing is not None:
        yield missing, "is required by method = 'auto'"
        return
    for prefix, account in accounts_of(auth):
        wanted = f"flow = {account.flow!r}" if account.method == "oidc" else None
        for key in _missing(account):
            yield prefix + key, f"is required by {wanted or f'method = {auth.method!r}'}"


def _contradictions(auth: AuthOptions) -> Iterator[tuple[str, str]]:
    """Keys of one method that cannot stand beside each other."""
    if auth.method == "oidc" and auth.device_url is not None and auth.flow != "device":
        yield "device_url", f"is no key of flow = {auth.flow!r}: only 'device' asks there"
    if auth.method == "cookie" and auth.cookie_command is not None:
        if auth.cookie_file is not None:
            yield "cookie_file", "cannot be set beside cookie_command: that makes a file by itself"
        if not any("{file}" in word for word in auth.cookie_command):
            yield "cookie_command", "needs a word with {file}: where it has to write the cookies"


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
        case "oidc":
            return [key for key in NEEDED[account.flow] if getattr(account, key) is None]
        case "cookie" if account.cookie_command is None and account.cookie_file is None:
            return ["cookie_command"]
        case _:
            return []
