"""What a door hands to intake, and the bounds that intake keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.entry import Attachment, Producer

MIB = 2**20
ENVELOPE_BYTES = MIB // 4  # what an envelope may add to its payload, embedded files apart


@dataclass(frozen=True, slots=True)
class Bounds:
    """The settings' limits that intake keeps. Bytes, and counts. 0: no limit of ours.

    `drop_oldest`: backends that give up their oldest entries for new ones.
    """

    max_entry_bytes: int = 4 * MIB
    max_attachment_bytes: int = 64 * MIB
    max_attachments: int = 100
    max_outbox_bytes: int = 0
    min_free_bytes: int = 0
    max_backend_bytes: Mapping[str, int] = field(default_factory=dict)
    drop_oldest: frozenset[str] = frozenset()

    @property
    def max_text_bytes(self) -> int:
        """For the JSON text of one entry, embedded files apart."""
        return self.max_entry_bytes + ENVELOPE_BYTES


@dataclass(frozen=True, slots=True)
class Draft:
    """The bytes of one entry before they are judged, and what the door knows about them.

    `backend` and `kind` None: the envelope has to say. `files`: attachments already staged,
    by name; `all_files`: with no list in the envelope all of them belong to the entry;
    `spare_files`: files that the envelope does not list may lie beside it.
    """

    body: bytes
    backend: str | None
    kind: str | None
    producer: Producer
    default_key: str | None = None
    given_key: str | None = None
    files: Mapping[str, Attachment] = field(default_factory=dict)
    all_files: bool = False
    spare_files: bool = False
