"""Which files belong to an entry."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from adapters.base import EntryKind
from agent.draft import Bounds, Draft
from agent.envelope import Part
from agent.parts import match_parts
from agent.refusal import Refusal
from storage.entry import Address, Attachment, Producer

BOUNDS = Bounds(max_attachment_bytes=100, max_attachments=3)


class AnyPayload(BaseModel):
    pass


def kind(**changes: Any) -> EntryKind:
    fields: dict[str, Any] = {"takes_attachments": True, **changes}
    return EntryKind(AnyPayload, lambda _: Address(), "resend", **fields)


def came(*names: str, size: int = 5, **changes: Any) -> Draft:
    files = {n: Attachment(n, "text/x", "as sent", size, "hash", Path(n)) for n in names}
    return Draft(b"", None, None, Producer("test"), files=files, **changes)


def part(name: str, content: str | None = None, **about: Any) -> Part:
    embedded = {} if content is None else {"content_base64": content}
    return Part.model_validate({"name": name, **embedded, **about})


def refused(*given: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        match_parts(*given)
    return caught.value


def test_without_a_list_all_files_of_a_form_belong_to_the_entry() -> None:
    matches = match_parts(None, came("a", "b", all_files=True), kind(), BOUNDS)

    assert [one.name for one in matches] == ["a", "b"]


def test_the_list_decides_on_order_type_and_description() -> None:
    listed = [part("b", media_type="image/png", description="a plot"), part("a")]

    matches = match_parts(listed, came("a", "b"), kind(), BOUNDS)

    assert [one.described().name for one in matches] == ["b", "a"]
    assert [one.media_type for one in matches] == ["image/png", "text/x"]
    assert [one.description for one in matches] == ["a plot", "as sent"]


def test_an_embedded_file_may_be_empty() -> None:
    (match,) = match_parts([part("a", "")], came(), kind(), BOUNDS)

    assert (match.content, match.size) == (b"", 0)


def test_each_missing_file_is_told_with_its_place() -> None:
    refusal = refused([part("a"), part("b"), part("c")], came("b"), kind(), BOUNDS)

    assert [one.pointer for one in refusal.errors] == ["/attachments/0", "/attachments/2"]


def test_a_spool_folder_may_hold_more_than_the_list_names() -> None:
    (match,) = match_parts([part("a")], came("a", "b", spare_files=True), kind(), BOUNDS)

    assert match.name == "a"


def test_a_form_may_not() -> None:
    refusal = refused([part("a")], came("a", "b"), kind(), BOUNDS)

    assert [one.pointer for one in refusal.errors] == ["/attachments"]
    assert "'b'" in refusal.detail


def test_a_kind_without_attachments_takes_none_but_an_empty_list() -> None:
    plain = kind(takes_attachments=False)

    assert match_parts([], came(), plain, BOUNDS) == []
    assert refused([part("a", "")], came(), plain, BOUNDS).status == 422


@pytest.mark.parametrize(("size", "taken"), [(100, True), (101, False)])
def test_the_settings_bound_an_attachment(size: int, *, taken: bool) -> None:
    draft = came("a", size=size)

    if taken:
        match_parts([part("a")], draft, kind(), BOUNDS)
    else:
        assert refused([part("a")], draft, kind(), BOUNDS).status == 413


def test_the_smaller_bound_counts() -> None:
    assert (
        refused([part("a")], came("a", size=50), kind(max_attachment_bytes=49), BOUNDS).status
        == 413
    )


def test_a_list_longer_than_the_bound_is_refused() -> None:
    listed = [part(str(number), "") for number in range(4)]

    assert [one.pointer for one in refused(listed, came(), kind(), BOUNDS).errors] == [
        "/attachments"
    ]
