"""Water supply: works and pumps that flood, break or lose power stop, and the taps that they feed; dirt enters mains."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from citytwin.city.cells import around
from citytwin.columns import Column
from citytwin.lifelines.intrusion import Intrusion
from citytwin.lifelines.supply import FLOODED, Network, customers, fed_things
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

SOURCE = (
    "Works and pumps out above 1.22 m, as FEMA, Hazus Flood Technical Manual, table 7.9 has it for substations (4 ft): assumed "
    "for water works by analogy. Networks as graphs without flows: a convention of this project."
)

INTRUSION = (
    "Leaks are orifices that let flood water into mains without pressure (Kirmeyer et al. 2001, AwwaRF; LeChevallier et al. "
    "2003, J. Water Health 1, 3-14: from knowledge, not re-read); cover, leakage and what works send out are assumed. A sketch."
)

STORES = ("reservoir", "tank")
DIRTY = 1e-3
"""Share of flood water from which on customers are counted as having dirty water: a convention."""
EQUIPMENT = ("works", "pump", "water_works", "pumping_station")


class WaterParameters(Parameters):
    """When works and pumps stop."""

    out_depth: Annotated[float, Quantity("m")] = Field(
        FLOODED, gt=0, le=10, description="Water deeper than this stops works and pumps, as in 1.2 m"
    )
    backup: Annotated[float, Quantity("s")] = Field(
        0.0, ge=0, le=30 * 86400, description="How long works and pumps run on without mains power, as in 8 h"
    )
    storage: Annotated[float, Quantity("s")] = Field(
        12 * 3600.0, ge=0, le=30 * 86400, description="How long reservoirs and tanks last once no works reach them, as in 12 h"
    )
    dirty_depth: Annotated[float, Quantity("m")] = Field(
        0.3, gt=0, le=10, description="Water deeper than this against works that still run gets into what they send out"
    )
    dirty_share: float = Field(0.02, ge=0, le=1, description="Share of flood water in what such works send out: assumed")
    leakage: Annotated[float, Quantity("m2/s")] = Field(
        10 / 86400 / 1000, ge=0, le=1e-4, description="What mains lose at their usual pressure, as in 10 m3/d/km"
    )
    turnover: Annotated[float, Quantity("s")] = Field(
        86400.0, gt=0, le=30 * 86400, description="How long the water of the mains lasts in use, as in 1 d: so long dirt stays"
    )
    assume_nearest: bool = Field(
        True, description="Where the city does not say who feeds a building, take the nearest works (marked as assumed)"
    )


class Water:
    """Works and pumps that are flooded stay out; without power they stop when their backup is used up."""

    spec: ClassVar[Spec] = Spec(
        name="water", room="lifeline", title="Water supply cuts", params=WaterParameters,
        reads=("water_depth", "water_node_without_power", "facility_without_power"),
        heeds=("water_node_broken", "facility_broken", "pipe_broken"),
        writes=(
            Column("building_water_contamination", "building", "1", "share of flood water and dirt in what the mains "
                   "before the building hold", 0, 1, 0, ramp="hazard", source=INTRUSION),
            Column("water_node_out", "water_node", "1", "whether the node of the water network is without water", 0, 1, 0,
                   ramp="category", categories=("supplied", "out"), source=SOURCE),
            Column("building_without_water", "building", "1", "whether the building is without water supply", 0, 1, 0,
                   ramp="category", categories=("supplied", "without water"), source=SOURCE),
            Column("facility_without_water", "facility", "1", "whether the facility is without water supply", 0, 1, 0,
                   ramp="category", categories=("supplied", "without water"), source=SOURCE),
        ),
        needs=("building", "cell"), optional=("water_node", "pipe", "facility", "waterway"), grade=Grade.SKETCH,
        source=SOURCE,
        limits="A rough sketch: pressure and the filling of tanks are not simulated; a broken main is shut, its leaks are not "
               "felt elsewhere; water is either there or not, and tanks last for a set time. Dirt enters mains without "
               "pressure under flooded streets, and works under water; its way, chlorine and boiling are not simulated. Works "
               "without power stop at once unless the scenario gives them a backup. Where the city does not say which works "
               "feed a building, the nearest are assumed.",
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params: WaterParameters = setup.params
        self.city = city = setup.city
        self.customers = customers(city.table("building"))
        self.hours = 0.0
        self.ever = np.zeros(len(self.customers), dtype=np.bool_)
        self.ever_on_storage = self.ever.copy()
        self.reason = ""
        self.table = "water_node" if "water_node" in city else "facility"
        if self.table not in city or not np.isin(city.table(self.table)["kind"], (*EQUIPMENT, *STORES)).any():
            self.reason = "the city has no water works"
            return
        kinds = (("works", "water_works"), ("reservoir",), ("tank",), ("pump", "pumping_station"))
        self.network = Network(city, self.table, "pipe", ("from_node", "to_node"), kinds)
        assume = ("works", "water_works") if self.params.assume_nearest else ()
        self.buildings, self.assumed = fed_things(self.network, "building", assume)
        self.facilities, _ = fed_things(self.network, "facility", assume if self.table == "water_node" else ())
        self.feet = around(city.ground, city.table(self.table).geometry.to_numpy())
        self.equipment = np.isin(self.network.kind, EQUIPMENT)
        self.flooded = np.zeros(self.network.nodes, dtype=np.bool_)
        self.broken = self.flooded.copy()
        self.dark = np.zeros(self.network.nodes)
        self.store = np.isin(self.network.kind, STORES) & ~self.network.source
        self.drained = np.zeros(self.network.nodes)
        self.treats = np.isin(self.network.kind, ("works", "water_works"))
        self.intrusion = Intrusion(city, self.network, self.buildings, self.params.leakage, self.params.turnover)
        self.worst = np.zeros(len(self.customers))
        state["building_water_contamination"] = 0.0
        if not self.equipment.any():
            self.reason = "the city knows no works or pumps that could fail"
        elif not self.buildings.known.any():
            self.reason = "the city does not say which building is fed by which works"

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Nodes out and things without water at `end`."""
        if self.reason:
            return Status()
        depth = self.feet.depth(state["water_depth"])
        self.flooded |= self.equipment & (depth > self.params.out_depth)
        without_power = state[f"{self.table}_without_power"] > 0
        self.dark = np.where(without_power, self.dark + (end - begin), 0.0)
        stopped = self.equipment & without_power & (self.dark > self.params.backup)
        self.broken |= state[f"{self.table}_broken"] > 0
        if self.network.edges:
            self.network.cut |= state["pipe_broken"] > 0
        alive = ~(self.flooded | self.broken | stopped)
        by_works = self.network.supplied(alive)
        self.drained = np.where(by_works, 0.0, self.drained + (end - begin))
        self.ever_on_storage |= self.buildings.without(by_works)
        supplied = self.network.supplied(alive, self.store & (self.drained <= self.params.storage))
        without = self.buildings.without(supplied)
        self.ever |= without
        self.hours += float(np.sum(self.customers[without])) * (end - begin) / 3600
        self.intrusion.advance(state["water_depth"], supplied, self._sent(alive, depth), end - begin)
        dirty = self.intrusion.of_things()
        self.worst = np.maximum(self.worst, dirty)
        state["building_water_contamination"] = dirty
        if self.table == "water_node":
            state["water_node_out"] = ~supplied
        state["building_without_water"] = without
        if "facility" in self.city:
            state["facility_without_water"] = self.facilities.without(supplied)
        return Status()

    def _sent(self, alive: npt.NDArray[np.bool_], depth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Share of flood water in what reaches each node from works that run with water against them."""
        dirty = self.treats & alive & (depth > self.params.dirty_depth)
        if not dirty.any():
            return np.zeros(len(alive))
        part = self.network.parts(alive)
        all_works, dirty_works = (np.bincount(part, weights=m) for m in (self.treats & alive, dirty))
        return np.asarray(self.params.dirty_share * (dirty_works / np.maximum(all_works, 1.0))[part])

    def summary(self, state: State) -> dict[str, Any]:
        """Customers that were without water at some time; works and pumps flooded."""
        if self.reason:
            return {"impact": {"customers_without_water": None}, "reason": self.reason}
        return {
            "impact": {"customers_without_water": int(np.sum(self.customers[self.ever]))},
            "customers": int(np.sum(self.customers[self.buildings.known])),
            "customer_hours_without_water": self.hours,
            "customers_on_storage_or_without": int(np.sum(self.customers[self.ever_on_storage])),
            "flood_water_in_mains_m3": self.intrusion.entered,
            "customers_with_dirty_water": int(np.sum(self.customers[self.worst > DIRTY])),
            "works_and_pumps": int(np.sum(self.equipment)),
            "works_and_pumps_flooded": int(np.sum(self.flooded)),
            "nodes_broken": int(np.sum(self.broken)),
            "mains_broken": int(np.sum(self.network.cut)),
            "buildings_supply_unknown": int(np.sum(~self.buildings.known)),
            "feeding_works_assumed_nearest": self.assumed,
        }
