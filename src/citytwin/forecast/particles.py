"""The particle filter of the city forecast, compiled: equations in `city`. Arrays are (..., zones, particles)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from citytwin.forecast.quantiles import Array
from citytwin.sim.jit import kernel

SMOOTHED = 21
"""Days back that what is read today still changes (fixed-lag smoothing: Kitagawa 1996, J. Comput. Graph. Stat. 5:1)."""


@kernel
def _log_weight(y: float, mean: float, stream: int, dispersion: float) -> float:
    """Log probability of a reading: negative binomial counts (streams 0 and 1), log-normal wastewater (2)."""
    if stream == 2:
        off = (math.log(max(y, 1e-9)) - math.log(max(mean, 1e-9))) / dispersion
        return -0.5 * off * off
    size = 1.0 / (dispersion * dispersion)
    mu = max(mean, 1e-4)
    return math.lgamma(y + size) - math.lgamma(size) + size * math.log(size / (size + mu)) + y * math.log(mu / (size + mu))


@kernel
def _resample(weight: Array, point: float, source: npt.NDArray[np.int64]) -> None:
    """Systematic resampling: which particle each new one comes from."""
    n = len(weight)
    at, cumulated = 0, weight[0]
    for p in range(n):
        mark = (p + point) / n
        while cumulated < mark and at < n - 1:
            at += 1
            cumulated += weight[at]
        source[p] = at


@kernel
def _started(start: Array, first: Array) -> tuple[Array, Array]:
    """Infections of the last KEPT days (zones, particles, KEPT) and log R (zones, particles) at the start."""
    zones, n = start.shape
    recent, logr = np.empty((zones, n, 42)), np.empty((zones, n))
    for z in range(zones):
        for p in range(n):
            logr[z, p] = 0.35 * first[z, p]
            for k in range(42):
                recent[z, p, k] = start[z, p] * math.exp(logr[z, p] / 10.0 * (k - 41))
    return recent, logr


@kernel
def _infect(
    recent: Array, logr: Array, left: Array, generation: Array, people: float, imported: float, mixing: float, middle: float,
    sigma: float, persistence: float, lasting: float, noise: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """One day of one zone: every particle's R moves, and its people infect each other and are infected from outside."""
    for p in range(len(logr)):
        logr[p] = lasting * (middle + persistence * (logr[p] - middle)) + sigma * noise[0, p]
        force = 0.0
        for s in range(len(generation)):
            force += generation[s] * recent[p, 41 - s]
        force = (1.0 - mixing) * force + mixing * imported
        m = math.exp(logr[p]) * force * left[p] / people + 1e-7 * people
        new = min(max(m + math.sqrt(m) * noise[1, p], 0.0), left[p])
        left[p] -= new
        for k in range(41):
            recent[p, k] = recent[p, k + 1]
        recent[p, 41] = new


@kernel
def _seen(
    recent: Array, shares: Array, delays: Array, weekday: float, people: float, drift: float, noise: npt.NDArray[np.float32],
    level: Array,
) -> None:  # fmt: skip
    """What one zone's particles lead one to expect of each stream today, into `level` (3, particles); shares drift."""
    for p in range(len(recent)):
        for stream in range(3):
            shares[stream, p] *= math.exp(drift * noise[2 + stream, p])
            felt = 0.0
            for k in range(delays.shape[1]):
                felt += delays[stream, k] * recent[p, 41 - k]
            level[stream, p] = felt * shares[stream, p]
        level[0, p] *= weekday
        level[2, p] /= people


@kernel
def _weigh(read: Array, level: Array, spreads: Array, weight: Array) -> float:
    """Log weights of particles by today's readings (3; NaN where there is none). Returns the largest."""
    best = -1e300
    for p in range(len(weight)):
        logp = 0.0
        for stream in range(3):
            if read[stream] >= 0.0:
                logp += _log_weight(read[stream], level[stream, p], stream, spreads[stream])
        weight[p] = logp
        best = max(best, logp)
    return best


@kernel
def _mean_force(recent: Array, generation: Array) -> float:
    """Mean over particles of what one zone's infections of the last weeks weigh today."""
    total = 0.0
    for p in range(len(recent)):
        for s in range(len(generation)):
            total += generation[s] * recent[p, 41 - s]
    return total / len(recent)


@kernel
def run(
    read: Array, weekday: Array, delays: Array, generation: Array, people: Array, start: Array, shares: Array,
    first: Array, noise: npt.NDArray[np.float32], points: Array, law: Array, steps: int,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """R and infections (steps, zones, particles) and expected cases and admissions (2, steps, zones, particles)."""
    zones, n = start.shape
    known, whole = read.shape[2], zones - 1
    recent, logr = _started(start, first)
    left = np.empty((zones, n))
    for z in range(zones):
        left[z] = people[z]
    reproduction, infections = np.empty((steps, zones, n)), np.empty((steps, zones, n))
    expected = np.empty((2, steps, zones, n))
    forces, weight, source, level = np.zeros(zones), np.empty(n), np.empty(n, dtype=np.int64), np.empty((3, n))
    centre = 0.0
    for t in range(steps):
        every = forces[:whole].sum()
        for z in range(zones):
            others = people[:whole].sum() - people[z] if z < whole else 0.0
            imported = (every - forces[z]) * people[z] / others if others > 0.0 else 0.0
            mixing = law[2] if others > 0.0 else 0.0
            middle = centre if z < whole else 0.0
            _infect(recent[z], logr[z], left[z], generation, people[z], imported, mixing, middle, law[0], law[1],
                    1.0 if t < known else law[7], noise[t, z])  # fmt: skip
            drift = law[6] if t < known else 0.0
            _seen(recent[z], shares[:, z], delays, weekday[t], people[z], drift, noise[t, z], level)
            expected[:, t, z] = level[:2]
            if t < known:
                best = _weigh(read[:, z, t], level, law[3:6], weight)
                if _settle(weight, best, points[t, z], source, recent[z], logr[z], left[z], shares[:, z],
                           expected[:, t, z]):  # fmt: skip
                    for day in range(max(0, t - SMOOTHED), t):
                        reproduction[day, z] = reproduction[day, z][source]
                        infections[day, z] = infections[day, z][source]
            reproduction[t, z] = np.exp(logr[z]) * left[z] / people[z]
            infections[t, z] = recent[z, :, 41]
        centre, under = 0.0, 0.0
        for z in range(whole):
            forces[z] = _mean_force(recent[z], generation)
            centre += forces[z] * logr[z].mean()
            under += forces[z]
        centre = centre / under if under > 0.0 else 0.0
    return reproduction, infections, expected


@kernel
def _settle(
    weight: Array, best: float, point: float, source: npt.NDArray[np.int64], recent: Array, logr: Array, left: Array,
    shares: Array, expected: Array,
) -> bool:  # fmt: skip
    """Turn log weights into new particles of one zone, all that belongs to a particle moving with it. False: nothing to do."""
    total = 0.0
    for p in range(len(weight)):
        weight[p] = math.exp(weight[p] - best)
        total += weight[p]
    square = 0.0
    for p in range(len(weight)):
        weight[p] /= total
        square += weight[p] * weight[p]
    if square * len(weight) < 1.0000001:  # nothing was read: all alike
        return False
    _resample(weight, point, source)
    recent[:] = recent[source]
    logr[:] = logr[source]
    left[:] = left[source]
    for stream in range(3):
        shares[stream, :] = shares[stream, :][source]
    for kind in range(2):
        expected[kind, :] = expected[kind, :][source]
    return True
