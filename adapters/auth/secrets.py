"""Secrets on this host: read when they are needed. Raises Refused where they cannot be had."""

from adapters.base import Site
from adapters.verdict import DeliveryError, Refused


def read(site: Site, name: str) -> str:
    """The first line of a secret's file."""
    try:
        text = site.read_secret(name).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise unusable(site, f"the secret file {name!r} cannot be read: {reason}") from exc
    if not text or not text[0].strip():
        raise unusable(site, f"the secret file {name!r} is empty")
    return text[0].strip()


def unusable(site: Site, reason: str) -> DeliveryError:
    """Our own settings or files are the trouble: nobody was asked, and nothing was shown."""
    return unshown(Refused(f"backends.{site.name}.auth: {reason}", credentials=True))


def unshown(error: DeliveryError) -> DeliveryError:
    """Mark an error as one that came before any credential was shown to anybody."""
    error.shown_to = "nobody"
    return error
