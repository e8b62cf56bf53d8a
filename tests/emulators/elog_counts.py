"""How many posts and mails each key led to: one of each is what exactly once means.

A key is what a client may know its post by: a `jira_ticket`, a tag, or what it says.
"""

from collections import defaultdict
from collections.abc import Iterator

from tests.emulators.elog_store import Json, Store


def counts(store: Store) -> Json:
    """`{"jira_ticket" | "tag" | "content": {key: {"posts": n, "mails": n}}}`.

    Posts as people see them: copies in other logbooks and old versions are not counted.
    """
    mailed = [mail["entry_id"] for mail in store.mails]
    found: Json = {
        name: defaultdict(lambda: {"posts": 0, "mails": 0})
        for name in ("jira_ticket", "tag", "content")
    }
    for entry in posts(store):
        for name, key in keys(entry):
            found[name][key]["posts"] += 1
            found[name][key]["mails"] += mailed.count(entry["_id"])
    return found


def posts(store: Store) -> Iterator[Json]:
    with store.lock:
        entries = [one for where in store.experiments.values() for one in where.entries.values()]
    old = {one["previous_version"] for one in entries if "previous_version" in one}
    return (one for one in entries if one["_id"] not in old and "src_id" not in one)


def keys(entry: Json) -> Iterator[tuple[str, str]]:
    if "jira_ticket" in entry:
        yield "jira_ticket", entry["jira_ticket"]
    yield from (("tag", tag) for tag in entry.get("tags", []))
    yield "content", entry["content"]
