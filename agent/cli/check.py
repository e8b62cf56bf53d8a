"""`holdfast check`: would the agent start with these settings? Changes and sends nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.endings import CONFIGURATION, OK
from agent.cli.printing import Grid, note, print_json, print_sections
from agent.cli.words import examples
from config.sources import SettingsError, read_sources

if TYPE_CHECKING:
    from adapters.base import Site
    from config.settings import Settings

COLUMNS = ("backend", "kind", "url", "auth")


@dataclass(frozen=True, slots=True)
class Finding:
    """What the settings say, and what is wrong with it."""

    file: Path | None
    backends: list[dict[str, str]]
    problems: list[str]


EXAMPLES = examples(
    "holdfast check",
    "sudo -u holdfast holdfast --config ./holdfast.toml check",
)


def check(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> Callable[[], int]:
    """Check the settings, the secrets and the folders.

    Sends nothing and changes nothing.

    Run it as root, or as the user that the agent runs as: others may not be able to read the
    secrets or to write in the folders. Prints what is wrong by its key, never a value that
    may be secret. Exit code 78 when anything is wrong.
    """
    return partial(_check, context.obj, as_json=as_json)


def _check(config: Path | None, *, as_json: bool) -> int:
    finding = _find(config)
    if as_json:
        told: dict[str, Any] = {
            "ok": not finding.problems,
            "file": str(finding.file) if finding.file else None,
            "backends": finding.backends,
            "problems": finding.problems,
        }
        print_json(told)
    elif not finding.problems:
        if finding.backends:
            rows = [[one[name] for name in COLUMNS] for one in finding.backends]
            print_sections([Grid(COLUMNS, rows)])
        print_sections([f"settings are fine: {finding.file}"])
    for problem in finding.problems:
        note(problem)
    return CONFIGURATION if finding.problems else OK


def _find(config: Path | None) -> Finding:
    from agent.cli.ground import ground_problems  # noqa: PLC0415 - loads the settings' models
    from agent.clock import Clock  # noqa: PLC0415
    from agent.wiring import check_backends  # noqa: PLC0415
    from config.settings import judge  # noqa: PLC0415

    try:
        found = read_sources(config)
    except SettingsError as error:
        return Finding(None, [], error.problems)
    try:
        settings = judge(found)
        sites = check_backends(settings, found.file.parent, Clock())
    except SettingsError as error:
        return Finding(found.file, [], error.problems)
    problems = ground_problems(settings)
    for site in sites.values():
        problems += _secret_problems(site)
    return Finding(found.file, _table(settings), problems)


def _table(settings: "Settings") -> list[dict[str, str]]:
    return [
        {
            "backend": name,
            "kind": one.kind,
            "url": one.url,
            "auth": str(one.auth.get("method", "none")),
        }
        for name, one in settings.backends.items()
    ]


def _secret_problems(site: "Site") -> Iterator[str]:
    """Files that hold secrets, and certificates: they have to be there and readable."""
    from adapters.auth.kerberos import flaw  # noqa: PLC0415 - as above
    from adapters.auth.options import secret_files  # noqa: PLC0415

    key = f"backends.{site.name}"
    for name, file in sorted(secret_files(site.auth)):
        is_keytab = name.endswith("keytab_file")
        said = flaw(site.find_secret(file), file) if is_keytab else _unreadable(site, file)
        if said is not None:
            yield f"{key}.auth.{name}: {said}"
    for name, path in site.tls.model_dump(exclude_none=True).items():
        try:
            path.open("rb").close()
        except OSError as exc:
            yield f"{key}.tls.{name}: {path} cannot be read: {exc.strerror}"


def _unreadable(site: "Site", file: str) -> str | None:
    try:
        return None if site.read_secret(file).strip() else f"{file} is empty"
    except (OSError, UnicodeDecodeError) as exc:
        return f"{file} cannot be read: {getattr(exc, 'strerror', None) or 'not text'}"
