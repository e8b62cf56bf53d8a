"""Any bytes in the spool: entries, or a reason; nothing is passed over and nothing breaks."""

import asyncio
from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.spool import formats
from tests.fuzz.ground import BACKENDS, SpoolGround
from tests.fuzz.strategies import FILES, nearly_json, nearly_markdown
from tests.spool_world import a_world

PLAIN_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))


@pytest.fixture(scope="module")
def ground() -> Iterator[SpoolGround]:
    made = SpoolGround()
    yield made
    made.close()


@given(
    suffix=st.sampled_from(formats.SUFFIXES), backend=st.sampled_from(sorted(BACKENDS)), data=FILES
)
@settings(max_examples=300)
def test_any_bytes_are_entries_or_flaws_that_can_be_told(
    ground: SpoolGround, suffix: str, backend: str, data: bytes
) -> None:
    ground.spool_file(suffix, backend, data)


@given(st.lists(nearly_json("events") | st.binary(max_size=20), max_size=6))
@settings(max_examples=60)
def test_no_line_is_passed_over(ground: SpoolGround, lines: list[bytes]) -> None:
    ground.spool_file(".ndjson", "events", b"\n".join(lines))


@given(files=st.lists(st.tuples(st.sampled_from(formats.SUFFIXES), FILES), min_size=1, max_size=6))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_every_file_is_accepted_or_kept_aside_with_its_reason(
    files: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def live() -> None:
        async with a_world(tmp_path_factory.mktemp("bytes")) as world:
            for number, (suffix, data) in enumerate(files):
                world.drop(f"elog/{number}{suffix}", data)
            await world.settle()

            assert world.left() == []
            aside = world.aside()
            for path in aside:
                assert world.reason(path)["errors"]
            for number, (suffix, data) in enumerate(files):
                if suffix not in formats.MANY and f"elog/{number}{suffix}" in aside:
                    kept = world.root / ".rejected" / "elog" / f"{number}{suffix}"
                    assert kept.read_bytes() == data
            lines = sum(
                len(list(formats.lines_of(BytesIO(data), 2**20)))
                for suffix, data in files
                if suffix in formats.MANY
            )
            alone = sum(suffix not in formats.MANY for suffix, _ in files)
            bad_lines = sum(
                (world.root / ".rejected" / path).read_bytes().count(b"\n")
                for path in aside
                if formats.suffix_of(path) in formats.MANY
            )
            assert len(await world.entries()) <= lines + alone
            assert bad_lines <= lines + sum(data.count(b"\n") for _, data in files)

    asyncio.run(live())


@given(
    body=nearly_json("elog") | nearly_markdown(),
    markdown=st.booleans(),
    names=st.lists(PLAIN_NAMES, max_size=4, unique=True),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_a_folder_with_any_files_is_accepted_or_kept_whole(
    body: bytes, markdown: bool, names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def live() -> None:
        async with a_world(tmp_path_factory.mktemp("folder")) as world:
            for name in names:
                if len(name.encode()) < 200:
                    world.drop(f"elog/x.entry/{name}", name)
            world.drop(f"elog/x.entry/entry.{'md' if markdown else 'json'}", body)
            await world.settle()
            await world.settle()

            left = {path for path in world.left() if path != "elog/x.entry"}
            held = await world.entries()
            unfinished = any(name.endswith((".tmp", ".part")) for name in names)
            assert len(held) + bool(world.aside()) >= (not unfinished)
            assert not left or unfinished

    asyncio.run(live())
