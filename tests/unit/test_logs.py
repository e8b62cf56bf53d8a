"""Log lines: what they never show."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from agent.logs import configure


@pytest.fixture
def untouched() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_shows_no_variables(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(log_format)  # type: ignore[arg-type]

    def fail(password: str) -> None:
        raise ZeroDivisionError(f"a bug with {len(password)} letters")

    try:
        fail("hunter2" + "!")
    except ZeroDivisionError:
        structlog.get_logger().exception("adapter.bug")

    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "hunter2!" not in told
