"""Care: how much longer the way to the nearest working hospital takes over the roads that are left."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import shapely
from pydantic import Field

from citytwin.city.cells import around
from citytwin.city.roads import Roads, number, text
from citytwin.columns import Column
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

SOURCE = (
    "Shortest driving times (Dijkstra 1959) over roads slowed and closed by water as in the traffic simulator; hospitals out "
    "above 0.3 m, the upper limit of hazard class H1 (AIDR 2017, Guideline 7-3)."
)


class CareParameters(Parameters):
    """Which hospitals work, and how far a building may lie from a road."""

    out_depth: Annotated[float, Quantity("m")] = Field(
        0.3, gt=0, le=10, description="Water deeper than this against it puts a hospital out, as in 0.3 m"
    )
    backup: Annotated[float, Quantity("s")] = Field(
        24 * 3600.0, ge=0, le=30 * 86400, description="How long a hospital works on without mains power, as in 24 h"
    )
    road_within: Annotated[float, Quantity("m")] = Field(
        1000.0, gt=0, le=50_000, description="Buildings further than this from any drivable road are left out"
    )


class Care:
    """Driving time from every building to the nearest working hospital, against the time on dry roads with all of them."""

    spec: ClassVar[Spec] = Spec(
        name="care", room="lifeline", title="Way to hospital", params=CareParameters,
        reads=("water_depth", "road_closed", "road_slowdown", "facility_without_power"), heeds=("facility_broken",),
        writes=(
            Column("care_delay", "building", "s", "extra driving time from the building to the nearest working hospital now; "
                   "unknown where no way is open", 0, 1e6, 0, ramp="heat", source=SOURCE),
            Column("care_cut_off", "building", "1", "whether no open way leads from the building to a hospital", 0, 1, 0,
                   ramp="category", categories=("reached", "cut off"), source=SOURCE),
            Column("hospital_out", "facility", "1", "whether the hospital cannot take patients", 0, 1, 0, ramp="category",
                   categories=("works", "out"), source=SOURCE),
        ),
        needs=("building", "road", "facility", "cell"), grade=Grade.SKETCH, source=SOURCE,
        limits="Driving at allowed speeds without queues, from the nearest junction. Beds in use, staff, and hospitals outside "
               "the city are not counted. People without any open way are counted apart and not in the mean delay.",
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params: CareParameters = setup.params
        city = setup.city
        facility = city.table("facility")
        self.hospital = np.flatnonzero(text(facility, "kind") == "hospital").astype(np.int64)
        self.roads = Roads(city.table("road"))
        self.people = np.maximum(number(city.table("building"), "people", 0.0), 0.0)
        self.worst = np.zeros(len(self.people))
        self.ever_cut_off = np.zeros(len(self.people), dtype=np.bool_)
        self.reason = ""
        if not len(self.hospital):
            self.reason = "the city has no hospital"
            return
        places = self._places(setup, facility)
        self.feet = around(city.ground, places)
        self.beds = number(facility, "capacity")[self.hospital]
        self.out = np.zeros(len(self.hospital), dtype=np.bool_)
        self.dark = np.zeros(len(self.hospital))
        self.node = self._nodes(places)
        self.from_node = self._nodes(np.asarray(city.table("building").geometry.to_numpy(), dtype=object))
        self.usual = self._times(np.ones(len(self.roads.length), dtype=np.bool_), self.roads.speed)
        self.counted = np.isfinite(self.usual)
        if not self.counted.any():
            self.reason = "no drivable road leads from any building to a hospital"
        self.last: tuple[bytes, bytes] = (b"", b"")

    def _places(self, setup: Setup, facility: Any) -> npt.NDArray[np.object_]:
        """The footprint of each hospital's building, or its own place."""
        places = np.array(facility.geometry.to_numpy(), dtype=object)[self.hospital]
        rows = setup.city.rows("building", text(facility, "building")[self.hospital])
        inside = rows >= 0
        places[inside] = np.asarray(setup.city.table("building").geometry.to_numpy(), dtype=object)[rows[inside]]
        return places

    def _nodes(self, things: npt.NDArray[np.object_]) -> Rows:
        """The nearer end of each thing's nearest drivable road; -1 where none is near."""
        road = self.roads.nearest(things, self.params.road_within)
        lines = np.asarray(self.roads.table.geometry.to_numpy(), dtype=object)[road]
        inner = shapely.point_on_surface(things)
        to_first = shapely.distance(inner, shapely.get_point(lines, 0))
        to_last = shapely.distance(inner, shapely.get_point(lines, -1))
        node = np.where(to_first <= to_last, self.roads.first[road], self.roads.last[road])
        return np.where(road >= 0, node, -1).astype(np.int64)

    def _times(self, usable: Marks, speed: Values) -> Values:
        """Driving time (s) from each building to the nearest hospital that works."""
        targets = self.node[~self.out & (self.node >= 0)]
        times = self.roads.times_to(targets, usable, speed)
        return np.where(self.from_node >= 0, times[self.from_node], np.inf) if len(times) else np.full(len(self.people), np.inf)

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Delay of each building at `end`."""
        if self.reason:
            return Status()
        self._hospitals(state, end - begin)
        slowdown = state["road_slowdown"]
        key = (slowdown.tobytes(), self.out.tobytes())
        if key != self.last:  # the search is the dear part: only when roads or hospitals have changed
            self.last = key
            times = self._times(state["road_closed"] == 0, self.roads.speed * (1.0 - slowdown))
            cut_off = self.counted & ~np.isfinite(times)
            delay = np.zeros(len(times))
            reached = np.flatnonzero(self.counted & ~cut_off)
            delay[reached] = np.clip(times[reached] - self.usual[reached], 0.0, 1e6)
            state["care_delay"] = np.where(cut_off, np.nan, delay)
            state["care_cut_off"] = cut_off
            self.worst = np.maximum(self.worst, delay)
            self.ever_cut_off |= cut_off
        return Status()

    def _hospitals(self, state: State, seconds: float) -> None:
        dark = state["facility_without_power"][self.hospital] > 0
        self.dark = np.where(dark, self.dark + seconds, 0.0)
        broken = state["facility_broken"][self.hospital] > 0
        flooded = self.feet.depth(state["water_depth"]) > self.params.out_depth
        self.out |= broken | flooded | (dark & (self.dark > self.params.backup))
        state.edit("hospital_out")[self.hospital] = self.out

    def summary(self, state: State) -> dict[str, Any]:
        """Mean delay over residents at each building's worst moment; who was cut off; beds lost."""
        if self.reason:
            return {"impact": {"care_delay": None}, "reason": self.reason}
        people = np.where(self.counted & ~self.ever_cut_off, self.people, 0.0)
        usual = np.where(self.counted, self.people, 0.0)
        delay = float(np.sum(people * self.worst) / np.sum(people)) if np.sum(people) > 0 else None
        summary: dict[str, Any] = {
            "impact": {"care_delay": delay},
            "usual_time_to_hospital_s": float(
                np.sum(usual[self.counted] * self.usual[self.counted]) / max(np.sum(usual), 1e-9)
            ),
            "people_cut_off_from_care": float(np.sum(self.people[self.ever_cut_off])),
            "people_never_connected": float(np.sum(self.people[~self.counted])),
            "hospitals": len(self.hospital),
            "hospitals_out": int(np.sum(self.out)),
            "beds_out": float(np.nansum(self.beds[self.out])) if np.isfinite(self.beds).any() else None,
        }
        if delay is None:
            summary["reason"] = "nobody who lives here has an open way to a hospital"
        return summary
