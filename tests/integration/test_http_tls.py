"""TLS with real certificates: whose fault a failed handshake is, and which key to look at."""

import email.utils
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from adapters.answer import Answer
from adapters.base import Site, TlsOptions
from adapters.http import HttpClient
from adapters.verdict import DeliveryError, Refused, Unreachable
from tests.emulators.choosy import Choosy
from tests.emulators.raw import Line, Peer, Script, a_site, peer, reply

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return path


def server_context(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


def issued(
    ca: trustme.CA, name: str = "127.0.0.1", *, valid: tuple[timedelta, timedelta] = (-DAY, DAY)
) -> trustme.LeafCert:
    first, last = (NOW + one for one in valid)
    return ca.issue_cert(name, not_before=first, not_after=last, key_type=trustme.KeyType.ECDSA)


def answering(date: datetime | None = None) -> Script:
    """A server whose clock shows `date`."""
    stamp = {} if date is None else {"date": email.utils.format_datetime(date, usegmt=True)}

    async def serve(line: Line) -> None:
        while await line.hear_request():
            await line.say(reply(200, **stamp))

    return serve


async def hang_up(_: Line) -> None:
    pass


def a_tls_site(server: Peer, **tls: Path) -> Site:
    url = server.url.replace("http:", "https:")
    now = int(NOW.timestamp() * 1000)
    return a_site(url, tls=TlsOptions(**tls), now=lambda: now)


async def asked(site: Site) -> Answer:
    client = HttpClient(site)
    try:
        return await client.request("POST", "/x", json_text='{"secret": 1}')
    finally:
        await client.close()


async def failure(site: Site) -> DeliveryError:
    with pytest.raises(DeliveryError) as raised:
        await asked(site)
    return raised.value


FUTURE, PAST = (DAY, 2 * DAY), (-2 * DAY, -DAY)


@pytest.mark.parametrize(
    ("valid", "theirs", "words"),
    [
        (FUTURE, NOW + DAY, "is not valid yet"),
        (PAST, NOW - DAY, "has expired"),
    ],
    ids=["not yet", "expired"],
)
async def test_a_certificate_out_of_date_by_this_hosts_clock_alone_puts_that_clock_under_suspicion(
    ca: trustme.CA,
    ca_file: Path,
    valid: tuple[timedelta, timedelta],
    theirs: datetime,
    words: str,
) -> None:
    context = server_context(issued(ca, valid=valid))
    async with peer(answering(theirs), context) as server:
        error = await failure(a_tls_site(server, ca_file=ca_file))

    assert isinstance(error, Unreachable)
    assert error.side == "agent"
    assert words in error.detail
    for moment in (NOW, NOW + valid[0], NOW + valid[1], theirs):
        assert f"{moment:%Y-%m-%d %H:%M:%S} UTC" in error.detail
    assert f"this host is {'behind' if theirs > NOW else 'ahead of'} it" in error.detail
    assert "Check this host's clock" in error.detail
    assert b"secret" not in server.everything


@pytest.mark.parametrize("valid", [FUTURE, PAST], ids=["not yet", "expired"])
async def test_a_certificate_out_of_date_by_both_clocks_is_the_servers(
    ca: trustme.CA, ca_file: Path, valid: tuple[timedelta, timedelta]
) -> None:
    context = server_context(issued(ca, valid=valid))
    async with peer(answering(NOW + timedelta(seconds=3)), context) as server:
        error = await failure(a_tls_site(server, ca_file=ca_file))

    assert isinstance(error, Unreachable)
    assert error.side == "backend"
    assert "shows the same time: the certificate" in error.detail
    assert "Check this host's clock" not in error.detail


async def test_a_server_that_does_not_tell_its_time_leaves_this_hosts_clock_suspect(
    ca: trustme.CA, ca_file: Path
) -> None:
    async with peer(answering(), server_context(issued(ca, valid=PAST))) as server:
        error = await failure(a_tls_site(server, ca_file=ca_file))

    assert error.side == "agent"
    assert "It is valid from" in error.detail
    assert "What the server's clock shows cannot be known. Check this host's clock" in error.detail


async def test_a_server_that_shows_nothing_more_is_told_as_such(
    ca: trustme.CA, ca_file: Path
) -> None:
    async with peer(hang_up, server_context(issued(ca, valid=PAST))) as server:
        error = await failure(a_tls_site(server, ca_file=ca_file))

    assert isinstance(error, Unreachable)
    assert "From when until when it is valid could not be read." in error.detail
    assert "What the server's clock shows cannot be known." in error.detail


async def test_dates_are_all_that_a_look_at_the_clock_overlooks(
    ca: trustme.CA, tmp_path: Path
) -> None:
    """A certificate that is expired and a stranger's is a stranger's."""
    other = tmp_path / "other.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(other)
    async with peer(answering(NOW), server_context(issued(ca, valid=PAST))) as server:
        error = await failure(a_tls_site(server, ca_file=other))

    assert "is not vouched for" in error.detail
    assert server.everything == b""


@pytest.mark.parametrize("named", [True, False])
async def test_an_unknown_authority_is_told_with_the_key_to_set(
    ca: trustme.CA, tmp_path: Path, *, named: bool
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(other)
    tls = {"ca_file": other} if named else {}
    async with peer(answering(), server_context(issued(ca))) as server:
        error = await failure(a_tls_site(server, **tls))

    assert isinstance(error, Unreachable)
    assert f"not vouched for by {other if named else 'this host'}" in error.detail
    assert "ca_file of backends.peer.tls" in error.detail


async def test_a_certificate_for_another_name_is_told_with_the_key_that_does_not_help(
    ca: trustme.CA, ca_file: Path
) -> None:
    async with peer(answering(), server_context(issued(ca, "other.test"))) as server:
        error = await failure(a_tls_site(server, ca_file=ca_file))

    assert isinstance(error, Unreachable)
    assert "is for another name" in error.detail
    assert "backends.peer.tls cannot help" in error.detail


def choosy(ca: trustme.CA, version: ssl.TLSVersion) -> Choosy:
    context = server_context(issued(ca))
    context.maximum_version = version
    ca.configure_trust(context)
    return Choosy(context)


def write_pair(cert: trustme.LeafCert, folder: Path) -> dict[str, Path]:
    paths = {"cert_file": folder / "client.pem", "key_file": folder / "client.key"}
    cert.cert_chain_pems[0].write_to_path(paths["cert_file"])
    cert.private_key_pem.write_to_path(paths["key_file"])
    return paths


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "a stranger's", "an expired one"])
async def test_a_client_certificate_that_the_server_does_not_want_is_refused_in_words(
    ca: trustme.CA, ca_file: Path, tmp_path: Path, version: ssl.TLSVersion, shown: str
) -> None:
    tls = {"ca_file": ca_file}
    if shown == "a stranger's":
        tls |= write_pair(issued(trustme.CA(key_type=trustme.KeyType.ECDSA)), tmp_path)
    if shown == "an expired one":
        tls |= write_pair(issued(ca, valid=PAST), tmp_path)
    with choosy(ca, version) as server:
        error = await failure(a_tls_site(server, **tls))

    if (shown, version) == ("none", ssl.TLSVersion.TLSv1_2):
        assert isinstance(error, Unreachable)  # it only says that the handshake failed
    else:
        assert isinstance(error, Refused)
        assert error.credentials
    assert "cert_file and key_file of backends.peer.tls" in error.detail


async def test_a_renewed_client_certificate_is_used_without_a_restart(
    ca: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    tls = write_pair(issued(ca, valid=PAST), tmp_path)
    with choosy(ca, ssl.TLSVersion.TLSv1_3) as server:
        client = HttpClient(a_tls_site(server, ca_file=ca_file, **tls))
        with pytest.raises(Refused):
            await client.request("POST", "/x")
        write_pair(issued(ca), tmp_path)
        answer = await client.request("POST", "/x")
        await client.close()

    assert answer.status == 200
