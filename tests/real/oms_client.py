"""The real client of OMS asks everything once and prints what it got, as JSON by question.

Run by the Python of an environment that holds `omsapi`: `oms_client.py URL`, URL being that of
the emulator. `run_data` does what the reference's helper does with the client (OMS sheet,
section 5). The address of the token endpoint is a constant of the client's module, that of the
device flow is made for `auth.cern.ch`: both are set here, and tokens are not verified.
"""

import base64
import contextlib
import io
import json
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import omsapi  # type: ignore[import-not-found]
import tsgauth.oidcauth  # type: ignore[import-not-found]

CLIENT, SECRET, AUDIENCE = "holdfast", "correct-horse", "cmsoms-prod"
REALM = "/auth/realms/cern"
BY_SECTION = {"group[granularity]": "lumisection"}
SPRING = (315190, 315290)
OLD_SECONDS = 60  # a token that is younger than 30 s is not renewed


def run_data(
    api: Any,
    resource: str,
    run: int | Sequence[int] | None,
    *,
    filters: Sequence[Mapping[str, Any]] = (),
    custom: Mapping[str, Any] | None = None,
    sort: str | None = None,
    attributes: Sequence[str] = (),
    limit: int = 1000,
) -> Any:
    """One page of what OMS has about a run or a range of runs, as JSON, whatever the status."""
    query = api.query(resource)
    wanted: list[Mapping[str, Any]] = []
    match run:
        case int():
            wanted.append({"attribute_name": "run_number", "value": run, "operator": "EQ"})
        case [first, last]:
            wanted.append({"attribute_name": "run_number", "value": first, "operator": "GE"})
            wanted.append({"attribute_name": "run_number", "value": last, "operator": "LE"})
    query.filters([*wanted, *filters])
    if attributes:
        query.attrs(list(attributes))
    for name, value in (custom or {}).items():
        query.custom(name, value)
    if sort is not None:
        query.sort(sort)
    query.paginate(page=1, per_page=limit)
    return query.data().json()


def equal(name: str, value: Any) -> dict[str, Any]:
    return {"attribute_name": name, "value": value, "operator": "EQ"}


def examples(api: Any) -> dict[str, Any]:
    """The examples of the sheet's section 6, by their numbers there."""
    pair = ["l1_menu", "l1_rate"]
    sections = ["lumisection_number", "fill_number", "run_number"]
    path = equal("path_name", "HLT_ZeroBias_v5")
    return {
        "1": run_data(api, "runs", 297050),
        "2": run_data(api, "runs", 297050, attributes=pair),
        "3": run_data(api, "runs", (297050, 297056), attributes=pair),
        "4": run_data(api, "lumisections", 297050, filters=[equal("lumisection_number", 1)]),
        "5b": run_data(api, "lumisections", SPRING, attributes=sections),
        "6": run_data(api, "l1triggerrates", 297050, custom=BY_SECTION),
        "7a": run_data(api, "hltpathinfo", 297050, attributes=["path_name", "run_number"]),
        "7b": run_data(api, "hltpathrates", 297050, filters=[path], custom=BY_SECTION),
        "8": run_data(api, "lumisections", 306458, attributes=["lumisection_number", "cms_active"]),
    }


