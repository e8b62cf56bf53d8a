"""Who is asking, and what they may do (elog sheet, section 1): gates, roles, session cookies."""

import base64
import re
import secrets
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.emulators.elog_answers import page

ROLES = {
    "Reader": {"read"},
    "Writer": {"read", "post"},
    "Editor": {"read", "post", "edit", "delete"},
    "Manager": {"read", "post", "edit", "delete", "switch"},
}
GATED = re.compile(r"/(ws|ws-auth|ws-kerb|ws-jwt)/lgbk(/.*)")


@dataclass
class People:
    """Accounts as the proxy knows them, and roles as the application knows them.

    `grants[where][user]` is a role; `where` is an experiment, an instrument in capitals, or
    "*". `anonymous_user` is who comes through the gate without credentials; the real one lets
    nobody in by a name there. `tickets` tells whose a SPNEGO token is (None: nobody's); without
    it every token is `kerberos_user`'s.
    """

    accounts: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    kerberos_user: str = "pi1"
    tickets: Callable[[str], str | None] | None = None
    anonymous_user: str | None = None
    grants: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    sessions: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def known(self, user: str) -> bool:
        """Is that a user of the directory (LDAP)?"""
        return any(user in role_of for role_of in list(self.grants.values()))

    def may(self, user: str | None, privilege: str, experiment: str, instrument: str) -> bool:
        """Do the roles of `user` hold the privilege, in the experiment or above it?"""
        if user is None:
            return False
        roles = [self.grants[where].get(user) for where in ("*", instrument, experiment)]
        return any(privilege in ROLES[role] for role in roles if role)

    def remembers(self, session: str | None, experiment: str, privilege: str) -> bool:
        """A session keeps what was once granted, to whoever holds it, whatever happened since."""
        return (experiment, privilege) in self.sessions.get(session or "", set())

    def open_session(self, experiment: str, privilege: str) -> str:
        session = secrets.token_hex(8)
        self.sessions[session] = {(experiment, privilege)}
        return session

    def through_gate(self, gate: str, authorization: str) -> tuple[bool, str | None]:
        """Does the gate let the request pass, and as whom?"""
        scheme, _, credential = authorization.partition(" ")
        match gate, scheme.lower():
            case "ws", _:
                return True, self.anonymous_user
            case "ws-auth", "basic":
                return self._by_password(credential)
            case "ws-kerb", "negotiate":
                user = self.tickets(credential) if self.tickets else self.kerberos_user
                return bool(credential) and user is not None, user
            case "ws-jwt", "bearer":
                return credential in self.tokens, self.tokens.get(credential)
            case _:
                return False, None

    def _by_password(self, credential: str) -> tuple[bool, str]:
        user, _, password = base64.b64decode(credential).decode("utf-8", "replace").partition(":")
        return self.accounts.get(user) == password, user


class Gates:
    """The reverse proxy: authenticates, strips `/<gate>/lgbk`, names the user to the application.

    A bare application path keeps the Remote-User header that it came with.
    """

    def __init__(self, app: ASGIApp, people: People) -> None:
        self.app = app
        self.people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = re.sub(r"/{2,}", "/", scope["path"])
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        gated = GATED.fullmatch(path)
        passed, user = True, headers.get("remote-user")
        if gated:
            gate, path = gated.groups()
            passed, user = self.people.through_gate(gate, headers.get("authorization", ""))
        if not passed:
            refused = Response(page(401), 401, {"content-type": "text/html; charset=utf-8"})
            await refused(scope, receive, send)
            return
        caller: dict[str, Any] = {"user": user.partition("@")[0] if user else None}
        await self.app({**scope, "path": path, "raw_path": path.encode(), **caller}, receive, send)
