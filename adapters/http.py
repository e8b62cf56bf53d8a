"""The one door to HTTP: a client per backend, and one mapping of httpx's errors.

Promises: only DeliveryErrors leave this module; what was provably not sent is Unreachable,
everything else that went wrong on the way is Uncertain; an answer is read to its end, up to a
size; redirects are never followed, cookies never kept, proxies and .netrc of the environment
never used.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from adapters import tls
from adapters.answer import Answer, Sink
from adapters.auth.credential import Headers
from adapters.auth.options import AuthOptions
from adapters.auth.wallet import Wallet
from adapters.base import Site
from adapters.hearing import Hearing
from adapters.preview import File, Preview
from adapters.shown import shown, stand_in
from adapters.verdict import (
    DeliveryError,
    Rejected,
    Uncertain,
    Unreachable,
)

# Shorter than the idle time of every backend we know (telemetry closes after 5 s), so that a
# pooled connection is not one that the server has just given up.
KEEPALIVE_SECONDS = 4.0

LARGEST_ANSWER = 64 * 1024 * 1024  # bytes; what has no end must not take the agent's memory

# Raised before the first byte of a request can have left this host, and never after it:
NOT_SENT = (
    httpx.ConnectError,  # no TCP or no TLS connection; an open one fails by ReadError, WriteError
    httpx.ConnectTimeout,  # the same
    httpx.PoolTimeout,  # no connection became free
    httpx.UnsupportedProtocol,  # judged by the URL, before a connection is looked for
    httpx.LocalProtocolError,  # our header lines are illegal (HTTP/1.1; HTTP/2 has other reasons)
)
# InvalidURL is not among them: see `HttpClient.request`. ProxyError neither: we use no proxy.


class HttpClient:
    """One backend's connections. `request` raises only DeliveryErrors.

    What is used of httpx is its transport: the client on top of it would keep cookies, and
    work out redirects that it is not to follow.
    """

    def __init__(self, site: Site, *, base_url: str | None = None) -> None:
        self._site = site
        self._base_url = (base_url or site.url).rstrip("/")
        self._limit = site.attempt_timeout_seconds
        self._wallet = Wallet(site, self.post_form)
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._context: ssl.SSLContext | None = None
        self._mistrusted = False

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
        auth: AuthOptions | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        """Send one request and read its whole answer, within the attempt's time.

        `path` is appended to the backend's URL (a full URL is taken as it is); `json_text`
        goes out byte for byte; `form` and `files` as form data; `anonymous` sends no
        credentials; `auth` is another account than the backend's own. After a 401, which has
        done nothing (for cookies: after being sent to log in, too), it is sent once more if
        another credential can be had at once. A body that `sink` wants goes there in parts,
        whatever its size, and not into the answer. Raises Unreachable, Refused (unusable
        credentials), Throttled (by a token server), Uncertain.
        """
        own, url = _headers(json_text, headers), self._place(path)
        until = asyncio.get_running_loop().time() + self._limit

        async def send(proof: Headers) -> Answer:
            request = self._made(
                method,
                url,
                {**own, **proof},
                params=params,
                json_text=json_text,
                form=form,
                files=files,
            )
            hearing = Hearing()
            request.extensions = {"timeout": self._timeout(), "trace": hearing}
            return await self._sent(request, url, hearing, until, sink)

        if anonymous:
            return await send({})
        return await self._wallet.show(auth or self._site.auth, send, until=until)

    async def post_form(self, url: str, form: Mapping[str, str]) -> Answer:
        """How a token server is asked: with our trust, and with none of our proofs."""
        return await self.request("POST", url, form=form, anonymous=True)

    def preview(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json_text: str | None = None,
        form: Mapping[str, str] | None = None,
        files: Sequence[File] = (),
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
        auth: AuthOptions | None = None,
        remarks: Sequence[str] = (),
    ) -> Preview:
        """The request that `request` would send, words in place of secrets. No I/O.

        Raises as `request` does where none can be made.
        """
        empty = [(one.field, (one.name, b"", one.media_type)) for one in files] or None
        sending, url = _headers(json_text, headers), self._place(path)
        made = self._made(
            method, url, sending, params=params, json_text=json_text, form=form, files=empty
        )
        return shown(
            made,
            credentials={} if anonymous else stand_in(self._site, auth or self._site.auth),
            fields=form or {},
            files=files,
            remarks=remarks,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None
        self._wallet.close()

    async def _sent(
        self,
        request: httpx.Request,
        url: str,
        hearing: Hearing,
        until: float,
        sink: Sink | None,
    ) -> Answer:
        if asyncio.get_running_loop().time() >= until:
            raise Unreachable(f"no time was left to ask {url}: credentials took {self._limit:g} s")
        try:
            async with asyncio.timeout_at(until):
                return await exchange(self._connections(), request, sink)
        except DeliveryError:
            raise
        except Exception as exc:
            raise await self._verdict(exc, url, hearing) from exc

    def _place(self, path: str) -> str:
        return path if "://" in path else f"{self._base_url}{path}"

    def _made(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str] | None,
        json_text: str | None,
        form: Mapping[str, str] | None,
        files: list[tuple[str, tuple[str, Any, str]]] | None,
    ) -> httpx.Request:
        """A request, not sent. Raises Rejected or Unreachable where none can be made."""
        content = json_text.encode() if json_text is not None else None
        try:
            return httpx.Request(
                method, url, params=params, content=content, data=form, files=files, headers=headers
            )
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise self._unsendable(exc, url) from exc

    def _connections(self) -> httpx.AsyncHTTPTransport:
        # Made at first use: reading certificates is I/O, and wrong ones are an answer, not a crash.
        if self._transport is None:
            self._context = tls.make_context(self._site)
            self._transport = httpx.AsyncHTTPTransport(
                verify=self._context,
                trust_env=False,
                limits=httpx.Limits(
                    max_connections=self._site.concurrency + 2,
                    keepalive_expiry=KEEPALIVE_SECONDS,
                ),
            )
        elif self._mistrusted and self._context is not None:
            tls.read_again(self._context, self._site)
            self._mistrusted = False
        return self._transport

    def _unsendable(self, exc: Exception, url: str) -> DeliveryError:
        """No request could be made: is it the backend's address, or what the entry adds to it?"""
        try:
            httpx.URL(self._base_url)
        except httpx.InvalidURL:
            return unreachable(exc, url)
        return Rejected(f"no request can be made of it: {described(exc)}")

    def _timeout(self) -> dict[str, float | None]:
        # A connection is made within the attempt's time: when the attempt is cut during a TLS
        # handshake, httpx leaves the socket open.
        connecting = min(self._site.timeout_seconds, self._limit / 4)
        timeout = httpx.Timeout(self._site.timeout_seconds, connect=connecting, pool=connecting)
        return timeout.as_dict()

    async def _verdict(self, exc: Exception, url: str, hearing: Hearing) -> DeliveryError:
        """What it means that a request broke off: Unreachable only where nothing can be out."""
        unsent = isinstance(exc, NOT_SENT) or hearing.connecting
        if (error := tls.tls_error(exc)) is not None:
            verdict = await self._tls_verdict(error, url, sent=not unsent)
            if verdict is not None:
                return verdict
        if unsent:
            return unreachable(exc, url)
        if isinstance(exc, TimeoutError):
            return Uncertain(f"no answer from {url} within {self._limit:g} s")
        return Uncertain(f"the request to {url} broke off: {described(exc)}")

    async def _tls_verdict(
        self, error: ssl.SSLError, url: str, *, sent: bool
    ) -> DeliveryError | None:
        self._mistrusted = True
        if not tls.is_out_of_date(error):
            return tls.verdict(error, self._site, url, sent=sent)
        seen = await self._look(url)
        now = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self._site.now())
        return tls.out_of_date(error, self._site, url, seen, now)

    async def _look(self, url: str) -> tls.Sighting:
        """The server's certificate and clock. Nothing of ours is sent, no secret either."""
        request = httpx.Request("HEAD", httpx.URL(url).join("/"))
        request.extensions["timeout"] = self._timeout()
        # Whatever goes wrong here: there is nothing to be seen then.
        with suppress(Exception):
            blind = tls.blind_to_dates(self._site)
            async with (
                asyncio.timeout(self._limit),
                httpx.AsyncHTTPTransport(verify=blind, trust_env=False) as transport,
            ):
                reply = await transport.handle_async_request(request)
                spoken = reply.extensions["network_stream"].get_extra_info("ssl_object")
                seen = tls.Sighting(spoken.getpeercert(), reply.headers.get("date"))
                await reply.aclose()
                return seen
        return tls.Sighting()


