"""The earthquake as the loop sees it: when a shock comes, shake, damage, and write who needs help where."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.casualties import floors
from citytwin.hazards.earthquake.columns import COLUMNS
from citytwin.hazards.earthquake.parameters import EarthquakeParameters, Retrofit
from citytwin.hazards.earthquake.portfolio import _chosen as retrofitted_rows
from citytwin.hazards.earthquake.strike import Struck, strike
from citytwin.hazards.earthquake.triage import impact_of, triage_of
from citytwin.sim.spec import Grade, InterventionKind, Setup, Spec, Status
from citytwin.state import State

F64 = npt.NDArray[np.float64]

SPEC = Spec(
    name="earthquake",
    room="hazard",
    title="Earthquake",
    params=EarthquakeParameters,
    reads=(),
    writes=COLUMNS,
    needs=("building",),
    optional=("cell", "zone", "road", "pipe", "power_bus", "water_node", "facility", "person", "household"),
    grade=Grade.VERIFIED,
    source="Ground-motion models by name, weighted; spatially correlated fields conditioned on stations (Jayaram and Baker "
    "2009; Engler et al. 2022); damage, casualties, repair: FEMA (2024) Hazus Earthquake Model Technical Manual 6.1; mains: "
    "American Lifelines Alliance (2001); liquefaction: Zhu, Baise and Thompson (2017)",
    limits="Which type and code level a building is of is mostly assumed, and Hazus's curves are for American buildings: "
    "counts over a district mean more than a single building. Casualty rates are those of Hazus, not a forecast; people "
    "outdoors and on bridges are not counted. Debris, trapped people, hours of the day and code levels are estimates. Networks "
    "see one of many possible outcomes at a time. What failing ground does to buildings and mains is rough. Aftershocks are "
    "those that the scenario names. Fire is not simulated.",
    interventions=(InterventionKind("retrofit", "Strengthen buildings before the shock", Retrofit),),
)


def local_time(setup: Setup, longitude: float) -> tuple[float, bool]:
    """Mean solar hour at the event, and whether it is a weekend there; what the scenario says goes first."""
    params: EarthquakeParameters = setup.params
    moment = dt.datetime.fromtimestamp(setup.start + params.delay, dt.UTC) + dt.timedelta(hours=longitude / 15.0)
    hour = params.hour if params.hour is not None else moment.hour + moment.minute / 60.0
    return hour, params.weekend if params.weekend is not None else moment.weekday() >= 5


class Earthquake:
    """A main shock after its delay, then its aftershocks on the damaged city."""

    spec: ClassVar[Spec] = SPEC

    def __init__(self, setup: Setup, state: State) -> None:
        self.setup = setup
        self.params: EarthquakeParameters = setup.params
        west, _, east, _ = setup.city.lonlat_bounds
        self.hour, self.weekend = local_time(setup, (west + east) / 2)
        self.times = [self.params.delay, *(s.delay for s in self.params.aftershocks)]
        self.retrofits = tuple(p.params for p in setup.interventions if p.at <= self.params.delay)
        self.too_late = len(setup.interventions) - len(self.retrofits)
        self.struck: Struck | None = None
        self.shocks = 0

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Write what the shocks up to `end` have done; between shocks nothing changes."""
        shocks = sum(t < end or (t <= end and end >= self.setup.duration) for t in self.times)
        if shocks == self.shocks:
            return Status()
        self.struck = strike(self.setup, self.hour, self.weekend, self.retrofits, shocks - 1)  # type: ignore[arg-type]
        self.shocks = shocks
        for name, values in self.struck.columns.items():
            state[name] = values
        return Status(numbers={"shocks": float(shocks)})

    def summary(self, state: State) -> dict[str, Any]:
        """Impact with 5th, 50th and 95th percentile over the fields; triage by zone; the event and what was used."""
        if self.struck is None:
            return {"impact": {}, "reason": "no shock before the end"}
        return {
            "impact": impact_of(self.struck) | self._cost(),
            "triage": triage_of(self.struck, self.setup.city),
            "event": self.struck.words,
            "hour": round(self.hour, 2),
            "weekend": self.weekend,
            "retrofits_after_the_shock": self.too_late,
        }

    def _cost(self) -> dict[str, float]:
        """What the retrofits cost, where one of them says it."""
        city = self.setup.city
        building = city.table("building")
        said = [
            r.cost * float(np.nan_to_num(floors(building))[retrofitted_rows(city, building, r)].sum())
            for r in self.retrofits
            if isinstance(r, Retrofit) and r.cost is not None
        ]
        return {"measures_cost": sum(said)} if said else {}
