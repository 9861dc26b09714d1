"""The course of each device's status: every change with its time, in Parquet files by day.

    status/2026-11-21/*.parquet     device, time, status (as a word), before; a row each time a status changes

Files are written every few seconds and joined once they are many. The first row of a device says what it was at the start.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citytwin.errors import OutsideError
from citytwin.io.stores.files import sync, words_of, write_partial
from citytwin.state import STATUS

Codes = npt.NDArray[np.uint8]
WORD = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema([("device", pa.string()), ("time", pa.timestamp("us")), ("status", WORD), ("before", WORD)])
MOST_FILES = 60  # of one day, before they are made one
MOST_WAITING = 2_000_000  # changes kept in memory while the disk refuses them


class Transitions:
    """The changes of status of the devices `keys`, in `folder`."""

    def __init__(self, folder: Path, keys: Sequence[str]) -> None:
        self._folder = folder
        self._keys = pa.array(keys, pa.string())
        self._waiting: list[pa.Table] = []
        self._number = 0
        for left in folder.rglob(".*.partial"):
            left.unlink()

    def note(self, rows: npt.NDArray[np.int64], time: float, status: Codes, before: Codes) -> None:
        """Devices `rows` changed from `before` to `status` (codes of `STATUS`) at `time` (s since 1970)."""
        if len(rows):
            moment = pa.array(np.full(len(rows), round(time * 1e6), dtype=np.int64)).cast(pa.timestamp("us"))
            self._waiting.append(
                pa.table([self._keys.take(pa.array(rows)), moment, _words(status), _words(before)], schema=SCHEMA)
            )

    def flush(self) -> None:
        """Write what waits. Raises OutsideError; what could not be written waits on."""
        waiting = list(self._waiting)
        if not waiting:
            return
        table = pa.concat_tables(waiting).unify_dictionaries()
        try:
            day = table["time"].cast(pa.int64()).to_numpy() // int(86400e6)
            for d in np.unique(day):
                folder = self._folder / (dt.date(1970, 1, 1) + dt.timedelta(days=int(d))).isoformat()
                self._number += 1
                first = table["time"].cast(pa.int64())[0].as_py() // 1000
                partial, path = write_partial(table.filter(pa.array(day == d)), folder / f"{first}-{self._number}.parquet")
                partial.replace(path)
                self._join(folder)
        except (OSError, pa.ArrowException) as error:
            if sum(map(len, self._waiting)) > MOST_WAITING:
                del self._waiting[: len(waiting)]
            raise OutsideError(f"cannot write the course of status: {words_of(error)}", str(self._folder)) from error
        del self._waiting[: len(waiting)]

    @staticmethod
    def _join(folder: Path) -> None:
        """Make the files of a day one, once they are many; a crash between may leave rows twice, which changes no answer."""
        files = sorted(folder.glob("[0-9]*.parquet"))
        if len(files) <= MOST_FILES:
            return
        table = pa.concat_tables([pq.read_table(f, schema=SCHEMA) for f in files]).unify_dictionaries()
        partial, path = write_partial(table.sort_by([("device", "ascending"), ("time", "ascending")]), files[-1])
        partial.replace(path)
        sync(folder)
        for each in files[:-1]:
            each.unlink()

    def of(self, device: str, begin: float, end: float) -> tuple[npt.NDArray[np.float64], list[str]]:
        """Times and statuses of one device: the change before `begin`, then all up to `end` (s since 1970)."""
        first, last = (dt.datetime.fromtimestamp(t, dt.UTC).date().isoformat() for t in (max(begin, 0), max(end, 0)))
        found: list[tuple[float, str]] = []
        for folder in sorted((p for p in self._folder.glob("????-??-??") if p.name <= last), reverse=True):
            found += self._read(folder, device)
            if folder.name <= first and any(t <= begin for t, _ in found):
                break
        found += self._read_waiting(device)
        found = sorted({t: (t, s) for t, s in found if t <= end}.values())
        before = max((i for i, (t, _) in enumerate(found) if t <= begin), default=0)
        return np.array([t for t, _ in found[before:]]), [s for _, s in found[before:]]

    def _read(self, folder: Path, device: str) -> list[tuple[float, str]]:
        found: list[tuple[float, str]] = []
        for path in sorted(folder.glob("[0-9]*.parquet")):
            with contextlib.suppress(OSError):  # joined just now
                found += _pairs(pq.read_table(path, schema=SCHEMA, filters=pc.field("device") == device))
        return found

    def _read_waiting(self, device: str) -> list[tuple[float, str]]:
        return [pair for table in list(self._waiting) for pair in _pairs(table.filter(pc.equal(table["device"], device)))]

    def drop_before(self, day: str) -> None:
        """Remove the days before `day` (as 2026-11-21)."""
        for folder in sorted(self._folder.glob("????-??-??")):
            if folder.name < day:
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()


def _pairs(table: pa.Table) -> list[tuple[float, str]]:
    moments = (table["time"].cast(pa.int64()).to_numpy() / 1e6).tolist()
    return list(zip(moments, table["status"].to_pylist(), strict=True))


def _words(codes: npt.NDArray[np.uint8]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(STATUS))
