"""A Bluesky run engine writes its logbook, its run table and its readings through Holdfast.

    from bluesky_callback import HoldfastCallback

    RE.subscribe(HoldfastCallback(experiment="mfxl1000123"))
    RE(scan([det], motor, 1, 5, 5), run=12)   # run: the eLog's run, for its run table

`holdfast_client.py` (docs/clients) has to lie beside it. A callback that raises ends the plan, so
this one never does: what Holdfast cannot take is logged, and the measurement goes on. Each document
has its own uid as key: subscribing twice, or playing documents again, makes no second entry.
"""

import logging
import math
from typing import Any, Callable, Dict, Optional

from holdfast_client import Holdfast

MOST_ELEMENTS = 100  # of an array that goes into telemetry; of larger ones only the shape is told

logger = logging.getLogger(__name__)


class HoldfastCallback:
    """Takes (name, document) as RE.subscribe gives them. One for any number of runs.

    Each event becomes telemetry of type `bluesky.<stream>`; each stop a post in the eLog and, if
    the plan was started with `run=...`, parameters of that run.
    """

    def __init__(
        self,
        experiment: str,
        holdfast: Optional[Holdfast] = None,
        elog: Optional[str] = "elog",
        telemetry: Optional[str] = "telemetry",
    ) -> None:
        """`elog` and `telemetry` are the backends' names; None: nothing of this."""
        self.experiment = experiment
        self.holdfast = holdfast or Holdfast()
        self.elog = elog
        self.telemetry = telemetry
        self._starts = {}  # type: Dict[str, Dict[str, Any]]
        self._descriptors = {}  # type: Dict[str, Dict[str, Any]]

    def __call__(self, name: str, doc: Dict[str, Any]) -> None:
        """Take one document. Resources and data in files are for others."""
        known = {"start": self._start, "descriptor": self._descriptor, "event": self._event}
        known.update(event_page=self._event_page, stop=self._stop)
        if name in known:
            self._try(known[name], doc)

    def _try(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        try:
            step(*args, **kwargs)
        except Exception:
            logger.exception("Holdfast did not get %s", args)

    def _start(self, doc: Dict[str, Any]) -> None:
        self._starts[doc["uid"]] = doc

    def _descriptor(self, doc: Dict[str, Any]) -> None:
        self._descriptors[doc["uid"]] = doc

    def _event_page(self, doc: Dict[str, Any]) -> None:
        for n, uid in enumerate(doc["uid"]):
            data = {name: column[n] for name, column in doc["data"].items()}
            event = {"uid": uid, "time": doc["time"][n], "seq_num": doc["seq_num"][n]}
            self._event({**event, "data": data, "descriptor": doc["descriptor"]})

    def _event(self, doc: Dict[str, Any]) -> None:
        if self.telemetry is None:
            return
        descriptor = self._descriptors[doc["descriptor"]]
        start = self._starts.get(descriptor["run_start"], {})
        data = {name: plain(value) for name, value in doc["data"].items()}
        data.update(seq_num=doc["seq_num"], scan_id=start.get("scan_id"))
        self.holdfast.put(
            self.telemetry,
            {"type": "bluesky." + descriptor["name"], "data": data},
            key="bluesky-" + doc["uid"],
            labels=self._labels(start),
            created_at=doc["time"],
        )

    def _stop(self, doc: Dict[str, Any]) -> None:
        start = self._starts.pop(doc["run_start"])
        mine = [u for u, one in self._descriptors.items() if one["run_start"] == start["uid"]]
        for uid in mine:
            del self._descriptors[uid]
        if self.elog is None:
            return
        told = {"key": "bluesky-" + doc["uid"], "labels": self._labels(start)}  # type: Dict[str, Any]
        post = {"experiment": self.experiment, "text": summary(start, doc), "tags": ["BLUESKY"]}
        told["created_at"] = doc["time"]
        self._try(self.holdfast.put, self.elog, post, kind="post", **told)
        if "run" in start:
            params = {"plan": start.get("plan_name"), "scan_id": start.get("scan_id")}
            params.update(exit_status=doc["exit_status"], seconds=doc["time"] - start["time"])
            params.update(
                {"events_" + name: n for name, n in (doc.get("num_events") or {}).items()}
            )
            shown = {"bluesky_" + name: plain(value) for name, value in params.items()}
            table = {"experiment": self.experiment, "run": int(start["run"]), "params": shown}
            self._try(self.holdfast.put, self.elog, table, kind="run_params", **told)

    def _labels(self, start: Dict[str, Any]) -> Dict[str, str]:
        found = {"experiment": self.experiment, "scan_id": start.get("scan_id")}
        return {name: str(value) for name, value in found.items() if value is not None}


def summary(start: Dict[str, Any], stop: Dict[str, Any]) -> str:
    """What stands in the logbook about a run."""
    events = ["%s %d" % one for one in (stop.get("num_events") or {}).items()]
    lines = [
        "Scan %s: %s, %s" % (start.get("scan_id"), start.get("plan_name"), stop["exit_status"]),
        "%.1f s, events: %s" % (stop["time"] - start["time"], ", ".join(events) or "none"),
    ]
    if start.get("motors"):
        lines.append("motors: " + ", ".join(start["motors"]))
    if stop.get("reason"):
        lines.append("reason: " + stop["reason"])
    return "\n".join([*lines, "uid: " + start["uid"]])


def plain(value: Any) -> Any:
    """A reading as JSON has it: no numpy, no NaN, and no image in the telemetry."""
    if getattr(value, "size", 0) > MOST_ELEMENTS:
        return {"shape": list(value.shape), "dtype": str(value.dtype)}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return (
            [plain(one) for one in value]
            if len(value) <= MOST_ELEMENTS
            else {"shape": [len(value)]}
        )
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, bool, int, float)) else repr(value)
