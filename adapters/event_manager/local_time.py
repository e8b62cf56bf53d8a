"""Times without a zone: the producer's local time, which is this host's. Pure but for the zone.

Promises: the digits stay as the producer wrote them, the offset is added. An hour that the clock
showed twice is the second one if that had come when the entry was made, else the first; an hour
that was skipped counts from the offset before it.
"""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

MINUTE = timedelta(minutes=1)


def zoned(naive: datetime, zone: tzinfo | None, *, made_at: datetime) -> datetime | None:
    """`naive` with this host's offset at that moment (`zone` None: the system's zone).

    None when there is no such offset: before zones were whole minutes, and at the ends of time.
    """
    try:
        first, second = (_offset(naive.replace(fold=fold), zone) for fold in (0, 1))
        is_twice = first > second  # the clock went back; where it went forward, `first` was before
        later = is_twice and (naive - second).replace(tzinfo=UTC) <= made_at
    except (OverflowError, ValueError, OSError):
        return None
    offset = second if later else first
    return None if offset % MINUTE else naive.replace(tzinfo=timezone(offset))


def _offset(naive: datetime, zone: tzinfo | None) -> timedelta:
    # Without a zone, `astimezone` takes the system's.
    moment = naive.replace(tzinfo=zone).astimezone(UTC)
    return naive - moment.replace(tzinfo=None)
