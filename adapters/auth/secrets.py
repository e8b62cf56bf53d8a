"""Secrets on this host: read when they are needed. Raises Refused where they cannot be had."""

from adapters.base import Site
from adapters.verdict import DeliveryError, Refused


def read(site: Site, name: str, key: str | None = None) -> str:
    """The first line of a secret's file. `key`: the one below `auth` that names it."""
    try:
        text = site.read_secret(name).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        raise unusable(site, f"the secret file {name!r} cannot be read: {reason}", key) from exc
    if not text or not text[0].strip():
        raise unusable(site, f"the secret file {name!r} is empty", key)
    return text[0].strip()


def unusable(site: Site, reason: str, key: str | None = None) -> DeliveryError:
    """Our own settings or files are the trouble: nobody was asked, and nothing was shown."""
    place = f"backends.{site.name}.auth" + (f".{key}" if key else "")
    return unshown(Refused(f"{place}: {reason}", credentials=True))


def unshown(error: DeliveryError) -> DeliveryError:
    """Mark an error as one that came before any credential was shown to anybody."""
    error.shown_to = "nobody"
    return error
