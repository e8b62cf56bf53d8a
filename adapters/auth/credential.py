"""What a credential is, whatever its method: the port that the wallet uses."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from adapters.answer import Answer
from adapters.verdict import DeliveryError

UNAUTHORIZED = 401

Headers = Mapping[str, str]

# Posts a form to a full URL, with no credential, and gives the answer, as `HttpClient.request`
# does: this is how a credential asks for a token without a client of its own.
Exchange = Callable[[str, Mapping[str, str]], Awaitable[Answer]]


class Answered(Protocol):
    """What there has to be to an answer."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Headers:
        """Its headers; names in any case."""
        ...


class Credential(Protocol):
    """One account's credential."""

    async def headers(self) -> Headers:
        """The request headers that prove the account. Raises DeliveryError."""
        ...

    def declined(self, answer: Answered) -> bool:
        """Does the answer say that the credential is not taken, and that nothing was done?"""
        return answer.status == UNAUTHORIZED

    def refused(self, shown: Headers) -> bool:
        """A server has declined these headers. True: others may be had at once."""
        ...

    def verdict(self, answer: Answered) -> DeliveryError | None:  # noqa: ARG002 - most have none
        """What it means that a declining answer stays; None: who asked can tell by the answer."""
        return None

    def close(self) -> None:
        """Forget what is kept. No other method is called afterwards."""
        ...
