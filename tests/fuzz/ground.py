"""What must hold of any bytes, as functions that fail when it does not.

`spool_file`, `settings` and `raw_request` are asked by the short tests beside this module, and
by `make fuzz` for minutes on end.
"""

import itertools
import json
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from adapters.registry import KINDS
from agent.clock import Clock
from agent.draft import Bounds, Draft
from agent.intake import Intake
from agent.refusal import Refusal
from agent.spool import formats
from agent.spool.formats import Unacceptable
from agent.spool.rejects import Aside
from agent.spool.taking import Terms, read_body
from agent.strict_json import canonical, parse
from agent.wiring import check_backends
from config.settings import Settings, judge
from config.sources import SettingsError, read_sources
from storage.entry import Entry, Producer
from storage.outbox import Outbox
from tests.door import Door
from tests.door_client import event, speak

BACKENDS = {"elog": "elog", "events": "event_manager", "dome": "telemetry", "books": "auditor"}
CANARY = "hunter2-canary"  # stands for a secret: no complaint may repeat it
STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
LINE_LIMIT = 4096


class SpoolGround:
    """The spool's way from bytes to a judged entry, with the real intake; nothing is accepted."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="hf-"))
        self._outbox = Outbox(self.home, dict.fromkeys(BACKENDS, "http://any.test"))
        kinds = {name: KINDS[kind] for name, kind in BACKENDS.items()}
        self._intake = Intake(
            self._outbox, kinds, clock=Clock(), bounds=Bounds(), wake=lambda _: None
        )
        self._terms = Terms(
            intake=self._intake,
            aside=Aside(self.home, lambda _: None),
            max_request_bytes=2**20,
            max_attachments=10,
            text_defaults={"elog": {"experiment": "xpptut15"}},
            now=lambda: datetime.now(UTC),
            checkpoint=lambda _: None,
        )

    def spool_file(self, suffix: str, backend: str, data: bytes) -> list[Entry]:
        """The entries of a file; everything else is a flaw that can be told."""
        if suffix in formats.MANY:
            lines = list(formats.lines_of(BytesIO(data), LINE_LIMIT))
            check_lines(data, lines)
            bodies = [line.raw for line in lines if line.whole]
        else:
            try:
                bodies = [read_body(f"x{suffix}", data, backend, self._terms)[0]]
                formats.listed_files(bodies[0])
            except Unacceptable as wrong:
                check_flaws(wrong)
                return []
        return [entry for body in bodies for entry in self._judged(backend, body)]

    def _judged(self, backend: str, body: bytes) -> Iterator[Entry]:
        draft = Draft(body, backend, None, Producer("spool"), default_key="k", spare_files=True)
        try:
            entry = self._intake.judge(draft)
        except Refusal as refusal:
            check_refusal(refusal)
            return
        # What is stored is what everybody reads as the producer's own words.
        assert canonical(parse(entry.payload.encode())) == canonical(json.loads(entry.payload))
        assert entry.backend == backend
        assert len(entry.key) <= 200
        self._outbox.attachments.drop_staged(entry.attachments)
        yield entry

    def close(self) -> None:
        self._outbox.close()
        shutil.rmtree(self.home)


def check_flaws(wrong: Unacceptable) -> None:
    """A reason file can be written of it."""
    assert wrong.flaws
    json.dumps([flaw.detail for flaw in wrong.flaws]).encode()


def check_refusal(refusal: Refusal) -> None:
    """It is the producer's side, and can be told."""
    assert 400 <= refusal.status < 500, refusal
    json.dumps(refusal.problem(), ensure_ascii=False).encode()


def check_lines(data: bytes, lines: list[formats.Line]) -> None:
    """Nothing of a file is passed over but blank lines, the mark at its front, and line ends."""
    kept = b"".join(line.raw for line in lines)
    squeezed = bytes(byte for byte in kept if byte not in b"\r\n \t\v\f")
    wanted = bytes(byte for byte in formats.without_bom(data) if byte not in b"\r\n \t\v\f")
    assert squeezed == wanted
    numbers = [line.number for line in lines]
    assert numbers == sorted(numbers)
    assert all(len(line.raw) <= LINE_LIMIT for line in lines)


def settings(text: str, environment: Mapping[str, str], folder: Path) -> Settings | None:
    """Settings, or None after a complaint that names a key, a variable or the file."""
    file = folder / "holdfast.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        made = judge(read_sources(file, environment))
        check_backends(made, folder, Clock())
    except SettingsError as wrong:
        check_complaint(wrong, names_of(text, environment, file))
        return None
    assert "\\u0000" not in made.model_dump_json()  # no call of the system takes it
    return made


def check_complaint(wrong: SettingsError, names: tuple[str, ...]) -> None:
    """Each sentence begins with a name, and none tells a secret."""
    assert wrong.problems
    for one in wrong.problems:
        assert CANARY not in one, one
        assert one.startswith(names), one


def names_of(text: str, environment: Mapping[str, str], file: Path) -> tuple[str, ...]:
    """How a complaint may begin: with a section, a variable, or the file."""
    sections = set(Settings.model_fields)
    with suppress(tomllib.TOMLDecodeError):
        sections |= tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n")).keys()
    sections |= {name.removeprefix("HOLDFAST_").lower().split("__")[0] for name in environment}
    return (
        *(f"{section}" for section in sections),
        str(file),
        f"the settings file {file}",
        *(f"the environment variable {name}" for name in environment),
    )


class SocketGround:
    """A real listener in front of a real outbox."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._numbers = itertools.count()

    def raw_request(self, raw: bytes) -> None:
        """Whatever is said: an answer below 500 or none, an end, and the next one is served."""
        before = self._entries()
        heard = speak(self._door.socket, raw, half_close=True)
        statuses = [int(status) for status in STATUS.findall(heard)]
        assert all(status < 500 for status in statuses), heard
        taken = self._entries() - before
        assert taken == 0 or 200 in statuses or 202 in statuses, heard
        for (payload,) in self._door.rows("SELECT payload FROM body ORDER BY rowid DESC LIMIT 3"):
            parse(payload.encode())
        assert self._door.hand_in(event(key=f"after-{next(self._numbers)}")).status == 202

    def _entries(self) -> int:
        ((count,),) = self._door.rows()
        return int(count)
