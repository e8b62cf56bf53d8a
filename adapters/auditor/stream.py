"""AUDITOR's stream of records: one JSON object after the other, with nothing between them.

Promises: what is chosen is kept, and no more of the answer than one part and one record beside
it; a record that is cut is never taken for the end. That the stream ends between two records
proves nothing: AUDITOR ends it so when its database breaks off (AUDITOR sheet, section 1.3).
"""

import codecs
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any, NoReturn

from adapters.answer import Answer
from adapters.auditor.query import TIMES, Query
from adapters.reading import Misasked, Progress
from adapters.verdict import Refused, Uncertain

LARGEST_KEPT = (
    32 * 1024 * 1024
)  # characters of chosen records; as objects they take some eight times


class Objects:
    """Parses concatenated JSON objects from bytes as they come."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self._parse = json.JSONDecoder(parse_constant=_no_constant).raw_decode
        self._text = ""
        self._again = 0  # length from which an object that was not whole is tried again

    @property
    def rest(self) -> str:
        """What is no whole object yet; without white space before it."""
        return self._text or self._decode.getstate()[0].decode("latin-1")

    def feed(self, part: bytes, *, last: bool = False) -> Iterator[tuple[dict[str, Any], int]]:
        """The objects that `part` ends, each with its length in characters.

        Raises ValueError for what begins no object, or is no UTF-8.
        """
        self._text += self._decode.decode(part)
        if len(self._text) < self._again and not last:
            return
        start = 0
        while (start := _begin(self._text, start)) < len(self._text):
            try:
                found, end = self._parse(self._text, start)
            except (json.JSONDecodeError, RecursionError):
                break  # not whole yet, or never
            yield found, end - start
            start = end
        self._text = self._text[start:]
        # Twice as much before the next try: else a huge object is parsed once for every part.
        self._again = 2 * len(self._text) if len(self._text) > len(part) else 0


class Gathered:
    """A Sink for GET /records: the records that `query` means.

    `rows`: those; `seen`: how many came at all; `strays`: how many of them were not asked for;
    `last_id`: of the last one; `met`: did the record with the id `sought` come?
    """

    def __init__(self, query: Query, progress: Progress, sought: str | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.seen = self.strays = 0
        self.last_id: str | None = None
        self.met = False
        self._query = query
        self._progress = progress
        self._sought = sought
        self._objects = Objects()
        self._size = 0
        self._fault: Callable[[str], Exception] | None = None

    def opened(self, head: Answer) -> bool:
        """AUDITOR labels its stream as JSON, an empty one, too; all else is no stream of it."""
        return head.status == HTTPStatus.OK and head.media_type == "application/json"

    def part(self, part: bytes) -> bool:
        """Choose from what came. False: it is of no use to go on."""
        self._take(part)
        self._progress(len(self.rows), None)
        return self._fault is None

    def end(self, url: str) -> None:
        """The answer has ended. Raises Uncertain, Refused or Misasked where it is none."""
        if self._fault is None:
            self._take(b"", last=True)
        if self._fault is not None:
            raise self._fault(url)
        if self._objects.rest:
            raise Uncertain(f"{url} broke off in the middle of a record", status=HTTPStatus.OK)

    def _take(self, part: bytes, *, last: bool = False) -> None:
        try:
            for row, length in self._objects.feed(part, last=last):
                self._choose(row, length)
        except (ValueError, TypeError, LookupError, AttributeError):
            self._fault = _foreign
        if self._size + len(self._objects.rest) > LARGEST_KEPT:
            self._fault = _too_large

    def _choose(self, row: dict[str, Any], length: int) -> None:
        _judge(row)
        self.seen += 1
        self.last_id = row["record_id"]
        self.met = self.met or self.last_id == self._sought
        if not self._query.asked(row):
            self.strays += 1
        elif self._query.matches(row):
            self.rows.append(row)
            self._size += length


def _begin(text: str, start: int) -> int:
    """Where the next object begins; the end of the text if there is none. Raises ValueError."""
    while start < len(text) and text[start] in " \t\r\n":
        start += 1
    if start < len(text) and text[start] != "{":
        raise ValueError(text[start : start + 20])
    return start


def _judge(row: dict[str, Any]) -> None:
    """Raises ValueError, TypeError, LookupError for what is no record of AUDITOR."""
    if not isinstance(row["record_id"], str) or isinstance(row.get("runtime"), str):
        raise TypeError(row)
    for name in TIMES:
        if row.get(name) is not None:
            datetime.fromisoformat(row[name])


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _foreign(url: str) -> Exception:
    detail = (
        f"{url} answered 200, but not with records of AUDITOR: is the url of the backend right?"
    )
    return Refused(detail, status=HTTPStatus.OK)


def _too_large(url: str) -> Exception:
    most = LARGEST_KEPT // 1024 // 1024
    return Misasked(
        f"the answer of {url} is larger than {most} MiB, more than the agent keeps: narrow the"
        " question by start_time or stop_time, or by limit"
    )