def _headers(json_text: str | None, more: Mapping[str, str] | None) -> dict[str, str]:
    """What goes out with every request, credentials apart."""
    kind = {} if json_text is None else {"Content-Type": "application/json"}
    return {"User-Agent": "holdfast", "Accept": "*/*", **(more or {}), **kind}


async def exchange(
    transport: httpx.AsyncHTTPTransport, request: httpx.Request, sink: Sink | None = None
) -> Answer:
    """Send a request and read the answer to its end, or as far as the `sink` wants it.

    Raises Uncertain when it has no end.
    """
    reply = await transport.handle_async_request(request)
    body = bytearray()
    try:
        poured = sink is not None and sink.opened(Answer(reply.status_code, reply.headers, b""))
        async for part in reply.aiter_bytes():
            if sink is not None and poured:
                if not sink.part(part):
                    break
                continue
            body += part
            if len(body) > LARGEST_ANSWER:
                detail = f"the answer of {request.url} is larger than {LARGEST_ANSWER} bytes"
                raise Uncertain(detail, status=reply.status_code)
    finally:
        await reply.aclose()
    return Answer(reply.status_code, reply.headers, bytes(body))


def unreachable(exc: Exception, url: str) -> Unreachable:
    """Say in words why nothing could be sent to `url`."""
    return Unreachable(f"cannot reach {url}: {described(exc)}")


def described(exc: Exception) -> str:
    """The error's class and text; many of httpx's errors have no text at all."""
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
