"""The LCLS electronic logbook (explgbk): posts, run parameters, workflows, and run status.

Promises: a post is confirmed by the id and the files that the server echoes, run parameters
by the echoed run. A post whose answer was lost is looked for by its marker before it is sent
again; run parameters are just sent again, which changes nothing on the server. Questions are
answered by `reads/`. The protocol, with what each answer means: docs/backends/elog.md.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, Field

from adapters.base import BackendKind, EntryKind, Site
from adapters.elog import files, late, run_status, runs, search
from adapters.elog.accounts import check_auth
from adapters.elog.current import Current
from adapters.elog.holdings import Holdings
from adapters.elog.logbook import Logbook
from adapters.elog.opening import is_open, openable
from adapters.elog.params import Params
from adapters.elog.payloads import Post, RunParams, payload_of, post_address, run_params_address
from adapters.elog.posts import Posts
from adapters.elog.reads.reader import ElogReader
from adapters.elog.reads.resources import RESOURCES
from adapters.elog.run_status import RunStatus, RunStatuses, run_status_address
from adapters.elog.workflow import Workflow, Workflows, workflow_address
from adapters.preview import Preview
from adapters.verdict import DeliveryError, Resolved, Verdict
from storage.entry import Claim, Delivered, Doubt, Receipt, Resolution

Deliver = Callable[[Claim], Awaitable[Verdict]]
Find = Callable[[Doubt], Awaitable[Sequence[Receipt]]]
Show = Callable[[Claim], Preview]


class Options(BaseModel, extra="forbid", frozen=True):
    """The settings of an eLog backend beside the common ones."""

    instrument: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]+$",
        description="Name of the instrument, such as mfx: fills {instrument} in auth.username, and"
        ' says whose experiment is "current".',
    )
    station: int = Field(default=0, ge=0, description="Which of the instrument's stations.")
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
    late_after_seconds: float = Field(
        default=late.AFTER_SECONDS,
        ge=0,
        description="A post that is first sent so long after it was written says so; 0: never.",
    )
    author_from_uid: bool = Field(
        default=False,
        description="A post without an author is its producer's, by the name of that account.",
    )
    run_status_urls: tuple[run_status.Prefix, ...] = Field(
        default=(),
        description="Addresses below which job services (JID) may be told run status; none: none.",
    )


class Elog:
    """Speaks to one logbook server."""

    def __init__(self, site: Site) -> None:
        self._logbook = Logbook(site)
        self._current = Current(self._logbook)
        self._holdings = Holdings(self._logbook)
        posts, params = Posts(self._logbook), Params(self._logbook)
        workflows = Workflows(self._logbook)
        self._run_statuses = RunStatuses(site)
        self._deliver: dict[str, Deliver] = {
            "post": posts.deliver,
            "run_params": params.deliver,
            "run_status": self._run_statuses.deliver,
            "workflow": workflows.deliver,
        }
        self._find: dict[str, Find] = {"post": posts.find, "workflow": workflows.find}
        self._preview: dict[str, Show] = {
            "post": posts.preview,
            "run_params": params.preview,
            "run_status": self._run_statuses.preview,
            "workflow": workflows.preview,
        }

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Send the entries one by one, in order."""
        return [await self._verdict(claim) for claim in claims]

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """Look for what may have arrived. What is resent, not looked for, is never found."""
        find = self._find.get(doubt.claim.kind)
        # Nothing is sent while it is open where it belongs.
        return await find(doubt) if find and not is_open(payload_of(doubt.claim)) else []

    async def resolve(
        self, kind: str, payload: Mapping[str, Any], created_at: int
    ) -> Resolution | None:
        """What an entry that is being accepted leaves open. Raises DeliveryError."""
        return await self._current.at_accept(KIND.kinds[kind], payload, created_at)

    async def holds(self, receipt: Delivered) -> bool | None:
        """Look where the receipt says that it is. None: it is no post and no run parameters."""
        return await self._holdings.holds(receipt)

    def preview(self, claim: Claim) -> Sequence[Preview]:
        """The request that would store the entry; none for a kind that cannot be shown."""
        show = self._preview.get(claim.kind)
        return [show(claim)] if show else []

    async def close(self) -> None:
        """Close connections."""
        await self._logbook.close()
        await self._run_statuses.close()

    async def _verdict(self, claim: Claim) -> Verdict:
        try:
            if is_open(payload_of(claim)):
                return Resolved(await self._current.of_claim(KIND.kinds[claim.kind], claim))
            return await self._deliver[claim.kind](claim)
        except DeliveryError as error:
            return error


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
        "run_status": EntryKind(
            payload=RunStatus,
            address=run_status_address,
            in_doubt="resend",
            takes_attachments=True,
            max_attachment_bytes=run_status.MAX_CREDENTIAL_BYTES,
            check=run_status.allowed,
            lifetime_seconds=run_status.LIFETIME_SECONDS,
            secret=run_status.CREDENTIAL,
            elsewhere=True,
        ),
        "workflow": EntryKind(payload=Workflow, address=workflow_address, in_doubt="find"),
    },
    main_kind="post",
    batch_size=1,
    concurrency=2,
    settles_after_seconds=10,
    settles_per_file_seconds=search.FILE_MS / 1000,
    absent_answers=2,
    aliases={"run_table": "run_params"},
    check_auth=check_auth,
    resolve=Elog.resolve,
    reader=ElogReader,
    resources=RESOURCES,
)
# Each of them may leave open its experiment, and its run if it has one.
KIND = replace(KIND, kinds=openable(KIND.kinds))
