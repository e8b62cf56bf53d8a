"""A question that makes sense, with how it wants to be answered; and the answers made for it."""

from dataclasses import dataclass

from adapters.reading import Fetched, Plan, Recalled
from agent.reads.answer import Answer
from agent.reads.manner import Manner


@dataclass(frozen=True, slots=True)
class Asked:
    """Where it is asked, what and how."""

    backend: str
    plan: Plan
    manner: Manner

    def live(self, fetched: Fetched, since: int) -> Answer:
        """What was fetched from `since` (epoch ms) on."""
        return Answer(
            self.backend,
            self.plan.question.resource,
            fetched.data,
            "live",
            since,
            settled=fetched.settled,
            complete=fetched.complete,
            stale=False,
            meta=fetched.meta,
            notes=fetched.notes,
        )

    def recalled(self, kept: Recalled, *, stale: bool, why: str | None = None) -> Answer:
        """What kept answers say; `why` it had to be them."""
        return Answer(
            self.backend,
            self.plan.question.resource,
            kept.data,
            kept.source,
            kept.fetched_at,
            settled=kept.settled,
            complete=kept.complete,
            stale=stale,
            meta=kept.meta,
            notes=(*([why] if why else []), *kept.notes),
            missing=kept.missing,
        )

    def ours(self, data: object) -> Answer:
        """What waits in our own outbox, and nothing else."""
        return Answer(
            self.backend,
            self.plan.question.resource,
            data,
            "derived",
            None,
            settled=False,
            complete=False,
            stale=True,
        )
