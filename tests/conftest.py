"""Shared by all tests: a scrubbed environment, an outbox on a real database."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from storage import reserve
from storage.outbox import Outbox
from tests.builders import NOW
from tests.fresh import put_database

for variable in [name for name in os.environ if name.startswith(("HOLDFAST_", "LISTEN_"))]:
    del os.environ[variable]
for variable in ("NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "http_proxy", "https_proxy"):
    os.environ.pop(variable, None)

# A shared machine stalls now and then; a deadline would blame the code for it.
settings.register_profile("holdfast", deadline=None, max_examples=60)
settings.load_profile("holdfast")

# A thousand outboxes of tests must not take 8 MiB each.
reserve.SIZE = 64 * 1024

URLS = {"events": "http://events.test", "elog": "http://elog.test"}


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    put_database(tmp_path)
    opened = Outbox(tmp_path, URLS)
    opened.recover(NOW)
    yield opened
    opened.close()
