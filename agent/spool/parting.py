"""The end of a spool file: removed after the commit, or moved aside with the reason.

A file ends in one of four ways (`Fate`): accepted; rejected (of an NDJSON file only the bad
lines); blocked, because the agent may not have it; or it waits where it is. It is removed
only if it still is the file that was read.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from agent.spool import files
from agent.spool.formats import Flaw, Unacceptable
from agent.spool.listing import REMOVING, Form, Look, parts_of
from agent.spool.notes import remove_note
from agent.spool.taking import Blocked, Taking, Terms, Unready


@dataclass(frozen=True, slots=True)
class Fate:
    """How it went with one file. `ids` of its entries, `detail` for people.

    `pause`: it waits for something that the files after it will want as well (disk, budget).
    `images`: paths of what went away with it. `cause`: an error that nobody expected, for the log.
    """

    word: Literal["accepted", "rejected", "blocked", "waits"]
    detail: str = ""
    ids: tuple[str, ...] = ()
    pause: bool = False
    images: tuple[str, ...] = ()
    cause: Exception | None = None


def conclude(taking: Taking, terms: Terms) -> Fate:
    """After the last commit: remove the file, and keep what was not accepted aside.

    Raises Unready when it is no longer the file that was read (it stays, whole), and
    Unacceptable when nothing of it was accepted.
    """
    look = taking.look
    if not unchanged(look):
        release(taking, terms)
        raise Unready
    if not taking.ids:
        release(taking, terms)
        raise Unacceptable(*taking.flaws or [Flaw("there is no entry in it")], hint=taking.hint)
    if taking.spare:
        return _keep_folder(taking, terms)
    if not taking.copy:
        remove(look, terms, taking.images)
        terms.checkpoint("spool.removed")
        gone = tuple(one.path for one in taking.images)
        return Fate("accepted", ids=tuple(taking.ids), images=gone)
    _keep_bad_lines(taking, terms)
    terms.checkpoint("spool.aside")
    remove(look, terms)
    terms.checkpoint("spool.removed")
    bad = len({flaw.line for flaw in taking.flaws})
    return Fate("rejected", f"{bad} of its lines; the others are accepted", tuple(taking.ids))


def release(taking: Taking, terms: Terms) -> None:
    """Let go of a file that is not concluded now: it stays where it is."""
    taking.close()
    if taking.copy:
        with suppress(OSError):  # a leftover of this kind is cleaned at the next start
            terms.aside.drop_copy(taking.copy)
        taking.copy = None


def fate_of(look: Look, error: Exception, terms: Terms) -> Fate:
    """What an error means for the file; moves it aside when it is unacceptable."""
    match error:
        case Unready():
            return Fate("waits")
        case Blocked():
            return Fate("blocked", str(error))
        case Unacceptable():
            return _move_aside(look, error, terms)
        case OSError():
            return Fate("blocked", f"{error.strerror}: {files.readable(look.path)}")
        case _:
            why = f"a bug of the agent: {type(error).__name__}; see its log"
            return Fate("blocked", why, cause=error)


def _move_aside(look: Look, wrong: Unacceptable, terms: Terms) -> Fate:
    try:
        place = terms.aside.move(
            look.folder, look.name, wrong.flaws, hint=wrong.hint, at=terms.now()
        )
    except FileNotFoundError:
        return Fate("waits")  # gone meanwhile
    except OSError as error:
        return Fate("blocked", f"{wrong}; it cannot be moved aside: {error.strerror}")
    return Fate("rejected", f"{wrong}; moved to {place}")


def _keep_bad_lines(taking: Taking, terms: Terms) -> None:
    assert taking.copy is not None
    terms.aside.keep_copy(
        taking.copy,
        taking.look.name,
        taking.flaws,
        hint="Correct these lines and move the file back. All other lines were accepted.",
        at=terms.now(),
        identity=taking.identity,
    )


def _keep_folder(taking: Taking, terms: Terms) -> Fate:
    """The entry is accepted, but files lie beside it that it does not list: keep them all."""
    names = ", ".join(files.readable(name) for name in taking.spare)
    why = f"accepted as {taking.ids[0]}, but not listed as attachments and not sent: {names}"
    hint = "Take what you need of it, then delete this folder. The entry itself was accepted."
    look = taking.look
    place = terms.aside.move(look.folder, look.name, [Flaw(why)], hint=hint, at=terms.now())
    return Fate("rejected", f"{why}; moved to {place}", tuple(taking.ids))


def unchanged(look: Look) -> bool:
    """Whether what lies there now is what was looked at."""
    status = files.look_at(look.name, look.folder.fd)
    if status is None or files.print_of(status) != look.print:
        return False
    if look.form is not Form.ENTRY:
        return True
    inside = files.open_folder(look.name, look.folder.fd)
    try:
        return parts_of(inside) == look.parts
    finally:
        os.close(inside)


def remove(look: Look, terms: Terms, images: tuple[Look, ...] = ()) -> None:
    """Remove what was accepted. Raises Blocked when the agent may not, after all."""
    try:
        if look.form is Form.ENTRY:
            _remove_folder(look, terms)
        elif images:
            remove_note(look, images, terms)
        else:
            os.unlink(look.name, dir_fd=look.folder.fd)
    except OSError as error:
        raise Blocked(f"accepted, but it cannot be removed: {error.strerror}") from error


def _remove_folder(look: Look, terms: Terms) -> None:
    # Renamed first: a folder half removed must never be taken for an entry again.
    away = f"{REMOVING}{look.print[0]}"
    os.rename(look.name, away, src_dir_fd=look.folder.fd, dst_dir_fd=look.folder.fd)
    terms.checkpoint("spool.removing")
    shutil.rmtree(away, dir_fd=look.folder.fd)
