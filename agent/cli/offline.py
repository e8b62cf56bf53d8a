"""The status while no agent runs. Loads the storage: only imported when it is needed."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from agent.cli.endings import CONFIGURATION, DAEMON_NEEDED, Ending, daemon_needed
from agent.cli.raw import backends_of, kind_of, urls_of
from agent.client import Denied, Unanswered, group_of, places_of
from agent.pausing import in_force
from agent.severity import NOT_RUNNING
from agent.spool.listing import count_spool
from agent.status import Picture, build_status
from config.sources import Sources
from storage.offline import AgentLives, Damaged, Unreadable, read_still
from storage.upgrade import SchemaError


def status_from_files(found: Sources, failure: Unanswered) -> dict[str, Any]:
    """The contract's status with `running` false.

    `failure`: why the agent could not be asked. Raises Ending: 69 when one runs all the same,
    3 when none does and its files may not be read, 78 for a database of another version.
    """
    places = places_of(found)
    kinds = {name: kind_of(found, name) or "" for name in backends_of(found)}
    now = round(datetime.now(UTC).timestamp() * 1000)
    try:
        still = read_still(places.state_dir, urls_of(found), now=now)
    except AgentLives as exc:
        raise _hidden(found, failure, str(exc)) from exc
    except Damaged as exc:
        raise Ending(
            NOT_RUNNING,
            f"no agent is running ({failure}), and its database cannot be counted: {exc}",
            "Start the agent: it moves the database aside, saves what can be read of it, and"
            " goes on. Do not delete anything.",
        ) from exc
    except Unreadable as exc:
        raise _unreadable(found, failure, exc) from exc
    except SchemaError as exc:
        raise Ending(CONFIGURATION, str(exc)) from exc
    return build_status(
        Picture(
            now=now,
            kinds=kinds,
            counts=still.counts,
            rests=still.rests,
            pauses=in_force(still.pauses, now),
            waiting=still.waiting,
            rates=still.rates,
            salvaged=still.salvaged,
            spool=count_spool(places.spool_dir, kinds),
            version=version("holdfast"),
        )
    )


def _hidden(found: Sources, failure: Unanswered, said: str) -> Ending:
    """It runs, and we cannot talk to it."""
    if isinstance(failure, Denied):
        return daemon_needed(failure, found.file)
    hint = "it may be starting, or stopping, or have been started with other settings"
    return Ending(DAEMON_NEEDED, f"{said}, but {failure}: {hint}")


def _unreadable(found: Sources, failure: Unanswered, exc: Unreadable) -> Ending:
    if isinstance(failure, Denied):
        return daemon_needed(failure, found.file)
    group = group_of(exc.path) or group_of(exc.path.parent)
    return Ending(
        NOT_RUNNING,
        f"no agent is running ({failure}), and its files cannot be read: {exc}",
        f"Members of the group {group} may read them." if group else "Ask its owner.",
    )
