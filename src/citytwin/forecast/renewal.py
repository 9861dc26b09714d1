"""R(t) and what comes next: a particle filter on the renewal equation, for one series of counts.

    I(d) = R(d) * sum_s w(s) I(d - s) + seeding        infections by day (Cori et al. 2013, Am. J. Epidemiol. 178:1505)
    log R  <-  damping * log R + sigma * noise         once per observation (a week, or a day)
    mu = sum over the period of sum_k f(k) I(d - k)    infections seen after a delay
    y ~ negative binomial, mean mu, variance mu + (dispersion * mu)^2

Infections are in units of what is observed (cases or admissions that they will lead to), so the share that is seen need not be
known; divide by it to have people. The filter is the bootstrap filter (Gordon, Salmond and Smith 1993) with systematic
resampling. All random numbers are drawn beforehand: the same stream gives the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from citytwin.forecast.quantiles import LEVELS, Array
from citytwin.sim.jit import kernel

KEPT = 42
"""Days of infections that a particle remembers: the longest generation time and delay together."""
LEAST = 1e-3
"""Expected count below which a series counts as silent."""


@dataclass(frozen=True)
class Renewal:
    """What the filter takes as known. Days are whole days; spreads are standard deviations.

    generation, generation_sd: mean and spread of the time from infection to infection (days). delay, delay_sd: from infection
    to being counted (days). change: spread of the change of growth per week from one week to the next (log units).
    damping: share of the growth that lasts from one week to the next. dispersion: spread of a count beyond Poisson, as a
    share of its mean. period: days that one count covers. particles: how many.
    """

    generation: float = 3.6
    generation_sd: float = 1.6
    delay: float = 5.0
    delay_sd: float = 2.5
    change: float = 0.25
    damping: float = 0.85
    dispersion: float = 0.12
    period: int = 7
    particles: int = 1000

    def generation_pmf(self) -> Array:
        """Share of infections that happen 1, 2, ... days after the infector's own."""
        return discrete(self.generation, self.generation_sd, 21)[1:]

    def delay_pmf(self) -> Array:
        """Share of infections that are counted 0, 1, 2, ... days later."""
        return discrete(self.delay, self.delay_sd, 21)

    @property
    def sigma(self) -> float:
        """Spread of the change of log R per observation: growth per week = 7 log(R) / generation, nearly."""
        return self.change * self.generation / 7 * math.sqrt(self.period / 7)

    @property
    def persistence(self) -> float:
        """Factor on log R per observation."""
        return float(self.damping ** (self.period / 7))


def discrete(mean: float, sd: float, last: int) -> Array:
    """Shares of whole days 0 ... last of a gamma distribution with this mean and spread (days)."""
    shape = (mean / sd) ** 2
    edges = np.concatenate([[0.0], np.arange(last + 1) + 0.5])
    share = np.diff(stats.gamma.cdf(edges, shape, scale=mean / shape))
    return np.asarray(share / share.sum())


@dataclass(frozen=True)
class Filtered:
    """What the filter says after each of T counts, and for H counts to come.

    reproduction, infections: (T, levels), R and infections a day, as known at that time. ahead: (H, levels) counts.
    ahead_mean: (H, particles), the expected counts. ahead_reproduction, ahead_infections: (H, levels).
    """

    reproduction: Array
    infections: Array
    ahead: Array
    ahead_mean: Array
    ahead_reproduction: Array
    ahead_infections: Array


def filtered(
    counts: npt.ArrayLike,
    rng: np.random.Generator,
    settings: Renewal,
    ahead: int = 4,
    doubt: npt.ArrayLike | None = None,
    levels: npt.ArrayLike = LEVELS,
) -> Filtered:
    """Run the filter over `counts` (T; NaN where unknown) and `ahead` counts beyond.

    `doubt` (T): spread (log units) of a count that later releases may still change. Raises nothing: silence stays silent.
    """
    y = np.asarray(counts, dtype=float)
    steps, n = len(y), settings.particles
    spread = np.zeros(steps) if doubt is None else np.asarray(doubt, dtype=float)
    noise, start = rng.standard_normal((steps + ahead, n)), rng.standard_normal((2, n))
    points = rng.random(steps)
    first = y[np.isfinite(y)][:2].mean() if np.isfinite(y).any() else 0.0
    reproduction, infections, mean = _filter(
        y, spread, noise, start, points, settings.generation_pmf(), settings.delay_pmf(),
        max(first, 0.5), settings.sigma, settings.persistence, settings.dispersion, settings.period,
    )  # fmt: skip
    tau = np.asarray(levels, dtype=float)
    expected = np.maximum(mean[steps:], LEAST)
    size = 1 / settings.dispersion**2
    drawn = rng.poisson(expected * rng.gamma(size, 1 / size, expected.shape)).astype(float)
    by_level = [np.quantile(a, tau, axis=1).T for a in (reproduction, infections)]
    return Filtered(
        by_level[0][:steps], by_level[1][:steps], np.quantile(drawn, tau, axis=1).T, expected,
        by_level[0][steps:], by_level[1][steps:],
    )  # fmt: skip


