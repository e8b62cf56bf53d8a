"""The language of questions to AUDITOR: what is sent, what is judged here, what is refused."""

from typing import Any

import pytest

from adapters.auditor.asking import parse
from adapters.auditor.query import Query, from_json, key_of, ordered
from adapters.auditor.stream import Gathered, Objects
from adapters.reading import Misasked
from adapters.verdict import Refused, Uncertain

T, LATER = "2024-01-31T12:00:00Z", "2024-02-01T00:00:00Z"
SENT_T = "2024-01-31T12%3A00%3A00Z"


def asked(*parameters: tuple[str, str]) -> Query:
    return parse(parameters)


def filtered(*expressions: str) -> Query:
    return parse([("filter", one) for one in expressions])


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ([], ""),
        ([("record_id", "a b/c?d#e&f+é")], "record_id=a%20b%2Fc%3Fd%23e%26f%2B%C3%A9"),
        ([("start_time[gte]", "2024-01-31T13:00:00+01:00")], f"start_time[gte]={SENT_T}"),
        ([("filter", "start_time >= 2024-01-31t12:00:00z")], f"start_time[gte]={SENT_T}"),
        ([("filter", f"stop_time<{T}")], f"stop_time[lt]={SENT_T}"),
        (
            [("filter", "start_time>2024-01-31T12:00:00.1234567Z")],
            "start_time[gt]=2024-01-31T12%3A00%3A00.123456Z",
        ),
        ([("filter", "runtime<=60"), ("filter", "runtime>5")], "runtime[gt]=5&runtime[lte]=60"),
        ([("runtime", "60")], "runtime[equals]=60"),
        ([("filter", "meta.site~DE, FR&")], "meta[site][c][0]=DE&meta[site][c][1]=FR%26"),
        ([("meta[site][c]", "FR&,DE")], "meta[site][c][0]=DE&meta[site][c][1]=FR%26"),
        (
            [("meta[site][c][0]", "a,b"), ("meta[site][c][1]", " c")],
            "meta[site][c][0]=%20c&meta[site][c][1]=a%2Cb",
        ),
        ([("filter", "meta.a[b]&~x")], "meta[a%5Bb%5D%26][c][0]=x"),
        ([("filter", "meta.site!~DE"), ("filter", "component.cpu>=4")], ""),
        ([("meta[site][dnc][0]", "DE"), ("component[cpu][gte]", "4")], ""),
    ],
)
def test_conditions_go_out_as_auditor_takes_them(
    parameters: list[tuple[str, str]], sent: str
) -> None:
    assert parse(parameters).wire(None, None) == sent


def test_order_and_limit_go_last() -> None:
    query = asked(("sort", "-stop_time"), ("limit", "7"), ("record_id", "a"))

    assert (query.sort, query.limit) == ("-stop_time", 7)
    assert query.wire(query.sort, query.limit) == "record_id=a&sort_by[desc]=stop_time&limit=7"
    assert asked(("sort_by[desc]", "runtime")).sort == "-runtime"
    assert Query().wire("record_id", None) == "sort_by[asc]=record_id"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("colour", "red", "no parameter of AUDITOR's records"),
        ("start_time[after]", T, "no operator 'after', but gt, gte, lt, lte"),
        ("start_time[gt][lt]", T, "no parameter"),
        ("start_time[equals]", T, "no equality of times"),
        ("start_time", T, "no equality of times"),
        ("filter", f"stop_time={T}", "no equality of times"),
        ("start_time[gt]", "2024-01-31T12:00:00", "RFC 3339 with an offset"),
        ("start_time[gt]", "0001-01-01T00:00:00+01:00", "RFC 3339 with an offset"),
        ("filter", "start_time>yesterday", "RFC 3339 with an offset"),
        ("filter", "record_id>a", "no operator 'gt', but equals"),
        ("filter", "meta.site=DE", "contain all"),
        ("filter", "site~DE", "one of record_id, start_time"),
        ("filter", "component.cpu~4", "no operator 'c'"),
        ("meta[site][blah]", "DE", "'blah' it does not know"),
        ("meta[site]", "DE", "no parameter"),
        ("filter", "meta.site~DE,", "must not be empty"),
        ("record_id", " ", "must not be empty or blank"),
        ("record_id", "a\0", "NUL"),
        ("record_id", "a" * 257, "at most 256"),
        ("runtime[gt]", "-1", "whole number from 0"),
        ("component[cpu][gt]", "4.0", "whole number from 0"),
        ("runtime[gt]", str(2**63), "whole number from 0"),
        ("limit", "0", "whole number from 1"),
        ("sort", "meta", "none of start_time, stop_time, runtime, record_id"),
        ("sort_by[up]", "runtime", "no parameter"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, value: str, words: str) -> None:
    with pytest.raises(Misasked, match=words) as refused:
        asked((name, value))

    assert (refused.value.parameter, refused.value.status) == (name, 422)


