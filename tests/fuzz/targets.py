"""What `make fuzz` feeds: each a function of bytes that fails when a promise does not hold.

Two of a kind: `raw` bytes go in as they are, `shaped` bytes choose what the strategies of the
short tests draw, so that the fuzzer's coverage steers them.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.listener.peers import Patience
from agent.spool import formats
from tests.door import Door
from tests.fuzz import ground
from tests.fuzz.ground import BACKENDS, SocketGround, SpoolGround
from tests.fuzz.strategies import ENVIRONMENTS, FILES, nearly_http, nearly_settings, posted

Target = Callable[[bytes], object]

NAMES = (
    "spool-raw",
    "spool-shaped",
    "settings-raw",
    "settings-shaped",
    "socket-raw",
    "socket-shaped",
)


def request(body: bytes) -> bytes:
    """A good one."""
    head = "POST /v1/entries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "spool-raw": (
        b'\x00{"event_type":"x","event_data":{}}',
        b"\x0c---\nexperiment: xpptut15\ntags: [a, b]\nlabels:\n  - a=b\n---\ntext",
        b'\x01{"payload":{"event_type":"x","event_data":{}},"key":"k"}\n\n{"event_type":"y"}',
    ),
    "settings-raw": (
        b'[backends.events]\nkind = "event_manager"\nurl = "http://e:1"\n',
        b"[retry]\nmax_attempts = 3\n",
    ),
    "socket-raw": (
        request(b'{"backend":"events","payload":{"event_type":"x","event_data":{}}}'),
        b"GET /v1/entries?limit=3 HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
}
QUICK = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
SETTLED = [(suffix, name) for suffix in formats.SUFFIXES for name in sorted(BACKENDS)]


def make(name: str) -> Target:
    """The target of this name, with its ground under it."""
    kind, _, how = name.partition("-")
    return {"spool": _spool, "settings": _settings, "socket": _socket}[kind](how)


def _spool(how: str) -> Target:
    under = SpoolGround()

    def raw(data: bytes) -> None:
        suffix, backend = SETTLED[data[0] % len(SETTLED)] if data else SETTLED[0]
        under.spool_file(suffix, backend, data[1:])

    @given(st.sampled_from(SETTLED), FILES)
    @QUICK
    def shaped(place: tuple[str, str], data: bytes) -> None:
        under.spool_file(*place, data)

    return raw if how == "raw" else shaped.hypothesis.fuzz_one_input


def _settings(how: str) -> Target:
    folder = Path(tempfile.mkdtemp(prefix="hf-"))

    def raw(data: bytes) -> None:
        ground.settings(data.decode("utf-8", "surrogateescape"), {}, folder)

    @given(nearly_settings(), ENVIRONMENTS)
    @QUICK
    def shaped(text: str, environment: Mapping[str, str]) -> None:
        ground.settings(text, environment, folder)

    return raw if how == "raw" else shaped.hypothesis.fuzz_one_input


def _socket(how: str) -> Target:
    door = Door(patience=Patience(header_seconds=1, body_seconds=1, linger_seconds=0.2))
    under = SocketGround(door.__enter__())

    @given(posted() | nearly_http())
    @QUICK
    def shaped(data: bytes) -> None:
        under.raw_request(data)

    return under.raw_request if how == "raw" else shaped.hypothesis.fuzz_one_input
