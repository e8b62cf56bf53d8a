"""JSON as producers must send it, refused where parsers and databases disagree.

The standard parser takes NaN, lone surrogates, duplicate names and numbers that no database
holds, and dies of deep nesting (facts 7). Here each is a clear refusal.
"""

import gc
import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import islice
from typing import Any

from agent.refusal import MAX_ERRORS, FieldError, Refusal, malformed, unfit

MAX_DEPTH = 100
INT64 = range(-(2**63), 2**63)
LONGEST_INT = 20  # characters of a 64-bit number, sign included
BOM = b"\xef\xbb\xbf"
BASE64 = (string.ascii_letters + string.digits + "+/=").encode()
PIECE = 2**20
NOT_JSON = "not JSON"
INFINITIES = (float("inf"), float("-inf"))


class _Overflow:
    """Stands for a number that was too long to parse; found again by the walk."""


class _Constant:
    """Stands for NaN or an infinity; found again by the walk, which knows its place."""

    def __init__(self, name: str) -> None:
        self.name = name


class _DuplicateName(ValueError):
    pass


def parse(body: bytes) -> Any:
    """The value of `body`. Raises Refusal: 400 when it is not JSON, 422 when nobody holds it."""
    if body.startswith(BOM):
        raise malformed("the body begins with a byte order mark; send plain UTF-8")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise malformed(f"the body is not UTF-8: byte {exc.start} is {body[exc.start]:#x}") from exc
    try:
        with _no_collector(len(body)):
            value = _DECODER.decode(text)
    except _DuplicateName as exc:
        raise malformed(str(exc)) from exc
    except json.JSONDecodeError as exc:
        raise malformed(f"not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    except ValueError as exc:
        raise malformed(str(exc)) from exc
    except RecursionError as exc:
        raise _too_deep() from exc
    if not _is_sound(value):
        raise _refusal(_faults(value))
    return value


@contextmanager
def _no_collector(length: int) -> Iterator[None]:
    """A million new lists wake the garbage collector again and again, in vain: five times as long.

    Nothing else may run meanwhile, so it would be felt by everybody. Should two threads meet
    here, the first that leaves only switches the collector on too early.
    """
    pausing = length > PIECE and gc.isenabled()
    if pausing:
        gc.disable()
    try:
        yield
    finally:
        if pausing:
            gc.enable()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _DuplicateName(f"not JSON that everybody reads alike: two names {name!r}")
            seen.add(name)
    return found


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= LONGEST_INT else _Overflow()


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_Constant)


def _too_deep() -> Refusal:
    return malformed(f"nested deeper than {MAX_DEPTH} levels")


def _is_sound(root: Any) -> bool:
    """Has the value no fault? Raises Refusal when it is nested too deep.

    Level by level, since the depth is the sender's choice; without pointers, which cost more
    than all the rest and are wanted only when something is wrong.
    """
    level = [root]
    depth = 0
    while level:
        below: list[Any] = []
        holds_containers = False
        for value in level:
            if isinstance(value, dict):
                holds_containers = True
                if not all(map(_is_sound_name, value)):
                    return False
                below += value.values()
            elif isinstance(value, list):
                holds_containers = True
                below += value
            elif _scalar_fault(value) is not None:
                return False
        depth += holds_containers
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = below
    return True


def _refusal(faults: list[FieldError]) -> Refusal:
    """What is wrong with the value; what is no JSON at all comes first."""
    constants = [one for one in faults if one.detail.startswith(NOT_JSON)]
    if not constants:
        return unfit(faults)
    return Refusal(HTTPStatus.BAD_REQUEST, unfit(constants).detail, constants)


def _faults(root: Any) -> list[FieldError]:
    """The first faults of a value that is not sound, each with its place."""
    found = (FieldError(place, said) for place, value in _places(root) for said in _details(value))
    return list(islice(found, MAX_ERRORS))


def _places(root: Any) -> Iterator[tuple[str, Any]]:
    """Pointer and value of each scalar, roughly as they were sent; names as `_Name`."""
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, dict):
            inside = [(f"{pointer}/{escaped(name)}", name, child) for name, child in value.items()]
            for place, name, _ in inside:
                yield place, _Name(name)
            waiting += [(place, child) for place, _, child in reversed(inside)]
        elif isinstance(value, list):
            inner = [(f"{pointer}/{i}", child) for i, child in enumerate(value)]
            waiting += reversed(inner)
        else:
            yield pointer, value


class _Name(str):
    """A name of an object, for which other rules hold than for a text."""

    __slots__ = ()


def _details(value: Any) -> Iterator[str]:
    if isinstance(value, _Name):
        if "\x00" in value:
            yield "a name contains NUL"
        if has_surrogate(value):
            yield "a name contains a lone surrogate"
    elif (detail := _scalar_fault(value)) is not None:
        yield detail


def _scalar_fault(value: Any) -> str | None:
    if isinstance(value, str):
        return "contains a lone surrogate" if has_surrogate(value) else None
    if isinstance(value, float):
        return "the number overflows a double" if value in INFINITIES else None
    if isinstance(value, _Constant):
        return f"{NOT_JSON}: {value.name} is no JSON number; send null, or the number as a text"
    if isinstance(value, _Overflow) or (isinstance(value, int) and value not in INT64):
        return "an integer must fit into 64 bits"
    return None


def _is_sound_name(name: str) -> bool:
    return "\x00" not in name and not has_surrogate(name)


def has_surrogate(text: str) -> bool:
    """Does `text` hold half of a surrogate pair, which no UTF-8 can carry?"""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def text_bytes(body: bytes) -> int:
    """The bytes of `body` that could not stand inside base64: all that makes structure.

    Counted in pieces: one long call would keep all other threads waiting.
    """
    pieces = (body[start : start + PIECE] for start in range(0, len(body), PIECE))
    return sum(len(piece.translate(None, BASE64)) for piece in pieces)


def escaped(name: str) -> str:
    """`name` as one step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def compact(value: Any) -> str:
    """A parsed value as text again: same names, same order, same numbers."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def canonical(value: Any) -> bytes:
    """The same bytes for the same meaning: what digests are taken of."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode()
