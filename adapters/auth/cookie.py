"""Cookies of a login that another program makes (single sign-on): from its file, or by its run.

Promises: only cookies that are for the backend's host and path, and not over, are sent; none that
a server sets is kept. A command writes into a folder that nobody else can read, and the file is
gone before the first cookie is sent. A request that was sent to another host to log in has done
nothing: the gate in front of the backend answered. Source: protocols sheet of OMS, sections 9
and 10.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from adapters.auth import commands, secrets
from adapters.auth.cookie_file import Cookie, cookies_in, fitting, header
from adapters.auth.credential import Answered, Credential, Headers
from adapters.auth.refusals import LastRefusal
from adapters.auth.token_server import host_of
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused

REDIRECTS = (301, 302, 303, 307, 308)
# A login that was declined at once, or that failed, is not tried for every request: it may ask a
# person's telephone each time.
YOUNG_SECONDS = 30


class Cookies(Credential):
    """What both ways share. `key`: the one below `auth` that names them."""

    key: str

    def __init__(self, site: Site) -> None:
        self._site = site

    def declined(self, answer: Answered) -> bool:
        """A gate declines with 401, or by sending us to another host to log in."""
        return super().declined(answer) or self._login_host(answer) is not None

    def verdict(self, answer: Answered) -> DeliveryError | None:
        """Where it sends us to log in is no place that the url of the backend has to do with."""
        host = self._login_host(answer)
        if host is None:
            return None
        detail = (
            f"{self._site.url} answered {answer.status} and sends us to {host} to log in: the"
            f" cookies of backends.{self._site.name}.auth.{self.key} are not taken, or no more."
            " Nothing was done there"
        )
        return Refused(detail, status=answer.status, credentials=True)

    def _login_host(self, answer: Answered) -> str | None:
        """Where an answer sends us, if that is another host."""
        if answer.status not in REDIRECTS:
            return None
        host = host_of(answer.headers.get("location", ""))
        return None if host == host_of(self._site.url) else host

    def _fitting(self, cookies: Sequence[Cookie]) -> Headers | None:
        """The header; None: no cookie is for the backend, or all of them are over."""
        found = fitting(cookies, self._site.url, self._site.now() / 1000)
        return {"Cookie": header(found)} if found else None

    def _useless(self, cookies: Sequence[Cookie]) -> DeliveryError:
        host = host_of(self._site.url)
        said = f"has no cookie for {host} that is not over" if cookies else "has no cookie at all"
        return secrets.unusable(self._site, f"the file {said}: log in anew", self.key)


class FileCookies(Cookies):
    """Cookies in a file that somebody else renews: it is read for every request."""

    key = "cookie_file"

    def __init__(self, site: Site, file: str) -> None:
        super().__init__(site)
        self._file = file

    async def headers(self) -> Headers:
        """What proves the account. Raises Refused."""
        try:
            text = self._site.read_secret(self._file)
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or type(exc).__name__
            said = f"{self._file!r} cannot be read: {reason}"
            raise secrets.unusable(self._site, said, self.key) from exc
        cookies = cookies_in(text)
        if (found := self._fitting(cookies)) is None:
            raise self._useless(cookies)
        return found

    def refused(self, shown: Headers) -> bool:  # noqa: ARG002 - the port's shape
        """There are no others until the file changes."""
        return False

    def close(self) -> None:
        """Nothing is kept."""


class CommandCookies(Cookies):
    """Cookies that a command gets: kept until they are over, or not taken any more."""

    key = "cookie_command"

    def __init__(self, site: Site, command: Sequence[str]) -> None:
        super().__init__(site)
        self._command = command
        self._kept: Sequence[Cookie] = ()
        self._got = 0.0
        self._failure = LastRefusal(site, YOUNG_SECONDS)
        self._one_at_a_time = asyncio.Lock()

    async def headers(self) -> Headers:
        """What proves the account. Raises Refused."""
        async with self._one_at_a_time:
            found = self._fitting(self._kept)
            return found or await self._renewed()

    def refused(self, shown: Headers) -> bool:
        """The gate did not take them: the next ones are new ones, if these were not."""
        if self._fitting(self._kept) != shown:
            return True  # another request has noticed, too
        if 0 <= self._site.now() / 1000 - self._got < YOUNG_SECONDS:
            return False
        self._kept = ()
        return True

    def close(self) -> None:
        """Forget them."""
        self._kept = ()

    async def _renewed(self) -> Headers:
        self._failure.check(self.key)
        try:
            self._kept = await self._fetched()
            self._got = self._site.now() / 1000
            if (found := self._fitting(self._kept)) is None:
                raise self._useless(self._kept)
        except DeliveryError as error:
            self._failure.keep(error, self.key)
            raise
        return found

    async def _fetched(self) -> list[Cookie]:
        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:  # 0700
            file = Path(folder) / "cookies.txt"
            words = {"{url}": self._site.url, "{file}": str(file)}
            await commands.run(self._site, self.key, [_filled(one, words) for one in self._command])
            try:
                return cookies_in(file.read_text("utf-8", "replace"))
            except OSError as exc:
                said = f"it ended well and wrote no file: {exc.strerror}"
                raise secrets.unusable(self._site, said, self.key) from exc


def _filled(word: str, words: dict[str, str]) -> str:
    for name, said in words.items():
        word = word.replace(name, said)
    return word
