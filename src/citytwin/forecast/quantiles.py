"""Forecasts as quantiles, and how good they were: weighted interval score and coverage.

Bracher, Ray, Gneiting and Reich 2021 (PLoS Comput. Biol. 17:e1008618): with K central intervals and the median, WIS equals the
mean over all 2K + 1 levels of twice the pinball loss (their equation 3 with w_k = alpha_k / 2 and w_0 = 1/2). It has the unit
of what is forecast; smaller is better; for a single point it is the absolute error.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVELS: Array = np.array([0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99])
"""The 23 levels that forecast hubs ask for."""


def weighted_interval_score(quantiles: npt.ArrayLike, truth: npt.ArrayLike, levels: npt.ArrayLike = LEVELS) -> Array:
    """WIS of `quantiles` (..., levels) against `truth` (...), in the unit of both; NaN where the truth is unknown."""
    tau = np.asarray(levels, dtype=float)
    miss = np.asarray(truth, dtype=float)[..., None] - np.asarray(quantiles, dtype=float)
    return np.asarray(2 * np.mean(np.where(miss >= 0, tau * miss, (tau - 1) * miss), axis=-1))


def interval_score(low: npt.ArrayLike, high: npt.ArrayLike, truth: npt.ArrayLike, alpha: float) -> Array:
    """Score of one central (1 - alpha) interval: its width, and 2 / alpha times what the truth lies outside of it."""
    lower, upper, y = (np.asarray(a, dtype=float) for a in (low, high, truth))
    return np.asarray(upper - lower + 2 / alpha * np.maximum(lower - y, 0) + 2 / alpha * np.maximum(y - upper, 0))


def covered(quantiles: npt.ArrayLike, truth: npt.ArrayLike, share: float, levels: npt.ArrayLike = LEVELS) -> Array:
    """1 where `truth` (...) lies in the central interval that holds `share`, 0 where not, NaN where it is unknown."""
    tau, values, y = np.asarray(levels, dtype=float), np.asarray(quantiles, dtype=float), np.asarray(truth, dtype=float)
    low, high = (int(np.argmin(np.abs(tau - level))) for level in ((1 - share) / 2, (1 + share) / 2))
    inside = (y >= values[..., low]) & (y <= values[..., high])
    return np.where(np.isnan(y), np.nan, inside.astype(float))


def averaged(members: list[Array], weights: list[float]) -> Array:
    """Quantiles of an ensemble: the weighted mean of the members' values at each level (Vincent's mean), in order."""
    total = sum(weights)
    mean = sum(w / total * m for w, m in zip(weights, members, strict=True))
    return np.maximum.accumulate(np.asarray(mean, dtype=float), axis=-1)
