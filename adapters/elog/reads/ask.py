"""One question to the eLog: judged, canonical, and as JSON beside a kept answer. Pure.

Promises: equal questions are equal asks, whatever their form. An ask is open while it says
"current" for its experiment or its run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from adapters.elog.payloads import CURRENT
from adapters.reading import Plan, Question

# Answers of one family may imply each other: of the runs, and of the entries, of an experiment.
FAMILIES = {
    "params": "runs",
    "run": "runs",
    "runs": "runs",
    "entries": "entries",
    "entry": "entries",
    "search": "entries",
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of the eLog. `options` are JSON; `experiment` None: it is about none."""

    resource: str
    experiment: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The canonical form."""
        return json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))

    @property
    def family(self) -> str:
        """Answers of one family may imply each other."""
        about = FAMILIES.get(self.resource)
        return f"{about} of {self.experiment}" if about else self.key

    @property
    def named(self) -> str:
        """The experiment, of a question that has one."""
        return str(self.experiment)

    @property
    def is_open(self) -> bool:
        """Does it say "current" for what has to be found out first?"""
        return CURRENT in (self.experiment, self.options.get("run"))

    def with_options(self, **changes: Any) -> "Ask":
        """The same with other options."""
        return replace(self, options={**self.options, **changes})

    def as_json(self) -> dict[str, Any]:
        """For a label."""
        return {
            "resource": self.resource,
            "experiment": self.experiment,
            "options": dict(self.options),
        }


@dataclass(frozen=True, slots=True)
class Target:
    """Where it is asked. `open`: anybody may ask it (elog sheet, sections 3.1, 3.7 and 3.8)."""

    path: str
    query: tuple[tuple[str, str], ...] = ()
    open: bool = False

    @property
    def whole(self) -> str:
        """Path and query, escaped so that nothing of a value means anything in an address."""
        return f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path


def from_json(about: Mapping[str, Any]) -> Ask:
    """The ask that `as_json` gave."""
    return Ask(about["resource"], about["experiment"], about["options"])


def planned(question: Question, ask: Ask) -> Plan:
    """The plan of a question. What is open is kept under what it turned out to be."""
    return Plan(question, ask.key, ask.family, ask, ask.as_json(), kept=not ask.is_open)
