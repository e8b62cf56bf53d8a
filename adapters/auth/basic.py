"""A name and a password: the file is read for every request."""

import base64
from collections.abc import Mapping

from adapters.auth import secrets
from adapters.auth.credential import Credential
from adapters.auth.options import AuthOptions
from adapters.base import Site


class Basic(Credential):
    """One account with a password."""

    def __init__(self, site: Site, auth: AuthOptions) -> None:
        self._site = site
        self._username = username_of(site, auth)
        self._file = str(auth.password_file)

    async def headers(self) -> Mapping[str, str]:
        """What proves the account. Raises Refused."""
        password = secrets.read(self._site, self._file)
        pair = base64.b64encode(f"{self._username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def refused(self, shown: Mapping[str, str]) -> bool:  # noqa: ARG002 - the port's shape
        """Never again at once: accounts get locked."""
        return False

    def close(self) -> None:
        """Nothing is kept."""


def username_of(site: Site, auth: AuthOptions) -> str:
    """The user's name; {instrument} and the like are what the backend's options say."""
    options = site.options.model_dump() if site.options is not None else {}
    username = str(auth.username)
    for name, value in options.items():
        username = username.replace(f"{{{name}}}", str(value))
    return username
