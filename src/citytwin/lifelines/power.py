"""Power: stations that water reaches or an earthquake breaks go out, and with them all that only they feed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import shapely
from pydantic import Field

from citytwin.city import City
from citytwin.city.cells import around
from citytwin.city.roads import number, text
from citytwin.columns import Column
from citytwin.lifelines.supply import FLOODED, Fed, Network, customers, fed_things
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

Values = npt.NDArray[np.float64]

SOURCE = (
    "Functionality threshold depth of substations, 4 ft (1.22 m): FEMA, Hazus Flood Technical Manual, table 7.9. Networks as "
    "graphs without flows: a convention of this project."
)
LOADS = (
    "Usual load: 180 W for each resident and, by use, 5 to 20 W for each square metre of floor (round means over a year of "
    "European homes, offices and works, from knowledge, not re-read); times the demand of the zone. A sketch."
)

RESIDENT = 180.0
"""Mean electric load (W) of a resident at home."""
FLOOR = {"commercial": 20.0, "office": 15.0, "retail": 20.0, "industrial": 15.0, "health": 20.0, "education": 7.0,
         "public": 10.0, "farm": 5.0}  # fmt: skip
"""Mean electric load (W) of a square metre of floor, by use; homes by their residents."""

EQUIPMENT = ("plant", "substation", "transformer", "power_plant", "power_substation")


class PowerParameters(Parameters):
    """When a station goes out."""

    out_depth: Annotated[float, Quantity("m")] = Field(
        FLOODED, gt=0, le=10, description="Water deeper than this puts a plant, substation or transformer out, as in 1.2 m"
    )
    assume_nearest: bool = Field(
        True, description="Where the city does not say who feeds a building, take the nearest station (marked as assumed)"
    )


class Power:
    """Stations that are flooded stay out; what they alone feed is without power while they are."""

    spec: ClassVar[Spec] = Spec(
        name="power", room="lifeline", title="Power cuts", params=PowerParameters,
        reads=("water_depth",), heeds=("power_bus_broken", "facility_broken", "zone_power_demand"),
        writes=(
            Column("power_bus_out", "power_bus", "1", "whether the node of the power network is without voltage", 0, 1, 0,
                   ramp="category", categories=("live", "out"), source=SOURCE),
            Column("building_without_power", "building", "1", "whether the building is without power", 0, 1, 0, ramp="category",
                   categories=("supplied", "without power"), source=SOURCE),
            Column("facility_without_power", "facility", "1", "whether the facility is without mains power", 0, 1, 0,
                   ramp="category", categories=("supplied", "without power"), source=SOURCE),
            Column("water_node_without_power", "water_node", "1", "whether the node of the water network has no power", 0, 1,
                   0, ramp="category", categories=("supplied", "without power"), source=SOURCE),
            Column("zone_without_power", "zone", "1", "customers in the zone without power", 0, 1e8, 0, ramp="people"),
            Column("building_power_load", "building", "W", "power that the building draws now, on the mean of a day", 0, 1e9, 0,
                   ramp="hazard", source=LOADS, course=False),
            Column("power_bus_load", "power_bus", "1", "load of what the node feeds itself, as a share of the usual", 0, 2, 1,
                   ramp="share", source=LOADS),
            Column("zone_power_load", "zone", "W", "power that the zone draws now, on the mean of a day", 0, 1e10, 0,
                   ramp="hazard", source=LOADS),
        ),
        needs=("building", "cell"), optional=("power_bus", "power_line", "facility", "water_node", "zone"), grade=Grade.SKETCH,
        source=SOURCE,
        limits="A rough sketch: stations fail by water depth or by an earthquake and stay out until the end; overloads, "
               "switching to other lines, cables under ground and emergency generators are not simulated. Where the city "
               "does not say which station feeds a building, the nearest one is assumed. Loads are means of a day that follow "
               "what people do in a zone; they overload nothing, and batteries, heating and the hour are not in them.",
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params: PowerParameters = setup.params
        self.city = city = setup.city
        self.customers = customers(city.table("building"))
        self.hours = self.energy = self.usual_energy = 0.0
        self.ever = np.zeros(len(self.customers), dtype=np.bool_)
        self.reason = ""
        table, kinds = ("power_bus", ("plant",)) if "power_bus" in city else ("facility", ("power_plant",))
        if table not in city or (table == "facility" and not np.isin(city.table(table)["kind"], EQUIPMENT).any()):
            self.reason = "the city has no power stations"
            return
        self.usual = usual_load(city)
        self.network = Network(city, table, "power_line", ("from_bus", "to_bus"), (kinds, ("substation", "power_substation")))
        if table == "power_bus":
            self.network.add_highest(number(city.table(table), "voltage"))
        else:
            self.network.source |= np.isin(self.network.kind, EQUIPMENT)
        self._place(setup, table)

    def _place(self, setup: Setup, table: str) -> None:
        city, network = setup.city, self.network
        assume = EQUIPMENT[1:2] + EQUIPMENT[4:] if self.params.assume_nearest else ()
        self.feet = around(city.ground, city.table(table).geometry.to_numpy())
        self.threshold = np.where(np.isin(network.kind, EQUIPMENT), self.params.out_depth, np.inf)
        self.flooded = np.zeros(network.nodes, dtype=np.bool_)
        self.broken = self.flooded.copy()
        self.buildings, self.assumed = fed_things(network, "building", assume)
        self.facilities, _ = fed_things(network, "facility", assume if table == "power_bus" else ())
        self.water_nodes, _ = fed_things(network, "water_node", assume)
        self.zone = city.rows("zone", city.table("building")["zone"].fillna("")) if self._has_zones() else None
        if not np.isin(network.kind, EQUIPMENT).any():
            self.reason = "the city knows no plant, substation or transformer that could fail"
        elif not self.buildings.known.any():
            self.reason = "the city does not say which building is fed by which station"

    def _has_zones(self) -> bool:
        return "zone" in self.city and "zone" in self.city.table("building")

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Stations out and things without power at `end`."""
        if self.reason:
            return Status()
        self.flooded |= self.feet.depth(state["water_depth"]) > self.threshold
        self.broken |= state[f"{self.network.table}_broken"] > 0
        supplied = self.network.supplied(~(self.flooded | self.broken))
        without = self.buildings.without(supplied)
        self.ever |= without
        self.hours += float(np.sum(self.customers[without])) * (end - begin) / 3600
        if self.network.table == "power_bus":
            state["power_bus_out"] = ~supplied
        state["building_without_power"] = without
        self._write(state, "facility", "facility_without_power", self.facilities, supplied)
        self._write(state, "water_node", "water_node_without_power", self.water_nodes, supplied)
        if self.zone is not None:
            inside = self.zone >= 0
            weights = np.where(without, self.customers, 0.0)[inside]
            state["zone_without_power"] = np.bincount(self.zone[inside], weights=weights, minlength=self.city.size("zone"))
        self._draw(state, without, end - begin)
        return Status()

    def _draw(self, state: State, without: npt.NDArray[np.bool_], seconds: float) -> None:
        """Load of each building, of the zones and, as a share of the usual, of the nodes that feed them."""
        demand = np.ones(len(self.usual))
        if self.zone is not None:
            demand = np.where(self.zone >= 0, state["zone_power_demand"][self.zone], 1.0)
        load = np.where(without, 0.0, np.minimum(self.usual * demand, 1e9))
        self.energy += float(load.sum()) * seconds / 3.6e6
        self.usual_energy += float(self.usual.sum()) * seconds / 3.6e6
        state["building_power_load"] = load
        if self.zone is not None:
            inside, zones = self.zone >= 0, self.city.size("zone")
            state["zone_power_load"] = np.minimum(np.bincount(self.zone[inside], weights=load[inside], minlength=zones), 1e10)
        if self.network.table == "power_bus":
            fed, nodes = self.buildings, self.network.nodes
            now, usual = (np.bincount(fed.node, weights=w[fed.thing], minlength=nodes) for w in (load, self.usual))
            state["power_bus_load"] = np.clip(np.where(usual > 0, now / np.maximum(usual, 1e-9), 1.0), 0.0, 2.0)

    def _write(self, state: State, table: str, column: str, fed: Fed, supplied: npt.NDArray[np.bool_]) -> None:
        if table in self.city:
            state[column] = fed.without(supplied)

    def summary(self, state: State) -> dict[str, Any]:
        """Customers that were without power at some time; stations out."""
        if self.reason:
            return {"impact": {"customers_without_power": None}, "reason": self.reason}
        return {
            "impact": {"customers_without_power": int(np.sum(self.customers[self.ever]))},
            "customers": int(np.sum(self.customers[self.buildings.known])),
            "customer_hours_without_power": self.hours,
            "energy_drawn_kwh": self.energy,
            "energy_usual_kwh": self.usual_energy,
            "stations": int(np.sum(np.isin(self.network.kind, EQUIPMENT))),
            "stations_flooded": int(np.sum(self.flooded)),
            "stations_broken": int(np.sum(self.broken)),
            "buildings_supply_unknown": int(np.sum(~self.buildings.known)),
            "feeding_station_assumed_nearest": self.assumed,
        }


def usual_load(city: City) -> Values:
    """Power (W) that each building usually draws, on the mean of a day: its residents' and that of floor that is not homes."""
    building = city.table("building")
    levels = np.maximum(number(building, "levels", 1.0), 1.0)
    area = shapely.area(np.asarray(building.geometry.to_numpy(), dtype=object)) * levels
    floor = np.maximum(number(building, "floor_area"), 0.0)
    floor = np.where(np.isfinite(floor), floor, area)
    each = np.array([FLOOR.get(str(use), 0.0) for use in text(building, "use")])
    return np.asarray(np.minimum(RESIDENT * np.maximum(number(building, "people", 0.0), 0.0) + each * floor, 5e8))
