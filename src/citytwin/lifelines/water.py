"""Water supply: works and pumps that flood, break or lose power stop, and with them the taps that only they feed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from citytwin.city.cells import around
from citytwin.columns import Column
from citytwin.lifelines.supply import FLOODED, Network, customers, fed_things
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

SOURCE = (
    "Works and pumps out above 1.22 m, as FEMA, Hazus Flood Technical Manual, table 7.9 has it for substations (4 ft): assumed "
    "for water works by analogy. Networks as graphs without flows: a convention of this project."
)

STORES = ("reservoir", "tank")
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
            Column("water_node_out", "water_node", "1", "whether the node of the water network is without water", 0, 1, 0,
                   ramp="category", categories=("supplied", "out"), source=SOURCE),
            Column("building_without_water", "building", "1", "whether the building is without water supply", 0, 1, 0,
                   ramp="category", categories=("supplied", "without water"), source=SOURCE),
            Column("facility_without_water", "facility", "1", "whether the facility is without water supply", 0, 1, 0,
                   ramp="category", categories=("supplied", "without water"), source=SOURCE),
        ),
        needs=("building", "cell"), optional=("water_node", "pipe", "facility"), grade=Grade.SKETCH, source=SOURCE,
        limits="A rough sketch: pressure, the filling of tanks and dirty water are not simulated; a broken main is shut, its "
               "leaks are not felt elsewhere; water is either there or not, and tanks last for a set time. Works without "
               "power stop at once unless the scenario gives them a backup. Where the city does not say which works feed a "
               "building, the nearest are assumed.",
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
        if not self.equipment.any():
            self.reason = "the city knows no works or pumps that could fail"
        elif not self.buildings.known.any():
            self.reason = "the city does not say which building is fed by which works"

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Nodes out and things without water at `end`."""
        if self.reason:
            return Status()
        self.flooded |= self.equipment & (self.feet.depth(state["water_depth"]) > self.params.out_depth)
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
        if self.table == "water_node":
            state["water_node_out"] = ~supplied
        state["building_without_water"] = without
        if "facility" in self.city:
            state["facility_without_water"] = self.facilities.without(supplied)
        return Status()

    def summary(self, state: State) -> dict[str, Any]:
        """Customers that were without water at some time; works and pumps flooded."""
        if self.reason:
            return {"impact": {"customers_without_water": None}, "reason": self.reason}
        return {
            "impact": {"customers_without_water": int(np.sum(self.customers[self.ever]))},
            "customers": int(np.sum(self.customers[self.buildings.known])),
            "customer_hours_without_water": self.hours,
            "customers_on_storage_or_without": int(np.sum(self.customers[self.ever_on_storage])),
            "works_and_pumps": int(np.sum(self.equipment)),
            "works_and_pumps_flooded": int(np.sum(self.flooded)),
            "nodes_broken": int(np.sum(self.broken)),
            "mains_broken": int(np.sum(self.network.cut)),
            "buildings_supply_unknown": int(np.sum(~self.buildings.known)),
            "feeding_works_assumed_nearest": self.assumed,
        }
