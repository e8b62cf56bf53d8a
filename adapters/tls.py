"""TLS of a backend: its certificates, and what a handshake that failed means in words.

Promises: certificates that cannot be used are the settings' trouble (Refused); every other
failure names the certificate that is at fault, whose it is, and the key of the settings that
has to do with it. A certificate that is out of date by this host's clock may be in order: the
clock is named, and the server's own where it is known. No network here.
"""

import email.utils
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.base import Site
from adapters.verdict import DeliveryError, Refused, Unreachable

# What OpenSSL finds wrong with a certificate (X509_V_ERR_*).
NOT_YET_VALID, EXPIRED = 9, 10
OUT_OF_DATE = {NOT_YET_VALID: "is not valid yet", EXPIRED: "has expired"}
UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
OTHER_NAME = (62, 64)

# Verify everything but the dates (X509_V_FLAG_NO_CHECK_TIME, which Python has no name for).
NO_CHECK_TIME = 0x200000

# How a server says that the certificate which *we* showed, or did not show, will not do.
ABOUT_OURS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")

TOLERATED = timedelta(minutes=5)  # between two clocks that both are right


def make_context(site: Site) -> ssl.SSLContext:
    """The certificates of `tls`, read now. Raises Refused when they cannot be used."""
    ca_file = site.tls.ca_file
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as exc:
        raise unusable(site, exc) from exc
    _show_ours(context, site)
    return context


def read_again(context: ssl.SSLContext, site: Site) -> None:
    """Before the next try: whoever replaces a certificate should not have to restart the agent."""
    with suppress(OSError, DeliveryError):
        if site.tls.ca_file is not None:
            context.load_verify_locations(cafile=str(site.tls.ca_file))
        _show_ours(context, site)


def blind_to_dates(site: Site) -> ssl.SSLContext:
    """As `make_context`, but a certificate may be out of date: only to read its dates."""
    context = make_context(site)
    context.verify_flags |= NO_CHECK_TIME
    return context


def unusable(site: Site, exc: Exception) -> Refused:
    """The files that the settings name are not there, not readable, or no certificates."""
    detail = f"the certificates of backends.{site.name}.tls cannot be used: {exc}"
    return Refused(detail, credentials=True)


def _show_ours(context: ssl.SSLContext, site: Site) -> None:
    if site.tls.cert_file is None:
        return
    try:
        context.load_cert_chain(site.tls.cert_file, site.tls.key_file)
    except (OSError, ssl.SSLError) as exc:
        raise unusable(site, exc) from exc


def tls_error(exc: BaseException) -> ssl.SSLError | None:
    """The TLS error that an error comes from, if it does."""
    error: BaseException | None = exc
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def is_out_of_date(error: ssl.SSLError) -> bool:
    """Is a certificate of the server not yet, or no longer, valid by this host's clock?"""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in OUT_OF_DATE


def verdict(error: ssl.SSLError, site: Site, url: str, *, sent: bool) -> DeliveryError | None:
    """What a TLS error means that has nothing to do with clocks; None: nothing in particular.

    `sent`: the request may be out. With TLS 1.3 a server judges our certificate last.
    """
    tls = f"backends.{site.name}.tls"
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unreachable(f"cannot reach {url}: {_mistrust(error, site, tls)}")
    reason = error.reason or ""
    if "ALERT" in reason and any(word in reason for word in ABOUT_OURS):
        ours = "the client certificate" if site.tls.cert_file else "us without a client certificate"
        detail = f"{url} does not accept {ours} ({reason}): see cert_file and key_file of {tls}"
        return Refused(detail, credentials=True, landed=sent)
    if "HANDSHAKE_FAILURE" in reason:
        detail = f"cannot reach {url}: it agrees to no TLS with us ({reason}); it may want a client"
        return Unreachable(f"{detail} certificate: see cert_file and key_file of {tls}")
    return None


def _mistrust(error: ssl.SSLCertVerificationError, site: Site, tls: str) -> str:
    if error.verify_code in UNKNOWN_AUTHORITY:
        trusted = f"by {site.tls.ca_file}" if site.tls.ca_file else "by this host's authorities"
        return (
            f"its certificate is not vouched for {trusted} ({error.verify_message}): "
            f"ca_file of {tls} names the authority to trust"
        )
    if error.verify_code in OTHER_NAME:
        return (
            f"its certificate is for another name ({error.verify_message}): is the url of the "
            f"backend right? ca_file of {tls} cannot help, the name has to match"
        )
    return f"its certificate is not trusted ({error.verify_message}): see {tls}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a look at a server without regard to dates has shown; None: it could not be read.

    `certificate` as `SSLSocket.getpeercert` gives it; `date`: the header of its answer.
    """

    certificate: Mapping[str, Any] | None = None
    date: str | None = None

    @property
    def validity(self) -> tuple[datetime, datetime] | None:
        """From when until when the certificate is valid."""
        try:
            first, last = (
                datetime.fromtimestamp(
                    ssl.cert_time_to_seconds(str((self.certificate or {})[key])), UTC
                )
                for key in ("notBefore", "notAfter")
            )
        except (KeyError, ValueError, OverflowError):
            return None
        return first, last

    @property
    def moment(self) -> datetime | None:
        """What the server's own clock shows."""
        try:
            moment = email.utils.parsedate_to_datetime(self.date or "")
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def out_of_date(
    error: ssl.SSLError, site: Site, url: str, seen: Sighting, now: datetime
) -> Unreachable:
    """Whose clock, or whose certificate, is wrong. `now`: this host's clock."""
    finding = OUT_OF_DATE[getattr(error, "verify_code", EXPIRED)]
    suspect = _is_suspect(seen, now)
    detail = (
        f"cannot reach {url}: by this host's clock, which shows {shown(now)}, its certificate "
        f"{finding}. {_valid(seen)} {_advice(site, seen, now, suspect=suspect)}"
    )
    verdict = Unreachable(detail)
    verdict.side = "agent" if suspect else "backend"
    return verdict


def shown(moment: datetime) -> str:
    """A moment for people, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _is_suspect(seen: Sighting, now: datetime) -> bool:
    """May it be this host's clock? Not if the server's shows the same."""
    return seen.moment is None or abs(seen.moment - now) > TOLERATED


def _valid(seen: Sighting) -> str:
    if seen.validity is None:
        return "From when until when it is valid could not be read."
    return f"It is valid from {shown(seen.validity[0])} to {shown(seen.validity[1])}."


def _advice(site: Site, seen: Sighting, now: datetime, *, suspect: bool) -> str:
    if not suspect:
        return (
            "The server's clock shows the same time: the certificate, or one above it, has to be "
            f"replaced there (or the authority in ca_file of backends.{site.name}.tls here)."
        )
    theirs = "What the server's clock shows cannot be known."
    if seen.moment is not None:
        behind = "behind" if seen.moment > now else "ahead of"
        theirs = f"The server's clock shows {shown(seen.moment)}: this host is {behind} it."
    return f"{theirs} Check this host's clock (timedatectl); the certificate may be in order."
