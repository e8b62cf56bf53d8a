"""Workflow definitions and their jobs on the eLog server (elog sheet, section 3.9).

Its oddities are kept: who may define is judged before the experiment is looked for, so that an
unknown one is a crash; roles at an instrument do not count; what is asked first decides.
"""

import json

from starlette.requests import Request
from starlette.responses import Response

from tests.emulators.elog_answers import (
    MEDIA_TYPE,
    abort,
    crash,
    hard,
    object_id,
    soft,
    success,
)
from tests.emulators.elog_people import ROLES, People
from tests.emulators.elog_store import Experiment, Json, Store

TRIGGERS = {
    "MANUAL": "Manually triggered",
    "START_OF_RUN": "Start of a run",
    "END_OF_RUN": "End of a run",
    "FIRST_FILE_TRANSFERRED": "First file transfer",
    "ALL_FILES_TRANSFERRED": "All files transferred",
    "ALL_NONREC_FILES_TRANSFERRED": "All non-recorder files transferred",
    "RUN_PARAM_IS_VALUE": "Run table param has value",
}
LOCATIONS: list[Json] = [
    {"name": "S3DF", "all_experiments": True, "jid_prefix": "http://127.0.0.1:1/"},
    {"name": "SLAC", "all_experiments": True},
]
# The server prints a set: the order differs from start to start. This is the recorded one.
REQUIRED = ("parameters", "executable", "location", "trigger", "name")
UPDATED = ("status", "counters", "tool_id", "log_file_path")


class Workflows:
    """The endpoints."""

    def __init__(self, store: Store, people: People) -> None:
        self.store = store
        self.people = people

    async def define(self, request: Request) -> Response:
        """create_update_workflow_def."""
        where, user = self._admitted(request), str(request.scope["user"])
        wanted = await _read(request, "definition")
        _check(wanted, user)
        with self.store.lock:
            return _done(self._put(where, {**wanted, "run_as_user": user}))

    async def definitions(self, _: Request, where: Experiment) -> Response:
        with self.store.lock:
            return success(sorted(where.definitions.values(), key=lambda one: str(one["name"])))

    async def delete(self, request: Request) -> Response:
        where = self._admitted(request)
        id_ = object_id(request.path_params["id"])
        if any(job["def_id"] == id_ for job in where.jobs.values()):
            raise soft("There are jobs that use this workflow definition", value=None)
        if where.definitions.pop(id_, None) is None:
            raise soft(f"Cannot find workflow definition with id {id_} ", value=None)
        return _done(None)

    async def triggers(self, _: Request, __: Experiment) -> Response:
        return success([{"value": name, "label": label} for name, label in TRIGGERS.items()])

    async def locations(self, _: Request, __: Experiment) -> Response:
        return success(LOCATIONS)

    async def create_job(self, request: Request, where: Experiment) -> Response:
        wanted = await _read(request, "job")
        found = [one for one in where.definitions.values() if one["name"] == wanted["job_name"]]
        if not found:
            raise soft(f"Cannot find job definition for {wanted['job_name']} ", value=None)
        job = {
            "run_num": wanted["run_num"],
            "def_id": found[0]["_id"],
            "user": request.scope["user"],
            "status": "START",
            "_id": self.store.new_id(),
        }
        where.jobs[str(job["_id"])] = job
        return _done(_with_definition(where, job))

    async def update_job(self, request: Request, where: Experiment) -> Response:
        wanted = await _read(request, "job")
        job = where.jobs.get(object_id(wanted["_id"]))
        if job is None:
            raise soft("Cannot find workflow job", value=None)
        job.update({name: wanted[name] for name in UPDATED if wanted.get(name)})
        return _done(_with_definition(where, job))

    async def jobs(self, _: Request, where: Experiment) -> Response:
        return success([_with_definition(where, job) for job in where.jobs.values()])

    def _admitted(self, request: Request) -> Experiment:
        """The experiment, if the caller may write to it by a role there or everywhere."""
        user, name = request.scope.get("user"), request.path_params["experiment"]
        grants = self.people.grants
        roles = [grants[at].get(user) for at in ("*", name) if user and at in grants]
        if not any("post" in ROLES[role] for role in roles if role):
            raise abort(403)
        if name not in self.store.experiments:
            raise crash()
        return self.store.experiments[name]

    def _put(self, where: Experiment, wanted: Json) -> Json:
        names = {one["name"]: id_ for id_, one in where.definitions.items()}
        taken = names.get(wanted["name"])
        if "_id" not in wanted:
            if taken is not None:
                told = f"There already exists a workflow definition for {wanted['name']}"
                raise soft(told, value=None)
            wanted["_id"] = self.store.new_id()
        elif object_id(wanted["_id"]) not in where.definitions:
            told = f"Cannot find workflow definition with id {wanted['_id']} "
            raise soft(told, value=None)
        elif taken not in (None, wanted["_id"]):
            raise crash()  # the index of the names is unique
        where.definitions[wanted["_id"]] = wanted
        return wanted


def _check(wanted: Json, user: str) -> None:
    """The server's checks, in its order."""
    missing = [name for name in REQUIRED if name not in wanted]
    if missing:
        named = ", ".join(f"'{name}'" for name in missing)
        raise soft(f"Create/update workflow missing keys {{{named}}}", value=None)
    if wanted["trigger"] not in TRIGGERS:
        raise soft(f"Invalid trigger {wanted['trigger']} in create/update workflow", value=None)
    if wanted["location"] not in [one["name"] for one in LOCATIONS if one.get("jid_prefix")]:
        raise soft(f"Invalid location {wanted['location']} in create/update workflow", value=None)
    if user == "root" or (len(user) == len("mfxopr") and user.endswith("opr")):
        told = f"Cannot create a workflow definition for the user {user} for security reasons"
        raise soft(told, value=None)


async def _read(request: Request, what: str) -> Json:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise abort(415)
    try:
        read = json.loads(await request.body())
    except ValueError:
        raise abort(400) from None
    if not read:
        raise hard(f"Please pass in the workflow {what} as a JSON document.")
    if not isinstance(read, dict):
        raise crash()
    return read


def _with_definition(where: Experiment, job: Json) -> Json:
    return {**job, "experiment": where.name, "def": where.definitions[job["def_id"]]}


def _done(value: Json | None) -> Response:
    body = json.dumps({"success": True, "errormsg": "", "value": value})
    return Response(body, 200, {"content-type": MEDIA_TYPE})
