"""Files that go with an entry: those that are named, and the images that its text shows."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.cli.endings import NO_INPUT, Ending, usage
from agent.cli.printing import note
from agent.client import Upload

ENTRY_NAMES = ("entry.json", "entry.md")  # what the spool calls the entry beside its files


def uploads(files: Sequence[Path], described: Mapping[int, str]) -> tuple[Upload, ...]:
    """Files to attach, each under its own name. `described`: what they show, by their place.

    Raises Ending: 66 unreadable, 64 a bad name.
    """
    found: dict[str, Upload] = {}
    for place, path in enumerate(files):
        if not _can_travel(path.name):
            raise usage(f"--attach {path.name!r}: rename it, this name cannot travel with an entry")
        if path.name in found:
            raise usage(f"--attach: two files are called {path.name!r}")
        if not _readable(path):
            raise Ending(NO_INPUT, f"{path} cannot be read: no such file, or no permission")
        found[path.name] = _upload(path, described.get(place))
    return tuple(found.values())


def pictures(text: str, folder: Path, given: Sequence[Upload]) -> tuple[Upload, ...]:
    """The local images that a Markdown text shows, but for those that are `given` already.

    One that cannot go along is told, and the entry goes without it.
    """
    from agent.spool.images import local_images  # noqa: PLC0415 - for Markdown only

    known = {one.name: one.path for one in given}
    found = []
    for place, description in local_images(text):
        path = folder / place
        there = known.get(path.name)
        if there is not None and there.resolve() == path.resolve():
            continue
        if problem := _problem(path, taken=there is not None):
            note(f"the image {place} does not go along: {problem}")
            continue
        known[path.name] = path
        found.append(_upload(path, description))
    return tuple(found)


def _problem(path: Path, *, taken: bool) -> str | None:
    if taken:
        return "another file of that name does already"
    if not _readable(path):
        return "no such file, or no permission"
    return None if _can_travel(path.name) else "rename it, this name cannot travel with an entry"


def _can_travel(name: str) -> bool:
    return name.isprintable() and "\\" not in name and name not in ENTRY_NAMES


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


def _upload(path: Path, description: str | None) -> Upload:
    import mimetypes  # noqa: PLC0415 - reads tables of the system, and only when files go along

    return Upload(path, path.name, mimetypes.guess_type(path.name)[0], description)
