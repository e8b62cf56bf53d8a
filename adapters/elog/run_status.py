"""Run status: counters of a job, as the web page shows them beside its workflow.

Promises: the latest value of each counter wins; what others have written there stays as it is, and
where it stands; a list that could not be read is never written over; only a list that shows our
values is a receipt. Whatever goes wrong with the job service rests the job, or that service, never
the eLog's own entries. The job's credential is read at send time from the entry's own file, which
goes when the entry does.
"""

import hashlib
import html
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from adapters.base import Site
from adapters.elog.files import Source
from adapters.elog.jid import REPLACE, Counter, Jid, Job, JobRefused, built, job_of, place_of
from adapters.elog.payloads import Experiment, payload_of, printable
from adapters.preview import Preview
from adapters.verdict import (
    DeliveryError,
    Held,
    Parked,
    Rejected,
    Superseded,
    Throttled,
)
from storage.entry import Address, Claim, Receipt

CREDENTIAL = "authorization"  # the attachment that holds the value of the job's header of this name
MAX_CREDENTIAL_BYTES = 16_384
LIFETIME_SECONDS = 86_400.0  # a job is over by then, and its credential long before
ROUNDS = 3  # times that the list is written because others write it at the same moment
REMEMBERED = 1000  # jobs whose newest values are known
BY_SETTINGS = "jid by settings"  # the scope of what does not name its job service

Scalar = str | int | float | bool
Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)]
JobId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.~+-]*$", max_length=200)
]


def job_url(url: str) -> str:
    """`url` if it is one of replace_counters. Raises ValueError."""
    job_of(url)
    return url


def prefix(url: str) -> str:
    """`url` if addresses of job services can begin so. Raises ValueError."""
    if REPLACE in place_of(url).path:
        raise ValueError("must end before /jid/ws: what follows is found out")
    return url


UpdateUrl = Annotated[str, StringConstraints(max_length=500), AfterValidator(job_url)]
Prefix = Annotated[str, AfterValidator(prefix)]


class RunStatus(BaseModel):
    """Counters of one job. `update_url`: as the job service told the job, else by the settings."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    counters: dict[str, Scalar | None] = Field(min_length=1)
    update_url: UpdateUrl | None = None
    experiment: Experiment | None = Field(default=None, validate_default=True)
    job_id: JobId | None = Field(default=None, validate_default=True)
    run: Annotated[int, Field(ge=0)] | Line | None = None
    user: Line | None = None

    @field_validator("counters")
    @classmethod
    def _named(cls, counters: dict[str, Any]) -> dict[str, Any]:
        if any(not name.strip() for name in counters):
            raise ValueError("a counter needs a name")
        return counters

    @field_validator("experiment")
    @classmethod
    def _known(cls, experiment: str | None, info: ValidationInfo) -> str | None:
        if experiment == "current":
            raise ValueError('"current" cannot be used here: a job belongs to one experiment')
        if "update_url" not in info.data:
            return experiment  # it was refused already
        url = info.data["update_url"]
        told = job_of(url).experiment if url is not None else None
        if experiment is None and told is None:
            raise ValueError("is required where update_url does not name it")
        if told is not None and experiment not in (None, told):
            raise ValueError(f"is another one than update_url names: {told}")
        return experiment

    @field_validator("job_id")
    @classmethod
    def _addressed(cls, job_id: str | None, info: ValidationInfo) -> str | None:
        if job_id is None and info.data.get("update_url", "") is None:
            raise ValueError("is required where there is no update_url")
        return job_id

    @field_validator("run")
    @classmethod
    def _numbered(cls, run: int | str | None) -> int | str | None:
        if run == "current":
            raise ValueError('"current" cannot be used here: name the run by its number')
        return run


def allowed(entry: RunStatus, options: Any) -> Iterator[tuple[str, str]]:
    """What the settings have against it: whoever is named there gets the job's credential."""
    setting = "run_status_urls of this backend (backends.NAME.run_status_urls)"
    prefixes = options.run_status_urls
    if not prefixes:
        yield "", f"run status is not taken here: {setting} names no job service"
    elif entry.update_url is not None and not below(job_of(entry.update_url), prefixes):
        yield "/update_url", f"does not lie below any of the addresses in {setting}"


def below(job: Job, prefixes: Iterable[str]) -> bool:
    """Is the whole job service below one of the prefixes, also where it is only read?"""
    service = replace(job.place, path=job.service)
    return any(place_of(one).covers(service) for one in prefixes)


def run_status_address(entry: RunStatus) -> Address:
    """Counters of one job stay in order; a job service, and a job, can refuse by itself."""
    service, experiment, job = BY_SETTINGS, entry.experiment, entry.job_id
    if entry.update_url is not None:
        told = job_of(entry.update_url)
        service = f"jid {told.place.host}:{told.place.port}"
        experiment, job = told.experiment or experiment, told.id
    names = json.dumps(sorted(entry.counters))
    labels = {"experiment": str(experiment), "job": str(job)}
    return Address(
        stream=f"counters {experiment}/{job}",
        scope=f"{service}/{experiment}/{job}",
        slot=f"counters {experiment}/{job} {hashlib.sha256(names.encode()).hexdigest()[:32]}",
        labels=labels if entry.run is None else {**labels, "run": str(entry.run)},
    )


