"""What an answer of OMS means: rows come in one shape, everything else is an error in words."""

import json
from typing import Any

import pytest

from adapters.answer import Answer
from adapters.oms.answers import catalogue_of, rows_body
from adapters.reading import Misasked
from adapters.verdict import DeliveryError, Refused, Throttled, Uncertain

URL = "https://oms.test/agg/api/v1/runs"
PAGE = b"<!doctype html><html><body>Sign in with your CERN account</body></html>"
ROW = {"id": "297050", "type": "runs", "attributes": {"run_number": 297050}}


def an_answer(status: int, body: Any, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): one for name, one in headers.items()}, data)


def errors(*texts: str, **more: Any) -> dict[str, Any]:
    return {"errors": [{"status": "400", "title": "T", "detail": text, **more} for text in texts]}


@pytest.mark.parametrize("data", [[], [ROW], ROW, None])
@pytest.mark.parametrize("media", ["application/vnd.api+json", "text/html", ""])
def test_a_json_object_with_data_is_an_answer_whatever_its_label(data: Any, media: str) -> None:
    body = {"data": data, "meta": {"totalResourceCount": 1}}

    assert rows_body(an_answer(200, body, content_type=media), URL) == body


@pytest.mark.parametrize(
    ("status", "body", "headers", "verdict", "said"),
    [
        (200, PAGE, {}, Refused, "a web page"),
        (200, b"", {}, Refused, "no JSON object"),
        (200, [ROW], {}, Refused, "no JSON object"),
        (200, "data", {}, Refused, "no JSON object"),
        (200, {"errors": []}, {}, Refused, 'without "data"'),
        (200, {"data": "x"}, {}, Refused, "holds no rows"),
        (200, {"data": [ROW, 5]}, {}, Refused, "holds no rows"),
        (200, b'{"data": [{"id": "29', {}, Uncertain, "breaks off"),
        (201, {"data": []}, {}, Refused, "nothing that OMS says"),
        (204, b"", {}, Refused, "nothing that OMS says"),
        (302, b"", {"location": "https://auth.test/"}, Refused, "login, which has expired"),
        (401, PAGE, {}, Refused, "credentials are not accepted"),
        (403, PAGE, {}, Refused, "api-access group"),
        (403, errors("no"), {}, Refused, "api-access group"),
        (404, PAGE, {}, Refused, "is the url of the backend right"),
        (400, PAGE, {}, Refused, "is the url of the backend right"),
        (400, {"errors": []}, {}, Refused, "is the url of the backend right"),
        (405, errors("no"), {}, Refused, "is the url of the backend right"),
        (408, b"", {}, Uncertain, "408"),
        (429, PAGE, {"retry_after": "7"}, Throttled, "come back later"),
        (503, PAGE, {"retry_after": "7"}, Throttled, "come back later"),
        (503, PAGE, {}, Uncertain, "503"),
        (502, PAGE, {}, Uncertain, "502"),
        (500, errors("ORA-01555"), {}, Uncertain, "ORA-01555"),
    ],
)
def test_everything_else_is_no_answer(
    status: int, body: Any, headers: dict[str, str], verdict: type[DeliveryError], said: str
) -> None:
    with pytest.raises(verdict) as raised:
        rows_body(an_answer(status, body, **headers), URL)

    assert said in raised.value.detail
    assert URL in raised.value.detail
    assert raised.value.status == status


def test_a_bad_secret_is_told_apart_so_that_it_is_not_shown_again() -> None:
    with pytest.raises(Refused) as raised:
        rows_body(an_answer(401, b""), URL)

    assert raised.value.credentials


@pytest.mark.parametrize(
    ("status", "body", "detail", "kind"),
    [
        (400, errors("offset 3 is no multiple of limit 2"), "offset 3 is no multiple", 422),
        (422, errors("one", "two"), "one; two", 422),
        (400, {"errors": [{"title": "BAD_REQUEST"}]}, "BAD_REQUEST", 422),
        (400, {"errors": [{}]}, "it gives no reason", 422),
        (404, errors("no such run"), "no such run", 404),
        (414, PAGE, "longer than OMS takes", 422),
    ],
)
def test_a_question_that_oms_finds_wrong_is_told_in_its_words(
    status: int, body: Any, detail: str, kind: int
) -> None:
    with pytest.raises(Misasked, match=detail) as raised:
        rows_body(an_answer(status, body), URL)

    assert raised.value.status == kind


def test_the_parameter_is_named_where_oms_names_it() -> None:
    body = errors("bad", source={"parameter": "filter[x]"})

    with pytest.raises(Misasked) as raised:
        rows_body(an_answer(400, body), URL)

    assert raised.value.parameter == "filter[x]"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"meta": {"fields": {"a": {}}}}, {"a": {}}),
        ({"meta": {"fields": {}}}, {}),
        ({"meta": {"fields": ["a"]}}, None),
        ({"meta": {"fields": {"a": "b"}}}, None),
        ({"meta": []}, None),
        ({"data": []}, None),
    ],
)
def test_a_list_of_attributes_has_one_shape(body: dict[str, Any], fields: Any) -> None:
    assert catalogue_of(body) == fields
