"""CMS OMS, the aggregation API: runs, lumisections, rates and what else it tells of CMS.

It is only asked: it takes no entries. Promises: see `reader.py`. What can be asked, and what each
answer means: docs/backends/oms.md.
"""

from collections.abc import Sequence

from adapters.base import BackendKind, Site
from adapters.oms.asking import RESOURCES
from adapters.oms.options import Options
from adapters.oms.reader import OmsReader
from adapters.preview import Preview
from adapters.verdict import Refused, Uncertain, Verdict
from storage.entry import Claim, Delivered, Doubt, Receipt

NO_ENTRIES = "OMS takes no entries: it can only be asked"


class OmsAdapter:
    """Takes nothing: no entry can be handed in for OMS."""

    def __init__(self, _: Site) -> None:
        pass

    async def deliver(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Nothing is sent. Raises Refused."""
        raise Refused(f"{NO_ENTRIES}: {len(claims)} entries stay here")

    async def find(self, doubt: Doubt) -> Sequence[Receipt]:
        """Nothing is looked for. Raises Uncertain."""
        raise Uncertain(f"{NO_ENTRIES}, and {doubt.claim.id} cannot be looked for")

    async def holds(self, receipt: Delivered) -> bool | None:  # noqa: ARG002 - the port's
        """It cannot be told."""
        return None

    def preview(self, claim: Claim) -> Sequence[Preview]:  # noqa: ARG002 - the port's
        """There is no request that would store an entry."""
        return []

    async def close(self) -> None:
        """There are no connections."""


KIND = BackendKind(
    options=Options,
    adapter=OmsAdapter,
    kinds={},
    main_kind="",
    reader=OmsReader,
    resources=RESOURCES,
)
