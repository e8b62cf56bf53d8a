"""Run status on paper: whose address is taken, which counters are written, what may be told."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.answer import Answer
from adapters.auth.options import AuthOptions
from adapters.base import TlsOptions
from adapters.elog import KIND, Options
from adapters.elog.jid import Jid, counters_in, job_of, place_of, without
from adapters.elog.run_status import RunStatus, allowed, merged, run_status_address, shown, shows
from tests.emulators.elog_site import a_site

PREFIX = "https://psdm.slac.stanford.edu/arps3dfjid"
URL = f"{PREFIX}/jid/ws/replace_counters/mfxl1000123/66b0"
OLD = f"{PREFIX}/jid/ws/replace_counters/66b0"
ONE: dict[str, Any] = {"counters": {"Peaks": 7}}
JSON = {"content-type": "application/json"}


def faults(payload: dict[str, Any], *prefixes: str) -> list[tuple[str, str]]:
    """Where and why it is refused: by the model, else by the settings."""
    try:
        entry = RunStatus.model_validate(payload)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
        return [("/" + "/".join(map(str, one["loc"])), one["msg"]) for one in errors]
    return list(allowed(entry, Options(run_status_urls=prefixes)))


@pytest.mark.parametrize(
    "payload",
    [
        {"update_url": URL},
        {"update_url": f"{URL}/"},
        {"update_url": URL.replace("psdm", "PSDM").replace(".edu", ".edu:443")},
        {"update_url": URL, "experiment": "mfxl1000123", "job_id": "root", "run": "7", "user": "x"},
        {"update_url": OLD, "experiment": "mfxl1000123", "run": 7},
        {"experiment": "mfxl1000123", "job_id": "66b0"},
    ],
)
@pytest.mark.parametrize("prefix", [PREFIX, f"{PREFIX}/", "https://psdm.slac.stanford.edu"])
def test_a_job_service_of_the_settings_is_taken(payload: dict[str, Any], prefix: str) -> None:
    assert faults(ONE | payload, "http://other.test", prefix) == []


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https", "http"),
        URL.replace(".edu", ".edu:8443"),
        URL.replace("psdm.", "evil.psdm."),
        URL.replace(".edu", ".edu.evil"),
        URL.replace(".edu", ".edu."),
        URL.replace("arps3dfjid", "arps3dfjid2"),
        URL.replace("arps3dfjid", "Arps3dfjid"),
        URL.replace("/arps3dfjid", ""),
        URL.replace("https://", "https://evil/"),
    ],
)
def test_another_place_is_not_taken(url: str) -> None:
    ((where, told),) = faults(ONE | {"update_url": url}, PREFIX)

    assert where == "/update_url"
    assert "backends.NAME.run_status_urls" in told


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https://", "https://user@"),
        URL.replace("https://", "https://good.host@"),
        URL.replace("https", "ftp"),
        URL.replace("https", "HTTPS"),
        URL.replace("/jid/", "/../jid/"),
        URL.replace("/jid/", "/./jid/"),
        URL.replace("/jid/", "/%2e%2e/jid/"),
        URL.replace("/jid/", "//jid/"),
        URL.replace("/jid/", "\\jid/"),
        URL.replace(".edu", ".edu:0"),
        URL.replace(".edu", ".edu:65536"),
        URL.replace("psdm", "psdm\u2024x"),
        f"{URL}?x=1",
        f"{URL}#x",
        f"{URL}\n",
        f" {URL}",
        f"{URL};x",
        f"{URL}/extra",
        f"{PREFIX}/jid/ws/replace_counters",
        f"{PREFIX}/jid/ws/get_counters/mfxl1000123/66b0",
        f"{PREFIX}/ws/replace_counters/mfxl1000123/66b0",
        "replace_counters/mfxl1000123/66b0",
        "",
    ],
)
def test_an_address_that_programs_read_differently_is_none(url: str) -> None:
    (where, _), *_ = faults(ONE | {"update_url": url}, PREFIX, "https://psdm.slac.stanford.edu")

    assert where == "/update_url"


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        ({"counters": {}, "update_url": URL}, "/counters"),
        ({"counters": {" ": 1}, "update_url": URL}, "/counters"),
        ({"counters": {"x": [1]}, "update_url": URL}, "/counters/x"),
        ({**ONE, "update_url": OLD}, "/experiment"),
        ({**ONE, "update_url": URL, "experiment": "mfxl1000999"}, "/experiment"),
        ({**ONE, "experiment": "current", "job_id": "1"}, "/experiment"),
        ({**ONE, "job_id": "1"}, "/experiment"),
        ({**ONE, "experiment": "mfxl1000123"}, "/job_id"),
        ({**ONE, "experiment": "mfxl1000123", "job_id": "../x"}, "/job_id"),
        ({**ONE, "update_url": URL, "run": "current"}, "/run"),
        ({**ONE, "update_url": URL, "run": True}, "/run"),
        ({**ONE, "update_url": URL, "token": "x"}, "/token"),
    ],
)
def test_what_is_missing_or_wrong_is_pointed_at(payload: dict[str, Any], pointer: str) -> None:
    (where, _), *_ = faults(payload, PREFIX)

    assert where.startswith(pointer)


def test_without_the_setting_nothing_is_taken_and_the_setting_is_named() -> None:
    ((where, told),) = faults(ONE | {"update_url": URL})

    assert where == ""
    assert "backends.NAME.run_status_urls" in told


@pytest.mark.parametrize(
    "prefix", ["psdm.slac.stanford.edu", f"{PREFIX}?", f"{PREFIX}/jid/ws/replace_counters", URL]
)
def test_a_wrong_prefix_is_a_wrong_setting(prefix: str) -> None:
    with pytest.raises(ValidationError, match="run_status_urls"):
        Options.model_validate({"run_status_urls": [prefix]})


def test_where_a_job_is_read_and_written() -> None:
    job, old = job_of(URL), job_of(OLD)

    assert job.write_url == URL
    assert job.read_url("mfxl1000123") == f"{PREFIX}/jid/ws/mfxl1000123/get_counters"
    assert (old.write_url, old.experiment, old.id) == (OLD, None, "66b0")
    assert place_of("https://h:443/a") == place_of("https://h/a/")


def test_a_job_keeps_its_order_and_its_counters_their_slot() -> None:
    def address(counters: dict[str, Any], **more: Any) -> Any:
        return run_status_address(RunStatus(counters=counters, **{"update_url": URL, **more}))

    first = address({"a": 1, "b": 2}, run=7)
    assert first.slot == address({"b": 3, "a": 4}).slot != address({"a": 1}).slot
    assert first.stream == address({"a": 1}).stream
    assert first.stream == address({"a": 1}, update_url=OLD, experiment="mfxl1000123").stream
    assert first.stream != address({"a": 1}, update_url=f"{URL}1").stream
    assert first.scope == "jid psdm.slac.stanford.edu:443/mfxl1000123/66b0"
    assert dict(first.labels) == {"experiment": "mfxl1000123", "job": "66b0", "run": "7"}


def test_ours_are_text_that_the_page_shows_as_it_was_written() -> None:
    counters = {"<b>": "<i>&", "n": 1, "f": 0.5, "t": True, "none": None, "q": "\"'"}

    assert shown(counters) == {
        "&lt;b&gt;": "&lt;i&gt;&amp;",
        "n": "1",
        "f": "0.5",
        "t": "true",
        "none": "null",
        "q": "&quot;&#x27;",
    }


def test_others_stay_as_they_are_and_where_they_stand() -> None:
    there: list[Mapping[str, Any]] = [
        {"key": "<b>x</b>", "value": "<i>1</i>", "more": 1},
        {"key": "a", "value": "old"},
        {"key": "z", "value": 3},
        {"key": "a", "value": "older"},
    ]

    after = merged(there, {"new": "1", "a": "2"})

    assert after == [
        there[0],
        {"key": "a", "value": "2"},
        there[2],
        {"key": "a", "value": "2"},
        {"key": "new", "value": "1"},
    ]
    assert shows(after, {"a": "2", "new": "1", "z": "3"})
    assert not shows(after, {"a": "1"})
    assert not shows(after, {"nobody": "1"})


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, {"value": []}, []),
        (
            200,
            {"success": True, "value": [{"key": "a", "value": "b"}]},
            [{"key": "a", "value": "b"}],
        ),
        (200, {"success": False, "value": []}, None),
        (200, {"success": None, "value": []}, None),
        (200, {"success": True, "value": None}, None),
        (200, {"success": True, "value": {}}, None),
        (200, {"success": True, "value": "[]"}, None),
        (200, {"value": [{"key": "a"}, "b"]}, None),
        (200, {"value": [{"key": 1, "value": "b"}]}, None),
        (200, {"success": True}, None),
        (200, {}, None),
        (200, [], None),
        (200, None, None),
        (201, {"value": []}, None),
        (404, {"value": []}, None),
        (500, {"value": []}, None),
    ],
)
def test_only_a_list_of_counters_is_one(status: int, body: Any, found: Any) -> None:
    assert counters_in(Answer(status, JSON, json.dumps(body).encode())) == found


def test_a_page_is_no_list_whatever_is_in_it() -> None:
    assert counters_in(Answer(200, {"content-type": "text/html"}, b'{"value": []}')) is None
    assert counters_in(Answer(200, JSON, b"")) is None


def test_the_credential_is_never_in_what_is_told() -> None:
    headers = {"location": "http://x/?t=s3cr3t"}
    answer = Answer(302, headers, b"Authorization: Bearer s3cr3t; token=s3cr3t")

    told = without("Bearer s3cr3t", answer)

    assert "s3cr3t" not in f"{told.text} {told.headers}"
    assert without(None, answer) is answer


def test_what_proves_us_to_the_elog_is_not_for_a_job_service() -> None:
    ours = TlsOptions(ca_file=Path("ca"), cert_file=Path("cert"), key_file=Path("key"))

    site = Jid(a_site("http://elog.test", tls=ours))._http._site

    assert (site.auth, site.tls) == (AuthOptions(), TlsOptions(ca_file=Path("ca")))
    assert site.attempt_timeout_seconds <= 10


def test_the_kind_keeps_its_credential_apart() -> None:
    kind = KIND.kinds["run_status"]

    assert (kind.secret, kind.lifetime_seconds) == ("authorization", 86_400)
    assert (kind.max_attachment_bytes, kind.in_doubt) == (16_384, "resend")
