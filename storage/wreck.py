"""A database that was moved aside: its rows by table, and the ids of all entries it held."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.damage import cause_of
from storage.raw import INDEX_INTERIOR, INDEX_LEAF, LEAF, Cell, Image, Unreadable
from storage.shapes import SHAPES, ULID, shape_of

# Each of these trees names every entry, and nothing else: one that is whole tells all.
WITNESSES = ("entry", "body", "sqlite_autoindex_entry_1", "sqlite_autoindex_body_1")
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
        self.bad_pages = 0
        self.bad_rows = 0
        self._pages: dict[str, list[tuple[int, int]]] = {name: [] for name in SHAPES}
        self._roots: dict[str, int] = {}
        self.highest: dict[str, int] = dict.fromkeys(SHAPES, 0)
        for number in self._image.in_use():
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
            for cell in self._image.cells(number)[0]:
                if shape.fits(cell.values):
                    yield shape.row(cell)

    def witness(self) -> Witness:
        """The ids of all entries, from the trees that name them."""
        found = Witness()
        for name in WITNESSES:
            ids, whole = self._ids(name)
            found.ids |= ids
            found.whole = found.whole or whole
        # Pages that no tree leads to any more have their rows all the same.
        for table in ("entry", "body"):
            found.ids |= {row["id"] for row in self.rows(table)}
        found.whole = found.whole and not self.stale
        return found

    def keys(self) -> dict[str, tuple[str, str, str]]:
        """Backend, kind and key by the id of an entry, as far as the indexes tell."""
        rowids = {cell.rowid: cell.values[0] for cell in self._index("sqlite_autoindex_entry_1")}
        found: dict[str, tuple[str, str, str]] = {}
        for cell in self._index(KEYS):
            id_, address = rowids.get(cell.rowid), cell.values[:3]
            if isinstance(id_, str) and all(isinstance(one, str) for one in address):
                found[id_] = address  # type: ignore[assignment]
        return found

    def _sort(self, number: int) -> None:
        """Note what a page holds."""
        try:
            kind = self._image.page(number)[100 if number == 1 else 0]
            if kind != LEAF:
                self.bad_pages += not self._plausible(number, kind)
                return
            cells, bad = self._image.cells(number)
        except (Unreadable, IndexError):
            self.bad_pages += 1
            return
        self.bad_rows += bad
        for cell in cells:
            self._note_root(cell)
        table = next((name for name in map(shape_of, cells) if name is not None), None)
        if table is not None:
            self._pages[table].append((cells[0].rowid, number))
            self.highest[table] = max(self.highest[table], *(cell.rowid for cell in cells))

    def _plausible(self, number: int, kind: int) -> bool:
        """Can the page be what it seems? The end of a long row may be anything."""
        if kind in (INDEX_LEAF, INDEX_INTERIOR):
            return self._image.cells(number)[1] == 0
        return True

    def _note_root(self, cell: Cell) -> None:
        """A row of the schema: where the tree of a table or an index begins."""
        if len(cell.values) == 5 and cell.values[0] in ("table", "index"):  # noqa: PLR2004
            name, root = cell.values[1], cell.values[3]
            if isinstance(name, str) and isinstance(root, int):
                self._roots[name] = root
        if len(cell.values) == 2 and cell.values[0] in SHAPES:  # noqa: PLR2004 - sqlite_sequence
            name, last = cell.values
            if isinstance(name, str) and isinstance(last, int) and last < 2**40:
                self.highest[name] = max(self.highest[name], last)

    def _ids(self, name: str) -> tuple[set[str], bool]:
        """The ids in one tree, and whether the tree is whole."""
        if name not in self._roots:
            return set(), False
        ids: set[str] = set()
        whole = True
        place = 1 if name == "entry" else 0  # behind the rowid's own column
        for number in self._image.walk(self._roots[name]):
            cells, bad = self._readable(number)
            whole = whole and not bad
            for cell in cells:
                one = cell.values[place] if len(cell.values) > place else None
                if isinstance(one, str) and ULID.fullmatch(one):
                    ids.add(one)
                else:
                    whole = False
        return ids, whole

    def _index(self, name: str) -> Iterator[Cell]:
        for number in self._image.walk(self._roots.get(name, 0)):
            for cell in self._readable(number)[0]:
                if cell.values:
                    yield cell

    def _readable(self, number: int | None) -> tuple[list[Cell], bool]:
        """The cells of a page, and whether some are missing."""
        try:
            cells, bad = self._image.cells(number or 0)
        except (Unreadable, IndexError):
            return [], True
        return cells, bad > 0


def open_wreck(folder: Path, name: str) -> "closing[Wreck] | None":
    """None: there is nothing to read at all."""
    try:
        return closing(Wreck(folder, name))
    except OSError:
        return None
