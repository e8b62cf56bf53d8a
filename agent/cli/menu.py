"""What can be asked of a backend, for `query --help`. Loads the adapters."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.reading import Resource
from adapters.registry import KINDS
from agent.cli.raw import backends_of, kind_of
from config.sources import SettingsError, Sources, read_sources

Section = tuple[str, list[tuple[str, str]]]


def menu(words: Sequence[str], config: Any) -> Iterator[Section]:
    """Sections of (name, what it is): of a resource, of a backend, or of all backends."""
    try:
        found = read_sources(config if isinstance(config, Path) else None)
        names = _askable(found)
    except SettingsError as error:
        yield "What can be asked", [("unknown", f"{'; '.join(error.problems)}")]
        return
    if not words or words[0] not in names:
        said = [(name, f"a backend of kind {kind!r}") for name, kind in names.items()]
        yield "Backends to ask (query BACKEND --help)", said or [("none", "are in the settings")]
        return
    backend, resources = words[0], KINDS[names[words[0]]].resources
    if len(words) > 1 and words[1] in resources:
        yield _of_resource(words[1], resources[words[1]])
    else:
        lines = [(_shown(name, one), one.summary) for name, one in resources.items()]
        yield f"What {backend} can be asked for (query {backend} RESOURCE --help)", lines


def _askable(found: Sources) -> dict[str, str]:
    kinds = {name: kind_of(found, name) or "" for name in backends_of(found)}
    return {name: kind for name, kind in kinds.items() if kind in KINDS and KINDS[kind].reader}


def _of_resource(name: str, resource: Resource) -> Section:
    lines = [
        (f"--{one.replace('_', '-')}", f"{said}{' [required]' if one in resource.required else ''}")
        for one, said in resource.parameters.items()
    ]
    return f"{name}: {resource.summary}", lines or [("no parameters", "")]


def _shown(name: str, resource: Resource) -> str:
    return f"{name} [{resource.subject.upper()}]" if resource.subject else name
