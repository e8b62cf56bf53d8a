"""The reports of an emulated Event Manager: /utilization/... in the shapes of the real ones.

Failures are 200 with an error in the words of the real server; numbers are not worked out.
`broken_sessions` next sessions of a report have an error in the place of what they are.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

NO_ANALYZER = {"error": "Failed to create session analyzer"}
NO_TIMES = {
    "error": "start_time and end_time are required",
    "details": "Both parameters must be provided as ISO strings",
}
BACKWARDS = "Invalid analysis time period: start time must be before end time"


def report(name: str, asked: Mapping[str, str], *, lost: bool, broken: int = 0) -> Response:
    """The answer of the report `name`: sessions, periods or user. `lost`: the database is away."""
    if lost:
        return JSONResponse(NO_ANALYZER)
    start, end = asked.get("start_time"), asked.get("end_time")
    periods = name == "periods"
    try:
        moments = [moment(one) for one in (start, end) if one]
    except ValueError as exc:
        kind = "utilization report" if periods else "report"
        return JSONResponse({"error": f"Failed to generate {kind}: {exc}"})
    if periods and len(moments) < 2:
        return JSONResponse(NO_TIMES)
    if periods and moments[0] >= moments[1]:
        details = f"Start time {moments[0]} >= end time {moments[1]}"
        return JSONResponse({"error": BACKWARDS, "details": details})
    if asked.get("csv_format") == "true":
        text = f"=== {name.upper()} REPORT ===\n\nAnalysis Start,{start}\n"
        return PlainTextResponse(text, media_type="text/csv")
    return JSONResponse(shape(name, asked, broken))


def moment(text: str) -> datetime:
    """UTC without saying so, as the real server goes on with it."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo is None else read.astimezone(UTC).replace(tzinfo=None)


def shape(name: str, asked: Mapping[str, str], broken: int) -> dict[str, Any]:
    start, end = asked.get("start_time"), asked.get("end_time")
    if name == "periods":
        about = {
            "analysis_type": asked.get("analysis_type", "daily"),
            "period_start": start,
            "period_end": end,
            "user_timezone": asked.get("user_timezone", "America/Chicago"),
        }
        return {"summary_metadata": about, "key_metrics": {"total_experiments": 0}}
    metadata = {"analysis_start": start, "analysis_end": end}
    if name == "user":
        return {"report_metadata": metadata, "system_summary": {}, "user_utilization": {}}
    sessions: list[dict[str, Any]] = [{"session_type": "default_analysis"}]
    failed = [{"session_id": "s", "error": "division by zero"}] * broken
    return {"report_metadata": metadata, "session_details": [*sessions, *failed]}
