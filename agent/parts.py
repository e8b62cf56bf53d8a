"""Which files belong to an entry: what its envelope lists against what came along."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.base import EntryKind
from agent.draft import Bounds, Draft
from agent.envelope import Part
from agent.refusal import FieldError, too_large, unfit
from storage.entry import Attachment


@dataclass(frozen=True, slots=True)
class Match:
    """One attachment: as listed, as a staged file, or both."""

    part: Part | None
    file: Attachment | None

    @property
    def name(self) -> str:
        """The attachment's name, the same on both sides."""
        return self.file.name if self.file else self.part.name if self.part else ""

    @property
    def content(self) -> bytes:
        """Bytes embedded in the envelope; empty when there are none."""
        return (self.part.content if self.part else None) or b""

    @property
    def size(self) -> int:
        """Bytes, wherever they are."""
        return self.file.size if self.file else len(self.content)

    @property
    def media_type(self) -> str | None:
        """What the envelope says, else what came with the file."""
        said = self.part.media_type if self.part else None
        return said or (self.file.media_type if self.file else None)

    @property
    def description(self) -> str | None:
        """What the envelope says, else what came with the file."""
        said = self.part.description if self.part else None
        return said or (self.file.description if self.file else None)

    def described(self) -> Attachment:
        """The staged file with what the envelope says about it."""
        assert self.file is not None
        return replace(self.file, media_type=self.media_type, description=self.description)


def match_parts(
    listed: Sequence[Part] | None, draft: Draft, kind: EntryKind, bounds: Bounds
) -> list[Match]:
    """Every attachment of the entry, in order. Raises Refusal (422, 413), with a pointer each."""
    if listed is None:
        files = draft.files.values() if draft.all_files else ()
        matches = [Match(None, file) for file in files]
    else:
        matches = [Match(part, draft.files.get(part.name)) for part in listed]
    if matches and not kind.takes_attachments:
        raise unfit([FieldError("/attachments", "this kind of entry takes no attachments")])
    if kind.secret and any(one.name != kind.secret for one in matches):
        detail = f"takes one attachment only, named {kind.secret!r}"
        raise unfit([FieldError("/attachments", f"this kind of entry {detail}")])
    if len(matches) > bounds.max_attachments:
        detail = f"at most {bounds.max_attachments} attachments travel with an entry"
        raise unfit([FieldError("/attachments", detail)])
    errors = _mismatches(matches, draft)
    if errors:
        raise unfit(errors)
    _check_sizes(matches, kind, bounds)
    return matches


def _mismatches(matches: Sequence[Match], draft: Draft) -> list[FieldError]:
    errors = []
    names: set[str] = set()
    for position, match in enumerate(matches):
        place = f"/attachments/{position}"
        embedded = match.part is not None and match.part.content is not None
        if match.file is None and not embedded:
            errors.append(FieldError(place, f"there is no file {match.name!r} beside the entry"))
        if match.file is not None and embedded:
            errors.append(FieldError(place, f"{match.name!r} came twice: embedded and as a file"))
        if match.name in names:
            errors.append(FieldError(place, f"{match.name!r} is listed twice"))
        names.add(match.name)
    if not draft.spare_files:
        errors += [
            FieldError("/attachments", f"the file {name!r} came along, but is not listed")
            for name in draft.files
            if name not in names
        ]
    return errors


def _check_sizes(matches: Sequence[Match], kind: EntryKind, bounds: Bounds) -> None:
    own = kind.max_attachment_bytes
    limit = min(own, bounds.max_attachment_bytes) if own else bounds.max_attachment_bytes
    for position, match in enumerate(matches):
        if match.size > limit:
            place = f"/attachments/{position}"
            raise too_large(f"the attachment {match.name!r}", limit, place)
