"""What AUDITOR holds of a record that "exists already": the same, or something else.

AUDITOR compares ids and nothing else, so a repeat is a resend that arrived before, or another
record under a used id. `compare` is pure; `Comparison` reads one record back for each duplicate.

Promises: a comparison never fails: what cannot be read (a role that may only write, a database
that is away, an id that no address can carry) is "not verified". It costs one short request per
duplicate, and none for a while where reading is refused or slow. (AUDITOR sheet, 1.1, 1.3, 1.6)
"""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from adapters.answer import Answer, refusal_of_us
from adapters.auditor.answers import shown_by
from adapters.verdict import DeliveryError
from storage.entry import Claim, Compared

LOOK_SECONDS = 5.0  # an answer that takes longer holds up the records that wait
BLIND_MS = 300_000  # without a look after one that was refused or got no answer
MICROSECOND = timedelta(microseconds=1)  # PostgreSQL's; digits beyond are cut or rounded

Json = Mapping[str, Any]


class Comparison:
    """Compares duplicates. `get` reads the record of an id; `now` gives epoch ms."""

    def __init__(self, get: Callable[[str], Awaitable[Answer]], now: Callable[[], int]) -> None:
        self._get = get
        self._now = now
        self._blind_since: int | None = None

    async def of(self, claim: Claim) -> Compared:
        """What is there of the record that `claim` is."""
        if self._is_blind():
            return "not verified"
        sent = json.loads(claim.payload)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                answer = await self._get(sent["record_id"])
        except (DeliveryError, TimeoutError):
            self._blind_since = self._now()
            return "not verified"
        if refusal_of_us(answer, "") is not None:
            self._blind_since = self._now()
        held = shown_by(answer)
        if held is None or held.get("record_id") != sent["record_id"]:
            return "not verified"
        updated = None if claim.rider is None else json.loads(claim.rider.payload)["stop_time"]
        return compare(sent, held, updated=updated, in_doubt=claim.in_doubt)

    def _is_blind(self) -> bool:
        since = self._blind_since
        return since is not None and 0 <= self._now() - since < BLIND_MS


def compare(sent: Json, held: Json, *, updated: str | None, in_doubt: bool) -> Compared:
    """Is what was `sent` contained in what AUDITOR has `held`?

    A record may have been updated since, which changes its stop time and nothing else. So one that
    was sent without is the same whatever stop time it has by now, and so is one that has the stop
    time of the update behind it (`updated`). One `in_doubt` may have had another update with it:
    then a stop time alone proves neither.
    """
    try:
        if _content(sent) != _content(held) or not _same_numbers(sent, held):
            return "differs"
        if sent.get("stop_time") is None:
            return "same"
        stops = [one for one in (sent["stop_time"], updated) if one is not None]
        there = held["stop_time"]
        if there is not None and any(_same_moment(one, there) for one in stops):
            return "same"
    except (KeyError, TypeError, ValueError, AttributeError):
        return "not verified"  # what was shown is no record
    return "not verified" if in_doubt and there is not None else "differs"


def _content(record: Json) -> tuple[Any, ...]:
    """All that is text or counted. No meta is an empty one, and its values have no order."""
    meta = {name: sorted(values) for name, values in (record.get("meta") or {}).items()}
    parts = [
        (part["name"], part["amount"], [one["name"] for one in part["scores"]])
        for part in record["components"]
    ]
    return meta, parts


def _same_numbers(sent: Json, held: Json) -> bool:
    """The start, and the scores of records whose scores have the same names."""
    if not _same_moment(sent["start_time"], held["start_time"]):
        return False
    pairs = zip(_scores(sent), _scores(held), strict=True)
    # The server's parser may change the last digit.
    return all(math.isclose(ours, theirs, rel_tol=1e-12) for ours, theirs in pairs)


def _scores(record: Json) -> list[float]:
    return [one["value"] for part in record["components"] for one in part["scores"]]


def _same_moment(ours: str, theirs: str) -> bool:
    return abs(_moment(ours) - _moment(theirs)) <= MICROSECOND


def _moment(text: str) -> datetime:
    """RFC 3339; a leap second is the first of the next minute, as for PostgreSQL."""
    plain = re.sub(r":60(?=[.Zz+-])", ":59", text)
    return datetime.fromisoformat(plain.upper()) + timedelta(seconds=plain != text)
