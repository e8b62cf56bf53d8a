"""The file format for cookies that Netscape began and curl, wget and browsers still write. Pure.

A cookie is a line of seven fields between tabs: domain, "TRUE" if it is for all below the domain,
path, "TRUE" if it is for https only, end (epoch seconds, 0: it does not say), name, value. A
domain may stand behind "#HttpOnly_"; other lines that begin with "#" say nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

FIELDS = 7
HTTP_ONLY = "#HttpOnly_"
THIS_HOST = ("localhost", "127.0.0.1", "::1")  # what goes there leaves in the clear for nobody


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie. `below`: it is for the hosts below `domain`, too. `ends`: epoch seconds."""

    domain: str
    below: bool
    path: str
    secure: bool
    ends: float | None
    name: str
    value: str = field(repr=False)


def cookies_in(text: str) -> list[Cookie]:
    """The cookies of a file. Lines that are no cookies are left out."""
    return list(_cookies(text.splitlines()))


def fitting(cookies: Iterable[Cookie], url: str, now: float) -> list[Cookie]:
    """Those for the address that are not over, the longest paths first (RFC 6265, section 5.4)."""
    place = urlsplit(url)
    host, path = (place.hostname or "").lower(), place.path or "/"
    is_safe = place.scheme == "https" or host in THIS_HOST
    found = [
        one
        for one in cookies
        if _is_for_host(one, host)
        and _is_for_path(one, path)
        and (is_safe or not one.secure)
        and (one.ends is None or one.ends > now)
    ]
    return sorted(found, key=lambda one: -len(one.path))


def header(cookies: Sequence[Cookie]) -> str:
    """What stands in the header Cookie."""
    return "; ".join(f"{one.name}={one.value}" for one in cookies)


def _cookies(lines: Iterable[str]) -> Iterator[Cookie]:
    for line in lines:
        said = line.removeprefix(HTTP_ONLY)
        if said.startswith("#"):
            continue
        fields = said.rstrip("\r\n").split("\t")
        if len(fields) != FIELDS:
            continue
        domain, below, path, secure, end, name, value = fields
        if domain and name and _is_sendable(name) and _is_sendable(value):
            yield Cookie(
                domain.lower().removeprefix("."),
                below.upper() == "TRUE" or domain.startswith("."),
                path or "/",
                secure.upper() == "TRUE",
                _end(end),
                name,
                value,
            )


def _is_sendable(text: str) -> bool:
    return text.isascii() and text.isprintable() and ";" not in text


def _end(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _is_for_host(one: Cookie, host: str) -> bool:
    return host == one.domain or (one.below and host.endswith(f".{one.domain}"))


def _is_for_path(one: Cookie, path: str) -> bool:
    if not path.startswith(one.path):
        return False
    rest = path[len(one.path) :]
    return not rest or one.path.endswith("/") or rest.startswith("/")
