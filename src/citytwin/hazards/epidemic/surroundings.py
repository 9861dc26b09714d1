"""Infection and illness that come from around people: contaminated water by zone, and heat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.city.cells import around
from citytwin.city.roads import number
from citytwin.hazards.epidemic.arrays import SURROUNDINGS
from citytwin.hazards.epidemic.disease import DAY, Disease, by_age
from citytwin.hazards.epidemic.measures import zone_rows
from citytwin.hazards.epidemic.outbreak import Imported
from citytwin.hazards.epidemic.parameters import EpidemicParameters
from citytwin.hazards.epidemic.people import zone_of
from citytwin.state import State

Numbers = npt.NDArray[np.float64]
FLOODED = 0.1
"""Water (m) around a home from which on its supply counts as mixed with the flood: assumed."""
MOST = 1000.0


class Water:
    """Contamination of each zone's water, relative to the dose that infects at half of the highest rate.

    It decays, grows with infectious people, and is at least what spills, flood water in the taps and dry taps bring (Codeço
    2001, Tien and Earn 2010, see the disease). People in a zone's homes count by their number. Where a water network is
    simulated, it says how much flood water is in the taps, as it was a step ago; else a flooded home drinks it.
    """

    def __init__(self, city: City, params: EpidemicParameters, zones: int) -> None:
        self.city, self.said, self.spills = city, params.disease.water, params.contamination
        self.level = np.zeros(zones)
        if self.said is None:
            return
        self.zone, _ = zone_of(city, "building")
        self.people = number(city.table("building"), "people", 1.0)
        self.feet = around(city.ground, city.table("building").geometry.to_numpy()) if city.has_ground else None
        self.where = [zone_rows(city, [s.zone] if s.zone else [], zones, "epidemic.contamination") for s in self.spills]

    def look(self, state: State, begin: float, end: float) -> None:
        """Raise the level to what spills, floods and dry taps make of it between `begin` and `end` (s)."""
        if self.said is None:
            return
        for spill, rows in zip(self.spills, self.where, strict=True):
            if spill.begin < end and spill.begin + spill.duration > begin:
                self.level[rows] = np.maximum(self.level[rows], spill.level)
        bad = self._at_taps(state) * self.said.flood
        if "building_without_water" in state.columns:
            bad += self.said.without_water * (state["building_without_water"] > 0)
        total = np.bincount(self.zone, weights=self.people, minlength=len(self.level))
        mean = np.bincount(self.zone, weights=self.people * bad, minlength=len(self.level)) / np.maximum(total, 1e-9)
        self.level = np.minimum(np.maximum(self.level, mean), MOST)

    def _at_taps(self, state: State) -> Numbers:
        """Share of flood water in what each building drinks: as the water network says, else all of it in a flooded home."""
        if "building_water_contamination" in state.written:
            return np.array(state["building_water_contamination"])
        if self.feet is not None and "water_depth" in state.columns:
            return np.where(self.feet.depth(state["water_depth"]) > FLOODED, 1.0, 0.0)
        return np.zeros(len(self.people))

    def day(self, infectious: Numbers, people: Numbers) -> Imported | None:
        """Play a day: the rate of infection from water by zone, after shedding and decay. infectious: by zone, weighted."""
        if self.said is None:
            return None
        shed = self.said.shedding * infectious / np.maximum(people, 1.0)
        self.level = np.minimum(self.level * np.exp(-DAY / max(self.said.decay, 1.0)) + shed, MOST)
        rate = self.said.rate * self.level / (1 + self.level)
        return Imported(rate, layer=SURROUNDINGS)


def heat(disease: Disease, temperature: tuple[tuple[float, float], ...] | None, day: int, zones: int) -> Imported | None:
    """Illness from heat on a day (the first is 1): the risk of each age above the limit, in every zone."""
    if disease.heat is None or temperature is None:
        return None
    held = [value for time, value in temperature if time < day * DAY]
    excess = max(0.0, (held[-1] if held else temperature[0][1]) - disease.heat.above)
    risk = by_age(disease.heat.risk)
    most = float(risk.max())
    if excess <= 0 or most <= 0:
        return None
    return Imported(np.full(zones, most * excess), risk / most, SURROUNDINGS)
