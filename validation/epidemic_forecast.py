"""Forecasts of weekly admissions against a hub's season, with every release as it was known, and against the hub's baseline."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from citytwin.forecast import LEVELS, Forecaster, covered, forecasts, read_vintages, weighted_interval_score
from citytwin.forecast.hub import Score, read_forecasts, scored, summary, write_forecasts
from validation.case import Row
from validation.epidemic_freeze import CASES as FROZEN
from validation.epidemic_freeze import DATA

TRUTH = DATA / "target-hospital-admissions.csv.gz"
HUB = DATA / "forecasts.csv.gz"


def season(files: list[Path]) -> list[Score]:
    """Scores of our forecasts for the hub's 27 reference dates from the releases in `files`, through a written file."""
    truth, baseline = read_vintages(TRUTH), read_forecasts(HUB, "FluSight-baseline")
    dates = [np.datetime64(d, "D") for d in sorted(baseline["reference_date"].unique())]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.csv"
        write_forecasts(forecasts(Forecaster(read_vintages(files)), dates), path)
        return summary(scored(read_forecasts(path), truth), scored(baseline, truth))


def published() -> Iterator[Row]:
    """Our WIS equals what was published for the hub's own models."""
    truth = read_vintages(TRUTH)
    for model, wis, inside in (("FluSight-baseline", 263.249, 0.719), ("FluSight-ensemble", 177.597, 0.818)):
        whole = summary(scored(read_forecasts(HUB, model), truth))[0]
        yield Row(f"FluSight 2024-25, {model}", "WIS: difference to the published value", 0.001, abs(whole.wis - wis))
        yield Row("", "95 % coverage: difference to the published value", 0.0006, abs(whole.inside_95 - inside))


def hub_season() -> Iterator[Row]:
    """The season with an older history, and with the twelve weeks of each release alone."""
    for name, files in (
        ("", [DATA / "vintages_last12weeks.csv.gz", TRUTH]),
        (", releases alone", [DATA / "vintages_last12weeks.csv.gz"]),
    ):
        found = season(files)
        case = f"FluSight 2024-25, 53 places, 27 dates{name}"
        for score in found:
            if not score.group[0].isdigit():
                bound = 0.8 if score.group == "all" else 1.0
                yield Row(case, f"WIS relative to the hub's baseline: {score.group}", bound, score.relative or np.nan)
        yield Row(case, "95 % coverage: 0.935 by at most", 0.035, abs(found[0].inside_95 - 0.935))
        yield Row(case, "50 % coverage: 0.5 by at most", 0.1, abs(found[0].inside_50 - 0.5))


def another_disease() -> Iterator[Row]:
    """Weekly measles in the 20 largest towns of England and Wales, 1950-51, known at once: against a flat line.

    The settings were made for another disease, on another continent, 70 years later; nothing is tuned to this.
    """
    folder = DATA.parent / "epi_measles_england_wales"
    table = pd.read_csv(folder / "ewMu4464.csv.gz")
    towns = table.drop(columns=table.columns[0]).sum().nlargest(20).index
    weeks = pd.date_range("1944-01-08", periods=len(table), freq="7D")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "measles.csv"
        table[towns].assign(date=weeks).to_csv(path, index=False)
        forecaster = Forecaster(read_vintages(path))
    truth, dates = forecaster.vintages.truth(), forecaster.vintages.dates
    ours, flat, inside = [], [], []

    for week in range(6 * 52, 8 * 52, 8):
        found = forecaster.forecast(dates[week])
        for horizon in range(4):
            y = truth[:, week + horizon]
            past = np.diff(truth[:, :week], axis=1)
            steps = np.concatenate([past, -past], axis=1) * np.sqrt(horizon + 1)
            line = np.maximum(truth[:, week - 1 : week] + np.quantile(steps, LEVELS, axis=1).T, 0)
            ours.append(weighted_interval_score(found[horizon], y))
            flat.append(weighted_interval_score(line, y))
            inside.append(covered(found[horizon], y, 0.95))
    case = "measles, 20 towns, 1950-51 (settings of influenza)"
    yield Row(case, "WIS relative to a flat line", 1.0, float(np.mean(ours) / np.mean(flat)))
    yield Row(case, "95 % coverage: below 0.9 by at most", 0.0, max(0.0, 0.9 - float(np.mean(inside))))


CASES = [*FROZEN, published, hub_season, another_disease]
