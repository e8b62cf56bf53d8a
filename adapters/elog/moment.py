"""When an entry was written, against times of the eLog's own clock.

Promises: pure. What decides is a time of the server's; ours is carried over by the Date of its
answers, so that a clock that is minutes off decides nothing. What is too close to tell is never
called certain.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from adapters.answer import Answer
from adapters.elog import search
from adapters.elog.late import written

# Date has whole seconds, and our clock may have drifted a little since the entry was written.
MARGIN_MS = 5_000


@dataclass(frozen=True, slots=True)
class Moment:
    """When the entry was written, and now, by our clock (epoch ms).

    `skew`: how far the server's clock is ahead of ours; None: it has not said.
    """

    at: int
    now: int
    skew: int | None = None

    @property
    def age(self) -> int:
        """How old the entry is, in ms."""
        return self.now - self.at

    @property
    def is_to_come(self) -> bool:
        """Is that not when it was written? Then our clock was set back since."""
        return self.age < -MARGIN_MS

    @property
    def there(self) -> int | None:
        """The time of the entry by the server's clock."""
        return None if self.skew is None else self.at + self.skew

    def seen_with(self, answer: Answer, now: int) -> "Moment":
        """The moment once the server has told its time; `now`: when it did."""
        return replace(self, now=now, skew=search.skew(answer, now))

    def after(self, time: int | None) -> bool:
        """Was it written after `time`, as far as the clocks tell?"""
        return time is not None and self.there is not None and self.there >= time

    def surely_after(self, time: int | None) -> bool:
        """Was it certainly?"""
        return time is not None and not self.is_to_come and self.after(time + MARGIN_MS)

    def told(self) -> str:
        """The time in words, by the server's clock where that is known."""
        return written(self.at if self.there is None else self.there)


def epoch_ms(time: Any) -> int | None:
    """A time as the server writes it; None: it is none."""
    try:
        moment = datetime.fromisoformat(str(time))
    except ValueError:
        return None
    return round(moment.timestamp() * 1000) if moment.tzinfo else None
