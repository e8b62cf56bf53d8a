"""Attachments on their way to the eLog (elog sheet, section 3.5).

Promises: the name that is sent comes back unchanged, so that the echo can prove that the file
was kept; the server cuts names at "/" and silently drops a file whose name is empty then. As with
the other clients (sheet, section 3.4), a file that has a description goes by that.
"""

import io
import mimetypes
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

from adapters.preview import File
from adapters.verdict import Rejected
from storage.entry import Attachment

MAX_BYTES = 6_291_456  # per file, inclusive: MAX_ATTACHMENT_SIZE of the server

FIELD = "files"  # of the form
Part = tuple[str, tuple[str, BinaryIO, str]]

# Quotes and control characters are escaped differently by every client and server, and some
# servers take a literal %22 for a quote.
UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\]|%22')
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


def wire_name(attachment: Attachment) -> str:
    """What the file is called on the wire: its description, else its name without folders.

    Without characters that do not travel well, and never empty.
    """
    described = (attachment.description or "").replace("/", "_")
    return _safe(described) or _safe(_base(attachment.name)) or "file"


def wire_media_type(attachment: Attachment) -> str:
    """The type as given, else guessed from the name; never a line that could end the header."""
    given = (attachment.media_type or "").partition(";")[0].strip()
    if MEDIA_TYPE.fullmatch(given):
        return given
    guessed = mimetypes.guess_type(_safe(_base(attachment.name)))[0]
    return guessed or "application/octet-stream"


@contextmanager
def opened(attachments: Sequence[Attachment]) -> Iterator[list[Part]]:
    """The attachments as parts of a form, open for reading. Raises Rejected if one is gone."""
    with ExitStack() as stack:
        yield [_part(stack, attachment) for attachment in attachments]


def shown(attachment: Attachment) -> File:
    """The attachment as a part of a form, for people who want to see it first."""
    return File(FIELD, wire_name(attachment), wire_media_type(attachment), attachment.size)


def check_echo(attachments: Sequence[Attachment], stored: Mapping[str, Any]) -> None:
    """Raise Rejected unless the `stored` entry names every file that was sent."""
    echoed = [file for file in stored.get("attachments") or [] if isinstance(file, dict)]
    missing = Counter(map(wire_name, attachments))
    missing.subtract(Counter(str(file.get("name")) for file in echoed))
    if names := sorted((+missing).elements()):
        detail = (
            f"the eLog kept entry {stored['_id']} without {', '.join(names)}: add the"
            " file there by hand; a retry would post the entry a second time"
        )
        raise Rejected(detail, status=200)


class Source(io.BufferedReader):
    """A kept file on its way out. Raises Rejected where the disk does not give it back."""

    def __init__(self, attachment: Attachment) -> None:
        self._called = attachment.name
        try:
            super().__init__(io.FileIO(attachment.path))
        except OSError as exc:
            raise unreadable(attachment.name, exc) from exc

    def read(self, size: int | None = -1, /) -> bytes:
        """As every file does."""
        try:
            return super().read(size)
        except OSError as exc:
            raise unreadable(self._called, exc) from exc


def unreadable(name: str, exc: OSError) -> Rejected:
    """Nothing was stored: the server takes no form that ends early."""
    return Rejected(f"the attachment {name!r} cannot be read: {exc.strerror}")


def _part(stack: ExitStack, attachment: Attachment) -> Part:
    file = stack.enter_context(Source(attachment))
    return (FIELD, (wire_name(attachment), file, wire_media_type(attachment)))


def _base(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _safe(name: str) -> str:
    readable = name.encode("utf-8", "replace").decode()
    return UNSAFE.sub("_", readable).strip()
