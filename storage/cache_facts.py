"""The small things of the read cache in SQL: facts, and questions that are to be asked again.

As in `storage.cache_rows`, every row carries a sum, and one whose sum is wrong is not there.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text

from storage.cache_rows import as_text, seal
from storage.cached import Fact, OpenQuestion
from storage.dialect import in_chunks, storable

WANTED_MS = 24 * 3600 * 1000  # who asked yesterday asks again
WANTS = 1000  # at most: the newest


def merged(known: Fact | None, name: str, value: Any, seen_at: int, *, now: int) -> Fact:
    """A fact after it was seen once more.

    Seen at a time that has not come yet: by a clock that was wrong, so it yields.
    """
    if known is None:
        return Fact(name, value, seen_at)
    if seen_at < known.seen_at <= now:
        return known
    if as_text(known.value) == as_text(value):
        return Fact(name, known.value, seen_at, known.since)
    return Fact(name, value, seen_at, seen_at)


def facts(connection: Connection, scopes: Sequence[str], names: Sequence[str]) -> dict[str, Fact]:
    """What is remembered under these names: in each case what was seen last."""
    query = text(
        "SELECT scope, name, value, seen_at, since, sum FROM fact"
        " WHERE scope IN :scopes AND name IN :names ORDER BY seen_at"
    ).bindparams(bindparam("scopes", expanding=True), bindparam("names", expanding=True))
    stored = {storable(name): name for name in names}
    rows = [
        row
        for some in in_chunks(list(stored))
        for row in connection.execute(query, {"scopes": list(scopes), "names": some})
    ]
    return {
        stored[row.name]: Fact(stored[row.name], json.loads(row.value), row.seen_at, row.since)
        for row in rows
        if row.name in stored
        and row.scope in scopes
        and row.sum == seal(row.scope, row.name, row.value, row.seen_at, row.since)
    }


def note(connection: Connection, scope: str, seen: Mapping[str, Fact]) -> None:
    """Remember facts as they are now."""
    rows = []
    for fact in seen.values():
        name, value = storable(fact.name), as_text(fact.value)
        rows.append(
            {
                "scope": scope,
                "name": name,
                "value": value,
                "seen_at": fact.seen_at,
                "since": fact.since,
                "sum": seal(scope, name, value, fact.seen_at, fact.since),
            }
        )
    if rows:
        connection.execute(
            text(
                "INSERT OR REPLACE INTO fact (scope, name, value, seen_at, since, sum)"
                " VALUES (:scope, :name, :value, :seen_at, :since, :sum)"
            ),
            rows,
        )


def want(connection: Connection, wanted: OpenQuestion) -> None:
    """Remember a question. The oldest go when there are too many."""
    question = as_text(wanted.question)
    connection.execute(
        text(
            "INSERT OR REPLACE INTO want (scope, key, question, wanted_at, sum)"
            " VALUES (:scope, :key, :question, :at, :sum)"
        ),
        {
            "scope": wanted.scope,
            "key": wanted.key,
            "question": question,
            "at": wanted.wanted_at,
            "sum": seal(wanted.scope, wanted.key, question, wanted.wanted_at),
        },
    )
    connection.execute(
        text("DELETE FROM want WHERE wanted_at < :then"), {"then": wanted.wanted_at - WANTED_MS}
    )
    connection.execute(
        text(
            "DELETE FROM want WHERE rowid IN"
            " (SELECT rowid FROM want ORDER BY wanted_at DESC LIMIT -1 OFFSET :most)"
        ),
        {"most": WANTS},
    )


def wants(connection: Connection, *, now: int, limit: int) -> list[OpenQuestion]:
    """The questions that wait, those first that wait longest."""
    rows = connection.execute(
        text(
            "SELECT scope, key, question, wanted_at, sum FROM want WHERE wanted_at >= :then"
            " ORDER BY wanted_at, rowid LIMIT :most"
        ),
        {"then": now - WANTED_MS, "most": WANTS},
    ).all()
    sound = [
        OpenQuestion(row.scope, row.key, json.loads(row.question), row.wanted_at)
        for row in rows
        if row.sum == seal(row.scope, row.key, row.question, row.wanted_at)
    ]
    return sound[:limit]


def unwant(connection: Connection, scope: str, key: str) -> None:
    """It was asked again, or makes no sense any more."""
    connection.execute(
        text("DELETE FROM want WHERE scope = :scope AND key = :key"), {"scope": scope, "key": key}
    )
