"""Checks of readings, one after the other as they came: what physics, clock and memory of a device allow.

A reading that fails keeps its value and gets the reason; nothing is thrown away and nothing raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from citytwin.columns import DeviceKind
from citytwin.state.readings import Arrivals, Quality

REMEMBERED = 16  # times of readings kept per device, by which a reading that comes twice is known
AHEAD = 60.0  # seconds by which a device's clock may be ahead of ours

GOOD, OUTSIDE, TOO_FAST = int(Quality.GOOD), int(Quality.OUTSIDE_BOUNDS), int(Quality.TOO_FAST)
STUCK, FUTURE, LATE, DOUBLED = int(Quality.STUCK), int(Quality.FUTURE), int(Quality.LATE), int(Quality.DOUBLED)


class Checks:
    """The memory that checks need of n devices, and the checks.

    `kinds`: the device kinds; `kind`: for each device its index in `kinds`. `last_time` and `last_value`: the newest
    believed reading of each device (-inf and NaN before the first).
    """

    def __init__(self, kinds: Sequence[DeviceKind], kind: npt.NDArray[np.int32]) -> None:
        n = len(kind)
        self.kind = kind
        self.limits = np.array(
            [(k.column.low, k.column.high, k.rate, k.period, k.still) for k in kinds], dtype=np.float64
        ).reshape(len(kinds), 5)
        self.last_time = np.full(n, -np.inf)
        self.last_value = np.full(n, np.nan)
        self.same_since = np.full(n, -np.inf)
        self.times = np.full((n, REMEMBERED), np.nan)
        self.place = np.zeros(n, dtype=np.int32)

    def check(self, batch: Arrivals) -> None:
        """Write into `batch.quality` what is wrong with each reading that is still GOOD; remember the believed ones."""
        judge(
            batch.row, batch.time, batch.value, batch.arrived, batch.quality, self.kind, self.limits,
            self.last_time, self.last_value, self.same_since, self.times, self.place,
        )  # fmt: skip

    @property
    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that hold what is remembered, by name; to be set down and filled again."""
        return {name: getattr(self, name) for name in ("last_time", "last_value", "same_since", "times", "place")}

    def remember(self, row: npt.NDArray[np.int32], time: npt.NDArray[np.float64], value: npt.NDArray[np.float64]) -> None:
        """Take over readings that were believed before, as read from the history, oldest first."""
        recall(row, time, value, self.last_time, self.last_value, self.same_since, self.times, self.place)


@numba.njit(cache=True, nogil=True)
def judge(row, time, value, arrived, quality, kind, limits, last_time, last_value, same_since, times, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Judge each reading in the order of arrival. Arrays as in `Arrivals` and `Checks`; `quality` is written."""
    for i in range(len(row)):
        r = row[i]
        if r < 0 or quality[i] != GOOD:
            continue
        found = verdict(time[i], value[i], arrived[i], limits[kind[r]], last_time[r], last_value[r], same_since[r], times[r])
        quality[i] = found
        if found in (GOOD, LATE):
            note(r, time[i], value[i], last_time, last_value, same_since, times, place)


@numba.njit(cache=True, nogil=True)
def verdict(time, value, arrived, limits, last_time, last_value, same_since, times):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The quality of one reading, given what is remembered of its device."""
    low, high, rate, period, still = limits[0], limits[1], limits[2], limits[3], limits[4]
    if not low <= value <= high:
        return OUTSIDE
    if time > arrived + AHEAD:
        return FUTURE
    if time <= last_time:
        for known in times:
            if known == time:
                return DOUBLED
        return LATE
    if np.abs(value - last_value) > rate * max(time - last_time, period):
        return TOO_FAST
    if value == last_value and time - same_since > still:
        return STUCK
    return GOOD


@numba.njit(cache=True, nogil=True)
def note(r, time, value, last_time, last_value, same_since, times, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Remember one believed reading of device `r`."""
    times[r, place[r]] = time
    place[r] = (place[r] + 1) % times.shape[1]
    if time > last_time[r]:
        if value != last_value[r]:
            same_since[r] = time
        last_time[r] = time
        last_value[r] = value


@numba.njit(cache=True, nogil=True)
def recall(row, time, value, last_time, last_value, same_since, times, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Remember many believed readings, in the order given."""
    for i in range(len(row)):
        note(row[i], time[i], value[i], last_time, last_value, same_since, times, place)
