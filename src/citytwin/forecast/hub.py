"""Forecasts as hubs exchange them (hubverse: one row a quantile), and their scores against the truth and a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from citytwin.errors import InputError, nearest
from citytwin.forecast.quantiles import covered, weighted_interval_score
from citytwin.forecast.vintages import Vintages

KEY = ["reference_date", "horizon", "location", "target_end_date"]
COLUMNS = ["reference_date", "target", "horizon", "target_end_date", "location", "output_type", "output_type_id", "value"]

OTHERS = {"quantile": "output_type_id", "forecast_date": "reference_date", "origin_date": "reference_date",
          "type": "output_type", "model": "model_id"}  # fmt: skip
"""Names that hubs gave columns before, or give them elsewhere."""


def write_forecasts(table: pd.DataFrame, path: Path) -> None:
    """Write a hubverse table as CSV (or .csv.gz, .parquet), whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".parquet":
            table.to_parquet(partial, index=False)
        else:
            packed: Any = "gzip" if path.suffix == ".gz" else None
            table.to_csv(partial, index=False, float_format="%.6g", compression=packed)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_forecasts(path: Path, model: str | None = None, target: str | None = None) -> pd.DataFrame:
    """The quantile rows of a hub's file: KEY, output_type_id, value. Of several models in a file `model` is taken.

    Also the older form (forecast_date, target "2 wk ahead inc hosp", type, quantile). Without `target_end_date` the horizon
    counts weeks after the reference date. Where hubs count from another day than the last of a week (`origin_date`, a Monday),
    the reference date becomes the first last day of a week from then on, and horizons count from it. Raises InputError.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from error
    table = _older(table.rename(columns={k: v for k, v in OTHERS.items() if v not in table.columns}))
    table = _chosen(_chosen(table, "model_id", model, path), "target", target, path)
    missing = [c for c in ("reference_date", "horizon", "location", "output_type_id", "value") if c not in table.columns]
    if missing:
        raise InputError(f'no column "{missing[0]}"', str(path), f"a forecast file has {', '.join(COLUMNS)}")
    if "output_type" in table.columns:
        table = table[table["output_type"] == "quantile"]
    out = pd.DataFrame({"location": table["location"].astype(str)})
    out["horizon"] = _number(table, "horizon", path).astype(int)
    out["output_type_id"] = _number(table, "output_type_id", path).round(4)
    out["value"] = _number(table, "value", path)
    out["reference_date"] = pd.to_datetime(table["reference_date"], errors="coerce")
    if "target_end_date" in table.columns:
        out["target_end_date"] = pd.to_datetime(table["target_end_date"], errors="coerce")
    else:
        out["target_end_date"] = out["reference_date"] + pd.to_timedelta(7 * out["horizon"], unit="D")
    if out[["reference_date", "target_end_date"]].isna().any(axis=None):
        raise InputError("a date cannot be read", str(path), "as in 2025-01-11")
    return _by_weeks(out)


def _older(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose targets say the horizon ("2 wk ahead inc hosp") with the horizon in a column of its own."""
    if "horizon" in table.columns or "target" not in table.columns:
        return table
    said = table["target"].astype(str).str.extract(r"^(\d+) (?:wk|week)s? ahead (.*)$")
    weekly = said[0].notna()
    if not weekly.any():
        return table
    return table[weekly].assign(horizon=said[0][weekly], target="wk " + said[1][weekly])


def _by_weeks(table: pd.DataFrame) -> pd.DataFrame:
    """Reference dates that are last days of weeks, with horizons counted from them."""
    gap = (table["target_end_date"] - table["reference_date"]).dt.days
    other = gap != 7 * table["horizon"]
    if other.any():
        table.loc[other, "reference_date"] += pd.to_timedelta(gap[other] % 7, unit="D")
        table.loc[other, "horizon"] = (table["target_end_date"] - table["reference_date"]).dt.days[other] // 7
    return table


def _chosen(table: pd.DataFrame, column: str, wanted: str | None, path: Path) -> pd.DataFrame:
    if column not in table.columns:
        return table
    names = sorted(table[column].astype(str).unique())
    if wanted is None and len(names) > 1 and column == "model_id":
        wanted = next((n for n in names if "baseline" in n.lower()), None)
    if wanted is None and len(names) > 1:
        raise InputError(f"holds several of {column}: {', '.join(names[:5])}", str(path), "choose one")
    if wanted is None:
        return table
    if wanted not in names:
        raise InputError(f'no {column} "{wanted}"', str(path), nearest(wanted, names))
    return table[table[column] == wanted]


