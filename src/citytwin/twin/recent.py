"""The readings believed last, by device and time: what is sent again after a lost acknowledgement is known by it.

MQTT QoS 1 and a repeated HTTP request mean "at least once": a client may send again everything that it was not told we have,
thousands of readings at a time. The checks know the last few times of each device; this knows the last half to one million
of all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from citytwin.io.feeds.arrow import rows_of
from citytwin.io.feeds.words import Words
from citytwin.io.stores.readings import ReadingStore
from citytwin.sim.jit import lean
from citytwin.state import BELIEVED, Arrivals, Quality

KEPT = 1 << 20  # readings known at most in each of two tables; the last half of them always
LARGE = 4 * KEPT  # files of more rows are sorted ones of long ago
_STEP = np.uint64(0x9E3779B97F4A7C15)  # so that row 0 is not mixed to 0
LATE, DOUBLED = int(Quality.LATE), int(Quality.DOUBLED)


class Recent:
    """Two tables of marks; when the younger is full it becomes the older, and the older is forgotten."""

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._young = np.zeros(2 * kept, dtype=np.int64)
        self._old = np.zeros(2 * kept, dtype=np.int64)
        self._number = 0
        self._believed = np.isin(np.arange(len(Quality)), BELIEVED)

    def judge(self, batch: Arrivals) -> None:
        """Late readings that are known become DOUBLED; what is believed is remembered. After the checks."""
        step = self.kept // 2
        for begin in range(0, len(batch), step):
            part = slice(begin, begin + step)
            mark = marks(batch.row[part], batch.time[part])
            if self._number + len(mark) > self.kept:
                self._young, self._old, self._number = self._old, self._young, 0
                self._young[:] = 0
            self._number += note(mark, batch.quality[part], self._believed, self._young, self._old)

    def refill(self, store: ReadingStore, names: Words) -> None:
        """Remember the newest readings of the history, of devices `names`."""
        files = sorted(store.files_since(0), key=lambda f: int(f.stem.split("-")[1]), reverse=True)
        number = 0
        for path in files:
            rows = pq.read_metadata(path).num_rows
            if number >= self.kept:
                return
            if rows > LARGE:
                continue
            number += rows
            table = pq.read_table(path, columns=["device", "time"])
            found = [rows_of(chunk, names) for chunk in table["device"].chunks]
            row = np.concatenate(found) if found else np.empty(0, np.int32)
            batch = Arrivals.empty()
            batch.row, batch.time = row, table["time"].cast("int64").to_numpy() / 1e6
            batch.quality = np.zeros(len(row), np.uint8)
            self.judge(batch)


def marks(row: npt.NDArray[np.int32], time: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """A number for each pair of device and time (to the microsecond) that is hardly ever that of another; never 0.

    Each of the two goes through the finaliser of SplitMix64 (Steele, Lea, Flood 2014, doi:10.1145/2714064.2660195), the device
    first: bits of row and time that lie over each other do not cancel.
    """
    with np.errstate(invalid="ignore"):
        moment = np.round(time * 1e6).astype(np.int64).view(np.uint64)
    mark = _mixed(_mixed(row.astype(np.uint64) + _STEP) ^ moment)
    found: npt.NDArray[np.int64] = (mark | np.uint64(1)).view(np.int64)
    return found


def _mixed(mark: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mark = (mark ^ (mark >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mark = (mark ^ (mark >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mark ^ (mark >> np.uint64(31))


@lean
def note(mark: Any, quality: Any, believed: Any, young: Any, old: Any) -> int:
    """Write DOUBLED for late readings that are in a table, and enter what is believed; the number entered."""
    mask = len(young) - 1
    entered = 0
    for i in range(len(mark)):
        if not believed[quality[i]]:
            continue
        at = (mark[i] >> 1) & mask
        while young[at] != 0 and young[at] != mark[i]:
            at = (at + 1) & mask
        known = young[at] == mark[i]
        if not known and quality[i] == LATE:
            there = (mark[i] >> 1) & mask
            while old[there] != 0 and old[there] != mark[i]:
                there = (there + 1) & mask
            known = old[there] == mark[i]
        if known and quality[i] == LATE:
            quality[i] = DOUBLED
        elif young[at] == 0:
            young[at] = mark[i]
            entered += 1
    return entered
