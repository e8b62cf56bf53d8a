"""JSON as producers must send it, refused where parsers and databases disagree.

The standard parser takes NaN, lone surrogates, duplicate names and numbers that no database
holds, and dies of deep nesting (facts 7). Here each is a clear refusal.
"""

import json
from typing import Any

from agent.refusal import FieldError, Refusal, malformed, unfit

MAX_DEPTH = 100
INT64 = range(-(2**63), 2**63)
LONGEST_INT = 20  # characters of a 64-bit number, sign included
BOM = b"\xef\xbb\xbf"


class _Overflow:
    """Stands for a number that was too long to parse; found again by the walk."""


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
        value = _DECODER.decode(text)
    except _DuplicateName as exc:
        raise malformed(str(exc)) from exc
    except json.JSONDecodeError as exc:
        raise malformed(f"not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    except ValueError as exc:
        raise malformed(str(exc)) from exc
    except RecursionError as exc:
        raise _too_deep() from exc
    errors = list(_faults(value))
    if errors:
        raise unfit(errors)
    return value


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


def _constant(name: str) -> Any:
    raise ValueError(f"not JSON: {name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)


def _too_deep() -> Refusal:
    return malformed(f"nested deeper than {MAX_DEPTH} levels")


def _faults(root: Any) -> list[FieldError]:
    """Walk the whole value, iteratively: the depth is the sender's choice."""
    errors: list[FieldError] = []
    waiting: list[tuple[Any, str, int]] = [(root, "", 1)]
    while waiting:
        value, pointer, depth = waiting.pop()
        if isinstance(value, dict | list) and depth > MAX_DEPTH:
            raise _too_deep()
        if isinstance(value, dict):
            for name, child in value.items():
                place = f"{pointer}/{escaped(name)}"
                errors += _name_faults(name, place)
                waiting.append((child, place, depth + 1))
        elif isinstance(value, list):
            waiting += [(child, f"{pointer}/{i}", depth + 1) for i, child in enumerate(value)]
        elif (detail := _scalar_fault(value)) is not None:
            errors.append(FieldError(pointer, detail))
    return errors


def _scalar_fault(value: Any) -> str | None:
    if isinstance(value, str):
        return "contains a lone surrogate" if has_surrogate(value) else None
    if isinstance(value, _Overflow) or (isinstance(value, int) and value not in INT64):
        return "an integer must fit into 64 bits"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "the number overflows a double"
    return None


def _name_faults(name: str, pointer: str) -> list[FieldError]:
    if "\x00" in name:
        return [FieldError(pointer.replace("\x00", "\\u0000"), "a name contains NUL")]
    if has_surrogate(name):
        place = pointer.encode("utf-8", "replace").decode()
        return [FieldError(place, "a name contains a lone surrogate")]
    return []


def has_surrogate(text: str) -> bool:
    """Does `text` hold half of a surrogate pair, which no UTF-8 can carry?"""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


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
