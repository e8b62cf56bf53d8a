"""Beginning to take a spool file: checked, opened, read and judged, batch by batch.

Nothing is accepted or removed here. Raises Unready (look again), Blocked (a person has to
do something) or Unacceptable (move it aside).
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from agent.draft import Draft
from agent.intake import Intake
from agent.refusal import Refusal, too_large
from agent.spool import files, formats
from agent.spool.formats import Flaw, Unacceptable
from agent.spool.listing import Form, Look
from agent.spool.readiness import Due
from agent.spool.rejects import Aside, Copy
from storage.entry import Attachment, Entry, Producer

BATCH_FILES = 256
BATCH_BYTES = 8 * 2**20
BATCH_ENTRIES = 2000  # about 20 MB of entries in memory, 0.1 s of one transaction


class Unready(Exception):
    """Not now: it is being written, or it changed since we looked."""


class Blocked(Exception):
    """The agent may not have it; the message says what a person can do."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every file of a spool."""

    intake: Intake
    aside: Aside
    max_request_bytes: int
    max_attachments: int
    text_defaults: Mapping[str, Mapping[str, Any]]
    now: Callable[[], datetime]
    checkpoint: Callable[[str], None]
    leases: bool = True
    batch_entries: int = BATCH_ENTRIES


@dataclass(slots=True)
class Item:
    """One entry-to-be of a file: judged, and either accepted or not."""

    line: int | None
    raw: bytes
    verdict: Entry | Refusal
    whole: bool = True


@dataclass(slots=True)
class Taking:
    """A file being taken. `items` is the batch at hand, `supply` gives the rest.

    `spare`: files beside a folder entry that are not in its list of attachments. `images`: what a
    note takes along, and away.
    """

    look: Look
    identity: str
    supply: Iterator[Item]
    source: BinaryIO | None = None
    hint: str = ""
    items: list[Item] = field(default_factory=list)
    ended: bool = False
    ids: list[str] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    copy: Copy | None = None
    spare: tuple[str, ...] = ()
    images: tuple[Look, ...] = ()
    batch_entries: int = BATCH_ENTRIES

    @property
    def many(self) -> bool:
        """Whether each line is an entry of its own."""
        return self.look.form is Form.FILE and formats.suffix_of(self.look.name) in formats.MANY

    def fill(self) -> None:
        """Read and judge the next batch. Raises Unready when the file changed meanwhile."""
        self.items = []
        weight = 0
        while len(self.items) < self.batch_entries and weight < BATCH_BYTES:
            item = next(self.supply, None)
            if item is None:
                self.ended = True
                break
            self.items.append(item)
            weight += len(item.raw)
        if self.source and files.print_of(os.fstat(self.source.fileno())) != self.look.print:
            raise Unready
        if self.ended:
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self.source:
            self.source.close()
            self.source = None

    def note(self, item: Item, outcome: "Refusal | str", aside: Aside) -> None:
        """Remember what became of an item: the id of its entry, or why there is none."""
        if isinstance(outcome, str):
            self.ids.append(outcome)
            return
        if not (self.many and self.flaws and self.flaws[-1].line == item.line):
            self.flaws.extend(flaws_of(outcome, item.line))  # once for the pieces of a long line
        if self.many:
            self.copy = self.copy or aside.begin_copy(self.look.folder)
            self.copy.add(item.raw, ended=item.whole)


def flaws_of(refusal: Refusal, line: int | None = None) -> list[Flaw]:
    """What the intake did not like, for the reason file."""
    if refusal.errors:
        return [Flaw(error.detail, line, error.pointer) for error in refusal.errors]
    return [Flaw(refusal.detail or refusal.title, line)]


def judge(intake: Intake, draft: Draft) -> Entry | Refusal:
    """The entry that the draft means, or why it means none."""
    try:
        return intake.judge(draft)
    except Refusal as refusal:
        return refusal


def open_file(look: Look, due: Due, terms: Terms) -> Taking:
    """Begin to take a file: its first batch is judged when this returns.

    Raises Unready, Blocked or Unacceptable.
    """
    suffix = check_file(look, terms)
    source = open_part(look.name, look.folder.fd, look.print, due, terms)
    try:
        taking = (_open_many if suffix in formats.MANY else _open_one)(look, source, terms)
        terms.checkpoint("spool.read")
        taking.fill()
    except BaseException:
        source.close()
        raise
    return taking


