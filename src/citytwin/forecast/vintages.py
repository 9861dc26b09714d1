"""Series of counts by place and week with their releases: which number was known when.

A file is CSV (also .gz) or Parquet, long (one row a number) or wide (a column a place). Long: a date, a value, and where there
are several of them a location and a release (`as_of`). Column names of forecast hubs, national institutes and plain tables are
understood (`NAMES`). Files without a release whose names hold a date, as archives of releases do, are releases of that day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.errors import InputError, nearest
from citytwin.forecast.quantiles import Array
from citytwin.forecast.tables import RELEASES, dated, tables_of, whole_weeks

Dates = npt.NDArray[np.datetime64]
WEEK = np.timedelta64(7, "D")

NAMES: dict[str, tuple[str, ...]] = {
    "date": (
        "target_end_date",
        "truth_date",
        "date",
        "week_ending_date",
        "week_ending",
        "week_end",
        "weekendingdate",
        "end_date",
        "week_ending_saturday",
        "time",
        "time_value",
        "year_week",
        "yearweek",
        "iso_week",
        "week",
    ),
    "as_of": RELEASES,
    "location": (
        "location",
        "geo_value",
        "fips",
        "state",
        "jurisdiction",
        "country_code",
        "country",
        "county",
        "region",
        "zone",
        "location_name",
        "abbreviation",
    ),
    "value": (
        "value",
        "observation",
        "cases",
        "admissions",
        "count",
        "counts",
        "hospitalisations",
        "hospitalizations",
        "incidence",
        "weekly_rate",
        "rate",
    ),
}
"""Names that a column may have, the likeliest first (case and blanks do not matter)."""
FEW = 0.005
"""Share of numbers below zero (corrections of earlier ones) up to which they count as unknown; with more a file is refused."""


@dataclass(frozen=True)
class Vintages:
    """Weekly numbers of places, release by release.

    places: L names. dates: T last days of weeks, one a week. releases: R dates, ascending. values: (R, L, T), NaN where a
    release says nothing. by_data: releases are named by their last week of data and not by the day they came out.
    scale: what numbers that are no counts (rates, shares) were multiplied with, to be of the size of counts.
    """

    places: list[str]
    dates: Dates
    releases: Dates
    values: Array
    by_data: bool
    scale: float = 1.0

    def usable(self, reference: np.datetime64, lag: int = 3) -> npt.NDArray[np.intp]:
        """Positions of the releases that a forecaster had for the week that ends on `reference`.

        A release named by its last week of data must end a week earlier; one named by its day, `lag` days or more before.
        """
        limit = reference - (WEEK if self.by_data else np.timedelta64(lag, "D"))
        return np.flatnonzero(self.releases <= limit)

    def known(self, reference: np.datetime64, lag: int = 3) -> tuple[Array, npt.NDArray[np.intp]]:
        """What was known for `reference`: (L, T') up to the last week with data, and the releases that it comes from.

        Of each number the newest usable release counts. A file without releases is taken as known up to a week before.
        """
        chosen = self.usable(reference, lag) if len(self.releases) > 1 else np.arange(len(self.releases))
        if not len(chosen):
            raise InputError(
                f"nothing was known before {reference}", "reference date", f"the first release is {self.releases[0]}"
            )
        inside = self.dates <= reference - WEEK
        table = self._newest(chosen)[:, inside]
        seen = np.flatnonzero(np.isfinite(table).any(axis=0))
        if len(seen) < 2:
            raise InputError(f"fewer than two weeks were known before {reference}", "reference date")
        return table[:, : seen[-1] + 1], chosen

    def truth(self) -> Array:
        """The newest number of each place and week: (L, T)."""
        return self._newest(range(len(self.releases)))

    def _newest(self, chosen: Iterable[int]) -> Array:
        table = np.full(self.values.shape[1:], np.nan)
        for release in chosen:
            table = np.where(np.isnan(self.values[release]), table, self.values[release])
        return table

    @property
    def parts(self) -> npt.NDArray[np.bool_]:
        """Mask of the places that are no sums of the others: a sum is nearly as large as all others together."""
        size = np.nansum(self.truth(), axis=1)
        if len(size) < 3 or not size.sum():
            return np.ones(len(size), dtype=bool)
        sums = size > 0.8 * (size.sum() - size)
        return ~sums if (~sums).sum() >= 2 else np.ones(len(size), dtype=bool)


def read_vintages(
    paths: Path | str | Iterable[Path | str],
    where: Mapping[str, str] | None = None,
    places: Iterable[str] | None = None,
    target: str | None = None,
) -> Vintages:
    """Read releases from one file or several (a release file and an older history, say). Raises InputError.

    where: column -> value that a row must have, where a file holds several groups. places: only these.
    target: of several in a column `target`, this one.
    """
    files = tables_of([paths] if isinstance(paths, (str, Path)) else paths)
    first = str(next(iter(files)))
    frame = pd.concat([_long(_targeted(t, target), p, where or {}) for p, t in dated(files)], ignore_index=True)
    if places is not None:
        wanted = set(places)
        missing = sorted(wanted - set(frame["location"]))
        if missing:
            raise InputError(f'no location "{missing[0]}"', first, nearest(missing[0], frame["location"].unique()))
        frame = frame[frame["location"].isin(wanted)]
    frame = _weekly(frame, first)
    return _cube(frame, first)


def _targeted(frame: pd.DataFrame, target: str | None) -> pd.DataFrame:
    here = target is not None and "target" in frame.columns and (frame["target"] == target).any()
    return frame[frame["target"] == target] if here else frame


def _column(frame: pd.DataFrame, what: str) -> str | None:
    return next((name for name in NAMES[what] if name in frame.columns), None)


def _long(frame: pd.DataFrame, path: Path, where: Mapping[str, str]) -> pd.DataFrame:
    """Columns release, location, date, value of a table in any of the forms."""
    for name, wanted in where.items():
        if name not in frame.columns:
            raise InputError(f'no column "{name}"', str(path), nearest(name, frame.columns))
        frame = frame[frame[name].astype(str) == wanted]
        if frame.empty:
            raise InputError(f'no row has {name} "{wanted}"', str(path))
    date, as_of, place = (_column(frame, what) for what in ("date", "as_of", "location"))
    value = _column(frame, "value")
    if date is None:
        raise InputError("no column holds the date", str(path), f"one of {', '.join(NAMES['date'])}")
    if value is None:
        return _long(_melted(frame, date, as_of, path), path, {})
    out = pd.DataFrame({"date": _days(frame[date], path, date)})
    out["release"] = _days(frame[as_of], path, as_of) if as_of else out["date"].max()
    out["dated"] = as_of is not None
    out["location"] = frame[place].astype(str).str.strip().to_numpy() if place else "all"
    out["value"] = _numbers(frame[value], path, value)
    out = out.dropna(subset=["date", "release"])
    key = ["release", "location", "date"]
    doubled = out.duplicated(key) & ~out.duplicated([*key, "value"])
    if doubled.any():
        row = out[doubled].iloc[0]
        other = [c for c in frame.columns if 1 < frame[c].nunique() <= 50 and c not in (date, as_of, place, value)]
        raise InputError(
            f"{row['location']} on {row['date']:%Y-%m-%d} has several numbers", str(path),
            f"choose with --where {other[0]}=..." if other else "one number a place, date and release",
        )  # fmt: skip
    return out.drop_duplicates(key, keep="last")


def _melted(frame: pd.DataFrame, date: str, as_of: str | None, path: Path) -> pd.DataFrame:
    keys = [c for c in (date, as_of) if c]
    columns = [c for c in frame.columns if c not in keys and pd.to_numeric(frame[c], errors="coerce").notna().any()]
    if not columns:
        raise InputError("no column holds numbers", str(path), f"one of {', '.join(NAMES['value'])}, or a column a place")
    return frame.melt(id_vars=keys, value_vars=columns, var_name="location", value_name="value")


def _days(column: pd.Series, path: Path, name: str) -> pd.Series:
    days = pd.to_datetime(whole_weeks(column), errors="coerce", format="mixed", utc=True).dt.tz_localize(None)
    bad = days.isna() & column.notna()
    if bad.any():
        raise InputError(f'"{column[bad].iloc[0]}" is not a date', f"{path}: {name}", "as in 2025-01-11")
    return days.dt.normalize().reset_index(drop=True)


def _numbers(column: pd.Series, path: Path, name: str) -> npt.NDArray[np.float64]:
    blank = column.isna() | column.astype(str).str.strip().str.lower().isin(["", "na", "nan", "null", "none", "inf", "-inf"])
    numbers = pd.to_numeric(column.where(~blank), errors="coerce")
    bad = numbers.isna() & ~blank
    if bad.any():
        raise InputError(f'"{column[bad].iloc[0]}" is not a number', f"{path}: {name}")
    below = numbers < 0
    if below.mean() > FEW:
        raise InputError(f"{numbers.min():g} is below zero", f"{path}: {name}", "counts are zero or more")
    return numbers.mask(below).to_numpy(dtype=float)


def _weekly(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """Daily numbers as sums of whole weeks that end on Saturday; weekly ones as they are. Other steps are refused."""
    days = np.unique(frame["date"].to_numpy(dtype="datetime64[D]"))
    gap = int(np.median(np.diff(days).astype(int))) if len(days) > 1 else 7
    if gap == 1:
        end = frame["date"] + pd.to_timedelta((5 - frame["date"].dt.day_of_week) % 7, unit="D")
        groups = frame.assign(date=end).groupby(["release", "dated", "location", "date"], as_index=False)["value"]
        summed: Any = groups.agg(value="sum", days="count")
        return pd.DataFrame(summed[summed["days"] == 7].drop(columns="days").reset_index(drop=True))
    if gap % 7 or len({int(d) % 7 for d in days.astype(int)}) > 1:
        raise InputError("the numbers are neither daily nor weekly", path, "one number a day, or one every seven days")
    return frame


def _cube(frame: pd.DataFrame, path: str) -> Vintages:
    if frame.empty or frame["value"].notna().sum() == 0:
        raise InputError("holds no numbers", path)
    days = frame["date"].to_numpy(dtype="datetime64[D]")
    dates = np.arange(days.min(), days.max() + WEEK, WEEK)
    if not frame["dated"].all():  # an undated history is known with the first dated release, as far as it is older
        dated = frame.loc[frame["dated"], "release"]
        first = dated.min() if len(dated) else frame["date"].max()
        old = ~frame["dated"]
        if len(dated):
            frame = frame[~old | (frame["date"] < frame.loc[frame["dated"], "date"].min())].copy()
            frame.loc[~frame["dated"], "release"] = first
        days = frame["date"].to_numpy(dtype="datetime64[D]")
    stamps = frame["release"].to_numpy(dtype="datetime64[D]")
    releases, at = np.unique(stamps, return_inverse=True)
    places = sorted(frame["location"].unique())
    row = pd.Index(places).get_indexer(frame["location"])
    values = np.full((len(releases), len(places), len(dates)), np.nan)
    values[at, row, ((days - dates[0]) // WEEK).astype(int)] = frame["value"].to_numpy()
    last = [dates[np.isfinite(v).any(axis=0)].max(initial=dates[0]) for v in values]
    by_data = bool(np.mean(np.array(last)[-5:] == releases[-5:]) > 0.5)
    known = values[np.isfinite(values)]
    whole = np.mean(known == np.round(known)) > 0.95
    scale = 1.0 if whole or not (known > 0).any() else 100.0 / float(np.median(known[known > 0]))
    return Vintages([str(p) for p in places], dates, releases, values * scale, by_data, scale)
