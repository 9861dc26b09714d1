"""What a city's epidemic readings say, zone by zone and day by day: R(t), infections today, and the four weeks to come.

One particle filter carries all zones. In each zone z and particle:

    log R_z  <-  c + persistence (log R_z - c) + sigma * noise          c: mean over zones, weighted by their infections
    m = R_z * S_z / N_z * sum_s w(s) ((1 - mixing) I_z(d - s) + mixing * what comes from the other zones)
    I_z(d) = m + sqrt(m) * noise                                         (people, not less than zero)
    cases      ~ negative binomial, mean  seen * weekday * sum_k f(k) I_z(d - k)
    admissions ~ negative binomial, mean  admitted * sum_k f(k) I_z(d - k)
    wastewater ~ log-normal, median  shed * sum_k f(k) I_z(d - k) / N_z

S_z counts who was not infected since the readings began. `seen`, `admitted` and `shed` are unknown: every particle has its own,
drawn around the given shares and moved a little each day (Liu and West 2001 in spirit: a small artificial evolution). The level
of infections is as sure as those shares are; R and forecasts of what is counted hardly depend on them. The other zones enter by
their means (mean field), so that zones borrow strength and no joint particle is needed; the city as a whole is filtered as one
more zone of its own. Delays and generation time: `renewal.Renewal`. Bootstrap filter, systematic resampling, one random stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError
from citytwin.forecast.quantiles import LEVELS, Array
from citytwin.forecast.renewal import discrete
from citytwin.sim.jit import kernel
from citytwin.sim.streams import Streams

DAYS_AHEAD = 28
KEPT = 42
STREAMS = ("cases", "admissions", "wastewater")
BANDS = {"low": 0.025, "lower": 0.25, "median": 0.5, "upper": 0.75, "high": 0.975}
CITY = "city"
MOST_VALUES = 8_000_000
"""Days times zones times particles that are held at once; with very many zones there are fewer particles."""
LEAST_PARTICLES = 200
SERIES = ("reproduction", "infections", "cases", "admissions", "weekly_cases", "weekly_admissions")
SMOOTHED = 21
"""Days back that what is read today still changes (fixed-lag smoothing: Kitagawa 1996, J. Comput. Graph. Stat. 5:1)."""


@dataclass(frozen=True)
class Disease:
    """What is taken as known of a disease. Days; shares of infections; spreads are of logarithms.

    The start values are those of Covid-19's early variants (generation time 5 days: Ferretti et al. 2020, Science 368:eabb6936;
    the delays and shares are round numbers of its first year, from knowledge, not re-read). Give a city's own where known.
    """

    generation: float = 5.0
    generation_sd: float = 2.2
    case_delay: float = 6.5
    case_delay_sd: float = 3.0
    admission_delay: float = 10.5
    admission_delay_sd: float = 4.5
    shedding: float = 5.0
    shedding_sd: float = 4.0
    seen: float = 0.3
    seen_spread: float = 0.35
    admitted: float = 0.02
    admitted_spread: float = 0.35
    change: float = 0.07
    persistence: float = 0.985
    mixing: float = 0.15
    case_dispersion: float = 0.15
    admission_dispersion: float = 0.12
    wastewater_spread: float = 0.45
    drift: float = 0.02
    particles: int = 1500


@dataclass(frozen=True)
class CityReadings:
    """Daily readings of Z zones over T days, NaN where nothing was read.

    zones: keys. people: (Z,) residents. days: (T,) dates. cases, admissions: people a day (Z, T). wastewater: virus, copies/L.
    """

    zones: list[str]
    people: Array
    days: npt.NDArray[np.datetime64]
    cases: Array
    admissions: Array
    wastewater: Array

    def until(self, day: int) -> CityReadings:
        """The readings of the first `day` days."""
        parts = (self.cases[:, :day], self.admissions[:, :day], self.wastewater[:, :day])
        return CityReadings(self.zones, self.people, self.days[:day], *parts)

    @property
    def streams(self) -> list[Array]:
        """The three series, in the order of STREAMS."""
        return [self.cases, self.admissions, self.wastewater]


@dataclass(frozen=True)
class CityForecast:
    """What is known after the last day. Arrays (Z + 1, ...), the whole city last; quantiles at LEVELS.

    reproduction, infections: (Z + 1, T + H, 23), day by day as known today, the last H days ahead.
    cases, admissions: (Z + 1, H, 23) a day.
    weekly_cases, weekly_admissions: (Z + 1, H / 7, 23).
    """

    zones: list[str]
    days: npt.NDArray[np.datetime64]
    ahead: int
    reproduction: Array
    infections: Array
    cases: Array
    admissions: Array
    weekly_cases: Array
    weekly_admissions: Array
    settings: Disease = field(default_factory=Disease)


def assimilate(readings: CityReadings, disease: Disease | None = None, seed: int = 0, ahead: int = DAYS_AHEAD) -> CityForecast:
    """Filter `readings` and forecast `ahead` days (whole weeks). Raises InputError where nothing was read."""
    settings = disease or Disease()
    steps = len(readings.days) + ahead
    fits = max(LEAST_PARTICLES, MOST_VALUES // (steps * (len(readings.zones) + 1)))
    settings = replace(settings, particles=min(settings.particles, fits))
    whole = _with_city(readings)
    if not any(np.isfinite(s[-1]).any() for s in whole.streams):
        raise InputError("no case, admission or wastewater reading at all", "readings")
    zones, n = len(whole.zones), settings.particles
    rng = Streams(seed).named(f"city forecast {readings.days[-1]}")
    weekday = _weekdays(whole)
    shares, infections = _start(whole, settings, rng)
    reproduction, infected, expected = _filter(
        np.stack(whole.streams), weekday[_day_of_week(readings.days[0], steps)], _delays(settings),
        discrete(settings.generation, settings.generation_sd, 21)[1:], whole.people, infections, shares,
        rng.standard_normal((zones, n)), rng.standard_normal((steps, zones, 5, n)).astype(np.float32),
        rng.random((len(readings.days), zones)),
        np.array([settings.change, settings.persistence, settings.mixing, settings.case_dispersion,
                  settings.admission_dispersion, settings.wastewater_spread, settings.drift]),
        steps,
    )  # fmt: skip
    counts = [_counted(expected[k, -ahead:], d, rng) for k, d in
              enumerate((settings.case_dispersion, settings.admission_dispersion))]  # fmt: skip
    weeks = [c.reshape(ahead // 7, 7, zones, n).sum(axis=1) for c in counts]
    by_level = [_levels(a) for a in (reproduction, infected, *counts, *weeks)]
    days = readings.days[0] + np.arange(steps) * np.timedelta64(1, "D")
    return CityForecast(whole.zones, days, ahead, **dict(zip(SERIES, by_level, strict=True)), settings=settings)  # type: ignore[arg-type]


def _levels(values: Array) -> Array:
    """Quantiles (zones, steps, 23) of particles' values (steps, zones, particles)."""
    return np.asarray(np.moveaxis(np.quantile(values, LEVELS, axis=-1), 0, -1).swapaxes(0, 1))


