"""The job service (JID, ARP) beside the eLog: where its counters are, and how they are asked for.

Promises: an address is compared part by part, and only one that means the same to every program is
taken at all; the eLog's credentials never go there; what the job service answers is
never told with the job's own credential in it. Its source was not found: everything here is what
its clients do (elog sheet, section 3.10).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from adapters.answer import Answer, refusal_of_us
from adapters.auth.options import AuthOptions
from adapters.base import Site, TlsOptions
from adapters.http import HttpClient
from adapters.preview import Preview
from adapters.verdict import DeliveryError, Refused, Uncertain

# A hanging job service must not keep a slot for long that a post could have.
JID_SECONDS = 10.0
# No escapes, no user, no query, no back slash: what programs read differently is not taken.
ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[A-Za-z0-9_.~+-]+)*)/?",
    re.ASCII,
)
PORTS = {"http": 80, "https": 443}
SERVICE = ("jid", "ws")
REPLACE, GET = "replace_counters", "get_counters"
HIDDEN = b"(the job's credential)"
WELL = range(200, 300)
CREDENTIALS = "the job's credential is not accepted (any more), or the job has none"
FAILED = "it failed over this job"
UNKNOWN = "it knows no such job, or no such request"
REASONS = MappingProxyType(
    {401: CREDENTIALS, 403: CREDENTIALS, 404: UNKNOWN, 405: UNKNOWN, 500: FAILED, 501: FAILED}
)
OF_THE_SERVICE = (407, 408, 425, 429)

Counter = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """An address in its parts: two are the same where all of these are."""

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    def covers(self, other: "Place") -> bool:
        """Is `other` this place or below it?"""
        start = other.path[: len(self.path)]
        mine = (self.scheme, self.host, self.port, self.path)
        return mine == (other.scheme, other.host, other.port, start)

    def at(self, *path: str) -> str:
        """The address of another path on the same server."""
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}/{'/'.join(path)}"


@dataclass(frozen=True, slots=True)
class Job:
    """A job's counters: the service they are at, and the path below which it answers.

    `experiment` None: the address does not say.
    """

    place: Place
    service: tuple[str, ...]
    experiment: str | None
    id: str

    @property
    def write_url(self) -> str:
        """Where the whole list is replaced."""
        named = () if self.experiment is None else (self.experiment,)
        return self.place.at(*self.service, REPLACE, *named, self.id)

    def read_url(self, experiment: str) -> str:
        """Where the list is asked for."""
        return self.place.at(*self.service, experiment, GET)


def place_of(url: str) -> Place:
    """The parts of an address. Raises ValueError in words that do not repeat it."""
    found = ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError(
            "must be a plain http:// or https:// address: a host, perhaps a port, and a path of"
            " letters, digits and _ . ~ + -"
        )
    path = tuple(found["path"].split("/")[1:])
    if {".", ".."}.intersection(path):
        raise ValueError("must not have . or .. in its path")
    scheme = found["scheme"]
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port < 65536:  # noqa: PLR2004 - what a port is
        raise ValueError("has a port that there is not")
    return Place(scheme, found["host"].lower(), port, path)


def job_of(url: str) -> Job:
    """The job that an address of replace_counters means. Raises ValueError."""
    place = place_of(url)
    for named in (2, 1):  # <exp>/<job>, and the older form with the job alone
        service, rest = place.path[: -named - 1], place.path[-named - 1 :]
        if len(rest) == named + 1 and rest[0] == REPLACE and service[-2:] == SERVICE:
            return Job(place, service, rest[1] if named > 1 else None, rest[-1])
    raise ValueError(f"must end in /jid/ws/{REPLACE}/<experiment>/<job>")


def built(prefix: str, experiment: str, job: str) -> Job:
    """The job's counters below a prefix of the settings."""
    place = place_of(prefix)
    service = place.path if place.path[-2:] == SERVICE else (*place.path, *SERVICE)
    return Job(place, service, experiment, job)


