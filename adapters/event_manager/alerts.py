"""Alerts about old news: what becomes of an event that would mail, and comes late. Pure.

The server mails for `alert` and for every level from its `alert_level` on, however old the event is
(event manager sheet, section 5). It stores no time of receipt, so it cannot know better.
"""

from datetime import UTC
from typing import Any

from adapters.event_manager.options import Options
from adapters.event_manager.payload import LOG_LEVELS, log_level_of, timestamp_of

Changes = dict[str, tuple[Any, Any]]


def silencing(event: dict[str, Any], first_sent_at: int, options: Options) -> Changes:
    """What is changed in a wire body so that no mail is sent; nothing if one may be, or none would.

    `first_sent_at` (epoch ms) stays while the event is in doubt, so that every attempt is the same.
    """
    if options.alert_late == "keep" or not _is_late(event, first_sent_at, options):
        return {}
    changes: Changes = {}
    if event.get("alert", False):
        changes["alert"] = (True, False)
    level = log_level_of(event.get("log_level", 20))
    if level >= options.alert_level:
        below = max(one for one in LOG_LEVELS.values() if one < options.alert_level)
        changes["log_level"] = (level, below)
    return changes


def _is_late(event: dict[str, Any], first_sent_at: int, options: Options) -> bool:
    moment = timestamp_of(event["event_timestamp"])
    # Without a zone are only times that no zone could be found for: of other centuries.
    at = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    return first_sent_at / 1000 - at > options.late_after_seconds
