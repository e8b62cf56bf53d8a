"""LUTE's functions for the eLog, by way of Holdfast: the same names, arguments and returns.

A replacement for `lute/io/elog.py`; `holdfast_client.py` has to lie beside it. Standard library
only, Python 3.6 or newer.

Everything that writes is handed to the agent and succeeds once it is on disk there, whether or
not the eLog can be reached. Everything that reads asks the agent, too: it answers from the eLog
when that is there, and else from what it kept, which is logged as a warning; RuntimeError means
that there is no answer. The agent has the credentials, so nothing here asks for any.
LUTE_ELOG_BACKEND names the agent's backend, "elog" if not.
"""

import getpass
import http.client
import json
import logging
import math
import mimetypes
import os
import re
from functools import lru_cache
from io import BufferedReader
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union
from urllib.error import HTTPError
from urllib.parse import parse_qs, quote, unquote, urlsplit
from urllib.request import Request, urlopen

try:
    from .exceptions import ElogFileFormatError
    from .holdfast_client import Attachment, Holdfast, NoAnswer, NotStored, Refused
except ImportError:
    from holdfast_client import Attachment, Holdfast, NoAnswer, NotStored, Refused

    class ElogFileFormatError(Exception):  # type: ignore[no-redef]
        """Not to be attached to an entry of the eLog."""


__all__ = [
    "get_elog_params_by_run",
    "get_elog_runs_by_tag",
    "post_elog_message",
    "post_elog_run_status",
    "post_elog_run_table",
]

READ_SECONDS = 10.0  # the longest silence of the job service
TRIGGERS = {
    "manual": "MANUAL",
    "run_start": "START_OF_RUN",
    "run_end": "END_OF_RUN",
    "param_is": "RUN_PARAM_IS_VALUE",
}
TRIGGER_ARGUMENTS = {
    "run_param_name": ("trig_param", "run_param_name"),
    "run_param_value": ("trig_param_val", "run_param_val", "run_param_value"),
}
# Fields of the eLog's form, and what the agent calls them.
FORM = {"log_text": "text", "log_title": "title", "author": "author", "shift": "shift"}
FORM.update(run_num="run", parent="reply_to", log_tags="tags", log_emails="emails")

InFile = Union[str, Tuple[str, str], List[str]]
Answer = Tuple[int, str, Optional[Any]]
Made = Tuple[str, Dict[str, Any], List[Attachment]]  # kind of entry, payload, files

logger = logging.getLogger(__name__)


def get_elog_workflows(exp: str) -> Dict[str, Any]:
    """The workflow definitions of an experiment, by name. LUTE's raises NotImplementedError."""
    found = _read("workflows", list, experiment=exp)
    return {one["name"]: one for one in found}


def post_elog_workflow(
    exp: str,
    name: str,
    executable: str,
    wf_params: str,
    *,
    trigger: str = "run_end",
    location: str = "S3DF",
    **trig_args: str,
) -> None:
    """Define a workflow: `executable` runs with `wf_params` at `location` upon `trigger`.

    `trigger`: manual, run_start, run_end, or param_is, which needs `trig_param` (the name of a run
    parameter) and `trig_param_val`; `run_param_name` and `run_param_val` or `run_param_value` do as
    well. A refusal is logged, as LUTE has no way to return it.
    """
    if trigger not in TRIGGERS:
        raise NotImplementedError("there is no trigger %r" % (trigger,))
    said = {"name": name, "executable": executable, "parameters": wf_params}
    said.update(trigger=TRIGGERS[trigger], location=location)
    if trigger == "param_is":
        for field, names in TRIGGER_ARGUMENTS.items():
            given = [trig_args[one] for one in names if one in trig_args]
            if not given:
                raise RuntimeError("the trigger param_is needs trig_param and trig_param_val")
            said[field] = given[0]
    _, told, _ = elog_http_request(
        exp, endpoint="%s/ws/create_update_workflow_def" % exp, request_type="POST", json=said
    )
    if told != "SUCCESS":
        logger.error("The workflow %s was not taken. %s", name, told)


