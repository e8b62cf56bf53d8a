"""What producers hand in for the eLog, and how it is spelled on the wire.

Promises: the models only judge; what they refuse is what the server could never store, or
would store as something else (elog sheet, sections 3.5 and 3.6). Refusals point at the field.
"""

import html
import json
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    field_validator,
)

from adapters.verdict import Rejected
from storage.entry import Address, Claim

# The name becomes a part of the URL's path: a slash or a leading dot would lead elsewhere, to a
# 404 that looks as if the whole server were gone.
Experiment = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=100)
]
CURRENT = "current"  # in place of an experiment or a run: the one of the time of the entry
# The server crashes on an id that is not a MongoDB id, so that nobody could tell why.
OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{24}$")]
# The server spells these characters of a parameter's name so, and answers with them so.
STORED_AS = str.maketrans({".": "\uff0e", "$": "\uff04"})


def one_word(text: str) -> str:
    """`text` if it is a single word. The server splits at white space: "bad run" is two tags."""
    if text.split() != [text]:
        raise ValueError("must be one word without spaces")
    return text


def printable(text: str) -> str:
    """`text` if it can be the id or the key of an entry of ours."""
    if not text.isprintable():
        raise ValueError("must be printable characters only")
    return text


def number_or_current(run: object) -> int | str:
    """`run` if it names one."""
    if run == CURRENT or (type(run) is int and run >= 0):
        return run
    raise ValueError(f'must be the number of a run, or "{CURRENT}"')


Run = Annotated[int | str, PlainValidator(number_or_current)]
Reference = Annotated[
    str, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)
]
Word = Annotated[str, AfterValidator(one_word)]
# The first fault only: two million wrong words would take ten seconds to tell.
Words = Annotated[list[Word], Field(fail_fast=True)]
Flag = Literal["issue", "roadblock", "command_followup"]
# The form field of each, and the tag that the server adds to the entry for it.
FLAG_FIELDS: dict[Flag, tuple[str, str | None]] = {
    "issue": ("elog_support_issue", "ISSUE"),
    "roadblock": ("elog_support_roadblock", "ROADBLOCK"),
    "command_followup": ("command_followup", None),
}


class ForExperiment(BaseModel):
    """What the kinds of entry have in common. "current" is found out later: see current.py."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    experiment: Experiment


class Post(ForExperiment):
    """A logbook entry. `html`: the text is HTML already (it counts only beside a title).

    `reply_to`: the eLog's id of the entry that this one answers, or the id or key of one of ours.
    """

    text: str
    title: str | None = None
    html: bool = False
    tags: Words | None = None
    run: Run | None = None
    author: Word | None = None
    reply_to: Reference | None = None
    emails: Words | None = None
    shift: ObjectId | None = None
    cross_post: Words | None = None
    flags: Annotated[list[Flag], Field(fail_fast=True)] | None = None

    @field_validator("text")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("the eLog does not take an entry without text")
        return text


class RunParams(ForExperiment):
    """Columns of the run table for one run: name to any JSON value."""

    run: Run
    params: dict[str, Any] = Field(min_length=1)

    @field_validator("params")
    @classmethod
    def _distinct_names(cls, params: dict[str, Any]) -> dict[str, Any]:
        if "" in params:
            raise ValueError("a parameter needs a name")
        if len(escaped(params)) != len(params):
            raise ValueError(
                "two names become the same one: the eLog writes . as \uff0e, $ as \uff04"
            )
        return params


def payload_of(claim: Claim) -> dict[str, Any]:
    """The producer's payload, with what it left open as it was found out."""
    return {**json.loads(claim.payload), **claim.resolved}


def post_address(post: Post) -> Address:
    """Posts of one experiment stay in order; an experiment can refuse by itself.

    A reply to an entry of ours waits for it: only then has the eLog a name for it.
    """
    labels = {"experiment": post.experiment}
    if post.run is not None:
        labels["run"] = str(post.run)
    remote = post.reply_to is None or OBJECT_ID.fullmatch(post.reply_to)
    return Address(
        stream=post.experiment,
        scope=post.experiment,
        waits_for=None if remote else post.reply_to,
        labels=labels,
    )


def run_params_address(entry: RunParams) -> Address:
    """Parameters of one run stay in order: the last writer of a name wins on the server."""
    run = run_scope(entry.experiment, entry.run)
    return Address(
        stream=run,
        scope=run,
        labels={"experiment": entry.experiment, "run": str(entry.run)},
    )


def run_scope(experiment: str, run: int | str) -> str:
    """A run is a part of its experiment that can wait by itself, until it begins."""
    return f"{experiment}/{run}"


def parent_of(post: Post, claim: Claim) -> str | None:
    """The eLog's id of the entry that this one answers. Raises Rejected when it never got one."""
    if post.reply_to is None or OBJECT_ID.fullmatch(post.reply_to):
        return post.reply_to
    if claim.parent_id is None:
        raise Rejected(
            f"it answers the entry {post.reply_to}, which was discarded before the eLog had it."
            " Hand it in again without reply_to, or discard this one, too"
        )
    if not OBJECT_ID.fullmatch(claim.parent_id):
        raise Rejected(f"it answers the entry {post.reply_to}, which is no post: nothing can")
    return claim.parent_id


def post_form(post: Post, parent: str | None = None, late: str | None = None) -> dict[str, str]:
    """The form fields of new_elog_entry (elog sheet, section 3.5); no marker yet.

    `parent`: the eLog's id of the entry that this one answers. `late`: the line that is added.
    """
    fields = {
        "log_text": shown_text(post, late),
        "log_title": (post.title or "").strip(),
        "log_tags": " ".join(post.tags or []),
        "run_num": "" if post.run is None else str(post.run),
        "author": post.author or "",
        "parent": parent or "",
        "log_emails": " ".join(post.emails or []),
        "shift": post.shift or "",
    }
    flags = {FLAG_FIELDS[flag][0]: "true" for flag in post.flags or []}
    named = {name: value for name, value in fields.items() if value}
    return named | flags | _cross_post_fields(post)


def shown_text(post: Post, late: str | None = None) -> str:
    """The text as the web page has to get it to show what the producer wrote.

    Beside a title the page takes the text for raw HTML, alone for preformatted text: so a
    titled text is escaped and wrapped to keep its lines and columns.
    """
    if not (post.title or "").strip():
        return _with_line(post.text, late)
    if post.html:
        return _with_line(post.text, late and f"<p>{html.escape(late, quote=False)}</p>")
    text = html.escape(_with_line(post.text, late), quote=False)
    return f'<pre style="white-space: pre-wrap">{text}</pre>'


def escaped(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters under the names that the server stores (elog sheet, section 3.6)."""
    return {name.translate(STORED_AS): value for name, value in params.items()}


def _with_line(text: str, line: str | None) -> str:
    if not line:
        return text
    return f"{text}{line}" if text.endswith("\n") else f"{text}\n{line}"


def _cross_post_fields(post: Post) -> dict[str, str]:
    names = post.cross_post or []
    fields = {f"post_to_elog_{name}": "on" for name in names if name != "instrument"}
    return fields | ({"xpost_instrument_elog": "true"} if "instrument" in names else {})