@pytest.mark.parametrize(
    "rivals",
    [
        ("runtime>5", "runtime>=6"),
        ("runtime<5", "runtime<=6"),
        ("runtime=5", "runtime=6"),
        (f"start_time>{T}", f"start_time>={LATER}"),
        (f"stop_time>{T}", f"stop_time>{LATER}"),
        ("component.cpu>1", "component.cpu>=1"),
        ("record_id=a", "record_id=b"),
    ],
)
def test_rivals_of_which_auditor_would_drop_both_are_refused(rivals: tuple[str, str]) -> None:
    with pytest.raises(Misasked, match="say only one of them"):
        filtered(*rivals)
    with pytest.raises(Misasked, match="by one field only"):
        asked(("sort", "runtime"), ("sort_by[asc]", "runtime"))


def test_equal_questions_have_equal_keys_whatever_their_form() -> None:
    people = filtered("meta.site~FR,DE", "start_time>=2024-01-31T13:00:00+01:00", "runtime<9")
    client = asked(
        ("runtime[lt]", "9"),
        ("start_time[gte]", T),
        ("meta[site][c][0]", "DE"),
        ("meta[site][c][1]", "FR"),
    )

    assert key_of("records", people) == key_of("records", client)
    assert key_of("records", people) != key_of("records", filtered("runtime<9"))
    assert from_json(client.as_json()) == client


RECORD: dict[str, Any] = {
    "record_id": "r",
    "meta": {"site": ["DE", "FR"]},
    "components": [
        {"name": "mem", "amount": 9, "scores": []},
        {"name": "cpu", "amount": 3_000_000_000, "scores": []},
        {"name": "cpu", "amount": 4, "scores": []},
    ],
    "start_time": T,
    "stop_time": None,
    "runtime": None,
}


@pytest.mark.parametrize(
    ("expressions", "met"),
    [
        ([], True),
        (["record_id=r"], True),
        ([f"start_time>={T}"], True),
        ([f"start_time>{T}"], False),
        ([f"stop_time<={T}"], False),
        (["runtime>=0"], False),
        (["meta.site~DE"], True),
        (["meta.site~DE,FR"], True),
        (["meta.site~DE,IT"], False),
        (["meta.group~a"], False),
        (["meta.site!~IT"], True),
        (["meta.site!~IT,DE"], False),
        (["meta.group!~a"], True),
        (["component.cpu=4"], True),
        (["component.cpu>4"], True),
        (["component.cpu>4", "component.cpu<5"], False),
        (["component.cpu>=4", "component.mem>=9"], True),
        (["component.disk>=0"], False),
    ],
)
def test_conditions_are_judged_over_all_of_a_record(expressions: list[str], met: bool) -> None:
    assert filtered(*expressions).matches(RECORD) is met


def test_no_meta_is_judged_like_an_empty_one() -> None:
    bare = {**RECORD, "meta": None, "components": None}

    assert filtered("meta.site!~DE").matches(bare)
    assert not filtered("meta.site~DE").matches(bare)
    assert not filtered("component.cpu>=0").matches(bare)


