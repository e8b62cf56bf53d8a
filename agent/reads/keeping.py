"""What of a fetched answer is kept: a whole one is never replaced by a part."""

from adapters.reading import Fetched, Plan, Shelf
from storage.cached import Kept, Label


async def keep(shelf: Shelf, plan: Plan, fetched: Fetched, since: int) -> None:
    """Keep what was fetched from `since` (epoch ms) on."""
    if not fetched.complete:
        before = await shelf.get(plan.key)
        if before is not None and before.label.complete:
            return
    label = Label(
        plan.key,
        plan.family,
        since,
        complete=fetched.complete,
        settled=fetched.settled,
        about=plan.about,
    )
    await shelf.put(Kept(label, fetched.data, fetched.meta))
