"""What the eLog server answers to questions (elog sheet, sections 3.1, 3.7, 3.8 and 4)."""

from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.emulators.elog_answers import MEDIA_TYPE, Refusal, hard, integer, object_id, success
from tests.emulators.elog_store import STORED_AS, Experiment, Json, Store


class Reads:
    """The reading endpoints of one experiment. Each takes the request and the experiment."""

    def __init__(self, store: Store, instrument_tags: tuple[str, ...]) -> None:
        self.store = store
        self.instrument_tags = instrument_tags

    async def search(self, request: Request, where: Experiment) -> Response:
        return success(self.store.search(where, request.query_params))

    async def entries(self, _: Request, where: Experiment) -> Response:
        return success(self.store.search(where, {}))

    async def tree(self, request: Request, where: Experiment) -> Response:
        root = object_id(request.path_params["entry"])
        everything = self.store.search(where, {})
        return success([e for e in everything if root in (e["_id"], e.get("root"))])

    async def tags(self, _: Request, where: Experiment) -> Response:
        used = {tag for entry in list(where.entries.values()) for tag in entry.get("tags", [])}
        return success(sorted(used | set(self.instrument_tags)))

    async def attachment(self, request: Request, where: Experiment) -> Response:
        wanted = request.query_params["attachment_id"]
        entry = where.entries.get(request.query_params["entry_id"], {})
        if wanted not in {file["_id"] for file in entry.get("attachments", [])}:
            raise hard(f"Cannot find attachment {wanted}", status=404)
        media_type, content = where.contents[wanted]
        return Response(content, 200, {"content-type": media_type or "application/octet-stream"})

    async def run(self, request: Request, where: Experiment) -> Response:
        return success(where.run(request.path_params["run"]))

    async def runs(self, request: Request, where: Experiment) -> Response:
        newest_first = [where.runs[number] for number in sorted(where.runs, reverse=True)]
        if request.query_params.get("includeParams") == "false":
            newest_first = [_without_params(run) for run in newest_first]
        return success(newest_first)

    async def current_run(self, _: Request, where: Experiment) -> Response:
        if not where.runs:
            raise Refusal(200, '{"success": false, "value": null}')
        return success(where.run(None))

    async def params_of_all_runs(self, request: Request, where: Experiment) -> Response:
        wanted = request.query_params.get("param_names")
        if not wanted:
            told = "Please specify the run parameters as a comma separated list"
            raise hard(f"{told} in the parameter param_names)")
        names = wanted.translate(STORED_AS).split(",")
        return success([_chosen(where.runs[number], names) for number in sorted(where.runs)])

    async def params_with_prefix(self, request: Request, where: Experiment) -> Response:
        prefix = request.query_params.get("prefix", "")
        params = where.run(request.path_params["run"])["params"]
        return success([name for name in params if name.startswith(prefix)])

    async def runs_matching_params(self, request: Request, where: Experiment) -> Response:
        wanted = {k.translate(STORED_AS): v for k, v in (await request.json()).items()}
        return success([n for n in sorted(where.runs) if _has(where.runs[n]["params"], wanted)])

    async def values_to_runs(self, request: Request, where: Experiment) -> Response:
        name = request.query_params["param_name"].translate(STORED_AS)
        runs: dict[str, list[int]] = defaultdict(list)
        for number in sorted(where.runs):
            if name in where.runs[number]["params"]:
                runs[str(where.runs[number]["params"][name])].append(number)
        return success(runs)

    async def runs_with_tag(self, request: Request, where: Experiment) -> Response:
        wanted = request.query_params.get("tag")
        if not wanted:
            raise hard("Please specify the tag")
        return success(sorted({run for run, tag in where.tagged() if tag == wanted}))

    async def tags_to_runs(self, _: Request, where: Experiment) -> Response:
        runs: dict[str, list[int]] = defaultdict(list)
        for run, tag in where.tagged():
            runs[tag].append(run)
        return success(runs)

    async def runs_to_tags(self, _: Request, where: Experiment) -> Response:
        tags: dict[str, set[str]] = defaultdict(set)
        for run, tag in where.tagged():
            tags[str(run)].add(tag)
        return success({run: sorted(found) for run, found in sorted(tags.items())})

    async def tags_of_run(self, request: Request, where: Experiment) -> Response:
        wanted = integer(request.path_params["run"])
        return success(sorted({tag for run, tag in where.tagged() if run == wanted}))

    async def info(self, _: Request, where: Experiment) -> Response:
        return success(described(where))

    async def internal_info(self, _: Request, where: Experiment) -> Response:
        kept = ("instrument", "start_time", "end_time", "posix_group")
        facts = {name: value for name, value in described(where).items() if name in kept}
        return success({**facts, "proposal_id": where.name, "params": {}})


def described(where: Experiment) -> Json:
    """The experiment as the server introduces it."""
    return {
        "_id": where.name,
        "name": where.name,
        "instrument": where.instrument,
        "description": "test",
        "start_time": "2024-01-01T00:00:00+00:00",
        "end_time": "2027-01-01T00:00:00+00:00",
        "leader_account": "pi1",
        "contact_info": "x",
        "posix_group": where.name,
        "is_locked": where.locked,
    }


def plain_json(body: str) -> Response:
    """Some older endpoints print their JSON without blanks and label it without a charset."""
    return Response(body, 200, {"content-type": MEDIA_TYPE.partition(";")[0]})


def _without_params(run: Json) -> Json:
    return {name: value for name, value in run.items() if name != "params"}


def _chosen(run: Json, names: list[str]) -> Json:
    params = {name: run["params"][name] for name in names if name in run["params"]}
    return {"num": run["num"], "params": params, "_id": run["_id"]}


def _has(params: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(name in params and params[name] == value for name, value in wanted.items())
