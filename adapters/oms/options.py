"""The settings of an OMS backend."""

from pydantic import BaseModel, Field

from adapters.oms.query import LARGEST_PAGE


class Options(BaseModel, extra="forbid", frozen=True):
    """The settings of an OMS backend beside the common ones."""

    page_rows: int = Field(
        default=1000,
        ge=1,
        le=LARGEST_PAGE,
        description="How many rows are asked for at once; all pages are fetched.",
    )
    grace_seconds: float = Field(
        default=48 * 3600,
        ge=0,
        description="How long after the end of a run what OMS says of it may still change.",
    )
    aliases: tuple[str, ...] = Field(
        default=(),
        description="Former urls of the same server: what was kept of them is used as well.",
    )
    check_attributes: bool = Field(
        default=True,
        description="Refuse names of attributes that OMS does not list, rather than ask OMS.",
    )