def get_elog_active_expmt(hutch: str, *, endstation: int = 0) -> str:
    """The experiment that is active in a hutch. Raises RuntimeError when there is none."""
    found = _read("active_experiment", dict, instrument=hutch, station=endstation)
    return str(found["name"])


def get_elog_auth(exp: str) -> Dict[str, str]:
    """Headers to send, as for Kerberos in LUTE: none, because the agent has the credentials."""
    return {}


def get_elog_opr_auth(exp: str) -> Dict[str, str]:
    """As get_elog_auth. LUTE's reads the password of the operator account; this reads nothing."""
    return get_elog_auth(exp)


def get_elog_kerberos_auth() -> Dict[str, str]:
    """As get_elog_auth. LUTE's needs a ticket; this needs none."""
    return {}


def elog_http_request(exp: str, endpoint: str, request_type: str, **params: Any) -> Answer:
    """What LUTE asks the eLog for: status, "SUCCESS" or what went wrong, and the value of a GET.

    A POST is handed to the agent: `new_elog_entry`, `add_run_params` and
    `create_update_workflow_def`; others are refused with -1. 200 means that the agent has it.
    A GET is asked by way of the agent; 503 means that there is no answer, not even a kept one.
    `auth` and `headers` among `params` are not used. Answers of the server never raise.
    """
    if request_type.upper() == "GET":
        return _get(endpoint, params)
    if request_type.upper() != "POST":
        return (-1, "Invalid request type!", None)
    found = re.search(r"(?:^|/)([^/]+)/ws/(\w+)$", urlsplit(endpoint).path)
    make = {
        "new_elog_entry": _post,
        "add_run_params": _run_params,
        "create_update_workflow_def": _workflow,
    }.get(found.group(2) if found else "")
    if not found or not make:
        return (-1, "The agent does not know what to do with a POST to %s" % endpoint, None)
    try:
        kind, payload, files = make(endpoint, params)
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        return _failed(-1, "%s: %s" % (type(exc).__name__, exc))
    if kind == "run_params" and not payload["params"]:
        return (200, "SUCCESS", None)  # as the eLog answers when there is nothing to set
    return _hand_in(kind, {"experiment": found.group(1), **payload}, files)


def format_file_for_post(in_file: InFile) -> Tuple[str, Tuple[str, BufferedReader], Optional[str]]:
    """A file as elog_http_request takes it: ("files", (description, open file), media type).

    `in_file`: a path, or a path and a description, which becomes the name in the eLog. Raises
    ElogFileFormatError for anything else, and OSError for a file that cannot be read.
    """
    if isinstance(in_file, str):
        path, description = in_file, os.path.basename(in_file)
    elif isinstance(in_file, (tuple, list)):
        path, description = in_file[0], in_file[1]
    else:
        raise ElogFileFormatError("neither a path nor a path with its description: %r" % (in_file,))
    return ("files", (description, open(path, "rb")), mimetypes.guess_type(path)[0])


def post_elog_message(
    exp: str, msg: str, *, tag: Optional[str], title: Optional[str], in_files: Iterable[InFile] = ()
) -> Optional[str]:
    """Post to the eLog. Returns None, or why it was not taken.

    `tag`: one or more, with white space between them. The text is shown as it is written, also
    beside a title; LUTE's would be taken for HTML there.
    """
    files = []
    for one in in_files:
        try:
            files.append(format_file_for_post(one))
        except ElogFileFormatError:
            logger.exception("Posted without it")
    data = {"log_text": msg, "log_tags": tag, "log_title": title}
    _, told, _ = elog_http_request(
        exp, endpoint="%s/ws/new_elog_entry" % exp, request_type="POST", data=data, files=files
    )
    for _, (_, source), _ in files:
        source.close()
    return None if told == "SUCCESS" else told


def post_elog_run_table(exp: str, run: int, data: Dict[str, Any]) -> Optional[str]:
    """Set columns of the run table. Returns None, or why they were not taken.

    Values may be numpy's. What is no number for JSON becomes the text "NaN", "Infinity" or
    "-Infinity", which float() understands.
    """
    where = "run_control/%s/ws/add_run_params" % exp
    _, told, _ = elog_http_request(
        exp, endpoint=where, request_type="POST", params={"run_num": run}, json=data
    )
    return None if told == "SUCCESS" else told


