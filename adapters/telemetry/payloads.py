"""What producers may hand in for a telemetry server, and where it belongs. Pure.

The models are the server's own bodies (telemetry sheet, sections 3 and 4) without its coercions;
they only judge: what is sent is the producer's JSON. Events, starts and stops of runs are one
stream, so that an event lies on the same side of a start or a stop as it did for its producer.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from storage.entry import Address

STREAM = "telemetry"  # one for all: files keep the order in which events arrive
# The scope of events that name a run. Those that wait for another run's end are in a part of it.
RUNS = "run"
LONGEST_LABEL = 256
LONGEST_FOLDER = 255  # bytes of one folder's name, on every file system that we know


def _is_a_folder(name: str) -> str:
    """The server makes a folder of it, and answers 500 for ever where there can be none."""
    if any(len(part.encode()) > LONGEST_FOLDER for part in name.split("/")):
        raise ValueError(f"no part of it may be longer than {LONGEST_FOLDER} bytes")
    if not name.isprintable():
        raise ValueError("must consist of printable characters")
    return name


Folder = Annotated[str, Field(max_length=1000), AfterValidator(_is_a_folder)]


class Meta(BaseModel, extra="allow", strict=True, frozen=True):
    """`meta` of an event: any object. An `event_id` in it has to be able to serve as one."""

    event_id: Annotated[str, Field(min_length=1)] = ""  # empty: the producer brings none


class Event(BaseModel, extra="forbid", strict=True, frozen=True):
    """The body of POST /event."""

    type: str
    data: Any
    make_current: bool = True
    store_permanently: bool = True
    meta: Meta = Meta()
    ts: str | None = None


class RunMeta(BaseModel, extra="allow", strict=True, frozen=True):
    """`meta` of a run: any object; the server makes a folder's name of a `run_id` in it."""

    run_id: Folder | int | None = None


class RunStart(BaseModel, extra="forbid", strict=True, frozen=True):
    """The body of POST /run/start."""

    run_id: Folder | None = None
    run_dir: Folder | None = None
    meta: RunMeta = RunMeta()


class RunStop(BaseModel, extra="forbid", strict=True, frozen=True):
    """Which run is to end; POST /run/stop itself takes no body. None: the one that is active."""

    run_id: str | None = None


def event_address(event: Event) -> Address:
    """An event that is to stay out of the current values has no slot.

    One that names a run has a scope, so that it can step aside while another run is active.
    """
    meta = event.meta.model_extra or {}
    scope = None if run_of(meta) is None else RUNS
    slot = event.type if event.make_current else None
    return Address(stream=STREAM, scope=scope, slot=slot, labels=_labels(meta.get("run_id")))


def start_address(start: RunStart) -> Address:
    """The label is the run that the producer names; the server may have to number it."""
    run = start.run_id or start.meta.run_id
    return Address(stream=STREAM, labels=_labels(None if run is None else str(run)))


def stop_address(stop: RunStop) -> Address:
    """Behind everything that belongs to the run."""
    return Address(stream=STREAM, labels=_labels(stop.run_id))


def run_of(meta: Mapping[str, Any]) -> str | None:
    """The run that an event says it belongs to; None when it names none that could be one."""
    run = meta.get("run_id")
    if isinstance(run, int) and not isinstance(run, bool):
        return str(run)
    return run if isinstance(run, str) and 0 < len(run) <= LONGEST_LABEL else None


def _labels(run: Any) -> dict[str, str]:
    return {"run": run} if isinstance(run, str) and 0 < len(run) <= LONGEST_LABEL else {}
