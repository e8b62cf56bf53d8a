"""The settings model: every key, its unit, its default, and why the default is what it is.

`config/holdfast.example.toml` is written from this module; a test keeps it true. Keys of a
backend that are not named here are its adapter's own and are judged by the adapter.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from config.sources import (
    ADMIN_SOCKET,
    ATTENTION_AFTER_SECONDS,
    SOCKET,
    SPOOL_DIR,
    STATE_DIR,
    STUCK_AFTER_SECONDS,
    SettingsError,
    Sources,
)

BACKEND_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
MIB = 2**20
AF_UNIX_LIMIT = 107  # bytes that the kernel takes as the path of a Unix socket

Seconds = Annotated[float, Field(gt=0)]
Mode = Annotated[str, Field(pattern=r"^0?[0-7]{3}$")]


class Section(BaseModel):
    """A table of the settings file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AgentSettings(Section):
    """Where the agent lives and how it can be reached."""

    state_dir: Path = Field(
        default=STATE_DIR,
        description="Database, attachments and lock. A local disk: SQLite must not lie on NFS.",
    )
    spool_dir: Path = Field(
        default=SPOOL_DIR, description="Watched folder, one folder per backend."
    )
    socket: Path = Field(default=SOCKET, description="Unix socket for producers.")
    socket_mode: Mode = Field(default="0660", description="Who may hand entries in.")
    socket_group: str = Field(
        default="holdfast", description="Group of the socket and the spool, where it exists."
    )
    admin_socket: Path = Field(
        default=ADMIN_SOCKET,
        description="Unix socket for operators: everything, and what changes others' entries.",
    )
    admin_socket_mode: Mode = Field(default="0660", description="Who may operate.")
    admin_socket_group: str = Field(
        default="holdfast-admin", description="Group of the admin socket, where it exists."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="`json`: one object per line, for a log collector."
    )
    spool_settle_seconds: Seconds = Field(
        default=5,
        description="How long a file must lie unchanged when nobody saw it being written.",
    )
    grace_seconds: Seconds = Field(
        default=20,
        description="How long a stop waits for what is on the wire; then it is left in doubt.",
    )


class LimitSettings(Section):
    """What one producer, and all together, may ask of this host. Bytes and counts; 0: no limit."""

    max_entry_bytes: int = Field(default=4 * MIB, gt=0, description="Payload of one entry.")
    max_request_bytes: int = Field(default=64 * MIB, gt=0, description="One request, or one file.")
    max_attachment_bytes: int = Field(default=64 * MIB, gt=0, description="One attachment.")
    max_attachments: int = Field(default=100, gt=0, description="Attachments of one entry.")
    max_outbox_bytes: int = Field(
        default=0,
        ge=0,
        description="All payloads and attachments that wait. Beyond: refused (507).",
    )
    min_free_bytes: int = Field(
        default=256 * MIB, ge=0, description="Left free on the disk of state_dir. Below: refused."
    )
    max_connections_per_uid: int = Field(
        default=64, gt=0, description="Open connections of one user. Beyond: refused (429)."
    )


class RetrySettings(Section):
    """How long a backend that is away is left alone."""

    first_delay_seconds: Seconds = Field(default=1, description="Longest first rest.")
    max_delay_seconds: Seconds = Field(
        default=300,
        description="Longest rest: a recovered backend is noticed before a person would look.",
    )
    max_attempts: int = Field(
        default=8, gt=0, description="Failures while others pass, until an entry is a dead letter."
    )
    max_retry_after_seconds: Seconds = Field(
        default=3600, description="The longest Retry-After of a backend that is obeyed."
    )
    auth_retry_seconds: Seconds = Field(
        default=3600, description="Until a refused secret is tried again: accounts get locked."
    )


class RetryOverrides(Section):
    """`retry` for one backend: the keys given here replace the common ones."""

    first_delay_seconds: Seconds | None = None
    max_delay_seconds: Seconds | None = None
    max_attempts: int | None = Field(default=None, gt=0)
    max_retry_after_seconds: Seconds | None = None
    auth_retry_seconds: Seconds | None = None


class ReceiptSettings(Section):
    """How long it is remembered what was delivered."""

    keep_days: float = Field(
        default=90, gt=0, description="The dedup window: a key delivered earlier is taken as new."
    )
    keep_payload_days: float = Field(
        default=0,
        ge=0,
        description="Payload and files of what was delivered stay for so long, to be sent again by"
        " `holdfast resend`; 0: they go at once. At most keep_days.",
    )


class StatusSettings(Section):
    """When `holdfast status` asks for a person."""

    attention_after_seconds: Seconds = Field(
        default=ATTENTION_AFTER_SECONDS,
        description="A backend away for longer than this needs attention (exit 1).",
    )
    stuck_after_seconds: Seconds = Field(
        default=STUCK_AFTER_SECONDS,
        description="Due and flowing, but no outcome for so long is stuck (exit 2).",
    )


