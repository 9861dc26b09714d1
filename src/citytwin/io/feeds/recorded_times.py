"""The times of a recording: which columns say them, and how they are written. Two readings of the same words are refused."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from citytwin.errors import InputError, nearest

TIMES = ("time", "timestamp", "datetime", "date_time", "date/time", "date", "ts", "moment", "measured_at", "recorded_at", "utc",
         "epoch", "unix_time", "datum", "zeit", "fecha", "fecha_hora", "data", "date_heure", "data_as_of", "observed_at",
         "valid", "created_at")  # fmt: skip
CLOCKS = ("time", "hour", "hr", "hora", "heure", "zeit", "uhrzeit", "clock", "time_of_day")
PARTS = ("year", "month", "day", "hour", "minute", "second")
SCALES = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}
COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y",
        "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%b %d, %Y",
        "%B %d, %Y")  # fmt: skip
HOURS = (
    "",
    "%H:%M",
    "%H:%M:%S",
    "%H:%M:%S.%f",
    "%I:%M %p",
    "%I:%M:%S %p",
    "%H.%M",
    "%H.%M.%S",
    "%Hh%M",
    "%H",
    "%H%M",
    "%H%M%S",
)
OFFSETS = {"CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "BST": 1, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9,
           "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}  # fmt: skip
"""Hours east of Greenwich of abbreviations that name one zone in common use (CST as in America)."""
YEAR = 31_536_000
LATE = 1.95e9
"""Seconds since 1970 (the year 2031) from which ten digits are a day and an hour, if they can be."""


def columns_of_time(table: pd.DataFrame, said: str, path: Path) -> list[str]:
    """The columns that say the time: those `said` (joined by `+`), else by their names. Raises InputError."""
    if said:
        return [column_called(table, name.strip(), path) for name in said.split("+")]
    names = {str(c).lower().strip(): str(c) for c in table.columns}
    if {"year", "month", "day"} <= set(names):
        return [names[p] for p in PARTS if p in names]
    first = next((names[t] for t in TIMES if t in names), None) or _called_like_a_time(table)
    if first is None:
        first = str(table.columns[0])
        if pd.api.types.is_numeric_dtype(table[first]) and not _since_1970(table[first]):
            raise InputError(f'column "{first}" is no time', str(path), "say time, or begin and every")
    clock = next((names[c] for c in CLOCKS if c in names and names[c] != first), None)
    if first.lower() == "time" and "date" in names:
        return [names["date"], first]
    return [first, clock] if clock is not None and _only_days(table[first]) else [first]


def column_called(table: pd.DataFrame, name: str, path: Path) -> str:
    """`name`, if it is a column. Raises InputError with the nearest."""
    if name not in table.columns:
        raise InputError(f'no column "{name}"', str(path), nearest(name, map(str, table.columns)))
    return name


def _called_like_a_time(table: pd.DataFrame) -> str | None:
    """The first column of words that can be read as times, those first whose names speak of time or date."""
    words = [str(name) for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    for name in sorted(words, key=lambda w: not re.search(r"time|date|stamp", w, re.IGNORECASE)):
        first = table[name].dropna().astype(str).head(1)
        if len(first) and len(first.iloc[0]) >= 8 and (_iso(first) is not None or _formats(first)):
            return name
    return None


def _since_1970(column: pd.Series[Any]) -> bool:
    return bool(column.abs().max() >= YEAR)


def _only_days(column: pd.Series[Any]) -> bool:
    words = column.dropna().astype(str).str.strip().head(50)
    return bool(len(words) and not words.str.contains(r"[:T]|\d \d").any() and words.str.len().max() <= 20)


def seconds_of(table: pd.DataFrame, used: list[str], form: str, zone: str, path: Path, group: pd.Series[Any] | None) -> Any:
    """Seconds since 1970 (UTC) of each row, from the columns `used`. form: a format or a name of `SCALES`, if said.

    zone: of times that name none. group: device of each row, to tell the hour that comes twice. Raises InputError.
    """
    if len(used) > 2 and used[0].lower() == "year":
        parts = table[used].rename(columns=str.lower)
        return since(pd.to_datetime(parts, errors="coerce"), zone, path, group)
    if len(used) == 2 and not form and pd.api.types.is_numeric_dtype(table[used[1]]) and table[used[1]].max() <= 24:
        days = moments(table[used[0]], "", path)  # a day and a number of hours, 0 to 23 or 1 to 24
        return since(days + pd.to_timedelta(table[used[1]], unit="h"), zone, path, group)
    column = table[used[0]] if len(used) == 1 else table[used].astype(str).agg(" ".join, axis=1)
    if form in SCALES:
        return pd.to_numeric(column, errors="coerce") * SCALES[form]
    if pd.api.types.is_numeric_dtype(column) and not form and not _compact(column):
        if not _since_1970(column):
            raise InputError(f'column "{used[0]}" is no time since 1970', str(path), "say begin and every, or time_format")
        found = column.astype(float)
        largest = found.abs().max()
        return found * (1e-9 if largest > 1e17 else 1e-6 if largest > 1e14 else 1e-3 if largest > 1e11 else 1.0)
    if pd.api.types.is_numeric_dtype(column) and not form:
        form = _compact(column)
    return since(moments(column, form, path), zone, path, group)


def _compact(column: pd.Series[Any]) -> str:
    """The format of whole numbers that are days and hours run together (20240115), empty for seconds since 1970."""
    known = column.dropna()
    if known.empty or (known % 1 != 0).any() or known.min() <= 0:
        return ""
    words = known.astype("int64").astype(str)
    form = COMPACT.get(len(words.iloc[0]), "") if words.str.len().nunique() == 1 else ""
    if not form or (len(words.iloc[0]) == 10 and known.min() < LATE):
        return ""
    found = pd.to_datetime(words, format=form, errors="coerce")
    return form if found.notna().all() and found.dt.year.between(1900, 2100).all() else ""


def moments(column: pd.Series[Any], form: str, path: Path) -> pd.Series[Any]:
    """The moments that a column says, in a format or whatever one fits all of it. Raises InputError."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    if pd.api.types.is_numeric_dtype(column):
        column = column.astype("Int64").astype("string")
    words = column.astype("string").str.strip()
    words = words.mask(words.str.fullmatch(r"|(nan|none|nat)( (nan|none|nat))*", case=False).fillna(False))
    known = words.dropna().astype(str)
    if form:
        return _in_format(known, form, path).reindex(column.index)
    known, later = _midnights(_offsets(known))
    found = _iso(known)
    if found is None:
        found = _by_format(known, path)
    return (found + pd.to_timedelta(later, unit="D")).reindex(column.index)


