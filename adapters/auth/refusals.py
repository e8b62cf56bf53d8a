"""What was refused is not asked for again and again, however many requests need it."""

import hashlib

from adapters.auth.secrets import unshown
from adapters.base import Site
from adapters.verdict import DeliveryError, Refused


class LastRefusal:
    """The last No to something secret; it holds until that is another one, or for a while."""

    def __init__(self, site: Site, seconds: float) -> None:
        self._site = site
        self._milliseconds = seconds * 1000
        self._told: tuple[int, str, str] | None = None

    def keep(self, error: DeliveryError, secret: str) -> DeliveryError:
        """Remember the No, and give it back."""
        self._told = (self._site.now(), _fingerprint(secret), error.detail)
        return error

    def check(self, secret: str) -> None:
        """Raise what was said of this very secret a while ago, if that still holds."""
        if self._told is None:
            return
        at, fingerprint, said = self._told
        is_fresh = 0 <= self._site.now() - at < self._milliseconds
        if is_fresh and fingerprint == _fingerprint(secret):
            raise unshown(Refused(said, credentials=True))
        self._told = None


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
