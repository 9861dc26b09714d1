"""What people do against the water, and what fails: walls, gates, breaches, pumps, each at its time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from citytwin.city import City, Ground
from citytwin.hazards.flood.parameters import Breach, Gate, Pump, Wall
from citytwin.hazards.flood.places import cell_at, faces_crossed, line_of, outlet_at
from citytwin.hazards.flood.water import I64, Water
from citytwin.sim.spec import Planned

Pumps = tuple[I64, I64, npt.NDArray[np.float64]]


class Measures:
    """The planned measures of one run, brought to cells and faces at the start and taken when their time comes."""

    def __init__(self, city: City, ground: Ground, water: Water, planned: tuple[Planned, ...]) -> None:
        self.water = water
        self._barriers: list[tuple[float, Wall | Gate | Breach, I64, I64]] = []
        self._pumps: list[tuple[float, float, int, int, float]] = []
        for number, plan in enumerate(planned):
            if isinstance(plan.params, Pump):
                self._pumps.append(_placed_pump(city, ground, water, plan.at, plan.params, f"pump {number + 1}"))
            elif isinstance(plan.params, (Wall, Gate, Breach)):
                west, north = faces_crossed(ground, line_of(city, plan.params.along))
                self._barriers.append((plan.at, plan.params, water.cell(*west), water.cell(*north)))
        self._barriers.sort(key=lambda b: b[0])
        self._taken = 0
        ends = [t for begin, end, *_ in self._pumps for t in (begin, end)]
        self._times = np.unique(np.array([b[0] for b in self._barriers] + ends, dtype=float))
        self.pumps: Pumps = _running(self._pumps, -1.0)

    def next_after(self, now: float) -> float:
        """The next time at which something is done."""
        later = self._times[self._times > now + 1e-6]
        return float(later[0]) if later.size else np.inf

    def take(self, now: float) -> None:
        """Do what is planned up to `now`."""
        while self._taken < len(self._barriers) and self._barriers[self._taken][0] <= now + 1e-6:
            _, what, west, north = self._barriers[self._taken]
            if isinstance(what, Wall):
                self.water.raise_faces(west, north, what.height)
            elif isinstance(what, Gate) and what.state == "closed":
                self.water.raise_faces(west, north, np.inf)
            else:
                self.water.bare_faces(west, north)
            self._taken += 1
        self.pumps = _running(self._pumps, now)


def _placed_pump(
    city: City, ground: Ground, water: Water, at: float, pump: Pump, where: str
) -> tuple[float, float, int, int, float]:
    """Begin, end, cell, outlet cell (-1: out of the city) and rate (m/s) of a pump."""
    cell = int(water.cell(*cell_at(city, ground, pump.place, where)))
    to = outlet_at(city, ground, pump.outlet, where) if pump.outlet else None
    outlet = int(water.cell(*to)) if to else -1
    end = np.inf if pump.duration is None else at + pump.duration
    return at, end, cell, outlet, pump.rate / water.dx**2


def _running(pumps: list[tuple[float, float, int, int, float]], now: float) -> Pumps:
    on = [(cell, outlet, rate) for begin, end, cell, outlet, rate in pumps if begin <= now + 1e-6 < end]
    cells, outlets, rates = zip(*on, strict=True) if on else ((), (), ())
    return np.array(cells, np.int64), np.array(outlets, np.int64), np.array(rates, np.float64)
