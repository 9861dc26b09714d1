"""What a city's epidemic readings say, zone by zone and day by day: R(t), infections today, and the four weeks to come.

One particle filter carries all zones. In each zone z and particle:

    log R_z  <-  c + persistence (log R_z - c) + sigma * noise          c: mean over zones, weighted by their infections;
                                                                        beyond the last reading, `lasting` times the first two
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
The noise of log R has heavy tails (Student's t), so that a jump on purpose is followed within days; ahead, R drifts back to 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError
from citytwin.forecast import particles
from citytwin.forecast.city_data import CITY, SERIES, STREAMS, CityForecast, CityReadings, Disease
from citytwin.forecast.city_told import BANDS, described
from citytwin.forecast.quantiles import LEVELS, Array
from citytwin.forecast.renewal import discrete
from citytwin.sim.streams import Streams

__all__ = ["BANDS", "CITY", "STREAMS", "CityForecast", "CityReadings", "Disease", "assimilate", "described"]

DAYS_AHEAD = 28
MOST_VALUES = 8_000_000
"""Days times zones times particles that are held at once; with very many zones there are fewer particles."""
LEAST_PARTICLES = 200


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
    reproduction, infected, expected = particles.run(
        np.stack(whole.streams), weekday[_day_of_week(readings.days[0], steps)], _delays(settings),
        discrete(settings.generation, settings.generation_sd, 21)[1:], whole.people, infections, shares,
        rng.standard_normal((zones, n)), _noise(settings, rng, (steps, zones, 5, n)),
        rng.random((len(readings.days), zones)),
        np.array([settings.change, settings.persistence, settings.mixing, settings.case_dispersion,
                  settings.admission_dispersion, settings.wastewater_spread, settings.drift, settings.lasting]),
        steps,
    )  # fmt: skip
    counts = [_counted(expected[k, -ahead:], d, rng) for k, d in
              enumerate((settings.case_dispersion, settings.admission_dispersion))]  # fmt: skip
    weeks = [c.reshape(ahead // 7, 7, zones, n).sum(axis=1) for c in counts]
    by_level = [_levels(a) for a in (reproduction, infected, *counts, *weeks)]
    days = readings.days[0] + np.arange(steps) * np.timedelta64(1, "D")
    return CityForecast(whole.zones, days, ahead, **dict(zip(SERIES, by_level, strict=True)), settings=settings)  # type: ignore[arg-type]


def _noise(settings: Disease, rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Standard normal numbers; those of R (the first of five) from Student's t where steps are heavy-tailed."""
    noise = rng.standard_normal(shape).astype(np.float32)
    if np.isfinite(settings.tail):
        steps, zones, _, n = shape
        noise[:, :, 0] /= np.sqrt(rng.chisquare(settings.tail, (steps, zones, n)) / settings.tail)
    return noise


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
