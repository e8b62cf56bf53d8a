"""KINDS: what `kind = "..."` in the settings may say. A new backend is one file and one line."""

from adapters.base import BackendKind

KINDS: dict[str, BackendKind] = {}
