"""An eLog server with its proxy: gates, roles, posts, runs, searches, workflows (elog sheet).

Its own switches: `lock_guards_posts` (older servers refuse posts to a locked experiment),
`anonymous_user` (who comes through the gate without credentials), `crashes` (how many of the next
writes are done and then answered with the application's own 500), `subscribers` (who gets a mail
for every post), `may_insert` and `may_mail` (while cleared, a post waits before it is inserted, or
between that and its answer, whatever the client does meanwhile). What happens to a logbook (an
edit, a switch, a lock, a new run) is in elog_world.py. `mails` and `counts` tell what there was.

    python -m tests.emulators.elog --port 8000 --experiment mfxl1000123 --account mfxopr:secret
"""

import argparse
import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.emulators import kit
from tests.emulators.elog_answers import (
    Refusal,
    abort,
    answer_refusal,
    crash,
    hard,
    no_route,
    object_id,
    success,
)
from tests.emulators.elog_counts import counts
from tests.emulators.elog_people import Gates, People
from tests.emulators.elog_reads import Reads
from tests.emulators.elog_stations import Stations
from tests.emulators.elog_store import Experiment, Json, Upload
from tests.emulators.elog_workflows import Workflows
from tests.emulators.elog_world import World

Endpoint = Callable[[Request, Experiment], Awaitable[Response]]

LONGEST_WAIT_SECONDS = 10.0  # a test that failed must not keep the server for ever
WHOLE_FORM = 64 * 1024 * 1024  # bytes: Starlette's own limit is below what the eLog takes


