"""sd_notify(3): tell systemd that we are ready, stopping, and alive. A no-op elsewhere.

Written here because it is one datagram; the libraries for it are bindings to libsystemd.
"""

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends to $NOTIFY_SOCKET, if systemd gave one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        watchdog = environment.get("WATCHDOG_USEC", "")
        meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
        ours = watchdog.isdigit() and meant_for == str(os.getpid())
        self.watchdog_seconds = int(watchdog) / 1_000_000 if ours else None

    def send(self, state: str) -> None:
        """Such as READY=1. Losing it must not disturb the work: systemd decides what follows."""
        if not self._address:
            return
        # A leading @ stands for the abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            try:
                out.connect(address)
                out.send(state.encode())
            except OSError:
                return
