"""How every part of the eLog adapter asks the server: the gate, the account, the words for both.

Promises: a request goes through the gate that its credential belongs to (elog sheet, section 1);
whoever is told of an answer is told as whom we asked. Raises only DeliveryErrors.
"""

import re
from typing import Any
from urllib.parse import quote

from adapters.base import DeliveryError, Parked, Site
from adapters.elog import proofs, runs, search
from adapters.elog.verdicts import Asked
from adapters.http import Answer, HttpClient
from storage.entry import Claim

# The proxy tells by the first part of the path which credential it should look for.
GATES = {"none": "ws", "basic": "ws-auth", "bearer": "ws-jwt"}


class Logbook:
    """One logbook server. `options` are the backend's own; `now` gives epoch ms."""

    def __init__(self, site: Site) -> None:
        self.options = site.options
        self.now = site.now
        self.host = site.host
        self._account = account(site)
        gate = site.options.gate or GATES[site.auth.method]
        self._base = f"{site.url.rstrip('/')}/{gate}/lgbk"
        self._http = HttpClient(site, base_url=self._base)

    async def ask(
        self, method: str, path: str, experiment: str, *, as_person: bool = False, **request: Any
    ) -> tuple[Answer, Asked]:
        """What the server answers, and for the words of a verdict: where and as whom we asked.

        `as_person`: not as an operator account, to which the server refuses it "for security
        reasons" (elog sheet, section 3.9). `request`: as for HttpClient.request. Raises Parked
        where we have no other account.
        """
        if as_person and is_operator(self._account):
            raise Parked(
                f"an operator account ({self._account}) may not do this in {experiment}: the eLog"
                " takes it from people only. Set auth.method to kerberos, bearer or auto",
                scope=f"{experiment}/as a person",
            )
        answer = await self._http.request(method, path, **request)
        return answer, Asked(self._base + path, experiment, self._account)

    def place(self, path: str) -> str:
        """The whole URL of a path, where a person can look."""
        return self._base + path

    async def runs(self, experiment: str) -> list[int] | None:
        """The numbers of all runs; None when the eLog does not tell (the account may not read)."""
        path = f"{of_experiment(experiment)}/runs"
        try:
            answered = await self.ask("GET", path, experiment, params={"includeParams": "false"})
            return proofs.run_numbers(*answered)
        except DeliveryError:
            return None  # what is known already decides

    def of_run(
        self,
        claim: Claim,
        experiment: str,
        run: int,
        existing: list[int] | None,
        answer: Answer,
    ) -> DeliveryError:
        """What becomes of an entry for a run that `answer` says is not there."""
        # The slower of both clocks: one that was set forward must not end the waiting.
        now = self.now() + min(0, search.skew(answer, self.now()) or 0)
        return runs.verdict(
            experiment,
            run,
            existing=existing,
            waited_seconds=(now - claim.accepted_at) / 1000,
            wait_seconds=self.options.run_wait_seconds,
            answer=answer,
        )

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def account(site: Site) -> str:
    """Who we are, for the words of a verdict."""
    match site.auth.method:
        case "none":
            return "nobody (auth.method is none)"
        case "basic":
            username = str(site.auth.username)
            instrument = site.options.instrument
            return username.replace("{instrument}", str(instrument)) if instrument else username
        case _:
            return "the account of our token"


def is_operator(name: str) -> bool:
    """Is it an account of an instrument, as the server tells them (elog sheet, section 3.9)?"""
    return name == "root" or bool(re.fullmatch(r"...opr", name))


def of_experiment(experiment: str) -> str:
    """The path below which an experiment's logbook is."""
    return f"/lgbk/{quote(experiment, safe='')}/ws"
