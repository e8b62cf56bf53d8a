"""Posts: sent once, proven by the id that comes back, looked for by their marker when it does not.

Promises: what is sent for an entry is the same on every attempt that may meet an earlier one.
"""

from collections.abc import Sequence
from dataclasses import replace

from adapters.elog import files, proofs, search
from adapters.elog.authors import Authors
from adapters.elog.late import before_correction, late_line
from adapters.elog.logbook import Logbook, of_experiment
from adapters.elog.payloads import Post, parent_of, payload_of, post_form, shown_text
from adapters.elog.twins import Twins
from adapters.elog.verdicts import NoSuchRun, is_crash
from adapters.preview import Preview
from storage.entry import Claim, Doubt, Receipt


class Posts:
    """The posts of one logbook server."""

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook
        self._marker: search.Marker = logbook.options.marker
        self._twins = Twins()
        self._authors = Authors(logbook.now)

    async def deliver(self, claim: Claim) -> Receipt:
        """Send a post. Raises DeliveryError."""
        post = Post.model_validate(payload_of(claim))
        author = await self._added_author(claim, post)
        form = self._form(claim, post) | ({"author": author} if author else {})
        path = f"{of_experiment(post.experiment)}/new_elog_entry"
        with files.opened(claim.attachments) as parts, self._twins.under_way(claim, form):
            answer, asked = await self._logbook.ask(
                "POST", path, post.experiment, form=form, files=parts or None
            )
        if author and is_crash(answer):
            self._authors.crashed(claim, author)
        try:
            remote_id = proofs.stored_post(answer, asked, claim)
        except NoSuchRun as missing:
            if not isinstance(post.run, int):
                raise
            existing = await self._logbook.runs(post.experiment)
            raise self._logbook.of_run(
                claim, post.experiment, post.run, existing, answer
            ) from missing
        self._twins.answered(claim, remote_id)
        self._authors.confirmed(claim)
        return self._receipt(claim, post.experiment, remote_id)

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """Look for a post by its marker. Raises when the search is no proof either way.

        A host whose clock is far off has looked in the wrong window: it looks again, in the
        server's time.
        """
        post = Post.model_validate(payload_of(doubt.claim))
        # Where a marker was sent, nothing else is compared.
        form = self._form(doubt.claim, post) if self._marker == "content" else {}
        texts = self._texts(doubt.claim, post) if form else ()
        sought = search.Sought(doubt, form, self._marker, self._logbook.now(), texts=texts)
        found, skew = await self._search(post.experiment, search.first_look(sought))
        sought = replace(sought, skew=skew)
        again = search.second_look(sought)
        if again is not None:
            found, _ = await self._search(post.experiment, again)
        remote_ids = search.matches(found, sought)
        if sought.marker == "content":
            remote_ids = self._twins.free(doubt.claim, form, remote_ids)
        return [
            self._receipt(doubt.claim, post.experiment, remote_id, duplicate=True)
            for remote_id in remote_ids
        ]

    def preview(self, claim: Claim) -> Preview:
        """The post as it is sent."""
        post = Post.model_validate(payload_of(claim))
        path = f"{of_experiment(post.experiment)}/new_elog_entry"
        added = self._logbook.options.author_from_uid and not post.author
        remarks = ("author is added where the producer's account has a name",) if added else ()
        shown = [files.shown(one) for one in claim.attachments]
        form = self._form(claim, post)
        return self._logbook.preview(
            "POST", path, post.experiment, form=form, files=shown, remarks=remarks
        )

    async def _search(
        self, experiment: str, query: dict[str, str]
    ) -> tuple[list[object], int | None]:
        """What was found, and how far the server's clock is ahead of ours."""
        path = f"{of_experiment(experiment)}/search_elog"
        answer, asked = await self._logbook.ask("GET", path, experiment, params=query)
        found = proofs.found_entries(answer, asked)
        return found, search.skew(answer, self._logbook.now())

    async def _added_author(self, claim: Claim, post: Post) -> str | None:
        if post.author or not self._logbook.options.author_from_uid:
            return None
        return await self._authors.author_of(claim)

    def _texts(self, claim: Claim, post: Post) -> tuple[str, ...]:
        """What it may have said under other settings, or before our clock was set right."""
        raw = self._form(before_correction(claim), post)
        return shown_text(post), raw["log_text"]

    def _form(self, claim: Claim, post: Post) -> dict[str, str]:
        """The same on every attempt that may meet an earlier one, the added author apart."""
        late = late_line(claim, self._logbook.options.late_after_seconds, self._logbook.host)
        form = post_form(post, parent_of(post, claim), late)
        return search.marked(form, claim, self._marker)

    def _receipt(
        self, claim: Claim, experiment: str, remote_id: str, *, duplicate: bool = False
    ) -> Receipt:
        url = self._logbook.place(f"{of_experiment(experiment)}/search_elog?_id={remote_id}")
        return Receipt(claim.id, remote_id=remote_id, url=url, duplicate=duplicate)