def questions(api: Any) -> dict[str, Any]:
    """What else the client can ask for."""
    unknown = api.query("runs").filter("no_such_attribute", 1).paginate(1, 1)
    unchecked = api.query("runs")
    unchecked.set_validation(False)
    unchecked.filter("no_such_attribute", 1)
    pattern = api.query("hltpathinfo").filter("run_number", 297052)
    several = api.query("runs").filter("components", "DT,CSC", "ct").filter("era", "2017B")
    shown = api.query("runs").filter("run_number", 297050).attrs(["start_time"])
    return {
        "dropped": unknown.data().json(),
        "unchecked": asked(unchecked.data()),
        "without catalogue": asked(api.query("runkeys").filter("anything", 1).data()),
        "no resource": asked(api.query("nowhere").data()),
        "one row": api.query("runs/297050").data().json(),
        "below": api.query("runs/297050/lumisections").filter("beams_stable", True).data().json(),
        "like": pattern.filter("path_name", "%ZeroBias%", "LIKE").data().json(),
        "contains": several.attrs(["run_number"]).data().json(),
        "sorted": several.sort("l1_rate", asc=False).data().json(),
        "null": several.filter("l1_rate", "null").data().json(),
        "second page": api.query("runs").attrs(["run_number"]).paginate(2, 5).data().json(),
        "presented": shown.include("presentation_timestamp").include("meta").data().json(),
        "catalogue": api.query("fills").meta(),
        "version": asked(api.query_metadata().data("v1/version")),
        "too large": asked(api.query("runs").paginate(1, 100_001).data()),
    }


def refusals(api: Any, tell: Callable[..., Any]) -> dict[str, Any]:
    """What it does when it is turned away."""
    query = api.query("runs").filter("run_number", 297050)
    told: dict[str, Any] = {}
    tell("revoke")
    told["young token"] = asked(query.data())
    api.oms_auth.token_time -= OLD_SECONDS
    told["renewed"] = asked(query.data())
    api.oms_auth.token_time -= OLD_SECONDS
    tell("gate", says="401_once")
    told["once"] = asked(query.data())
    api.oms_auth.token_time -= OLD_SECONDS
    for says in ("401", "403", "302", "html"):
        tell("gate", says=says)
        told[says] = attempt(query.data)
    tell("gate", says="")
    wrong = omsapi.OMSAPI(api.api_url, verbose=False)
    told["wrong secret"] = attempt(lambda: wrong.auth_oidc(CLIENT, "wrong", AUDIENCE))
    strict = omsapi.OMSAPI(api.api_url, verbose=False, throw_on_err=True)
    told["strict"] = attempt(strict.query("runs").data)
    return told


def device(url: str, tell: Callable[..., Any]) -> Any:
    """The sign-in by a device; its user says yes while the client waits."""
    api = omsapi.OMSAPI(f"{url}/agg/api", verbose=False)
    api.auth_device(use_auth_file=False)
    api.tsg_auth.token_url = f"{url}{REALM}/protocol/openid-connect/token"
    api.tsg_auth.device_auth_url = f"{url}{REALM}/protocol/openid-connect/auth/device"
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:  # the first poll is answered with "pending"
            tell("approve")

    tsgauth.oidcauth.time.sleep = wait
    tsgauth.oidcauth.parse_token = claims
    return {"waits": waits, **asked(api.query("runs/297050").data())}


def claims(token: str, **_: Any) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def asked(reply: Any) -> dict[str, Any]:
    return {"status": reply.status_code, "body": reply.text[:1000]}


def attempt(act: Callable[[], Any]) -> dict[str, Any]:
    try:
        reply = act()
    except Exception as exc:  # noqa: BLE001 - the client raises nothing narrower
        return {"raised": str(exc)}
    return asked(reply)


def teller(url: str) -> Callable[..., Any]:
    def tell(what: str, **told: Any) -> Any:
        request = urllib.request.Request(f"{url}/_emulator/{what}", json.dumps(told).encode())
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    return tell


def main(url: str) -> None:
    tell = teller(url)
    omsapi.cern_api_url = f"{url}{REALM}/api-access/token"
    api = omsapi.OMSAPI(f"{url}/agg/api", "v1", verbose=False, cert_verify=False)
    with contextlib.redirect_stdout(io.StringIO()):  # the client prints its warnings
        api.auth_oidc(CLIENT, SECRET, AUDIENCE)
        told = {
            "examples": examples(api),
            "questions": questions(api),
            "refusals": refusals(api, tell),
            "device": device(url, tell),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