def _number(table: pd.DataFrame, column: str, path: Path) -> pd.Series:
    numbers = pd.to_numeric(table[column], errors="coerce")
    if numbers.isna().any():
        raise InputError(f'"{table[column][numbers.isna()].iloc[0]}" is not a number', f"{path}: {column}")
    return numbers


def on_common_levels(ours: pd.DataFrame, other: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables of forecasts with the quantile levels that both have: scores of more levels and of fewer are not alike.

    Raises InputError where they share no interval around a median.
    """
    common = sorted(set(ours["output_type_id"]) & set(other["output_type_id"]))
    if len(common) < 3 or 0.5 not in common:
        raise InputError("forecasts and baseline share no median and interval", "baseline", f"levels of both: {common}")
    kept = [table[table["output_type_id"].isin(common)] for table in (ours, other)]
    return kept[0], kept[1]


def scored(forecasts: pd.DataFrame, truth: Vintages) -> pd.DataFrame:
    """One row a forecast: KEY, truth, wis, inside_50, inside_95. Forecasts whose truth is unknown are left out."""
    wide = forecasts.pivot_table(index=KEY, columns="output_type_id", values="value")
    if wide.isna().any(axis=None):
        raise InputError("some forecasts lack quantiles that others have", "forecasts", "every forecast needs the same levels")
    levels = wide.columns.to_numpy(dtype=float)
    keys = wide.index.to_frame(index=False)
    seen = pd.DataFrame(truth.truth() / truth.scale, index=truth.places, columns=pd.DatetimeIndex(truth.dates))
    row = seen.index.get_indexer(pd.Index(keys["location"]))
    column = seen.columns.get_indexer(pd.DatetimeIndex(keys["target_end_date"]))
    known = (row >= 0) & (column >= 0)
    y = np.where(known, seen.to_numpy()[np.maximum(row, 0), np.maximum(column, 0)], np.nan)
    quantiles = wide.to_numpy(dtype=float)
    keys["truth"], keys["wis"] = y, weighted_interval_score(quantiles, y, levels)
    keys["inside_50"], keys["inside_95"] = covered(quantiles, y, 0.5, levels), covered(quantiles, y, 0.95, levels)
    return keys.dropna(subset=["truth"]).reset_index(drop=True)


@dataclass(frozen=True)
class Score:
    """Scores of one group of forecasts; `relative` is the mean WIS over that of the baseline on the same forecasts."""

    group: str
    forecasts: int
    wis: float
    inside_50: float
    inside_95: float
    baseline: float | None = None

    @property
    def relative(self) -> float | None:
        """Mean WIS over the baseline's; None without a baseline, or where it was never wrong."""
        return self.wis / self.baseline if self.baseline else None


def summary(ours: pd.DataFrame, baseline: pd.DataFrame | None = None) -> list[Score]:
    """Scores over all, by horizon, by phase (the truth rises, or falls, over the horizon's weeks), by reference date.

    With a baseline, only forecasts that both made are counted. Raises InputError where there are none.
    """
    if baseline is not None:
        ours = ours.merge(baseline[[*KEY, "wis"]].rename(columns={"wis": "other"}), on=KEY)
    if ours.empty:
        raise InputError("no forecast has a truth, and a baseline, to be held against", "forecasts")
    out = [_score("all", ours)]
    out += [_score(f"horizon {h}", g) for h, g in ours.groupby("horizon")]
    out += [_score(f"{phase}", g) for phase, g in ours.groupby(_phase(ours), sort=False)]
    out += [_score(f"{date:%Y-%m-%d}", g) for date, g in ours.groupby("reference_date")]
    return out


def _phase(ours: pd.DataFrame) -> pd.Series:
    """Whether the sum of all places' truths still rises at the time of a forecast, has its summit near, or falls."""
    total = ours.groupby("target_end_date")["truth"].mean()
    top = pd.Timestamp(total.index[int(total.to_numpy().argmax())])
    off = (ours["reference_date"] - top).dt.days
    return pd.Series(np.where(off < -21, "rise", np.where(off <= 21, "summit", "fall")), index=ours.index)


def _score(group: str, rows: pd.DataFrame) -> Score:
    other = float(rows["other"].mean()) if "other" in rows else None
    return Score(group, len(rows), float(rows["wis"].mean()), float(rows["inside_50"].mean()),
                 float(rows["inside_95"].mean()), other)  # fmt: skip
