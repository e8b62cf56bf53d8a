"""The programs of the demo: some drop files, some speak to the socket."""

import json
import shutil
import subprocess

from tests.ledgers import BACKENDS, payload
from tests.world import EXPERIMENT, World


class Producers:
    """Hands entries in and remembers every one that was accepted, as (backend, mark)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._count = 0
        self._curl = shutil.which("curl")
        self.accepted: list[tuple[str, str]] = []
        self._plots: list[str] = []

    @property
    def by(self) -> str:
        """What speaks to the socket here."""
        return "plain curl --unix-socket" if self._curl else "Python (there is no curl here)"

    def spool_files(self, picture: bytes) -> None:
        """A JSON event, an NDJSON file of records, a Markdown post with a plot."""
        event = self._mark("events")
        self._world.drop(f"events/{event}.json", json.dumps(payload("events", event)).encode())
        records = [self._mark("accounting") for _ in range(20)]
        lines = [json.dumps(payload("accounting", mark)) for mark in records]
        self._world.drop(f"accounting/{records[0]}.ndjson", "\n".join(lines).encode())
        self._post_with_plot(self._mark("elog"), picture)

    def _post_with_plot(self, mark: str, picture: bytes) -> None:
        text = f"---\nexperiment: {EXPERIMENT}\ntags: [SHIFT, PLOT]\n---\nFirst light {mark}"
        hidden = self._world.spool / "elog" / f".{mark}.entry"
        hidden.mkdir()
        (hidden / "entry.md").write_text(text)
        (hidden / "peaks.png").write_bytes(picture)
        hidden.rename(hidden.with_name(f"{mark}.entry"))
        self._plots.append(mark)

    def socket_round(self) -> None:
        """One entry for each backend over the socket."""
        for backend in BACKENDS:
            mark = self._mark(backend)
            body = json.dumps({"backend": backend, "payload": payload(backend, mark)})
            self._post(body, "application/json")

    def burst(self, count: int) -> set[tuple[str, str]]:
        """Many entries in one request, for the two backends that are well."""
        made = []
        for number in range(count):
            backend = ("telemetry", "accounting")[number % 2]
            made.append((backend, self._mark(backend)))
        lines = [json.dumps({"backend": b, "payload": payload(b, mark)}) for b, mark in made]
        self._post("\n".join(lines), "application/x-ndjson")
        return set(made)

    def plots_arrived(self) -> bool:
        """Does every post with a plot hold its plot?"""
        held = {
            one["content"].split()[-1]: [part["name"] for part in one.get("attachments", [])]
            for one in self._world.elog.ledger()
            if "content" in one
        }
        return all(held.get(mark) == ["peaks.png"] for mark in self._plots)

    def _mark(self, backend: str) -> str:
        self._count += 1
        mark = f"demo-{self._count:05d}"
        self.accepted.append((backend, mark))
        return mark

    def _post(self, body: str, media_type: str) -> None:
        if self._curl is None:
            status, answer = self._world.request("POST", "/v1/entries", body.encode(), media_type)
            accepted = status in (200, 202)
        else:
            answer = subprocess.run(
                [
                    self._curl, "--silent", "--show-error", "--fail",
                    "--unix-socket", str(self._world.home / "agent.sock"),
                    "--header", f"Content-Type: {media_type}",
                    "--data-binary", "@-",
                    "http://localhost/v1/entries",
                ],
                input=body.encode(), capture_output=True, check=False,
            )  # fmt: skip
            accepted = answer.returncode == 0
        if not accepted:
            raise SystemExit(f"the agent did not accept an entry: {answer}")
