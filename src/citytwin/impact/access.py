"""Access: kilometres of road closed, and facilities that are flooded or that nobody can drive to."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from citytwin.city import City
from citytwin.city.cells import around
from citytwin.city.roads import Roads, text
from citytwin.columns import Column
from citytwin.impact.people import zones_of
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

STATES = ("works", "cut off", "out")

SOURCE = (
    "0.3 m: upper limit of hazard class H1, generally safe for people, vehicles and buildings (AIDR 2017, Guideline 7-3). "
    "Utility sites 1.22 m (4 ft): functionality threshold depth of substations, FEMA Hazus Flood Technical Manual, table 7.9."
)

UTILITIES = (
    "power_plant", "power_substation", "water_works", "wastewater_plant", "pumping_station",
)  # fmt: skip


class AccessParameters(Parameters):
    """When a facility is out, and how far it may lie from a road."""

    out_depth: Annotated[float, Quantity("m")] = Field(
        0.3, gt=0, le=10, description="Water deeper than this against it puts a facility out, as in 0.3 m"
    )
    utility_out_depth: Annotated[float, Quantity("m")] = Field(
        1.22, gt=0, le=10, description="The same for power, water and wastewater sites, whose equipment stands raised"
    )
    road_within: Annotated[float, Quantity("m")] = Field(
        300.0, gt=0, le=10_000, description="Facilities further than this from any drivable road never count as cut off"
    )


def facility_areas(city: City) -> npt.NDArray[np.object_]:
    """The footprint of the building that each facility is in, or its own place."""
    facility = city.table("facility")
    areas = np.array(facility.geometry.to_numpy(), dtype=object)
    if "building" in city:
        rows = city.rows("building", text(facility, "building"))
        inside = rows >= 0
        areas[inside] = np.asarray(city.table("building").geometry.to_numpy(), dtype=object)[rows[inside]]
    return areas


class Access:
    """Roads closed so far, and the state of each facility.

    A facility is out once water deeper than its threshold stands against it, and stays out. It is cut off while neither end
    of its nearest drivable road hangs together, over open roads, with the largest part of the network.
    """

    spec: ClassVar[Spec] = Spec(
        name="access", room="impact", title="Closed roads and facilities out of reach", params=AccessParameters,
        reads=("road_closed",), heeds=("water_depth", "facility_broken"),
        writes=(
            Column("facility_flood_depth", "facility", "m", "deepest water against the facility now", 0, 100, 0, ramp="depth",
                   steps=(0.1, 0.3, 0.5, 1.2, 2, 4)),
            Column("facility_state", "facility", "1", "whether the facility works, is cut off from the road network, or is out "
                   "(flooded or broken)", 0, 2, 0, ramp="category", categories=STATES, source=SOURCE),
            Column("zone_roads_closed", "zone", "m", "length of road in the zone that has been closed so far", 0, 1e9, 0,
                   ramp="hazard"),
        ),
        needs=("road", "cell"), optional=("facility", "zone"), grade=Grade.SKETCH, source=SOURCE,
        limits="A facility is judged by the water around its building and by earthquake damage alone: staff who cannot come, "
               "power and water that fail inside, flood barriers and raised floors are not known. Cut off means for cars.",
        always=True,
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params = setup.params
        self.city = city = setup.city
        self.roads = Roads(city.table("road"))
        self.ever_closed: Marks = np.zeros(len(self.roads.length), dtype=np.bool_)
        self.zone = zones_of(city, "road")
        self.has_facilities = "facility" in city and city.size("facility") > 0
        if self.has_facilities:
            self._place_facilities()

    def _place_facilities(self) -> None:
        areas = facility_areas(self.city)
        self.kind = text(self.city.table("facility"), "kind")
        self.feet = around(self.city.ground, areas)
        self.threshold = np.where(np.isin(self.kind, UTILITIES), self.params.utility_out_depth, self.params.out_depth)
        self.out: Marks = np.zeros(len(areas), dtype=np.bool_)
        self.worst: Values = np.zeros(len(areas))
        self.near: Rows = self.roads.nearest(areas, self.params.road_within)
        self.connected = self._reached(np.ones(len(self.roads.length), dtype=np.bool_))

    def _reached(self, usable: Marks) -> Marks:
        """Whether an end of each facility's nearest road lies in the largest part of the network of `usable` roads."""
        label, count = self.roads.components(usable)
        if count.max(initial=0) < 2:  # no road is open
            return np.zeros(len(self.near), dtype=np.bool_)
        main = label == int(np.argmax(count))
        ends = main[self.roads.first[self.near]] | main[self.roads.last[self.near]]
        return np.asarray((self.near >= 0) & ends, dtype=np.bool_)

    def advance(self, state: State, begin: float, end: float) -> Status:
        """State of each facility at `end`, roads closed so far."""
        closed = state["road_closed"] > 0
        self.ever_closed |= closed
        if "zone" in self.city:
            lengths = np.where(self.ever_closed, self.roads.length, 0.0)
            inside = self.zone >= 0
            sums = np.bincount(self.zone[inside], weights=lengths[inside], minlength=self.city.size("zone"))
            state["zone_roads_closed"] = sums
        if self.has_facilities:
            depth = np.minimum(self.feet.depth(state["water_depth"]), 100.0)
            self.out |= (depth > self.threshold) | (state["facility_broken"] > 0)
            cut_off = self.connected & ~self._reached(~closed) if closed.any() else np.zeros(len(depth), dtype=np.bool_)
            state["facility_flood_depth"] = depth
            state["facility_state"] = np.where(self.out, 2.0, np.where(cut_off, 1.0, 0.0))
            self.worst = np.maximum(self.worst, state["facility_state"])
        return Status()

    def summary(self, state: State) -> dict[str, Any]:
        """Roads closed at any time, by class; facilities by the worst state they were in, by kind."""
        impact: dict[str, Any] = {**self._roads_closed(), **(self._facilities() if self.has_facilities else {})}
        if not self.has_facilities:
            return {"impact": impact, "facilities": "the city has no facilities"}
        return {
            "impact": impact,
            "parameters": self.params.model_dump(),
            "facilities": len(self.kind),
            "facilities_far_from_roads": int(np.sum(self.near < 0)),
            "facilities_never_connected": int(np.sum((self.near >= 0) & ~self.connected)),
            "facilities_cut_off_by_kind": self._by_kind(self.worst == 1),
        }

    def _roads_closed(self) -> dict[str, Any]:
        length = np.where(self.ever_closed, self.roads.length, 0.0) / 1000
        classes, index = np.unique(text(self.roads.table, "class").astype(str), return_inverse=True)
        by_class = np.bincount(index, weights=length, minlength=len(classes))
        return {
            "roads_closed_km": float(np.sum(length)),
            "roads_closed_km_by_class": {
                c or "unknown": float(km) for c, km in zip(classes.tolist(), by_class, strict=True) if km > 0
            },
        }

    def _facilities(self) -> dict[str, Any]:
        return {
            "facilities_out": int(np.sum(self.worst == 2)),
            "facilities_cut_off": int(np.sum(self.worst == 1)),
            "facilities_out_by_kind": self._by_kind(self.worst == 2),
        }

    def _by_kind(self, marked: Marks) -> dict[str, int]:
        kinds, counts = np.unique(self.kind[marked].astype(str), return_counts=True)
        return {kind or "unknown": int(count) for kind, count in zip(kinds.tolist(), counts, strict=True)}
