"""Any bytes at the socket: no 5xx, no hang, nothing odd stored, and the next one is served."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.listener.peers import Patience
from tests.door import Door
from tests.fuzz.ground import SocketGround
from tests.fuzz.strategies import nearly_http, posted


@pytest.fixture(scope="module")
def ground() -> Iterator[SocketGround]:
    with Door(patience=Patience(header_seconds=1, body_seconds=1, linger_seconds=0.2)) as door:
        yield SocketGround(door)


@given(posted() | nearly_http())
@settings(max_examples=250)
def test_any_request_is_answered_below_500_and_harms_nobody(
    ground: SocketGround, raw: bytes
) -> None:
    ground.raw_request(raw)


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_are_answered_below_500_and_harm_nobody(ground: SocketGround, raw: bytes) -> None:
    ground.raw_request(raw)


@given(st.lists(nearly_http(), min_size=2, max_size=3).map(b"".join))
@settings(max_examples=60)
def test_requests_one_behind_the_other_harm_nobody(ground: SocketGround, raw: bytes) -> None:
    ground.raw_request(raw)
