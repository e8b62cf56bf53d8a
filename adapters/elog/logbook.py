"""How every part of the eLog adapter asks the server: the gate, the account, the words for both.

Promises: a request goes through the gate that its credential belongs to (elog sheet, section 1);
whoever is told of an answer is told as whom we asked. Raises only DeliveryErrors.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from adapters.answer import Answer
from adapters.base import Site
from adapters.elog import proofs, runs, search
from adapters.elog.accounts import GATES, Account, Accounts, Active
from adapters.elog.verdicts import Asked
from adapters.http import HttpClient
from adapters.preview import Preview
from adapters.verdict import DeliveryError, Parked
from storage.entry import Claim

FORBIDDEN = 403


class Logbook:
    """One logbook server. `options` are the backend's own; `now` gives epoch ms."""

    def __init__(self, site: Site) -> None:
        self.options = site.options
        self.now = site.now
        self.host = site.host
        self._url = site.url.rstrip("/")
        self._http = HttpClient(site)
        self.active = Active(site, self._http)
        self._accounts = Accounts(site, self.active)

    async def ask(
        self, method: str, path: str, experiment: str, *, as_person: bool = False, **request: Any
    ) -> tuple[Answer, Asked]:
        """What the server answers, and for the words of a verdict: where and as whom we asked.

        `as_person`: not as an operator account, to which the server refuses it "for security
        reasons" (elog sheet, section 3.9). `request`: as for HttpClient.request, and it may go
        out twice: a 403, which has done nothing, is tried once as the other account, if there
        is one. Raises Parked where we have no other account.
        """
        scope = f"{experiment}/as a person" if as_person else experiment
        account = await self._accounts.of(experiment, as_person=as_person)
        url = self._address(account, path)
        asked = Asked(url, experiment, account.name)
        answer = await self._asked_as(account, scope, method, url, request)
        other = self._accounts.other(account) if answer.status == FORBIDDEN else None
        if other is None or as_person:
            return answer, asked
        url = self._address(other, path)
        try:
            answer = await self._asked_as(other, scope, method, url, request)
        except DeliveryError as error:
            if error.shown_to != "nobody" and not isinstance(error, Parked):
                raise
            both = f"{account.name} (as {other.name} it cannot be tried: {error.detail})"
            return answer, replace(asked, account=both)
        both = f"{other.name} (and before that {account.name})"
        return answer, Asked(url, experiment, both if answer.status == FORBIDDEN else other.name)

    async def ask_openly(self, path: str, experiment: str) -> tuple[Answer, Asked]:
        """What the server answers to a question that anybody may ask: no credential is shown.

        Where the settings name the one gate there is, it goes through that as everything does.
        """
        if self.options.gate is not None:
            return await self.ask("GET", path, experiment)
        url = self._open_address(path)
        answer = await self._http.request("GET", url, anonymous=True)
        return answer, Asked(url, experiment, "nobody")

    def preview_openly(self, path: str, experiment: str) -> Preview:
        """What `ask_openly` would send."""
        if self.options.gate is not None:
            return self.preview("GET", path, experiment)
        return self._http.preview("GET", self._open_address(path), anonymous=True)

    def preview(
        self,
        method: str,
        path: str,
        experiment: str,
        *,
        as_person: bool = False,
        remarks: Sequence[str] = (),
        **request: Any,
    ) -> Preview:
        """What `ask` would send; `request`: as for HttpClient.preview. Raises as `ask` does."""
        account, remark = self._accounts.likely(experiment, as_person=as_person)
        url = self._address(account, path)
        remarks = [*remarks, *([remark] if remark else [])]
        return self._http.preview(method, url, auth=account.auth, remarks=remarks, **request)

    def place(self, path: str) -> str:
        """The whole URL of a path, where a person can look."""
        return self._address(self._accounts.person, path)

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

    async def _asked_as(
        self, account: Account, scope: str, method: str, url: str, request: dict[str, Any]
    ) -> Answer:
        """The answer to one account. Raises Parked where only the person cannot be had."""
        try:
            self._accounts.check(account)
            answer = await self._http.request(method, url, auth=account.auth, **request)
        except DeliveryError as error:
            raise self._accounts.without(account, error, scope) from error
        if (parked := self._accounts.unwanted(account, answer, url, scope)) is not None:
            raise parked
        return answer

    def _address(self, account: Account, path: str) -> str:
        return f"{self._url}/{account.gate}/lgbk{path}"

    def _open_address(self, path: str) -> str:
        return f"{self._url}/{GATES['none']}/lgbk{path}"


def of_experiment(experiment: str) -> str:
    """The path below which an experiment's logbook is."""
    return f"/lgbk/{quote(experiment, safe='')}/ws"
