"""Recorded readings out of other people's files: which column is the time, which are devices, in what units, with which gaps.

Long tables have a column for each of device, time and value; wide ones a time and a column a device; measured ones a time, a
column a quantity and, maybe, who measured. A `Layout` says what cannot be told from the file. Gaps stay gaps, and what can be
read in two ways is refused.
"""

from __future__ import annotations

import csv
import dataclasses
import string
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from citytwin.errors import InputError, nearest
from citytwin.io.feeds.recorded_tables import as_numbers, holds_numbers, is_text, table_in
from citytwin.io.feeds.recorded_times import column_called, columns_of_time, moments, seconds_of, since

FIELDS = ("device", "time", "value")
DEVICES = ("device", "device_id", "sensor", "sensor_id", "sensors_id", "station", "station_id", "station_code", "site",
           "site_id", "site_no", "detector", "detector_id", "node", "node_id", "meter", "meter_id")  # fmt: skip
VALUES = ("value", "reading", "measurement", "observation", "observed_value", "measured_value")
UNITS = ("unit", "units")
NOT_MEASURED = (*DEVICES, "no", "nr", "id", "index", "row", "lat", "latitude", "lon", "lng", "longitude", "x", "y", "year",
                "month", "day", "hour", "minute", "second", "location", "location_id", "unnamed: 0")  # fmt: skip
"""Columns of numbers that measure nothing: left out of wide tables unless `columns` names them."""


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
    table = table_in(path, layout.separator, layout.decimal, layout.encoding, layout.skip, layout.missing)
    if not len(table.columns) or not len(table):
        raise InputError("holds no readings", str(path), f"columns: {', '.join(FIELDS)}, or a time and one a device")
    if len(table.columns) < 2 and not layout.begin:
        raise InputError("holds no readings, only times", str(path), "a time and one a device, or " + ", ".join(FIELDS))
    if not layout.columns:
        table = _fields(table, layout)
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


def _fields(table: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """A long table's columns under the names `device`, `value`, `unit`, whatever they are called there."""
    lower = {str(c).lower().strip(): str(c) for c in table.columns}
    value, device, unit = (next((lower[n] for n in names if n in lower), None) for names in (VALUES, DEVICES, UNITS))
    if value is None or (device is None and not layout.device):
        return table
    names = {value: "value"} | ({unit: "unit"} if unit else {}) | ({device: "device"} if device and not layout.device else {})
    return table.rename(columns=names)


def _times(table: pd.DataFrame, path: Path, layout: Layout) -> tuple[pd.Series[Any], list[str]]:
    """Seconds since 1970 of each row, and the columns that said so."""
    if layout.every or layout.begin:
        if not (layout.every > 0 and layout.begin):
            raise InputError("begin and every belong together", str(path), "begin=2012-03-01T00:00 every=300")
        first = since(moments(pd.Series([layout.begin]), "", path), layout.zone, path, None).iloc[0]
        return pd.Series(first + layout.every * np.arange(len(table)), index=table.index), []
    used = columns_of_time(table, layout.time, path)
    group = table.get("device")
    return seconds_of(table, used, layout.time_format, layout.zone, path, group), used


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
        column_called(table, field, path)
    left = [str(c) for c in table.columns if c not in {*used, *fields, "\0time"}]
    headings = [column_called(table, h.strip(), path) for h in layout.columns.split(";")] if layout.columns else []
    if not headings:
        measured = [h for h in left if h.lower() not in NOT_MEASURED and h != "unit"]
        headings = [h for h in left if h in named] if named else [h for h in measured if holds_numbers(table[h])]
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
            found = found + (heading if field == "column" else table[column_called(table, field, path)].astype(str))
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


def _numbers(column: pd.Series[Any], path: Path) -> pd.Series[Any]:
    found = as_numbers(column) if is_text(column) else pd.to_numeric(column, errors="coerce")
    wrong = found.isna() & column.notna()
    if is_text(column) and not wrong.any():  # numbers to one reading, not to the file's own
        wrong = column.notna()
    if wrong.any():
        first = column[wrong].iloc[0]
        raise InputError(f'"{first}" is no number (row {int(np.flatnonzero(wrong)[0]) + 1})', str(path),
                         "say missing, if it means a gap, or decimal")  # fmt: skip
    return found.astype(float)
