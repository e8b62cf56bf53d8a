"""docs/socket.md: its examples are taken, and its statuses are the ones that exist."""

import re

from tests.bad_inputs import all_bad
from tests.builders import repository
from tests.door import Door

PAGE = (repository() / "docs" / "socket.md").read_text()


def test_every_example_of_an_envelope_is_accepted() -> None:
    examples = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2

    with Door() as door:
        assert [door.hand_in(one.encode()).status for one in examples] == [202, 202]


def test_every_status_that_a_bad_input_deserves_is_explained() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE)
    told = {int(number) for row in rows for number in row.split(",")}

    assert {one.status for one in all_bad()} <= told
