"""The LCLS electronic logbook (explgbk): posts with attachments, and run parameters.

Promises: a post is confirmed by the id and the files that the server echoes, run parameters
by the echoed run. A post whose answer was lost is looked for by its marker before it is sent
again; run parameters are just sent again, which changes nothing on the server.
The protocol, with what each answer means: docs/backends/elog.md.
"""

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field

from adapters.base import (
    BackendKind,
    DeliveryError,
    EntryKind,
    Rejected,
    Site,
    Uncertain,
    Verdict,
)
from adapters.elog import files, search
from adapters.elog.payloads import (
    Post,
    RunParams,
    escaped,
    post_address,
    post_form,
    run_params_address,
)
from adapters.elog.verdicts import foreign, value_of
from adapters.http import Answer, HttpClient
from storage.entry import Claim, Doubt, Receipt

# The proxy tells by the first part of the path which credential it should look for.
GATES = {"none": "ws", "basic": "ws-auth", "bearer": "ws-jwt"}
REMOTE_ID = re.compile(r"[0-9a-f]{24}")


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
        description="Where a post carries our id: in a field that is not shown, or in a tag.",
    )


class Elog:
    """Speaks to one logbook server."""

    def __init__(self, site: Site) -> None:
        self._now = site.now
        self._marker: search.Marker = site.options.marker
        gate = site.options.gate or GATES[site.auth.method]
        self._base = f"{site.url.rstrip('/')}/{gate}/lgbk"
        self._http = HttpClient(site, base_url=self._base)

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
        experiment = json.loads(doubt.claim.payload)["experiment"]
        if self._marker == "tag":
            query = {"tag": search.marker_tag(doubt.claim)}
            return (await self._search(doubt, experiment, query))[0]
        found, skew = await self._search(doubt, experiment, search.window(doubt))
        if not found and abs(skew) > search.MARGIN_MS / 2:
            found, _ = await self._search(doubt, experiment, search.window(doubt, skew))
        return found

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
        form = search.marked(post_form(post), claim, self._marker)
        path = f"/lgbk/{quote(post.experiment, safe='')}/ws/new_elog_entry"
        with files.opened(claim.attachments) as parts:
            answer = await self._http.request("POST", path, form=form, files=parts or None)
        stored = value_of(answer, self._base + path, post.experiment)
        if not isinstance(stored, dict) or not REMOTE_ID.fullmatch(str(stored.get("_id"))):
            raise foreign(answer, self._base + path)
        files.check_echo(claim.attachments, stored)
        return self._receipt(claim, post.experiment, stored["_id"])

    async def _add_run_params(self, claim: Claim) -> Receipt:
        entry = RunParams.model_validate(json.loads(claim.payload))
        path = f"/run_control/{quote(entry.experiment, safe='')}/ws/add_run_params"
        answer = await self._http.request(
            "POST", path, params={"run_num": str(entry.run)}, json_text=json.dumps(entry.params)
        )
        run = value_of(answer, self._base + path, entry.experiment)
        if not _is_run(run, entry.run):
            raise foreign(answer, self._base + path)
        _check_params(entry, run["params"], answer)
        # One run takes many entries: our id keeps the name of each apart from the others.
        return Receipt(claim.id, remote_id=f"{run['_id']}/{claim.id}")

    async def _search(
        self, doubt: Doubt, experiment: str, query: dict[str, str]
    ) -> tuple[list[Receipt], int]:
        path = f"/lgbk/{quote(experiment, safe='')}/ws/search_elog"
        answer = await self._http.request("GET", path, params=query)
        found = _entries(answer, self._base + path, experiment)
        receipts = [
            self._receipt(doubt.claim, experiment, remote_id, duplicate=True)
            for remote_id in search.matches(found, doubt.claim, self._marker)
        ]
        return receipts, search.skew(answer, self._now())

    def _receipt(
        self, claim: Claim, experiment: str, remote_id: str, *, duplicate: bool = False
    ) -> Receipt:
        url = f"{self._base}/lgbk/{quote(experiment, safe='')}/ws/search_elog?_id={remote_id}"
        return Receipt(claim.id, remote_id=remote_id, url=url, duplicate=duplicate)


def _is_run(value: Any, number: int) -> bool:
    """Is this the document of that run? Without its run_num the server takes the latest run."""
    match value:
        case {"_id": str(), "num": int(found), "params": dict()}:
            return found == number
        case _:
            return False


def _check_params(entry: RunParams, echoed: dict[str, Any], answer: Answer) -> None:
    for name, value in escaped(entry.params).items():
        if name not in echoed or echoed[name] != value:
            detail = f"run {entry.run} of {entry.experiment} does not show {name!r} as it was sent"
            raise Uncertain(detail, status=answer.status, excerpt=answer.text)


def _entries(answer: Answer, url: str, experiment: str) -> list[Any]:
    """The entries that a search found. A search that the server rejects is no "not there"."""
    try:
        found = value_of(answer, url, experiment)
    except Rejected as exc:
        detail = f"the search for a lost entry failed: {exc.detail}"
        raise Uncertain(detail, status=exc.status, excerpt=exc.excerpt) from exc
    if not isinstance(found, list):
        raise foreign(answer, url)
    return found


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
    absent_answers=2,
    aliases={"run_table": "run_params"},
)