@kernel
def _weighed(y: float, mean: Array, spread: float, dispersion: float, weight: Array) -> None:
    """Weights (sum 1) of particles whose expected counts are `mean`, for the count y (negative binomial)."""
    size = 1.0 / (dispersion * dispersion + spread * spread)
    best = -1e300
    for p in range(len(mean)):
        mu = max(mean[p], 1e-3)
        logp = math.lgamma(y + size) - math.lgamma(size) + size * math.log(size / (size + mu)) + y * math.log(mu / (size + mu))
        weight[p] = logp
        best = max(best, logp)
    total = 0.0
    for p in range(len(mean)):
        weight[p] = math.exp(weight[p] - best)
        total += weight[p]
    for p in range(len(mean)):
        weight[p] /= total


@kernel
def _advance(
    recent: Array, logr: Array, noise: Array, generation: Array, delay: Array, floor: float, sigma: float, persistence: float,
    period: int, mean: Array,
) -> None:  # fmt: skip
    """Carry every particle over one period; `recent` (particles, KEPT) holds infections by day, the newest last."""
    kept = recent.shape[1]
    for p in range(len(logr)):
        logr[p] = persistence * logr[p] + sigma * noise[p]
        r = math.exp(logr[p])
        seen = 0.0
        for _ in range(period):
            force = 0.0
            for s in range(len(generation)):
                force += generation[s] * recent[p, kept - 1 - s]
            for k in range(kept - 1):
                recent[p, k] = recent[p, k + 1]
            recent[p, kept - 1] = min(r * force + floor, 1e12)
            for k in range(len(delay)):
                seen += delay[k] * recent[p, kept - 1 - k]
        mean[p] = seen


@kernel
def _filter(
    y: Array, spread: Array, noise: Array, start: Array, points: Array, generation: Array, delay: Array, first: float,
    sigma: float, persistence: float, dispersion: float, period: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """R, infections a day and expected counts of every particle after each step (steps, particles), resampled."""
    steps, n = noise.shape
    recent = np.empty((n, 42))
    logr = np.empty(n)
    for p in range(n):
        logr[p] = 3.0 * sigma * start[0, p]
        level = first / period * math.exp(0.6 * start[1, p])
        growth = logr[p] / (generation * np.arange(1, len(generation) + 1)).sum()
        for k in range(42):
            recent[p, k] = level * math.exp(growth * (k - 41))
    floor = 0.002 * first / period + 0.001
    mean = np.empty(n)
    weight = np.empty(n)
    reproduction = np.empty((steps, n))
    infections = np.empty((steps, n))
    expected = np.empty((steps, n))
    held = np.empty_like(recent)
    held_logr = np.empty_like(logr)
    held_mean = np.empty_like(mean)
    for t in range(steps):
        _advance(recent, logr, noise[t], generation, delay, floor, sigma, persistence, period, mean)
        if t < len(y) and y[t] >= 0.0:
            _weighed(y[t], mean, spread[t], dispersion, weight)
            held[:] = recent
            held_logr[:] = logr
            held_mean[:] = mean
            source, cumulated = 0, weight[0]
            for p in range(n):
                mark = (p + points[t]) / n
                while cumulated < mark and source < n - 1:
                    source += 1
                    cumulated += weight[source]
                recent[p] = held[source]
                logr[p] = held_logr[source]
                mean[p] = held_mean[source]
        reproduction[t] = np.exp(logr)
        infections[t] = recent[:, 41]
        expected[t] = mean
    return reproduction, infections, expected
