"""Recorded readings out of other people's files: which column is the time, which are devices, in what units, with which gaps.

Long tables have a column for each of device, time and value; wide ones a time and a column a device; measured ones a time, a
column a quantity and, maybe, who measured. A `Layout` says what cannot be told from the file. Gaps stay gaps.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import itertools
import string
import tomllib
import zoneinfo
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from citytwin.errors import InputError, nearest

FIELDS = ("device", "time", "value")
TIMES = ("time", "timestamp", "datetime", "date_time", "date", "moment", "measured_at", "utc")
PARTS = ("year", "month", "day", "hour", "minute", "second")
GAPS = ("", "NA", "N/A", "NaN", "nan", "null", "None", "-", "--", "#N/A")
TABLES = (".parquet", ".pq", ".feather", ".arrow")
SCALES = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}


@dataclasses.dataclass(frozen=True)
class Layout:
    """What cannot be told from a recording itself; all of it may be left out.

    time: column of the time, or several joined by `+` ("date+hour"); without it the usual names, year, month, day and hour,
    or the first column. time_format: as in `%d.%m.%Y %H:%M`, or seconds, milliseconds ... since 1970. zone: time zone of times
    that name none. begin, every: where there is no time at all, moment of the first row and seconds between rows.
    device: device key, with columns in braces: `{station}-{column}`; `{column}` is the heading of the value. columns: headings
    of the values, joined by `;`. devices: a CSV file with column (the heading), device and, if need be, unit. unit: of all
    values. missing: values that mean a gap, joined by `;`. separator, decimal, encoding: of a text file. skip: lines before the
    heading.
    """

    time: str = ""
    time_format: str = ""
    zone: str = "UTC"
    begin: str = ""
    every: float = 0.0
    device: str = ""
    columns: str = ""
    devices: str = ""
    unit: str = ""
    missing: str = ""
    separator: str = ""
    decimal: str = ""
    encoding: str = "utf-8-sig"
    skip: int = 0


def layout_of(said: Mapping[str, Any], where: str = "layout") -> Layout:
    """A layout from names and values, as of a TOML file. Raises InputError with the nearest name."""
    known = {f.name: f for f in dataclasses.fields(Layout)}
    for name in said:
        if name not in known:
            raise InputError(f'no setting "{name}"', where, nearest(name, known) or ", ".join(known))
    try:
        forms: dict[str, Any] = {n: type(known[n].default) for n in said}
        return Layout(**{n: forms[n](v) for n, v in said.items()})
    except (TypeError, ValueError) as error:
        raise InputError(str(error), where) from error


def read_layout(path: Path | None, settings: Sequence[str] = ()) -> Layout:
    """The layout in a TOML file, if there is one, with `name=value` settings over it. Raises InputError."""
    said: dict[str, Any] = {}
    if path is not None:
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}", str(path)) from error
        if "devices" in said:
            said["devices"] = str(path.parent / str(said["devices"]))
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f'"{setting}" is not name=value', "--with")
        said[name.strip()] = value
    return layout_of(said, str(path or "--with"))


def read_recording(path: Path | str, layout: Layout | None = None) -> pd.DataFrame:
    """The recording at `path`: device (text), time (s since 1970, UTC), value and, where there is one, unit; in order of time.

    Raises InputError, with what is wrong and how to say what is meant.
    """
    path, layout = Path(path), layout or Layout()
    table = _table(path, layout)
    if not len(table.columns) or not len(table):
        raise InputError("holds no readings", str(path), f"columns: {', '.join(FIELDS)}, or a time and one a device")
    seconds, used = _times(table, path, layout)
    if seconds.isna().all():
        raise InputError("no time can be read", str(path), "say time and time_format")
    table = table.copy().assign(**{"\0time": seconds})  # the copy joins columns that lie apart
    if "value" in table and ("device" in table or layout.device) and not layout.columns:
        long = _long(table, path, layout)
    else:
        long = _melted(table, used, path, layout)
    if layout.unit and "unit" not in long:
        long["unit"] = layout.unit
    long = long.dropna(subset=["time", "value"])
    long = long.loc[np.isfinite(long["value"].to_numpy(dtype=float))]
    ordered: pd.DataFrame = long.sort_values("time", kind="stable").reset_index(drop=True)
    return ordered


# -- the file -------------------------------------------------------------------------------------------------------------


def _table(path: Path, layout: Layout) -> pd.DataFrame:
    if path.suffix.lower() in (".h5", ".hdf", ".hdf5", ".xls", ".xlsx", ".mat", ".nc"):
        raise InputError(
            f'a file of kind "{path.suffix}" is not read here', str(path), "write it as Parquet or CSV first, with pandas, say"
        )
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table: pd.DataFrame = pd.read_parquet(path)
            indexed = isinstance(table.index, pd.DatetimeIndex) or bool(table.index.name)
            return table.reset_index() if indexed else table
        if path.suffix.lower() in TABLES:
            feather: pd.DataFrame = pd.read_feather(path)
            return feather
        return _text(path, layout)
    except InputError:
        raise
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", str(path)) from error


def _text(path: Path, layout: Layout) -> pd.DataFrame:
    head = _head(path, layout)
    separator = _named(layout.separator) or _separator(head, path)
    decimal = layout.decimal or ("," if separator != "," and _decimal_comma(head, separator) else ".")
    gaps = [*GAPS, *(w.strip() for w in layout.missing.split(";") if w.strip())]
    table = pd.read_csv(
        path, sep=separator, decimal=decimal, na_values=gaps, keep_default_na=True, encoding=layout.encoding,
        skiprows=layout.skip, low_memory=False, skipinitialspace=True,
    )  # fmt: skip
    return table.rename(columns=lambda name: str(name).strip())


def _named(separator: str) -> str:
    return {"tab": "\t", "comma": ",", "semicolon": ";", "space": r"\s+"}.get(separator, separator)


def _head(path: Path, layout: Layout) -> list[str]:
    if path.suffix.lower() == ".gz":
        with gzip.open(path, "rt", encoding=layout.encoding, errors="replace") as file:
            return list(itertools.islice(file, layout.skip, layout.skip + 20))
    if path.suffix.lower() in (".zip", ".bz2", ".xz", ".zst"):
        found = pd.read_csv(
            path, sep="\0", header=None, nrows=20, skiprows=layout.skip, engine="python", quoting=csv.QUOTE_NONE
        )
        return [str(line) + "\n" for line in found[0]]
    with path.open(encoding=layout.encoding, errors="replace") as file:
        return list(itertools.islice(file, layout.skip, layout.skip + 20))


def _separator(head: list[str], path: Path) -> str:
    """The separator that cuts all first lines into the same number of fields."""
    best, most = ",", 1
    for candidate in (",", ";", "\t", "|"):
        widths = {len(row) for row in csv.reader(io.StringIO("".join(head)), delimiter=candidate) if row}
        if len(widths) == 1 and (width := widths.pop()) > most:
            best, most = candidate, width
    if most == 1 and len(head) > 1 and len(head[0].split()) > 1 and len({len(line.split()) for line in head}) == 1:
        return r"\s+"
    return best


def _decimal_comma(head: list[str], separator: str) -> bool:
    fields = [field.strip() for row in csv.reader(io.StringIO("".join(head[1:])), delimiter=separator) for field in row]
    commas = sum(1 for f in fields if f.count(",") == 1 and f.replace(",", "").lstrip("+-").isdigit())
    points = sum(1 for f in fields if f.count(".") == 1 and f.replace(".", "").lstrip("+-").isdigit())
    return commas > points


# -- the time -------------------------------------------------------------------------------------------------------------


def _times(table: pd.DataFrame, path: Path, layout: Layout) -> tuple[pd.Series[Any], list[str]]:
    """Seconds since 1970 of each row, and the columns that said so."""
    if layout.every or layout.begin:
        if not (layout.every > 0 and layout.begin):
            raise InputError("begin and every belong together", str(path), "begin=2012-03-01T00:00 every=300")
        first = _seconds(pd.Series([layout.begin]), path, layout).iloc[0]
        return pd.Series(first + layout.every * np.arange(len(table)), index=table.index), []
    names = {str(c).lower(): str(c) for c in table.columns}
    used = [_column(table, name.strip(), path) for name in layout.time.split("+")] if layout.time else []
    if not used:
        used = [names[t] for t in TIMES if t in names][:1]
    if not used and {"year", "month", "day"} <= set(names):
        used = [names[p] for p in PARTS if p in names]
        parts = table[used].rename(columns=str.lower)
        return _seconds(pd.to_datetime(parts, errors="coerce"), path, layout), used
    if not used:
        used = [str(table.columns[0])]
        if pd.api.types.is_numeric_dtype(table[used[0]]) and table[used[0]].abs().max() < 31_536_000:
            raise InputError(f'column "{used[0]}" is no time', str(path), "say time, or begin and every")
    column = table[used[0]] if len(used) == 1 else table[used].astype(str).agg(" ".join, axis=1)
    return _seconds(column, path, layout), used


def _column(table: pd.DataFrame, name: str, path: Path) -> str:
    if name not in table.columns:
        raise InputError(f'no column "{name}"', str(path), nearest(name, map(str, table.columns)))
    return name


def _seconds(column: pd.Series[Any], path: Path, layout: Layout) -> pd.Series[Any]:
    if layout.time_format in SCALES:
        return pd.to_numeric(column, errors="coerce") * SCALES[layout.time_format]
    if pd.api.types.is_numeric_dtype(column) and not layout.time_format:
        found = column.astype(float)
        largest = found.abs().max()
        return found * (1e-9 if largest > 1e17 else 1e-6 if largest > 1e14 else 1e-3 if largest > 1e11 else 1.0)
    try:
        moments: pd.Series[Any] = pd.to_datetime(column, format=layout.time_format or None)
        if moments.dtype == object:  # several offsets
            moments = pd.to_datetime(column, format=layout.time_format or None, utc=True)
    except (ValueError, TypeError) as error:
        try:
            moments = pd.to_datetime(column, utc=True, format="ISO8601")
        except (ValueError, TypeError):
            raise InputError(
                f"times cannot be read: {str(error).splitlines()[0]}", str(path), "ISO 8601, s since 1970, or say time_format"
            ) from error
    if moments.dt.tz is None:
        moments = _localized(moments, path, layout)
    seconds: pd.Series[Any] = (moments.dt.tz_convert("UTC") - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return seconds


def _localized(moments: pd.Series[Any], path: Path, layout: Layout) -> pd.Series[Any]:
    try:
        zone = zoneinfo.ZoneInfo(layout.zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(f'no time zone "{layout.zone}"', str(path), "as in Europe/Madrid or UTC") from error
    for ambiguous in ("infer", "raise"):
        try:
            local: pd.Series[Any] = moments.dt.tz_localize(zone, ambiguous=ambiguous)
            return local
        except Exception as error:  # pandas raises several kinds here
            problem = error
    raise InputError(
        f"times around a change of clocks cannot be told apart: {str(problem).splitlines()[0]}", str(path),
        "use times in UTC or with their offset",
    ) from problem  # fmt: skip


# -- devices and values ---------------------------------------------------------------------------------------------------


def _long(table: pd.DataFrame, path: Path, layout: Layout) -> pd.DataFrame:
    kept = {"device": _keys(table, layout, "value", path), "time": table["\0time"], "value": _numbers(table["value"], path)}
    if "unit" in table:
        kept["unit"] = table["unit"]
    long = pd.DataFrame(kept)
    named = _mapping(path, layout)
    if not named:
        return long
    long["unit"] = long["device"].map({h: u for h, (_, u) in named.items()})
    long["device"] = long["device"].map({h: d for h, (d, _) in named.items()})
    return long.dropna(subset=["device"])


def _melted(table: pd.DataFrame, used: list[str], path: Path, layout: Layout) -> pd.DataFrame:
    named = _mapping(path, layout)
    fields = {f for _, f, _, _ in string.Formatter().parse(layout.device) if f} - {"column"}
    for field in fields:
        _column(table, field, path)
    left = [str(c) for c in table.columns if c not in {*used, *fields, "\0time"}]
    headings = [_column(table, h.strip(), path) for h in layout.columns.split(";")] if layout.columns else []
    if not headings:
        headings = [h for h in left if h in named] if named else [h for h in left if _is_numeric(table[h])]
    if not left:
        raise InputError("holds no readings, only times", str(path), "a time and one a device, or " + ", ".join(FIELDS))
    if not headings:
        raise InputError("no column holds numbers", str(path), "say columns")
    parts = []
    for heading in headings:
        device, unit = named.get(heading, ("", ""))
        keys = pd.Series(device, index=table.index) if device else _keys(table, layout, heading, path)
        part = pd.DataFrame({"device": keys, "time": table["\0time"], "value": _numbers(table[heading], path)})
        if named and any(u for _, u in named.values()):
            part["unit"] = unit or None
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _keys(table: pd.DataFrame, layout: Layout, heading: str, path: Path) -> pd.Series[Any]:
    """The device key of each row."""
    if not layout.device:
        return (
            table["device"].astype(str) if heading == "value" and "device" in table else pd.Series(heading, index=table.index)
        )
    found = pd.Series("", index=table.index)
    for literal, field, _, _ in string.Formatter().parse(layout.device):
        found = found + literal
        if field is not None:
            found = found + (heading if field == "column" else table[_column(table, field, path)].astype(str))
    return found


def _mapping(path: Path, layout: Layout) -> dict[str, tuple[str, str]]:
    """Heading -> device and unit, from the file that the layout names."""
    if not layout.devices:
        return {}
    try:
        with Path(layout.devices).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", layout.devices) from error
    if not rows or not {"column", "device"} <= set(rows[0]):
        raise InputError("columns are missing", layout.devices, "column,device and, if need be, unit")
    return {row["column"]: (row["device"], (row.get("unit") or "").strip()) for row in rows}


def _is_numeric(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _numbers(column: pd.Series[Any], path: Path) -> pd.Series[Any]:
    found = pd.to_numeric(column, errors="coerce")
    wrong = found.isna() & column.notna()
    if wrong.any():
        first = column[wrong].iloc[0]
        raise InputError(f'"{first}" is no number (row {int(np.flatnonzero(wrong)[0]) + 1})', str(path),
                         "say missing, if it means a gap, or decimal")  # fmt: skip
    return found.astype(float)
