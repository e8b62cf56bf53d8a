"""Reading request bodies: counted while they come, refused as soon as they are too large."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from agent.draft import Bounds
from agent.envelope import file_name
from agent.refusal import FieldError, Refusal, malformed, no_room, too_large, unfit
from storage.attachments import StagedFile, TooLarge
from storage.entry import Attachment
from storage.outbox import Outbox

ENVELOPE_OVERHEAD = 256 * 1024  # what an envelope may add to its payload in a multipart form


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece. Raises Refusal: 411, 413, and 400 when the peer goes away."""
    announced = request.headers.get("content-length")
    if announced is None and "transfer-encoding" not in request.headers:
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, "send Content-Length, or a chunked body")
    if announced is not None and int(announced) > limit:
        raise too_large("the request", limit)
    taken = 0
    try:
        async for piece in request.stream():
            taken += len(piece)
            if taken > limit:
                raise too_large("the request", limit)
            yield piece
    except ClientDisconnect as exc:
        raise malformed("the connection was closed before the body was complete") from exc


async def whole(request: Request, limit: int) -> bytes:
    """The body in one piece."""
    body = bytearray()
    async for piece in pieces(request, limit):
        body += piece
    return bytes(body)


@dataclass
class Part:
    """One part of a form while it is read: the entry's JSON, or a file on its way in."""

    headers: dict[str, bytes] = field(default_factory=dict)
    text: bytearray = field(default_factory=bytearray)
    staged: StagedFile | None = None
    name: str = ""
    filename: str | None = None
    media_type: str | None = None


class FormReader:
    """A multipart/form-data body: part `entry` (JSON) and any number of `files`.

    Files are streamed to disk. Promises: a body without its closing boundary is refused and
    leaves nothing behind.
    """

    def __init__(self, outbox: Outbox, bounds: Bounds) -> None:
        self._outbox = outbox
        self._bounds = bounds
        self._part: Part | None = None
        self._field = b""
        self._value = b""
        self._pending: list[tuple[Part, bytes]] = []
        self._finished: list[Part] = []
        self._ended = False

    async def read(self, request: Request, limit: int) -> tuple[bytes, dict[str, Attachment]]:
        """The entry's JSON and the staged files by name. Raises Refusal."""
        try:
            return await self._read(request, limit)
        except BaseException:
            for part in [*self._finished, *([self._part] if self._part else [])]:
                if part.staged is not None:
                    part.staged.drop()
            raise

    async def _read(self, request: Request, limit: int) -> tuple[bytes, dict[str, Attachment]]:
        _, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary")
        if not boundary:
            raise malformed("a multipart body needs a boundary in its Content-Type")
        parser = self._parser(boundary)
        async for piece in pieces(request, limit):
            try:
                parser.write(piece)
            except MultipartParseError as exc:
                raise malformed(f"not multipart/form-data: {exc}") from exc
            await self._flush()
        if not self._ended:
            raise malformed("the multipart body is cut: its closing boundary is missing")
        return await self._collect()

    def _parser(self, boundary: bytes) -> MultipartParser:
        callbacks: Any = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }
        return MultipartParser(boundary, callbacks)

    def _on_part_begin(self) -> None:
        if len(self._finished) > self._bounds.max_attachments:
            raise too_large("the number of parts", self._bounds.max_attachments + 1)
        self._part = Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        assert self._part is not None
        self._part.headers[self._field.decode("latin-1").lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        part = self._part
        assert part is not None
        _, options = parse_options_header(part.headers.get("content-disposition", b""))
        part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options:
            part.filename = options[b"filename"].decode("utf-8", "replace")
        if part.name == "files":
            self._begin_file(part)
        elif part.name != "entry":
            detail = f"there is a part {part.name!r}; only `entry` and `files` are known"
            raise unfit([FieldError("", detail)])

    def _begin_file(self, part: Part) -> None:
        try:
            name = file_name(part.filename or "")
        except ValueError as exc:
            detail = f"the file name {part.filename!r} {exc}"
            raise unfit([FieldError("/attachments", detail)]) from exc
        if not name:
            raise unfit([FieldError("/attachments", "a file part needs a file name")])
        media_type, _ = parse_options_header(part.headers.get("content-type", b""))
        part.media_type = media_type.decode("latin-1") or None
        try:
            part.staged = self._outbox.open_staged(name, limit=self._bounds.max_attachment_bytes)
        except OSError as exc:
            raise no_room(f"the disk does not take {name!r}: {exc.strerror}") from exc

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        assert part is not None
        if part.staged is not None:
            self._pending.append((part, data[start:end]))
            return
        part.text += data[start:end]
        limit = self._bounds.max_entry_bytes + ENVELOPE_OVERHEAD
        if len(part.text) > limit:
            raise too_large("the part `entry`", limit)

    def _on_part_end(self) -> None:
        assert self._part is not None
        self._finished.append(self._part)
        self._part = None

    def _on_end(self) -> None:
        self._ended = True

    async def _flush(self) -> None:
        """Write what has come, beside the event loop."""
        pending, self._pending = self._pending, []
        if pending:
            await self._outbox.in_files_thread(lambda: self._write(pending))

    def _write(self, pending: list[tuple[Part, bytes]]) -> None:
        for part, data in pending:
            assert part.staged is not None
            try:
                part.staged.write(data)
            except TooLarge as exc:
                raise too_large(f"the attachment {exc.name!r}", exc.limit, "/attachments") from exc
            except OSError as exc:
                raise no_room(f"the disk does not take it: {exc.strerror}") from exc

    async def _collect(self) -> tuple[bytes, dict[str, Attachment]]:
        texts = [part.text for part in self._finished if part.name == "entry"]
        if len(texts) != 1:
            raise unfit([FieldError("", f"there must be one part `entry`, not {len(texts)}")])
        files: dict[str, Attachment] = {}
        for part in self._finished:
            if part.staged is None:
                continue
            if part.filename in files:
                detail = f"two files are called {part.filename!r}"
                raise unfit([FieldError("/attachments", detail)])
            sealed = await self._outbox.in_files_thread(partial(_sealed, part))
            files[sealed.name] = sealed
        return bytes(texts[0]), files


def _sealed(part: Part) -> Attachment:
    assert part.staged is not None
    try:
        return part.staged.seal(media_type=part.media_type, description=None)
    except OSError as exc:
        raise no_room(f"the disk does not take it: {exc.strerror}") from exc
