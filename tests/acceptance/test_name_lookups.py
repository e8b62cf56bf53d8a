"""A name server that hangs, as when a network is unplugged, slows nothing but its own lane.

Needs a mount namespace of its own, to give one process another resolv.conf; the name server
that never answers is a socket on loopback.
"""

import shutil
import socket
import subprocess
import time

import pytest

from tests.ledgers import balance, payload
from tests.world import World, wait_until

UNSHARE = shutil.which("unshare")


def may_unshare() -> bool:
    if UNSHARE is None:
        return False
    return (
        subprocess.run([UNSHARE, "--mount", "true"], capture_output=True, check=False).returncode
        == 0
    )


@pytest.mark.skipif(not may_unshare(), reason="a mount namespace needs root")
def test_a_hanging_name_server_does_not_slow_the_other_lanes() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent, World() as world:
        silent.bind(("127.0.0.77", 53))
        resolver = world.home / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.77\noptions timeout:20 attempts:5\n")
        settings = world.config.read_text()
        for name in ("elog", "events"):
            settings = settings.replace(world.served[name].url, f"http://{name}.holdfast.test:80")
        world.config.write_text(settings)
        world.start(prefix=[str(UNSHARE), "--mount", "sh", "-c",
            f'mount --bind "{resolver}" /etc/resolv.conf && exec "$@"', "sh"])  # fmt: skip

        accepted = []
        for number in range(40):
            for backend in ("elog", "events", "telemetry", "accounting"):
                mark = f"n{number}"
                assert world.put(backend, payload(backend, mark))[0] == 202
                accepted.append((backend, mark))
        flowing = [one for one in accepted if one[0] in ("telemetry", "accounting")]
        begun = time.monotonic()
        wait_until(lambda: balance(world, flowing).delivered == len(flowing), 8, world.status)

        assert silent.recv(512), "the name server was asked"
        assert time.monotonic() - begun < 8
        wait_until(lambda: world.status()["backends"]["elog"]["state"] == "offline", 15)
        assert world.stop() == 0
