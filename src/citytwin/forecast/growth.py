"""Growth learned from earlier seasons: where a series goes in h weeks, from its growth, that of all places, and its own range.

For each step h one ridge regression of log(x(t+h) + 1) - log(x(t) + 1), over all places and weeks of a season, on
    the last three weekly growths of the place, split by how far its count is to be trusted (s = x / (x + 100)),
    the last three growths of all places together, the same way,
    how far the count lies below the highest and above the lowest of its memory (room to rise, room to fall).
No date goes in: it knows no season, so it holds on both halves of the earth and for what comes out of season.
The errors' spread is v0 + v1 / (x + 1), their form the 23 quantiles of the standardised errors, made symmetric.

`growth.json` holds the fit to weekly influenza admissions of the United States from March 2022 to May 2024, and nothing later;
`validation/epidemic_freeze.py` makes it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.forecast.quantiles import LEVELS, Array

LAGS = 3
TRUST = 100.0
PENALTY = np.array([30.0] * (4 * LAGS) + [90.0, 90.0, 0.03])
STEPS = 8
MEMORY = {"long": (130, 52), "short": (26, 26)}
"""Weeks that highest and lowest are taken over, where there is a year of history, and where there is less."""
ENOUGH = 52


def features(values: Array, memory: tuple[int, int], national: Array) -> Array:
    """What the regression sees of `values` (places, weeks; no NaN), now being the last week. (places, 15).

    `national`: (weeks,) the sum over the places that are not sums themselves.
    """
    z, total = np.log(values + 1), np.log(national + 1)
    trust = values[:, -1] + 1
    trust = trust / (trust + TRUST)
    local, all_over = np.diff(z[:, -LAGS - 1 :], axis=1)[:, ::-1], np.diff(total[-LAGS - 1 :])[::-1]
    parts = [part for j in range(LAGS) for part in (trust * local[:, j], (1 - trust) * local[:, j])]
    parts += [part for j in range(LAGS) for part in (np.full(len(z), all_over[j]), (1 - trust) * all_over[j])]
    parts.append(np.maximum(z[:, -1] - z[:, -memory[0] :].max(axis=1), -9.0))
    parts.append(np.minimum(z[:, -1] - z[:, -memory[1] :].min(axis=1), 9.0))
    parts.append(np.ones(len(z)))
    return np.stack(parts, axis=1)


@dataclass(frozen=True)
class Fit:
    """One step's regression: `coefficients` (15), the errors' `variance` (v0, v1) and standardised `shape` (23 levels)."""

    coefficients: Array
    variance: Array
    shape: Array


Rows = tuple[Array, Array, Array]
"""Features (n, 15), what was grown in a step (n), log(x + 1) at its start (n)."""


def rows(values: Array, national: Array, weeks: npt.ArrayLike, step: int, memory: tuple[int, int]) -> Rows:
    """Rows to learn from: every place at each of `weeks` (positions) whose outcome `step` weeks later is in `values`."""
    x, y, level = [], [], []
    for week in np.asarray(weeks, dtype=int):
        if week + step < values.shape[1] and week >= LAGS:
            x.append(features(values[:, : week + 1], memory, national[: week + 1]))
            y.append(np.log(values[:, week + step] + 1) - np.log(values[:, week] + 1))
            level.append(np.log(values[:, week] + 1))
    if not x:
        return np.empty((0, len(PENALTY))), np.empty(0), np.empty(0)
    return np.concatenate(x), np.concatenate(y), np.concatenate(level)


def fit(learned: Rows, centre: Array | None = None, pull: float = 1.0) -> Fit:
    """The regression of `learned` rows, drawn towards `centre` (zero where None) with `pull` times the usual penalty."""
    x, y, level = learned
    start = np.zeros(x.shape[1]) if centre is None else centre
    weight = 1 / (0.02 + np.exp(-level))
    penalty = np.diag(PENALTY if centre is None else np.full(len(PENALTY), 30.0)) * pull
    coefficients = start + np.linalg.solve(x.T @ (weight[:, None] * x) + penalty, x.T @ (weight * (y - x @ start)))
    error = y - x @ coefficients
    base = np.stack([np.ones_like(level), np.exp(-level)], axis=1)
    square = np.minimum(error**2, np.quantile(error**2, 0.99))
    variance = np.maximum(np.linalg.lstsq(base, square, rcond=None)[0], [0.005, 0.05])
    shape = np.quantile(error / np.sqrt(base @ variance), LEVELS)
    return Fit(coefficients, variance, (shape - shape[::-1]) / 2)


def predict(found: Fit, values: Array, national: Array, memory: tuple[int, int]) -> tuple[Array, Array]:
    """Middle and spread of log(x + 1) one step of `found` after the last week of `values`: (places,) each."""
    level = np.log(values[:, -1] + 1)
    middle = level + features(values, memory, national) @ found.coefficients
    return middle, np.sqrt(found.variance[0] + found.variance[1] * np.exp(-level))


@cache
def shipped() -> dict[str, list[Fit]]:
    """The frozen fits, by length of memory ("long", "short"), one for each step 1 ... STEPS."""
    said = json.loads(resources.files("citytwin.forecast").joinpath("growth.json").read_text(encoding="utf-8"))
    return {name: [Fit(*(np.array(one[k]) for k in PARTS)) for one in said["fits"][name]] for name in MEMORY}


PARTS = ("coefficients", "variance", "shape")


def written(fits: dict[str, list[Fit]], source: str) -> dict[str, Any]:
    """The document of `growth.json`, to six digits."""
    said = {name: [{k: [float(f"{v:.6g}") for v in getattr(f, k)] for k in PARTS} for f in each] for name, each in fits.items()}
    return {"source": source, "fits": said}


def learned(values: Array, national: Array, weeks: npt.ArrayLike) -> dict[str, list[Fit]]:
    """Fits for both memories and all steps, from the given `weeks` (positions) of `values` (places, weeks)."""
    return {
        name: [fit(rows(values, national, weeks, step, memory)) for step in range(1, STEPS + 1)]
        for name, memory in MEMORY.items()
    }