class RunStatuses:
    """The counters of all jobs."""

    def __init__(self, site: Site) -> None:
        self._options = site.options
        self._jid = Jid(site)
        self._newest: OrderedDict[str, dict[str, int]] = OrderedDict()

    async def deliver(self, claim: Claim) -> Receipt | Superseded:
        """Merge the counters into those that the job shows. Raises DeliveryError."""
        entry = RunStatus.model_validate(payload_of(claim))
        if not claim.newest_of_slot and not claim.in_doubt:
            return Superseded("newer values of the same counters of this job wait")
        job = self._job(entry)
        where = run_status_address(entry)
        ours = self._not_older(shown(entry.counters), str(where.stream), claim.seq)
        if not ours:
            return Superseded("newer values of these counters of this job were delivered")
        credential = credential_of(claim)
        try:
            before = await self._shown(job, entry, ours, credential)
        except DeliveryError as error:
            raise parked(error, str(where.scope)) from error
        self._remember(str(where.stream), ours, claim.seq)
        remote_id = f"{where.labels['experiment']}/{job.id}/{claim.id}"
        return Receipt(claim.id, remote_id=remote_id, duplicate=before)

    def preview(self, claim: Claim) -> Preview:
        """The counters as they are sent where the job shows none yet. Raises Held as `deliver`."""
        entry = RunStatus.model_validate(payload_of(claim))
        job = self._job(entry)
        read_url = job.read_url(str(job.experiment or entry.experiment))
        proof = ", with the job's token as Authorization" if claim.attachments else ""
        remark = (
            f"POST {read_url} before{proof}: what others have written there stays, in its place"
        )
        return self._jid.preview(job.write_url, merged([], shown(entry.counters)), [remark])

    async def close(self) -> None:
        """Close connections."""
        await self._jid.close()

    async def _shown(
        self, job: Job, entry: RunStatus, ours: Mapping[str, str], credential: str | None
    ) -> bool:
        """Wait until the job shows ours; True: it did so before. Raises DeliveryError.

        Others may write at the same moment, each with what it has read: so it is read once more,
        and written again where ours did not stay.
        """
        experiment = str(job.experiment or entry.experiment)
        asked = document(entry, job, experiment)
        read_url = job.read_url(experiment)
        there = await self._jid.counters(read_url, asked, credential)
        if shows(there, ours):
            return True
        for _ in range(ROUNDS):
            await self._jid.replace(job.write_url, merged(there, ours), credential)
            there = await self._jid.counters(read_url, asked, credential)
            if shows(there, ours):
                return False
        said = "took the counters and does not show them: do others write them at this moment?"
        raise JobRefused(f"{job.write_url} {said}")

    def _job(self, entry: RunStatus) -> Job:
        """Where its counters are. Raises Held where the settings do not say so any more."""
        for _, fault in allowed(entry, self._options):
            raise Held(f"{fault}. Set it right and release the entry, or discard it")
        if entry.update_url is not None:
            return job_of(entry.update_url)
        first = self._options.run_status_urls[0]
        return built(first, str(entry.experiment), str(entry.job_id))

    def _not_older(self, ours: dict[str, str], stream: str, seq: int) -> dict[str, str]:
        """Without what a later entry has set already: this one was held, or retried."""
        newest = self._newest.get(stream, {})
        return {key: value for key, value in ours.items() if newest.get(key, seq) <= seq}

    def _remember(self, stream: str, keys: Iterable[str], seq: int) -> None:
        self._newest.setdefault(stream, {}).update(dict.fromkeys(keys, seq))
        self._newest.move_to_end(stream)
        if len(self._newest) > REMEMBERED:
            self._newest.popitem(last=False)


def credential_of(claim: Claim) -> str | None:
    """The value of the job's header; None: the job has none. Raises Rejected, without the value."""
    for file in claim.attachments:
        with Source(file) as source:
            said = source.read().strip()
        if not (said.isascii() and said.decode("ascii").isprintable() and said):
            raise Rejected(
                f"the attachment {CREDENTIAL!r} is no value of a header, which is one line of"
                " printable ASCII: hand the entry in again"
            )
        return said.decode("ascii")
    return None


def document(entry: RunStatus, job: Job, experiment: str) -> dict[str, str]:
    """What get_counters wants to know; what the job did not tell is left out."""
    said = {
        "_id": entry.job_id or job.id,
        "experiment": experiment,
        "run_num": None if entry.run is None else str(entry.run),
        "user": entry.user,
    }
    return {name: value for name, value in said.items() if value is not None}


def shown(counters: Mapping[str, Any]) -> dict[str, str]:
    """The counters as the page, which takes them for raw HTML, has to get them."""
    return {html.escape(key): html.escape(text_of(value)) for key, value in counters.items()}


def text_of(value: Any) -> str:
    """Text as it is, all else as JSON spells it."""
    return value if isinstance(value, str) else json.dumps(value)


def merged(there: Sequence[Counter], ours: Mapping[str, str]) -> list[Counter]:
    """The whole list: what is there in its order, with our values, then what is new."""
    kept = [{**one, "value": ours[one["key"]]} if one["key"] in ours else one for one in there]
    known = {one["key"] for one in there}
    return [*kept, *({"key": key, "value": ours[key]} for key in ours if key not in known)]


def shows(there: Sequence[Counter], ours: Mapping[str, str]) -> bool:
    """Is each of ours there, with our value and no other?"""
    known = {one["key"] for one in there}
    return known.issuperset(ours) and all(
        text_of(one.get("value")) == ours[one["key"]] for one in there if one["key"] in ours
    )


def parked(error: DeliveryError, job: str) -> Parked:
    """What went wrong with the job service rests the job's scope, or the service's.

    Nothing is in doubt: the list is read before it is written again.
    """
    scope = job if isinstance(error, JobRefused) else job.partition("/")[0]
    verdict = Parked(
        error.detail,
        scope=scope,
        retry_after=error.retry_after if isinstance(error, Throttled) else None,
        status=error.status,
        excerpt=error.excerpt,
    )
    verdict.side = error.side
    return verdict
