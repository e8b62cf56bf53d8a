"""What an Event Manager can be asked for, in words. Source: event manager sheet, section 1."""

from collections.abc import Mapping

from adapters.event_manager.search import SEARCHED
from adapters.reading import Resource

PERIODS = ("hourly", "daily", "weekly", "monthly")
FORMATS = ("json", "csv")

NUMBER = "how many, 1 or more; 100 when nothing is said"
OFFSET = "how many to leave out before the first; servers since 0.7.0"
START, END = "events from this time on", "events up to this time"
SINCE_0_7 = "; servers since 0.7.0, which compare times as texts"
OF_REPORT = {
    "start": "the report begins at this time, ISO 8601, best with a zone",
    "end": "the report ends at this time, ISO 8601, best with a zone",
    "format": "json or csv, as the server writes it; json when nothing is said",
}

RESOURCES: Mapping[str, Resource] = {
    "event": Resource(
        "One event as it is stored.",
        {"id": "the event's id"},
        subject="id",
        required=("id",),
    ),
    "recent": Resource(
        "The newest events, newest first by the text of their times.",
        {
            "number": NUMBER,
            "level": "from this log level on, as a number or a name",
            "offset": OFFSET,
            "start": START + SINCE_0_7,
            "end": END + SINCE_0_7,
            "include_archived": "true or false; servers since 0.7.0",
        },
        subject="number",
    ),
    "query": Resource(
        "All events that a MongoDB filter finds, or the conditions beside it.",
        SEARCHED,
        subject="selector",
    ),
    "archived": Resource(
        "The events that were archived last; servers since 0.7.0.",
        {"number": NUMBER, "offset": "how many to leave out before the first"},
        subject="number",
    ),
    "sessions": Resource("How the laboratory was used, by sessions.", OF_REPORT),
    "periods": Resource(
        "How it was used, by hours, days, weeks or months; servers since 0.6.0.",
        {
            **OF_REPORT,
            "analysis_type": f"{', '.join(PERIODS)}; daily when nothing is said",
            "user_timezone": "where days begin; the server takes America/Chicago by itself",
            "include_users": "true or false; true when nothing is said",
        },
        required=("start", "end"),
    ),
    "users": Resource("How it was used, by authors of workflows; since 0.6.0.", OF_REPORT),
    "health": Resource("How the server says it is."),
    "definition": Resource("What the server is; one since 0.7.0 tells its settings instead."),
    "settings": Resource("The server's settings, its secrets blacked out; servers since 0.7.0."),
}
REPORTS = {"sessions": "sessions", "periods": "periods", "users": "user"}  # by their paths
# What there is on the server beside, and does something.
DOING = {
    "events/archive": "archiving hides events from everybody",
    "backup": "a backup is made by it",
}
WRITING = ("save_to_file", "output_path")
