"""An AUDITOR behind mutual TLS, behind a proxy with passwords, and one with roles."""

import base64
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from adapters.auditor import AuditorAdapter
from adapters.base import AuthOptions, Site, TlsOptions
from adapters.verdict import Refused, Uncertain, Unreachable, Verdict
from storage.entry import Claim, Doubt, Receipt
from tests.builders import NOW
from tests.emulators.auditor import Auditor
from tests.emulators.auditor_lane import add, held, site_of, update
from tests.emulators.choosy import Choosy
from tests.emulators.gateway import gateway
from tests.emulators.kit import Served

RECORDS = [add("a"), add("b")]
BASIC = b"Authorization: Basic " + base64.b64encode(b"agent:s3cret")


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served(Auditor()) as server:
        yield server


@pytest.fixture
def auditor(server: Served) -> Auditor:
    auditor = Auditor(pool_timeout_seconds=0)
    server.serve(auditor)
    server.faulty.requests.clear()
    return auditor


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def context(ca: trustme.CA) -> ssl.SSLContext:
    """As AUDITOR's own: a client without a certificate is not served (sheet, section 1.6)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued(ca, "127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def issued(ca: trustme.CA, name: str) -> trustme.LeafCert:
    until = datetime.now(UTC) + timedelta(days=1)
    return ca.issue_cert(name, key_type=trustme.KeyType.ECDSA, not_after=until)


def tls_of(ca: trustme.CA, folder: Path, *, ours: bool = True) -> TlsOptions:
    """Who vouches for the server, and our own certificate if we have one."""
    paths = {name: folder / f"{name}.pem" for name in ("ca_file", "cert_file", "key_file")}
    ca.cert_pem.write_to_path(paths["ca_file"])
    if not ours:
        return TlsOptions(ca_file=paths["ca_file"])
    certificate = issued(ca, "holdfast.test")
    certificate.cert_chain_pems[0].write_to_path(paths["cert_file"])
    certificate.private_key_pem.write_to_path(paths["key_file"])
    return TlsOptions(**paths)


async def delivered(site: Site, *claims: Claim) -> list[Verdict]:
    adapter = AuditorAdapter(site)
    try:
        return list(await adapter.deliver(claims))
    finally:
        await adapter.close()


async def test_behind_mutual_tls_records_arrive_with_a_client_certificate(
    server: Served, auditor: Auditor, ca: trustme.CA, context: ssl.SSLContext, tmp_path: Path
) -> None:
    async with gateway(server.url, context=context) as url:
        site = replace(site_of(url), tls=tls_of(ca, tmp_path))
        verdicts = [
            *await delivered(site, *RECORDS),
            *await delivered(site, update("a")),
            *await delivered(site, add("a")),
        ]

    assert all(isinstance(one, Receipt) for one in verdicts)
    assert getattr(verdicts[-1], "compared", None) == "same"
    assert held(auditor) == ["a", "b"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_without_a_client_certificate_nothing_counts_as_sent_and_the_keys_are_named(
    ca: trustme.CA, context: ssl.SSLContext, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context.maximum_version = version
    with Choosy(context) as choosy:
        url = choosy.url.replace("http:", "https:")
        site = replace(site_of(url), tls=tls_of(ca, tmp_path, ours=False))
        verdicts = await delivered(site, *RECORDS)

    for one in verdicts:
        assert isinstance(one, Refused | Unreachable)
        assert "cert_file and key_file of backends.accounting.tls" in one.detail


@pytest.mark.parametrize("password", ["s3cret\n", "guessed"])
async def test_a_proxy_that_wants_a_password_gets_it(
    server: Served, auditor: Auditor, password: str
) -> None:
    auth = AuthOptions(method="basic", username="agent", password_file="auditor-password")
    async with gateway(server.url, wants=BASIC) as url:
        site = replace(site_of(url), auth=auth, read_secret=lambda _: password)
        verdicts = await delivered(site, *RECORDS)

    if password == "guessed":
        for one in verdicts:
            assert isinstance(one, Refused)
            assert one.credentials
            assert "guessed" not in one.detail
    assert held(auditor) == ([] if password == "guessed" else ["a", "b"])


async def test_a_client_that_may_only_write_delivers_and_cannot_read_back(
    server: Served, auditor: Auditor
) -> None:
    auditor.role = "write"
    adapter = AuditorAdapter(site_of(server.url))
    verdicts = [*await adapter.deliver(RECORDS), *await adapter.deliver([update("a")])]
    verdicts += await adapter.deliver([add("a")])
    with pytest.raises(Refused, match="may not do this"):
        await adapter.find(Doubt(add("a"), NOW, NOW))
    await adapter.close()

    assert all(isinstance(one, Receipt) for one in verdicts)
    assert getattr(verdicts[-1], "compared", None) == "not verified"
    # 403 to everybody under roles: whoever took it for a sign of life would stay away for ever.
    assert server.faulty.requests["GET /health_check"] == 0


async def test_a_client_that_may_not_write_is_refused_and_keeps_everything(
    server: Served, auditor: Auditor
) -> None:
    auditor.role = "read"
    for claims in (RECORDS, RECORDS[:1], [update("a")]):
        for one in await delivered(site_of(server.url), *claims):
            assert isinstance(one, Refused)
            assert not one.credentials
            assert not one.landed
    assert held(auditor) == []


async def test_without_its_database_a_server_is_in_doubt_and_not_asked_for_its_health(
    server: Served, auditor: Auditor
) -> None:
    auditor.db_down = True
    verdicts = await delivered(site_of(server.url), add("a"))

    assert [type(one) for one in verdicts] == [Uncertain]
    assert set(server.faulty.requests) == {"POST /record"}
