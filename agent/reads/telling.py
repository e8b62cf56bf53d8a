"""What cache and pins have to say, as log lines."""

from typing import Any

import structlog

log = structlog.get_logger()


def tell(event: str, **about: Any) -> None:
    """Nothing here is lost but time, save the list of pins."""
    match event:
        case "cache.damaged":
            log.warning("cache.damaged", **about)
        case "cache.not_kept":
            log.warning("cache.not_kept", **about)
        case "cache.not_read":
            log.warning("cache.not_read", **about)
        case "pins.damaged":
            log.error("pins.damaged", **about)
        case _:
            log.info(event, **about)
