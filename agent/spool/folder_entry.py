"""NAME.entry/: one entry with its files. The files are staged first, then the entry is judged.

`entry.json` (or `entry.md` or `entry.txt`, for a post) says what it is; attached are the files
that its envelope lists, or all files beside it; the images that a Markdown text shows have to be
among them. Names that begin with "." or end with "~" are left by
editors and file managers: not attached unless listed.
"""

import hashlib
import os
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from agent.refusal import Refusal
from agent.spool import files, formats
from agent.spool.formats import Beside, Flaw, Unacceptable
from agent.spool.listing import Look, Part, ignored
from agent.spool.readiness import Due
from agent.spool.staging import InThread, stage
from agent.spool.taking import (
    Blocked,
    Item,
    Taking,
    Terms,
    check_removable,
    draft_of,
    judge,
    open_part,
    read_body,
)
from storage.entry import Attachment


@dataclass(slots=True)
class Inside:
    """An open folder entry: its descriptor, its body, the files to attach."""

    look: Look
    due: Due
    fd: int
    terms: Terms
    name: str = ""  # of the file that says what it is
    body: bytes = b""
    hint: str = ""
    beside: tuple[Beside, ...] = ()
    all_files: bool = True

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.fd)

    def part(self, name: str) -> Part | None:
        """The file of this name, as listed."""
        return next((part for part in self.look.parts if part.name == name), None)

    def open(self, name: str) -> BinaryIO:
        """Open a file that `look` has listed. Raises Unready or Blocked."""
        part = self.part(name)
        assert part is not None
        return open_part(name, self.fd, part.print, self.due, self.terms)


async def open_entry(look: Look, due: Due, terms: Terms, in_thread: InThread) -> Taking:
    """Begin to take a folder entry: its files are staged and it is judged.

    Raises Unready, Blocked, Unacceptable or Postponed; nothing stays staged then.
    """
    staged: dict[str, Attachment] = {}
    with closing(await in_thread(_enter, look, due, terms)) as inside:
        try:
            for beside in inside.beside:
                staged[beside.name] = await _stage(inside, beside, in_thread)
            terms.checkpoint("spool.staged")
            taking: Taking = await in_thread(_judge, inside, staged)
        except Exception:
            await terms.intake.drop(staged.values())
            raise
    if isinstance(taking.items[0].verdict, Refusal):
        await terms.intake.drop(staged.values())
    return taking


def _enter(look: Look, due: Due, terms: Terms) -> Inside:
    """Open the folder and read what it says. The caller closes it."""
    check_removable(look)
    inside = Inside(look, due, files.open_folder(look.name, look.folder.fd), terms)
    try:
        _check_inside(inside)
        _read(inside)
    except BaseException:
        inside.close()
        raise
    return inside


def _check_inside(inside: Inside) -> None:
    look = inside.look
    obstacle = files.why_not_removable(look.owner, inside.fd)
    if obstacle:
        raise Blocked(f"{obstacle} ({files.readable(look.name)})")
    odd = [files.readable(part.name) for part in look.parts if not part.regular]
    if odd:
        raise Unacceptable(Flaw(f"not a regular file: {', '.join(odd)}"))
    illegible = [files.readable(one.name) for one in look.parts if not files.is_utf8(one.name)]
    if illegible:
        raise Unacceptable(Flaw(f"a name that is not UTF-8: {', '.join(illegible)}"))
    if len(look.parts) > inside.terms.max_attachments + 1:
        raise Unacceptable(Flaw(f"more than {inside.terms.max_attachments} files in it"))


def _read(inside: Inside) -> None:
    look, terms = inside.look, inside.terms
    inside.name = name = _name_of_body(inside)
    formats.check_suffix(name, terms.intake.kinds(look.folder.backend), look.folder.kind)
    with inside.open(name) as source:
        read = source.read(terms.max_request_bytes + 1)
    if not read or len(read) > terms.max_request_bytes:
        raise Unacceptable(Flaw(f"{name} has to have 1 to {terms.max_request_bytes} bytes"))
    inside.body, inside.hint = read_body(name, read, look.folder.backend, terms)
    listed = formats.listed_files(inside.body)
    shown = formats.shown_files(inside.body) if name.endswith(formats.NOTE) else []
    asked = _found(inside, [*(listed or ()), *shown])
    inside.all_files = listed is None
    inside.beside = _with_all_others(inside, asked) if listed is None else asked


def _name_of_body(inside: Inside) -> str:
    bodies = [name for name in formats.ENTRY_FILES if inside.part(name)]
    if not bodies and inside.part(formats.ENTRY_TEXT):
        return formats.ENTRY_TEXT
    if len(bodies) != 1:
        names = ", ".join((*formats.ENTRY_FILES, formats.ENTRY_TEXT))
        raise Unacceptable(Flaw(f"exactly one of these has to be in it: {names}"))
    return bodies[0]


def _with_all_others(inside: Inside, asked: tuple[Beside, ...]) -> tuple[Beside, ...]:
    """The files that are asked for, and all that were put there to be seen, by name."""
    by_name = {one.name: one for one in asked}
    return tuple(
        by_name.get(part.name, Beside(part.name))
        for part in inside.look.parts
        if part.name in by_name or (part.name != inside.name and not ignored(part.name))
    )


def _found(inside: Inside, listed: list[Beside]) -> tuple[Beside, ...]:
    missing = [one.name for one in listed if inside.part(one.name) is None]
    if missing:
        flaws = [Flaw(f"{name} is not in the folder", pointer="/attachments") for name in missing]
        raise Unacceptable(*flaws)
    return tuple({one.name: one for one in reversed(listed)}.values())[::-1]


async def _stage(inside: Inside, beside: Beside, in_thread: InThread) -> Attachment:
    source = await in_thread(inside.open, beside.name)
    return await stage(inside.terms.intake, source, beside)


def _judge(inside: Inside, staged: dict[str, Attachment]) -> Taking:
    look, terms = inside.look, inside.terms
    features = [(part.name, part.print[0], part.print[3], part.print[1]) for part in look.parts]
    hashes = [hashlib.sha256(inside.body).hexdigest(), *(one.sha256 for one in staged.values())]
    identity = formats.identity(look.path, look.print[0], *features, *hashes)
    draft = draft_of(
        look,
        inside.body,
        formats.line_key(identity, 1),
        staged=staged,
        all_files=inside.all_files,
    )
    item = Item(None, b"", judge(terms.intake, draft))
    taking = Taking(look, identity, iter(()), hint=inside.hint, items=[item], ended=True)
    taking.spare = _spare(inside, staged)
    return taking


def _spare(inside: Inside, staged: dict[str, Attachment]) -> tuple[str, ...]:
    """Files that somebody left here and that the entry does not list: not ours to delete."""
    return tuple(
        part.name
        for part in inside.look.parts
        if part.name not in staged and part.name != inside.name and not ignored(part.name)
    )
