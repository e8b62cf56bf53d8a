"""The rate limit of an emulated Event Manager since 0.6.0 (event manager sheet, section 3).

50 requests in 1 second and 300 in 60 seconds per client address. Nobody is exempt here,
though the real server exempts loopback: otherwise no test could ever meet it.
"""

import collections
from collections.abc import Awaitable, Callable

from starlette.responses import JSONResponse, Response

BURST, BURST_SECONDS = 50, 1
SUSTAINED, SUSTAINED_SECONDS = 300, 60


class RateLimit:
    """Counts the requests of each client; refused ones do not count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: dict[str, collections.deque[float]] = {}

    async def around(self, client: str, endpoint: Callable[[], Awaitable[Response]]) -> Response:
        """The endpoint's answer with the limit's headers, or 429 without asking it."""
        now = self._clock()
        taken = self._taken.setdefault(client, collections.deque())
        while taken and taken[0] <= now - SUSTAINED_SECONDS:
            taken.popleft()
        burst = sum(1 for at in taken if at > now - BURST_SECONDS)
        if burst >= BURST:
            response = too_many(BURST, BURST_SECONDS, "burst limit")
        elif len(taken) >= SUSTAINED:
            response = too_many(SUSTAINED, SUSTAINED_SECONDS, "long limit")
        else:
            taken.append(now)
            response = await endpoint()
        refused = response.status_code == 429
        # A 429 of the burst limit, too, says that nothing at all remains.
        remaining = 0 if refused else SUSTAINED - len(taken)
        response.headers["x-ratelimit-limit"] = str(SUSTAINED)
        response.headers["x-ratelimit-remaining"] = str(remaining)
        response.headers["x-ratelimit-reset"] = str(int(now) + SUSTAINED_SECONDS)
        response.headers["x-ratelimit-burst-limit"] = str(BURST)
        response.headers["x-ratelimit-burst-remaining"] = str(0 if refused else BURST - burst - 1)
        return response


def too_many(requests: int, seconds: int, which: str) -> Response:
    detail = f"Rate limit exceeded: {requests} requests per {seconds} seconds ({which})"
    return JSONResponse({"detail": detail}, 429, {"retry-after": str(seconds)})
