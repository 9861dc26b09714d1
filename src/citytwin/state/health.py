"""Health of devices: who is online, late, silent, faulty or in maintenance, and how often which check found what.

A device is faulty when half of its last readings were faults, and well again when at most one of them was; between the two
it stays what it was. A doubted step is no fault: the device may be right, and a flood what it says.
"""

from __future__ import annotations

from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt

from citytwin.state.readings import Arrivals, Quality

STATUS = ("unknown", "online", "late", "silent", "faulty", "maintenance")
UNKNOWN, ONLINE, LATE, SILENT, FAULTY, MAINTENANCE = range(6)

# kernels here make no arrays: without counting references to them, which is most of the time of small functions
lean: Any = cast(Any, numba.njit)(cache=True, nogil=True, _nrt=False)

LATE_AFTER, SILENT_AFTER = 1.5, 5.0  # periods without a reading
FAULTS = (Quality.UNREADABLE, Quality.WRONG_UNIT, Quality.OUTSIDE_BOUNDS, Quality.STUCK, Quality.FUTURE)
IS_FAULT = np.isin(np.arange(len(Quality)), FAULTS)
WINDOW = 10  # readings that are looked back upon
FAULTY_FROM, WELL_FROM = 5, 1  # faults among them; a device with fewer readings is faulty after three
FEWEST = 3
AHEAD = 60.0  # seconds that a reading may have come after now, which a clock set back makes


class Health:
    """What is known of each of n devices.

    `period`: seconds between readings that each device's kind promises. `heard`, `first`: newest and first arrival (s since
    1970). `counts`: n x qualities, readings by what the checks found. `silences`: how often it was silent for `SILENT_AFTER`
    periods or longer, `missed`: periods without a reading in all. `recent`: bit k is whether its k-th last reading was a fault.
    `until`: end of maintenance (s since 1970, -inf: none).
    """

    def __init__(self, period: npt.NDArray[np.float64]) -> None:
        n = len(period)
        self.period = period
        self.heard = np.full(n, -np.inf)
        self.first = np.full(n, np.inf)
        self.counts = np.zeros((n, len(Quality)), dtype=np.uint32)
        self.silences = np.zeros(n, dtype=np.uint32)
        self.missed = np.zeros(n)
        self.recent = np.zeros(n, dtype=np.uint16)
        self.seen = np.zeros(n, dtype=np.uint8)
        self.faulty = np.zeros(n, dtype=np.bool_)
        self.until = np.full(n, -np.inf)

    @property
    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that hold what is remembered, by name; to be set down and filled again."""
        return {
            "heard": self.heard, "first": self.first, "device_counts": self.counts, "silences": self.silences,
            "missed": self.missed, "recent": self.recent, "seen": self.seen, "faulty": self.faulty, "until": self.until,
        }  # fmt: skip

    def hear(self, batch: Arrivals) -> None:
        """Take notice of a checked batch."""
        listen(
            batch.row, batch.arrived, batch.quality, IS_FAULT, self.period, self.heard, self.first, self.counts, self.silences,
            self.missed, self.recent, self.seen, self.faulty,
        )  # fmt: skip

    def status(self, now: float) -> npt.NDArray[np.uint8]:
        """Status code (`STATUS`) of every device at `now` (s since 1970)."""
        ahead = self.heard > now + AHEAD
        if ahead.any():  # our clock was set back: silence is counted from now on
            self.heard[ahead] = now
        silence = (now - self.heard) / self.period
        found = np.full(len(silence), ONLINE, dtype=np.uint8)
        found[silence > LATE_AFTER] = LATE
        found[self.faulty] = FAULTY
        found[silence > SILENT_AFTER] = SILENT
        found[~np.isfinite(self.heard)] = UNKNOWN
        found[self.until > now] = MAINTENANCE
        return found

    def maintain(self, row: int, until: float) -> None:
        """Put a device into maintenance up to `until` (s since 1970); it starts with no faults behind it."""
        self.until[row] = until
        self.recent[row] = self.seen[row] = 0
        self.faulty[row] = False

    def worst(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """`rows`, those with most readings that were not believed first, then those with most missed periods."""
        bad = self.bad(rows)
        return rows[np.lexsort((rows, -self.missed[rows], -bad.astype(np.int64)))]

    def bad(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many readings of each were not believed."""
        counts = self.counts[rows]
        believed = counts[:, [Quality.GOOD, Quality.LATE, Quality.CONFIRMED]].sum(axis=1)
        not_believed: npt.NDArray[np.int64] = counts.sum(axis=1).astype(np.int64) - believed.astype(np.int64)
        return not_believed


@lean
def listen(  # type: ignore[no-untyped-def]  # noqa: ANN201
    row, arrived, quality, is_fault, period, heard, first, counts, silences, missed, recent, seen, faulty  # noqa: ANN001
):  # fmt: skip
    """Take notice of each reading in the order of arrival. Arrays as in `Arrivals` and `Health`."""
    mask = np.uint16((1 << WINDOW) - 1)
    for i in range(len(row)):
        r = row[i]
        if r < 0:
            continue
        counts[r, quality[i]] += 1
        gap = (arrived[i] - heard[r]) / period[r]
        if np.isfinite(gap) and gap > LATE_AFTER:
            missed[r] += np.floor(gap + 0.5) - 1.0
            if gap > SILENT_AFTER:
                silences[r] += 1
        first[r] = min(first[r], arrived[i])
        heard[r] = max(heard[r], arrived[i])
        recent[r] = np.uint16((np.int64(recent[r]) << 1 | np.int64(is_fault[quality[i]])) & np.int64(mask))
        seen[r] = min(seen[r] + 1, WINDOW)
        faults = np.int64(0)
        for k in range(WINDOW):
            faults += (np.int64(recent[r]) >> k) & 1
        few = seen[r] < WINDOW and faults >= FEWEST and 2 * faults >= seen[r]
        if faults >= FAULTY_FROM or few:
            faulty[r] = True
        elif faults <= WELL_FROM:
            faulty[r] = False


def uptime(status: npt.NDArray[np.uint8], time: npt.NDArray[np.float64], begin: float, end: float) -> float | None:
    """Share of `begin` ... `end` in which a device was online or late, of the time when it was known and not in maintenance.

    `status` from each moment of `time` (rising) on; the first may lie before `begin`. None where it was never to be expected.
    """
    edges = np.clip(np.append(time, end), begin, end)
    span = np.diff(edges)
    expected = (status != UNKNOWN) & (status != MAINTENANCE)
    there = (status == ONLINE) | (status == LATE)
    whole = float(span[expected].sum())
    return float(span[there].sum()) / whole if whole > 0 else None
