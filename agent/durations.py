"""Durations as people write them: 90s, 1h30m, 2d. Pure, standard library only."""

import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
WRITTEN = re.compile(r"(?:[0-9]{1,9}[smhd])+")
PART = re.compile(r"([0-9]+)([smhd])")


def seconds_of(text: str) -> float | None:
    """The seconds that a text means; None: it is no duration."""
    if not WRITTEN.fullmatch(text):
        return None
    return float(sum(int(number) * UNITS[unit] for number, unit in PART.findall(text)))
