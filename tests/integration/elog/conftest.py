"""What the tests of the eLog adapter share: one server for a file, and adapters that are closed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from adapters.base import Adapter
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_desk import PERSON, Desk, Open
from tests.emulators.elog_site import EXPERIMENT, Connect, Stranger, connections
from tests.emulators.kit import Served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


@pytest.fixture
def served(server: Served) -> Served:
    server.serve(ElogEmulator(experiments=(EXPERIMENT, "mfxl1000223")))
    return server


@pytest.fixture(scope="module")
def stranger() -> Iterator[Served]:
    with Served(Stranger()) as made:
        yield made


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with connections() as maker:
        yield maker


@pytest.fixture
async def adapter(served: Served, connect: Connect) -> Adapter:
    return connect(served)


@pytest.fixture
async def open_desk() -> AsyncIterator[Open]:
    """Makes readers, each with a shelf, `(served, **changes of the site)`; closes them."""
    async with AsyncExitStack() as stack:

        def make(served: Served, **changes: Any) -> Desk:
            desk = Desk(served, **changes)
            stack.push_async_callback(desk.reader.close)
            return desk

        yield make


@pytest.fixture
async def desk(served: Served, open_desk: Open) -> Desk:
    """Asks as a person who may read everywhere."""
    return open_desk(served, auth=PERSON)
