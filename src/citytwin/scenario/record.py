"""What a run leaves behind while it advances: `fields.nc` (CF-NetCDF) and one GeoParquet per affected table."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city import City
from citytwin.columns import Column
from citytwin.state import State

Values = npt.NDArray[np.float32]

# Digits after the point (base 10, of the column's unit) that fields.nc keeps; what lies below is simulation noise and
# does not compress.
DIGITS = 4


def _different(values: npt.NDArray[np.floating], start: float) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = ~np.isnan(values)
    return known if np.isnan(start) else known & (values != np.float32(start))


def fold(how: str, peak: Values, values: Values) -> Values:
    """The peak so far and the next values, as a column's `peak` sums them up ("max", "min", "sum" or "last")."""
    if how == "max":
        return np.fmax(peak, values)
    if how == "min":
        return np.fmin(peak, values)
    return peak + values if how == "sum" else values


class Recorder:
    """Keeps `columns` of a run: call it with each step's time (s after the start) and state, then `close` it.

    Cell columns go to disk step by step. Columns of other tables are held as float32 (steps, rows) until `close`, which
    writes the rows that ever differed from the column's start value.
    """

    def __init__(self, folder: Path, city: City, columns: Sequence[Column], start: float) -> None:
        self.folder = folder
        self.city = city
        self.columns = list(columns)
        self.times: list[float] = []
        self._series: dict[str, list[Values]] = {c.name: [] for c in columns if c.table != "cell"}
        self._last: State | None = None
        self._file = netCDF4.Dataset(folder / "fields.nc", "w", format="NETCDF4")
        self._file.Conventions = "CF-1.11"
        self._file.title = f"citytwin run on {city.name}"
        self._file.createDimension("time", None)
        time = self._file.createVariable("time", "f8", ("time",))
        time.units = f"seconds since {dt.datetime.fromtimestamp(start, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        time.calendar = "standard"
        time.standard_name = "time"
        if any(c.table == "cell" for c in columns):
            self._declare_grid()

    def _declare_grid(self) -> None:
        x, y = self.city.ground.centres()
        for name, values in (("y", y), ("x", x)):
            self._file.createDimension(name, len(values))
            axis = self._file.createVariable(name, "f8", (name,))
            axis.standard_name = f"projection_{name}_coordinate"
            axis.units = "m"
            axis[:] = values
        crs = self._file.createVariable("crs", "i4")
        crs.setncatts({k: v for k, v in self.city.crs.to_cf().items() if v is not None})
        height, width = self.city.ground.shape
        for column in self.columns:
            if column.table != "cell":
                continue
            dims = ("time", "y", "x") if column.course else ("y", "x")
            chunks = (min(height, 512), min(width, 512))
            variable = self._file.createVariable(
                column.name, "f4", dims, zlib=True, complevel=1, shuffle=True, fill_value=np.float32(np.nan),
                chunksizes=(1, *chunks) if column.course else chunks, least_significant_digit=DIGITS,
            )  # fmt: skip
            self._describe(variable, column)
            variable.grid_mapping = "crs"

    @staticmethod
    def _describe(variable: Any, column: Column) -> None:
        variable.long_name = column.meaning
        variable.units = column.unit
        if column.categories:
            variable.flag_values = np.arange(len(column.categories), dtype=np.float32)
            variable.flag_meanings = " ".join(c.replace(" ", "_") for c in column.categories)

    def __call__(self, seconds: float, state: State) -> None:
        """Keep one step."""
        step = len(self.times)
        self.times.append(seconds)
        self._file.variables["time"][step] = seconds
        for column in self.columns:
            if column.table == "cell":
                if column.course:
                    self._file.variables[column.name][step] = state.raster(column.name).astype(np.float32)
            elif column.course or not self._series[column.name]:
                self._series[column.name].append(state[column.name].astype(np.float32))
            else:
                self._series[column.name][0] = state[column.name].astype(np.float32)
        self._last = state

    def close(self) -> list[str]:
        """Write what is left and close the file. Returns the names of the tables written."""
        for column in self.columns:
            if column.table == "cell" and not column.course and self._last is not None:
                self._file.variables[column.name][:] = self._last.raster(column.name).astype(np.float32)
        tables = sorted({c.table for c in self.columns if c.table != "cell"})
        written = [table for table in tables if self._write_table(table)]
        self._file.close()
        return written

    def abandon(self) -> None:
        """Let go of the file, if it is still open."""
        if self._file.isopen():
            with contextlib.suppress(RuntimeError):
                self._file.close()

    def _write_table(self, table: str) -> bool:
        columns = [c for c in self.columns if c.table == table]
        peaks = {c.name: self._peak(c) for c in columns}
        changed = np.zeros(self.city.size(table), dtype=bool)
        for column in columns:
            for values in self._series[column.name]:
                changed |= _different(values, column.start)
        rows = np.flatnonzero(changed)
        if not len(rows):
            return False
        static = self.city.table(table).iloc[rows].reset_index(drop=True)
        added = pd.DataFrame({name: values[rows] for name, values in peaks.items()})
        static.assign(**added).to_parquet(self.folder / f"{table}.parquet", index=False, compression="zstd")
        self._write_series(table, columns, rows)
        return True

    def _peak(self, column: Column) -> Values:
        stacked = self._series[column.name]
        if column.peak == "last" or not column.course:
            return stacked[-1]
        peak = stacked[0]
        for values in stacked[1:]:
            peak = fold(column.peak, peak, values)
        return peak

    def _write_series(self, table: str, columns: Sequence[Column], rows: npt.NDArray[np.int64]) -> None:
        self._file.createDimension(table, len(rows))
        key = self._file.createVariable(f"{table}_key", str, (table,))
        key.long_name = f"key of the {table}"
        key[:] = self.city.table(table)["key"].to_numpy(dtype=object)[rows]
        for column in columns:
            if not column.course:
                continue
            variable = self._file.createVariable(
                column.name, "f4", ("time", table), zlib=True, complevel=1, shuffle=True, fill_value=np.float32(np.nan),
                chunksizes=(1, len(rows)), least_significant_digit=DIGITS,
            )  # fmt: skip
            self._describe(variable, column)
            for step, values in enumerate(self._series[column.name]):
                variable[step] = values[rows]
