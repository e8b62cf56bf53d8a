"""From bytes to bodies and keys; front matter."""

import io
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.spool.formats import (
    Beside,
    Unacceptable,
    identity,
    line_key,
    lines_of,
    listed_files,
    text_body,
)
from agent.spool.frontmatter import KEYS, BadFrontMatter, post_of


def front(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", "text"])


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("experiment: xpptut15", "experiment", "xpptut15"),
        ("title: Beam: found #3", "title", "Beam: found #3"),
        ('title: "quoted: \\u00e4"', "title", "quoted: ä"),
        ("title: 'it''s'", "title", "it's"),
        ("run: 12", "run", 12),
        ("run: current", "run", "current"),
        ("html: true", "html", True),
        ("html: false", "html", False),
        ("tags: [a, b]", "tags", ["a", "b"]),
        ("tags: []", "tags", []),
        ("flags: [issue]", "flags", ["issue"]),
        ("tags:\n  - a\n  - 'b, c'", "tags", ["a", "b, c"]),
        ("tags:\n- a", "tags", ["a"]),
        ("# a comment\n\nrun: 1", "run", 1),
    ],
)
def test_front_matter_says_what_it_means(line: str, field: str, value: object) -> None:
    envelope, payload = post_of(front(line))

    assert envelope == {}
    assert payload == {field: value, "text": "text"}


def test_labels_stream_and_key_belong_to_the_envelope() -> None:
    lines = ("labels: [a=1, b=x=y]", "stream: s", "key: k", "created_at: 2026-11-23T10:00:00Z")
    envelope, _ = post_of(front(*lines))

    assert envelope == {
        "labels": {"a": "1", "b": "x=y"},
        "stream": "s",
        "key": "k",
        "created_at": "2026-11-23T10:00:00Z",
    }