def _counted(expected: Array, dispersion: float, rng: np.random.Generator) -> Array:
    size = 1 / dispersion**2
    return rng.poisson(expected * rng.gamma(size, 1 / size, expected.shape)).astype(float)


def _with_city(readings: CityReadings) -> CityReadings:
    """The zones and, last, the whole city: sums of people; the mean of wastewater, weighted by residents."""
    people = np.append(readings.people, readings.people.sum())

    def summed(values: Array) -> Array:
        heard = np.isfinite(values)
        share = (heard * readings.people[:, None]).sum(axis=0) / readings.people.sum()
        total = np.where(share > 0.5, np.nansum(values, axis=0) / np.maximum(share, 0.5), np.nan)
        return np.vstack([values, total])

    weight = np.where(np.isfinite(readings.wastewater), readings.people[:, None], 0.0)
    level = (np.nan_to_num(readings.wastewater) * weight).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9)
    water = np.vstack([readings.wastewater, np.where(weight.sum(axis=0) > 0, level, np.nan)])
    zones = [*readings.zones, CITY]
    return CityReadings(zones, people, readings.days, summed(readings.cases), summed(readings.admissions), water)


def _day_of_week(first: np.datetime64, steps: int) -> npt.NDArray[np.intp]:
    return np.asarray((first.astype("datetime64[D]").astype(int) + np.arange(steps)) % 7)


