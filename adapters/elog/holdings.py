"""Does the eLog still hold what it has confirmed? Looked up by the name that it gave it.

A post is asked for by its `_id` (elog sheet, section 5): one that a person has deleted since is
still there, marked as deleted, and must not be posted again. Of run parameters the run has to show
the names; their values may have been changed since.
"""

import json
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from adapters.answer import Answer
from adapters.elog import proofs
from adapters.elog.logbook import Logbook, of_experiment
from adapters.elog.payloads import escaped
from adapters.elog.verdicts import Asked, foreign, is_crash, value_of
from adapters.verdict import Parked
from storage.entry import Delivered

EXPERIMENT = re.compile(r"/lgbk/([^/]+)/ws/search_elog")


class Holdings:
    """What one logbook server holds of ours."""

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook

    async def holds(self, receipt: Delivered) -> bool | None:
        """Is it there? None: nobody can tell, or no payload is kept to tell by.

        Raises DeliveryError when the eLog cannot be asked now.
        """
        match receipt.kind:
            case "post":
                return await self._holds_post(receipt)
            case "run_params" if receipt.payload is not None:
                return await self._holds_params(json.loads(receipt.payload))
            case _:
                return None

    async def _holds_post(self, receipt: Delivered) -> bool | None:
        # The receipt's own place, not a label: producers may give labels as they like.
        place = EXPERIMENT.search(receipt.url or "")
        if place is None or not proofs.REMOTE_ID.fullmatch(receipt.remote_id):
            return None
        experiment = unquote(place[1])
        path = f"{of_experiment(experiment)}/search_elog"
        query = {"_id": receipt.remote_id}
        answer, asked = await self._logbook.ask("GET", path, experiment, params=query)
        found = _shown(answer, asked)
        if not isinstance(found, list):
            raise foreign(answer, asked)
        return any(isinstance(one, dict) and one.get("_id") == receipt.remote_id for one in found)

    async def _holds_params(self, payload: dict[str, object]) -> bool | None:
        experiment, run, params = payload["experiment"], payload["run"], payload["params"]
        if not (isinstance(experiment, str) and isinstance(params, dict)):
            return None
        path = f"{of_experiment(experiment)}/runs/{run}"
        answer, asked = await self._logbook.ask("GET", path, experiment)
        # The server crashes on an unknown run as on any fault of its own.
        existing = await self._logbook.runs(experiment) if is_crash(answer) else None
        if existing is not None and run not in existing:
            return False
        shown = _shown(answer, asked)
        if not (isinstance(shown, dict) and isinstance(shown.get("params"), dict)):
            raise foreign(answer, asked)
        return set(escaped(params)) <= set(shown["params"])


def _shown(answer: Answer, asked: Asked) -> Any:
    """What the eLog shows. Raises the verdict of any other answer, in words about looking."""
    try:
        return value_of(answer, asked)
    except Parked as refused:
        if answer.status != HTTPStatus.FORBIDDEN:
            raise
        detail = (
            f"{asked.account} may not read {asked.experiment} (403): give it the role Reader there"
        )
        raise Parked(detail, scope=asked.experiment, status=answer.status) from refused
