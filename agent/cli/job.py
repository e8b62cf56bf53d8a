"""What a batch job's environment says of it: where its counters go, whose it is, with which token.

Promises: only what the entry does not say itself is filled in; the token goes along as a file that
nobody else can read, and is in no text that anybody sees. Source: elog sheet, section 3.10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.cli.inputs import no_input
from agent.cli.options import CURRENT
from agent.client import Upload

BACKEND_KIND, KIND = "elog", "run_status"
URLS = ("JID_UPDATE_COUNTERS", "ARP_UPDATE_COUNTERS")  # the first that is set
JOB_ID, EXPERIMENT, RUN = "ARP_ROOT_JOB_ID", "EXPERIMENT", "RUN_NUM"
TOKEN = "Authorization"  # noqa: S105 - the name of a variable
TOKEN_FILE = "authorization"  # noqa: S105 - the name that the adapter knows the attachment by
LONGEST_RUN = 18  # digits; fits into 64 bits


def filled(payload: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The payload with what it leaves out, as far as the job's environment tells."""
    return {**_told(environment), **payload}


def token_of(environment: Mapping[str, str]) -> Upload | None:
    """The job's token as a file to attach; None: the environment has none."""
    token = environment.get(TOKEN, "").strip()
    return Upload(Path(f"${TOKEN}"), TOKEN_FILE, content=token.encode()) if token else None


def guarded(files: Sequence[Upload]) -> tuple[Upload, ...]:
    """The files, the token's with its bytes: nobody else may read it wherever it is left.

    Raises Ending (66).
    """
    try:
        return tuple(
            replace(one, content=one.path.read_bytes())
            if one.name == TOKEN_FILE and one.content is None
            else one
            for one in files
        )
    except OSError as exc:
        raise no_input(exc) from exc


def _told(environment: Mapping[str, str]) -> dict[str, Any]:
    url = next((environment[name] for name in URLS if environment.get(name)), None)
    found = {
        "update_url": url,
        "job_id": environment.get(JOB_ID) or None,
        "experiment": environment.get(EXPERIMENT) or None,
        "run": _run(environment.get(RUN, "")),
        "user": _login(),
    }
    return {name: value for name, value in found.items() if value is not None}


def _run(text: str) -> int | str | None:
    """The number; or the words that stand there in its place, where the adapter may take them."""
    if text.isascii() and text.isdecimal() and len(text) <= LONGEST_RUN:
        return int(text)
    return text if text.isprintable() and text not in ("", CURRENT) else None


def _login() -> str | None:
    from getpass import getuser  # noqa: PLC0415 - only jobs need it

    try:
        return getuser()
    except (OSError, KeyError, ImportError):  # a user id without a name
        return None
