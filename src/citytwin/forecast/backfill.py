"""What the last weeks will still become: correction of numbers that later releases raise or lower.

For every earlier release and every age of a number in it (0 weeks: the newest) the log ratio of the same number as known now is
taken. Per age, the median over places is drawn to zero by `PULL` releases, a place's own deviation by `OWN_PULL`; older
releases count less by `FADING` a week. Before two releases are known nothing is corrected.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from citytwin.forecast.quantiles import Array
from citytwin.forecast.vintages import WEEK, Vintages

AGES = 4
FADING = 0.9
PULL = 0.3
OWN_PULL = 3.0
LARGEST = 0.6


def corrections(vintages: Vintages, known: Array, chosen: npt.NDArray[np.intp], ages: int = AGES) -> tuple[Array, Array]:
    """Log factors (L, ages) for numbers that are 0, 1, ... weeks old, and their spread (L, ages)."""
    factor, spread = np.zeros((known.shape[0], ages)), np.full((known.shape[0], ages), 0.05)
    now = known.shape[1] - 1
    lasts = [_last(vintages.values[r]) for r in chosen]
    for age in range(ages):
        ratios, weights = [], []
        for release, last in zip(chosen, lasts, strict=True):
            week = last - age
            if week < 0 or now - week <= age or week > now:
                continue
            old = vintages.values[release][:, week]
            ratios.append(np.log((known[:, week] + 2) / (old + 2)))
            weights.append(FADING ** (now - last))
        if ratios:
            factor[:, age], spread[:, age] = _pooled(np.array(ratios), np.array(weights))
    return factor, spread


def _last(table: Array) -> int:
    seen = np.flatnonzero(np.isfinite(table).any(axis=0))
    return int(seen[-1]) if len(seen) else -1


def _pooled(ratios: Array, weights: Array) -> tuple[Array, Array]:
    """Factor and spread (places) of log ratios (releases, places; NaN where a place said nothing)."""
    there = np.isfinite(ratios).any(axis=1)
    ratios, weights = ratios[there], weights[there]
    if not len(ratios):
        return np.zeros(ratios.shape[1]), np.full(ratios.shape[1], 0.05)
    common = (weights * np.nanmedian(ratios, axis=1)).sum() / (weights.sum() + PULL)
    weight = np.where(np.isfinite(ratios), weights[:, None], 0.0)
    off = np.clip(np.nan_to_num(ratios - common), -LARGEST, LARGEST)
    own = (weight * off).sum(axis=0) / (weight.sum(axis=0) + OWN_PULL)
    left = (weight * (off - own) ** 2).sum(axis=0) + OWN_PULL * 0.1**2
    return common + own, np.sqrt(left / (weight.sum(axis=0) + OWN_PULL))


def completed(vintages: Vintages, reference: np.datetime64, lag: int = 3) -> tuple[Array, Array]:
    """Numbers as they will stand, as far as was known for `reference`: (L, T') without gaps, and each one's spread (log).

    A gap is filled with the last number before it; what a place never said is zero.
    """
    known, chosen = vintages.known(reference, lag)
    spread = np.zeros_like(known)
    values = known.copy()
    if len(vintages.releases) > 1:
        factor, doubt = corrections(vintages, known, chosen)
        for age in range(min(AGES, known.shape[1])):
            values[:, -1 - age] *= np.exp(factor[:, age])
            spread[:, -1 - age] = doubt[:, age]
    spread[np.isnan(values)] = 0.3
    return _filled(values), spread


def _filled(values: Array) -> Array:
    there = np.isfinite(values)
    last = np.maximum.accumulate(np.where(there, np.arange(values.shape[1]), -1), axis=1)
    filled = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last < 0, 0.0, filled)


__all__ = ["AGES", "WEEK", "completed", "corrections"]
