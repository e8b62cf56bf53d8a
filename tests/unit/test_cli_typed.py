"""Typed options of `put`: which there are, what they become, and how they meet the input."""

import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from agent.cli.endings import Ending
from agent.cli.options import Field, values_of
from tests.cli_desk import Desk, a_desk
from tests.cli_server import accepted, served

TELEMETRY = '\n[backends.dome]\nkind = "telemetry"\nurl = "http://127.0.0.1:9"\n'
RECORD = ["--record-id", "r", "--component", "{}", "--start-time", "t"]
POST = ["--experiment", "X", "--text", "t"]
PARAMS = ["--kind", "run_params", "--experiment", "X", "--run", "1"]
WEATHER = ["--type", "w", "--data", "1"]


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    reading, writing = os.pipe()
    with a_desk(capsys) as desk, os.fdopen(reading) as silent, os.fdopen(writing, "w"):
        # Somebody who never says anything: whoever reads this hangs.
        monkeypatch.setattr(sys, "stdin", silent)
        desk.config.write_text(desk.config.read_text() + TELEMETRY)
        yield desk


def sent(desk: Desk, *arguments: str) -> dict[str, Any]:
    """The envelope that an agent is given."""
    with served(desk.socket, accepted) as server:
        assert desk.put(*arguments) == 0, desk.err
    (asked,) = server.asked
    body = asked.body
    if not asked.headers["Content-Type"].startswith("application/json"):
        body = body.partition(b"\r\n\r\n")[2].partition(b"\r\n--")[0]
    envelope: dict[str, Any] = json.loads(body)
    return envelope


def on_stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_options_alone_are_the_whole_entry_and_standard_input_is_left_alone(desk: Desk) -> None:
    given = ["--event-type", "LOG_ERROR", "--log-level", "error", "--event-data", '{"x":1}']

    envelope = sent(desk, "events", *given)

    assert envelope["payload"] == {
        "event_type": "log_error",
        "log_level": "error",
        "event_data": {"x": 1},
    }
    assert envelope["key"].startswith("put-")


def test_without_an_agent_they_are_spooled(desk: Desk) -> None:
    assert desk.put("elog", *POST, "--run", "12") == 0

    (path,) = desk.spooled()
    payload = json.loads(path.read_text())["payload"]
    assert payload == {"experiment": "X", "text": "t", "run": 12}


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["elog", *POST, "--run", "12"], "run", 12),
        (["elog", *POST, "--run", "current"], "run", "current"),
        (["elog", *POST, "--tag", "a", "--tag", "b"], "tags", ["a", "b"]),
        (["elog", *POST, "--html"], "html", True),
        (["elog", *POST, "--no-html"], "html", False),
        (["elog", *POST, "--title=a=b"], "title", "a=b"),
        (["elog", *POST, "--title", "--html"], "title", "--html"),
        (["elog", *PARAMS, "--param", "a=1", "--param", "b=x y"], "params", {"a": 1, "b": "x y"}),
        (["elog", *PARAMS, "--param", '{"a": [1]}', "--param", "b=true"], "params",
         {"a": [1], "b": True}),
        (["accounting", *RECORD, "--meta", "a=1", "--meta", "a=2"], "meta", {"a": ["1", "2"]}),
        (["accounting", *RECORD, "--component", '{"n": 1}'], "components", [{}, {"n": 1}]),
        (["accounting", *RECORD, "--runtime", "-5"], "runtime", -5),
        (["events", "--source", "node_id=007"], "source", {"node_id": "007"}),
        (["dome", *WEATHER, "--no-make-current"], "make_current", False),
        (["dome", "--type", "w", "--data", '"open"'], "data", "open"),
        (["dome", "--type", "w", "--data", "1e3"], "data", 1000.0),
    ],
)  # fmt: skip
def test_a_value_has_the_type_of_its_field(
    desk: Desk, arguments: list[str], field: str, value: object
) -> None:
    assert sent(desk, *arguments)["payload"][field] == value


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["elog", *POST, "--run", "twelve"], "--run 'twelve'"),
        (["elog", *POST, "--run", "-1"], "--run '-1'"),
        (["elog", *POST, "--run"], "--run needs a value"),
        (["elog", *POST, "--html=yes"], "--html takes no value"),
        (["elog", *POST, "--title", "a", "--title", "b"], "--title is given twice"),
        (["elog", *PARAMS, "--param", "a"], "--param 'a': write it as NAME=VALUE"),
        (["events", "--event-type", "lunch"], "--event-type 'lunch': must be one of action_"),
        (["events", "--event-data", "open"], "a text needs quotes: '\"open\"'"),
        (["events", "--event-data", '{"a":NaN}'], "--event-data: must be JSON"),
        (["accounting", *RECORD, "--runtime", "1.5"], "--runtime '1.5'"),
        (["elog", "--frobnicate", "x"], "no option --frobnicate; a 'post' for elog has --experim"),
        (["--frobnicate"], "no option --frobnicate; `holdfast put BACKEND --help`"),
        (["events", "--experiment", "X"], "it is for backends of kind elog"),
        (["elog", "--param", "a=1"], "give it with --kind run_params"),
        (["elog", "--kind", "poem", "--title", "x"], "take: post, run_params"),
        (["elog", *POST, "--describe", "x"], "after the --attach"),
        (["events", "--ndjson", "--alert"], "for one entry"),
        (["elog", *POST, "--title", "\udcff"], "--title: is not UTF-8 text"),
        (["elog", *POST, "--label", "a=\udcff"], "--label: is not UTF-8 text"),
        (["elog", *POST, "--key", "\udcff"], "--key: is not UTF-8 text"),
        (["\udcff", *POST], "BACKEND: is not UTF-8 text"),
        (["events", "x.jsonl", "--dry-run"], "for one entry"),
    ],
)
def test_a_wrong_option_is_64_and_is_named(desk: Desk, arguments: list[str], told: str) -> None:
    assert desk.put(*arguments) == 64
    assert told in desk.err
    assert desk.spooled() == []