def check_file(look: Look, terms: Terms) -> str:
    """The suffix of a file that may be taken, by all that can be seen from outside.

    Raises Blocked or Unacceptable.
    """
    check_removable(look)
    folder = look.folder
    if look.form is not Form.FILE:
        what = "a symbolic link" if look.form is Form.LINK else "not a regular file"
        raise Unacceptable(Flaw(what), hint="Put a copy of the file itself into the spool.")
    suffix = formats.check_suffix(look.name, terms.intake.kinds(folder.backend), folder.kind)
    if not look.size:
        raise Unacceptable(Flaw("the file is empty"))
    if suffix not in formats.MANY and look.size > terms.max_request_bytes:
        raise Unacceptable(Flaw(f"larger than {terms.max_request_bytes} bytes"))
    return suffix


def check_removable(look: Look) -> None:
    """Raises Blocked when the agent could not remove it afterwards."""
    obstacle = files.why_not_removable(look.owner, look.folder.fd)
    if obstacle:
        raise Blocked(obstacle)


def open_part(name: str, folder: int, print_: files.Print, due: Due, terms: Terms) -> BinaryIO:
    """Open a file that is complete as far as can be known. Raises Unready or Blocked."""
    try:
        descriptor = files.open_regular(name, folder)
    except PermissionError as error:
        raise Blocked(
            "the agent may not read it: chmod g+r it, or umask 002 where it is written"
        ) from error
    except OSError as error:  # gone, or something else took its place: look again
        raise Unready from error
    source = os.fdopen(descriptor, "rb")
    writing = files.open_for_writing(descriptor) if terms.leases else None
    unproven = due.proof and writing is not False
    changed = files.print_of(os.fstat(descriptor)) != print_
    if not (writing or unproven or changed):
        return source
    source.close()
    if due.stuck and unproven and not changed:
        raise Blocked("a program wrote to it and has not closed it: end that, or rename the file")
    raise Unready


def _open_one(look: Look, source: BinaryIO, terms: Terms) -> Taking:
    body = source.read(terms.max_request_bytes + 1)
    digest = hashlib.sha256(body).hexdigest()
    identity = formats.identity(look.path, look.print[0], look.print[3], look.size, digest)
    body, hint = read_body(look.name, body, look.folder.backend, terms)
    draft = draft_of(look, body, formats.line_key(identity, 1))
    item = Item(None, body, judge(terms.intake, draft))
    return Taking(look, identity, iter([item]), source, hint=hint)


def read_body(name: str, data: bytes, backend: str, terms: Terms) -> tuple[bytes, str]:
    """The body of the entry that `data` means, and a hint should it be refused."""
    suffix = formats.suffix_of(name)
    if suffix not in formats.TEXTS:
        return formats.without_bom(data), ""
    defaults = terms.text_defaults.get(backend, {})
    body = formats.text_body(data, markdown=suffix == ".md", defaults=defaults)
    return body, formats.FRONT_MATTER_HINT


def draft_of(
    look: Look,
    body: bytes,
    key: str,
    *,
    staged: Mapping[str, Attachment] | None = None,
    all_files: bool = False,
) -> Draft:
    """The bytes of an entry with all that the intake wants to know of their origin."""
    return Draft(
        body=body,
        backend=look.folder.backend,
        kind=look.folder.kind,
        default_key=key,
        producer=Producer(via="spool", uid=look.owner),
        files=staged or {},
        all_files=all_files,
        spare_files=True,
    )


def _open_many(look: Look, source: BinaryIO, terms: Terms) -> Taking:
    digest = hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]
    source.seek(0)
    identity = formats.identity(look.path, look.print[0], look.print[3], look.size, digest)
    lines = _judged_lines(look, source, identity, terms)
    return Taking(look, identity, lines, source, batch_entries=terms.batch_entries)


def _judged_lines(look: Look, source: BinaryIO, identity: str, terms: Terms) -> Iterator[Item]:
    for line in formats.lines_of(source, terms.max_request_bytes):
        if line.whole:
            draft = draft_of(look, line.raw, formats.line_key(identity, line.number))
            yield Item(line.number, line.raw, judge(terms.intake, draft))
        else:
            piece = line.raw.rstrip(b"\r\n")
            yield Item(line.number, piece, _too_long(terms), whole=line.raw.endswith(b"\n"))


def _too_long(terms: Terms) -> Refusal:
    return too_large("the line", terms.max_request_bytes)
