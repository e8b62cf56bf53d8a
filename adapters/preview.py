"""A request as it would be sent, for people who want to see it first. Values only.

No secret is in it: where one would be sent, words stand for it (adapters/shown.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class File:
    """A file in a form: the form's field, the name that is sent, the type, its bytes."""

    field: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Preview:
    """One request. `url` is whole, its query included.

    `body`: the text that is sent, byte for byte; None: there is none, or it is a form with
    `files`, whose other fields are `fields`. `remarks`: what is looked at before, and what that
    may change.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    remarks: tuple[str, ...] = ()
