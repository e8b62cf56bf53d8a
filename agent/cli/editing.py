"""`holdfast edit ID`: correct an entry that has not been delivered.

Promises: what the agent does not take changes nothing, and what was written is not lost: on a
terminal it can be edited again, and its file stays until it was taken.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.agents import Agent
from agent.cli.choosing import AsJson
from agent.cli.endings import (
    NO_INPUT,
    OK,
    OK_ANSWERS,
    REFUSED,
    Ending,
    detail_of,
    ending_of,
    usage,
)
from agent.cli.inputs import opened, whole
from agent.cli.printing import note, print_outcome
from agent.cli.words import examples

EDITORS = ("VISUAL", "EDITOR")
LAST_EDITOR = "vi"

EXAMPLES = examples(
    "holdfast edit 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T",
    "holdfast edit 01JD8Y1W2Q6M3Y1Q0Q8C4S9F7T --payload corrected.json",
)


def edit(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `put` and `list` print it.")],
    *,
    payload: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="What it is to say; without it an editor opens."),
    ] = None,
    as_json: AsJson = False,
) -> Callable[[], int]:
    """Correct what waits, is held, or failed.

    Opens the payload in $VISUAL or $EDITOR. It is judged as a new entry would be; what is refused
    changes nothing. The entry keeps its id, key, files and state: one that is held stays held.

    With --payload: from a file, or standard input: the payload alone, or an object with `payload`,
    `labels` and `expires_at`, of which the last two may be missing. What is being sent, or in
    doubt, cannot be edited.
    """
    if payload is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise usage("there is no terminal for an editor here: give --payload FILE, or `-`")
    if payload is None:
        return partial(_edit_by_hand, context.obj, id_, as_json=as_json)
    return partial(_edit_from, context.obj, id_, payload, as_json=as_json)


def _edit_from(config: Path | None, id_: str, source: str, *, as_json: bool) -> int:
    agent = Agent(config)
    with opened(source) as reading:
        body = whole(reading)
    status, answer = agent.edit(id_, body)
    if status not in OK_ANSWERS:
        _tell_refusal(answer)
        raise _ending(status, answer)
    return _told(answer, as_json=as_json)


def _edit_by_hand(config: Path | None, id_: str, *, as_json: bool) -> int:
    agent = Agent(config)
    before = _pretty(_editable(agent, id_)["payload"])
    path = _new_file(id_, before)
    while True:
        _open_editor(path)
        after = path.read_bytes()
        if after == before:
            path.unlink()
            note("nothing was changed")
            return OK
        status, answer = _give(agent, id_, after, path)
        if status in OK_ANSWERS:
            path.unlink()
            return _told(answer, as_json=as_json)
        note(f"{detail_of(status, answer)}; what you wrote is in {path}")
        _tell_refusal(answer)
        if not typer.confirm("Edit it again?", default=True, err=True):
            note("nothing was changed")
            return REFUSED


def _give(agent: Agent, id_: str, payload: bytes, path: Path) -> tuple[int, Any]:
    """The agent's answer. Its text goes out as it was written: what is wrong is not for us to say.

    In an envelope, so that a payload is never taken for one; only JSON keeps to its place in that.
    """
    try:
        json.loads(payload)
    except (ValueError, RecursionError) as exc:
        return HTTPStatus.BAD_REQUEST, {"detail": f"it is no JSON: {exc}"}
    try:
        return agent.edit(id_, b'{"payload": ' + payload + b"}")
    except Ending as ending:
        raise Ending(ending.code, *ending.lines, f"What you wrote is in {path}.") from ending


def _editable(agent: Agent, id_: str) -> Mapping[str, Any]:
    """The entry, if an editor is worth opening. Raises Ending."""
    status, entry = agent.entry(id_)
    if status not in OK_ANSWERS:
        raise _ending(status, entry)
    if "payload" not in entry:
        raise Ending(REFUSED, f"entry {id_} is {entry['state']}: it cannot be edited any more")
    if entry["state"] == "leased" or entry["in_doubt"]:
        why = "is being sent now" if entry["state"] == "leased" else "is in doubt: it may be there"
        raise Ending(REFUSED, f"entry {id_} {why}; it cannot be edited")
    found: Mapping[str, Any] = entry
    return found


def _ending(status: int, answer: Any) -> Ending:
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return Ending(NO_INPUT, detail_of(status, answer))
    return ending_of(status, answer)


def _pretty(payload: Any) -> bytes:
    return (json.dumps(payload, indent=2, ensure_ascii=False) + "\n").encode()


def _new_file(id_: str, text: bytes) -> Path:
    """Only ours to read: it may hold what the agent keeps from others."""
    descriptor, name = tempfile.mkstemp(prefix=f"holdfast-{id_}-", suffix=".json")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    return Path(name)


def _open_editor(path: Path) -> None:
    """Raises Ending (66) when there is none."""
    command = next((said for name in EDITORS if (said := os.environ.get(name))), LAST_EDITOR)
    try:
        # The user's own choice, run as that user.
        subprocess.run([*shlex.split(command), str(path)], check=True)  # noqa: S603
    except (OSError, ValueError) as exc:
        path.unlink()
        hint = f"the editor {command!r} cannot be run: set $EDITOR, or give --payload FILE"
        raise Ending(NO_INPUT, hint) from exc
    except subprocess.CalledProcessError as exc:
        said = f"the editor ended with {exc.returncode}; nothing was changed"
        raise Ending(NO_INPUT, said, f"What you wrote is in {path}.") from exc


def _tell_refusal(answer: Any) -> None:
    for one in answer.get("errors", ()) if isinstance(answer, dict) else ():
        note(f"{one['pointer'] or 'as a whole'}: {one['detail']}")


def _told(answer: Mapping[str, Any], *, as_json: bool) -> int:
    done = "edited" if answer["changed"] else "unchanged"
    print_outcome(answer, f"{done} {answer['id']}: {answer['next']}", as_json=as_json)
    return OK
