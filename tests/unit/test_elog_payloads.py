"""What the eLog's payload models accept, what they refuse, and where they point."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from adapters.elog import KIND
from adapters.elog.late import late_line
from adapters.elog.payloads import Post, RunParams, post_address, post_form, shown_text
from storage.entry import Address
from tests.builders import a_claim

POST: dict[str, Any] = {"experiment": "mfxl1000123", "text": "beam is back"}
PARAMS: dict[str, Any] = {"experiment": "mfxl1000123", "run": 7, "params": {"Hit rate": 0.25}}


def refusal(model: type[BaseModel], payload: dict[str, Any]) -> tuple[str, str]:
    """Where a refusal points (the first place) and what it says."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(payload)
    first = refused.value.errors(include_url=False)[0]
    return "/".join(str(step) for step in first["loc"]), first["msg"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"title": None, "tags": None, "run": None},
        {"title": "", "tags": [], "emails": [], "cross_post": []},
        {"experiment": "MFX_Instrument"},
        {"text": " \u2713\r\n"},
        {
            "title": "T",
            "html": True,
            "tags": ["a&b#c:d/e"],
            "run": 0,
            "author": "mfxopr",
            "reply_to": "6B02d5fd77e06dbaf0b4893d",
            "emails": ["a@b.c", "bob"],
            "shift": "6b02d5fd77e06dbaf0b4893d",
            "cross_post": ["instrument", "MFX_Lasers"],
            "flags": ["issue", "roadblock", "command_followup", "issue"],
        },
        {"run": "current"},
        {"experiment": "current", "run": 3},
        {"flags": []},
    ],
)
def test_a_good_post_is_accepted(more: dict[str, Any]) -> None:
    Post.model_validate(POST | more)


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"text": ""}, "text"),
        ({"text": " \r\n\u2003"}, "text"),
        ({"text": 7}, "text"),
        ({"tags": "DARK"}, "tags"),
        ({"tags": ["DARK", "bad run"]}, "tags/1"),
        ({"tags": ["DARK "]}, "tags/0"),
        ({"tags": [""]}, "tags/0"),
        ({"tags": [7]}, "tags/0"),
        ({"emails": ["a@b.c, bob"]}, "emails/0"),
        ({"cross_post": ["MFX Lasers"]}, "cross_post/0"),
        ({"author": " "}, "author"),
        ({"run": "7"}, "run"),
        ({"run": 7.0}, "run"),
        ({"run": True}, "run"),
        ({"run": -1}, "run"),
        ({"run": "Current"}, "run"),
        ({"run": None, "flags": ["urgent"]}, "flags/0"),
        ({"flags": ["issue", ["issue"]]}, "flags/1"),
        ({"flags": "issue"}, "flags"),
        ({"reply_to": ""}, "reply_to"),
        ({"reply_to": "a\nb"}, "reply_to"),
        ({"reply_to": "x" * 201}, "reply_to"),
        ({"reply_to": 7}, "reply_to"),
        ({"shift": "night"}, "shift"),
        ({"html": "yes"}, "html"),
        ({"title": ["T"]}, "title"),
        ({"log_text": "x"}, "log_text"),
        ({"experiment": ""}, "experiment"),
        ({"experiment": "mfx/../x"}, "experiment"),
        ({"experiment": ".."}, "experiment"),
        ({"experiment": "mfxl1000123\n"}, "experiment"),
        ({"experiment": "x" * 101}, "experiment"),
    ],
)
def test_a_bad_post_is_refused_at_the_field(more: dict[str, Any], pointer: str) -> None:
    assert refusal(Post, POST | more)[0] == pointer


@pytest.mark.parametrize("missing", ["experiment", "text"])
def test_a_post_needs_an_experiment_and_a_text(missing: str) -> None:
    assert refusal(Post, {k: v for k, v in POST.items() if k != missing})[0] == missing


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"run": 1.5}, 'the number of a run, or "current"'),
        ({"flags": ["urgent"]}, "roadblock"),
        ({"tags": ["bad run"]}, "one word"),
        ({"text": "\n"}, "without text"),
    ],
)
def test_a_refusal_says_what_to_do(more: dict[str, Any], told: str) -> None:
    assert told in refusal(Post, POST | more)[1]


@pytest.mark.parametrize(
    "params", [{"a": 1}, {"A.B$C": {"x": [None, True]}}, {"\u2713": "s"}, {"a.b": 1, "a$b": 2}]
)
def test_good_run_parameters_are_accepted(params: dict[str, Any]) -> None:
    RunParams.model_validate(PARAMS | {"params": params})


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"params": {}}, "params"),
        ({"params": []}, "params"),
        ({"params": {"": 1}}, "params"),
        ({"params": {"a.b": 1, "a\uff0eb": 2}}, "params"),
        ({"run": "7"}, "run"),
        ({"run": True}, "run"),
        ({"run": None}, "run"),
        ({"text": "x"}, "text"),
    ],
)
def test_bad_run_parameters_are_refused_at_the_field(more: dict[str, Any], pointer: str) -> None:
    assert refusal(RunParams, PARAMS | more)[0] == pointer


