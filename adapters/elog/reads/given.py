"""The parameters of a question, read one by one. Pure; whatever makes no sense is Misasked."""

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from pydantic import TypeAdapter, ValidationError

from adapters.elog.payloads import CURRENT, OBJECT_ID, Experiment
from adapters.reading import Misasked, Parameters, Resource

NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
SPAN = re.compile(r"([0-9]{1,9})?(:)?([0-9]{1,9})?", re.ASCII)
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
REPEATED = ("name",)
EXPERIMENT: TypeAdapter[str] = TypeAdapter(Experiment)

Span = list[int | None]  # first and last run, both included; None: no end


class Given:
    """What was given for a resource. Raises Misasked for what it does not take, or lacks."""

    def __init__(self, name: str, about: Resource, parameters: Parameters) -> None:
        self._values: dict[str, list[str]] = {}
        for one, value in parameters:
            if one not in about.parameters:
                known = ", ".join(about.parameters) or "none"
                said = f"{one!r} is no parameter of {name}; it takes: {known}"
                raise Misasked(said, parameter=one)
            self._values.setdefault(one, []).append(value)
        for one, values in self._values.items():
            if len(values) > 1 and one not in REPEATED:
                raise Misasked(f"{one} is given more than once", parameter=one)
            if not all(values):
                raise Misasked(f"{one} is given, but empty", parameter=one)
        for one in about.required:
            if one not in self._values:
                raise Misasked(f"{name} needs {one}: {about.parameters[one]}", parameter=one)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def all(self, name: str) -> Sequence[str]:
        """Every value that was given."""
        return self._values.get(name, [])

    def text(self, name: str) -> str:
        """The value. Only for what is there."""
        return self._values[name][0]

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        said = self._values.get(name, ["true" if default else "false"])[0].lower()
        if said not in (*TRUE, *FALSE):
            raise Misasked(f"{name} is true or false", parameter=name)
        return said in TRUE

    def number(self, name: str) -> int:
        """A whole number that is not negative."""
        said = self.text(name)
        if not NUMBER.fullmatch(said):
            raise Misasked(f"{name}: {said!r} is no number", parameter=name)
        return int(said)

    def experiment(self) -> str:
        """The name of an experiment, or "current"."""
        said = self.text("experiment")
        try:
            return EXPERIMENT.validate_python(said)
        except ValidationError as exc:
            detail = f"experiment: {said!r} cannot be the name of an experiment"
            raise Misasked(detail, parameter="experiment") from exc

    def run(self) -> int | str:
        """The number of a run, or "current"."""
        return CURRENT if self.text("run") == CURRENT else self.number("run")

    def id(self, name: str) -> str:
        """An id of the eLog's: over anything else it crashes."""
        said = self.text(name)
        if not OBJECT_ID.fullmatch(said):
            raise Misasked(f"{name}: an id has 24 hexadecimal digits", parameter=name)
        return said.lower()

    def spans(self, name: str) -> list[Span]:
        """Runs such as 1,5,7 or 1:10 or 12: as spans, in order, none touching another."""
        found: list[Span] = []
        for part in self.text(name).split(","):
            match = SPAN.fullmatch(part.strip())
            if match is None or not (match[1] or match[3]):
                said = f"{name}: {part!r} is neither a run nor runs, as in 5 or 1:10"
                raise Misasked(said, parameter=name)
            first = int(match[1] or 0)
            last = None if match[2] and not match[3] else int(match[3] or match[1])
            if last is not None and last < first:
                raise Misasked(f"{name}: {part!r} ends before it begins", parameter=name)
            found.append([first, last])
        return _joined(found)

    def moment(self, name: str) -> int:
        """A time with its zone, in epoch ms."""
        said = self.text(name)
        try:
            moment: datetime | None = datetime.fromisoformat(said)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            wanted = "a time with its zone, as in 2026-11-25T12:00:00Z"
            raise Misasked(f"{name}: {said!r} is not {wanted}", parameter=name)
        return round(moment.timestamp() * 1000)


def covers(spans: Sequence[Sequence[int | None]], run: int) -> bool:
    """Is the run in one of the spans?"""
    return any((first or 0) <= run and (last is None or run <= last) for first, last in spans)


def within(inner: Sequence[Sequence[int | None]], outer: Sequence[Sequence[int | None]]) -> bool:
    """Is every run of `inner` in `outer`, whose spans do not touch?"""
    return all(
        any(
            (first or 0) <= (one or 0) and (last is None or (end is not None and end <= last))
            for first, last in outer
        )
        for one, end in inner
    )


def _joined(spans: list[Span]) -> list[Span]:
    """In order, with those that touch made one."""
    ordered = sorted(spans, key=lambda span: (span[0] or 0, span[1] is None, span[1] or 0))
    joined = ordered[:1]
    for _, (first, last) in pairwise(ordered):
        before = joined[-1]
        if before[1] is not None and (first or 0) > before[1] + 1:
            joined.append([first, last])
        elif before[1] is not None:
            before[1] = None if last is None else max(before[1], last)
    return joined
