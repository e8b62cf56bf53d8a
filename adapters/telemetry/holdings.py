"""Are events still in the files of a telemetry server on this host?

The server itself knows no ids beside the current values (telemetry sheet, section 3), so only its
files tell, and only of events that it was to store.
"""

import asyncio
import json
from pathlib import Path

from adapters.base import Refused
from adapters.telemetry.files import Sought, is_written
from storage.entry import Delivered

# What the server adds to an event in its file: seq, stream, keys, and the active run's id.
RECORD_MARGIN_BYTES = 8192
# A clock that was set back since must not hide the file written to.
FILE_MARGIN_SECONDS = 86_400


async def holds_event(
    receipt: Delivered, site_dir: Path, run_dir: Path | None, backend: str
) -> bool | None:
    """Is it written below `site_dir`, or in `run_dir`? None: nothing of the kind would be.

    Raises Refused when the files cannot be read.
    """
    if receipt.kind != "event" or receipt.payload is None:
        return None
    body = json.loads(receipt.payload)
    if not body.get("store_permanently", True):
        return None
    reach = len(json.dumps(body)) + RECORD_MARGIN_BYTES
    sought = Sought(receipt.remote_id, body["type"], reach)
    since = receipt.delivered_at / 1000 - FILE_MARGIN_SECONDS
    try:
        return await asyncio.to_thread(is_written, sought, site_dir, run_dir, since)
    except OSError as exc:
        detail = f"backends.{backend}.site_dir cannot be searched: {exc}"
        raise Refused(detail) from exc
