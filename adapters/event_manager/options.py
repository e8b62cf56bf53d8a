"""What the settings may say of an Event Manager beyond what they say of every backend."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from adapters.event_manager.payload import log_level_of


def _has_a_level_below(level: int) -> int:
    if level == 0:
        raise ValueError("must be above 0: no event could be told without an alert")
    return level


class Options(BaseModel, extra="forbid", frozen=True):
    """The settings of a backend of kind `event_manager`."""

    alert_late: Literal["keep", "suppress"] = Field(
        default="keep",
        description='"suppress": an event that comes late is told without raising its alert.',
    )  # an alarm is not ours to silence unless somebody has said so
    late_after_seconds: float = Field(
        default=600,
        ge=0,
        description="How long after its time an event is late, when it is first sent.",
    )  # ten minutes: longer than any restart of the server, shorter than a shift's memory
    alert_level: Annotated[
        int, BeforeValidator(log_level_of), AfterValidator(_has_a_level_below)
    ] = Field(
        default=40,
        description="From which log level on the server mails: its own `alert_level`.",
    )
