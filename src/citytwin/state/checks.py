"""Checks of readings, one after the other as they came: what physics, clock and memory of a device allow.

A reading that fails keeps its value and gets the reason; nothing is thrown away and nothing raised.

A step too large for its time, or out of all proportion to the device's own steps, is doubted, and so is what follows it
there: a gauge whose zero has moved by a metre is as steady as before. Doubt ends when the device comes back to what was
believed, or when a person judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt

from citytwin.columns import DeviceKind
from citytwin.state.readings import Arrivals, Quality

# kernels here make no arrays: without counting references to them, which is most of the time of small functions
lean: Any = cast(Any, numba.njit)(cache=True, nogil=True, _nrt=False)
REMEMBERED = 16  # times of readings kept per device, by which a reading that comes twice is known
AHEAD = 60.0  # seconds by which a device's clock may be ahead of ours
STEP_TIMES = 12.0  # where a kind has a largest rate, and a device speaks seldom, so that this rate allows nearly everything:
STEP_FLOOR = 0.2  # a step so many times its own usual one, and this share of the kind's usual range, is doubted
STEPS = 16.0  # readings over which the usual step is averaged
SEEN_STEPS = 4  # steps before a device has a usual one

GOOD, OUTSIDE, TOO_FAST = int(Quality.GOOD), int(Quality.OUTSIDE_BOUNDS), int(Quality.TOO_FAST)
STUCK, FUTURE, LATE, DOUBLED = int(Quality.STUCK), int(Quality.FUTURE), int(Quality.LATE), int(Quality.DOUBLED)
FIELDS = {
    "time": -np.inf, "value": np.nan, "same_since": -np.inf, "same": 0.0, "step": 0.0, "steps": 0.0,
    "doubt_time": -np.inf, "doubt_value": np.nan,
}  # fmt: skip
TIME, VALUE, SAME_SINCE, SAME, STEP, STEPS_SEEN, DOUBT_TIME, DOUBT_VALUE = range(len(FIELDS))


class Checks:
    """The memory that checks need of n devices, and the checks.

    `kinds`: the device kinds; `kind`: for each device its index in `kinds`. `known`: n x 8 numbers (`FIELDS`): time and
    value of the newest believed reading, since when and how often it was the same, the usual step and how many were seen, time
    and value of the newest reading in doubt. `times`: n x 16 times of kept readings, by which repetitions are known.
    """

    def __init__(self, kinds: Sequence[DeviceKind], kind: npt.NDArray[np.int32]) -> None:
        n = len(kind)
        self.kind = kind
        self.limits = np.array(
            [(k.column.low, k.column.high, k.rate, k.period, k.still, STEP_FLOOR * (k.usual[1] - k.usual[0])) for k in kinds],
            dtype=np.float64,
        ).reshape(len(kinds), 6)
        self.known = np.tile(np.array(list(FIELDS.values())), (n, 1))
        self.times = np.full((n, REMEMBERED), np.nan)
        self.place = np.zeros(n, dtype=np.int32)

    @property
    def last_time(self) -> npt.NDArray[np.float64]:
        """Time of the newest believed reading of each device, -inf before the first."""
        return self.known[:, TIME]

    @property
    def last_value(self) -> npt.NDArray[np.float64]:
        """The newest believed value of each device, NaN before the first."""
        return self.known[:, VALUE]

    @property
    def in_doubt(self) -> npt.NDArray[np.bool_]:
        """Whose newest reading is doubted."""
        found: npt.NDArray[np.bool_] = np.isfinite(self.known[:, DOUBT_TIME])
        return found

    def check(self, batch: Arrivals) -> None:
        """Write into `batch.quality` what is wrong with each reading that is still GOOD; remember the kept ones."""
        judge(
            batch.row, batch.time, batch.value, batch.arrived, batch.quality, self.kind, self.limits,
            self.known, self.times, self.place,
        )  # fmt: skip

    @property
    def memory(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that hold what is remembered, by name; to be set down and filled again."""
        return {"known": self.known, "times": self.times, "place": self.place}

    def remember(self, row: npt.NDArray[np.int32], time: npt.NDArray[np.float64], value: npt.NDArray[np.float64]) -> None:
        """Take over readings that were believed before, as read from the history, oldest first."""
        recall(row, time, value, self.known, self.times, self.place)

    def believe(self, row: int, time: float, value: float) -> None:
        """Let following readings of one device be judged from here; time -inf: from nothing."""
        self.known[row] = list(FIELDS.values())
        self.known[row, [TIME, VALUE]] = time, value
        self.known[row, [SAME_SINCE, SAME]] = time, 1.0


@lean
def judge(row, time, value, arrived, quality, kind, limits, known, times, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Judge each reading in the order of arrival. Arrays as in `Arrivals` and `Checks`; `quality` is written."""
    for i in range(len(row)):
        r = row[i]
        if r < 0 or quality[i] != GOOD:
            continue
        found = verdict(time[i], value[i], arrived[i], limits[kind[r]], known[r], times[r])
        quality[i] = found
        if found in (GOOD, LATE):
            note(time[i], value[i], known[r])
        elif found == TOO_FAST:
            known[r, DOUBT_TIME] = time[i]
            known[r, DOUBT_VALUE] = value[i]
        if found in (GOOD, LATE, TOO_FAST, STUCK):
            times[r, place[r]] = time[i]
            place[r] = (place[r] + 1) % times.shape[1]


@lean
def verdict(time, value, arrived, limits, known, times):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The quality of one reading, given what is remembered of its device."""
    if not limits[0] <= value <= limits[1]:
        return OUTSIDE
    if time > arrived + AHEAD:
        return FUTURE
    for before in times:
        if before == time:
            return DOUBLED
    if time <= known[TIME]:
        return LATE
    if doubtful(time, value, limits, known):
        return TOO_FAST
    still, period = limits[4], limits[3]
    if value == known[VALUE] and time - known[SAME_SINCE] > still and known[SAME] * max(period, 1.0) > still:
        return STUCK
    return GOOD


@lean
def doubtful(time, value, limits, known):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Whether a reading steps further than its kind, or its device, ever does, or goes on from one that did."""
    rate, period = limits[2], limits[3]
    if not np.isfinite(rate) or np.isnan(known[VALUE]):
        return False
    step = np.abs(value - known[VALUE])
    if step > rate * max(time - known[TIME], period):
        return True
    if np.isfinite(known[DOUBT_TIME]):
        return np.abs(value - known[DOUBT_VALUE]) <= step
    if time - known[TIME] <= 2 * period or known[STEPS_SEEN] < SEEN_STEPS:
        return False
    return step > max(STEP_TIMES * known[STEP], limits[5])


@lean
def note(time, value, known):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Remember one believed reading of a device."""
    if time <= known[TIME]:
        return
    if value != known[VALUE]:
        known[SAME_SINCE] = time
        known[SAME] = 1.0
        if not np.isnan(known[VALUE]):
            known[STEPS_SEEN] = min(known[STEPS_SEEN] + 1.0, STEPS)
            known[STEP] += (np.abs(value - known[VALUE]) - known[STEP]) / known[STEPS_SEEN]
    else:
        known[SAME] += 1.0
    known[TIME] = time
    known[VALUE] = value
    known[DOUBT_TIME] = -np.inf
    known[DOUBT_VALUE] = np.nan


@lean
def recall(row, time, value, known, times, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Remember many believed readings, in the order given."""
    for i in range(len(row)):
        r = row[i]
        note(time[i], value[i], known[r])
        times[r, place[r]] = time[i]
        place[r] = (place[r] + 1) % times.shape[1]
