"""Checkpoints: a file for each quarter of an hour that says what every device said last, at any moment of that quarter.

    checkpoints/2026-11-21/13-15.parquet   of each device the newest believed reading up to 13:15 UTC, and all from there to
                                           13:30: device, kind, time, value
    checkpoints/late/*.parquet             readings that came when the checkpoints that should know them were written already

Checkpoints are only a short cut of what `readings/` says; without them questions are slower, not other. What comes late is put
into the checkpoints that should know it from time to time, and is looked at beside them until then. Believed is here what the
checks believed: what people judged is laid over the answer, so that a judgement changes no file.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import shutil
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from citytwin.io.stores.files import write_partial
from citytwin.io.stores.spans import READING

QUARTER = 900.0
REACH = 7 * 86400.0  # a value older than this is not carried on from checkpoint to checkpoint
MOST_LATE = 500_000  # late readings looked at beside checkpoints; of more, the checkpoints are removed and made again
MOST_ROWS = 4_000_000  # readings of one quarter that a checkpoint holds; of more, it says only what was known when it began
ROW_GROUP = 1 << 18
_STEP, _REACH = int(QUARTER * 1e6), int(REACH * 1e6)


class Start(NamedTuple):
    """Where a question about a moment starts: `tables` (`READING`) hold all that is needed up to `until` (µs since 1970)."""

    tables: list[pa.Table]
    until: int


class Checkpoints:
    """The checkpoints in `folder`. `quarters`: which there are (quarters of an hour since 1970), rising."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._late: list[tuple[Path, pa.Table]] = []
        self._promised: set[int] = set()  # being made: what comes meanwhile is late for them
        if any(folder.glob("????-??-??/[0-9][0-9].parquet")):  # hourly ones, without kinds, of an earlier version
            shutil.rmtree(folder)
        self.quarters = sorted(_quarter_of(p) for p in folder.glob("????-??-??/[0-9][0-9]-[0-9][0-9].parquet"))

    def recover(self, committed: int) -> None:
        """Take up the late readings up to place `committed` of the log; remove what a crash left behind it."""
        for path in self._folder.rglob(".*.partial"):
            path.unlink()
        for path in (self._folder / "late").glob("[0-9]*.parquet"):
            if int(path.stem.split("-")[1]) > committed:
                path.unlink()
            else:
                self._late.append((path, pq.read_table(path, schema=READING)))

    def path(self, quarter: int) -> Path:
        """The file of one quarter."""
        moment = dt.datetime.fromtimestamp(quarter * QUARTER, dt.UTC)
        return self._folder / f"{moment:%Y-%m-%d}" / f"{moment:%H-%M}.parquet"

    @property
    def number_late(self) -> int:
        """Readings that wait to be put into checkpoints."""
        with self._lock:
            return sum(len(table) for _, table in self._late)

    def at(self, moment: int) -> Start | None:
        """What the checkpoint at a moment (µs since 1970), or the last one before it, says, and what came late."""
        with self._lock:
            place = bisect.bisect_right(self.quarters, -(-moment // _STEP) - 1) - 1
            if place < 0:
                return None
            late, path = [table for _, table in self._late], self.path(self.quarters[place])
        try:
            known = pq.read_table(path)
        except (OSError, pa.ArrowException):  # gone meanwhile, or broken: the readings know all of it
            return None
        until = int(known.schema.metadata[b"until"])
        return Start([known.replace_schema_metadata(None), *late], until)

    def promise(self, quarter: int) -> None:
        """A checkpoint is about to be made: what is committed from now on is late for it."""
        with self._lock:
            self._promised.add(quarter)

    def write(self, quarter: int, known: pa.Table, until: int) -> bool:
        """Keep what was promised, whole up to `until` (µs); False where it is not wanted any more."""
        partial, path = write_partial(_stamped(known, until), self.path(quarter), ROW_GROUP)
        with self._lock:
            if quarter not in self._promised:
                partial.unlink()
                return False
            self._promised.remove(quarter)
            partial.replace(path)
            if quarter not in self.quarters:
                bisect.insort(self.quarters, quarter)
        return True

    # -- readings of the past -----------------------------------------------------------------------------------------

    def concerned(self, moments: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which readings of these moments (s since 1970) a checkpoint should know."""
        with self._lock:
            newest = max([*self.quarters[-1:], *self._promised], default=-1)
            if not len(moments) or moments.min() > (newest + 1) * QUARTER:  # nearly always so
                return np.zeros(len(moments), dtype=np.bool_)
            quarters = sorted({*self.quarters, *self._promised})
        begins = np.array([*quarters, np.inf]) * QUARTER
        found: npt.NDArray[np.bool_] = begins[np.searchsorted(begins + QUARTER, moments)] - moments <= REACH
        return found

    def behind(self, name: str, table: pa.Table) -> None:
        """Concerned readings are about to be kept by the commit `name`."""
        if not len(table):
            return
        late = table.select(READING.names).cast(READING)
        with self._lock:
            if len(late) + sum(len(t) for _, t in self._late) > MOST_LATE:
                moments = _moments(late)
                self._drop(-(-int(moments.min()) // _STEP) - 1, (int(moments.max()) + _REACH) // _STEP)
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
            if self._promised:
                return 0
            taken = list(self._late)
        if not taken:
            return 0
        late = pa.concat_tables([table for _, table in taken]).unify_dictionaries()
        moments = _moments(late)
        first, last = -(-int(moments.min()) // _STEP) - 1, (int(moments.max()) + _REACH) // _STEP
        written = sum(self._repair(quarter, late) for quarter in list(self.quarters) if first <= quarter <= last)
        with self._lock:
            self._late = [each for each in self._late if each[0] not in {path for path, _ in taken}]
        for path, _ in taken:
            path.unlink(missing_ok=True)
        return written

    def _repair(self, quarter: int, late: pa.Table) -> bool:
        """Put `late` readings into one checkpoint; whether that changed it."""
        path = self.path(quarter)
        try:
            known = pq.read_table(path)
        except FileNotFoundError:
            return False
        until = int(known.schema.metadata[b"until"])
        before = known.replace_schema_metadata(None)
        after = whole([before, late], quarter, until)
        if len(after) == len(before) and after["time"].equals(before["time"]) and after["value"].equals(before["value"]):
            return False
        partial, _ = write_partial(_stamped(after, until), path, ROW_GROUP)
        with self._lock:
            if quarter not in self.quarters:
                partial.unlink()
                return False
            partial.replace(path)
        return True

    def drop_before(self, day: str) -> None:
        """Remove the checkpoints of all days before `day` (as 2026-11-21)."""
        limit = dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() / QUARTER
        with self._lock:
            self._drop(0, limit - 1)
        for folder in self._folder.glob("????-??-??"):
            if folder.name < day:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def _drop(self, first: int, last: float) -> None:
        low, high = bisect.bisect_left(self.quarters, first), bisect.bisect_right(self.quarters, last)
        for quarter in self.quarters[low:high]:
            self.path(quarter).unlink(missing_ok=True)
        del self.quarters[low:high]
        self._promised = {q for q in self._promised if not first <= q <= last}


def whole(tables: list[pa.Table], quarter: int, until: int) -> pa.Table:
    """What a checkpoint of `quarter` holds of the readings in `tables`, each once, by device, kind and time.

    The newest of each device and kind up to the quarter's begin, not older than `REACH`, and all from there to `until` (µs).
    """
    begin = quarter * _STEP
    table = pa.concat_tables([t.cast(READING) for t in tables]).unify_dictionaries()
    moment = _moments(table)
    chosen = np.flatnonzero((moment > begin - _REACH) & (moment <= until))
    if not len(chosen):
        return READING.empty_table()
    device, kind = (np.concatenate([c.indices.to_numpy() for c in table[name].chunks]) for name in ("device", "kind"))
    kinds = max(len(table["kind"].chunk(0).dictionary), 1)
    who, moment = device[chosen].astype(np.int64) * kinds + kind[chosen], moment[chosen]
    order = np.argsort((who << 40) | (moment - (begin - _REACH)), kind="stable")  # 40 bits: 12 days of microseconds
    who, moment = who[order], moment[order]
    same = np.diff(who) == 0
    last = np.append(~same | (np.diff(moment) != 0), True)  # of two at one moment the last
    old = np.append(same & (moment[1:] <= begin), False)  # a newer one is known when the quarter begins
    return table.take(pa.array(chosen[order[last & ~old]]))


def _stamped(table: pa.Table, until: int) -> pa.Table:
    return table.replace_schema_metadata({b"until": str(until).encode()})


def _moments(table: pa.Table) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = table["time"].cast(pa.int64()).to_numpy()
    return found


def _quarter_of(path: Path) -> int:
    text = f"{path.parent.name}T{path.stem.replace('-', ':')}:00+00:00"
    return int(dt.datetime.fromisoformat(text).timestamp() // QUARTER)
