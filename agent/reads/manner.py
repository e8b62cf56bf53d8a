"""How a question wants to be answered, apart from what it asks. Pure, standard library only.

The same names are parameters of `GET /v1/query/...` and options of `holdfast query`; everything
else beside them belongs to the question.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.durations import seconds_of

MODES = ("auto", "live", "offline")
NAMES = ("mode", "max_age", "partial", "include_queued")
YES, NO = ("1", "true", "yes"), ("0", "false", "no")


class WrongManner(Exception):
    """A manner that cannot be read. `parameter` names it."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Manner:
    """`mode`: "auto" asks the backend and falls back on what was kept, "live" does not fall back,
    "offline" does not ask. `max_age_seconds`: a kept answer that is no older needs no asking.
    `partial`: what is there of the answer is wanted, too. `include_queued`: with what waits in
    our own outbox.
    """

    mode: str = "auto"
    max_age_seconds: float | None = None
    partial: bool = False
    include_queued: bool = False

    def parameters(self) -> list[tuple[str, str]]:
        """As parameters of a request."""
        age = [] if self.max_age_seconds is None else [("max_age", f"{self.max_age_seconds:.0f}s")]
        mode = [] if self.mode == "auto" else [("mode", self.mode)]
        flags = [(name, "1") for name in ("partial", "include_queued") if getattr(self, name)]
        return [*mode, *age, *flags]


def split(parameters: Iterable[tuple[str, str]]) -> tuple[Manner, list[tuple[str, str]]]:
    """The manner, and the parameters that belong to the question. Raises WrongManner."""
    given: dict[str, str] = {}
    rest = []
    for name, value in parameters:
        if name not in NAMES:
            rest.append((name, value))
        elif name in given:
            raise WrongManner(name, "is there twice")
        else:
            given[name] = value
    return manner_of(given), rest


def manner_of(given: Mapping[str, str]) -> Manner:
    """The manner that the texts name. Raises WrongManner."""
    mode = given.get("mode", "auto")
    if mode not in MODES:
        raise WrongManner("mode", f"is one of {', '.join(MODES)}")
    age = seconds(given["max_age"]) if "max_age" in given else None
    if mode != "auto" and age is not None:
        raise WrongManner("max_age", f"says nothing beside mode={mode}")
    return Manner(mode, age, _flag(given, "partial"), _flag(given, "include_queued"))


def seconds(text: str) -> float:
    """A time such as 90s, 1h30m, or a bare number of seconds. Raises WrongManner."""
    if text.isascii() and text.isdigit() and len(text) <= 9:  # noqa: PLR2004 - 30 years
        return float(text)
    age = seconds_of(text)
    if age is None:
        raise WrongManner("max_age", "write it as 30s, 10m, 2h, 1d or 1h30m")
    return age


def _flag(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "0").lower()
    if value not in (*YES, *NO):
        raise WrongManner(name, "is 1 or 0")
    return value in YES
