"""An empty database of the present schema: made once by the real revisions, copied from then on.

Making one takes thirty times as long as copying it, and more than a thousand tests want one.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from storage.engine import writing_engine
from storage.outbox import DATABASE
from storage.upgrade import bring_up_to_date


def put_database(folder: Path) -> Path:
    """Where it lies in `folder`, unless there is one already."""
    path = folder / DATABASE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_template())
    return path


@cache
def _template() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        engine = writing_engine(path)
        bring_up_to_date(path, engine)
        engine.dispose()
        return path.read_bytes()