@pytest.mark.parametrize(
    ("kind", "payload", "address"),
    [
        (
            "post",
            POST,
            Address(
                stream="mfxl1000123", scope="mfxl1000123", labels={"experiment": "mfxl1000123"}
            ),
        ),
        (
            "post",
            POST | {"run": 7},
            Address(
                stream="mfxl1000123",
                scope="mfxl1000123",
                labels={"experiment": "mfxl1000123", "run": "7"},
            ),
        ),
        (
            "run_params",
            PARAMS,
            Address(
                stream="mfxl1000123/7",
                scope="mfxl1000123/7",
                labels={"experiment": "mfxl1000123", "run": "7"},
            ),
        ),
        (
            "post",
            POST | {"experiment": "current", "run": 7},
            Address(stream="current", scope="current", labels={"run": "7"}, open=True),
        ),
        (
            "post",
            POST | {"run": "current"},
            Address(
                stream="mfxl1000123/current",
                scope="mfxl1000123/current",
                labels={"experiment": "mfxl1000123"},
                open=True,
            ),
        ),
        (
            "run_params",
            PARAMS | {"experiment": "current", "run": "current"},
            Address(stream="current", scope="current", open=True),
        ),
    ],
)
def test_an_entry_knows_where_it_belongs(
    kind: str, payload: dict[str, Any], address: Address
) -> None:
    found = KIND.kinds[kind]

    assert found.address(found.payload.model_validate(payload)) == address


@pytest.mark.parametrize(
    ("reply_to", "waits_for"),
    [
        ("6B02d5fd77e06dbaf0b4893d", None),
        ("01KCV4V8ZQ8Q7P9K3M5N6R7S8T", "01KCV4V8ZQ8Q7P9K3M5N6R7S8T"),
        ("shift 7: begin", "shift 7: begin"),
        ("6b02d5fd77e06dbaf0b4893", "6b02d5fd77e06dbaf0b4893"),
    ],
)
def test_a_reply_to_an_entry_of_ours_waits_for_it(reply_to: str, waits_for: str | None) -> None:
    post = Post.model_validate(POST | {"reply_to": reply_to})

    assert post_address(post).waits_for == waits_for


def test_an_open_reply_waits_for_what_it_answers() -> None:
    post = Post.model_validate(POST | {"experiment": "current", "reply_to": "first"})

    assert KIND.kinds["post"].address(post).waits_for == "first"


@pytest.mark.parametrize(
    ("experiment", "instrument", "pointers"),
    [
        ("current", None, ["/experiment"]),
        ("current", "mfx", []),
        ("mfxl1000123", None, []),
    ],
)
@pytest.mark.parametrize("kind", ["post", "run_params"])
def test_whose_current_experiment_is_meant_has_to_be_in_the_settings(
    kind: str, experiment: str, instrument: str | None, pointers: list[str]
) -> None:
    found = KIND.kinds[kind]
    payload = {"post": POST, "run_params": PARAMS}[kind] | {"experiment": experiment}
    judged = found.payload.model_validate(payload | {"run": "current"})
    assert found.check is not None

    faults = list(found.check(judged, KIND.options(instrument=instrument)))

    assert [pointer for pointer, _ in faults] == pointers
    assert all("key instrument" in said and "station" in said for _, said in faults)


def test_each_flag_has_its_field() -> None:
    flags = ["issue", "roadblock", "command_followup"]

    assert post_form(Post.model_validate(POST | {"flags": flags})) == {
        "log_text": "beam is back",
        "elog_support_issue": "true",
        "elog_support_roadblock": "true",
        "command_followup": "true",
    }


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "a < b\n(late & on x)"),
        ({"text": "a < b\r\n"}, "a < b\r\n(late & on x)"),
        ({"html": True}, "a < b\n(late & on x)"),
        (
            {"title": "T"},
            '<pre style="white-space: pre-wrap">a &lt; b\n(late &amp; on x)</pre>',
        ),
        ({"title": "T", "html": True, "text": "<b>x</b>"}, "<b>x</b>\n<p>(late &amp; on x)</p>"),
    ],
)
def test_the_line_of_a_late_post_is_shown_as_it_is(more: dict[str, Any], shown: str) -> None:
    post = Post.model_validate(POST | {"text": "a < b"} | more)

    assert shown_text(post, "(late & on x)") == shown


MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("after_seconds", "waited_ms", "is_late"),
    [
        (600, 10 * MINUTE_MS, False),
        (600, 10 * MINUTE_MS + 1, True),
        (60, MINUTE_MS + 1, True),
        (0, 1000 * MINUTE_MS, False),
        (600, -MINUTE_MS, False),
    ],
)
def test_a_post_is_late_by_when_it_is_first_sent(
    after_seconds: float, waited_ms: int, is_late: bool
) -> None:
    written = 1_767_225_600_123
    claim = a_claim(created_at=written, first_sent_at=written + waited_ms)

    line = late_line(claim, after_seconds, "mfx-daq")

    told = "(Written 2026-01-01 00:00:00 UTC on mfx-daq; delivered late.)"
    assert line == (told if is_late else None)


def test_what_is_not_given_is_not_sent() -> None:
    assert post_form(Post.model_validate(POST)) == {"log_text": "beam is back"}


def test_run_zero_is_sent() -> None:
    assert post_form(Post.model_validate(POST | {"run": 0}))["run_num"] == "0"


def test_run_table_is_another_name_of_run_params() -> None:
    assert KIND.aliases == {"run_table": "run_params"}
    assert KIND.main_kind == "post"
    assert set(KIND.kinds) == {"post", "run_params", "run_status", "workflow"}


@pytest.mark.parametrize(
    "options",
    [
        {"gate": "ws/../x"},
        {"instrument": "m/x"},
        {"station": -1},
        {"late_after_seconds": -1},
        {"author_from_uid": "maybe"},
        {"marker": "title"},
        {"run_wait_seconds": -1},
    ],
)
def test_wrong_settings_are_refused_by_name(options: dict[str, Any]) -> None:
    assert refusal(KIND.options, options)[0] == next(iter(options))
