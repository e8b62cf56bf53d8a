"""Serve the real telemetry application in this process; run by the python of its own environment.

usage: serve_telemetry.py SITE_DIR PORT   (PORT 0: a free one; prints `READY URL` once it listens)

The server's own command forks a child that outlives its parent (telemetry sheet, section 11), so
a test could not kill it by its id. Here the application and uvicorn are the process itself.
"""

import socket
import sys

import uvicorn
from panoptes.utils.telemetry.server import TelemetryService, create_app


def main() -> None:
    site_dir, port = sys.argv[1], int(sys.argv[2])
    app = create_app(TelemetryService(site_dir))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    app.state.uvicorn_server = server  # POST /shutdown answers 409 without it
    # asyncio sets TCP_NODELAY only where it sees the protocol; without it an answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # The same port is taken again right after a kill.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    print(f"READY http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