@pytest.mark.parametrize(
    ("form", "typed", "value"),
    [
        ("run", ["12"], 12),
        ("run", ["current"], "current"),
        ("scalar", ["12"], 12),
        ("scalar", ["true"], True),
        ("scalar", ["r12"], "r12"),
        ("scalar", ["[1]"], "[1]"),
        ("scalar", ["null"], "null"),
        ("text_or_object", ["-v --all"], "-v --all"),
        ("text_or_object", ['{"a": 1}'], {"a": 1}),
        ("choices", ["A", "b"], ["a", "b"]),
        ("number", ["1.5"], 1.5),
    ],
)
def test_what_the_forms_that_few_fields_have_become(
    form: str, typed: list[str], value: object
) -> None:
    field = Field("f", "--f", form, "", choices=("a", "b"))

    assert values_of([field], [("--f", text) for text in typed]) == {"f": value}


@pytest.mark.parametrize(
    ("form", "typed"),
    [("run", "r12"), ("run", ""), ("number", "true"), ("choices", "c"), ("text_or_object", "{")],
)
def test_what_they_cannot_be_is_named(form: str, typed: str) -> None:
    with pytest.raises(Ending, match="--f") as caught:
        values_of([Field("f", "--f", form, "", choices=("a", "b"))], [("--f", typed)])

    assert caught.value.code == 64


def test_an_option_for_a_backend_that_nobody_configured_is_65(desk: Desk) -> None:
    assert desk.put("nowhere", "--title", "x") == 65
    assert "no backend 'nowhere' in the settings" in desk.err


def test_what_is_missing_is_told_by_its_option_also_when_the_agent_is_away(desk: Desk) -> None:
    assert desk.put("elog", "--title", "x") == 65

    assert "/payload/experiment: is required: --experiment TEXT" in desk.err
    assert "/payload/text: is required: --text TEXT, a FILE, or `-`" in desk.err
    assert desk.spooled() == []


@pytest.mark.parametrize("order", ["before", "behind", "between"])
def test_options_may_stand_anywhere(desk: Desk, order: str) -> None:
    file, options = desk.file({"experiment": "X", "text": "t"}), ["--run", "7"]
    words = {
        "before": [*options, "elog", file],
        "behind": ["elog", file, *options],
        "between": ["elog", *options, "--", file],
    }

    assert sent(desk, *words[order])["payload"]["run"] == 7


