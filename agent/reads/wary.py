"""A secret that a backend did not take is not shown again and again: accounts get locked."""

from collections.abc import Callable

from adapters.verdict import DeliveryError, Refused


class Wary:
    """Remembers one refused secret of one backend, until it changes or enough time has passed.

    `fingerprint` tells when the secret was changed; `now` is monotonic, in seconds.
    """

    def __init__(
        self, fingerprint: Callable[[], str], now: Callable[[], float], *, seconds: float
    ) -> None:
        self._fingerprint = fingerprint
        self._now = now
        self._seconds = seconds
        self._refused: tuple[str, float, str] | None = None

    def check(self, backend: str) -> None:
        """Raises Refused while the same secret would be shown again."""
        if self._refused is None:
            return
        which, when, detail = self._refused
        if self._now() - when < self._seconds and self._fingerprint() == which:
            said = f"{detail} (the secret of {backend} has not changed since, and is not shown"
            raise Refused(f"{said} again for {self._seconds:g} s: accounts get locked)")
        self._refused = None

    def refused(self, error: DeliveryError) -> None:
        """Remember it when it is about the secret."""
        if isinstance(error, Refused) and error.credentials and error.shown_to != "nobody":
            self._refused = (self._fingerprint(), self._now(), error.detail)
