"""Commands as processes of their own, as an operator types them."""

import json
import subprocess
import sys
from typing import Any

from tests.world import World


class Terminal:
    """Types commands for one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.out = self.err = ""

    def __call__(self, *arguments: str, stdin: Any = None) -> int:
        ran = subprocess.run(
            self.command(*arguments),
            input=stdin if isinstance(stdin, str | None) else json.dumps(stdin),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.out, self.err = ran.stdout, ran.stderr
        return ran.returncode

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "agent.cli", "--config", str(self.world.config), *arguments]

    def put(self, backend: str, payload: Any, *arguments: str) -> str:
        """Hand it in; the second word that is printed: an id, or a path."""
        assert self("put", backend, *arguments, stdin=payload) == 0, self.err
        return self.out.split()[1]

    def json(self, *arguments: str) -> Any:
        self(*arguments, "--json")
        return json.loads(self.out)

    def state_of(self, id_: str) -> str:
        state: str = self.json("show", id_)["state"]
        return state
