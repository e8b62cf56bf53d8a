"""Time, handed to whoever needs it. The one place that reads a clock."""

import ctypes
import time
from pathlib import Path

from storage.entry import Stamp

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


class Clock:
    """The host's clocks."""

    def __init__(self) -> None:
        self._boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"
        self._libc = ctypes.CDLL(None, use_errno=True)

    def now(self) -> int:
        """Wall time, epoch milliseconds. May step."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that only go forward: for every duration."""
        return time.monotonic()

    def stamp(self) -> Stamp:
        """All clocks at once, for an entry that is being accepted."""
        # CLOCK_MONOTONIC stands still while the host sleeps; this one does not.
        since_boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        return Stamp(self.now(), since_boot, self._boot_id, self.synchronised())

    def synchronised(self) -> bool:
        """Does the kernel believe that its clock follows a time server?"""
        answer = ctypes.create_string_buffer(512)  # a struct timex, all zero: only ask
        state = self._libc.adjtimex(answer)
        return bool(0 <= state < TIME_ERROR)
