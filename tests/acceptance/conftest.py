"""Real servers that several files of tests share: starting one takes seconds."""

from collections.abc import Iterator

import pytest

from tests.real.event_manager import VERSIONS, RealEventManager, real_event_manager


@pytest.fixture(scope="session", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealEventManager]:
    """A real Event Manager of each version. Every test uses ids of its own."""
    folder = tmp_path_factory.mktemp("event_manager")
    with real_event_manager(request.param, folder) as server:
        yield server
