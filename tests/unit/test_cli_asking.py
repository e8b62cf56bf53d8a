"""The words of a question on the command line: which are the command's, which the question's."""

import pytest

from agent.cli.asking import question_of, read
from agent.cli.endings import USAGE, Ending

COMMON = {"--json": False, "--max-age": True, "--param": True, "--help": False, "-h": False}


@pytest.mark.parametrize(
    ("words", "rest", "asked"),
    [
        ("oms runs 297050", "", ("oms", "runs", [("subject", "297050")])),
        ("oms runs --run=1:2 --json", "--json", ("oms", "runs", [("run", "1:2")])),
        ("oms --fields a,b runs", "", ("oms", "runs", [("fields", "a,b")])),
        ("oms runs --max-age 1h 5", "--max-age 1h", ("oms", "runs", [("subject", "5")])),
        ("oms runs --max-age=1h", "--max-age=1h", ("oms", "runs", [])),
        ("elog runs --include-params true", "", ("elog", "runs", [("include_params", "true")])),
        ("oms runs --sort a --sort b", "", ("oms", "runs", [("sort", "a"), ("sort", "b")])),
        ("events recent -- -5", "", ("events", "recent", [("subject", "-5")])),
        ("events recent --level -1", "", ("events", "recent", [("level", "-1")])),
        ("telemetry current --type=", "", ("telemetry", "current", [("type", "")])),
    ],
)  # fmt: skip
def test_what_belongs_to_whom(
    words: str, rest: str, asked: tuple[str, str, list[tuple[str, str]]]
) -> None:
    found = read(words.split(), COMMON)

    assert found.rest == rest.split()
    assert question_of(found, []) == asked


def test_native_parameters_come_as_they_are() -> None:
    found = read(["oms", "runs"], COMMON)

    assert question_of(found, ["filter[a][EQ]=b=c", "x="])[2] == [
        ("filter[a][EQ]", "b=c"),
        ("x", ""),
    ]


@pytest.mark.parametrize(
    ("words", "native"),
    [
        ([], []),
        (["oms"], []),
        (["oms", "runs", "1", "2"], []),
        (["oms", "runs"], ["no equals"]),
        (["oms", "runs"], ["=value"]),
    ],
)
def test_words_that_are_no_question_are_wrong_usage(words: list[str], native: list[str]) -> None:
    with pytest.raises(Ending) as ending:
        question_of(read(words, COMMON), native)

    assert ending.value.code == USAGE


def test_an_option_without_its_value_is_named() -> None:
    with pytest.raises(Ending, match="--fields lacks its value"):
        read(["oms", "runs", "--fields"], COMMON)


def test_help_needs_no_value() -> None:
    assert read(["oms", "runs", "--help", "--fields"], COMMON).helps
