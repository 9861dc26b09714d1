"""What the map asks of a run that is done: frames of a raster column as bytes, columns of a table, series at one place."""

from __future__ import annotations

import functools
import gzip
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city import City
from citytwin.columns import PEAKS
from citytwin.errors import InputError, MissingError, OutsideError, nearest
from citytwin.scenario import read_result
from citytwin.server.encoding import dumps
from citytwin.server.places import Places

Raster = npt.NDArray[np.float32]

LARGEST_SIZE = 4096
REMEMBERED = 16


@dataclass(frozen=True)
class Frames:
    """Which raster columns a run recorded, and when: `times` in seconds after `start` (ISO)."""

    columns: list[str]
    times: list[float]
    start: str


class Results:
    """Reads run folders. Blocking: call it from a thread. The netCDF library takes one caller at a time."""

    def __init__(self, city: City, places: Places, cache: Path) -> None:
        self.city = city
        self.places = places
        self.cache = cache
        self._lock = threading.Lock()
        self._frames: OrderedDict[Path, Frames] = OrderedDict()

    @contextmanager
    def _fields(self, run: Path) -> Iterator[netCDF4.Dataset]:
        path = run / "fields.nc"
        with self._lock:
            try:
                file = netCDF4.Dataset(path)
            except OSError as error:
                raise MissingError("this run has no fields", run.name) from error
            try:
                file.set_auto_mask(False)
                yield file
            except (RuntimeError, IndexError) as error:  # how the library says that a file is damaged
                raise OutsideError(f"fields.nc cannot be read: {error}", run.name) from error
            finally:
                file.close()

    def frames(self, run: Path) -> Frames:
        """What can be drawn on the map."""
        if run not in self._frames:
            with self._fields(run) as file:
                columns = [n for n, v in file.variables.items() if v.dimensions[-2:] == ("y", "x")]
                times = [float(t) for t in file.variables["time"][:]] if "time" in file.variables else [0.0]
            start = str(self.document(run).get("start", ""))
            self._frames[run] = Frames(columns, times, start)
            while len(self._frames) > REMEMBERED:
                self._frames.popitem(last=False)
        return self._frames[run]

    def document(self, run: Path) -> dict[str, Any]:
        """`result.json`."""
        return read_result(run).document

    def declared(self, run: Path, column: str) -> dict[str, Any]:
        """The declaration of a recorded column, as the run kept it."""
        found = next((c for c in self.document(run).get("columns", []) if c.get("name") == column), None)
        return dict(found) if found else {}

    # -- frames ---------------------------------------------------------------------------------------------------

    def encoded(self, run: Path, column: str, size: int) -> Path:
        """A file with the gzipped frames of `column`, no wider or higher than `size` pixels. Raises MissingError."""
        if not 16 <= size <= LARGEST_SIZE:
            raise InputError(f"size {size} is not possible", "size", f"16 ... {LARGEST_SIZE}")
        known = self.frames(run).columns
        if column not in known:
            raise MissingError(f'this run has no raster "{column}"', run.name, nearest(column, known))
        path = self.cache / run.name / f"{column}-{size}.gz"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{threading.get_ident()}.partial")
            try:
                self._encode(run, column, size, partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def _encode(self, run: Path, column: str, size: int, path: Path) -> None:
        said = self.declared(run, column)
        with self._fields(run) as file, gzip.GzipFile(path, "wb", compresslevel=4, mtime=0) as out:
            variable = file.variables[column]
            height, width = variable.shape[-2:]
            factor = max(1, -(-max(height, width) // size))
            steps = range(variable.shape[0]) if variable.ndim == 3 else [...]
            pool = pooling(str(said.get("peak", "max")))
            low, high = _range(variable, steps)
            coding = Coding.of(low, high, said)
            times = self.frames_times(file, variable)
            shape = (-(-height // factor), -(-width // factor))
            header = {
                "width": shape[1], "height": shape[0], "frames": len(times), "times": times, "scale": coding.scale,
                "offset": coding.offset, "unit": said.get("unit", getattr(variable, "units", "")), "low": low, "high": high,
                "corners": self.places.corners(shape[1], shape[0], factor),
            }  # fmt: skip
            words = dumps(header)
            words += b" " * (-len(words) % 4)
            out.write(struct.pack("<I", len(words)) + words)
            for step in steps:
                out.write(coding.codes(pooled(variable[step], factor, pool)).tobytes())

    @staticmethod
    def frames_times(file: netCDF4.Dataset, variable: Any) -> list[float]:
        """Seconds after the start of each frame of a variable; one that holds for the whole run has the last."""
        times = [float(t) for t in file.variables["time"][:]] if "time" in file.variables else [0.0]
        return times if variable.ndim == 3 else times[-1:]

    # -- tables ---------------------------------------------------------------------------------------------------

    def table(self, run: Path, table: str) -> dict[str, Any]:
        """Keys and written columns of the affected rows of a table: {"key": [...], "columns": {name: [...]}}."""
        frame, names = self._affected(run, table)
        return {"key": frame["key"].astype(str).tolist(), "columns": {n: _numbers(frame[n]) for n in names}}

    def geojson(self, run: Path, table: str) -> dict[str, Any]:
        """The affected rows of a table as a GeoJSON FeatureCollection."""
        frame, _ = self._affected(run, table)
        plain = pd.DataFrame(frame.drop(columns="geometry", errors="ignore"))
        shapes = self.places.geojson_of(frame) if "geometry" in frame else [None] * len(frame)
        rows = plain.astype(object).where(plain.notna(), None).to_dict("records")
        features = [
            {"type": "Feature", "id": row["key"], "properties": row, "geometry": None if s is None else msgspec.Raw(s.encode())}
            for s, row in zip(shapes, rows, strict=True)
        ]
        return {"type": "FeatureCollection", "features": features}

    def _affected(self, run: Path, table: str) -> tuple[pd.DataFrame, list[str]]:
        if not table.isidentifier():
            raise MissingError(f'no table "{table}"', run.name)
        frame = read_result(run).table(table)
        declared = [str(c["name"]) for c in self.document(run).get("columns", []) if c.get("table") == table]
        # An ensemble's columns carry a suffix (flood_depth_median): what no city table declares was written by the run.
        static = set(self.places.table(table).columns) if table in self.city.tables else set()
        names = [c for c in frame.columns if c in declared or (c not in static and pd.api.types.is_numeric_dtype(frame[c]))]
        return frame, names

    def values(self, run: Path, column: str, table: str, seconds: float | None) -> tuple[list[str], npt.NDArray[np.float64]]:
        """A recorded column `seconds` after the start (the last frame until then), or its peak: keys and their values.

        A ground column has no keys and one value a cell. Raises MissingError where the run kept no course of it.
        """
        if seconds is None and table != "cell":
            frame, _ = self._affected(run, table)
            if column in frame:
                return frame["key"].astype(str).tolist(), frame[column].to_numpy(dtype=float, na_value=np.nan)
        with self._fields(run) as file:
            if column not in file.variables:
                raise MissingError(f'the run kept no course of "{column}"', run.name, "ask without a time")
            variable = file.variables[column]
            keys = [] if table == "cell" else file.variables[f"{table}_key"][:].astype(str).tolist()
            if "time" not in variable.dimensions:
                return keys, np.asarray(variable[:], dtype=np.float64).ravel()
            if seconds is not None:
                step = int(np.searchsorted(file.variables["time"][:], seconds + 1e-6, side="right")) - 1
                return keys, np.asarray(variable[max(step, 0)], dtype=np.float64).ravel()
            peak = str(self.declared(run, column).get("peak", "max"))
            steps = (np.asarray(variable[i], dtype=np.float64).ravel() for i in range(variable.shape[0]))
            return keys, functools.reduce(lambda a, b: b if peak == "last" else pooling(peak)(a, b), steps)

    # -- series ---------------------------------------------------------------------------------------------------

    def series_at(self, run: Path, lon: float, lat: float) -> dict[str, Any]:
        """Every raster column over time in the cell at a place. Raises InputError outside the ground."""
        x, y = self.city.from_lonlat([lon], [lat])
        row = int(self.city.ground.rows(x, y)[0])
        if row < 0:
            raise InputError(f"{lon}, {lat} is outside the ground", "lon, lat")
        iy, ix = divmod(row, self.city.ground.shape[1])
        with self._fields(run) as file:
            found = {n: v[:, iy, ix] for n, v in file.variables.items() if v.dimensions == ("time", "y", "x")}
            return self._series(run, file, found)

    def series_of(self, run: Path, table: str, key: str) -> dict[str, Any]:
        """Every column of one thing over time. Raises MissingError where the run did not affect it."""
        with self._fields(run) as file:
            if f"{table}_key" not in file.variables:
                raise MissingError(f"no {table} was affected", run.name)
            at = np.flatnonzero(file.variables[f"{table}_key"][:].astype(str) == key)
            if not len(at):
                raise MissingError(f'{table} "{key}" was not affected', run.name)
            found = {n: v[:, int(at[0])] for n, v in file.variables.items() if v.dimensions == ("time", table)}
            return self._series(run, file, found)

    def _series(self, run: Path, file: netCDF4.Dataset, found: dict[str, Any]) -> dict[str, Any]:
        units = {n: getattr(file.variables[n], "units", "") for n in found}
        columns = {n: {"unit": units[n], "values": np.asarray(v, dtype=float).tolist()} for n, v in found.items()}
        times = [float(t) for t in file.variables["time"][:]]
        return {"times": times, "start": self.document(run).get("start"), "columns": columns}


@dataclass(frozen=True)
class Coding:
    """How a number becomes a byte: value = offset + scale * code, and code 0 is nothing (dry, or not known)."""

    scale: float
    offset: float

    @classmethod
    def of(cls, low: float, high: float, declared: dict[str, Any]) -> Coding:
        """The coding of a column whose values lie in low ... high."""
        if declared.get("categories") and low >= 0 and high <= 255:
            return cls(1.0, 0.0)
        if low >= 0:  # zero is nothing: codes count from it
            return cls(high / 255 if high > 0 else 1.0, 0.0)
        scale = (high - low) / 254 if high > low else 1.0
        return cls(scale, low - scale)

    def codes(self, values: Raster) -> npt.NDArray[np.uint8]:
        """The byte of each value."""
        code = np.rint((values - self.offset) / self.scale)
        whole: npt.NDArray[np.uint8] = np.nan_to_num(np.clip(code, 0, 255), nan=0.0).astype(np.uint8)
        return whole


def _range(variable: Any, steps: Any) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for step in steps:
        values = variable[step]
        known = values[np.isfinite(values)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def pooling(peak: str) -> np.ufunc:
    """How cells become one pixel: the worst counts."""
    assert peak in PEAKS
    return np.fmin if peak == "min" else np.fmax


def pooled(values: Raster, factor: int, pool: np.ufunc) -> Raster:
    """`values` with `factor` by `factor` cells made one; what hangs over the edge is not known (NaN)."""
    if factor == 1:
        return values
    height, width = values.shape
    full = np.full((-(-height // factor) * factor, -(-width // factor) * factor), np.nan, dtype=np.float32)
    full[:height, :width] = values
    blocks = full.reshape(full.shape[0] // factor, factor, full.shape[1] // factor, factor)
    out: Raster = pool.reduce(pool.reduce(blocks, axis=3), axis=1)
    return out


def _numbers(series: pd.Series[Any]) -> list[Any]:
    if pd.api.types.is_numeric_dtype(series):
        numbers: list[Any] = series.to_numpy(dtype=float, na_value=np.nan).round(6).tolist()
        return numbers
    return [None if v is None or v != v else str(v) for v in series]