class ElogEmulator:
    """One server with its proxy. `world` is where tests let things happen."""

    def __init__(
        self,
        *,
        experiments: Iterable[str] = ("mfxl1000123",),
        runs: Iterable[int] = (1, 2),
        accounts: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        anonymous_user: str | None = None,
        lock_guards_posts: bool = False,
        instrument_tags: tuple[str, ...] = ("DARK", "CALIB"),
        now: Callable[[], int] = kit.wall_clock,
    ) -> None:
        self.lock_guards_posts = lock_guards_posts
        self.people = People(anonymous_user=anonymous_user, tokens=dict(tokens or {"token": "pi1"}))
        self.people.accounts.update(accounts or {})
        self.world = World(self.people, now)
        self.store = self.world.store
        self.cookies_received = 0
        self.crashes = 0
        self.subscribers: list[str] = []
        self.may_insert, self.may_mail = threading.Event(), threading.Event()
        self.may_insert.set()
        self.may_mail.set()
        for name in experiments:
            self.world.add_experiment(name, runs)
        self.app = Starlette(
            routes=self._routes(Reads(self.store, instrument_tags)),
            middleware=[Middleware(Gates, people=self.people)],
            exception_handlers={Refusal: answer_refusal, HTTPException: answer_http_error},
        )

    @property
    def mails(self) -> list[Json]:
        """Every mail sent so far: `{experiment, entry_id, to}`."""
        return self.store.mails

    def now(self) -> int:
        """The server's clock, which its Date header tells, too."""
        return self.store.now()

    def counts(self) -> Json:
        """Posts and mails per key: see elog_counts.py."""
        return counts(self.store)

    def ledger(self) -> list[Json]:
        """What the server holds: see World.ledger."""
        return self.world.ledger()

    def _routes(self, reads: Reads) -> list[Route]:
        at = "/lgbk/{experiment}/ws"
        workflows = Workflows(self.store, self.people)
        table: list[tuple[str, str, str | None, Endpoint]] = [
            ("POST", f"{at}/new_elog_entry", "post", self._post),
            ("POST", f"{at}/modify_elog_entry", "edit", self._edit),
            ("DELETE", f"{at}/delete_elog_entry", "delete", self._delete),
            ("POST", f"{at}/add_run_params", "post", self._add_run_params),
            ("POST", "/run_control/{experiment}/ws/add_run_params", "post", self._add_run_params),
            ("GET", f"{at}/search_elog", "read", reads.search),
            ("GET", f"{at}/elog", "read", reads.entries),
            ("GET", at + "/elog/{entry}/complete_elog_tree", "read", reads.tree),
            ("GET", f"{at}/get_elog_tags", "read", reads.tags),
            ("GET", f"{at}/attachment", "read", reads.attachment),
            ("GET", at + "/runs/{run}", "read", reads.run),
            ("GET", f"{at}/runs", "read", reads.runs),
            ("GET", f"{at}/current_run", None, reads.current_run),
            ("GET", f"{at}/get_run_params_for_all_runs", "read", reads.params_of_all_runs),
            ("GET", at + "/{run}/get_params_matching_prefix", None, reads.params_with_prefix),
            ("POST", f"{at}/get_runs_matching_params", "read", reads.runs_matching_params),
            ("GET", f"{at}/map_param_editable_to_run_nums", "read", reads.values_to_runs),
            ("GET", f"{at}/get_runs_with_tag", None, reads.runs_with_tag),
            ("GET", f"{at}/get_tags_to_runs", "read", reads.tags_to_runs),
            ("GET", f"{at}/get_runs_to_tags", "read", reads.runs_to_tags),
            ("GET", at + "/{run}/get_tags_for_run", "read", reads.tags_of_run),
            ("GET", f"{at}/info", "read", reads.info),
            ("GET", f"{at}/internalinfo", None, reads.internal_info),
            ("GET", f"{at}/has_role", "read", self._has_role),
            ("GET", f"{at}/workflow_definitions", "read", workflows.definitions),
            ("GET", f"{at}/workflow_triggers", "read", workflows.triggers),
            ("GET", f"{at}/dm_locations", "read", workflows.locations),
            ("GET", f"{at}/workflow_jobs", "read", workflows.jobs),
            ("POST", f"{at}/create_workflow_job", "post", workflows.create_job),
            ("POST", f"{at}/update_workflow_job", "post", workflows.update_job),
        ]
        inside = [
            Route(path, self._guarded(privilege, do), methods=[method])
            for method, path, privilege, do in table
        ]
        stations = Stations(self.world)
        named = "/lgbk/ws/activeexperiment_for_instrument_station"
        return [
            *inside,
            Route(f"{at}/create_update_workflow_def", workflows.define, methods=["POST"]),
            Route(at + "/workflow_definitions/{id}", workflows.delete, methods=["DELETE"]),
            Route(named, stations.active_experiment),
            Route("/lgbk/ws/activeexperiments", stations.active_experiments),
            Route("/lgbk/ws/switch_experiment", stations.switch, methods=["POST"]),
            Route("/lgbk/ws/instrument_standby", stations.stand_by, methods=["POST"]),
            Route("/lgbk/ws/lock_unlock_experiment", stations.lock, methods=["POST"]),
        ]

    def _guarded(self, privilege: str | None, do: Endpoint) -> Callable[[Request], Any]:
        """The endpoint behind its checks: first that the experiment exists, then the role."""

        async def endpoint(request: Request) -> Response:
            where = self.store.experiments.get(request.path_params["experiment"])
            if where is None:
                raise abort(404)
            if privilege is None:
                return await do(request, where)
            self._admit(request, privilege, where)
            response = await do(request, where)
            if privilege == "post" and self.crashes:
                self.crashes -= 1
                raise crash()
            response.set_cookie("session", self.people.open_session(where.name, privilege))
            return response

        return endpoint

    def _admit(self, request: Request, privilege: str, where: Experiment) -> None:
        user, session = request.scope.get("user"), request.cookies.get("session")
        self.cookies_received += session is not None
        if user is None:
            raise abort(403)
        remembered = self.people.remembers(session, where.name, privilege)
        if not remembered and not self.people.may(user, privilege, where.name, where.instrument):
            raise abort(403)

    async def _post(self, request: Request, where: Experiment) -> Response:
        if where.locked and self.lock_guards_posts:
            raise abort(423)
        form, uploads = await read_form(request)
        if "log_text" not in form:
            raise abort(400)
        if not form["log_text"].strip():
            raise hard("Cannot post empty message")
        if form.get("shift"):
            object_id(form["shift"])  # no experiment here has shifts: unknown ones are ignored
        author = self._author(request, form)
        await asyncio.to_thread(self.may_insert.wait, LONGEST_WAIT_SECONDS)
        entry = self.store.post(where, form, author, uploads)
        to = [*entry.get("email_to", []), *self.subscribers]
        if to and not form.get("command_followup"):
            mail = {"experiment": where.name, "entry_id": entry["_id"], "to": to}
            self.store.mails.append(mail)
            await asyncio.to_thread(self.may_mail.wait, LONGEST_WAIT_SECONDS)
        self._cross_post(where, form, entry)
        return success(entry)

    def _author(self, request: Request, form: Json) -> str:
        author = str(form.get("author") or "")
        if author and not author.endswith("opr") and not self.people.known(author):
            raise crash()
        return author or str(request.scope["user"])

    def _cross_post(self, where: Experiment, form: Json, entry: Json) -> None:
        names = [name[len("post_to_elog_") :] for name in form if name.startswith("post_to_elog_")]
        if form.get("xpost_instrument_elog"):
            names.append(f"{where.instrument}_Instrument")
        for name in names:
            if name not in self.store.experiments:
                self.world.add_experiment(name, ())
            own = ("_id", "run_num", "parent", "root", "attachments", "post_to_elogs")
            copy = {key: value for key, value in entry.items() if key not in own}
            copy |= {"src_expname": where.name, "src_id": entry["_id"], "_id": self.store.new_id()}
            self.store.experiments[name].entries[copy["_id"]] = copy
        if names:
            entry["post_to_elogs"] = names

    async def _edit(self, request: Request, where: Experiment) -> Response:
        form, _ = await read_form(request)
        tags, user = form.get("log_tags", ""), request.scope["user"]
        self.store.edit(where, request.query_params["_id"], user, form["log_text"], tags)
        return success()

    async def _delete(self, request: Request, where: Experiment) -> Response:
        self.store.delete(where, request.query_params["_id"], request.scope["user"])
        return success()

    async def _add_run_params(self, request: Request, where: Experiment) -> Response:
        if where.locked:
            raise abort(423)
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise abort(415)
        try:
            params = json.loads(await request.body())
        except ValueError:
            raise abort(400) from None
        if params == {}:
            return success()
        return success(self.store.set_params(where, request.query_params.get("run_num"), params))

    async def _has_role(self, request: Request, where: Experiment) -> Response:
        full_name = request.query_params["role_fq_name"]
        application, _, role = full_name.partition("/")
        granted = (self.people.grants[at].get(request.scope["user"]) for at in ("*", where.name))
        answer = {"role_fq_name": full_name, "application_name": application, "role_name": role}
        return success({**answer, "hasRole": role in granted})


