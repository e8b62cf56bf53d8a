"""What the tests of tokens share: one server for a file, and requests that need a token."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.auth.options import AuthOptions
from adapters.base import Site
from adapters.http import HttpClient
from adapters.verdict import DeliveryError
from tests.emulators.kit import Served
from tests.emulators.oidc import API, AUDIENCE, REALM, SECRET, OidcEmulator
from tests.emulators.raw import a_site

Ask = Callable[[], Any]


class World:
    """An emulator that is served, and a folder with the client's secret."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served = served
        self.folder = folder
        self.secret = folder / "secret"
        self.secret.write_text(SECRET + "\n")
        self.emulator = OidcEmulator()
        served.serve(self.emulator)

    def robot(self, flow: str = "api-access", **more: Any) -> AuthOptions:
        """The program's way in."""
        path = API if flow == "api-access" else REALM
        keys = {
            "client_id": "robot",
            "client_secret_file": str(self.secret),
            "audience": AUDIENCE,
            "token_url": self.served.url + path,
        }
        return AuthOptions.model_validate({"method": "oidc", "flow": flow, **keys, **more})

    def person(self, **more: Any) -> AuthOptions:
        """A person's way in."""
        keys = {"client_id": "people", "audience": AUDIENCE, "token_url": self.served.url + REALM}
        return AuthOptions.model_validate({"method": "oidc", "flow": "device", **keys, **more})

    def site(self, auth: AuthOptions, **changes: Any) -> Site:
        own = {"name": "oms", "auth": auth, "now": self.emulator.now, "logins": self.folder / "t"}
        return a_site(self.served.url, **own | changes)

    @asynccontextmanager
    async def asking(
        self, auth: AuthOptions, path: str = "/data", **changes: Any
    ) -> AsyncIterator[Ask]:
        """Gives what asks for data, and tells the status or the error."""
        client = HttpClient(self.site(auth, **changes))

        async def ask() -> int | DeliveryError:
            try:
                return (await client.request("GET", path)).status
            except DeliveryError as error:
                return error

        try:
            yield ask
        finally:
            await client.close()
