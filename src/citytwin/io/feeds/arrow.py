"""Batches as Arrow IPC streams: columns `device` (text), `time` (timestamp, or s since 1970; may be left out), `value`."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from citytwin.errors import InputError
from citytwin.io.feeds.words import Words, places_of

MOST_ROWS = 200_000  # of one message of the log
HINT = "columns device (text), time (timestamp or s since 1970), value (number); unit (text), longitude, latitude may follow"


@dataclass
class Columns:
    """n readings: `device` (row, -1: unknown), `name` gives the device of reading i as sent, time (NaN: none said), value.

    `units`: all units named; `unit`: index into them, -1 for none. `place`: of some, longitude and latitude.
    """

    device: npt.NDArray[np.int32]
    name: Callable[[int], str]
    time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    units: list[str]
    unit: npt.NDArray[np.int64]
    place: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)


def read_arrow(stream: bytes, names: Words) -> Columns:
    """The readings of an Arrow IPC stream, devices looked up in `names`. Raises InputError."""
    try:
        with pa.ipc.open_stream(io.BytesIO(stream)) as reader:
            table = reader.read_all()
        table.validate(full=True)
        return _columns(table, names)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"this Arrow stream cannot be read: {words}", "readings", HINT) from error


def _columns(table: pa.Table, names: Words) -> Columns:
    missing = [n for n in ("device", "value") if n not in table.column_names]
    if missing:
        raise InputError(f"this Arrow stream has no column {missing[0]}", "readings", HINT)
    device = table["device"]
    rows = [rows_of(chunk, names) for chunk in device.chunks]
    row = np.concatenate(rows) if rows else np.empty(0, np.int32)
    n = len(table)
    units, unit = _coded(table["unit"]) if "unit" in table.column_names else ([], np.full(n, -1, dtype=np.int64))
    time = _seconds(table["time"]) if "time" in table.column_names else np.full(n, np.nan)
    value = table["value"].cast(pa.float64()).fill_null(np.nan).to_numpy()
    return Columns(row, lambda i: str(device[i].as_py() or ""), time, value, units, unit, _places(table))


def _places(table: pa.Table) -> dict[int, tuple[float, float]]:
    """Longitude and latitude of the readings that have both."""
    if not {"longitude", "latitude"} <= set(table.column_names):
        return {}
    lon, lat = (table[n].cast(pa.float64()).fill_null(np.nan).to_numpy() for n in ("longitude", "latitude"))
    there = np.flatnonzero((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
    return dict(zip(there.tolist(), zip(lon[there].tolist(), lat[there].tolist(), strict=True), strict=True))


def rows_of(keys: pa.Array, names: Words) -> npt.NDArray[np.int32]:
    """Row of each device key, -1 where there is none."""
    if pa.types.is_dictionary(keys.type):
        known = np.append(rows_of(keys.dictionary, names), np.int32(-1))
        found: npt.NDArray[np.int32] = known[keys.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)]
        return found
    keys = keys.cast(pa.large_string())
    place = np.empty(len(keys), np.int32)
    if len(keys):
        _, offsets, data = keys.buffers()
        begin = np.frombuffer(offsets, np.int64, len(keys) + 1, 8 * keys.offset)
        arena = np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)
        places_of(arena, begin, names, place)
        if keys.null_count:
            place[keys.is_null().to_numpy(zero_copy_only=False)] = -1
    return place


def _coded(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The words of a text column, and for each row the index of its word (-1: null)."""
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], pa.string()).dictionary_encode()
    words = [w or "" for w in whole.dictionary.cast(pa.string()).to_pylist()]
    return words, whole.indices.cast(pa.int64()).fill_null(-1).to_numpy()


def _seconds(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Times as s since 1970; timestamps without a zone are UTC."""
    if pa.types.is_timestamp(column.type):
        micro = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
        return pc.divide(micro.cast(pa.float64()), 1e6).fill_null(np.nan).to_numpy()  # type: ignore[no-any-return]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        raise InputError("times as text are not read", "time", HINT)
    return column.cast(pa.float64()).fill_null(np.nan).to_numpy()  # type: ignore[no-any-return]


def write_arrow(
    device: Sequence[str], time: npt.ArrayLike, value: npt.ArrayLike, unit: Sequence[str] | None = None,
    place: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
) -> list[bytes]:  # fmt: skip
    """Columns of readings as Arrow IPC streams of at most `MOST_ROWS` rows each. Raises InputError where lengths differ.

    `place`: longitudes and latitudes of moving devices.
    """
    names: dict[str, Any] = {"device": pa.array(device, pa.string()), "time": np.asarray(time, np.float64),
                             "value": np.asarray(value, np.float64)}  # fmt: skip
    if unit is not None:
        names["unit"] = pa.array(unit, pa.string())
    if place is not None:
        names["longitude"], names["latitude"] = (np.asarray(p, np.float64) for p in place)
    lengths = {n: len(v) for n, v in names.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns differ in length: {lengths}", "readings")
    return cut(pa.table(names))


def cut(table: pa.Table) -> list[bytes]:
    """`table` as Arrow IPC streams of at most `MOST_ROWS` rows each."""
    found = []
    for begin in range(0, len(table), MOST_ROWS):
        out = io.BytesIO()
        part = table.slice(begin, MOST_ROWS)
        with pa.ipc.new_stream(out, part.schema) as writer:
            writer.write_table(part)
        found.append(out.getvalue())
    return found


def pieces_of(stream: bytes, most: int) -> list[bytes]:
    """A stream that has been read without error, cut where it is longer than `most` bytes."""
    if len(stream) <= most:
        return [stream]
    with pa.ipc.open_stream(io.BytesIO(stream)) as reader:
        table = reader.read_all()
    rows = max(1, int(len(table) * most / len(stream) * 0.8))
    return [piece for begin in range(0, len(table), rows) for piece in cut(table.slice(begin, rows))]
