"""The typed options of `put`: from what was typed to the fields of a payload.

Each kind of entry has its own, made from the adapters' payload models (agent/cli/fields.py).
Promises: a value that cannot be of the field's type is wrong usage, named by its option; what a
backend takes beyond the type, the agent judges. Standard library only.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from agent.cli.endings import usage
from agent.refusal import Refusal
from agent.strict_json import parse

Typed = tuple[str, str | None]  # the option as it was typed, and its value if it takes one


class Field(NamedTuple):
    """A field of a payload as an option.

    `form` is a key of FORMS, or "flag" (a switch with a `--no-` twin). `choices`: the only
    values, in small or capital letters.
    """

    name: str
    option: str
    form: str
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()

    @property
    def opposite(self) -> str:
        """What says no to a flag."""
        return "--no-" + self.option.removeprefix("--")

    @property
    def shown(self) -> str:
        """The option as help shows it."""
        if self.form == "flag":
            return f"{self.option} / {self.opposite}"
        return f"{self.option} {FORMS[self.form].metavar}"


class Form(NamedTuple):
    """How the values of an option become the value of its field."""

    metavar: str
    value: Callable[[Field, Sequence[str]], Any]
    many: bool = False  # may the option be repeated?
    merged: bool = False  # does it add to what a file says, name by name?


def values_of(fields: Sequence[Field], typed: Iterable[Typed]) -> dict[str, Any]:
    """The fields that the options give; every option has to be of one of `fields`.

    Raises Ending (64) with the option's name.
    """
    given: dict[str, list[Typed]] = {}
    by_option = _by_option(fields)
    for option, value in typed:
        given.setdefault(by_option[option].name, []).append((option, value))
    named = {field.name: field for field in fields}
    return {name: _value(named[name], found) for name, found in given.items()}


def merged(
    fields: Sequence[Field], payload: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The payload with the options' values: they win; maps are merged name by name."""
    adds = {field.name for field in fields if field.form in FORMS and FORMS[field.form].merged}
    result = dict(payload)
    for name, value in values.items():
        there = result.get(name)
        result[name] = {**there, **value} if name in adds and isinstance(there, dict) else value
    return result


def switches(fields: Iterable[Field]) -> dict[str, bool]:
    """Every option of the fields: does it take a value?"""
    found = {}
    for field in fields:
        found[field.option] = field.form != "flag"
        if field.form == "flag":
            found[field.opposite] = False
    return found


def _by_option(fields: Sequence[Field]) -> dict[str, Field]:
    return {option: field for field in fields for option in switches([field])}


def _value(field: Field, found: Sequence[Typed]) -> Any:
    if field.form == "flag":
        return found[-1][0] == field.option
    form = FORMS[field.form]
    texts = [value or "" for _, value in found]
    if len(texts) > 1 and not form.many:
        raise usage(f"{field.option} is given twice")
    return form.value(field, texts)


def _text(_: Field, texts: Sequence[str]) -> str:
    return texts[0]


def _texts(_: Field, texts: Sequence[str]) -> list[str]:
    return list(texts)


def _choice(field: Field, texts: Sequence[str]) -> str:
    return _chosen(field, texts[0])


def _choices(field: Field, texts: Sequence[str]) -> list[str]:
    return [_chosen(field, text) for text in texts]


def _chosen(field: Field, text: str) -> str:
    for choice in field.choices:
        if choice.lower() == text.lower():
            return choice
    known = ", ".join(field.choices)
    raise usage(f"{field.option} {text!r}: must be one of {known}")


def _scalar(_: Field, texts: Sequence[str]) -> Any:
    """A number, true or false; else the text itself."""
    value = _parsed(texts[0], texts[0])
    return texts[0] if isinstance(value, dict | list) or value is None else value


def _text_or_object(field: Field, texts: Sequence[str]) -> Any:
    return _json(field, texts) if texts[0].lstrip().startswith("{") else texts[0]


def _whole(field: Field, texts: Sequence[str]) -> int:
    text = texts[0]
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_NUMBER):
        raise usage(f"{field.option} {text!r}: must be a whole number")
    return int(text)


def _number(field: Field, texts: Sequence[str]) -> float:
    value = _parsed(texts[0])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise usage(f"{field.option} {texts[0]!r}: must be a number")
    return value


def _run(field: Field, texts: Sequence[str]) -> int | str:
    if texts[0] == CURRENT:
        return CURRENT
    digits = texts[0]
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_NUMBER):
        raise usage(f"{field.option} {digits!r}: must be the number of a run, or `{CURRENT}`")
    return int(digits)


def _json(field: Field, texts: Sequence[str]) -> Any:
    try:
        return parse(texts[0].encode())
    except Refusal as refusal:
        hint = "" if texts[0][:1] in '{["' else f"; a text needs quotes: '{json.dumps(texts[0])}'"
        raise usage(f"{field.option}: must be JSON ({refusal.detail}){hint}") from refusal


def _objects(field: Field, texts: Sequence[str]) -> list[Any]:
    return [_json(field, [text]) for text in texts]


def _map(field: Field, texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE each, or whole objects. A VALUE that is JSON is taken as such, else as text."""
    return _pairs(field, texts, lambda text: _parsed(text, text))


def _text_map(field: Field, texts: Sequence[str]) -> dict[str, Any]:
    return _pairs(field, texts, lambda text: text)


def _list_map(field: Field, texts: Sequence[str]) -> dict[str, Any]:
    """As `_map`, where one name may have several values."""
    found: dict[str, Any] = {}
    for text in texts:
        for name, value in _pairs(field, [text], lambda one: [one]).items():
            found[name] = [*found.get(name, []), *value] if isinstance(value, list) else value
    return found


def _pairs(field: Field, texts: Sequence[str], value: Callable[[str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        if text.lstrip().startswith("{"):
            found |= _json(field, [text])
            continue
        name, equals, said = text.partition("=")
        if not (name and equals):
            raise usage(f"{field.option} {text!r}: write it as NAME=VALUE, or as a JSON object")
        found[name] = value(said)
    return found


def _parsed(text: str, otherwise: Any = None) -> Any:
    try:
        return parse(text.encode())
    except Refusal:
        return otherwise


CURRENT = "current"
LONGEST_NUMBER = 18  # digits; fits into 64 bits
PAIRS = "NAME=VALUE|JSON"
FORMS: Mapping[str, Form] = {
    "text": Form("TEXT", _text),
    "choice": Form("WORD", _choice),
    "int": Form("N", _whole),
    "number": Form("NUMBER", _number),
    "run": Form("N|current", _run),
    "scalar": Form("VALUE", _scalar),
    "text_or_object": Form("TEXT|JSON", _text_or_object),
    "json": Form("JSON", _json),
    "choices": Form("WORD", _choices, many=True),
    "texts": Form("TEXT", _texts, many=True),
    "objects": Form("JSON", _objects, many=True),
    "map": Form(PAIRS, _map, many=True, merged=True),
    "text_map": Form(PAIRS, _text_map, many=True, merged=True),
    "list_map": Form(PAIRS, _list_map, many=True, merged=True),
}
