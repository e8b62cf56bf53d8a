"""Being somebody else for a moment, to see what permissions do. Only root can."""

import os
from collections.abc import Callable, Sequence

import pytest

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def as_nobody(see: Callable[[], object], groups: Sequence[int] = ()) -> str:
    """What `see` returns, or raises, in a process of its own that may do nothing, as text.

    A fork, because nobody may be able to start a Python that lies in somebody's home.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            os.setgroups(list(groups))
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            said = str(see())
        except BaseException as exc:  # noqa: BLE001 - nothing may get back into the test runner
            said = f"{type(exc).__name__}: {exc}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = told.read()
    os.waitpid(pid, 0)
    return said
