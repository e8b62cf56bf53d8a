"""Copying the files in that go along with a spool entry."""

from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO

from agent.intake import Intake
from agent.refusal import Refusal
from agent.spool.formats import Beside, Unacceptable
from agent.spool.taking import flaws_of
from storage.entry import Attachment

InThread = Callable[..., Awaitable[Any]]


class Postponed(Exception):
    """The agent cannot take it now, whatever it is; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


async def stage(intake: Intake, source: BinaryIO, beside: Beside) -> Attachment:
    """Copy the file in, durably, and close it. Raises Postponed or Unacceptable."""
    try:
        return await intake.stage(
            source, beside.name, media_type=beside.media_type, description=beside.description
        )
    except Refusal as refusal:
        if refusal.temporary:
            raise Postponed(refusal) from refusal
        raise Unacceptable(*flaws_of(refusal)) from refusal
    finally:
        source.close()
