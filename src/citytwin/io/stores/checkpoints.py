"""Hourly checkpoints: for each device the newest believed reading up to a full hour, so that no question reads more than that.

    checkpoints/2026-11-21/13.parquet   device, time, value: what was known at 13:00 UTC
    checkpoints/late/*.parquet          readings that came later and are not in the checkpoints behind them yet

Checkpoints are only a short cut of what `readings/` says; without them questions are slower, not other. Readings that come late
are put into the checkpoints that should know them from time to time, and are looked at beside them until then.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from citytwin.io.stores.files import write_partial

HOUR = 3600.0
REACH = 7 * 86400.0  # a value older than this is not carried on from checkpoint to checkpoint
MOST_LATE = 500_000  # late readings looked at beside checkpoints; of more, the checkpoints are removed and made again
SCHEMA = pa.schema([("device", pa.string()), ("time", pa.timestamp("us")), ("value", pa.float64())])


class Checkpoints:
    """The checkpoints in `folder`. `hours`: their moments (hours since 1970), rising."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._late: list[tuple[Path, pa.Table]] = []
        self.changes = 0  # rises when readings of the past come
        self.hours = sorted(_hour_of(p) for p in folder.glob("????-??-??/[0-9][0-9].parquet"))

    def recover(self, committed: int) -> None:
        """Take up the late readings up to place `committed` of the log; remove what a crash left behind it."""
        for path in self._folder.rglob(".*.partial"):
            path.unlink()
        for path in (self._folder / "late").glob("[0-9]*.parquet"):
            if int(path.stem.split("-")[1]) > committed:
                path.unlink()
            else:
                self._late.append((path, pq.read_table(path, schema=SCHEMA)))

    def path(self, hour: int) -> Path:
        """The file of one hour."""
        moment = dt.datetime.fromtimestamp(hour * HOUR, dt.UTC)
        return self._folder / f"{moment:%Y-%m-%d}" / f"{moment:%H}.parquet"

    def before(self, moment: float) -> tuple[float, pa.Table] | None:
        """The newest checkpoint at or before `moment` (s since 1970): its moment, and what was known, late readings too."""
        with self._lock:
            place = bisect.bisect_right(self.hours, int(moment // HOUR)) - 1
            late = [table for _, table in self._late]
            if place < 0 or moment - self.hours[place] * HOUR > REACH:
                return None
            hour = self.hours[place]
            try:
                known = pq.read_table(self.path(hour), schema=SCHEMA)
            except (OSError, pa.ArrowException):
                return None
        return hour * HOUR, newest([known, *(_up_to(table, hour) for table in late)])

    def write(self, hour: int, known: pa.Table, changes: int) -> bool:
        """Keep what was known at an hour, unless readings of the past came since `changes` was looked up."""
        partial, path = write_partial(known.cast(SCHEMA), self.path(hour))
        with self._lock:
            if changes != self.changes:
                partial.unlink()
                return False
            partial.replace(path)
            if hour not in self.hours:
                bisect.insort(self.hours, hour)
        return True

    # -- readings of the past -----------------------------------------------------------------------------------------

    def concerned(self, moments: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which readings of these moments (s since 1970) a checkpoint should know."""
        with self._lock:
            hours = np.append(self.hours, np.inf)
        if not len(moments) or moments.min() > (hours[-2] if len(hours) > 1 else -np.inf) * HOUR:
            return np.zeros(len(moments), dtype=np.bool_)
        found: npt.NDArray[np.bool_] = hours[np.searchsorted(hours, moments / HOUR)] * HOUR - moments <= REACH
        return found

    def behind(self, name: str, table: pa.Table) -> None:
        """Concerned readings (device, time, value) are about to be kept by the commit `name`."""
        with self._lock:
            self.changes += 1
            if not len(table):
                return
            late = newest_each_hour(table.select(SCHEMA.names).cast(SCHEMA))
            if len(late) + sum(len(t) for _, t in self._late) > MOST_LATE:
                found = _seconds(late)
                self._drop(int(np.ceil(found.min() / HOUR)), (found.max() + REACH) / HOUR)
                return
            partial, path = write_partial(late, self._folder / "late" / name)
            partial.replace(path)
            self._late.append((path, late))

    def undo(self, name: str) -> None:
        """The commit `name` failed."""
        path = self._folder / "late" / name
        with self._lock:
            path.unlink(missing_ok=True)
            self._late = [each for each in self._late if each[0] != path]

    def catch_up(self) -> int:
        """Put late readings into the checkpoints that should know them; number of checkpoints that were written anew."""
        with self._lock:
            taken = list(self._late)
        if not taken:
            return 0
        late = pa.concat_tables([table for _, table in taken])
        moments = _seconds(late)
        first, last = np.ceil(moments.min() / HOUR), (moments.max() + REACH) / HOUR
        written = 0
        for hour in [h for h in self.hours if first <= h <= last]:
            with self._lock:
                if hour not in self.hours:
                    continue
                known = pq.read_table(self.path(hour), schema=SCHEMA)
                after = newest([known, _up_to(late, hour)])
                if not after.equals(newest([known])):
                    partial, path = write_partial(after, self.path(hour))
                    partial.replace(path)
                    written += 1
        with self._lock:
            self._late = self._late[len(taken) :]
        for path, _ in taken:
            path.unlink(missing_ok=True)
        return written

    def forget(self, begin: float, end: float) -> None:
        """Readings between two moments have another quality now: checkpoints that may know them go."""
        with self._lock:
            self.changes += 1
            self._drop(int(np.ceil(begin / HOUR)), (end + REACH) / HOUR)

    def drop_before(self, day: str) -> None:
        """Remove the checkpoints of all days before `day` (as 2026-11-21)."""
        limit = dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() / HOUR
        with self._lock:
            self._drop(0, limit - 1)
        for folder in self._folder.glob("????-??-??"):
            if folder.name < day:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def _drop(self, first: int, last: float) -> None:
        low, high = bisect.bisect_left(self.hours, first), bisect.bisect_right(self.hours, last)
        for hour in self.hours[low:high]:
            self.path(hour).unlink(missing_ok=True)
        del self.hours[low:high]


def newest(tables: list[pa.Table]) -> pa.Table:
    """The newest reading of each device in several tables, ordered by device; of two at one moment the last."""
    table = pa.concat_tables(tables)
    if not len(table):
        return table
    words = table["device"].combine_chunks().dictionary_encode()
    code, moment = words.indices.to_numpy(), table["time"].cast(pa.int64()).to_numpy()
    order = np.lexsort((np.arange(len(code)), moment, code))
    last = order[np.append(np.diff(code[order]) != 0, True)]
    return table.take(pa.array(last)).sort_by("device")


def newest_each_hour(table: pa.Table) -> pa.Table:
    """The newest reading of each device in each hour: all that checkpoints need."""
    code = table["device"].combine_chunks().dictionary_encode().indices.to_numpy()
    moment = table["time"].cast(pa.int64()).to_numpy()
    hour = -((-moment) // int(HOUR * 1e6))
    order = np.lexsort((moment, hour, code))
    ends = (np.diff(code[order]) != 0) | (np.diff(hour[order]) != 0)
    return table.take(pa.array(order[np.append(ends, True)]))


def _up_to(table: pa.Table, hour: int) -> pa.Table:
    moments = _seconds(table)
    return table.filter(pa.array((moments <= hour * HOUR) & (moments > hour * HOUR - REACH)))


def _seconds(table: pa.Table) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = table["time"].cast(pa.int64()).to_numpy() / 1e6
    return found


def _hour_of(path: Path) -> int:
    return int(dt.datetime.fromisoformat(f"{path.parent.name}T{path.stem}:00+00:00").timestamp() // HOUR)
