"""What the recipes are fed with: Bluesky's documents, camonitor's lines, SPEC's macros in awk."""

import re
from collections.abc import Iterator
from typing import Any

# As Bluesky 1.15 makes them; only the lists of devices and settings are shortened.
START = {
    "uid": "bc5b9a4c-fbe2-4859-b730-1d8f1e004f73",
    "time": 1795576414.9023964,
    "versions": {"ophyd": "1.11.2", "bluesky": "1.15.1"},
    "scan_id": 1,
    "plan_type": "generator",
    "plan_name": "scan",
    "detectors": ["det", "nanny"],
    "motors": ["motor"],
    "num_points": 3,
    "hints": {"dimensions": [[["motor"], "primary"]]},
    "run": 2,
}
DESCRIPTOR = {
    "run_start": START["uid"],
    "time": 1795576414.95,
    "data_keys": {"det": {"source": "SIM:det", "dtype": "number", "shape": [], "precision": 3}},
    "uid": "de5c0000-0000-4000-8000-000000000001",
    "configuration": {},
    "name": "primary",
    "hints": {"det": {"fields": ["det"]}},
    "object_keys": {"det": ["det"]},
}


def event_document(number: int, **data: Any) -> dict[str, Any]:
    return {
        "uid": f"e0000000-0000-4000-8000-00000000000{number}",
        "time": START["time"] + number,
        "data": data,
        "timestamps": dict.fromkeys(data, START["time"]),
        "seq_num": number,
        "filled": {},
        "descriptor": DESCRIPTOR["uid"],
    }


STOP = {
    "uid": "5709a2f6-bfe2-4859-b730-1d8f1e004f73",
    "time": START["time"] + 60,
    "run_start": START["uid"],
    "exit_status": "success",
    "reason": "",
    "num_events": {"primary": 3},
}


class Image:
    """As much of a numpy array as matters."""

    size, shape, dtype = 400, (20, 20), "float64"


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "start", START
    yield "descriptor", DESCRIPTOR
    yield "event", event_document(1, det=0.6, nanny=float("nan"), image=Image())
    yield "resource", {"uid": "r", "spec": "NPY_SEQ"}
    second, third = event_document(2, det=1.0), event_document(3, det=0.5)
    yield (
        "event_page",
        {
            "descriptor": DESCRIPTOR["uid"],
            **{name: [second[name], third[name]] for name in ("uid", "time", "seq_num")},
            "data": {"det": [1.0, 0.5]},
            "timestamps": {"det": [1.0, 1.0]},
            "filled": {},
        },
    )
    yield "stop", STOP


# What camonitor prints with `-F TAB`, by print_time_val_sts of EPICS base's tool_lib.c.
PRINTED = """\
LAB:TEMP\t2026-11-25 01:02:03.123456\t21.5\t\t
LAB:TEMP\t2026-11-25 01:02:04.000001\t99\tHIHI\tMAJOR
LAB:SHUTTER\t2026-11-25 01:02:03.500000\tOpen for *** users\t\t
LAB:NONE\t*** Not connected (PV not found)
LAB:TEMP\t2026-11-25 01:02:05.250000 *** disconnected
LAB:WAVE\t2026-11-25 01:02:03.000000\t3\t1\t2.5\tnan\tUDF\tINVALID
LAB:FRESH\t<undefined>\t0\tUDF\tINVALID
LAB:LONG\t2026-11-25 01:02:03.000000\t101{long}\t\t
LAB:BROKEN
""".replace("{long}", "\t7" * 101)


def as_awk(macros: str) -> str:
    """The macros in awk, statement by statement: the two languages share all that is used here.

    What differs: awk has no declarations, `fprintf(file, ...)` is `printf(...) >> file`, and
    `unix(command, variable)` is a pipe.
    """
    lines = []
    top = []
    for written in macros.splitlines():
        if written.startswith(("#", "global ")) or written.strip().startswith("local "):
            continue
        if re.match(r"[A-Z_]+ = ", written):
            top.append(written)
            continue
        line = re.sub(r"^def (\w+\(.*\)) '\{$", r"function \1 {", written).replace("}'", "}")
        line = re.sub(r"fprintf\((\w+), (.*)\)$", r"printf(\2) >> \1", line)
        line = re.sub(r"unix\((.*), (\w+)\)$", r"\2 = captured(\1)", line)
        lines.append(line.replace("unix(", "system("))
    return "\n".join(lines) + AWK.replace("TOP", "\n".join(top))


AWK = r"""
function asc(c) { return ORD[c] }
function open(file) { return 0 }
function captured(command, said) {
    said = ""
    command | getline said
    close(command)
    return said "\n"
}
BEGIN {
    for (i = 1; i < 256; i++) ORD[sprintf("%c", i)] = i
    TOP
    HOLDFAST_SPOOL = ENVIRON["HOLDFAST_AGENT__SPOOL_DIR"]
    HARD = ENVIRON["HARD"]
    failed = holdfast_event("log_info", HARD)
    failed += holdfast_reading("ring_current", 399.8125)
    failed += holdfast_post(ENVIRON["EXPERIMENT"], sprintf("from SPEC: %s", HARD))
    exit failed
}
"""
