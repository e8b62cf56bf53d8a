"""The one door to HTTP: a client per backend, and one mapping of httpx's errors.

Promises: no exception of httpx leaves this module; what was provably not sent is
Unreachable, everything else that went wrong on the way is Uncertain; redirects are never
followed, cookies never kept, proxies and .netrc of the environment never used.
"""

import asyncio
import email.utils
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from adapters.auth import attach_credentials
from adapters.base import DeliveryError, Refused, Site, Throttled, Uncertain, Unreachable
from storage import crash

# Shorter than the idle time of every backend we know (telemetry closes after 5 s), so that a
# pooled connection is not one that the server has just given up.
KEEPALIVE_SECONDS = 4.0

LONGEST_NUMBER = 9  # digits of a Retry-After: 30 years are as good as any longer time

# Raised by httpx before the first byte of the request can have left this host.
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend answered, read to its end. `body` is bytes; nothing is trusted yet."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; undecodable bytes are replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The content type without parameters, lower case; empty when absent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        """Does the body look like a web page, whatever its label says?"""
        return self.body.lstrip()[:1] == b"<" or self.media_type == "text/html"

    @property
    def retry_after(self) -> float | None:
        """Seconds of a Retry-After header (seconds or HTTP date), never negative."""
        raw = self.headers.get("retry-after", "").strip()
        if raw.isascii() and raw.isdigit():
            return float(raw[:LONGEST_NUMBER])
        try:
            due = email.utils.parsedate_to_datetime(raw)
            sent = email.utils.parsedate_to_datetime(self.headers.get("date", ""))
            return max(0.0, (due - sent).total_seconds())
        except (TypeError, ValueError):
            return None

    def json(self) -> Any | None:
        """The body as JSON whatever its label says; None when it is not JSON (or is null)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class HttpClient:
    """One backend's connections. `request` raises only DeliveryErrors."""

    def __init__(self, site: Site, *, base_url: str | None = None) -> None:
        self._site = site
        self._base_url = (base_url or site.url).rstrip("/")
        self._client: httpx.AsyncClient | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json_text: str | None = None,
        form: Mapping[str, str] | None = None,
        files: list[tuple[str, tuple[str, Any, str]]] | None = None,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Answer:
        """Send one request and read its whole answer, within the attempt's time.

        `path` is appended to the backend's URL (a full URL is taken as it is); `json_text`
        goes out byte for byte; `form` and `files` as form data; `anonymous` sends no
        credentials. Raises Unreachable, Refused (unusable credentials), Uncertain.
        """
        sending = dict(headers or {})
        if json_text is not None:
            sending["Content-Type"] = "application/json"
        if not anonymous:
            sending.update(await attach_credentials(self._site))
        url = path if "://" in path else f"{self._base_url}{path}"
        try:
            async with asyncio.timeout(self._site.attempt_timeout_seconds):
                reply = await self._connections().request(
                    method,
                    url,
                    params=params,
                    content=json_text.encode() if json_text is not None else None,
                    data=form,
                    files=files,
                    headers=sending,
                    extensions={"trace": _pass_point} if crash.armed() else None,
                )
        except NOT_SENT as exc:
            raise unreachable(exc, url) from exc
        except TimeoutError as exc:
            limit = self._site.attempt_timeout_seconds
            raise Uncertain(f"no answer from {url} within {limit:g} s") from exc
        except (httpx.HTTPError, httpx.StreamError, httpx.CookieConflict) as exc:
            raise Uncertain(f"the answer of {url} was lost: {described(exc)}") from exc
        return Answer(reply.status_code, reply.headers, reply.content)

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _connections(self) -> httpx.AsyncClient:
        # Made at first use: reading certificates is I/O, and wrong ones are an answer, not a crash.
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=self._tls_context(),
                trust_env=False,
                follow_redirects=False,
                timeout=self._site.timeout_seconds,
                limits=httpx.Limits(
                    max_connections=self._site.concurrency + 2,
                    keepalive_expiry=KEEPALIVE_SECONDS,
                ),
                headers={"User-Agent": "holdfast"},
                # Sessions outlive permissions (elog sheet, section 1): keep no cookie of anybody.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        return self._client

    def _tls_context(self) -> ssl.SSLContext:
        tls = self._site.tls
        try:
            context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
            if tls.cert_file:
                context.load_cert_chain(tls.cert_file, tls.key_file)
        except (OSError, ssl.SSLError) as exc:
            detail = f"the certificates of backends.{self._site.name}.tls cannot be used: {exc}"
            raise Refused(detail, credentials=True) from exc
        return context


async def _pass_point(event: str, _: object) -> None:
    if event.endswith("send_request_body.complete"):
        crash.point("send.out")


def unreachable(exc: Exception, url: str) -> Unreachable:
    """Say in words why nothing could be sent to `url`."""
    return Unreachable(f"cannot reach {url}: {described(exc)}")


def described(exc: Exception) -> str:
    """The error's class and text; many of httpx's errors have no text at all."""
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def refusal_of_us(answer: Answer, url: str) -> DeliveryError | None:
    """The verdict of answers that mean the same from every backend, or None.

    401, 403, 407 and redirects refuse us; 429, and 503 with Retry-After, ask us to wait.
    404 and 405 are not here: some backends use them for an entry, not for an endpoint.
    """
    status, excerpt = answer.status, answer.text
    if status in (401, 407):
        detail = f"{url} answered {status}: the credentials are not accepted"
        return Refused(detail, status=status, excerpt=excerpt, credentials=True)
    if status == httpx.codes.FORBIDDEN:
        return Refused(f"{url} answered 403: we may not do this", status=status, excerpt=excerpt)
    if 300 <= status < 400:  # noqa: PLR2004 - the range is the meaning
        target = answer.headers.get("location", "nowhere")
        detail = f"{url} answered {status} and points to {target}: is the url of the backend right?"
        return Refused(detail, status=status, excerpt=excerpt)
    asked = answer.retry_after
    if status == httpx.codes.TOO_MANY_REQUESTS or (
        status == httpx.codes.SERVICE_UNAVAILABLE and asked is not None
    ):
        detail = f"{url} answered {status}: it asks us to come back later"
        return Throttled(detail, retry_after=asked, status=status, excerpt=excerpt)
    return None
