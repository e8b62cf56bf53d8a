"""`put` of many entries, one per line: in bounded pieces, each line judged by itself.

Promises: memory stays bounded however long the input is; a line is either with the agent,
in the spool, or reported as refused with its number; the order of the lines is kept.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from agent.cli.composing import Said, encoded, enveloped, value_of
from agent.cli.endings import NO_INPUT, OK, REFUSED, Ending, temporary
from agent.cli.handing import Answered, Door, Left, give_or_leave, leave_or_end, tell_refusal
from agent.cli.inputs import no_input
from agent.cli.printing import note, print_outcome
from agent.cli.spooling import spool_file
from agent.refusal import Refusal

LINES_AT_ONCE = 1000
BYTES_AT_ONCE = 4 * 2**20  # far below what a request, or a file in the spool, may have
HEADERS = {"Content-Type": "application/x-ndjson"}

Line = tuple[int, bytes]


@dataclass
class Pile:
    """Many entries on their way, and what became of them so far."""

    said: Said
    door: Door
    now: datetime
    name: str
    counts: Counter[str] = field(default_factory=Counter)
    results: list[dict[str, Any]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    reason: str = ""

    def hand_in(self, lines: Sequence[Line]) -> None:
        """Give a piece to the agent, or leave it in the spool. Raises Ending."""
        if self.reason:
            self._put_aside(lines)  # it was away a moment ago: do not wait again
            return
        body = b"\n".join(line for _, line in lines)
        outcome = give_or_leave(lambda: self.door.post(HEADERS, body), lambda: self._leave(lines))
        match outcome:
            case Left(path=path, reason=reason):
                self.reason = reason
                self._left(lines, path)
            case Answered(body=list(answers)):
                self._answered(lines, answers)
            case Answered(body=body):
                for number, _ in lines:
                    self.refuse(number, body)

    def refuse(self, number: int, problem: dict[str, Any]) -> None:
        """A line that nobody takes."""
        self.counts["refused"] += 1
        self.results.append({**problem, "line": number, "state": "refused"})
        tell_refusal(problem, f"line {number}: ")

    def _answered(self, lines: Sequence[Line], answers: Sequence[dict[str, Any]]) -> None:
        later: list[Line] = []
        for (number, line), answer in zip(lines, answers, strict=True):
            if temporary(answer["status"]):
                later.append((number, line))
                self.reason = str(answer.get("detail"))
            elif "id" in answer:
                self.counts[answer["state"]] += 1
                self.results.append({**answer, "line": number})
            else:
                self.refuse(number, answer)
        if later:
            self._put_aside(later)

    def _put_aside(self, lines: Sequence[Line]) -> None:
        self._left(lines, leave_or_end(lambda: self._leave(lines), self.reason))

    def _leave(self, lines: Sequence[Line]) -> Path:
        content = b"".join(line + b"\n" for _, line in lines)
        return spool_file(self.door.folder(), f"{self.name}-{lines[0][0]:09d}.ndjson", content)

    def _left(self, lines: Sequence[Line], path: Path) -> None:
        self.paths.append(path)
        self.counts["spooled"] += len(lines)
        for number, _ in lines:
            self.results.append({"line": number, "state": "spooled", "path": str(path)})


def put_many(pile: Pile, source: BinaryIO, *, as_json: bool) -> int:
    """Hand in every line of `source`; the exit code. Prints a summary, and each refused line."""
    try:
        for lines in _pieces(_entries(pile, source)):
            pile.hand_in(lines)
    except Ending:
        note(f"ended early; so far: {_counted(pile) or 'nothing'}")
        raise
    if not pile.counts:
        raise Ending(NO_INPUT, "there is nothing to read: the input is empty")
    told = {**pile.counts, "lines": sorted(pile.results, key=lambda one: one["line"])}
    print_outcome(told, _counted(pile), as_json=as_json)
    for path in pile.paths:
        note(f"spooled {path}")
    if pile.paths:
        note(f"{pile.reason}; the agent will take them from the spool")
    return REFUSED if pile.counts["refused"] else OK


def _counted(pile: Pile) -> str:
    return ", ".join(f"{state} {number}" for state, number in pile.counts.items())


def _entries(pile: Pile, source: BinaryIO) -> Iterator[Line]:
    """The lines that are entries, as envelopes with their keys; the others are refused here."""
    try:
        for number, raw in enumerate(source, 1):
            if not raw.strip():
                continue
            try:
                yield number, _envelope(pile, raw, number)
            except Refusal as refusal:
                pile.refuse(number, refusal.problem())
    except OSError as exc:
        raise no_input(exc) from exc


def _envelope(pile: Pile, raw: bytes, number: int) -> bytes:
    value = value_of(raw)
    return encoded(enveloped(value, pile.said, now=pile.now, key=f"{pile.name}-{number}"))


def _pieces(entries: Iterator[Line]) -> Iterator[list[Line]]:
    piece: list[Line] = []
    size = 0
    for number, line in entries:
        if piece and (len(piece) == LINES_AT_ONCE or size + len(line) > BYTES_AT_ONCE):
            yield piece
            piece, size = [], 0
        piece.append((number, line))
        size += len(line)
    if piece:
        yield piece
