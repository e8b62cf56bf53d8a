"""One connection: who is at the other end, and how long it may take.

The one place that touches uvicorn's inside. Promises: a peer that says nothing, sends headers
without end, or stops in the middle of a body is answered (408, 431, 400) and let go; the
application is told the peer's uid and pid; nothing is written into the answer of another
request, so whoever was told 4xx by this module has had nothing stored; an answer that comes
before the whole body was sent can be read by the peer.
"""

import asyncio
from enum import Enum, auto
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from agent.listener.peers import Census, Patience, Peer, answer_of, credentials
from agent.refusal import Refusal


class Phase(Enum):
    """What the peer is sending."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


class Ending:
    """A transport whose `close` is the connection's to decide: it may have to linger."""

    def __init__(self, transport: asyncio.Transport, connection: "Connection") -> None:
        self._transport = transport
        self._connection = connection
        self.write = transport.write

    def close(self) -> None:
        """The last answer is written."""
        self._connection.part(linger=self._connection.phase is Phase.BODY)

    def is_closing(self) -> bool:
        """Is it too late to write?"""
        return self._connection.parted or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with peer credentials, time limits and a bound on headers."""

    def __init__(self, *given: Any, patience: Patience, census: Census, **named: Any) -> None:
        super().__init__(*given, **named)
        self._patience = patience
        self._census = census
        self._place: tuple[str, int] | None = None
        self._wire: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._last_word: Refusal | None = None
        self._unwanted = False
        self._last_of_all = False
        self.phase = Phase.NOTHING
        self.parted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the peer's ids and begin to wait for its headers."""
        super().connection_made(Ending(transport, self))  # type: ignore[arg-type]
        self._wire = transport
        uid, pid = credentials(transport.get_extra_info("socket"))
        self.app_state = {**self.app_state, "peer": Peer(uid, pid)}
        if uid is not None:
            self._place = (self.server[0] if self.server else "", uid)
            too_many = self._census.enter(self._place)
            self._unwanted = too_many > 0
            if too_many > self._census.limit:
                transport.abort()  # descriptors are worth more than politeness
        self._arm(self._patience.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.parted = True
        self._disarm()
        if self._place is not None:
            self._census.leave(self._place)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, count the bytes of headers, and see what to wait for next."""
        if self.parted or self._last_word:
            return
        self._header_bytes += len(data)
        super().data_received(data)
        if self.parted or self._last_word:
            return
        # Also while a body comes: chunks have headers of their own, and trailers behind them.
        if self._header_bytes > self._patience.header_bytes:
            self._refuse_headers()
        elif self.phase is Phase.BODY:
            self._arm(self._patience.body_seconds)
        elif self.phase is Phase.NOTHING and self._busy():
            self._disarm()  # the request is whole; from here on it is we who take time
        elif self._timer is None:
            self._arm(self._patience.header_seconds)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The peer has closed its side; it may still be waiting for an answer."""
        if self.parted:
            return None
        if self.phase is Phase.BODY:
            self._end(400, "the body ends before its announced length", linger=False)
        elif self.phase is Phase.HEADERS:
            self._end(400, "the request ends in the middle of its headers", linger=False)
        elif self._busy():
            self.cycle.keep_alive = False
        return self._busy()

    def on_message_begin(self) -> None:
        """A request begins (the connection may serve several)."""
        super().on_message_begin()
        self.phase = Phase.HEADERS
        if self._unwanted:
            self._end(429, "too many connections of one user are open; close some, or wait")

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless the headers themselves are too large."""
        if self._deaf():
            return
        self._header_bytes = 0
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._patience.header_bytes:
            self._refuse_headers()
            return
        super().on_headers_complete()
        if self._last_of_all:
            self.cycle.keep_alive = False
        self.phase = Phase.BODY
        self.scope["state"]["exchange"] = self.cycle

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._header_bytes = 0
        if not self._deaf():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._deaf():
            return
        self.phase = Phase.NOTHING
        self._header_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written; now what was wrong with the bytes behind its request."""
        super().on_response_complete()
        if self._last_word and not self._busy():
            self._say(self._last_word, linger=True)

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed as HTTP gets a problem, too."""
        self._end(400, msg)

    def shutdown(self) -> None:
        """The agent stops. Whoever has just connected, or has begun to ask, is still served once.

        Else a producer's first bytes would meet a broken pipe whenever the settings are reloaded.
        """
        if self.cycle is None or self.phase is Phase.HEADERS:
            self._last_of_all = True
        else:
            super().shutdown()

    def let_go(self) -> None:
        """The agent stops: end what is not yet a whole request."""
        if self.parted:
            self._wire.close()
        elif not self._busy():
            self._end(503, "the agent is stopping; nothing was stored", linger=False)

    def part(self, *, linger: bool) -> None:
        """Close. With `linger`, first let the peer send on for a while, and read on.

        Else a peer that is still sending would see a broken pipe and not the answer.
        """
        if self.parted:
            return
        self.parted = True
        self._disarm()
        if not linger or self._wire.is_closing():
            self._wire.close()
            return
        self._wire.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(self._patience.linger_seconds, self._wire.abort)

    def _busy(self) -> bool:
        """Is a whole request still without its answer?"""
        cycle = self.cycle
        return bool(self.pipeline) or (
            cycle is not None and not cycle.response_complete and not cycle.more_body
        )

    def _deaf(self) -> bool:
        return self.parted or self._last_word is not None

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        patience = self._patience
        if self.phase is Phase.BODY and self.flow.read_paused:
            self._arm(patience.body_seconds)  # it is we who do not read
        elif self.phase is Phase.BODY:
            self._end(
                408, f"no more of the body came within {patience.body_seconds:g} s", linger=False
            )
        else:
            said = f"no complete headers came within {patience.header_seconds:g} s"
            self._end(408, said, linger=False)

    def _refuse_headers(self) -> None:
        self._end(431, f"the headers are larger than {self._patience.header_bytes} bytes")

    def _end(self, status: int, detail: str, *, linger: bool = True) -> None:
        """Answer below the application, and close; after the answers that are still due."""
        refusal = Refusal(status, detail)
        if self._busy():
            self._last_word = refusal
        else:
            self._say(refusal, linger=linger)

    def _say(self, refusal: Refusal, *, linger: bool) -> None:
        if self.parted:
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self._wire.write(STATUS_LINE[refusal.status] + answer_of(refusal))
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()  # the application may be waiting for more of the body
        self.part(linger=linger)


def body_is_open(request: Request) -> bool:
    """Is the peer still sending the body of this request?"""
    return bool(request.state.exchange.more_body)
