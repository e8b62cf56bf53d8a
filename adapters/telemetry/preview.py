"""What would be sent to a telemetry server, for people who want to see it first. No I/O."""

import json

from adapters.http import HttpClient
from adapters.preview import Preview
from adapters.telemetry import wire
from adapters.telemetry.runs import start_body
from storage.entry import Claim


def previewed(http: HttpClient, url: str, claim: Claim) -> Preview:
    """The request for the claim, and what is looked at before it."""
    match claim.kind:
        case "event":
            return _event(http, url, claim)
        case "run_start":
            return http.preview("POST", "/run/start", json_text=json.dumps(start_body(claim)))
        case _:
            remark = (
                f"GET {url}/run before: the run has to be the one that was active when it was made"
            )
            return http.preview("POST", "/run/stop", remarks=[remark])


def _event(http: HttpClient, url: str, claim: Claim) -> Preview:
    body = wire.outgoing(claim)
    remarks = []
    if body.get("make_current", True):
        body["make_current"] = True
        look = wire.current_path(body["type"]) or "/current"
        remarks.append(
            f"GET {url}{look} before: where a value as new is there, make_current is false"
        )
    return http.preview("POST", "/event", json_text=json.dumps(body), remarks=remarks)
