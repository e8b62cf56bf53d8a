"""The local files that a Markdown text shows as images: what a post has to take along.

Pure: a text in, names out; whether the files are there is for the caller to see. Understood are
`![alt](plot.png "title")`, `![alt](<my plot.png>)`, `![alt][ref]` with its `[ref]: plot.png`
line, and `<img src="plot.png" alt="...">`. What stands in code or in a comment is no image. What
lies elsewhere is none of ours and stays text: `https:`, `data:` and any other scheme, absolute
paths, and paths with `..`.

Promises: time and room linear in the text, whatever it is (each quantifier that could look at
the same characters twice is possessive).
"""

import html
import re
from collections.abc import Iterator
from urllib.parse import unquote

_FENCE = re.compile(r" {0,3}(?P<marks>`{3,}|~{3,})(?P<rest>.*)")
_COMMENT = re.compile(r"<!--(?:[^-]|-(?!->))*+(?:-->)?")
_TICKS = re.compile(r"(?:\\`)|`+")
_ALT = r"(?P<alt>(?:\\.|[^\[\]\\]|\[[^\[\]]*+\])*+)"
_TARGET = r"(?:<(?P<angled>[^<>\n]*+)>|(?P<bare>(?:\\.|[^\s()\\<]|\([^\s()]*+\))++))"
_TITLE = (
    r"(?:\s++(?:\"(?P<double>(?:\\.|[^\"\\])*+)\"|'(?P<single>(?:\\.|[^'\\])*+)'"
    r"|\((?P<round>(?:\\.|[^()\\])*+)\)))?"
)
_IMAGE = re.compile(
    rf"(?<!\\)!\[{_ALT}\](?:\(\s*+{_TARGET}{_TITLE}\s*+\)|\[(?P<label>[^\[\]]*+)\])?", re.DOTALL
)
_DEFINITION = re.compile(
    rf"^ {{0,3}}\[(?P<label>[^\[\]\n]++)\]:[ \t]*+{_TARGET}{_TITLE}[ \t]*+$", re.MULTILINE
)
_TAG = re.compile(r"<img\s([^<>]*+)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"(?<![\w-])(?P<name>[\w-]++)\s*+=\s*+"
    r"(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>[^\s\"'>]++))"
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

Found = tuple[int, str, str]


def local_images(text: str) -> list[tuple[str, str | None]]:
    """(path, description) of each local image that `text` shows, in order, each path once.

    The path is relative, with `/` between folders, as a file system takes it (`%20` and
    backslashes read). The description is the alternative text, or else the title; None when
    there is neither.
    """
    seen = _without_code(text)
    images: dict[str, str | None] = {}
    for _, target, description in sorted([*_in_markdown(seen), *_in_tags(seen)]):
        path = local_path(target)
        if path is not None:
            images[path] = images.get(path) or " ".join(description.split()) or None
    return list(images.items())


def local_path(target: str) -> str | None:
    """The path that an image's target names; None when it leads elsewhere, or nowhere."""
    try:
        path = unquote(target, errors="strict").strip()
    except UnicodeDecodeError:
        path = target.strip()  # no text of ours names such a file
    parts = [part for part in path.split("/") if part not in ("", ".")]
    away = _SCHEME.match(path) or path.startswith(("/", "\\", "#", "?")) or ".." in parts
    unfit = not parts or path.endswith("/") or any(ord(sign) < ord(" ") for sign in path)
    return None if away or unfit else "/".join(parts)


def _in_markdown(text: str) -> Iterator[Found]:
    known = {
        _label(match["label"]): (_target(match), _title(match))
        for match in reversed(list(_DEFINITION.finditer(text)))  # of two the first counts
    }
    for match in _IMAGE.finditer(text):
        alt = _plain(match["alt"])
        if match["angled"] is not None or match["bare"] is not None:
            yield match.start(), _target(match), alt or _title(match)
        elif (named := _label(match["label"] or match["alt"])) in known:
            target, title = known[named]
            yield match.start(), target, alt or title


def _in_tags(text: str) -> Iterator[Found]:
    for tag in _TAG.finditer(text):
        said = {
            match["name"].lower(): html.unescape(
                match["double"] or match["single"] or match["bare"] or ""
            )
            for match in _ATTRIBUTE.finditer(tag[1])
        }
        yield tag.start(), said.get("src", ""), said.get("alt") or said.get("title") or ""


def _target(match: re.Match[str]) -> str:
    return _plain(match["bare"] if match["angled"] is None else match["angled"])


def _title(match: re.Match[str]) -> str:
    return _plain(match["double"] or match["single"] or match["round"] or "")


def _plain(written: str) -> str:
    return _ESCAPED.sub(r"\1", written)


def _label(written: str) -> str:
    return " ".join(written.split()).casefold()


def _without_code(text: str) -> str:
    """`text`, of the same length, with blanks where it is code or a comment."""
    lines: list[str] = []
    paragraph: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        begins = _FENCE.match(line)
        marks = begins["marks"] if begins else ""
        if fence:
            closes = marks.startswith(fence) and not (begins and begins["rest"].strip())
            fence = "" if closes else fence
        elif marks and not (marks[0] == "`" and begins and "`" in begins["rest"]):
            fence = marks
        elif line.strip():
            paragraph.append(line)
            continue
        lines += [_without_spans("".join(paragraph)), " " * len(line)]
        paragraph = []
    lines.append(_without_spans("".join(paragraph)))
    return _COMMENT.sub(lambda match: " " * len(match[0]), "".join(lines))


def _without_spans(paragraph: str) -> str:
    """A paragraph with blanks for what stands between backticks, as many behind as before."""
    runs = [run for run in _TICKS.finditer(paragraph) if run[0] != r"\`"]
    following: dict[str, int] = {}
    partner: list[int | None] = [None] * len(runs)
    for at in range(len(runs) - 1, -1, -1):
        partner[at] = following.get(runs[at][0])
        following[runs[at][0]] = at
    pieces, at, copied = [], 0, 0
    while at < len(runs):
        close = partner[at]
        if close is not None:
            begin, end = runs[at].start(), runs[close].end()
            pieces += [paragraph[copied:begin], " " * (end - begin)]
            copied, at = end, close
        at += 1
    return "".join([*pieces, paragraph[copied:]])
