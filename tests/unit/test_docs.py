"""The docs say what the code says."""

import re
from pathlib import Path

import pytest

from adapters.registry import KINDS
from tests.builders import repository

ROOT = repository()
# Calls that log at a level which asks somebody to look (docs/operations.md).
LOUD = re.compile(r"""log\.(?:warning|error|exception)\(\s*["']([a-z]+\.[a-z_]+)["']""")


def sources() -> list[Path]:
    return [
        path
        for folder in ("agent", "adapters", "storage")
        for path in (ROOT / folder).rglob("*.py")
    ]


def loud_events() -> set[str]:
    found = {name for path in sources() for name in LOUD.findall(path.read_text())}
    assert len(found) > 5
    return found | {"backend.rests"}  # its level depends on the state


@pytest.mark.parametrize("event", sorted(loud_events()))
def test_every_log_line_that_asks_for_action_is_explained(event: str) -> None:
    assert f"### `{event}`" in (ROOT / "docs" / "operations.md").read_text()


def test_every_explained_log_line_exists() -> None:
    told = re.findall(
        r"^### `([a-z]+\.[a-z_]+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )

    assert set(told) == loud_events()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_backend_has_its_page_and_the_page_names_every_kind_of_entry(kind: str) -> None:
    page = (ROOT / "docs" / "backends" / f"{kind}.md").read_text()

    assert not [name for name in KINDS[kind].kinds if f"`{name}`" not in page]
    assert f"docs/backends/{kind}.md" in (ROOT / "README.md").read_text()


def test_every_link_between_pages_leads_somewhere() -> None:
    links = [
        (page, target)
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target
    ]
    assert len(links) > 10

    broken = [(page.name, target) for page, target in links if not (page.parent / target).exists()]

    assert broken == []


def test_no_page_names_a_path_of_somebodys_machine() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

    assert not [page for page in pages if re.search(r"/(home|root|work)/", page.read_text())]
