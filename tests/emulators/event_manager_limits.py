"""The rate limit of an emulated Event Manager since 0.6.0 (event manager sheet, section 3).

50 requests in 1 second and 300 in 60 seconds per client address, told in the headers of every
answer. Nobody is exempt unless it is said, though the real server exempts loopback: otherwise no
test could ever meet it. An exempt client is told nothing.
"""

import collections
from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, Response

BURST, BURST_SECONDS = 50, 1
SUSTAINED, SUSTAINED_SECONDS = 300, 60


class RateLimit:
    """Counts the requests of each client; refused ones do not count."""

    def __init__(self, clock: Callable[[], float], exempt: frozenset[str] = frozenset()) -> None:
        self.exempt = exempt
        self._clock = clock
        self._taken: dict[str, collections.deque[float]] = {}

    async def around(self, client: str, endpoint: Callable[[], Awaitable[Response]]) -> Response:
        """The endpoint's answer with the limit's headers, or 429 without asking it."""
        if client in self.exempt:
            return await endpoint()
        now = self._clock()
        taken = self._taken.setdefault(client, collections.deque())
        while taken and taken[0] <= now - SUSTAINED_SECONDS:
            taken.popleft()
        recent = [at for at in taken if at > now - BURST_SECONDS]
        if len(recent) >= BURST:
            words = f"{BURST} requests per {BURST_SECONDS} seconds (burst limit)"
            return too_many(words, int(recent[0] + BURST_SECONDS - now) + 1, told(taken, now, 0, 0))
        if len(taken) >= SUSTAINED:
            words = f"{SUSTAINED} requests per {SUSTAINED_SECONDS} seconds"
            wait = int(taken[0] + SUSTAINED_SECONDS - now) + 1
            return too_many(words, wait, told(taken, now, 0, None))
        taken.append(now)
        headers = told(taken, now, SUSTAINED - len(taken), BURST - len(recent) - 1)
        response = await endpoint()
        response.headers.update(headers)
        return response


def told(
    taken: collections.deque[float], now: float, remaining: int, burst: int | None
) -> dict[str, str]:
    """The headers. A 429 says that nothing at all remains, and that of 60 s no burst."""
    first = taken[0] if taken else now
    headers = {
        "x-ratelimit-limit": str(SUSTAINED),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(first + SUSTAINED_SECONDS)),
    }
    if burst is not None:
        headers["x-ratelimit-burst-limit"] = str(BURST)
        headers["x-ratelimit-burst-remaining"] = str(burst)
    return headers


def too_many(words: str, wait: int, headers: dict[str, str]) -> Response:
    headers["retry-after"] = str(max(1, wait))
    return JSONResponse({"detail": f"Rate limit exceeded: {words}"}, 429, headers)
