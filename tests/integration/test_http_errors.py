"""The door to HTTP when a request breaks off: Unreachable only where no byte can have left."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest

from adapters import http
from adapters.answer import Answer
from adapters.base import Site
from adapters.hearing import Hearing
from adapters.http import NOT_SENT, HttpClient
from adapters.verdict import DeliveryError, Rejected, Uncertain, Unreachable
from tests.emulators.raw import Line, a_site, peer, reply, until

SECRET = "what-must-not-have-left"

# Each of httpx's exceptions, and whether it proves that nothing was sent. A class that a new
# version brings is in neither set: decide which by reading where it is raised.
UNSENT = {
    "ConnectError",
    "ConnectTimeout",
    "LocalProtocolError",
    "PoolTimeout",
    "UnsupportedProtocol",
}
MAYBE_SENT = {
    "CloseError",
    "CookieConflict",
    "DecodingError",
    "HTTPError",
    "HTTPStatusError",
    "InvalidURL",  # also raised while an answer is read, of a Location
    "NetworkError",
    "ProtocolError",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "RequestError",
    "RequestNotRead",
    "ResponseNotRead",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "TimeoutException",
    "TooManyRedirects",
    "TransportError",
    "WriteError",
    "WriteTimeout",
}


async def posted(site: Site, **request: Any) -> Answer:
    client = HttpClient(site)
    try:
        return await client.request("POST", f"/{SECRET}", **request)
    finally:
        await client.close()


async def hear_all(line: Line) -> None:
    while await line.hear():
        pass


def all_of(base: type[BaseException]) -> Iterator[type[BaseException]]:
    yield base
    for one in base.__subclasses__():
        yield from all_of(one)


def of_httpx() -> dict[str, type[BaseException]]:
    """Every exception class that httpx has, exported or not."""
    return {
        one.__name__: one
        for one in all_of(Exception)
        if one.__module__.partition(".")[0] == "httpx"
    }


def an_instance(kind: type[BaseException]) -> BaseException:
    try:
        return kind("words")
    except TypeError:
        pass
    try:
        return kind()
    except TypeError:
        request = httpx.Request("POST", "http://peer")
        return httpx.HTTPStatusError("words", request=request, response=httpx.Response(500))


def test_every_exception_of_httpx_is_known_here() -> None:
    assert set(of_httpx()) == UNSENT | MAYBE_SENT
    assert {one.__name__ for one in NOT_SENT} == UNSENT


@pytest.mark.parametrize("name", sorted(UNSENT | MAYBE_SENT))
async def test_every_exception_of_httpx_has_its_home(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def fail(*_: Any) -> httpx.Response:
        raise an_instance(of_httpx()[name])

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fail)

    with pytest.raises(DeliveryError) as raised:
        await posted(a_site("http://peer"))

    assert type(raised.value) is (Unreachable if name in UNSENT else Uncertain)


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(32, "Broken pipe"),
        ConnectionResetError(104, "reset"),
        OSError(24, "Too many open files"),
        TimeoutError("from below"),
        UnicodeError("label too long"),
        RuntimeError("received close, then received more data?"),
        ExceptionGroup("several", [OSError(5, "EIO")]),
        ValueError("of the transport"),
    ],
    ids=lambda one: type(one).__name__,
)
async def test_what_comes_raw_from_below_httpx_is_uncertain(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: Any) -> httpx.Response:
        raise error

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fail)

    with pytest.raises(Uncertain):
        await posted(a_site("http://peer"))


# --- nothing was sent: shown with a real peer, which has heard nothing of the request ---


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999",  # OverflowError from the socket
        f"http://{'a' * 64}.invalid:1",  # a label that no name can have
        f"http://{'a.' * 200}invalid:1",
        "http://a..b:1",
        "http://[::1",
        "http://bücher .invalid",
        "ftp://127.0.0.1:1",
        "https://.invalid:1",
    ],
)
async def test_an_address_that_cannot_be_is_unreachable(url: str) -> None:
    with pytest.raises(Unreachable, match="cannot reach"):
        await posted(a_site(url))


async def test_what_an_entry_adds_to_an_address_is_the_entrys_fault() -> None:
    """Otherwise one entry that cannot be sent would look like a dead network, for ever."""
    client = HttpClient(a_site("http://127.0.0.1:1"))

    with pytest.raises(Rejected, match="no request can be made of it"):
        await client.request("GET", "/" + "x" * 70_000)


@pytest.mark.parametrize("limits", [{"timeout_seconds": 0.2}, {"attempt_timeout_seconds": 0.8}])
async def test_a_peer_that_never_answers_the_tls_handshake_was_sent_nothing(
    limits: dict[str, float],
) -> None:
    async with peer(hear_all) as silent:
        url = silent.url.replace("http:", "https:")
        with pytest.raises(Unreachable):
            await posted(a_site(url, **limits), json_text=SECRET)

        assert SECRET.encode() not in silent.everything


async def test_a_request_for_which_no_connection_is_free_is_not_sent() -> None:
    done = asyncio.Event()

    async def drip(line: Line) -> None:
        await line.hear_request()
        await line.say(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
        while not done.is_set():
            await line.say(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        await line.say(b"0\r\n\r\n")

    async with peer(drip) as slow:
        client = HttpClient(a_site(slow.url, concurrency=0, timeout_seconds=0.2))
        others = [asyncio.create_task(client.request("GET", "/other")) for _ in range(2)]
        await until(lambda: slow.everything.count(b"GET /other") == 2)
        with pytest.raises(Unreachable, match="PoolTimeout"):
            await client.request("POST", f"/{SECRET}")
        done.set()
        await asyncio.gather(*others)
        await client.close()

    assert SECRET.encode() not in slow.everything


async def test_header_lines_that_cannot_be_are_not_sent() -> None:
    async with peer(hear_all) as listening:
        with pytest.raises(Unreachable, match="LocalProtocolError"):
            await posted(a_site(listening.url), headers={"X": "a\r\nb"})

    assert listening.everything == b""


async def test_a_host_that_has_no_descriptors_left_sends_nothing() -> None:
    async def serve(line: Line) -> None:
        while await line.hear_request():
            await line.say(reply(200, connection="close"))

    async with peer(serve) as listening:
        client = HttpClient(a_site(listening.url))
        await client.request("GET", "/first")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as probe:
            lowest = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            with pytest.raises(Unreachable):
                await client.request("POST", f"/{SECRET}")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await client.close()

    assert SECRET.encode() not in listening.everything


@pytest.mark.parametrize(
    ("event", "connecting"),
    [
        ("", False),
        ("connection.connect_tcp.started", True),
        ("connection.connect_tcp.failed", True),
        ("connection.connect_tcp.complete", False),  # whatever the next event is called
        ("connection.start_tls.failed", True),
        ("connection.start_tls.complete", False),
        ("http11.send_request_headers.started", False),
        ("connection.something_new.failed", False),
    ],
)
async def test_only_a_connection_that_was_not_made_counts_as_unsent(
    event: str, *, connecting: bool
) -> None:
    hearing = Hearing()

    if event:
        await hearing(event, {})

    assert hearing.connecting is connecting


# --- something may be out ---


async def test_a_connection_that_was_kept_and_fails_is_uncertain() -> None:
    """Also when not one byte of an answer came: the peer may have read the request."""

    async def once(line: Line) -> None:
        await line.hear_request()
        await line.say(reply(200))
        await line.hear_request()
        line.reset()

    async with peer(once) as listening:
        client = HttpClient(a_site(listening.url))
        await client.request("GET", "/first")
        with pytest.raises(Uncertain):
            await client.request("POST", f"/{SECRET}", json_text="{}")
        await client.close()

    assert len(listening.heard) == 1, "the same connection"
    assert SECRET.encode() in listening.everything


async def test_a_body_that_is_cut_off_is_uncertain() -> None:
    async def read_the_head_only(line: Line) -> None:
        await line.hear(100)
        line.reset()

    async with peer(read_the_head_only) as listening:
        with pytest.raises(Uncertain):
            await posted(a_site(listening.url), json_text="x" * 10_000_000)


async def test_a_file_that_shrinks_while_it_is_sent_is_uncertain(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 10_000_000)

    async def shrink(line: Line) -> None:
        await line.hear(100)
        path.write_bytes(b"")
        await hear_all(line)

    async with peer(shrink) as listening:
        with path.open("rb") as file, pytest.raises(Uncertain, match="broke off"):
            await posted(a_site(listening.url), files=[("files", ("f", file, "text/plain"))])


@pytest.fixture
def broken_file() -> Iterator[BinaryIO]:
    with Path("/proc/self/mem").open("rb") as file:  # its first page gives EIO
        yield file


async def test_a_file_that_cannot_be_read_to_its_end_is_uncertain(broken_file: BinaryIO) -> None:
    async with peer(hear_all) as listening:
        with pytest.raises(Uncertain, match="Errno 5"):
            await posted(a_site(listening.url), files=[("files", ("f", broken_file, "text/plain"))])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"\xff\xfe\x00garbage\r\n\r\n",
        b"HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 X\r\ncontent-length: no\r\n\r\n",
        b"HTTP/1.1 200 X\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 X\r\nx: " + b"y" * 200_000,
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",  # and then nothing: no 1xx is a final answer
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:40]),
)
async def test_an_answer_that_is_none_is_uncertain(raw: bytes) -> None:
    async def babble(line: Line) -> None:
        await line.hear_request()
        await line.say(raw)

    async with peer(babble) as listening:
        with pytest.raises(Uncertain):
            await posted(a_site(listening.url), json_text="{}")


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1_000_000)

    async def flood(line: Line) -> None:
        await line.hear_request()
        await line.say(b"HTTP/1.1 200 X\r\n\r\n")
        while True:
            await line.say(b"x" * 65536)

    async with peer(flood) as listening:
        with pytest.raises(Uncertain, match="larger than 1000000 bytes"):
            await posted(a_site(listening.url), json_text="{}")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + reply(200), 200),
        (reply(999), 999),
        (reply(302, location="mailto:somebody"), 302),
        (reply(302, location="http://[::1"), 302),
        (reply(302, location="http://127.0.0.1:1/elsewhere"), 302),
        (reply(307, b"x", location="\xff"), 307),
    ],
)
async def test_an_answer_is_read_whatever_its_status_and_followed_nowhere(
    raw: bytes, status: int
) -> None:
    async def answer(line: Line) -> None:
        await line.hear_request()
        await line.say(raw)

    async with peer(answer) as listening:
        assert (await posted(a_site(listening.url), json_text="{}")).status == status

    assert len(listening.heard) == 1


async def test_a_request_that_we_cut_ourselves_is_no_delivery_error() -> None:
    """The lane knows why it cut it, and what that means."""
    async with peer(hear_all) as listening:
        client = HttpClient(a_site(listening.url))
        asking = asyncio.create_task(client.request("POST", f"/{SECRET}"))
        await until(lambda: SECRET.encode() in listening.everything)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await client.close()
