"""What a city's epidemic forecast begins with and ends with: readings by zone and day, settings, quantiles by zone and day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from citytwin.forecast.quantiles import Array

STREAMS = ("cases", "admissions", "wastewater")
SERIES = ("reproduction", "infections", "cases", "admissions", "weekly_cases", "weekly_admissions")
CITY = "city"


@dataclass(frozen=True)
class Disease:
    """What is taken as known of a disease. Days; shares of infections; spreads are of logarithms.

    The start values are those of Covid-19's early variants (generation time 5 days: Ferretti et al. 2020, Science 368:eabb6936;
    the delays and shares are round numbers of its first year, from knowledge, not re-read). Give a city's own where known.

    change: step of log R a day (scale of Student's t with `tail` degrees of freedom). lasting: share of log R that a day ahead
    keeps: 0.6 a week, the damping that the weekly forecasts have from the seasons before June 2024. change and tail were chosen
    on made epidemics other than those that are scored (`validation/epidemic_city_forecast.py`).
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
    change: float = 0.1
    tail: float = 4.0
    lasting: float = 0.93
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
