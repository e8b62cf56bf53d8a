"""The LCLS electronic logbook (explgbk): posts with attachments, and run parameters.

Promises: a post is confirmed by the id and the files that the server echoes, run parameters
by the echoed run. A post whose answer was lost is looked for by its marker before it is sent
again; run parameters are just sent again, which changes nothing on the server.
The protocol, with what each answer means: docs/backends/elog.md.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from pydantic import BaseModel, Field

from adapters.base import BackendKind, DeliveryError, EntryKind, Site, Verdict
from adapters.elog import files, proofs, runs, search
from adapters.elog.payloads import (
    Post,
    RunParams,
    parent_of,
    post_address,
    post_form,
    run_params_address,
)
from adapters.elog.twins import Twins
from adapters.elog.verdicts import Asked, NoSuchRun, is_crash
from adapters.http import Answer, HttpClient
from storage.entry import Claim, Doubt, Receipt

# The proxy tells by the first part of the path which credential it should look for.
GATES = {"none": "ws", "basic": "ws-auth", "bearer": "ws-jwt"}


class Options(BaseModel, extra="forbid", frozen=True):
    """The settings of an eLog backend beside the common ones."""

    instrument: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]+$",
        description="Name of the instrument, such as mfx; fills {instrument} in auth.username.",
    )
    gate: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="First part of the URL's path; chosen by auth.method when not given.",
    )
    marker: search.Marker = Field(
        default="jira_ticket",
        description="How a lost post is known again: a field that is not shown, a tag, its words.",
    )
    run_wait_seconds: float = Field(
        default=runs.WAIT_SECONDS,
        ge=0,
        description="How long an entry waits for a run that has not begun; 0: for ever.",
    )


class Elog:
    """Speaks to one logbook server."""

    def __init__(self, site: Site) -> None:
        self._now = site.now
        self._options: Options = site.options
        self._account = account(site)
        gate = site.options.gate or GATES[site.auth.method]
        self._base = f"{site.url.rstrip('/')}/{gate}/lgbk"
        self._http = HttpClient(site, base_url=self._base)
        self._twins = Twins()

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Send the entries one by one, in order."""
        return [await self._verdict(claim) for claim in claims]

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """Look for a post by its marker. Raises when the search is no proof either way.

        A host whose clock is far off has looked in the wrong window: it looks again, in the
        server's time. Other kinds are resent, not looked for: nothing is found.
        """
        if doubt.claim.kind != "post":
            return []
        post = Post.model_validate(json.loads(doubt.claim.payload))
        # Where a marker was sent, nothing else is compared.
        form = self._form(doubt.claim, post) if self._options.marker == "content" else {}
        sought = search.Sought(doubt, form, self._options.marker, self._now())
        found, skew = await self._search(post.experiment, search.first_look(sought))
        sought = replace(sought, skew=skew)
        again = search.second_look(sought)
        if again is not None:
            found, _ = await self._search(post.experiment, again)
        remote_ids = search.matches(found, sought)
        if sought.marker == "content":
            remote_ids = self._twins.free(doubt.claim, form, remote_ids)
        return [
            self._receipt(doubt.claim, post.experiment, remote_id, duplicate=True)
            for remote_id in remote_ids
        ]

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()

    async def _verdict(self, claim: Claim) -> Verdict:
        try:
            match claim.kind:
                case "post":
                    return await self._post(claim)
                case _:
                    return await self._add_run_params(claim)
        except DeliveryError as error:
            return error

    async def _post(self, claim: Claim) -> Receipt:
        post = Post.model_validate(json.loads(claim.payload))
        form = self._form(claim, post)
        path = f"{_logbook(post.experiment)}/new_elog_entry"
        with files.opened(claim.attachments) as parts, self._twins.under_way(claim, form):
            answer = await self._http.request("POST", path, form=form, files=parts or None)
        try:
            remote_id = proofs.stored_post(answer, self._asked(path, post.experiment), claim)
        except NoSuchRun as missing:
            if post.run is None:
                raise
            raise await self._missing_run(claim, post.experiment, post.run, answer) from missing
        self._twins.answered(claim, remote_id)
        return self._receipt(claim, post.experiment, remote_id)

    async def _add_run_params(self, claim: Claim) -> Receipt:
        entry = RunParams.model_validate(json.loads(claim.payload))
        path = f"/run_control/{quote(entry.experiment, safe='')}/ws/add_run_params"
        answer = await self._http.request(
            "POST", path, params={"run_num": str(entry.run)}, json_text=json.dumps(entry.params)
        )
        # The server crashes on an unknown run as on any fault of its own: only its list of runs
        # tells the one from the other.
        existing = await self._runs(entry.experiment) if is_crash(answer) else None
        if existing is not None and entry.run not in existing:
            raise self._of_run(claim, entry.experiment, entry.run, existing, answer)
        run_id = proofs.stored_params(answer, self._asked(path, entry.experiment), entry)
        # One run takes many entries: our id keeps the name of each apart from the others.
        return Receipt(claim.id, remote_id=f"{run_id}/{claim.id}")

    async def _search(
        self, experiment: str, query: dict[str, str]
    ) -> tuple[list[object], int | None]:
        """What was found, and how far the server's clock is ahead of ours."""
        path = f"{_logbook(experiment)}/search_elog"
        answer = await self._http.request("GET", path, params=query)
        found = proofs.found_entries(answer, self._asked(path, experiment))
        return found, search.skew(answer, self._now())

    async def _runs(self, experiment: str) -> list[int] | None:
        """The numbers of all runs; None when the eLog does not tell (the account may not read)."""
        path = f"{_logbook(experiment)}/runs"
        try:
            answer = await self._http.request("GET", path, params={"includeParams": "false"})
            return proofs.run_numbers(answer, self._asked(path, experiment))
        except DeliveryError:
            return None  # what is known already decides

    async def _missing_run(
        self, claim: Claim, experiment: str, run: int, answer: Answer
    ) -> DeliveryError:
        existing = await self._runs(experiment)
        return self._of_run(claim, experiment, run, existing, answer)

    def _of_run(
        self,
        claim: Claim,
        experiment: str,
        run: int,
        existing: list[int] | None,
        answer: Answer,
    ) -> DeliveryError:
        # The slower of both clocks: one that was set forward must not end the waiting.
        now = self._now() + min(0, search.skew(answer, self._now()) or 0)
        return runs.verdict(
            experiment,
            run,
            existing=existing,
            waited_seconds=(now - claim.accepted_at) / 1000,
            wait_seconds=self._options.run_wait_seconds,
            answer=answer,
        )

    def _form(self, claim: Claim, post: Post) -> dict[str, str]:
        return search.marked(post_form(post, parent_of(post, claim)), claim, self._options.marker)

    def _asked(self, path: str, experiment: str) -> Asked:
        return Asked(self._base + path, experiment, self._account)

    def _receipt(
        self, claim: Claim, experiment: str, remote_id: str, *, duplicate: bool = False
    ) -> Receipt:
        url = f"{self._base}{_logbook(experiment)}/search_elog?_id={remote_id}"
        return Receipt(claim.id, remote_id=remote_id, url=url, duplicate=duplicate)


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


def _logbook(experiment: str) -> str:
    return f"/lgbk/{quote(experiment, safe='')}/ws"


KIND = BackendKind(
    options=Options,
    adapter=Elog,
    kinds={
        "post": EntryKind(
            payload=Post,
            address=post_address,
            in_doubt="find",
            takes_attachments=True,
            max_attachment_bytes=files.MAX_BYTES,
        ),
        "run_params": EntryKind(payload=RunParams, address=run_params_address, in_doubt="resend"),
    },
    main_kind="post",
    batch_size=1,
    concurrency=2,
    settles_after_seconds=10,
    settles_per_file_seconds=search.FILE_MS / 1000,
    absent_answers=2,
    aliases={"run_table": "run_params"},
)
