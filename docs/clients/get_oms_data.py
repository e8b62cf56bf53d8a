"""CMS OMS through Holdfast: the three calls of the usual helper. Copy this file into your project.

Standard library only, Python 3.6 or newer, no credentials:

    omsapi = get_oms_api()
    response = get_oms_data(omsapi, "lumisections", 297050, attributes=["pileup"])
    pileup = get_oms_response_attribute(response, "pileup")

The names and arguments are the old ones, and the answer has the server's shape. What is different,
and meant: all rows are there, whatever `limit_entries` says; what was asked once is there without
a network, too, with its age; a wrong argument raises and does not fetch everything. Exceptions:

    ValueError   an argument makes no sense here; nobody was asked
    Refused      the question makes no sense to the agent or to OMS (a ValueError, too)
    NotNow       OMS cannot be asked, and it was never asked this before
    Incomplete   a part is missing, and `partial=True` was not given (a NotNow, too)
    OmsError     all of these; by itself: what answers is not the agent
"""

import http.client
import json
import operator
import os
import shutil
import socket
import subprocess
import sys
from contextlib import closing, suppress
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import quote, urlencode

SOCKET = "/run/holdfast/agent.sock"  # unless HOLDFAST_AGENT__SOCKET says otherwise
COMMAND = "holdfast"  # asks by itself where no agent listens; it may use another cache then
MARKS = {"data", "source", "fetched_at", "settled", "complete", "stale"}
TIMEOUT = 600.0  # seconds without a word of the agent; many pages take their time

Run = Union[int, Sequence[int], None]
Pairs = List[Tuple[str, str]]
Response = Dict[str, Any]


class OmsError(Exception):
    """No answer. The text says why, and whose side it is on."""


class Refused(OmsError, ValueError):
    """The question makes no sense."""


class NotNow(OmsError):
    """OMS gives no answer now, and nothing that was kept says this."""


class Incomplete(NotNow):
    """A part is missing. `response`: what there is, in the usual shape."""

    def __init__(self, text: str, response: Response) -> None:
        super().__init__(text)
        self.response = response