class Jid:
    """The job services. Every method raises DeliveryError, with the service's own words."""

    def __init__(self, site: Site) -> None:
        limit = min(site.attempt_timeout_seconds, JID_SECONDS)
        patience = min(site.timeout_seconds, JID_SECONDS)
        self._http = HttpClient(
            replace(
                site,
                # Ours are for the eLog; whom it is signed by may be the same authority.
                auth=AuthOptions(),
                tls=TlsOptions(ca_file=site.tls.ca_file),
                attempt_timeout_seconds=limit,
                timeout_seconds=patience,
            )
        )

    async def counters(
        self, url: str, document: Mapping[str, Any], credential: str | None
    ) -> list[Counter]:
        """The counters that the job shows now, in their order."""
        headers = {} if credential is None else {"Authorization": credential}
        answer = await self._http.request(
            "POST", url, json_text=json.dumps(document), headers=headers
        )
        found = counters_in(answer)
        if found is None:
            raise refusal(without(credential, answer), url)
        return found

    async def replace(self, url: str, counters: Sequence[Counter], credential: str | None) -> None:
        """Replace the whole list. Its answer is no proof; the credential only hides itself."""
        text = json.dumps(list(counters))
        answer = await self._http.request("POST", url, json_text=text)
        if answer.status not in WELL:
            raise refusal(without(credential, answer), url)

    def preview(self, url: str, counters: Sequence[Counter], remarks: Sequence[str]) -> Preview:
        """What `replace` would send."""
        return self._http.preview(
            "POST", url, json_text=json.dumps(list(counters)), remarks=remarks
        )

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def counters_in(answer: Answer) -> list[Counter] | None:
    """The list that an answer of get_counters holds; None: it is anything else.

    What is not clearly a list must never be taken for an empty one: what is written afterwards
    replaces everything.
    """
    if answer.status != 200 or answer.is_html:  # noqa: PLR2004 - no other status is a success
        return None
    match answer.json():
        case {"value": [*found], **rest} if rest.get("success", True) is True:
            return found if all(_is_counter(one) for one in found) else None
    return None


def refusal(answer: Answer, url: str) -> DeliveryError:
    """The verdict of an answer that is not what was asked for. JobRefused where it may be the job.

    That is every answer which a service may give because of one job: there is no knowing
    what this one means by it.
    """
    status, said = answer.status, answer.text
    about = f"{url} answered {status}"
    if (words := _about_the_job(answer)) is not None:
        denied = status in (401, 403)
        return JobRefused(f"{about}: {words}", status=status, excerpt=said, credentials=denied)
    if (shared := refusal_of_us(answer, url)) is not None:
        return shared
    if status >= 500 or status in (408, 425):  # noqa: PLR2004 - the range is the meaning
        return Uncertain(about, status=status, excerpt=said)
    words = "but not as the job service does: is something in between?"
    return Refused(f"{about}, {words}", status=status, excerpt=said)


def _about_the_job(answer: Answer) -> str | None:
    """Why it refuses, if that may be because of this one job."""
    status = answer.status
    if status == 200:  # noqa: PLR2004 - the one status
        own = not answer.is_html and isinstance(answer.json(), dict)
        return "there is no list of counters in it, so that nothing is written" if own else None
    judged = status in range(400, 500) and status not in OF_THE_SERVICE
    return REASONS.get(status, "it does not take this" if judged else None)


class JobRefused(Refused):
    """The job service refused, and it may be about this one job."""


def without(credential: str | None, answer: Answer) -> Answer:
    """The answer as it may be told: some servers repeat what was sent to them."""
    if not credential:
        return answer
    body, headers = answer.body, dict(answer.headers)
    for part in (credential, credential.rpartition(" ")[2]):
        body = body.replace(part.encode(), HIDDEN)
        headers = {name: said.replace(part, HIDDEN.decode()) for name, said in headers.items()}
    return replace(answer, body=body, headers=headers)


def _is_counter(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("key"), str)
