"""Who is ready when. Times are monotonic seconds, given by hand."""

import math

import pytest

from agent.spool.readiness import QUIET_SECONDS, STUCK_SETTLES, Due, Happening, Readiness

SETTLE = 5.0


@pytest.fixture
def readiness() -> Readiness:
    return Readiness(SETTLE)


def test_a_file_that_arrived_is_due_at_once(readiness: Readiness) -> None:
    readiness.note("a", Happening.ARRIVED, 10)

    assert readiness.look("a", 1, 10) == Due(10)


def test_an_unknown_file_is_due_when_it_has_settled(readiness: Readiness) -> None:
    assert readiness.look("a", 1, 10) == Due(15)
    assert readiness.look("a", 1, 15) == Due(15)


def test_two_looks_are_needed_even_without_a_settle_time() -> None:
    readiness = Readiness(0)

    assert readiness.look("a", 1, 10).at > 10
    assert readiness.look("a", 1, 10).at == 10


def test_a_change_between_looks_begins_anew(readiness: Readiness) -> None:
    readiness.look("a", 1, 10)

    assert readiness.look("a", 2, 14) == Due(19)


def test_a_closed_file_is_due_after_a_quiet_second(readiness: Readiness) -> None:
    readiness.note("a", Happening.WRITTEN, 10)
    readiness.note("a", Happening.CLOSED, 11)

    assert readiness.look("a", 1, 11.5) == Due(11.5 + QUIET_SECONDS)


@pytest.mark.parametrize("happening", [Happening.WRITTEN, Happening.CREATED])
def test_writing_after_arriving_takes_the_readiness_back(
    readiness: Readiness, happening: Happening
) -> None:
    readiness.note("a", Happening.ARRIVED, 10)
    readiness.note("a", happening, 11)

    assert readiness.look("a", 1, 11).at == 11 + SETTLE


def test_writing_after_closing_takes_the_readiness_back(readiness: Readiness) -> None:
    readiness.note("a", Happening.CLOSED, 10)
    readiness.note("a", Happening.WRITTEN, 10.5)

    assert readiness.look("a", 1, 12) == Due(12 + SETTLE, proof=True)


def test_who_was_seen_writing_and_not_closing_needs_proof(readiness: Readiness) -> None:
    readiness.note("a", Happening.WRITTEN, 10)
    readiness.look("a", 1, 10)

    assert readiness.look("a", 1, 15) == Due(15, proof=True)
    late = 10 + STUCK_SETTLES * SETTLE
    assert readiness.look("a", 1, late) == Due(15, proof=True, stuck=True, alone=True)


def test_an_unfinished_folder_is_never_due(readiness: Readiness) -> None:
    assert readiness.look("a", 1, 10, unfinished=True).at == math.inf


def test_a_folder_waits_for_each_of_its_writers(readiness: Readiness) -> None:
    for part in ("x", "y"):
        readiness.note("a", Happening.WRITTEN, 10, part=part)
    readiness.note("a", Happening.CLOSED, 10, part="x")

    assert readiness.look("a", 1, 10, parts=("x", "y")).proof
    readiness.note("a", Happening.CLOSED, 11, part="y")
    assert not readiness.look("a", 1, 11, parts=("x", "y")).proof


def test_a_part_that_is_gone_is_written_by_nobody(readiness: Readiness) -> None:
    readiness.note("a", Happening.WRITTEN, 10, part="x.part")

    assert not readiness.look("a", 1, 10, parts=("x",)).proof


def test_the_contents_of_an_arrived_folder_are_no_news(readiness: Readiness) -> None:
    readiness.note("a", Happening.ARRIVED, 10)
    readiness.note("a", Happening.CREATED, 10, part="x")
    readiness.note("a", Happening.ARRIVED, 10, part="y")

    assert readiness.look("a", 1, 10, parts=("x", "y")) == Due(10)


def test_what_was_known_of_a_file_follows_its_new_name(readiness: Readiness) -> None:
    readiness.note("a", Happening.WRITTEN, 10)
    readiness.renamed("a", "b")

    assert readiness.look("b", 1, 10).proof


def test_after_lost_events_only_looking_counts(readiness: Readiness) -> None:
    readiness.note("arrived", Happening.ARRIVED, 10)
    readiness.note("written", Happening.WRITTEN, 10)
    readiness.forget_happenings()

    for path in ("arrived", "written"):
        assert readiness.look(path, 1, 11) == Due(11 + SETTLE)


def test_files_that_are_gone_are_forgotten(readiness: Readiness) -> None:
    readiness.look("a", 1, 10)
    readiness.keep((), readiness.notes)

    assert readiness.look("a", 1, 20) == Due(25)


def test_a_note_that_is_younger_than_the_listing_is_kept(readiness: Readiness) -> None:
    before = readiness.notes
    readiness.note("a", Happening.ARRIVED, 10)
    readiness.keep((), before)

    assert readiness.look("a", 1, 11) == Due(11)
