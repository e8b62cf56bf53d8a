"""The spool contract: files in, entries out. See `agent.spool.scan` for its promises."""

from agent.spool.listing import count_spool
from agent.spool.readiness import Happening
from agent.spool.scan import Spool

__all__ = ["Happening", "Spool", "count_spool"]
