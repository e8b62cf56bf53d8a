"""`raw`: any page of the server that answers a GET. Pure; raises Misasked.

Promises: nothing that changes anything is asked for, and nothing that gives out a credential;
what Holdfast can write is told by the command that writes it.
"""

import re
from collections.abc import Sequence
from types import MappingProxyType
from urllib.parse import quote

from adapters.elog.reads.ask import Ask, Target
from adapters.reading import UNKNOWN, Misasked, Parameters

ROOTS = ("lgbk", "run_control")
METHOD = "method"
# Anybody may ask these (elog sheet, sections 3.1, 3.7 and 3.8).
OPEN = frozenset(
    (
        "activeexperiment_for_instrument_station",
        "current_run",
        "get_params_matching_prefix",
        "get_runs_with_tag",
        "internalinfo",
    )
)
WRITTEN_BY = MappingProxyType(
    {
        "new_elog_entry": "",
        "add_run_params": " --kind run_params",
        "create_update_workflow_def": " --kind workflow",
        "update_workflow_job": " --kind run_status",
        "replace_counters": " --kind run_status",
    }
)
# First words of names that change something; some of the server's own take a GET for it.
CHANGES = re.compile(
    "add|approve|attach|change|clear|clone|close|create|delete|edit|end|generate|import|kill|lock"
    "|make|migrate|modify|new|post|reload|remove|rename|replace|reset|save|send|set|start|stop"
    "|subscribe|switch|sync|toggle|unlock|unsubscribe|update|upload"
)
CHANGES_WITHIN = frozenset(("standby", "subscribe", "unsubscribe", "unlock"))
ATTACHMENT = "attachment"
NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")


def asked(resource: str, parameters: Parameters, backend: str) -> Ask:
    """The ask of `raw/PATH`."""
    parts = resource.split("/")[1:]
    _check_path(parts)
    _check_method(parameters, backend)
    names = parts[parts.index("ws") + 1 :] if "ws" in parts else parts[1:]
    for one in names:
        _check_name(one, backend)
    for name, value in parameters:
        if not (name + value).isprintable():
            raise Misasked("control characters cannot be passed on", parameter=name)
    named = parts[1] if len(parts) > 2 and parts[2] == "ws" else None  # noqa: PLR2004 - root/EXP/ws
    query = sorted(([name, value] for name, value in parameters), key=lambda one: one[0])
    # The experiment stands apart, because it may be "current".
    path = parts if named is None else [parts[0], None, *parts[2:]]
    return Ask("raw", named, {"path": path, "query": query})


def target(ask: Ask) -> Target:
    """Where it is asked."""
    parts = [ask.named if one is None else str(one) for one in ask.options["path"]]
    path = "/".join(quote(one, safe="") for one in parts)
    query = tuple((name, value) for name, value in ask.options["query"])
    return Target(f"/{path}", query, open=not OPEN.isdisjoint(parts))


def _check_path(parts: Sequence[str]) -> None:
    if not parts or parts[0] not in ROOTS:
        roots = " or ".join(f"raw/{one}/..." for one in ROOTS)
        raise Misasked(f"the eLog's pages are below {roots}", status=UNKNOWN)
    for one in parts:
        if one in ("", ".", "..") or not one.isprintable() or "\\" in one:
            raise Misasked(f"{'/'.join(parts)!r} is no path of a page: {one!r}", status=UNKNOWN)


def _check_method(parameters: Parameters, backend: str) -> None:
    for name, value in parameters:
        if name == METHOD and value.upper() in ("POST", "PUT", "DELETE", "PATCH"):
            raise Misasked(
                f"a question is a GET, nothing else: what is to be written is handed in by holdfast"
                f" put {backend}",
                parameter=METHOD,
            )


def _check_name(name: str, backend: str) -> None:
    if name in WRITTEN_BY:
        command = f"holdfast put {backend}{WRITTEN_BY[name]}"
        raise Misasked(f"{name} writes to the eLog, and a question does not: use {command}")
    if not NAME.fullmatch(name):
        return
    words = name.split("_")
    if "token" in words:
        raise Misasked(f"{name} gives out a credential: Holdfast does not ask for it, nor keep it")
    if CHANGES.fullmatch(words[0]) or not CHANGES_WITHIN.isdisjoint(words):
        raise Misasked(f"{name} changes something, by its name; questions only ask")
    if name == ATTACHMENT:
        raise Misasked("bytes are not told here: ask for the resource attachment")
