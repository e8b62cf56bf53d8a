"""The job service (JID, ARP) that shows counters of jobs, as its clients know it.

Its source was not found (elog sheet, section 3.10), so its answers to anything unusual are
guesses, one switch for each:
`tokens` (the values of the Authorization header that get_counters takes; None: any, and none),
`roots` (jobs that get_counters knows by another id), `known` (the jobs that there are; None: all),
`stuck` (takes counters and shows the old ones).
`before_read` are called one by one, each before one answer of get_counters, as if another program
wrote then. `heard` is what each request carried: path, credential if there was one, body.

    python -m tests.emulators.jid --port 0 --token "Bearer t"
"""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators import kit

Counters = list[dict[str, Any]]


@dataclass(frozen=True)
class Heard:
    """One request."""

    path: str
    credential: str | None
    body: Any


class JidEmulator:
    """One service. `counters[job]` is the list that the page shows."""

    def __init__(
        self, *, tokens: Iterable[str] | None = None, known: Iterable[str] | None = None
    ) -> None:
        self.tokens = None if tokens is None else set(tokens)
        self.known = None if known is None else set(known)
        self.roots: dict[str, str] = {}
        self.stuck = False
        self.counters: dict[str, Counters] = {}
        self.before_read: list[Callable[[], None]] = []
        self.heard: list[Heard] = []
        below, post = "/{prefix:path}jid/ws", ["POST"]
        self.app = Starlette(
            routes=[
                Route(below + "/replace_counters/{experiment}/{job}", self._replace, methods=post),
                Route(below + "/replace_counters/{job}", self._replace, methods=post),
                Route(below + "/{experiment}/get_counters", self._get, methods=post),
            ]
        )

    def shown(self, job: str) -> dict[str, Any]:
        """What the page shows of a job."""
        return {one["key"]: one["value"] for one in self.counters.get(job, [])}

    def ledger(self) -> list[dict[str, Any]]:
        """One object per job: `kind` run_status, `job`, `counters` in their order."""
        return [
            {"kind": "run_status", "job": job, "counters": list(counters)}
            for job, counters in self.counters.items()
        ]

    async def _get(self, request: Request) -> Response:
        body = await self._note(request)
        if self.tokens is not None and request.headers.get("authorization") not in self.tokens:
            # Some servers repeat what they were sent.
            said = {"message": "not authorized", "headers": dict(request.headers)}
            return JSONResponse(said, 401)
        job = self.roots.get(body["_id"], str(body["_id"]))
        if self.known is not None and job not in self.known:
            return JSONResponse({"success": False, "value": None}, 404)
        if self.before_read:
            self.before_read.pop(0)()
        return JSONResponse({"success": True, "value": list(self.counters.get(job, []))})

    async def _replace(self, request: Request) -> Response:
        counters = await self._note(request)
        job = request.path_params["job"]
        if not self.stuck:
            self.counters[job] = counters
        return JSONResponse({"success": True})

    async def _note(self, request: Request) -> Any:
        body = json.loads(await request.body())
        credential = request.headers.get("authorization")
        self.heard.append(Heard(request.url.path, credential, body))
        return body


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.emulators.jid")
    options.add_argument("--token", action="append", help="a whole header, as in 'Bearer t'")
    options.add_argument("--job", action="append", help="the jobs that there are; none: all")
    return options


if __name__ == "__main__":
    kit.main(lambda given: JidEmulator(tokens=given.token, known=given.job), parser())
