"""Producers: entries handed in by every door, and remembered in the books once accepted.

A `Letter` is one request to the socket. It carries keys, so that the same bytes may be sent
again when the answer was lost, which is what a careful producer does.
"""

import base64
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from tests.door_client import form
from tests.ledgers import BACKENDS, Books, Told, payload, sha256
from tests.world import EXPERIMENTS, NDJSON, World

WORDS = ("beam", "dump", "shutter", "µm", "naïve", "測定", "jitter", "ﬁlter\tquench", "<b>&amp;")
NOT_NOW = (429, 503, 507)
CUT = (OSError, ValueError, HTTPException)  # away, killed, or half an answer
LONGEST_FILE = 40_000  # bytes


@dataclass(frozen=True)
class Item:
    """One entry of a letter or a file."""

    backend: str
    mark: str
    told: Told
    chain: str | None


@dataclass(frozen=True)
class Letter:
    """One request, to be repeated byte for byte until it is answered."""

    body: bytes
    media_type: str
    items: tuple[Item, ...]


class Refused(AssertionError):
    """The agent refused what it has to take."""


class Hands:
    """One producer. `name` begins its marks; `dice` decide what it hands in."""

    def __init__(self, world: World, books: Books, dice: random.Random, name: str) -> None:
        self._world = world
        self._books = books
        self._dice = dice
        self._name = name
        self._count = 0
        self.doors: Counter[str] = Counter()

    # Over the socket.

    def letter(self, backend: str) -> Letter:
        """One envelope."""
        return self._letter([self._item(backend)], "application/json")

    def lines(self, count: int, backends: Sequence[str]) -> Letter:
        """Many envelopes for any of `backends`."""
        items = [self._item(self._dice.choice(backends)) for _ in range(count)]
        return self._letter(items, NDJSON)

    def parcel(self) -> Letter:
        """A post with files, as multipart."""
        files = self._files()
        item = self._item("elog", files)
        body, headers = form(json.dumps(self._envelope(item)).encode(), *files.items())
        return Letter(body, headers["Content-Type"], (item,))

    def embedded(self) -> Letter:
        """A post whose file is in its envelope."""
        files = self._files()
        item = self._item("elog", files)
        parts = [
            {"name": name, "content_base64": base64.b64encode(data).decode()}
            for name, data in files.items()
        ]
        body = json.dumps({**self._envelope(item), "attachments": parts}).encode()
        return Letter(body, "application/json", (item,))

    def post(self, letter: Letter, *, timeout: float = 10.0) -> bool:
        """Send it once. True: all of it was accepted, and is in the books."""
        try:
            status, answer = self._world.request(
                "POST", "/v1/entries", letter.body, letter.media_type, timeout=timeout
            )
        except CUT:
            return False
        if status in NOT_NOW:
            return False
        if status not in (200, 202):
            raise Refused(f"{status} {answer}: {letter.body[:300]!r}")
        if letter.media_type == NDJSON and not self._all_taken(answer, letter):
            return False
        self._accepted(letter.items)
        return True

    # In the spool: accepted as soon as the file is complete.

    def drop_json(self, backend: str) -> None:
        item = self._item(backend, chained=False)
        self._world.drop(f"{backend}/{item.mark}.json", json.dumps(item.told.payload).encode())
        self._accepted([item])

    def drop_lines(self, backend: str, count: int, *, bad: bool = False) -> None:
        """One file with many entries; with a broken line in the middle if `bad`."""
        items = [self._item(backend, chained=False) for _ in range(count)]
        lines = [json.dumps(one.told.payload).encode() for one in items]
        name = f"{items[0].mark}.ndjson"
        if bad:
            lines.insert(count // 2, b'{"event_type": "broken')
            self._books.refused_files.add(f"{backend}/{name}")
        self._world.drop(f"{backend}/{name}", b"\n".join(lines) + b"\n")
        self._accepted(items)

    def drop_folder(self) -> None:
        """A post with its files beside it."""
        files = self._files()
        item = self._item("elog", files, chained=False)
        hidden = self._world.spool / "elog" / f".{item.mark}.entry"
        hidden.mkdir()
        (hidden / "entry.json").write_text(json.dumps(item.told.payload))
        for name, data in files.items():
            (hidden / name).write_bytes(data)
        hidden.rename(hidden.with_name(f"{item.mark}.entry"))
        self._accepted([item])

    def drop_slowly(self, backend: str, pause: Callable[[], object]) -> None:
        """Written under its last name, with a pause in the middle, as programs do."""
        item = self._item(backend, chained=False)
        data = json.dumps(item.told.payload).encode()
        with (self._world.spool / backend / f"{item.mark}.json").open("wb") as target:
            target.write(data[: len(data) // 2])
            target.flush()
            pause()
            target.write(data[len(data) // 2 :])
        self._accepted([item])

    def drop_broken(self) -> None:
        """A file that nobody can take: it has to be kept aside."""
        name = f"events/{self._mark()}.json"
        self._books.refused_files.add(name)
        self._world.drop(name, b'{"event_type": "cut in the mid')

    def anything(self, backends: Sequence[str] = BACKENDS) -> Letter | None:
        """Any hand-in by any door, for any of `backends`; a letter still has to be posted."""
        backend = self._dice.choice(backends)
        doors: dict[str, Callable[[], Letter | None]] = {
            "letter": lambda: self.letter(backend),
            "lines": lambda: self.lines(self._dice.randint(1, 25), backends),
            "drop_json": lambda: self.drop_json(backend),
            "drop_lines": lambda: self.drop_lines(
                backend, self._dice.randint(2, 12), bad=self._dice.random() < 0.2
            ),
            "drop_slowly": lambda: self.drop_slowly(
                backend, lambda: time.sleep(self._dice.uniform(0.05, 1.0))
            ),
            "drop_broken": self.drop_broken,
        }
        weights = [8, 4, 4, 1, 1, 0.3]
        if "elog" in backends:
            doors |= {
                "parcel": self.parcel,
                "embedded": self.embedded,
                "drop_folder": self.drop_folder,
            }
            weights += [1, 1, 1]
        (door,) = self._dice.choices(list(doors), weights)
        self.doors[door] += 1
        return doors[door]()

    # Making them.

    def _letter(self, items: list[Item], media_type: str) -> Letter:
        lines = [json.dumps(self._envelope(one)).encode() for one in items]
        return Letter(b"\n".join(lines), media_type, tuple(items))

    def _envelope(self, item: Item) -> dict[str, Any]:
        envelope = {"backend": item.backend, "key": item.mark, "payload": item.told.payload}
        # Posts and telemetry have streams of their own.
        if item.chain is not None and item.backend in ("events", "accounting"):
            envelope["stream"] = item.chain
        return envelope

    def _item(
        self, backend: str, files: Mapping[str, bytes] | None = None, *, chained: bool = True
    ) -> Item:
        mark = self._mark()
        made = payload(backend, mark, **self._content(backend, mark))
        told = Told(made, {name: sha256(data) for name, data in (files or {}).items()})
        chain = None
        if chained and (backend in ("elog", "telemetry") or self._dice.random() < 0.5):
            stream = made["experiment"] if backend == "elog" else backend
            chain = f"{self._name}/{stream}"
        return Item(backend, mark, told, chain)

    def _content(self, backend: str, mark: str) -> dict[str, Any]:
        words = " ".join(self._dice.choices(WORDS, k=self._dice.randint(1, 40)))
        number = self._dice.getrandbits(40)
        match backend:
            case "elog":
                experiment = self._dice.choice(EXPERIMENTS)
                return {"experiment": experiment, "text": f"Beam is back {mark}\n{words} {number}."}
            case "events":
                return {"event_data": {"mark": mark, "words": words, "number": number}}
            case "telemetry":
                type_ = self._dice.choice(("weather", "dome", "safety"))
                return {"type": type_, "data": {"mark": mark, "words": words, "number": number}}
            case _:
                scores = [{"name": "hs23", "value": number / 7}]
                return {"components": [{"name": "cpu", "amount": 4, "scores": scores}]}

    def _files(self) -> dict[str, bytes]:
        count = self._dice.randint(1, 3)
        sizes = [self._dice.randint(0, LONGEST_FILE) for _ in range(count)]
        return {f"plot{n}.png": self._dice.randbytes(size) for n, size in enumerate(sizes)}

    def _mark(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count:05d}"

    def _accepted(self, items: list[Item] | tuple[Item, ...]) -> None:
        for one in items:
            self._books.note(one.backend, one.mark, one.told, one.chain)

    def _all_taken(self, answer: Any, letter: Letter) -> bool:
        statuses = [one["status"] for one in answer]
        if wrong := [one for one in answer if one["status"] not in (200, 202, *NOT_NOW)]:
            raise Refused(f"{wrong}: {letter.body[:300]!r}")
        if not set(statuses) & set(NOT_NOW):
            return True
        # Sent again, what was not taken comes after what was.
        self._books.out_of_turn.update((one.backend, one.mark) for one in letter.items)
        return False
