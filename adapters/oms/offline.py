"""What the reader wants to know of kept answers and of runs, in one place."""

from adapters.oms.recall import recall
from adapters.oms.rows import Row
from adapters.oms.settled import (
    RUN_FIELDS,
    facts_of,
    is_settled,
    looked_at,
    name_of,
    names_of,
    runs_of,
)
from adapters.oms.tail import Tail, tail_of

__all__ = [
    "RUN_FIELDS",
    "Row",
    "Tail",
    "facts_of",
    "is_settled",
    "looked_at",
    "name_of",
    "names_of",
    "recall",
    "runs_of",
    "tail_of",
]