def _in_format(words: pd.Series[Any], form: str, path: Path) -> pd.Series[Any]:
    try:
        found: pd.Series[Any] = pd.to_datetime(words, format=form, utc="%z" in form)
    except (ValueError, TypeError) as error:
        raise _unread(str(error).splitlines()[0], path) from error
    return found


def _unread(why: str, path: Path) -> InputError:
    return InputError(f"times cannot be read: {why}", str(path), "ISO 8601, s since 1970, or say time_format")


def _offsets(words: pd.Series[Any]) -> pd.Series[Any]:
    """Abbreviations of zones at the end as offsets."""
    last = words.str.extract(r"\s([A-Z]{3,4})$")[0]
    if not last.isin(OFFSETS).any():
        return words
    signs = last.map({name: f"{hours:+03d}:00" for name, hours in OFFSETS.items()})
    return words.where(signs.isna(), words.str.replace(r"\s[A-Z]{3,4}$", "", regex=True) + signs.fillna(""))


def _midnights(words: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """The hour 24:00 as 0:00, and 1 for rows that are a day later by that."""
    late = words.str.contains(r"[ T]24:00(?::00)?$")
    return words.where(~late, words.str.replace(r"24(:00(?::00)?)$", r"00\1", regex=True)), late.astype(int)


def _iso(words: pd.Series[Any]) -> pd.Series[Any] | None:
    """ISO 8601 with or without offsets, None if it is something else."""
    if words.str.fullmatch(r"\d+").any():
        return None
    try:
        aware = bool(words.str.contains(r"(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2}|UTC|GMT)$").any() and words.str.contains(":").any())
        found: pd.Series[Any] = pd.to_datetime(
            words.str.replace(r"\s?(?:UTC|GMT)$", "Z", regex=True), format="ISO8601", utc=aware
        )
    except (ValueError, TypeError):
        return None
    return found


def _formats(words: pd.Series[Any]) -> list[str]:
    """The formats in which all of `words` can be read; a day alone counts as its midnight."""
    distinct = pd.Series(words.unique())
    sample = distinct.iloc[np.unique(np.linspace(0, len(distinct) - 1, 40).astype(int))]
    found = []
    for form in (f"{day} {hour}".strip() for day in DAYS for hour in HOURS):
        if _read(sample, form).notna().all() and _read(distinct, form).notna().all():
            found.append(form)
    return found


def _read(words: pd.Series[Any], form: str) -> pd.Series[Any]:
    found = pd.to_datetime(words, format=form, errors="coerce")
    day, _, hour = form.partition(" %H") if " %H" in form else form.partition(" %I")
    if hour and found.isna().any() and found.notna().any():
        found = found.fillna(pd.to_datetime(words.where(found.isna()), format=day, errors="coerce"))
    return found


def _by_format(words: pd.Series[Any], path: Path) -> pd.Series[Any]:
    forms = _formats(words)
    if not forms:
        raise _unread(f'"{words.iloc[0] if len(words) else ""}" and those after it have no form that is known', path)
    several = {tuple(_read(words, form).head(200)): form for form in reversed(forms)}
    if len(several) > 1:
        raise InputError(
            f'times as "{words.iloc[0]}" can be read as {" and as ".join(sorted(several.values()))}',
            str(path),
            "say time_format",
        )
    return _read(words, next(iter(several.values())))


def since(found: pd.Series[Any], zone: str, path: Path, group: pd.Series[Any] | None) -> pd.Series[Any]:
    """Seconds since 1970 (UTC); moments without a zone are in `zone`. Raises InputError."""
    if found.dt.tz is None:
        found = _localized(found, zone, path, group)
    seconds: pd.Series[Any] = (found.dt.tz_convert("UTC") - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return seconds


def _localized(found: pd.Series[Any], name: str, path: Path, group: pd.Series[Any] | None) -> pd.Series[Any]:
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(f'no time zone "{name}"', str(path), "as in Europe/Madrid or UTC") from error
    problem: Exception | None = None
    for parts in ([found], _grouped(found, group)):
        try:
            told: pd.Series[Any] = pd.concat([part.dt.tz_localize(zone, ambiguous="infer") for part in parts])
            return told.reindex(found.index)
        except Exception as error:  # pandas raises several kinds here
            problem = error
    try:
        local: pd.Series[Any] = found.dt.tz_localize(zone, ambiguous="raise")
        return local
    except Exception as error:
        problem = error
    raise InputError(
        f"times around a change of clocks cannot be told apart: {str(problem).splitlines()[0]}", str(path),
        "use times in UTC or with their offset, or zone=Etc/GMT-1 where clocks were left at one hour east all year",
    ) from problem  # fmt: skip


def _grouped(found: pd.Series[Any], group: pd.Series[Any] | None) -> Iterable[pd.Series[Any]]:
    return [found] if group is None else [part for _, part in found.groupby(group, sort=False)]
