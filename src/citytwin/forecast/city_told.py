"""A city's epidemic forecast in words that programs read: a JSON document, and a table with a row a series, zone and date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.forecast.city_data import CITY, CityForecast
from citytwin.forecast.quantiles import LEVELS, Array

BANDS = {"low": 0.025, "lower": 0.25, "median": 0.5, "upper": 0.75, "high": 0.975}


def described(forecast: CityForecast) -> dict[str, Any]:
    """The forecast as plain values: for each zone and the city R, infections today, and the days and weeks ahead with bands."""
    picks = {name: int(np.argmin(np.abs(LEVELS - level))) for name, level in BANDS.items()}

    def band(values: Array) -> dict[str, list[float]]:
        return {name: [float(f"{v:.4g}") for v in values[..., at].reshape(-1)] for name, at in picks.items()}

    last = len(forecast.days) - forecast.ahead - 1
    zones: dict[str, Any] = {}
    for z, key in enumerate(forecast.zones):
        under = float(np.interp(1.0, forecast.reproduction[z, last], LEVELS, left=0.0, right=1.0))
        zones[key] = {
            "reproduction": band(forecast.reproduction[z, : last + 1]),
            "infections": band(forecast.infections[z, : last + 1]),
            "reproduction_ahead": band(forecast.reproduction[z, last + 1 :]),
            "infections_ahead": band(forecast.infections[z, last + 1 :]),
            "cases_ahead": band(forecast.cases[z]),
            "admissions_ahead": band(forecast.admissions[z]),
            "weekly_cases_ahead": band(forecast.weekly_cases[z]),
            "weekly_admissions_ahead": band(forecast.weekly_admissions[z]),
            "rising": round(1.0 - under, 3),
        }
    whole = zones.pop(CITY)
    return {
        "today": str(forecast.days[last]),
        "days": [str(d) for d in forecast.days[: last + 1]],
        "days_ahead": [str(d) for d in forecast.days[last + 1 :]],
        "bands": BANDS,
        "settings": vars(forecast.settings),
        "city": whole,
        "zones": zones,
    }


def table(forecast: CityForecast) -> pd.DataFrame:
    """R(t), infections, cases and admissions with their bands: columns zone, series, date, kind, low ... high.

    kind: "estimate" up to the last day read, "forecast" after it. Weekly series carry the last day of their week.
    """
    picks = {name: int(np.argmin(np.abs(LEVELS - level))) for name, level in BANDS.items()}
    parts = []
    for z, zone in enumerate(forecast.zones):
        for series, days, values in _series(forecast, z):
            bands = {name: values[:, at] for name, at in picks.items()}
            kind = np.where(days > forecast.days[len(forecast.days) - forecast.ahead - 1], "forecast", "estimate")
            parts.append(pd.DataFrame({"zone": zone, "series": series, "date": days.astype(str), "kind": kind, **bands}))
    return pd.concat(parts, ignore_index=True)


def _series(forecast: CityForecast, zone: int) -> Iterator[tuple[str, npt.NDArray[np.datetime64], Array]]:
    """Name, days and quantiles (days, 23) of each series of a zone."""
    ahead = forecast.days[-forecast.ahead :]
    for name in ("reproduction", "infections"):
        yield name, forecast.days, getattr(forecast, name)[zone]
    for name in ("cases", "admissions"):
        yield name, ahead, getattr(forecast, name)[zone]
    for name in ("weekly_cases", "weekly_admissions"):
        yield name, ahead[6::7], getattr(forecast, name)[zone]


def write_table(forecast: CityForecast, path: Path) -> None:
    """Write `table` as CSV, with at most five digits."""
    table(forecast).to_csv(path, index=False, float_format="%.5g")