def _weekdays(readings: CityReadings) -> Array:
    """Factor on reported cases by day of the week, from the whole city; 1 where less than four weeks are known."""
    total = readings.cases[-1]
    known = np.isfinite(total)
    if known.sum() < 28:
        return np.ones(7)
    smooth = np.convolve(np.nan_to_num(total), np.ones(7) / 7, "same")
    ratio = np.log((total + 0.5) / (smooth + 0.5))
    ratio[:3] = ratio[-3:] = np.nan
    which = _day_of_week(readings.days[0], len(total))
    means = np.array([np.nanmean(np.append(ratio[which == d], 0.0)) for d in range(7)])
    return np.asarray(np.exp(means - means.mean()))


def _delays(s: Disease) -> Array:
    """Delays from infection to being counted, admitted, found in wastewater: (3, 29)."""
    return np.stack([discrete(s.case_delay, s.case_delay_sd, 28), discrete(s.admission_delay, s.admission_delay_sd, 28),
                     discrete(s.shedding, s.shedding_sd, 28)])  # fmt: skip


def _start(readings: CityReadings, s: Disease, rng: np.random.Generator) -> tuple[Array, Array]:
    """Each particle's shares (3, zones, particles) and its infections a day at the start (zones, particles)."""
    zones, n = len(readings.zones), s.particles
    level = np.full(zones, np.nan)
    for values, share in ((readings.cases, s.seen), (readings.admissions, s.admitted)):
        early = np.array([row[np.isfinite(row)][:7].mean() if np.isfinite(row).any() else np.nan for row in values])
        level = np.where(np.isnan(level), early / share, level)
    level = np.where(np.isnan(level), 1e-4 * readings.people, level)
    level = np.maximum(level, 1e-6 * readings.people + 0.05)
    water = np.array([row[np.isfinite(row)][:7].mean() if np.isfinite(row).any() else 1.0 for row in readings.wastewater])
    common = rng.standard_normal((3, 1, n))
    own = rng.standard_normal((3, zones, n))
    spreads = np.array([s.seen_spread, s.admitted_spread, 0.6])[:, None, None]
    middle = np.stack([np.full(zones, s.seen), np.full(zones, s.admitted), np.maximum(water, 1e-9) * readings.people / level])
    shares = middle[:, :, None] * np.exp(spreads * (0.8 * common + 0.6 * own))
    return shares, level[:, None] * np.exp(0.7 * rng.standard_normal((zones, n)))


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
    sigma: float, persistence: float, noise: npt.NDArray[np.float32],
) -> None:  # fmt: skip
    """One day of one zone: every particle's R moves, and its people infect each other and are infected from outside."""
    for p in range(len(logr)):
        logr[p] = middle + persistence * (logr[p] - middle) + sigma * noise[0, p]
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
def _filter(
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
            _infect(recent[z], logr[z], left[z], generation, people[z], imported, mixing, middle, law[0], law[1], noise[t, z])
            drift = law[6] if t < known else 0.0
            _seen(recent[z], shares[:, z], delays, weekday[t], people[z], drift, noise[t, z], level)
            expected[:, t, z] = level[:2]
            if t < known:
                best = _weigh(read[:, z, t], level, law[3:6], weight)
                if _settle(weight, best, points[t, z], source, recent[z], logr[z], left[z], shares[:, z], expected[:, t, z]):
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