class CacheSettings(Section):
    """What is kept of the answers to questions, for when their backend is away."""

    max_bytes: int = Field(
        default=512 * MIB,
        gt=0,
        description="Room for kept answers; beyond, those not asked for longest go.",
    )
    refresh_seconds: Seconds = Field(
        default=300, description="How old a pinned answer that can still change may get."
    )
    patience_seconds: Seconds = Field(
        default=10,
        description="How long a silent backend is waited for while an older answer is at hand.",
    )
    fetch_seconds: Seconds = Field(
        default=900, description="How long all pages of one answer may take."
    )


class BackendSettings(BaseModel):
    """The keys that every backend has; the others are its adapter's options."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    kind: str = Field(description="Which adapter speaks to it.")
    url: str = Field(
        pattern=r"^https?://[^\s/@]+(/[^\s?#@]*)?$", description="Without credentials."
    )
    timeout_seconds: Seconds = Field(default=10, description="To connect, and between two bytes.")
    attempt_timeout_seconds: Seconds = Field(default=60, description="For a whole attempt.")
    concurrency: int | None = Field(default=None, gt=0, description="Requests at the same time.")
    batch_size: int | None = Field(default=None, gt=0, description="Entries in one request.")
    rate_per_second: float | None = Field(default=None, gt=0, description="Entries per second.")
    window: str | None = Field(
        default=None,
        description='Minutes in which it is delivered, as cron fields: "* 20-23,0-5 * * *".',
    )
    on_dead: Literal["continue", "stop"] = Field(
        default="continue", description="What a dead letter does to the rest of its stream."
    )
    on_full: Literal["refuse", "drop_oldest"] = Field(
        default="refuse",
        description="What a full budget does: new entries are refused, or the oldest are given up,"
        " each on the loss ledger.",
    )
    max_bytes: int = Field(default=0, ge=0, description="Its part of the outbox; 0: no limit.")
    retry: RetryOverrides = RetryOverrides()
    auth: dict[str, Any] = Field(default_factory=dict, description="How we prove who we are.")
    tls: dict[str, Any] = Field(default_factory=dict, description="Certificates.")

    @property
    def options(self) -> dict[str, Any]:
        """The adapter's own keys."""
        return dict(self.model_extra or {})


class Settings(Section):
    """Everything that can be configured."""

    agent: AgentSettings = AgentSettings()
    limits: LimitSettings = LimitSettings()
    retry: RetrySettings = RetrySettings()
    receipts: ReceiptSettings = ReceiptSettings()
    status: StatusSettings = StatusSettings()
    cache: CacheSettings = CacheSettings()
    backends: dict[str, BackendSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> "Settings":
        for name in self.backends:
            if not BACKEND_NAME.fullmatch(name):
                raise ValueError(f"backends.{name}: a name must match {BACKEND_NAME.pattern}")
        for key in ("socket", "admin_socket"):
            if len(os.fsencode(getattr(self.agent, key))) > AF_UNIX_LIMIT:
                raise ValueError(f"agent.{key}: the path is longer than {AF_UNIX_LIMIT} bytes")
        if self.agent.socket == self.agent.admin_socket:
            raise ValueError("agent.admin_socket: has to be another path than agent.socket")
        if self.receipts.keep_payload_days > self.receipts.keep_days:
            raise ValueError("receipts.keep_payload_days: cannot be more than receipts.keep_days")
        return self


def judge(sources: Sources) -> Settings:
    """The settings that `sources` make. Raises SettingsError naming each wrong key."""
    if unusable := list(_with_nul(sources.values, "")):
        raise SettingsError([f"{key}: has a NUL character in it" for key in unusable])
    try:
        return Settings.model_validate(sources.values)
    except ValidationError as exc:
        raise SettingsError(problems(exc, "")) from exc


def _with_nul(value: Any, key: str) -> Iterator[str]:
    """Keys of texts that no call of the system takes, neither as a path nor as a name."""
    match value:
        case str() if "\0" in value:
            yield key
        case dict():
            for name, below in value.items():
                yield from _with_nul(below, f"{key}.{name}" if key else str(name))
        case list():
            for below in value:
                yield from _with_nul(below, key)


def problems(exc: ValidationError, prefix: str) -> list[str]:
    """One sentence per finding: the full key and what is wrong with it, never the value."""
    return [
        _sentence(prefix, found["loc"], found["type"], found["msg"])
        for found in exc.errors(include_url=False, include_input=False)
    ]


def _sentence(prefix: str, location: tuple[int | str, ...], kind: str, text: str) -> str:
    key = ".".join([*([prefix] if prefix else []), *(str(step) for step in location)])
    match kind:
        case "extra_forbidden":
            said = "is not a key that Holdfast knows"
        case "missing":
            said = "is required"
        case _:
            said = text.removeprefix("Value error, ")
    return f"{key}: {said}" if key else said
