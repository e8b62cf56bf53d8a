"""Small makers of the values that tests hand in. Every field has a plain default."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ulid import ULID

from storage.entry import Claim, Entry, Producer, Stamp

NOW = 1_790_000_000_000  # epoch ms, some day in 2026


def an_entry(key: str | None = None, **changes: Any) -> Entry:
    payload = changes.pop("payload", None) or {"n": key or "x"}
    text = json.dumps(payload)
    fields: dict[str, Any] = {
        "id": str(ULID()),
        "backend": "events",
        "kind": "event",
        "payload": text,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "created_at": NOW,
        "accepted": Stamp(NOW, 1000, "boot", True),
        "producer": Producer("test"),
    }
    fields.update(changes)
    fields["key"] = key or fields["id"]
    return Entry(**fields)


def a_claim(payload: dict[str, Any] | None = None, **changes: Any) -> Claim:
    id_ = changes.pop("id", str(ULID()))
    fields: dict[str, Any] = {
        "seq": 1,
        "id": id_,
        "kind": "event",
        "key": id_,
        "payload": json.dumps(payload or {}),
        "created_at": NOW,
        "accepted_at": NOW,
        "stream": None,
        "scope": None,
        "attempts": 0,
        "tries": 1,
        "in_doubt": False,
        "newest_of_slot": True,
        "absences": 0,
        "first_sent_at": NOW,
        "last_sent_at": NOW,
        "size": 1,
        "labels": {},
    }
    return Claim(**{**fields, **changes})


def repository() -> Path:
    return Path(__file__).resolve().parent.parent
