"""The eLog behind a gate that takes real Kerberos tickets, of a real KDC on loopback."""

import base64
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.base import AuthOptions
from adapters.verdict import DeliveryError, Parked, Refused, Unreachable, Verdict
from storage.entry import Receipt
from tests.emulators.elog import ElogEmulator
from tests.emulators.elog_site import EXPERIMENT, a_post, connections, verdict_of
from tests.emulators.kit import Served
from tests.real.kdc import REALM, SERVICE, Kdc, missing

gssapi = pytest.importorskip("gssapi", reason="the optional extra `kerberos` is not installed")
pytestmark = [
    pytest.mark.kerberos,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

SPNEGO = b"\x06\x06\x2b\x06\x01\x05\x05\x02"  # 1.3.6.1.5.5.2, as a token begins with it
OTHER = "mfxl1000223"  # not the active experiment
Post = Callable[..., Any]


class Gate:
    """What mod_auth_gssapi does: says whose a token is. It refuses one that it has seen before."""

    def __init__(self, keytab: Path) -> None:
        self.keytab = keytab
        self.seen: list[str] = []

    def __call__(self, token: str) -> str | None:
        self.seen.append(token)
        own = gssapi.Credentials(usage="accept", store={"keytab": f"FILE:{self.keytab}"})
        context = gssapi.SecurityContext(creds=own, usage="accept")
        try:
            context.step(base64.b64decode(token))
            return str(context.initiator_name) if context.complete else None
        except gssapi.raw.misc.GSSError:
            return None


@pytest.fixture(scope="module")
def kdc() -> Iterator[Kdc]:
    with tempfile.TemporaryDirectory(prefix="kdc-") as folder, Kdc(Path(folder)) as server:
        server.add("pi1")
        yield server


@pytest.fixture(autouse=True)
def _environment(kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kdc.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(ElogEmulator()) as made:
        yield made


@pytest.fixture
def gate(kdc: Kdc) -> Gate:
    return Gate(kdc.folder / "service.keytab")


@pytest.fixture
def served(server: Served, gate: Gate) -> Served:
    server.serve(ElogEmulator(experiments=(EXPERIMENT, OTHER)))
    server.emulator.people.tickets = gate
    return server


@pytest.fixture
async def post(served: Served) -> AsyncIterator[Post]:
    """Makes an adapter (by keyword: its `auth` and the rest of its site) that posts a text."""
    async with connections() as connect:

        def made(**site: Any) -> Callable[..., Any]:
            own = {"url": f"http://localhost:{served.port}", "find_secret": Path}
            adapter = connect(served, **own | site)

            async def post(text: str = "x", **more: Any) -> Verdict:
                return await verdict_of(adapter, a_post(text, **more))

            return post

        yield made


def by(keytab: Path | None, principal: str | None = "pi1", **more: Any) -> AuthOptions:
    file = str(keytab) if keytab else None
    return AuthOptions(method="kerberos", keytab_file=file, principal=principal, **more)


async def test_posts_arrive_as_the_principal_each_with_a_token_of_its_own(
    kdc: Kdc, served: Served, gate: Gate, post: Post
) -> None:
    as_pi = post(auth=by(kdc.folder / "pi1.keytab"))

    verdicts = [await as_pi(text) for text in ("one", "two", "three")]

    assert [type(one) for one in verdicts] == [Receipt] * 3, verdicts
    assert [(entry["content"], entry["author"]) for entry in served.emulator.ledger()] == [
        ("one", "pi1"),
        ("two", "pi1"),
        ("three", "pi1"),
    ]
    assert len(set(gate.seen)) == len(gate.seen) == 3
    assert all(SPNEGO in base64.b64decode(token)[:16] for token in gate.seen)
    assert not served.emulator.people.tickets(gate.seen[0])  # and one that it saw is worth nothing


async def test_the_address_may_be_another_than_the_services_name(
    kdc: Kdc, served: Served, post: Post
) -> None:
    keytab = kdc.folder / "pi1.keytab"

    named = await post(url=served.url, auth=by(keytab, service="HTTP@localhost"))()
    wrong = await post(url=served.url, auth=by(keytab, service="HTTP@elsewhere"))()

    assert isinstance(named, Receipt), named
    assert isinstance(wrong, Refused)
    assert wrong.shown_to == "nobody"  # nothing that could be locked: tried again by itself
    assert "HTTP@elsewhere" in wrong.detail
    assert "backends.elog.auth.service" in wrong.detail


async def test_tickets_are_renewed_before_they_end_and_then_wait_for_the_kdc(
    kdc: Kdc, post: Post
) -> None:
    as_brief = post(auth=by(kdc.add("brief", "-maxlife", "2seconds"), "brief"))
    ends = time.monotonic() + 20
    while kdc.told("ISSUE", "brief") < 3 and time.monotonic() < ends:
        verdict = await as_brief()  # 403: nobody knows them there, but their ticket is good
        assert isinstance(verdict, Parked), verdict
        assert "brief" in verdict.detail
    kdc.stop()
    try:
        while isinstance(verdict, Parked) and time.monotonic() < ends:
            verdict = await as_brief()
    finally:
        kdc.start()

    assert kdc.told("ISSUE", "brief") >= 3
    assert isinstance(verdict, Unreachable)
    assert "KDC" in verdict.detail
    assert isinstance(await as_brief(), Parked)


async def test_a_server_with_a_new_key_gets_a_new_ticket_within_the_attempt(
    kdc: Kdc, served: Served, gate: Gate, post: Post
) -> None:
    as_pi = post(auth=by(kdc.folder / "pi1.keytab"))
    await as_pi("with a ticket for the old key")
    gate.keytab = kdc.keytab("service", SERVICE)

    verdict = await as_pi("after")

    assert isinstance(verdict, Receipt), verdict
    assert len(gate.seen) == 3  # the second was answered with 401
    assert [entry["content"] for entry in served.emulator.ledger()][1:] == ["after"]


async def test_a_ticket_that_is_refused_again_is_a_matter_of_credentials(
    kdc: Kdc, served: Served, post: Post
) -> None:
    asked: list[str] = []

    def refuse(token: str) -> None:
        asked.append(token)

    served.emulator.people.tickets = refuse

    verdict = await post(auth=by(kdc.folder / "pi1.keytab"))()

    assert isinstance(verdict, Refused)
    assert verdict.credentials
    assert "pi1" in verdict.detail
    assert len(asked) == 2
    assert not any(token in verdict.detail for token in asked)


async def test_a_kdc_that_is_away_is_no_wrong_password(
    kdc: Kdc, served: Served, post: Post
) -> None:
    keytab = kdc.folder / "pi1.keytab"
    with_tickets, without = post(auth=by(keytab)), post(auth=by(keytab))
    await with_tickets("before")
    kdc.stop()
    try:
        goes_on, waits = await with_tickets("meanwhile"), await without()
    finally:
        kdc.start()

    assert isinstance(goes_on, Receipt), goes_on
    assert isinstance(waits, Unreachable)
    assert "KDC" in waits.detail
    assert isinstance(await without("later"), Receipt)
    assert len(served.emulator.ledger()) == 3


async def test_a_kdc_that_hangs_takes_no_longer_than_the_attempt_and_stops_nobody_else(
    kdc: Kdc, post: Post
) -> None:
    operator = AuthOptions(method="basic", username="mfxopr", password_file="password")
    hanging = post(auth=by(kdc.folder / "pi1.keytab"), attempt_timeout_seconds=0.2)
    try:
        with kdc.silent():
            waits, others = await hanging(), await post(auth=operator)()
    finally:
        kdc.start()

    assert isinstance(waits, Unreachable)
    assert "no credential could be had within 0.2 s" in waits.detail
    assert isinstance(others, Receipt), others


def keytabs(kdc: Kdc) -> dict[str, tuple[Path, str]]:
    """Every way in which a keytab is worth nothing, and whose it should be."""
    old = kdc.add("rotated").rename(kdc.folder / "old.keytab")
    kdc.keytab("rotated", "rotated")
    gone = kdc.add("gone")
    kdc.administer("delprinc -force gone")
    (kdc.folder / "garbage").write_text("secret")
    good = kdc.folder / "pi1.keytab"
    return {
        "an old key": (old, "rotated"),
        "an account that is gone": (gone, "gone"),
        "another's keytab": (good, "pi2"),
        "another realm": (good, "pi1@OTHER.LAB"),
        "no keytab": (kdc.folder / "garbage", "pi1"),
        "no file": (kdc.folder / "nothing", "pi1"),
    }


async def test_a_keytab_that_is_worth_nothing_is_told_in_words(
    kdc: Kdc, served: Served, post: Post
) -> None:
    told: dict[str, DeliveryError] = {}
    for case, (keytab, principal) in keytabs(kdc).items():
        verdict = await post(auth=by(keytab, principal))()
        assert isinstance(verdict, Refused), (case, verdict)
        told[case] = verdict

    assert all(one.credentials and "backends.elog.auth" in one.detail for one in told.values())
    assert "make the keytab anew" in told["an old key"].detail
    assert "auth.principal: ask who keeps" in told["an account that is gone"].detail
    assert "has no key of pi2" in told["another's keytab"].detail
    assert "has no key of pi1@OTHER.LAB" in told["another realm"].detail
    assert "is no keytab" in told["no keytab"].detail
    assert "No such file" in told["no file"].detail
    # What the KDC itself has refused may lock an account; the rest was seen by nobody.
    assert [case for case, one in told.items() if one.shown_to != "nobody"] == [
        "an old key",
        "an account that is gone",
    ]
    assert not served.faulty.requests


async def test_without_a_keytab_the_users_own_tickets_are_taken(
    kdc: Kdc, served: Served, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user = post(auth=by(None, None))
    none_yet = await as_user()
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(kdc.folder / "pi1.keytab"))  # instead of a kinit
    gssapi.Credentials(usage="initiate").inquire()
    monkeypatch.delenv("KRB5_CLIENT_KTNAME")

    arrived = await as_user("arrived")

    assert isinstance(none_yet, Refused)
    assert none_yet.shown_to == "nobody"  # tried on, so that a kinit is noticed by itself
    assert "kinit" in none_yet.detail
    assert isinstance(arrived, Receipt), arrived
    assert served.emulator.ledger()[0]["author"] == "pi1"


async def test_auto_is_the_operator_where_that_is_active_and_the_principal_elsewhere(
    kdc: Kdc, served: Served, post: Post
) -> None:
    operator = {"username": "{instrument}opr", "password_file": "password"}
    person = {"keytab_file": str(kdc.folder / "pi1.keytab"), "principal": f"pi1@{REALM}"}
    auth = AuthOptions(method="auto", operator=operator, kerberos=person)
    by_itself = post(auth=auth)

    first = await by_itself("active")
    second = await by_itself("elsewhere", experiment=OTHER)
    kdc.stop()
    try:
        waits = await post(auth=auth)("no ticket", experiment=OTHER)
        goes_on = await post(auth=auth)("no ticket needed")
    finally:
        kdc.start()

    assert isinstance(waits, Parked)
    assert waits.scope == OTHER
    assert all(isinstance(one, Receipt) for one in (first, second, goes_on))
    assert [(one["experiment"], one["author"]) for one in served.emulator.ledger()] == [
        (EXPERIMENT, "mfxopr"),
        (OTHER, "pi1"),
        (EXPERIMENT, "mfxopr"),
    ]


async def test_auto_does_not_try_a_refused_key_again_and_the_operator_goes_on(
    kdc: Kdc, served: Served, post: Post
) -> None:
    keytab = kdc.add("worn")
    wrong, good = keytab.read_bytes(), kdc.keytab("worn", "worn").read_bytes()
    keytab.write_bytes(wrong)
    served.emulator.people.grants[OTHER]["worn"] = "Writer"
    operator = {"username": "{instrument}opr", "password_file": "password"}
    person = {"keytab_file": str(keytab), "principal": "worn"}
    now = [1_000_000_000_000]
    auth = AuthOptions(method="auto", operator=operator, kerberos=person)
    by_itself = post(auth=auth, now=lambda: now[0])

    first = await by_itself(experiment=OTHER)
    asked = kdc.told("PREAUTH_FAILED", "worn")
    second = await by_itself(experiment=OTHER)
    goes_on = await by_itself()
    untouched = kdc.told("PREAUTH_FAILED", "worn")
    now[0] += 3600_000
    third = await by_itself(experiment=OTHER)
    an_hour_later = kdc.told("PREAUTH_FAILED", "worn")
    keytab.write_bytes(good)
    mended = await by_itself(experiment=OTHER)

    assert all(isinstance(one, Parked) and one.scope == OTHER for one in (first, second, third))
    assert "make the keytab anew" in second.detail
    assert 0 < asked == untouched < an_hour_later
    assert isinstance(goes_on, Receipt), goes_on
    assert isinstance(mended, Receipt), mended
