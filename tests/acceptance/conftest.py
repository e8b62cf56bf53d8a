"""What several files of tests share because it takes seconds: real servers, loaded code."""

from collections.abc import Iterator

import pytest

from tests.real.event_manager import VERSIONS, RealEventManager, real_event_manager
from tests.zygote import Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Agents of many tests by fork: each start would load the same code for a second."""
    with Zygote() as made:
        yield made


@pytest.fixture(scope="session", params=VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealEventManager]:
    """A real Event Manager of each version. Every test uses ids of its own."""
    folder = tmp_path_factory.mktemp("event_manager")
    with real_event_manager(request.param, folder) as server:
        yield server
