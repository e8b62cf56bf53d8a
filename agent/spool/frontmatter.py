"""Front matter of a Markdown post: the few lines between two `---` at its top.

    ---
    experiment: xpptut15
    run: 12
    tags: [alignment, laser]
    labels:
      - sample=42
    ---

A small strict grammar, not YAML: `key: value`, a list `[a, b]`, or a list of `- item` lines
below `key:`. Values may be quoted; a line that begins with # is a comment. Whatever is not
understood is refused with its line number: a guess would post something else than meant.
"""

import json
from collections.abc import Iterator

FENCE = "---"
TEXTS = ("experiment", "title", "author", "reply_to", "shift")
LISTS = ("tags", "emails", "cross_post", "flags")
ENVELOPE = ("stream", "key", "created_at", "labels", "attachments")
KEYS = (*TEXTS, *LISTS, "html", "run", *ENVELOPE)
LONGEST_RUN = 18  # digits; fits into 64 bits

Value = str | list[str]


class BadFrontMatter(ValueError):
    """What is not understood, and on which line of the file."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line
        self.detail = detail


def post_of(text: str) -> tuple[dict[str, object], dict[str, object]]:
    """What a Markdown post means: the fields of its envelope, and its payload.

    Lines of `text` end with LF; without front matter it is all text. Raises BadFrontMatter.
    """
    head, body = _split(text)
    envelope: dict[str, object] = {}
    payload: dict[str, object] = {}
    for line, key, value in _fields(head):
        if key in envelope or key in payload:
            raise BadFrontMatter(line, f"{key} is given twice")
        target = envelope if key in ENVELOPE else payload
        target[key] = _typed(line, key, value)
    return envelope, {**payload, "text": body}


def _split(text: str) -> tuple[list[str], str]:
    first, *rest = text.split("\n")
    if first.rstrip() != FENCE:
        return [], text
    for count, line in enumerate(rest):
        if line.rstrip() == FENCE:
            return rest[:count], "\n".join(rest[count + 1 :]).lstrip("\n")
    raise BadFrontMatter(1, "the front matter has no end: a second line with ---")


def _fields(head: list[str]) -> Iterator[tuple[int, str, Value]]:
    """(line, key, value) of each field; `head` begins on line 2 of the file."""
    lines = [(number, line) for number, line in enumerate(head, 2) if _says_something(line)]
    while lines:
        number, line = lines.pop(0)
        key, colon, rest = line.partition(":")
        if line[0] in " \t-" or not colon or (rest and rest[0] not in " \t"):
            raise BadFrontMatter(number, "expected `key: value`")
        if key.rstrip() not in KEYS:
            raise BadFrontMatter(number, f"unknown key {key.strip()!r}; known: {', '.join(KEYS)}")
        items = []
        while not rest.strip() and lines and lines[0][1].lstrip().startswith("- "):
            below, item = lines.pop(0)
            items.append(_scalar(below, item.lstrip()[2:]))
        yield number, key.rstrip(), items or _value(number, rest)


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _value(line: int, written: str) -> Value:
    written = written.strip()
    if not written.startswith("["):
        return _scalar(line, written)
    if not written.endswith("]"):
        raise BadFrontMatter(line, "a list ends with ] on the same line")
    inner = written[1:-1].strip()
    if '"' in inner or "'" in inner:
        raise BadFrontMatter(line, "write quoted items one below the other, each after `- `")
    return [_scalar(line, item) for item in inner.split(",")] if inner else []


def _scalar(line: int, written: str) -> str:
    written = written.strip()
    if not written:
        raise BadFrontMatter(line, "there is no value")
    if written[0] in "\"'":
        return _unquoted(line, written)
    if written[0] in "{}[]&*!|>%@`":
        raise BadFrontMatter(line, f"a value that begins with {written[0]} needs quotes")
    return written


def _unquoted(line: int, written: str) -> str:
    if written[0] == "'":
        inner = written[1:-1]
        if len(written) > 1 and written[-1] == "'" and "'" not in inner.replace("''", ""):
            return inner.replace("''", "'")
        raise BadFrontMatter(line, "the quotes do not match")
    try:
        value = json.loads(written)
    except ValueError as error:
        raise BadFrontMatter(line, "the quotes do not match") from error
    return str(value)


def _typed(line: int, key: str, value: Value) -> object:
    if key in LISTS or key in ("labels", "attachments"):
        if isinstance(value, str):
            raise BadFrontMatter(line, f"{key} is a list: [a, b]")
        return _items(line, key, value)
    if isinstance(value, list):
        raise BadFrontMatter(line, f"{key} takes one value, not a list")
    match key:
        case "run":
            return _run(line, value)
        case "html":
            return _truth(line, value)
        case _:
            return value


def _items(line: int, key: str, items: list[str]) -> object:
    match key:
        case "labels":
            return _labels(line, items)
        case "attachments":
            return [{"name": item} for item in items]
        case _:
            return items


def _labels(line: int, items: list[str]) -> dict[str, str]:
    labels = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or name.strip() in labels:
            raise BadFrontMatter(line, "labels are a list of name=value, each name once")
        labels[name.strip()] = value.strip()
    return labels


def _run(line: int, value: str) -> int | str:
    if value == "current":
        return value
    if value.isascii() and value.isdigit() and len(value) <= LONGEST_RUN:
        return int(value)
    raise BadFrontMatter(line, "run is a number, or current")


def _truth(line: int, value: str) -> bool:
    if value not in ("true", "false"):
        raise BadFrontMatter(line, f"write true or false, not {value!r}")
    return value == "true"
