"""Kerberos by SPNEGO (RFC 4559): a new token for every request, from a keytab or a user's tickets.

Promises: the library is loaded only where the method is used; its calls, which ask the KDC and
may hang with it, run in a thread of this account's own, so that they hold up nothing else. The
tickets of a keytab live in memory and are renewed at half of their lifetime, from the keytab as
it is then; while they are good, the KDC may be away. Tokens are never logged. Why the server's
own token is not looked at: docs/decisions/0009-kerberos.md.
"""

import asyncio
import base64
import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapters.auth.credential import Credential
from adapters.auth.options import AuthOptions
from adapters.auth.tickets import Trouble, verdict
from adapters.base import Site

if TYPE_CHECKING:
    from adapters.auth import spnego

KEYTAB_STARTS = (b"\x05\x01", b"\x05\x02")  # its two versions

# Each account's tickets have a name of their own in the library's memory, which the library does
# not free: a few kilobytes for each keytab that a server did not take, or reload of the settings.
_numbers = itertools.count(1)


def missing_library() -> str | None:
    """Why there can be no Kerberos on this host; None: there can."""
    try:
        from adapters.auth import spnego  # noqa: F401, PLC0415 - its library is optional
    except ImportError as exc:
        return (
            f"'kerberos' needs the Python package gssapi ({exc}): pip install 'holdfast[kerberos]'"
            " in the environment of the agent (it is built against MIT Kerberos: Debian's"
            " libkrb5-dev)"
        )
    return None


class Kerberos(Credential):
    """One account with a principal."""

    def __init__(self, site: Site, auth: AuthOptions) -> None:
        self._site = site
        self._auth = auth
        self._service = auth.service or f"HTTP@{urlsplit(site.url).hostname}"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kerberos-{site.name}")
        self._tickets = _new_place()

    async def headers(self) -> Mapping[str, str]:
        """What proves the account. Raises Unreachable (the KDC) and Refused."""
        token = await asyncio.get_running_loop().run_in_executor(self._thread, self._token)
        return {"Authorization": f"Negotiate {base64.b64encode(token).decode()}"}

    def refused(self, shown: Mapping[str, str]) -> bool:  # noqa: ARG002 - every token is new
        """The server did not take it: the next token is made of new tickets.

        Without a keytab there are no others than the user's.
        """
        self._tickets = _new_place()
        return self._auth.keytab_file is not None

    def close(self) -> None:
        """Wait for nothing: a call that hangs cannot be ended from here."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _token(self) -> bytes:
        from adapters.auth import spnego  # noqa: PLC0415 - its library is optional

        try:
            try:
                return spnego.token(self._account(), self._service)
            except spnego.NoToken as none:
                if not none.expired or self._auth.keytab_file is None:
                    raise
                # It says that they are over, and not why there are no new ones.
                self._tickets = _new_place()
                return spnego.token(self._account(), self._service)
        except spnego.NoToken as none:
            raise verdict(self._site, self._trouble(none)) from none

    def _account(self) -> "spnego.Account":
        from adapters.auth import spnego  # noqa: PLC0415 - its library is optional

        if self._auth.keytab_file is None:
            return spnego.Account(self._auth.principal, None)
        keytab = self._site.find_secret(self._auth.keytab_file)
        return spnego.Account(self._auth.principal, spnego.stored(str(keytab), self._tickets))

    def _trouble(self, none: "spnego.NoToken") -> Trouble:
        keytab = self._auth.keytab_file
        return Trouble(
            code=none.code,
            said=none.said,
            whose=whose(self._auth),
            service=self._service,
            keytab=keytab,
            flaw=flaw(self._site.find_secret(keytab), keytab) if keytab is not None else None,
            expired=none.expired,
        )


def flaw(path: Path, name: str) -> str | None:
    """What is wrong with a keytab; None: nothing to be seen. `name` is its name in the settings."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as exc:
        return f"{name} cannot be read: {exc.strerror}"
    return None if start in KEYTAB_STARTS else f"{name} is no keytab"


def whose(auth: AuthOptions) -> str:
    """The account in words."""
    if auth.principal is not None:
        return auth.principal
    if auth.keytab_file is not None:
        return f"the first principal of {auth.keytab_file}"
    return "the user that the agent runs as"


def _new_place() -> str:
    return f"MEMORY:holdfast-{next(_numbers)}"
