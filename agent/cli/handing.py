"""Giving entries to the agent, or leaving them in the spool when it cannot take them now."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from agent.cli.endings import DAEMON_NEEDED, REFUSED, Ending, detail_of, temporary
from agent.cli.printing import note
from agent.client import Places, Unanswered, ask

ENTRIES = "/v1/entries"


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent's word about what it was given."""

    status: int
    body: Any

    @property
    def refused(self) -> bool:
        """Was it not taken?"""
        return self.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Left:
    """Where it lies in the spool, and why it was not given."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Door:
    """The way in for the entries of one backend."""

    places: Places
    backend: str
    backends: Collection[str]
    timeout: float

    def post(self, headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
        """Hand in over the socket. Raises Unanswered."""
        return ask(
            self.places.socket,
            "POST",
            ENTRIES,
            body=body,
            headers=headers,
            timeout=self.timeout,
        )

    def folder(self) -> Path:
        """The backend's folder in the spool. Raises Ending (65) where it has none."""
        if self.backend not in self.backends:
            known = ", ".join(sorted(self.backends)) or "none"
            raise Ending(
                REFUSED, f"there is no backend {self.backend!r} in the settings; known: {known}"
            )
        return self.places.spool_dir / self.backend


def give_or_leave(
    post: Callable[[], tuple[int, Any]], leave: Callable[[], Path]
) -> Answered | Left:
    """Ask the agent; what it cannot take now is left in the spool. Raises Ending (69)."""
    try:
        status, body = post()
    except Unanswered as failure:
        reason = str(failure)
    else:
        if not temporary(status) and isinstance(body, dict | list):
            return Answered(status, body)
        reason = detail_of(status, body)
    return Left(leave_or_end(leave, reason), reason)


def leave_or_end(leave: Callable[[], Path], reason: str) -> Path:
    """Leave it in the spool, because of `reason`. Raises Ending (69) with both reasons."""
    try:
        return leave()
    except OSError as exc:
        why = f"it cannot be left in the spool either: {exc.filename}: {exc.strerror}"
        raise Ending(DAEMON_NEEDED, reason, why, "It was not stored.") from exc


def tell_refusal(problem: Mapping[str, Any], where: str = "") -> None:
    """A refusal for a person: what, and where in the entry."""
    errors = problem.get("errors") or [{"pointer": "", "detail": problem.get("detail", "refused")}]
    for error in errors:
        pointer = f"{error.get('pointer')}: " if error.get("pointer") else ""
        note(f"refused: {where}{pointer}{error.get('detail')}")
