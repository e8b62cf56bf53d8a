"""A question of a command: asked of the running agent, or, without one, by ourselves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from agent.cli.endings import NOT_NOW, REFUSED, Ending, detail_of, sockets, temporary
from agent.client import Unanswered, listen_first, places_of
from agent.reads.manner import Manner
from config.sources import Sources, read_sources

SILENCE_SECONDS = 15.0  # the agent tells every 2 s how far it is, except while it writes it all out

Hear = Callable[[int, int | None], None]
Parameters = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is asked of which backend, and how."""

    backend: str
    resource: str
    parameters: Parameters
    manner: Manner

    @property
    def path(self) -> str:
        """As the agent's interface wants it."""
        where = f"/v1/query/{quote(self.backend, safe='')}/{quote(self.resource.strip('/'))}"
        query = urlencode([*self.manner.parameters(), *self.parameters], quote_via=quote)
        return f"{where}?{query}" if query else where


def answer_to(config: Path | None, inquiry: Inquiry, hear: Hear) -> dict[str, Any]:
    """The answer as JSON (`Answer.told`). Raises Ending: 65, 75, 78."""
    found = read_sources(config)
    try:
        return _from_agent(found, inquiry, hear)
    except Unanswered:
        from agent.cli import alone  # noqa: PLC0415 - loads everything, and is rarely needed

        asked = (inquiry.backend, inquiry.resource, inquiry.parameters)
        return alone.answer(found, *asked, inquiry.manner, hear)


def _from_agent(found: Sources, inquiry: Inquiry, hear: Hear) -> dict[str, Any]:
    """Raises Unanswered where there is no agent, or it hangs, and Ending for its refusals."""
    told: Any = None
    places = sockets(places_of(found))
    for told in listen_first(places, inquiry.path, timeout=SILENCE_SECONDS):
        if "progress" in told:
            hear(told["progress"]["rows"], told["progress"]["of"])
    if isinstance(told, dict) and isinstance(told.get("answer"), dict):
        answer: dict[str, Any] = told["answer"]
        return answer
    problem = told.get("problem", told) if isinstance(told, dict) else {}
    raise refused(problem)


def refused(problem: Any) -> Ending:
    """What a problem of the agent's means: not now (75), or a wrong question (65)."""
    status = problem.get("status", 500) if isinstance(problem, dict) else 500
    return Ending(NOT_NOW if temporary(status) else REFUSED, detail_of(status, problem))
