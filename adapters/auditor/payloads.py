"""What AUDITOR takes, field for field (AUDITOR sheet, section 1.1).

Promises: what is refused here no AUDITOR would ever store; what the server refuses and this
does not see, it answers with 400. The models only judge: what is sent is the producer's JSON.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from storage.entry import Address

NAME_LIMIT = 256  # graphemes
ID_LIMIT = 2000  # bytes; PostgreSQL cannot index a row of more than 2704
AMOUNT_LIMIT = 2**63 - 1

# What the server's `trim` takes away: Unicode White_Space, which is not quite what strip() does.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)

# The server counts graphemes, which the standard library cannot. Counted here are only letters
# that always begin one (Latin, Greek, Cyrillic, kana, Han, Hangul syllables): never too many, so
# no name is refused that the server takes.
ALWAYS_A_GRAPHEME = re.compile(
    "[ -~\xa0-\xa8\xaa-\xac\xaf-\u02ff\u0370-\u0482\u048a-\u052f"
    "\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]"
)
FORBIDDEN = '/()"<>\\{}'  # in any name, for servers before 0.7
RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def check_name(name: str) -> str:
    """Refuse what cannot be a name there: NUL, blank, too long."""
    if "\0" in name:
        raise ValueError("a name must not contain the NUL character: PostgreSQL cannot store it")
    if not name.strip(WHITE_SPACE):
        raise ValueError("a name must not be empty or blank")
    if len(ALWAYS_A_GRAPHEME.findall(name)) > NAME_LIMIT:
        raise ValueError(f"a name has at most {NAME_LIMIT} characters")
    return name


def check_id(record_id: str) -> str:
    """Refuse an id that PostgreSQL could not index: AUDITOR would answer 500 for ever."""
    if len(record_id.encode()) > ID_LIMIT:
        raise ValueError(f"a record_id has at most {ID_LIMIT} bytes of UTF-8")
    return record_id


def check_time(text: str) -> str:
    """Refuse what is not an RFC 3339 time with its offset; the text itself is kept."""
    if not RFC_3339.fullmatch(text):
        raise ValueError("a time is RFC 3339 with an offset, such as 2024-01-31T12:00:00Z")
    # A leap second is legal there and unknown to Python.
    datetime.fromisoformat(re.sub(r":60(?=[.Zz+-])", ":59", text.upper()))
    return text


Name = Annotated[str, AfterValidator(check_name)]
RecordId = Annotated[Name, AfterValidator(check_id)]
Time = Annotated[str, AfterValidator(check_time)]

# A list of two million wrong items would make two million faults, told in ten seconds.
FIRST_FAULT = Field(fail_fast=True)
Names = Annotated[list[Name], FIRST_FAULT]


class Score(BaseModel, extra="forbid", frozen=True, strict=True):
    """A factor of a component, such as a benchmark."""

    name: Name
    value: float = Field(ge=0, allow_inf_nan=False)


class Component(BaseModel, extra="forbid", frozen=True, strict=True):
    """A resource that was used, and how much of it."""

    name: Name
    amount: int = Field(ge=0, le=AMOUNT_LIMIT)
    scores: Annotated[list[Score], FIRST_FAULT]


class RecordAdd(BaseModel, extra="forbid", frozen=True, strict=True):
    """The body of POST /record.

    `runtime` is part of every record that a real client hands out, so it is let through; the
    server ignores it and computes its own.
    """

    record_id: RecordId
    meta: dict[Name, Names] | None = None
    components: Annotated[list[Component], FIRST_FAULT]
    start_time: Time
    stop_time: Time | None = None
    runtime: int | None = None


class RecordUpdate(BaseModel, extra="forbid", frozen=True, strict=True):
    """The body of PUT /record. Only `stop_time` has an effect; the rest must still be right."""

    record_id: RecordId
    meta: dict[Name, Names] | None = None
    components: Annotated[list[Component], FIRST_FAULT]
    start_time: Time | None = None
    stop_time: Time
    runtime: int | None = None


def record_address(record: RecordAdd) -> Address:
    """A record is known by its id; whatever concerns one id stays in order."""
    return Address(key=record.record_id, stream=record.record_id)


def update_address(update: RecordUpdate) -> Address:
    """An update waits behind its record; two updates of one record are two entries."""
    return Address(stream=update.record_id)


def strict_faults(record: RecordAdd | RecordUpdate, options: Any) -> Iterator[tuple[str, str]]:
    """Names that servers before 0.7 refuse, if the backend's `strict_names` says so."""
    if not options.strict_names:
        return
    for place, name in _names(record):
        found = " ".join(sign for sign in FORBIDDEN if sign in name)
        if found:
            said = f"must not contain {found} : AUDITOR before 0.7 refuses it"
            yield place, f"{said} (strict_names of this backend)"


def _names(record: RecordAdd | RecordUpdate) -> Iterator[tuple[str, str]]:
    """Every name of a record, with a JSON pointer to it."""
    yield "/record_id", record.record_id
    for key, values in (record.meta or {}).items():
        place = "/meta/" + key.replace("~", "~0").replace("/", "~1")
        yield place, key
        yield from ((f"{place}/{number}", value) for number, value in enumerate(values))
    for number, part in enumerate(record.components):
        yield f"/components/{number}/name", part.name
        for at, score in enumerate(part.scores):
            yield f"/components/{number}/scores/{at}/name", score.name