class OmsApi:
    """Where questions go. `backend`: the agent's name for OMS (or HOLDFAST_OMS_BACKEND)."""

    def __init__(self, backend: str = "", socket: str = "", timeout: float = TIMEOUT) -> None:
        self.backend = backend or os.environ.get("HOLDFAST_OMS_BACKEND") or "oms"
        self.socket = socket or os.environ.get("HOLDFAST_AGENT__SOCKET") or SOCKET
        self.timeout = timeout

    def answer(self, endpoint: str, parameters: Pairs, partial: bool = False) -> Dict[str, Any]:
        """The agent's answer, or that of the command `holdfast`. Raises OmsError."""
        try:
            try:
                told = self._from_agent(endpoint, parameters, partial)
            except (FileNotFoundError, ConnectionRefusedError):
                told = self._from_command(endpoint, parameters, partial)
        except OmsError:
            raise
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as exc:
            raise OmsError("%s: %s: %s" % (self.socket, type(exc).__name__, exc)) from exc
        if not isinstance(told, dict) or not MARKS.issubset(told):
            raise OmsError("this is no answer of the agent: %.200r" % (told,))
        return told

    def _from_agent(self, endpoint: str, parameters: Pairs, partial: bool) -> Any:
        query = urlencode(parameters + [("partial", "1")] * partial, quote_via=quote)
        path = "/v1/query/%s/%s?%s" % (self.backend, quote(endpoint), query)
        with closing(_Local(self.socket, self.timeout)) as connection:
            connection.request("GET", path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            told = json.loads(response.read().decode())
        if response.status == 200:
            return told
        raise _error(response.status, told)

    def _from_command(self, endpoint: str, parameters: Pairs, partial: bool) -> Any:
        if shutil.which(COMMAND) is None:
            raise NotNow("no agent listens at %s, and there is no %s" % (self.socket, COMMAND))
        command = [COMMAND, "query", self.backend, endpoint, "--json"] + ["--partial"] * partial
        for name, value in parameters:
            command += ["--param", "%s=%s" % (name, value)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as ran:
            said, troubles = ran.communicate()
        if ran.returncode in (0, 4):  # 4: stale, or a part is missing; the answer says which
            return json.loads(said.decode())
        kind = {64: Refused, 65: Refused, 75: NotNow}.get(ran.returncode, OmsError)
        text = troubles.decode("utf-8", "replace").strip()
        raise kind(text or "%s ended with %d" % (COMMAND, ran.returncode))


def get_oms_api() -> OmsApi:
    """The way to OMS. Nothing is asked yet, and nothing is kept open."""
    return OmsApi()


def get_oms_data(
    omsapi: OmsApi,
    endpoint: str,
    runnb: Run = None,
    extrafilters: Iterable[Mapping[str, Any]] = (),
    extraargs: Optional[Mapping[str, Any]] = None,
    sort: Union[str, Sequence[str], None] = None,
    attributes: Optional[Sequence[str]] = (),
    limit_entries: int = 1000,
    *,
    fillnb: Run = None,
    partial: bool = False,
) -> Response:
    """All rows of `endpoint` that meet the filters, as {"data", "links", "meta"}.

    `runnb`, `fillnb`: a number, or the first and the last of a range; None: no such filter.
    `extrafilters`: {"attribute_name", "value", "operator"} each. `extraargs`: further parameters,
    such as {"group[granularity]": "lumisection"}. `sort`: ascending, by an attribute. `attributes`:
    the wanted ones, all if empty. `limit_entries` is taken and cuts nothing: the answer always
    holds all rows. `partial`: when OMS is away, a part will do. The answer's `meta["holdfast"]`
    has `source` (live, cache, derived), `fetched_at`, `settled` (it should not change any more),
    `complete`, and `missing` (intervals of runs). What is stale is said in a line on stderr.
    """
    parameters = _spans("run_number", runnb) + _spans("fill_number", fillnb)
    parameters += map(_filter, extrafilters)
    sort = [sort] if isinstance(sort, str) else sort
    for name, some in (("fields", attributes), ("sort", sort)):
        parameters += [(name, ",".join(_names(name, some)))] if some else []
    parameters += [(str(name), _text(value)) for name, value in dict(extraargs or {}).items()]
    where = endpoint.strip("/")
    answer = omsapi.answer(where, parameters, partial)
    response = _shaped(answer)
    if not answer["complete"] and not partial:
        lack = answer.get("missing") or answer.get("notes")
        raise Incomplete("%s: a part is missing: %s" % (where, lack), response)
    if answer["stale"] or not answer["complete"]:
        state = "stale" if answer["complete"] else "NOT COMPLETE"
        told = (where, state, answer["source"], answer["fetched_at"])
        print("OMS %s: %s (%s, fetched %s)" % told, file=sys.stderr)
    return response


def get_oms_response_attribute(response: Response, attribute: str) -> List[Any]:
    """The values of one attribute, a row each. Raises KeyError where it was not asked for."""
    return [one[attribute] for one in get_oms_response_attributes(response)]


def get_oms_response_attributes(response: Response) -> List[Dict[str, Any]]:
    """All attributes, a row each. Raises ValueError for what is no response of OMS."""
    if not isinstance(response, dict) or "data" not in response:
        raise ValueError("this is no response of OMS, it has no data: %.200r" % (response,))
    data = response["data"]
    return [row["attributes"] for row in (data if isinstance(data, list) else [data])]


def filter_oms_response(response: Response, key: str, value: Union[str, List[str]]) -> Response:
    """Only the rows whose `key` matches a pattern, such as HLT_*, or one of several."""
    patterns = [value] if isinstance(value, str) else value
    rows = zip(response["data"], get_oms_response_attribute(response, key))
    return {"data": [row for row, v in rows if any(fnmatchcase(str(v), p) for p in patterns)]}


class _Local(http.client.HTTPConnection):
    """HTTP over the agent's socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def _error(status: int, problem: Any) -> OmsError:
    """What a refusal of the agent's means. Raises LookupError, TypeError if it is none of its."""
    said = [problem["detail"]] + [one["detail"] for one in problem.get("errors") or []]
    kind = NotNow if status in (408, 429) or status >= 500 else Refused
    return kind("; ".join(dict.fromkeys(said)))


def _shaped(answer: Mapping[str, Any]) -> Response:
    """As the server answers, with the agent's marks in `meta`."""
    data = answer["data"]
    meta = {"totalResourceCount": len(data) if isinstance(data, list) else 1}  # type: Response
    meta.update(answer.get("meta") or {})
    marks = {name: answer[name] for name in ("source", "fetched_at", "settled", "complete")}
    if answer.get("missing"):
        marks["missing"] = answer["missing"]
    meta["holdfast"] = marks
    return {"data": data, "links": dict.fromkeys(("first", "last", "next", "prev")), "meta": meta}


def _spans(attribute: str, value: Run) -> Pairs:
    """A number, or a pair of them, as filters. Raises ValueError for anything else."""
    if value is None:
        return []
    if not isinstance(value, (tuple, list)):
        return [("filter[%s][EQ]" % attribute, _number(attribute, value))]
    if len(value) != 2:
        raise ValueError("%s: a range is two numbers, not %r" % (attribute, value))
    signs = zip(("GE", "LE"), value)
    return [("filter[%s][%s]" % (attribute, sign), _number(attribute, n)) for sign, n in signs]


def _number(attribute: str, value: Any) -> str:
    """Whole numbers of any kind, numpy's too; True is none, nor is "297050"."""
    with suppress(TypeError):
        if str(value) == str(operator.index(value)):
            return str(value)
    raise ValueError("%s: %r is neither a whole number nor a pair of them" % (attribute, value))


def _filter(one: Mapping[str, Any]) -> Tuple[str, str]:
    if set(one) != {"attribute_name", "value", "operator"}:
        raise ValueError("a filter has attribute_name, value and operator: %r" % (one,))
    name = "filter[%s][%s]" % (one["attribute_name"], str(one["operator"]).upper())
    return (name, _text(one["value"]))


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    words = {"True": "true", "False": "false", "None": "null"}
    return value if isinstance(value, str) else words.get(str(value), str(value))


def _names(what: str, names: Sequence[str]) -> Sequence[str]:
    if isinstance(names, str) or not all(isinstance(one, str) for one in names):
        raise ValueError("%s: a list of names is wanted, not %r" % (what, names))
    return names
