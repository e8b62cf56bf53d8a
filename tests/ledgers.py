"""The conservation oracle: what was accepted against what the backends hold.

Every entry made here carries a mark that no other has. `Books` remember what was handed in and
in which order; `balance` compares them with the four ledgers, so that what is lost, invented,
doubled, altered or out of order can be counted.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.world import EXPERIMENT, World

BACKENDS = ("elog", "events", "telemetry", "accounting")
MARK = re.compile(r"\b[a-z][a-z0-9]*-\d{4,}\b")

Name = tuple[str, str]  # backend, mark


def payload(backend: str, mark: str, **more: Any) -> dict[str, Any]:
    """A payload that the backend takes, carrying `mark`. `more`: replaces, or is added."""
    match backend:
        case "elog":
            made = {"experiment": EXPERIMENT, "text": f"Beam is back {mark}", "tags": ["SHIFT"]}
        case "events":
            made = {"event_type": "log_info", "event_data": {"mark": mark, "μ": [1, 2.5, None]}}
        case "telemetry":
            made = {"type": "weather", "data": {"mark": mark, "wind": 3.5}}
        case _:
            made = {
                "record_id": mark,
                "components": [{"name": "cpu", "amount": 4, "scores": []}],
                "start_time": "2026-11-23T10:00:00Z",
                "meta": {"site": ["endstation"]},
            }
    return made | more


def mark_of(backend: str, held: Mapping[str, Any]) -> str:
    """The mark of a payload, or of what a backend made of it."""
    match backend:
        case "elog":
            found = MARK.search(held["content"] if "content" in held else held["text"])
            return found.group() if found else repr(held)
        case "events":
            return str(held["event_data"]["mark"])
        case "telemetry":
            return str(held["data"]["mark"])
        case _:
            return str(held["record_id"])


def ledger(world: World, backend: str) -> list[dict[str, Any]]:
    """What a backend holds, in order of arrival."""
    match backend:
        case "elog":
            return [one for one in world.elog.ledger() if "content" in one]
        case "events":
            return world.events.ledger()
        case "telemetry":
            return world.telemetry.ledger()
        case _:
            return world.accounting.ledger()


def marks(world: World, backend: str) -> list[str]:
    """The marks that a backend holds, in order of arrival."""
    return [mark_of(backend, one) for one in ledger(world, backend)]


@dataclass(frozen=True)
class Told:
    """What was handed in under a mark. `files`: name to sha256."""

    payload: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Books:
    """What was accepted. Written by several producers at once.

    A chain: names of one stream, each accepted before the next was handed in.
    """

    def __init__(self) -> None:
        self.accepted: dict[Name, Told] = {}
        self.chains: dict[str, list[Name]] = {}
        self.out_of_turn: set[Name] = set()  # an operator let them go again
        self.refused_files: set[str] = set()  # has to lie aside at the end

    def note(self, backend: str, mark: str, told: Told, chain: str | None = None) -> None:
        """This one was accepted."""
        self.accepted[backend, mark] = told
        if chain is not None:
            self.chains.setdefault(chain, []).append((backend, mark))


@dataclass(frozen=True)
class Balance:
    """The outcome of a comparison: "backend/mark" by what became of them."""

    accepted: int
    delivered: int
    lost: list[str]
    invented: list[str]
    doubled: list[str]
    altered: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return not (self.lost or self.invented or self.doubled or self.altered or self.disordered)


def balance(world: World, accepted: Iterable[Name]) -> Balance:
    """Compare (backend, mark) pairs that were accepted with all four ledgers."""
    wanted = set(accepted)
    held = Counter((backend, mark) for backend in BACKENDS for mark in marks(world, backend))
    return Balance(
        accepted=len(wanted),
        delivered=len(wanted & held.keys()),
        lost=sorted(map("/".join, wanted - held.keys())),
        invented=sorted(map("/".join, held.keys() - wanted)),
        doubled=sorted("/".join(name) for name, count in held.items() if count > 1),
    )


def close_the_books(world: World, books: Books) -> Balance:
    """`balance`, and beside it the content of everything and the order within each chain."""
    held = {backend: ledger(world, backend) for backend in BACKENDS}
    plain = balance(world, books.accepted)
    altered = [
        f"{backend}/{mark}"
        for backend, things in held.items()
        for one in things
        if (told := books.accepted.get((backend, mark := mark_of(backend, one))))
        and not is_same(world, backend, told, one)
    ]
    places: dict[Name, int] = {}
    for backend, things in held.items():
        for place, one in enumerate(things):
            places.setdefault((backend, mark_of(backend, one)), place)
    disordered = [f"{a} after {b}" for a, b in out_of_order(books, places)]
    return Balance(
        plain.accepted,
        plain.delivered,
        plain.lost,
        plain.invented,
        plain.doubled,
        sorted(altered),
        disordered,
    )


def out_of_order(books: Books, places: Mapping[Name, int]) -> list[tuple[str, str]]:
    """Neighbours of a chain that arrived the wrong way round."""
    wrong = []
    for chain in books.chains.values():
        arrived = [one for one in chain if one in places and one not in books.out_of_turn]
        for first, second in itertools.pairwise(arrived):
            if places[first] > places[second]:
                wrong.append(("/".join(first), "/".join(second)))
    return wrong


def is_same(world: World, backend: str, told: Told, held: Mapping[str, Any]) -> bool:
    """Does the backend hold what the producer said?"""
    said = told.payload
    match backend:
        case "elog":
            files = elog_files(world, said["experiment"], held.get("attachments", []))
            return said["text"] in held["content"] and files == dict(told.files)
        case "events":
            return bool(said["event_data"] == held["event_data"])
        case "telemetry":
            return bool(said["data"] == held["data"] and said["type"] == held["type"])
        case _:
            return all(said[name] == held[name] for name in ("components", "meta"))


def elog_files(
    world: World, experiment: str, attachments: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Name to sha256 of the files that the logbook holds for an entry."""
    contents = world.elog.store.experiments[experiment].contents
    return {one["name"]: sha256(contents[one["_id"]][1]) for one in attachments}
