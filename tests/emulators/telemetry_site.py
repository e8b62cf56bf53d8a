"""A telemetry backend as its adapter gets to know it, for tests: plain settings, no secrets."""

from pathlib import Path
from typing import Any

from adapters.base import AuthOptions, Site, TlsOptions
from adapters.telemetry import Options
from tests.builders import NOW


def a_site(url: str, site_dir: Path | None = None, **changes: Any) -> Site:
    fields: dict[str, Any] = {
        "name": "telemetry",
        "url": url,
        "timeout_seconds": 5.0,
        "attempt_timeout_seconds": 5.0,
        "concurrency": 1,
        "auth": AuthOptions(),
        "tls": TlsOptions(),
        "options": Options(site_dir=site_dir),
        "read_secret": lambda _: "",
        "now": lambda: NOW,
    }
    return Site(**{**fields, **changes})