@pytest.mark.parametrize(
    ("ours", "theirs", "implied"),
    [
        ([], [], True),
        (["runtime>5"], [], True),
        ([], ["runtime>5"], False),
        (["runtime>5"], ["runtime>5"], True),
        (["runtime>5"], ["runtime>=5"], True),
        (["runtime>=5"], ["runtime>5"], False),
        (["runtime>=6"], ["runtime>5"], True),
        (["runtime>5"], ["runtime>6"], False),
        (["runtime<5"], ["runtime<=5"], True),
        (["runtime<=5"], ["runtime<5"], False),
        (["runtime<5"], ["runtime>1"], False),
        (["runtime=5"], ["runtime>=5", "runtime<=5"], True),
        (["runtime=5"], ["runtime>5"], False),
        (["runtime>=5"], ["runtime=5"], False),
        ([f"start_time>={LATER}"], [f"start_time>={T}"], True),
        ([f"start_time>={T}"], [f"start_time>={LATER}"], False),
        ([f"start_time>={LATER}"], [f"stop_time>={T}"], False),
        (["meta.site~DE,FR"], ["meta.site~DE"], True),
        (["meta.site~DE"], ["meta.site~DE,FR"], False),
        (["meta.site!~DE,FR"], ["meta.site!~DE"], True),
        (["meta.site~DE"], ["meta.site!~DE"], False),
        (["meta.site~DE"], ["meta.group~DE"], False),
        (["component.cpu>4"], ["component.cpu>=4"], True),
        (["component.cpu>4"], ["component.mem>=4"], False),
        (["record_id=a", "runtime>1"], ["record_id=a"], True),
        (["record_id=a"], ["record_id=b"], False),
    ],
)
def test_narrower_questions_imply_wider_ones(
    ours: list[str], theirs: list[str], implied: bool
) -> None:
    assert filtered(*ours).implies(filtered(*theirs)) is implied


def test_what_has_no_value_is_largest_as_in_postgresql() -> None:
    rows: list[dict[str, Any]] = [
        {"record_id": "a", "stop_time": None},
        {"record_id": "b", "stop_time": "2024-01-02T00:00:00.500Z"},
        {"record_id": "c", "stop_time": "2024-01-02T00:00:00Z"},
    ]

    def ids(query: Query) -> str:
        return "".join(one["record_id"] for one in ordered(rows, query))

    assert ids(Query()) == "cba"
    assert ids(Query(sort="-stop_time")) == "abc"
    assert ids(Query(sort="-record_id", limit=2)) == "cb"


STREAM = '{"a":"}{\\"é"}{"b":[{}]} \n{"c":null}'.encode()


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_objects_are_parsed_however_the_bytes_are_cut(size: int) -> None:
    objects = Objects()
    parts = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    found = [one for part in parts for one, _ in objects.feed(part)]
    found += [one for one, _ in objects.feed(b"", last=True)]

    assert found == [{"a": '}{"é'}, {"b": [{}]}, {"c": None}]
    assert objects.rest == ""


def gathered(body: bytes) -> Gathered:
    sink = Gathered(Query(), lambda *_: None)
    sink.part(body)
    return sink


@pytest.mark.parametrize(
    "body", [b'{"record_id":"a"}{"record', b'{"record_id":"a"}{"x":"\xc3', b"{"]
)
def test_a_record_that_is_cut_is_not_the_end(body: bytes) -> None:
    with pytest.raises(Uncertain, match="in the middle of a record"):
        gathered(body).end("U")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"<html>",
        b"null",
        b'{"record_id":"a"},{"record_id":"b"}',
        b'{"error":"x"}',
        b'{"record_id":1}',
        b'{"record_id":"a","stop_time":"soon"}',
        b'{"record_id":"a","runtime":NaN}',
        b"\xff",
    ],
)
def test_what_no_auditor_says_is_no_answer(body: bytes) -> None:
    sink = gathered(body)

    with pytest.raises(Refused, match="not with records of AUDITOR"):
        sink.end("U")
    assert sink.part(b"") is False


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.auditor.stream.LARGEST_KEPT", 40)
    few, one = gathered(b'{"record_id":"a"}' * 3), gathered(b'{"record_id":"' + b"a" * 40)

    for sink in (few, one):
        with pytest.raises(Misasked, match="narrow the question by start_time"):
            sink.end("U")
