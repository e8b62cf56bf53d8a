"""A real SMTP server on loopback that keeps what it is sent, or misbehaves.

Promises: every mail that a sender was told is taken is in `mails`, once per time it was sent.
"""

import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from typing import Literal

Behaviour = Literal["take", "refuse", "hang"]

OFFERS = b"250 mail.example.org\r\n"
HANGS_SECONDS = 60  # at most: the next test is better off with a failure than with none


class MailSink:
    """What has been mailed, and how the next connection is going to be treated."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[Message] = []
        self.refused = 0
        self.behaviour: Behaviour = "take"
        self.freed = threading.Event()

    def behave(self, behaviour: Behaviour) -> None:
        """From now on, "hang" until told otherwise: a hanging connection then goes on."""
        self.behaviour = behaviour
        if behaviour == "hang":
            self.freed.clear()
        else:
            self.freed.set()

    def counts(self) -> Counter[str]:
        """Mails per event."""
        return Counter(one["X-MADSci-Event-ID"] for one in self.mails)


class Conversation(socketserver.StreamRequestHandler):
    """One sender. The commands that `smtplib` uses, and no more."""

    def handle(self) -> None:
        sink: MailSink = self.server.sink  # type: ignore[attr-defined]
        if sink.behaviour == "hang":
            sink.freed.wait(HANGS_SECONDS)
        if sink.behaviour == "refuse":
            sink.refused += 1
            self.wfile.write(b"554 no mail today\r\n")
            return
        self.wfile.write(b"220 mail.example.org\r\n")
        while command := self.rfile.readline().strip().upper():
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                sink.mails.append(message_from_bytes(b"".join(self.lines())))
            self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else OFFERS)

    def lines(self) -> Iterator[bytes]:
        """The mail, up to its dot or to the end of the connection."""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            yield line


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def mail_sink() -> Iterator[MailSink]:
    """A sink for as long as the block lasts, on a free port."""
    with Server(("127.0.0.1", 0), Conversation) as server:
        sink = server.sink = MailSink(server.server_address[1])  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            sink.behave("take")
            server.shutdown()
            thread.join()