def get_elog_runs_by_tag(exp: str, tag: str, auth: Optional[Dict[str, str]] = None) -> List[int]:
    """The runs that have an entry with this tag. Raises RuntimeError when nobody can tell."""
    runs = _read("runs_by_tag", list, experiment=exp, tag=tag)
    return [int(run) for run in runs]


def get_elog_params_by_run(
    exp: str, params: List[str], runs: Optional[List[int]] = None
) -> Dict[int, Dict[str, Any]]:
    """Parameters by run, of all runs or of `runs`; a run without them has an empty dictionary.

    LUTE's is not written yet.
    """
    found = _read("params", list, experiment=exp, name=list(params))
    wanted = None if runs is None else set(runs)
    return {
        int(row["run"]): {name: row["params"][name] for name in params if name in row["params"]}
        for row in found
        if wanted is None or row["run"] in wanted
    }


def _get_current_run_status(update_url: str) -> Dict[str, str]:
    """The counters that the job's page shows now. Raises RuntimeError when nobody can tell."""
    missing = [name for name in ("ARP_ROOT_JOB_ID", "RUN_NUM") if name not in os.environ]
    if missing:
        raise RuntimeError("not set: %s" % ", ".join(missing))
    prefix, _, exp, _ = update_url.rsplit("/", 3)
    asked = {"_id": os.environ["ARP_ROOT_JOB_ID"], "experiment": exp}
    asked.update(run_num=os.environ["RUN_NUM"], user=getpass.getuser())
    url = "%s/%s/get_counters" % (prefix, quote(exp))
    _, told, value = _asked(url, json.dumps(asked).encode())
    if told != "SUCCESS":
        raise RuntimeError(told)
    return {one["key"]: one["value"] for one in value or []}


def post_elog_run_status(
    data: Mapping[str, Union[str, int, float]], update_url: Optional[str] = None
) -> None:
    """Show counters on the page of this job. The agent merges them with those that are there.

    Where: `update_url`, or JID_UPDATE_COUNTERS or ARP_UPDATE_COUNTERS in the environment; with
    none of them it is logged and nothing happens, as with LUTE.
    """
    named = os.environ.get
    url = update_url or named("JID_UPDATE_COUNTERS") or named("ARP_UPDATE_COUNTERS")
    if not url:
        logger.error("No run status: neither JID_UPDATE_COUNTERS nor ARP_UPDATE_COUNTERS is set")
        return
    if not data:
        return
    payload = {"counters": {str(k): str(v) for k, v in data.items()}, "update_url": url}
    job = {"job_id": named("ARP_ROOT_JOB_ID"), "run": _number(named("RUN_NUM", ""))}
    if not re.search("/replace_counters/[^/]+/[^/]+$", url):
        job["experiment"] = named("EXPERIMENT")  # older addresses do not name it
    job["user"] = getpass.getuser()
    payload.update({name: value for name, value in job.items() if value not in (None, "")})
    token = _token()
    files = [("authorization", token.encode())] if token else []  # type: List[Attachment]
    _, told, _ = _hand_in("run_status", payload, files)
    if told != "SUCCESS":
        logger.error("The run status was not taken. %s", told)


def _post(endpoint: str, params: Mapping[str, Any]) -> Made:
    """A logbook entry, from the fields of the eLog's form."""
    payload = {}  # type: Dict[str, Any]
    copies = []
    for field, value in dict(params.get("data") or {}).items():
        if field.startswith("post_to_elog_"):
            copies.append(field[len("post_to_elog_") :])
        elif field == "xpost_instrument_elog":
            copies.append("instrument")
        elif field not in FORM:
            raise ValueError("the agent does not know the field %s" % field)
        elif field in ("log_tags", "log_emails"):
            payload[FORM[field]] = str(value or "").split()
        elif value not in (None, ""):
            payload[FORM[field]] = _number(value) if field == "run_num" else value
    if copies:
        payload["cross_post"] = copies
    return ("post", payload, [_attachment(one) for one in params.get("files") or []])


def _attachment(item: Any) -> Attachment:
    """Of ("files", (name, file, type)), as requests wants it, or ("files", (name, file), type)."""
    name, source, media_type = (*item[1], *item[2:], None)[:3]
    content = source if isinstance(source, bytes) else source.read()
    return (str(name).replace("/", "_"), content, media_type)


