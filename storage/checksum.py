"""A checksum over what must never be delivered altered: the payload, and what addresses it.

SQLite keeps none of its own in the database file: a bit that flips on the disk inside of a text
reads as another text, and no check of SQLite's notices.
"""

import json
import zlib
from typing import Any


def checksum(id_: str, backend: str, kind: str, key: str, payload: str) -> int:
    """CRC-32 of an entry's body and address, as `body.crc` keeps it."""
    return zlib.crc32(f"{id_}\0{backend}\0{kind}\0{key}\0{payload}".encode())


def damage_of(row: Any, held: Any, files: int) -> str | None:
    """Why an entry is not what was accepted; None: it is.

    `row`, `held`: its rows of `entry` and `body`; `files`: the bytes of its attachments.
    """
    if held is None:
        return "its payload cannot be read"
    address = (row.id, row.backend, row.kind, row.key, held.payload)
    if held.crc is not None and held.crc != checksum(*address):
        return "its payload, or its address, was altered on the disk"
    if row.size != len(held.payload.encode()) + files:
        return "not everything that belongs to it can be read"
    return None


def read_object(text: str | None) -> dict[str, Any]:
    """A JSON object of ours; empty where the disk has made something else of it."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
