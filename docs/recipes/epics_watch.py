"""Values of EPICS process variables become telemetry, through Holdfast's spool.

    python3 epics_watch.py XPP:DET:TEMP XPP:SHUTTER ...

Runs `camonitor` and writes what it prints as NDJSON into the spool, a file every second in which
something happened. So it needs no running agent, and nothing but Python 3.6. Each value carries the
time that EPICS gave it. Ends when camonitor does, with its exit code; SIGTERM and Ctrl-C end both,
with 0, after what came in was written.
"""

import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

BACKEND = "telemetry"
SPOOL = os.environ.get("HOLDFAST_AGENT__SPOOL_DIR", "/var/spool/holdfast")
EVERY_SECONDS = 1.0
MOST_LINES = 1000  # per file
MOST_WAITING = 100000  # while the spool cannot be written
MOST_ELEMENTS = 100  # of a waveform; a longer one is told by its length
TAB = "\t"  # camonitor escapes it inside of values: so fields can be told apart


def entry_of(line: str) -> Optional[Dict[str, Any]]:
    """The entry that one line of `camonitor -F TAB` means; None: it is no value.

    NAME TIME VALUE STATUS SEVERITY, the last two empty without an alarm; a waveform has its
    length before its values; who is not there has "*** ..." in place of the value.
    """
    name, _, rest = line.rstrip("\n").partition(TAB)
    if not rest:
        return None
    data = {"value": None, "connected": True, "status": "NO_ALARM", "severity": "NO_ALARM"}
    when = None
    if TAB not in rest:
        # "2026-... *** disconnected", or without a time "*** Not connected (PV not found)".
        when = time_of(rest.partition(" ***")[0])
        data.update(connected=False, status=rest.partition("*** ")[2], severity="INVALID")
    else:
        moment, *values, status, severity = rest.split(TAB)
        when = time_of(moment)
        data["value"] = value_of(values)
        if status or severity:
            data.update(status=status, severity=severity)
    return {
        "backend": BACKEND,
        "key": "epics-" + uuid.uuid4().hex,
        "created_at": (when or datetime.now(timezone.utc)).isoformat(),
        "payload": {"type": name, "data": data},
    }


def time_of(text: str) -> Optional[datetime]:
    """EPICS prints local time. None: "<undefined>", of a record that never was processed."""
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").astimezone()
    except ValueError:
        return None


def value_of(values: List[str]) -> Any:
    """One value, or a list: of more than one, the first says how many there are."""
    if len(values) == 1:
        return number_of(values[0])
    if len(values) - 1 > MOST_ELEMENTS:
        return {"length": len(values) - 1}
    return [number_of(one) for one in values[1:]]


def number_of(text: str) -> Any:
    """A number if it is one that JSON has, else the text."""
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(text) if text.lstrip("+-").isdigit() and len(text) < 19 else number


def leave(entries: List[Dict[str, Any]]) -> None:
    """Leave a file in the spool: under a hidden name until it is on the disk. Raises OSError."""
    folder = os.path.join(SPOOL, BACKEND)
    name = "epics-%013d-%s.ndjson" % (time.time() * 1000, uuid.uuid4().hex[:8])
    hidden = os.path.join(folder, "." + name)
    with open(hidden, "w") as target:
        os.fchmod(target.fileno(), 0o660)  # the agent is in the spool's group
        target.writelines(json.dumps(entry, allow_nan=False) + "\n" for entry in entries)
        target.flush()
        os.fsync(target.fileno())
    os.rename(hidden, os.path.join(folder, name))
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)  # the name, too
    os.close(descriptor)


def batch(lines: "queue.Queue[Optional[str]]") -> List[Optional[str]]:
    """What comes within a second of the first line; None in it is the end."""
    found = [lines.get()]
    until = time.monotonic() + EVERY_SECONDS
    while found[-1] is not None and len(found) < MOST_LINES:
        try:
            found.append(lines.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    return found


def main(names: List[str]) -> int:
    """Watch until camonitor ends."""
    command = ["camonitor", "-F", TAB, *names]
    try:
        camonitor = subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True)
    except OSError as exc:
        print("camonitor cannot be started: %s" % exc, file=sys.stderr)
        return 69
    stopped = threading.Event()

    def stop(*_: Any) -> None:
        stopped.set()
        camonitor.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    lines = queue.Queue(MOST_LINES)  # type: queue.Queue[Optional[str]]

    def read() -> None:
        for line in camonitor.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    waiting = []  # type: List[Dict[str, Any]]
    ended = False
    while not ended:
        if len(waiting) < MOST_WAITING:
            found = batch(lines)
            ended = found[-1] is None
            waiting += filter(None, (entry_of(line) for line in found if line))
        else:  # camonitor waits, too, and EPICS keeps the newest values for it
            time.sleep(EVERY_SECONDS)
            ended = camonitor.poll() is not None
        try:
            if waiting:
                leave(waiting)
            waiting = []
        except OSError as exc:
            print("the spool cannot be written, %d wait: %s" % (len(waiting), exc), file=sys.stderr)
    code = camonitor.wait()
    return 1 if waiting else 0 if stopped.is_set() else code % 256


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