async def read_form(request: Request) -> tuple[dict[str, str], list[Upload]]:
    """The fields (the first of each name wins) and the parts named `files`; others are dropped."""
    fields: dict[str, str] = {}
    uploads: list[Upload] = []
    form = await request.form(max_part_size=WHOLE_FORM)
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            fields.setdefault(name, value)
        elif name == "files":
            upload = Upload(value.filename or "", value.content_type or "", await value.read())
            uploads.append(upload)
    await form.close()
    return fields, uploads


async def answer_http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code in (404, 405):
        return no_route(exc.status_code)
    return abort(exc.status_code).response


def make(arguments: argparse.Namespace) -> ElogEmulator:
    return ElogEmulator(
        experiments=arguments.experiment or ["mfxl1000123"],
        accounts=dict(pair.split(":", 1) for pair in arguments.account),
        tokens=dict(pair.split(":", 1) for pair in arguments.token) or None,
        anonymous_user=arguments.anonymous_user,
        lock_guards_posts=arguments.lock_guards_posts,
    )


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m tests.emulators.elog")
    options.add_argument("--experiment", action="append", help="may be given more than once")
    options.add_argument(
        "--account", action="append", default=[], help="USER:PASSWORD of the gate ws-auth"
    )
    options.add_argument("--token", action="append", default=[], help="TOKEN:USER of gate ws-jwt")
    options.add_argument("--anonymous-user", help="who comes through the gate ws")
    options.add_argument("--lock-guards-posts", action="store_true", help="as older servers do")
    return options


if __name__ == "__main__":
    kit.main(make, parser())
