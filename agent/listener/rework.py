"""Edit, resend and verify: what operators change, bring back, and ask for. Admin socket only."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.clock import Clock
from agent.draft import Bounds
from agent.editing import Editing
from agent.envelope import MAX_LABELS, Moment, checked_labels
from agent.listener.admin import held, operator
from agent.listener.bodies import pieces
from agent.listener.wishes import Wish, read_wish
from agent.refusal import FieldError, Refusal, no_room, unfit
from agent.verifying import Verified, Verifier
from storage.delivered import Meant, Place
from storage.lists import PAGE, iso
from storage.outbox import Outbox
from storage.resend import Again

MAX_WISH_BYTES = 512 * 1024  # a page of ids, or of keys
DEFAULT_LIMIT = 200
AFTER = re.compile(r"([0-9]{1,15})-([0-9]{1,18})-([0-9]{1,15})")

log = structlog.get_logger()

Names = Annotated[list[str], Field(max_length=PAGE)]


class ReceiptsWish(Wish):
    """Which receipts are meant. Times are of the delivery; absent: all of the backend."""

    since: Moment | None = None
    until: Moment | None = None
    labels: Annotated[
        dict[str, str], Field(max_length=MAX_LABELS), AfterValidator(checked_labels)
    ] = Field(default_factory=dict)
    ids: Names | None = None
    keys: Names | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE)] = DEFAULT_LIMIT
    after: str | None = None


class ResendWish(ReceiptsWish):
    """Which are to be sent again. `from_url`: those that the backend took at another URL."""

    from_url: str | None = None
    dry_run: bool = False


class ReworkDoor:
    """The endpoints. `wake` tells a backend's lane that something may be due."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        editing: Editing,
        verifier: Verifier,
        bounds: Bounds,
        wake: Callable[[str], None],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._editing = editing
        self._verifier = verifier
        self._bounds = bounds
        self._wake = wake

    def backend_verbs(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        """What is done to a whole backend, by the last word of its path."""
        return {"resend": self.resend, "verify": self.verify}

    async def edit(self, request: Request) -> Response:
        """PUT /v1/entries/{id}: it says something else from now on."""
        id_ = request.path_params["id"]
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            detail = f"the Content-Type must be application/json, not {media_type or 'absent'}"
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
        body = b"".join([piece async for piece in pieces(request, self._bounds.max_text_bytes)])
        held(id_, await self._outbox.looks.show(id_))
        return JSONResponse(await self._editing.edit(id_, body, who=operator(request)))

    async def resend(self, request: Request) -> Response:
        """POST /v1/backends/{name}/resend: delivered entries wait again, a page at a time."""
        name = self._backend(request)
        wish = await read_wish(request, ResendWish, MAX_WISH_BYTES)
        from_url = wish.from_url.rstrip("/") if wish.from_url else self._outbox.urls[name]
        meant, after = self._meant(name, from_url, wish)
        page = await self._outbox.looks.delivered(meant, limit=wish.limit, after=after)
        ids = [one.id for one in page.receipts]
        again = await self._again(request, name, from_url, ids, wish)
        if again.back and not wish.dry_run:
            log.info("entries.resent", backend=name, count=len(again.back))
            self._wake(name)
        return JSONResponse(
            {
                "backend": name,
                "dry_run": wish.dry_run,
                "resent": [one.id for one in again.back],
                "bytes": sum(one.size for one in again.back),
                "left": [
                    {
                        "id": one.id,
                        "kind": one.kind,
                        "key": one.key,
                        "why": one.why,
                        "detail": one.detail,
                    }
                    for one in again.stays
                ],
                "through": iso(page.receipts[-1].delivered_at) if page.receipts else None,
                "next": _next(page.after, meant),
            }
        )

    async def verify(self, request: Request) -> Response:
        """POST /v1/backends/{name}/verify: is what was delivered still there? A page at a time."""
        name = self._backend(request)
        wish = await read_wish(request, ReceiptsWish, MAX_WISH_BYTES)
        meant, after = self._meant(name, self._outbox.urls[name], wish)
        page = await self._verifier.page(meant, limit=wish.limit, after=after)
        found = [_told(one) for one in page.found]
        return JSONResponse({"backend": name, "receipts": found, "next": _next(page.after, meant)})

    async def _again(
        self, request: Request, name: str, from_url: str, ids: list[str], wish: ResendWish
    ) -> Again:
        url = self._outbox.urls[name]
        judged = await self._outbox.looks.judge_again(ids, backend=name, from_url=from_url, url=url)
        if wish.dry_run:
            return judged
        self._check_room(name, sum(one.size for one in judged.back))
        return await self._outbox.rework.send_again(
            ids,
            backend=name,
            from_url=from_url,
            now=self._clock.now(),
            who=operator(request),
            reason=wish.reason,
        )

    def _check_room(self, name: str, size: int) -> None:
        """What comes back must not keep fresh entries out. On the disk it is already."""
        held = self._outbox.size
        budgets = (
            (self._bounds.max_outbox_bytes, held.total(), "the outbox"),
            (self._bounds.max_backend_bytes.get(name, 0), held[name], f"the part of {name}"),
        )
        for most, now, what in budgets:
            if most and now + size > most:
                raise no_room(
                    f"{what} may hold {most} bytes and has {now}; {size} would come back, so"
                    " nothing of this page does; deliveries go on, ask again later"
                )

    def _backend(self, request: Request) -> str:
        name: str = request.path_params["name"]
        if name not in self._outbox.urls:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no backend {name!r}")
        return name

    def _meant(self, name: str, url: str, wish: ReceiptsWish) -> tuple[Meant, Place | None]:
        """What is meant, and where the page begins. Raises Refusal (422).

        What is delivered while the pages go by is not meant: `after` carries their end along.
        """
        until = self._clock.now() if wish.until is None else wish.until
        after = None
        if wish.after is not None:
            match = AFTER.fullmatch(wish.after)
            if match is None:
                raise unfit([FieldError("/after", "is not the `next` of an answer")])
            delivered_at, number, until = map(int, match.groups())
            after = Place(delivered_at, number)
        meant = Meant(
            backend=name,
            url=url,
            until=until,
            since=wish.since or 0,
            labels=wish.labels,
            ids=wish.ids,
            keys=wish.keys,
        )
        return meant, after


def _next(after: Place | None, meant: Meant) -> str | None:
    return f"{after.delivered_at}-{after.number}-{meant.until}" if after else None


def _told(one: Verified) -> dict[str, Any]:
    receipt = one.receipt
    return {
        "id": receipt.id,
        "kind": receipt.kind,
        "key": receipt.key,
        "remote_id": receipt.remote_id,
        "url": receipt.url,
        "delivered_at": iso(receipt.delivered_at),
        "answer": one.answer,
        "why": one.why,
        "payload_kept": receipt.kept,
    }
