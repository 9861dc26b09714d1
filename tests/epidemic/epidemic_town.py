"""A small town for tests of the epidemic, and outbreaks on it."""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.epidemic import city_of
from citytwin.city import City
from citytwin.hazards.epidemic import Epidemic
from citytwin.hazards.epidemic.parameters import EpidemicParameters
from citytwin.sim import Planned, Setup, Streams, columns_with, intervention
from citytwin.state import State

DAY = 86400.0
OWN = """
name = "Own"
[spread]
r0 = 3
[states.susceptible]
[states.sick]
infected = true
infectivity = 1
symptoms = true
[states.well]
immune = true
[[transitions]]
from = "sick"
to = "well"
after = {mean = "5 d", sd = "1 d"}
"""


@cache
def town(people: int = 4000) -> City:
    """Four by four zones with homes, schools, work places, care homes and hospitals."""
    return city_of(people, 4)


def planned(name: str, at: float = 0.0, **said) -> Planned:
    """A measure as a scenario says it, `at` in days."""
    return Planned(at * DAY, name, intervention(name).params.model_validate(said))


def epidemic(
    days: int = 100, measures=(), seed: int = 1, city: City | None = None, start: float = 0.0, length: int = 0, **said
) -> Epidemic:
    """An epidemic that has run for `days` of `length`; covid with 20 seeds unless said otherwise."""
    city = city or town()
    params = EpidemicParameters.model_validate({"disease": "covid", "seeds": [{"people": 20}]} | said)
    state = State(city, columns_with(city.columns))
    made = Epidemic(Setup(city, params, start, max(days, length) * DAY, Streams(seed), tuple(measures)), state)
    assert made.advance(state, 0.0, days * DAY).ok
    made.state = state
    return made


def infected(made: Epidemic) -> int:
    return int(sum(made.outbreak.infected_by_day))


def mean_of(number, seeds: int = 6, **how) -> float:
    """The mean of a number of the epidemic over seeds: the same seeds for every policy (common random numbers)."""
    return float(np.mean([number(epidemic(seed=s, **how)) for s in range(seeds)]))
