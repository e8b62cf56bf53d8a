"""Questions to the logbook itself: searches, entries and their attachments."""

import base64
import itertools

import pytest

from adapters.reading import Misasked, NotKept
from adapters.verdict import Refused
from tests.builders import NOW
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_desk import Desk, emulator, posted
from tests.emulators.elog_site import AN_ID, EXPERIMENT
from tests.emulators.elog_store import Upload
from tests.emulators.kit import Served


@pytest.fixture
def served(server: Served) -> Served:
    """No two things happen in the same moment there."""
    server.serve(ElogEmulator(now=itertools.count(NOW, 1000).__next__))
    return server


ALL = {"deleted": "true", "ancestors": "true"}
PNG = b"\x89PNG\r\n\x00\xff"


def said(found: list[dict[str, object]]) -> list[object]:
    return [one["content"] for one in found]


async def search(desk: Desk, **form: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = await desk.ask("search", experiment=EXPERIMENT, **form)
    return found


async def test_every_form_finds_what_it_asks_for(served: Served, desk: Desk) -> None:
    first = posted(served, "Peaks are found", "A&B#c", run_num="1")
    posted(served, "reply without", "other", parent=first)
    posted(served, "second", "other", run_num="2")

    assert said(await search(desk, run="1")) == ["Peaks are found"]
    assert said(await search(desk, run="current")) == ["second"]
    assert said(await search(desk, runs="1:2")) == ["Peaks are found", "second"]
    assert said(await search(desk, tag="A&B#c")) == ["Peaks are found"]
    assert said(await search(desk, text="peaks nothing")) == ["Peaks are found"]
    assert said(await search(desk, text="second", tag="other")) == ["second"]
    # Other forms of a word are the eLog's matter: what it answers is not left out.
    assert said(await search(desk, text="peak")) == ["Peaks are found"]
    assert said(await search(desk, regex="^P.*d$")) == ["Peaks are found"]
    assert said(await search(desk, id=first)) == ["Peaks are found"]
    assert len(await search(desk, since="2020-01-01T01:00:00+01:00")) == 3
    assert await search(desk, until="2020-01-01T00:00:00Z") == []
    bad = await desk.fetch("search", experiment=EXPERIMENT, regex="(")
    assert (bad.data, "wrong pattern" in bad.notes[0]) == ([], True)


async def test_ancestors_that_do_not_match_are_left_out_or_marked(
    served: Served, desk: Desk
) -> None:
    parent = posted(served, "parent", "other")
    posted(served, "child", "wanted", parent=parent)

    assert said(await search(desk, tag="wanted")) == ["child"]
    shown = await search(desk, tag="wanted", ancestors="true")
    assert [(one["content"], one.get("ancestor")) for one in shown] == [
        ("parent", True),
        ("child", None),
    ]
    fetched = await desk.fetch("search", experiment=EXPERIMENT, regex="chil.")
    assert [one.get("ancestor") for one in fetched.data] == ["perhaps", None]
    assert "does not tell" in fetched.notes[0]
    # Without special characters it can be told here, and so it can by a tag.
    assert said(await search(desk, regex="child")) == ["child"]
    assert said(await search(desk, text="child", tag="wanted")) == ["child"]


async def test_deleted_entries_and_old_versions_are_left_out_or_marked(
    served: Served, desk: Desk
) -> None:
    world = emulator(served).world
    edited = posted(served, "before", "T")
    world.edit(EXPERIMENT, edited, "after", "U")
    world.delete(EXPERIMENT, posted(served, "gone", "T"))

    assert await search(desk, tag="T") == []
    assert said(await search(desk, tag="U")) == ["after"]
    old, gone = await search(desk, tag="T", deleted="true")
    assert (old["content"], old["old_version_of"], old["deleted_by"]) == ("before", edited, "pi1")
    assert (gone["content"], "old_version_of" in gone) == ("gone", False)
    assert len(await search(desk, tag="T", **ALL)) == 3
    assert said(await desk.ask("entries", experiment=EXPERIMENT)) == ["after"]
    assert len(await desk.ask("entries", experiment=EXPERIMENT, deleted="true")) == 3


async def test_one_entry_is_asked_for_by_its_id(served: Served, desk: Desk) -> None:
    parent = posted(served, "parent")
    child = posted(served, "child", parent=parent)

    assert (await desk.ask("entry", experiment=EXPERIMENT, id=child.upper()))["content"] == "child"
    with pytest.raises(Misasked, match="has no entry") as missing:
        await desk.ask("entry", experiment=EXPERIMENT, id=AN_ID)
    assert missing.value.status == 404


async def test_all_entries_tell_what_searches_would_find(served: Served, desk: Desk) -> None:
    parent = posted(served, "parent", "other", run_num="1")
    child = posted(served, "child", "wanted", parent=parent, run_num="2")
    emulator(served).world.delete(EXPERIMENT, posted(served, "gone", "wanted"))
    await desk.ask("entries", experiment=EXPERIMENT, deleted="true")
    forms: list[dict[str, str]] = [
        {"tag": "wanted"},
        {"tag": "wanted", **ALL},
        {"run": "1"},
        {"runs": "2:9"},
        {"id": child, "ancestors": "true"},
        {"since": "2020-01-01T00:00:00Z", "deleted": "true"},
    ]

    recalled = [await desk.recall("search", experiment=EXPERIMENT, **form) for form in forms]

    assert [one.data for one in recalled] == [await search(desk, **form) for form in forms]
    assert {one.source for one in recalled} == {"derived"}
    one = await desk.recall("entry", experiment=EXPERIMENT, id=child)
    assert one.data["content"] == "child"
    for unknown in ({"text": "child"}, {"regex": "child"}):  # only the eLog can judge those
        with pytest.raises(NotKept):
            await desk.recall("search", experiment=EXPERIMENT, **unknown)
    with pytest.raises(NotKept, match="was seen"):
        await desk.recall("entry", experiment=EXPERIMENT, id=AN_ID)


async def test_without_the_deleted_ones_less_is_known(served: Served, desk: Desk) -> None:
    posted(served, "one", "T")
    await desk.ask("entries", experiment=EXPERIMENT)
    await search(desk, tag="U", ancestors="true")
    await search(desk, tag="V")

    assert said((await desk.recall("search", experiment=EXPERIMENT, tag="T")).data) == ["one"]
    assert (await desk.recall("search", experiment=EXPERIMENT, tag="U")).data == []
    for more in ({"deleted": "true"}, {"ancestors": "true"}):
        for tag in ("T", "V"):
            with pytest.raises(NotKept):
                await desk.recall("search", experiment=EXPERIMENT, tag=tag, **more)


async def test_an_attachment_is_told_by_id_or_name(served: Served, desk: Desk) -> None:
    files = [Upload("a.png", "image/png", PNG), Upload("empty", "", b"")]
    entry = posted(served, "x", files=[*files, Upload("page.html", "text/html", b"<p>")])
    (png, empty, _) = (await desk.ask("entry", experiment=EXPERIMENT, id=entry))["attachments"]
    asked = {"experiment": EXPERIMENT, "entry": entry}

    by_name = await desk.fetch("attachment", **asked, attachment="a.png")
    by_id = await desk.fetch("attachment", **asked, attachment=png["_id"])

    encoded = base64.b64encode(PNG).decode()
    data = {"name": "a.png", "type": "image/png", "content_base64": encoded, "size": len(PNG)}
    assert by_name.data == by_id.data == data
    assert (by_name.settled, by_id.settled) == (False, True)
    assert (await desk.recall("attachment", **asked, attachment=png["_id"])).settled
    assert (await desk.ask("attachment", **asked, attachment=empty["_id"]))["size"] == 0
    assert (await desk.ask("attachment", **asked, attachment="page.html"))["size"] == 3
    with pytest.raises(Misasked, match=r"it has 'a\.png'") as missing:
        await desk.ask("attachment", **asked, attachment="b.png")
    assert missing.value.status == 404


async def test_two_attachments_of_one_name_are_told_apart_by_id(served: Served, desk: Desk) -> None:
    files = [Upload("a", "text/plain", b"1"), Upload("a", "text/plain", b"2")]
    entry = posted(served, "x", files=files)

    with pytest.raises(Misasked, match="2 attachments called 'a'"):
        await desk.ask("attachment", experiment=EXPERIMENT, entry=entry, attachment="a")


async def test_a_login_page_is_no_attachment(served: Served, desk: Desk) -> None:
    entry = posted(served, "x", files=[Upload("a.png", "image/png", PNG)])
    asked = {"experiment": EXPERIMENT, "entry": entry, "attachment": "a.png"}
    served.fault("html", path="attachment")
    with pytest.raises(Refused, match="in between") as no:
        await desk.ask("attachment", **asked)

    assert not no.value.landed
