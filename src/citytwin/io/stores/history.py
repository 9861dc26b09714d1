"""Questions to the history: a device's window, the city at a past moment, what was last known. Asked by DuckDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from citytwin.errors import OutsideError
from citytwin.io.stores.readings import DAY, ReadingStore

Floats = npt.NDArray[np.float64]

LAST = """
    select device, kind, epoch(max(time)) as time, arg_max(value, time) as value from read_parquet($files)
    where time >= make_timestamp($begin) and time <= make_timestamp($end) group by device, kind order by 3"""
LAST_FEW = """
    select device, kind, epoch(time) as time, value from read_parquet($files)
    where time >= make_timestamp($begin) and time <= make_timestamp($end)
    qualify row_number() over (partition by device, kind order by time desc) <= $number order by 3"""


@dataclass
class Known:
    """n readings as arrays: device key, kind, time (s since 1970, UTC), value."""

    device: npt.NDArray[np.object_]
    kind: npt.NDArray[np.object_]
    time: Floats
    value: Floats


class History:
    """Reads what a `ReadingStore` has written."""

    def __init__(self, store: ReadingStore) -> None:
        self._store = store

    def window(self, device: str, kind: str, begin: float, end: float) -> tuple[Floats, Floats]:
        """Times and values of one device between `begin` and `end` (s since 1970, both included), oldest first."""
        found = self._ask(
            "select epoch(time) as time, value from read_parquet($files) "
            "where device = $device and time >= make_timestamp($begin) and time <= make_timestamp($end) order by time",
            self._store.files(_days(begin, end), (kind,)),
            {"device": device, "begin": _micro(begin), "end": _micro(end)},
        )
        return (found["time"], found["value"]) if found else (np.empty(0), np.empty(0))

    def last_before(self, moment: float, lookback: float, number: int = 1) -> Known:
        """The last `number` readings of every device up to `moment`, none older than `lookback` seconds; oldest first."""
        words: dict[str, Any] = {"begin": _micro(moment - lookback), "end": _micro(moment)}
        if number > 1:
            words["number"] = number
        files = self._store.files(_days(moment - lookback, moment), None)
        return _known(self._ask(LAST if number == 1 else LAST_FEW, files, words))

    def since(self, sequence: int) -> Known:
        """All readings that came after place `sequence` of the log, in the order they came."""
        query = (
            "select device, kind, epoch(time) as time, value from read_parquet($files) where sequence > $after "
            "order by sequence, part"
        )
        return _known(self._ask(query, self._store.files_since(sequence), {"after": sequence}))

    def rejected(self, begin: float, end: float, most: int = 100) -> list[dict[str, Any]]:
        """The newest readings that were not believed, as plain values."""
        files = [f for day in _days(begin, end) for f in sorted((self._store.rejected / day).glob("*.parquet"))]
        found = self._ask(
            "select device, kind, epoch(time) as time, value, reason, raw, epoch(arrived) as arrived from read_parquet($files) "
            "order by arrived desc limit $most", files, {"most": most},
        )  # fmt: skip
        if not found:
            return []
        return [dict(zip(found, row, strict=True)) for row in zip(*(v.tolist() for v in found.values()), strict=True)]

    def counts(self, after: int = 0) -> dict[str, int]:
        """Number of readings that came after place `after` of the log, by quality, rejected ones by reason."""
        total: dict[str, int] = {}
        for files, word in (
            (self._store.files_since(after), "quality"),
            (self._store.rejected_since(after), "reason"),
        ):
            query = f"select {word} as word, count(*) as n from read_parquet($files) where sequence > $after group by 1"  # noqa: S608
            found = self._ask(query, files, {"after": after})
            if found:
                total |= {str(w): int(n) for w, n in zip(found["word"], found["n"], strict=True)}
        return total

    @staticmethod
    def _ask(query: str, files: Sequence[Path], words: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
        if not files:
            return {}
        try:
            with duckdb.connect(config={"threads": 2}) as connection:
                found: dict[str, Any] = connection.execute(query, {"files": [str(f) for f in files], **words}).fetchnumpy()
        except duckdb.Error as error:
            raise OutsideError(f"cannot read the history: {str(error).splitlines()[0]}", str(files[0].parent)) from error
        return {
            name: np.ma.filled(column) if isinstance(column, np.ma.MaskedArray) else column for name, column in found.items()
        }


def _known(found: dict[str, npt.NDArray[Any]]) -> Known:
    if not found:
        none = np.empty(0)
        return Known(none.astype(object), none.astype(object), none, none)
    return Known(found["device"], found["kind"], found["time"], found["value"])


def _days(begin: float, end: float) -> list[str]:
    """UTC days from `begin` to `end`."""
    first, last = int(begin // DAY), int(end // DAY)
    return [(dt.date(1970, 1, 1) + dt.timedelta(days=d)).isoformat() for d in range(max(first, 0), max(last, 0) + 1)]


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def thinned(time: Floats, value: Floats, begin: float, end: float, points: int) -> dict[str, list[float]]:
    """At most `points` buckets of equal length: their middle, mean, least and greatest value. Empty buckets are left out."""
    if len(time) <= points:
        return {"time": time.tolist(), "value": value.tolist(), "low": value.tolist(), "high": value.tolist()}
    bucket = np.minimum(((time - begin) / max(end - begin, 1e-9) * points).astype(np.int64), points - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    number = np.diff(np.append(starts, len(time)))
    return {
        "time": (np.add.reduceat(time, starts) / number).tolist(),
        "value": (np.add.reduceat(value, starts) / number).tolist(),
        "low": np.minimum.reduceat(value, starts).tolist(),
        "high": np.maximum.reduceat(value, starts).tolist(),
    }
