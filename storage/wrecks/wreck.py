"""A database that was moved aside: its rows by table, and the ids of all entries it held."""

from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.wrecks.damage import cause_of
from storage.wrecks.raw import Cell, Image, Unreadable
from storage.wrecks.shapes import SHAPES, ULID, shape_of

# Each of these trees names every entry, and nothing else: one that is whole tells all.
WITNESSES = ("sqlite_autoindex_entry_1", "sqlite_autoindex_body_1", "body", "entry")
KEYS = "entry_key"


@dataclass(slots=True)
class Witness:
    """What the pages say of which entries there were. `whole`: there were no others."""

    ids: set[str] = field(default_factory=set)
    whole: bool = False


class Wreck:
    """One folder below `damaged/`. Made once, then read table by table. Blocks."""

    def __init__(self, folder: Path, name: str) -> None:
        """Finds out which page belongs to which table. Raises OSError: there is no file."""
        self.folder = folder
        self.cause = cause_of(folder)
        self._image = Image(folder / name)
        self.stale = bool(self.cause.get("stale")) or self._image.log.damage is not None
        self._pages: dict[str, list[tuple[int, int]]] = {name: [] for name in SHAPES}
        self._roots: dict[str, int] = {}
        for number in self._image.in_use():
            with suppress(Unreadable):
                self._sort(number)
        for pages in self._pages.values():
            pages.sort()

    def close(self) -> None:
        """Let the files go."""
        self._image.close()

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Every readable row of a table, roughly in the order of their numbers."""
        shape = SHAPES[table]
        for _, number in self._pages[table]:
            for cell in self._image.rows(number):
                if shape.fits(cell.values):
                    yield shape.row(cell)

    def witness(self) -> Witness:
        """The ids of all entries, from the trees that name them."""
        found = Witness()
        for name in WITNESSES:
            ids, whole = self._ids(name)
            found.ids |= ids
            if whole:
                found.whole = not self.stale
                return found
        # Pages that no tree leads to any more have their rows all the same.
        for table in ("entry", "body"):
            found.ids |= {row["id"] for row in self.rows(table)}
        return found

    def keys(self, wanted: Collection[str]) -> dict[str, tuple[str, str, str]]:
        """Backend, kind and key of these entries by their ids, as far as the indexes tell."""
        ids = self._index("sqlite_autoindex_entry_1")
        rowids = {one.rowid: one.values[0] for one in ids if one and one.values[0] in wanted}
        found: dict[str, tuple[str, str, str]] = {}
        for cell in self._index(KEYS):
            if cell is None:
                continue
            id_, address = rowids.get(cell.rowid), cell.values[:3]
            if isinstance(id_, str) and all(isinstance(one, str) for one in address):
                found[id_] = address  # type: ignore[assignment]
        return found

    def _sort(self, number: int) -> None:
        """Note which table a page belongs to, by the first of its rows that tells."""
        for cell in self._image.rows(number):
            table = shape_of(cell)
            if table is not None:
                self._pages[table].append((cell.rowid, number))
                return
            self._note_root(cell)

    def _note_root(self, cell: Cell) -> None:
        """A row of the schema: where the tree of a table or an index begins."""
        if len(cell.values) == 5 and cell.values[0] in ("table", "index"):  # noqa: PLR2004
            name, root = cell.values[1], cell.values[3]
            if isinstance(name, str) and isinstance(root, int):
                self._roots[name] = root

    def _ids(self, name: str) -> tuple[set[str], bool]:
        """The ids in one tree, and whether the tree is whole."""
        if name not in self._roots:
            return set(), False
        ids: set[str] = set()
        whole = True
        place = 1 if name == "entry" else 0  # behind the rowid's own column
        for cell in self._index(name):
            one = cell.values[place] if cell is not None and len(cell.values) > place else None
            if isinstance(one, str) and ULID.fullmatch(one):
                ids.add(one)
            else:
                whole = False
        return ids, whole

    def _index(self, name: str) -> Iterator[Cell | None]:
        """What a tree holds; None for everything of it that cannot be read."""
        for number in self._image.walk(self._roots.get(name, 0)):
            try:
                yield from self._image.cells(number or 0)
            except Unreadable:
                yield None


def open_wreck(folder: Path, name: str) -> "closing[Wreck] | None":
    """None: there is nothing to read at all."""
    try:
        return closing(Wreck(folder, name))
    except OSError:
        return None
