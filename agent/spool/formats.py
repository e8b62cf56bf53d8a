"""From the bytes of a spool file to the bodies of its entries, and the keys they get.

    .json              one envelope or bare payload
    .ndjson, .jsonl    one per line
    .txt, .md          the text of an eLog post; a .md takes along the images that it shows
    NAME.entry/        entry.json, entry.md or entry.txt, and the files beside it

A byte order mark and CRLF are tolerated: editors on Windows write both.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from agent.spool.frontmatter import BadFrontMatter, post_of
from agent.spool.images import local_images

ONE = (".json",)
MANY = (".ndjson", ".jsonl")
TEXTS = (".txt", ".md")
SUFFIXES = (*ONE, *MANY, *TEXTS)
NOTE = ".md"
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf")
ENTRY_FILES = ("entry.json", "entry.md")
ENTRY_TEXT = "entry.txt"  # beside one of the others it is a file like any
POST = "post"  # the kind of entry that a text becomes
BOM = b"\xef\xbb\xbf"
FRONT_MATTER_HINT = (
    "Begin a .md file with front matter: a line ---, a line `experiment: NAME`, a line ---."
)


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong. `line` counts from 1; `pointer` is a JSON pointer."""

    detail: str
    line: int | None = None
    pointer: str | None = None


class Unacceptable(Exception):
    """The file will never be taken as it is: move it aside."""

    def __init__(self, *flaws: Flaw, hint: str = "") -> None:
        super().__init__("; ".join(flaw.detail for flaw in flaws))
        self.flaws = flaws
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a piece of one that is longer than allowed (`whole` is False then)."""

    number: int
    raw: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Beside:
    """A file beside entry.json that is to be attached."""

    name: str
    media_type: str | None = None
    description: str | None = None


def suffix_of(name: str) -> str:
    """The ending that decides how a file is read, in small letters."""
    _, dot, suffix = name.rpartition(".")
    return dot + suffix.lower() if dot else ""


def check_suffix(name: str, kinds: Collection[str], kind: str | None) -> str:
    """The suffix of a file that may be taken here. Raises Unacceptable."""
    if not kinds:
        raise Unacceptable(Flaw("this backend takes no entries: it can only be asked"))
    suffix = suffix_of(name)
    if suffix not in SUFFIXES:  # nor an image for a note: see `is_image`
        accepted = ", ".join((*SUFFIXES, "NAME.entry/"))
        raise Unacceptable(Flaw(f"unknown ending {suffix!r}; accepted: {accepted}"))
    if suffix in TEXTS and not _takes_posts(kinds, kind):
        raise Unacceptable(
            Flaw("texts become eLog posts; this folder is not for posts"),
            hint="Write the entry as .json.",
        )
    return suffix


def is_image(name: str, kinds: Collection[str], kind: str | None) -> bool:
    """Whether it waits here for a note that shows it."""
    return suffix_of(name) in IMAGES and _takes_posts(kinds, kind)


def _takes_posts(kinds: Collection[str], kind: str | None) -> bool:
    return POST in kinds and kind in (None, POST)


def identity(path: str, *features: object) -> str:
    """The key of an entry that brings none: the same file gives the same key, and no other.

    `features`: inode, ctime_ns, size, content. The ctime tells a file from an earlier one
    of equal name, inode, mtime and content (facts, section 2).
    """
    told = "\0".join((path, *(str(feature) for feature in features)))
    return "spool-" + hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def line_key(file_identity: str, line: int) -> str:
    """The key of one line: the file's identity and the line's number."""
    return f"{file_identity}-{line}"


def without_bom(data: bytes) -> bytes:
    """`data` without the byte order mark that some editors put in front."""
    return data.removeprefix(BOM)


def lines_of(source: BinaryIO, limit: int) -> Iterator[Line]:
    """The lines of a file in order, in pieces of at most `limit` bytes; blank ones skipped."""
    number, continues = 1, False
    while piece := source.readline(limit):
        ended = piece.endswith(b"\n")
        whole = not continues and (ended or len(piece) < limit)
        raw = without_bom(piece) if number == 1 and not continues else piece
        if not whole or raw.strip():
            yield Line(number, raw.rstrip(b"\r\n") if whole else piece, whole)
        continues = not ended
        number += ended


def text_body(data: bytes, *, markdown: bool, defaults: Mapping[str, Any]) -> bytes:
    """The envelope of a post whose text the file is. Raises Unacceptable."""
    try:
        text = without_bom(data).decode()
    except UnicodeDecodeError as error:
        raise Unacceptable(Flaw(f"not UTF-8 text: byte {error.start}")) from error
    text = text.replace("\r\n", "\n")
    try:
        envelope, payload = post_of(text) if markdown else ({}, {"text": text})
    except BadFrontMatter as error:
        raise Unacceptable(Flaw(error.detail, line=error.line)) from error
    if "attachments" in envelope:
        envelope["attachments"] = _with_images(envelope["attachments"], str(payload["text"]))
    return json.dumps({**envelope, "payload": {**defaults, **payload}}).encode()


def _with_images(listed: Any, text: str) -> list[dict[str, str]]:
    """What front matter lists, and what the text shows besides."""
    names = {item["name"]: dict(item) for item in listed}
    for path, description in local_images(text):
        item = names.setdefault(path, {"name": path})
        if description is not None:
            item["description"] = description
    return list(names.values())


def shown_files(body: bytes) -> list[Beside]:
    """The images that the text of a note shows, from the body that `text_body` made of it.

    Raises Unacceptable for one in another folder.
    """
    found = local_images(json.loads(body)["payload"]["text"])
    flaws = [
        Flaw(f"{path}: an image has to lie beside the text, in no folder below it")
        for path, _ in found
        if "/" in path
    ]
    if flaws:
        raise Unacceptable(
            *flaws, hint="Put the image beside the text, and name it without a folder."
        )
    return [Beside(path, description=description) for path, description in found]


def listed_files(body: bytes) -> list[Beside] | None:
    """The files that an envelope asks for; None when it has no list, or cannot be read.

    Lenient: what is wrong with the body is for the intake to say. Attachments that bring
    their content along are none of ours. Raises Unacceptable for a name outside the folder.
    """
    try:
        envelope = json.loads(body)
        wanted = envelope["attachments"] if "payload" in envelope else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(wanted, list):
        return None
    return [
        _beside(at, item)
        for at, item in enumerate(wanted)
        if isinstance(item, dict) and "content_base64" not in item
    ]


def _beside(at: int, item: dict[str, Any]) -> Beside:
    name = item.get("name")
    pointer = f"/attachments/{at}/name"
    if not isinstance(name, str) or not name or "\0" in name:
        raise Unacceptable(Flaw("the name of a file beside the entry", pointer=pointer))
    if "/" in name or name in (".", ".."):
        raise Unacceptable(Flaw(f"{name}: only files inside this folder", pointer=pointer))
    return Beside(name, _text(item.get("media_type")), _text(item.get("description")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
