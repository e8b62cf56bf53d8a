"""A TLS server that wants a client certificate, and says so before it hangs up.

asyncio's own TLS server just hangs up, which real servers do not.
"""

import socket
import ssl
import threading

from tests.emulators.raw import Peer, reply


class Choosy:
    """Answers 200 to everything, on connections that `context` vouches for."""

    def __init__(self, context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Peer:
        self._thread.start()
        return Peer(self.port)

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with plain:
                self._talk(plain)

    def _talk(self, plain: socket.socket) -> None:
        # A second descriptor, for wrap_socket takes the first one away.
        spare = plain.dup()
        try:
            with self._context.wrap_socket(plain, server_side=True) as line:
                line.recv(65536)
                line.sendall(reply(200, connection="close"))
        except ssl.SSLError:
            spare.shutdown(socket.SHUT_WR)
            while spare.recv(65536):  # or the reset would overtake the alert
                pass
        finally:
            spare.close()
