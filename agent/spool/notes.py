"""A flat note: a .md post, and the images beside it in the spool that its text shows.

    elog/beam.md       See ![the beam](plot.png).
    elog/plot.png      attached, and removed together with the note

Promises: a note is never posted without an image that it shows. One that is not there, or not
complete, is waited for as long as its producer may still be copying; then the note is moved aside,
and the reason names what is missing. The key of the entry is the note's alone, so that after a
crash it is the same entry, or, where an image has changed meanwhile, a refusal that names it.
After the commit the note goes first and its images after it; a mark beside them, written before,
says which, so that a crash in between leaves none of them behind (`finish_removals`).
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agent.refusal import Refusal
from agent.spool import files, formats
from agent.spool.formats import Beside, Flaw, Unacceptable
from agent.spool.listing import Look
from agent.spool.readiness import Due
from agent.spool.staging import InThread, stage
from agent.spool.taking import (
    Blocked,
    Item,
    Taking,
    Terms,
    Unready,
    check_file,
    check_removable,
    draft_of,
    judge,
    open_part,
    read_body,
)
from storage.entry import Attachment

MARK = ".taken-"  # names what is being removed with a note
MISSING_HINT = (
    "Put the missing files beside the note and move the note back. Write an image before the note"
    " that shows it, or both into a folder NAME.entry. An image goes with the first note that shows"
    " it: each note needs its own."
)


@dataclass(slots=True)
class Image:
    """An image that lies in the spool, and whether it is complete as far as can be known.

    `shown`: a note that waits, or could not be taken, asks for it.
    """

    look: Look
    due: Due
    ready: bool
    shown: bool = False


Images = Mapping[str, Image]
"""By path below the spool."""


@dataclass(slots=True)
class Note:
    """An open note, and the images that it takes along."""

    look: Look
    source: BinaryIO
    body: bytes
    hint: str
    key: str
    wanted: tuple[Beside, ...]
    images: tuple[Image, ...] = ()


def is_note(look: Look) -> bool:
    """Whether it may take files along that lie beside it."""
    return formats.suffix_of(look.name) == formats.NOTE


async def open_note(
    look: Look, due: Due, terms: Terms, in_thread: InThread, images: Images
) -> Taking:
    """Begin to take a note: its images are staged and it is judged.

    Raises Unready, Blocked, Unacceptable or Postponed; nothing stays staged then.
    """
    note: Note = await in_thread(_read, look, due, terms, images)
    staged: dict[str, Attachment] = {}
    try:
        for beside, image in zip(note.wanted, note.images, strict=True):
            source = await in_thread(_open_image, image, terms)
            staged[beside.name] = await stage(terms.intake, source, beside)
        terms.checkpoint("spool.staged")
        taking: Taking = await in_thread(_judge, note, staged, terms)
    except BaseException:
        note.source.close()
        await terms.intake.drop(staged.values())
        raise
    if isinstance(taking.items[0].verdict, Refusal):
        await terms.intake.drop(staged.values())
    return taking


def _read(look: Look, due: Due, terms: Terms, images: Images) -> Note:
    """Open the note, and find what it shows."""
    check_file(look, terms)
    source = open_part(look.name, look.folder.fd, look.print, due, terms)
    try:
        text = source.read(terms.max_request_bytes + 1)
        terms.checkpoint("spool.read")
        digest = hashlib.sha256(text).hexdigest()
        identity = formats.identity(look.path, look.print[0], look.print[3], look.size, digest)
        body, hint = read_body(look.name, text, look.folder.backend, terms)
        note = Note(look, source, body, hint, identity, _wanted(body))
        note.images = _beside(note, due, terms, images)
    except BaseException:
        source.close()
        raise
    return note


def _wanted(body: bytes) -> tuple[Beside, ...]:
    """What front matter lists, and what the text shows; a flat note takes only images along."""
    wanted = {
        one.name: one for one in [*(formats.listed_files(body) or ()), *formats.shown_files(body)]
    }
    odd = [name for name in wanted if formats.suffix_of(name) not in formats.IMAGES]
    if odd:
        accepted = ", ".join(formats.IMAGES)
        flaws = [Flaw(f"{name}: beside a note lie images only: {accepted}") for name in odd]
        raise Unacceptable(*flaws, hint="Put the note and its files into a folder NAME.entry.")
    return tuple(wanted.values())


def _beside(note: Note, due: Due, terms: Terms, images: Images) -> tuple[Image, ...]:
    if len(note.wanted) > terms.max_attachments:
        raise Unacceptable(Flaw(f"it shows more than {terms.max_attachments} images"))
    found = {one.name: images.get(f"{note.look.folder.path}/{one.name}") for one in note.wanted}
    for image in found.values():
        if image is not None:
            image.shown = True
    missing = [name for name, image in found.items() if image is None]
    if missing and due.alone:
        flaws = [Flaw(f"{name}: the note shows it, and it is not beside it") for name in missing]
        raise Unacceptable(*flaws, hint=MISSING_HINT)
    ready = tuple(one for one in found.values() if one is not None and one.ready)
    if len(ready) < len(note.wanted):
        raise Unready
    for one in ready:
        with _named(one):
            check_removable(one.look)
    return ready


def _open_image(image: Image, terms: Terms) -> BinaryIO:
    look = image.look
    with _named(image):
        return open_part(look.name, look.folder.fd, look.print, image.due, terms)


@contextmanager
def _named(image: Image) -> Iterator[None]:
    """Say of an image what keeps the agent from having it."""
    try:
        yield
    except Blocked as error:
        raise Blocked(f"{files.readable(image.look.name)}, which it shows: {error}") from error


def _judge(note: Note, staged: Mapping[str, Attachment], terms: Terms) -> Taking:
    looks = tuple(image.look for image in note.images)
    if any(not _is_there(look) for look in looks):
        raise Unready  # changed while it was copied
    draft = draft_of(
        note.look, note.body, formats.line_key(note.key, 1), staged=staged, all_files=True
    )
    item = Item(None, note.body, judge(terms.intake, draft))
    taking = Taking(note.look, note.key, iter([item]), note.source, hint=note.hint, images=looks)
    taking.fill()
    return taking


def _is_there(look: Look) -> bool:
    status = files.look_at(look.name, look.folder.fd)
    return status is not None and files.print_of(status) == look.print


def remove_note(look: Look, images: tuple[Look, ...], terms: Terms) -> None:
    """Remove an accepted note and the images that still are what was posted. Raises OSError."""
    folder = look.folder.fd
    mark = f"{MARK}{look.print[0]}"
    told = {"files": [[one.name, *one.print] for one in (look, *images)]}
    files.write_durably(mark, json.dumps(told).encode(), folder)
    terms.checkpoint("spool.removing")
    _finish(mark, folder, lambda: terms.checkpoint("spool.removing"))


def finish_removals(root: Path, backend: str) -> None:
    """At start: remove what an earlier run had posted and not yet removed."""
    with ExitStack() as opened, suppress(OSError):
        top = _opened(opened, files.open_root(root))
        place = _opened(opened, files.open_folder(backend, top))
        folders = [place]
        for item in os.scandir(place):
            if item.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    folders.append(_opened(opened, files.open_folder(item.name, place)))
        for folder in folders:
            for name in [one.name for one in os.scandir(folder)]:
                with suppress(OSError, ValueError, TypeError, KeyError):
                    if name.startswith(MARK):
                        _finish(name, folder)
                    elif name.startswith(files.WRITING):
                        os.unlink(name, dir_fd=folder)  # a mark that was not made


def _opened(opened: ExitStack, descriptor: int) -> int:
    opened.callback(os.close, descriptor)
    return descriptor


def _finish(mark: str, folder: int, checkpoint: Callable[[], None] = lambda: None) -> None:
    with os.fdopen(files.open_regular(mark, folder), "rb") as source:
        told = json.load(source)
    for name, *print_ in told["files"]:
        status = files.look_at(name, folder)
        if "/" not in name and status and files.print_of(status) == tuple(print_):
            os.unlink(name, dir_fd=folder)
            checkpoint()
    os.unlink(mark, dir_fd=folder)