def test_options_win_over_the_file_and_maps_are_merged(desk: Desk) -> None:
    params = {"experiment": "X", "run": 1, "params": {"a": 1, "b": 1}}
    file = desk.file({"kind": "run_table", "payload": params, "labels": {"x": "1"}})

    envelope = sent(desk, "elog", file, "--run", "2", "--param", "b=2")

    assert envelope["payload"] == {"experiment": "X", "run": 2, "params": {"a": 1, "b": 2}}
    assert (envelope["kind"], envelope["labels"]) == ("run_table", {"x": "1"})


def test_options_win_over_front_matter(desk: Desk) -> None:
    note = desk.file("---\nexperiment: X\ntags: [a]\n---\nHello\n", "note.md")

    payload = sent(desk, "elog", "--tag", "b", note)["payload"]

    assert payload == {"experiment": "X", "tags": ["b"], "text": "Hello\n"}


@pytest.mark.parametrize(
    ("typed", "payload"),
    [
        ("beam is back\r\n", {"text": "beam is back\n"}),
        ('{"text": "t", "title": "T"}', {"text": "t", "title": "T"}),
    ],
)
def test_standard_input_is_the_text_unless_it_is_an_object(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, payload: dict[str, str]
) -> None:
    on_stdin(monkeypatch, typed)

    assert sent(desk, "elog", "--experiment", "X", "-")["payload"] == {"experiment": "X", **payload}


def test_any_file_is_the_text_of_a_post_when_options_say_the_rest(desk: Desk) -> None:
    log = desk.file("12 shots", "shots.log")

    assert sent(desk, "elog", log, "--experiment", "X")["payload"]["text"] == "12 shots"
    assert desk.put("elog", log) == 65
    assert desk.put("events", log, "--alert") == 65


def test_a_text_that_is_given_twice_is_not_lost_silently(desk: Desk) -> None:
    assert desk.put("elog", desk.file("shots", "shots.log"), *POST) == 64

    assert "the text is given twice: by --text, and by " in desk.err


def test_a_description_belongs_to_the_file_before_it(desk: Desk) -> None:
    files = [desk.file("1", "a.png"), desk.file("2", "b.png"), desk.file("3", "c=d.png")]
    attach = ["--attach", files[0], "--attach", files[1], "--describe", "B"]

    envelope = sent(desk, "elog", *POST, *attach, "--attach", files[2], "--describe=C = D")

    listed = [(one["name"], one.get("description")) for one in envelope["attachments"]]
    assert listed == [("a.png", None), ("b.png", "B"), ("c=d.png", "C = D")]


def test_the_images_that_a_text_shows_go_along(desk: Desk) -> None:
    (desk.home / "plots").mkdir()
    for name in ("plots/a.png", "plots/b.png", "c.png"):
        desk.file("x", name)
    shown = "![A](plots/a.png) ![](plots/b.png) ![gone](gone.png) ![c](c.png) ![w](https://x/y.png)"
    note = desk.file(f"---\nexperiment: X\n---\n{shown}", "note.md")
    given = ["--attach", str(desk.home / "c.png")]

    envelope = sent(desk, "elog", note, *given)

    listed = [(one["name"], one.get("description")) for one in envelope["attachments"]]
    assert listed == [("c.png", None), ("a.png", "A"), ("b.png", None)]
    assert "the image gone.png does not go along" in desk.err


@pytest.mark.parametrize(
    ("arguments", "told", "untold"),
    [
        (["elog"], "Options of a 'post' for elog", "--param"),
        (["elog", "--kind", "run_table"], "--param NAME=VALUE|JSON", "--title"),
        (["accounting"], "--record-id TEXT", "--title"),
        ([], "holdfast put BACKEND --help", "--record-id"),
        (["nowhere"], "name no backend 'nowhere'", "--record-id"),
        (["elog", "--kind", "poem"], "takes no 'poem'", "--title"),
    ],
)
def test_help_shows_the_options_of_the_backend(
    desk: Desk, arguments: list[str], told: str, untold: str
) -> None:
    assert desk.put(*arguments, "--help") == 0

    options = desk.out.partition("Options of")
    assert told in "".join(options[1:]) + desk.out
    assert untold not in options[2].partition("Examples:")[0]


def test_help_works_without_settings(desk: Desk) -> None:
    desk.config.unlink()

    assert desk.put("elog", "--help") == 0
    assert "Unknown, since there is no settings file" in " ".join(desk.out.split())
