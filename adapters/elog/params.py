"""Run parameters: merged into a run, proven by the run that comes back.

Promises: sending the same again changes nothing on the server, so a lost answer is no harm.
"""

import json
from urllib.parse import quote

from adapters.elog import proofs
from adapters.elog.logbook import Logbook
from adapters.elog.payloads import RunParams, payload_of
from adapters.elog.verdicts import is_crash
from adapters.preview import Preview
from storage.entry import Claim, Receipt


class Params:
    """The run parameters of one logbook server."""

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook

    async def deliver(self, claim: Claim) -> Receipt:
        """Send the parameters. Raises DeliveryError."""
        entry = RunParams.model_validate(payload_of(claim))
        path, query, body = request_of(entry)
        answer, asked = await self._logbook.ask(
            "POST", path, entry.experiment, params=query, json_text=body
        )
        # The server crashes on an unknown run as on any fault of its own: only its list of runs
        # tells the one from the other.
        existing = await self._logbook.runs(entry.experiment) if is_crash(answer) else None
        run = entry.run
        if existing is not None and isinstance(run, int) and run not in existing:
            raise self._logbook.of_run(claim, entry.experiment, run, existing, answer)
        run_id = proofs.stored_params(answer, asked, entry)
        # One run takes many entries: our id keeps the name of each apart from the others.
        return Receipt(claim.id, remote_id=f"{run_id}/{claim.id}")

    def preview(self, claim: Claim) -> Preview:
        """The parameters as they are sent."""
        entry = RunParams.model_validate(payload_of(claim))
        path, query, body = request_of(entry)
        return self._logbook.preview("POST", path, entry.experiment, params=query, json_text=body)


def request_of(entry: RunParams) -> tuple[str, dict[str, str], str]:
    """Path, query and body of the request."""
    path = f"/run_control/{quote(entry.experiment, safe='')}/ws/add_run_params"
    return path, {"run_num": str(entry.run)}, json.dumps(entry.params)
