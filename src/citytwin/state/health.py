"""Health of devices: who is online, late, silent or faulty, told by when and how each was last heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.state.readings import Arrivals, Quality

STATUS = ("unknown", "online", "late", "silent", "faulty")
UNKNOWN, ONLINE, LATE, SILENT, FAULTY = range(5)

LATE_AFTER, SILENT_AFTER = 1.5, 5.0  # periods without a reading
FAULTS = (Quality.UNREADABLE, Quality.WRONG_UNIT, Quality.OUTSIDE_BOUNDS, Quality.STUCK, Quality.FUTURE)
FAULTY_AFTER = 3  # faults in a row


class Health:
    """When each of n devices was last heard, and how many of its last readings in a row were faults.

    `period`: seconds between readings that each device's kind promises.
    """

    def __init__(self, period: npt.NDArray[np.float64]) -> None:
        self.period = period
        self.heard = np.full(len(period), -np.inf)
        self.faults = np.zeros(len(period), dtype=np.int32)

    @property
    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that hold what is remembered, by name; to be set down and filled again."""
        return {"heard": self.heard, "faults": self.faults}

    def hear(self, batch: Arrivals) -> None:
        """Take notice of a checked batch."""
        known = batch.row >= 0
        row, quality, arrived = batch.row[known], batch.quality[known], batch.arrived[known]
        np.maximum.at(self.heard, row, arrived)
        fault = np.isin(quality, FAULTS)
        good = np.isin(quality, (Quality.GOOD, Quality.LATE))
        np.add.at(self.faults, row[fault], 1)
        self.faults[row[good]] = 0

    def status(self, now: float) -> npt.NDArray[np.uint8]:
        """Status code (`STATUS`) of every device at `now` (s since 1970)."""
        silence = (now - self.heard) / self.period
        found = np.full(len(silence), ONLINE, dtype=np.uint8)
        found[silence > LATE_AFTER] = LATE
        found[self.faults >= FAULTY_AFTER] = FAULTY
        found[silence > SILENT_AFTER] = SILENT
        found[~np.isfinite(self.heard)] = UNKNOWN
        return found
