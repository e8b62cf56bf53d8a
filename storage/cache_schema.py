"""The tables of the read cache. Another version of them is thrown away and not upgraded.

`answer.sum` is over everything that is said of an answer, the sum of its data included; SQLite
itself does not notice a bit that flips in a row. `data` stands last, so that labels are read
without it. Times are epoch ms.
"""

VERSION = 1

TABLES = (
    """CREATE TABLE answer (
        id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        family TEXT NOT NULL,
        fetched_at INTEGER NOT NULL,
        complete INTEGER NOT NULL,
        settled INTEGER NOT NULL,
        size INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        about TEXT NOT NULL,
        meta TEXT NOT NULL,
        sum TEXT NOT NULL,
        data_sum TEXT NOT NULL,
        data BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX answer_key ON answer(scope, key)",
    "CREATE INDEX answer_family ON answer(scope, family)",
    "CREATE INDEX answer_used ON answer(used_at, size)",
    """CREATE TABLE fact (
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        since INTEGER,
        sum TEXT NOT NULL,
        PRIMARY KEY (scope, name)
    )""",
    """CREATE TABLE want (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        question TEXT NOT NULL,
        wanted_at INTEGER NOT NULL,
        sum TEXT NOT NULL,
        PRIMARY KEY (scope, key)
    )""",
    "CREATE TABLE pin (scope TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (scope, key))",
)
