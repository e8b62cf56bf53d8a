"""What the eLog server answers beside any experiment: which one is active, and the switches."""

from starlette.requests import Request
from starlette.responses import Response

from tests.emulators.elog_answers import abort, hard, integer, success
from tests.emulators.elog_reads import described, plain_json
from tests.emulators.elog_world import World


class Stations:
    """The endpoints of instruments and their stations (elog sheet, section 3.1)."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def active_experiment(self, request: Request) -> Response:
        instrument = request.query_params.get("instrument_name")
        if not instrument:
            raise hard("Please specify the instrument name")
        station = integer(request.query_params.get("station", "0"))
        name = self.world.active.get((instrument.upper(), station))
        if name is None:
            told = f"Cannot find a valid active experiment for {instrument}/{station}, found None"
            raise hard(told)
        return success({**described(self.world.store.experiments[name]), "params": {}})

    async def active_experiments(self, request: Request) -> Response:
        if request.scope.get("user") is None:
            raise abort(403)
        found = []
        for place, name in self.world.active.items():
            if name is not None:
                where = self.world.store.experiments[name]
                run = where.runs[max(where.runs)] if where.runs else {}
                current = {key: run[key] for key in ("num", "begin_time") if key in run}
                place_facts = {**self.world.switched[place], "current_run": current}
                found.append({**described(where), **place_facts})
        return success(found)

    async def switch(self, request: Request) -> Response:
        self._demand_manager(request)
        wanted = await request.json()
        self.world.switch(wanted["experiment_name"], wanted["station"], request.scope["user"])
        return plain_json('{"success":true}\n')

    async def stand_by(self, request: Request) -> Response:
        self._demand_manager(request)
        wanted = await request.json()
        self.world.stand_by(wanted["instrument"], wanted["station"])
        return plain_json('{"success":true}\n')

    async def lock(self, request: Request) -> Response:
        self._demand_manager(request)
        where = self.world.store.experiments[request.query_params["experiment_name"]]
        where.locked = not where.locked
        return plain_json('{"success":true}\n')

    def _demand_manager(self, request: Request) -> None:
        if not self.world.people.may(request.scope.get("user"), "switch", "*", "*"):
            raise abort(403)
