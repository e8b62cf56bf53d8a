"""multipart/form-data: part `entry` (JSON) and any number of `files`, streamed to disk.

Promises: a body without its closing boundary is refused (Starlette's own parser takes it, facts
7); a refused body leaves nothing behind.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from agent.draft import Bounds
from agent.envelope import MEDIA_TYPE, file_name
from agent.listener.bodies import pieces
from agent.refusal import FieldError, Refusal, malformed, no_room, too_large, unfit
from storage.attachments import StagedFile, TooLarge
from storage.entry import Attachment
from storage.outbox import Outbox

PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")


@dataclass
class Part:
    """One part of a form while it is read: the entry's JSON, or a file on its way in."""

    headers: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    text: bytearray = field(default_factory=bytearray)
    filename: str = ""
    media_type: str | None = None
    staged: StagedFile | None = None


class FormReader:
    """Reads one body."""

    def __init__(self, outbox: Outbox, bounds: Bounds) -> None:
        self._outbox = outbox
        self._bounds = bounds
        self._part = Part()
        self._field = b""
        self._value = b""
        self._pending: list[tuple[Part, bytes]] = []
        self._text: bytearray | None = None
        self._files: dict[str, Part] = {}
        self._ended = False

    async def read(self, request: Request, limit: int) -> tuple[bytes, dict[str, Attachment]]:
        """The entry's JSON and the staged files by name. Raises Refusal."""
        try:
            return await self._read(request, limit)
        except BaseException:
            for part in self._files.values():
                if part.staged is not None:
                    part.staged.drop()
            raise

    async def _read(self, request: Request, limit: int) -> tuple[bytes, dict[str, Attachment]]:
        _, options = parse_options_header(request.headers.get("content-type"))
        if not (boundary := options.get(b"boundary")):
            raise malformed("a multipart body needs a boundary in its Content-Type")
        try:
            await self._parse(boundary, pieces(request, limit))
        except FormParserError as exc:
            raise malformed(f"not multipart/form-data: {exc}") from exc
        if not self._ended:
            raise malformed("the multipart body is cut: its closing boundary is missing")
        if self._text is None:
            raise unfit([FieldError("", "the form needs a part `entry`")])
        return bytes(self._text), await self._outbox.files.run(self._seal)

    async def _parse(self, boundary: bytes, body: AsyncIterator[bytes]) -> None:
        callbacks: Any = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }
        parser = MultipartParser(boundary, callbacks)
        async for piece in body:
            parser.write(piece)
            if self._pending:
                await self._outbox.files.run(self._write)

    def _on_part_begin(self) -> None:
        self._part = Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._part.headers[self._field.decode("latin-1").lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        part = self._part
        _, options = parse_options_header(part.headers.get("content-disposition", b""))
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        encoding = part.headers.get("content-transfer-encoding", b"").lower()
        if encoding not in PLAIN_ENCODINGS:
            detail = f"the part {part.name!r} has a Content-Transfer-Encoding; send it plain"
            raise unfit([FieldError("", detail)])
        match part.name:
            case "files":
                self._begin_file(part, options.get(b"filename", b""))
            case "entry" if self._text is None:
                self._text = part.text
            case "entry":
                raise unfit([FieldError("", "there is more than one part `entry`")])
            case _:
                detail = f"there is a part {part.name!r}; only `entry` and `files` are known"
                raise unfit([FieldError("", detail)])

    def _begin_file(self, part: Part, filename: bytes) -> None:
        try:
            part.filename = file_name(filename.decode())
        except UnicodeDecodeError as exc:
            raise _misnamed(filename, "is not UTF-8") from exc
        except ValueError as exc:
            raise _misnamed(filename, str(exc)) from exc
        if part.filename in self._files:
            raise _misnamed(filename, "came twice")
        if len(self._files) >= self._bounds.max_attachments:
            detail = f"at most {self._bounds.max_attachments} attachments travel with an entry"
            raise unfit([FieldError("/attachments", detail)])
        media_type, _ = parse_options_header(part.headers.get("content-type", b""))
        part.media_type = media_type.decode("latin-1") or None
        if part.media_type and not re.fullmatch(MEDIA_TYPE, part.media_type):
            raise _misnamed(filename, "has a Content-Type that is none")
        self._files[part.filename] = part

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part.name == "files":
            self._pending.append((part, data[start:end]))
            return
        part.text += data[start:end]
        if len(part.text) > self._bounds.max_text_bytes:
            raise too_large("the part `entry`", self._bounds.max_entry_bytes)

    def _on_end(self) -> None:
        self._ended = True

    def _write(self) -> None:
        """Bring to disk what has come. Blocks."""
        pending, self._pending = self._pending, []
        for part, data in pending:
            try:
                self._opened(part).write(data)
            except TooLarge as exc:
                raise too_large(f"the attachment {exc.name!r}", exc.limit, "/attachments") from exc
            except OSError as exc:
                raise _not_taken(part, exc) from exc

    def _seal(self) -> dict[str, Attachment]:
        """Make all files durable. Blocks."""
        sealed = {}
        for name, part in self._files.items():
            try:
                staged = self._opened(part)  # an empty file has not been written to
                sealed[name] = staged.seal(media_type=part.media_type, description=None)
            except OSError as exc:
                raise _not_taken(part, exc) from exc
        return sealed

    def _opened(self, part: Part) -> StagedFile:
        if part.staged is None:
            limit = self._bounds.max_attachment_bytes
            part.staged = self._outbox.files.open_staged(part.filename, limit=limit)
        return part.staged


def _misnamed(filename: bytes, fault: str) -> Refusal:
    shown = filename.decode("utf-8", "backslashreplace")
    return unfit([FieldError("/attachments", f"the file {shown!r}: {fault}")])


def _not_taken(part: Part, exc: OSError) -> Refusal:
    return no_room(f"the disk does not take {part.filename!r}: {exc.strerror}")