@pytest.mark.parametrize(
    ("lines", "number", "said"),
    [
        (["run: 12", "expert: x"], 3, "unknown key"),
        (["text: x"], 2, "unknown key"),
        (["run"], 2, "key: value"),
        (["run:12"], 2, "key: value"),
        (["  run: 12"], 2, "key: value"),
        (["- run"], 2, "key: value"),
        (["title:"], 2, "no value"),
        (["run: 12a"], 2, "number"),
        (["run: -1"], 2, "number"),
        (["run: ²"], 2, "number"),
        (["html: yes"], 2, "true or false"),
        (["tags: a"], 2, "a list"),
        (["title: [a]"], 2, "one value"),
        (["tags: [a"], 2, "ends with ]"),
        (["tags: ['a, b', c]"], 2, "one below the other"),
        (["tags: [a, ]"], 2, "no value"),
        (["title: {a: b}"], 2, "needs quotes"),
        (["title: |", "  text"], 2, "needs quotes"),
        (['title: "open'], 2, "quotes do not match"),
        (["title: 'it's'"], 2, "quotes do not match"),
        (["run: 1", "# why", "run: 2"], 4, "twice"),
        (["labels: [a]"], 2, "name=value"),
        (["labels: [a=1, a=2]"], 2, "name=value"),
        (["tags:", "  - a", "  - "], 4, "no value"),
        ([f"run: {'9' * 5000}"], 2, "number"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(
    lines: list[str], number: int, said: str
) -> None:
    with pytest.raises(BadFrontMatter) as refused:
        post_of(front(*lines))

    assert refused.value.line == number
    assert said in refused.value.detail


def test_front_matter_without_an_end_is_refused() -> None:
    with pytest.raises(BadFrontMatter, match="no end"):
        post_of("---\nrun: 1\n")


@pytest.mark.parametrize("text", ["plain", "", "# ---\n---", " ---\nrun: 1\n---", "----\nx"])
def test_text_that_does_not_begin_with_a_fence_has_no_front_matter(text: str) -> None:
    assert post_of(text) == ({}, {"text": text})


@given(st.text(alphabet=string.printable), st.sampled_from(KEYS))
def test_any_front_matter_is_either_understood_or_refused_by_line(value: str, key: str) -> None:
    try:
        post_of(front(f"{key}: {value}"))
    except BadFrontMatter as refused:
        assert 1 <= refused.line <= value.count("\n") + 3  # noqa: PT017 - or it was understood


def test_defaults_give_way_to_what_the_file_says() -> None:
    defaults = {"experiment": "default", "author": "me"}
    body = text_body(front("experiment: x").encode(), markdown=True, defaults=defaults)

    assert json.loads(body)["payload"] == {"experiment": "x", "author": "me", "text": "text"}


def test_plain_text_is_never_taken_for_front_matter() -> None:
    body = text_body(front("run: 1").encode(), markdown=False, defaults={})

    assert json.loads(body)["payload"] == {"text": front("run: 1")}


def test_text_in_another_encoding_is_refused() -> None:
    with pytest.raises(Unacceptable, match="byte 1"):
        text_body("aä".encode("latin-1"), markdown=False, defaults={})


def lines(data: bytes, limit: int = 100) -> list[tuple[int, bytes, bool]]:
    return [(one.number, one.raw, one.whole) for one in lines_of(io.BytesIO(data), limit)]


def test_lines_are_numbered_and_blank_ones_skipped() -> None:
    data = b"\xef\xbb\xbfa\r\n\r\n  \nb\nc"

    assert lines(data) == [(1, b"a", True), (4, b"b", True), (5, b"c", True)]


def test_a_line_that_is_too_long_comes_in_pieces_under_one_number() -> None:
    pieces = lines(b"a\n" + b"x" * 7 + b"\nb\n", limit=3)

    assert [(number, whole) for number, _, whole in pieces] == [
        (1, True),
        (2, False),
        (2, False),
        (2, False),
        (3, True),
    ]
    assert b"".join(raw for number, raw, _ in pieces if number == 2) == b"x" * 7 + b"\n"


@given(st.lists(st.binary(max_size=8).map(lambda raw: raw.replace(b"\n", b"")), max_size=6))
def test_no_byte_of_a_line_is_lost(written: list[bytes]) -> None:
    expected = [raw.rstrip(b"\r") for raw in written if raw.strip()]
    if expected and written[0].startswith(b"\xef\xbb\xbf"):
        return

    assert [raw for _, raw, _ in lines(b"\n".join(written) + b"\n")] == expected


def test_identity_tells_files_and_lines_apart_and_fits_a_key() -> None:
    one = identity("events/a.json", 1, 2, 3, "sha")

    assert one == identity("events/a.json", 1, 2, 3, "sha")
    assert one != identity("events/a.json", 1, 9, 3, "sha")
    assert one != identity("events/a.json", 12, 3, "sha")
    assert line_key(one, 1) != line_key(one, 2)
    assert len(line_key(one, 10**9)) <= 200
    assert line_key(one, 1).isprintable()


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        ({"payload": {}}, None),
        ({"attachments": [{"name": "a"}]}, None),
        ({"payload": {}, "attachments": "a"}, None),
        ([], None),
        ({"payload": {}, "attachments": []}, []),
        ({"payload": {}, "attachments": [{"name": "a"}]}, [Beside("a")]),
        ({"payload": {}, "attachments": [{"name": "a", "content_base64": ""}]}, []),
    ],
)
def test_the_list_of_attachments_is_read_leniently(
    envelope: Any, expected: list[Beside] | None
) -> None:
    assert listed_files(json.dumps(envelope).encode()) == expected


def test_a_body_that_is_no_json_lists_nothing() -> None:
    assert listed_files(b"{broken") is None
    assert listed_files(b"[" * 200_000) is None


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc/passwd", "", "a\0b", 7])
def test_names_that_lead_out_of_the_folder_are_refused(name: object) -> None:
    body = json.dumps({"payload": {}, "attachments": [{"name": name}]}).encode()
    with pytest.raises(Unacceptable) as refused:
        listed_files(body)

    assert refused.value.flaws[0].pointer == "/attachments/0/name"
