"""The eLog adapter: what it sends, through which gate, and what it takes for proof."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Adapter, AuthOptions
from adapters.elog import KIND, Options
from adapters.elog.files import MAX_BYTES
from adapters.verdict import Parked, Refused, Rejected, Verdict
from storage.entry import Attachment, Claim, Receipt
from tests.emulators.elog_site import (
    EXPERIMENT,
    Connect,
    a_file,
    a_post,
    some_params,
    verdict_of,
)
from tests.emulators.kit import Served

HTML = "text/html; charset=utf-8"
Answered = Callable[..., Awaitable[Verdict]]


def stored(served: Served, **wanted: Any) -> list[dict[str, Any]]:
    ledger = served.emulator.ledger()
    return [item for item in ledger if wanted.items() <= item.items()]


# What is sent, and what proves it


async def test_a_plain_post_is_confirmed_by_its_id(served: Served, adapter: Adapter) -> None:
    claim = a_post("  two\r\nlines \u2713")

    receipt = await verdict_of(adapter, claim)

    (entry,) = served.emulator.ledger()
    assert receipt == Receipt(
        claim.id,
        remote_id=entry["_id"],
        url=f"{served.url}/ws-auth/lgbk/lgbk/{EXPERIMENT}/ws/search_elog?_id={entry['_id']}",
    )
    assert entry["content"] == "  two\r\nlines \u2713"
    assert (entry["author"], entry["jira_ticket"]) == ("mfxopr", claim.id)
    assert entry.keys().isdisjoint({"title", "tags", "run_num", "parent", "email_to"})


async def test_a_full_post_arrives_field_by_field(served: Served, adapter: Adapter) -> None:
    await verdict_of(adapter, a_post("parent"))
    (parent,) = served.emulator.ledger()

    await verdict_of(
        adapter,
        a_post(
            "text",
            tags=["DARK", "a&b#c:d/e"],
            run=2,
            author="cxiopr",
            reply_to=parent["_id"],
            emails=["a@b.c", "bob"],
            shift="0" * 24,
            cross_post=["instrument", "MFX_Lasers"],
        ),
    )

    (entry,) = stored(served, experiment=EXPERIMENT, content="text")
    assert (entry["tags"], entry["run_num"]) == (["DARK", "a&b#c:d/e"], 2)
    assert (entry["author"], entry["parent"]) == ("cxiopr", parent["_id"])
    assert entry["email_to"] == ["a@b.c", "bob"]
    assert set(entry["post_to_elogs"]) == {"MFX_Instrument", "MFX_Lasers"}
    assert stored(served, experiment="MFX_Lasers", src_id=entry["_id"])


async def test_a_titled_text_is_shown_as_it_was_written(served: Served, adapter: Adapter) -> None:
    await verdict_of(adapter, a_post("if a < b & c:\n  go", title="Code"))

    (entry,) = served.emulator.ledger()
    assert entry["title"] == "Code"
    assert "if a &lt; b &amp; c:\n  go</pre>" in entry["content"]
    assert entry["content"].startswith("<pre")


@pytest.mark.parametrize("more", [{"title": "T", "html": True}, {}, {"title": " "}])
async def test_html_and_untitled_text_stay_unchanged(
    served: Served, adapter: Adapter, more: dict[str, Any]
) -> None:
    await verdict_of(adapter, a_post("<b>x</b>", **more))

    assert served.emulator.ledger()[0]["content"] == "<b>x</b>"


async def test_the_marker_may_be_a_tag(served: Served, connect: Connect) -> None:
    adapter = connect(served, options=Options(instrument="mfx", marker="tag"))
    claim = a_post(tags=["DARK"])

    await verdict_of(adapter, claim)

    (entry,) = served.emulator.ledger()
    assert entry["tags"] == ["DARK", f"hf-{claim.id}"]
    assert "jira_ticket" not in entry


async def test_files_arrive_whole_under_names_that_survive(
    served: Served, adapter: Adapter, tmp_path: Path
) -> None:
    wanted = [
        a_file(tmp_path, "plot.png", b"\x89PNG\r\n", "image/png"),
        a_file(tmp_path, "r12/peaks", b""),
        a_file(tmp_path, "/abs/pl\u00f6t 5%.txt", b"x", "text/plain; charset=utf-8"),
        a_file(tmp_path, 'a"b\r\nc\\%22.bin', b"y", "text/x\r\nX-Injected: yes"),
        a_file(tmp_path, "", b"z"),
        a_file(tmp_path, "../..\udcff", b"w"),
    ]

    receipt = await verdict_of(adapter, a_post(attachments=tuple(wanted)))

    assert isinstance(receipt, Receipt), receipt
    (entry,) = served.emulator.ledger()
    assert [(file["name"], file["type"]) for file in entry["attachments"]] == [
        ("plot.png", "image/png"),
        ("peaks", "application/octet-stream"),
        ("pl\u00f6t 5%.txt", "text/plain"),
        ("a_b__c__.bin", "application/octet-stream"),
        ("file", "application/octet-stream"),
        ("..?", "application/octet-stream"),
    ]
    contents = served.emulator.store.experiments[EXPERIMENT].contents
    kept = [contents[file["_id"]][1] for file in entry["attachments"]]
    assert kept == [b"\x89PNG\r\n", b"", b"x", b"y", b"z", b"w"]


@pytest.mark.parametrize(("size", "verdict"), [(MAX_BYTES, Receipt), (MAX_BYTES + 1, Rejected)])
async def test_the_limit_of_a_file_is_the_servers(
    adapter: Adapter, tmp_path: Path, size: int, verdict: type
) -> None:
    big = a_file(tmp_path, "big.bin", b"x" * size)

    assert isinstance(await verdict_of(adapter, a_post(attachments=(big,))), verdict)
    assert KIND.kinds["post"].max_attachment_bytes == MAX_BYTES


async def test_a_file_that_is_gone_from_the_outbox_is_not_sent(
    served: Served, adapter: Adapter, tmp_path: Path
) -> None:
    lost = Attachment("plot.png", None, None, 1, "", tmp_path / "gone")

    verdict = await verdict_of(adapter, a_post(attachments=(lost,)))

    assert isinstance(verdict, Rejected)
    assert "plot.png" in verdict.detail
    assert not served.faulty.requests


async def test_a_file_that_the_disk_does_not_give_back_is_named(
    served: Served, adapter: Adapter
) -> None:
    # Opens like any file; reading it is an input/output error.
    broken = Attachment("plot.png", None, None, 1, "", Path("/proc/self/mem"))

    verdict = await verdict_of(adapter, a_post(attachments=(broken,)))
    after = await verdict_of(adapter, a_post("after"))

    assert isinstance(verdict, Rejected)
    assert "'plot.png'" in verdict.detail
    assert "Input/output error" in verdict.detail
    assert isinstance(after, Receipt)
    assert [entry["content"] for entry in served.emulator.ledger()] == ["after"]


async def test_a_reply_to_an_entry_of_ours_names_it_as_the_elog_does(
    served: Served, adapter: Adapter
) -> None:
    first = await verdict_of(adapter, a_post("first"))
    assert isinstance(first, Receipt)
    known = {"waits_for": first.entry_id, "parent_id": first.remote_id}

    receipt = await verdict_of(adapter, a_post("second", reply_to=first.entry_id, known=known))

    assert isinstance(receipt, Receipt)
    assert stored(served, content="second")[0]["parent"] == first.remote_id


@pytest.mark.parametrize(
    ("parent_id", "told"), [(None, "discarded"), ("6b02d5fd77e06dbaf0b4893d/01KC", "no post")]
)
async def test_a_reply_to_what_the_elog_never_got_is_not_sent(
    served: Served, adapter: Adapter, parent_id: str | None, told: str
) -> None:
    known = {"waits_for": "01KC", "parent_id": parent_id}

    verdict = await verdict_of(adapter, a_post(reply_to="the first one", known=known))

    assert isinstance(verdict, Rejected)
    assert "the first one" in verdict.detail
    assert told in verdict.detail
    assert not served.faulty.requests


async def test_run_parameters_are_confirmed_by_the_echoed_run(
    served: Served, adapter: Adapter
) -> None:
    params = {"Hit rate": 0.1, "A.B$C": 5, "d": {"x": [1, None, True]}, "big": 2**62, "s": "\u2713"}
    claim = some_params(params, run=2)

    receipt = await verdict_of(adapter, claim)

    assert isinstance(receipt, Receipt), receipt
    assert receipt.remote_id.endswith(f"/{claim.id}")
    (held,) = served.emulator.ledger()
    assert held["run"] == 2
    assert held["params"] == {
        "Hit rate": 0.1,
        "A\uff0eB\uff04C": 5,
        "d": {"x": [1, None, True]},
        "big": 2**62,
        "s": "\u2713",
    }


async def test_two_entries_of_one_run_have_remote_ids_of_their_own(adapter: Adapter) -> None:
    receipts = await adapter.deliver([some_params({"a": 1}), some_params({"b": 2})])

    assert len({receipt.remote_id for receipt in receipts if isinstance(receipt, Receipt)}) == 2


# Gates, identities, scopes


@pytest.mark.parametrize(
    ("auth", "gate", "path"),
    [
        (AuthOptions(), None, "/ws/lgbk/lgbk/"),
        (
            AuthOptions(method="basic", username="{instrument}opr", password_file="password"),
            None,
            "/ws-auth/lgbk/lgbk/",
        ),
        (AuthOptions(method="bearer", token_file="token"), None, "/ws-jwt/lgbk/lgbk/"),
        (AuthOptions(), "ws-test", "/ws-test/lgbk/lgbk/"),
    ],
)
async def test_the_gate_follows_the_credential(
    served: Served, connect: Connect, auth: AuthOptions, gate: str | None, path: str
) -> None:
    options = Options(instrument="mfx", gate=gate)
    adapter = connect(served, url=f"{served.url}/", auth=auth, options=options)

    await verdict_of(adapter, a_post())

    assert list(served.faulty.requests) == [f"POST {path}{EXPERIMENT}/ws/new_elog_entry"]


async def test_a_wrong_password_is_a_matter_of_credentials(
    served: Served, connect: Connect
) -> None:
    adapter = connect(served, read_secret=lambda _: "wrong")

    verdict = await verdict_of(adapter, a_post())

    assert isinstance(verdict, Refused)
    assert verdict.credentials
    assert "wrong" not in verdict.detail


@pytest.mark.parametrize("claim", [a_post(), some_params({"a": 1})], ids=["post", "run_params"])
async def test_an_experiment_that_is_not_active_waits_alone(
    served: Served, adapter: Adapter, claim: Claim
) -> None:
    served.emulator.world.switch("mfxl1000223")

    parked = await verdict_of(adapter, claim)
    other = await verdict_of(adapter, a_post(experiment="mfxl1000223"))

    assert isinstance(parked, Parked)
    assert (parked.scope, parked.unknown) == (EXPERIMENT, False)
    assert isinstance(other, Receipt)


async def test_a_permission_that_is_gone_is_noticed_at_once(
    served: Served, adapter: Adapter
) -> None:
    await verdict_of(adapter, a_post())  # answered with a session cookie that would still pass
    served.emulator.world.switch("mfxl1000223")

    assert isinstance(await verdict_of(adapter, a_post()), Parked)
    assert served.emulator.cookies_received == 0


async def test_run_parameters_of_a_locked_experiment_wait(served: Served, adapter: Adapter) -> None:
    served.emulator.world.lock(EXPERIMENT)

    verdict = await verdict_of(adapter, some_params({"a": 1}))

    assert isinstance(verdict, Parked)
    assert verdict.scope == EXPERIMENT


async def test_an_older_server_parks_posts_to_a_locked_experiment(
    served: Served, adapter: Adapter
) -> None:
    served.emulator.lock_guards_posts = True
    served.emulator.world.lock(EXPERIMENT)

    assert isinstance(await verdict_of(adapter, a_post()), Parked)


async def test_one_verdict_per_entry_in_order(served: Served, adapter: Adapter) -> None:
    verdicts = await adapter.deliver([a_post("one"), a_post(reply_to="0" * 24), a_post("three")])

    assert [type(verdict) for verdict in verdicts] == [Receipt, Rejected, Receipt]
    assert [entry["content"] for entry in served.emulator.ledger()] == ["one", "three"]