def _run_params(endpoint: str, params: Mapping[str, Any]) -> Made:
    asked = parse_qs(urlsplit(endpoint).query)
    run = dict(params.get("params") or {}).get("run_num") or asked["run_num"][0]
    return ("run_params", {"run": _number(_plain(run)), "params": params.get("json") or {}}, [])


def _workflow(endpoint: str, params: Mapping[str, Any]) -> Made:
    return ("workflow", dict(params["json"]), [])


@lru_cache(maxsize=None)
def _agent() -> Holdfast:
    """One for all, so that an agent that hangs is not waited for by every call."""
    return Holdfast()


def _backend() -> str:
    return os.environ.get("LUTE_ELOG_BACKEND") or "elog"


def _hand_in(kind: str, payload: Dict[str, Any], files: List[Attachment]) -> Answer:
    try:
        _agent().put(_backend(), _plain(payload), kind=kind, attachments=files)
    except Refused as exc:
        return _failed(exc.status, str(exc))
    except (NotStored, OSError, TypeError, ValueError) as exc:
        return _failed(-1, str(exc))
    return (200, "SUCCESS", None)


def _failed(status: int, why: str) -> Answer:
    return (
        status,
        "Error when posting to eLog: Response %s\nInclude message: %s" % (status, why),
        None,
    )


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _plain(value: Any) -> Any:
    """The same without numpy, and without the numbers that JSON does not have."""
    for change in ("tolist", "item"):
        if hasattr(value, change):
            value = getattr(value, change)()
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _token() -> Optional[str]:
    return os.environ.get("Authorization")


def _read(resource: str, shape: type, **parameters: Any) -> Any:
    """What the agent says of the eLog. Raises RuntimeError when that is nothing of the `shape`."""
    _, told, value = _queried(resource, parameters)
    if told == "SUCCESS" and not isinstance(value, shape):
        told = "The eLog answers %.200r" % (value,)
    if told != "SUCCESS":
        raise RuntimeError("Nothing can be read. %s" % told)
    return value


def _get(endpoint: str, params: Mapping[str, Any]) -> Answer:
    """A page of the eLog as LUTE names it, with its query in the name or beside it."""
    path, _, query = endpoint.strip("/").partition("?")
    asked = parse_qs(query, keep_blank_values=True)  # type: Dict[str, Any]
    asked.update(params.get("params") or {})
    root = "" if path.startswith("run_control/") else "lgbk/"
    return _queried("raw/%s%s" % (root, unquote(path)), asked)


def _queried(resource: str, parameters: Mapping[str, Any]) -> Answer:
    try:
        told = _agent().query(_backend(), resource, **parameters)
    except Refused as exc:
        return _unread(exc.status, str(exc))
    except (NoAnswer, TypeError) as exc:
        return _unread(503, str(exc))
    if told["source"] != "live":
        logger.warning("%s is what was known at %s", resource, told.get("fetched_at"))
    return (200, "SUCCESS", told["data"])


def _unread(status: int, why: str) -> Answer:
    return (status, "Error from eLog: Response %s\nInclude message: %s" % (status, why), None)


def _asked(url: str, body: bytes) -> Answer:
    """Status, "SUCCESS" or why not, and the value of the job service. `body`: JSON to POST."""
    try:
        request = Request(url, body, {"Content-Type": "application/json"})
        if _token():
            request.add_unredirected_header("Authorization", str(_token()))
        with urlopen(request, timeout=READ_SECONDS) as response:
            status, said = response.getcode(), response.read()
    except HTTPError as exc:
        with exc:
            status, said = exc.code, exc.read()
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return (-1, "%s cannot be asked: %s" % (url, exc), None)
    try:
        told = json.loads(said.decode())
        if status < 300 and told.get("success", True) and "value" in told:
            return (status, "SUCCESS", told["value"])
        why = told.get("errormsg")
    except (ValueError, AttributeError):
        why = "" if said.lstrip()[:1] == b"<" else said.decode("utf-8", "replace")[:500]
    return _unread(status, why)
