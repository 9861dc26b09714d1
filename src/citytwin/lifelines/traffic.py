"""Traffic: water on the roads slows cars, then stops them, debris stops them. It says which roads are closed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from citytwin.city import Ground
from citytwin.city.cells import Touch, along, ends
from citytwin.city.roads import Roads, yes
from citytwin.columns import Column
from citytwin.sim import Grade, Parameters, Setup, Spec, Status
from citytwin.state import State
from citytwin.units import Quantity

Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

SOURCE = (
    "Pregnolato, Ford, Wilkinson and Dawson (2017), The impact of flooding on road transport: a depth-disruption function, "
    "Transportation Research Part D 55, doi:10.1016/j.trd.2017.06.020."
)


class TrafficParameters(Parameters):
    """From which depth on a road is closed."""

    closed_depth: Annotated[float, Quantity("m")] = Field(
        0.3, gt=0, le=5, description="Water deeper than this stops cars, as in 0.3 m"
    )
    tunnel_depth: Annotated[float, Quantity("m")] = Field(
        0.15, gt=0, le=5, description="Water deeper than this at its mouth closes a tunnel, since it runs in"
    )


def safe_speed(depth: Values) -> Values:
    """Highest speed (m/s) at which a car keeps control in standing water of `depth` (m); 0 above 0.3 m.

    Pregnolato et al. (2017): v = 0.0009 w^2 - 0.5529 w + 86.9448, v in km/h, w in mm, w <= 300.
    """
    w = depth * 1000.0
    return np.where(depth <= 0.3, (0.0009 * w**2 - 0.5529 * w + 86.9448) / 3.6, 0.0)


def road_cells(city_ground: Ground, roads: Roads, channels: npt.NDArray[np.int64]) -> Touch:
    """The cells whose water is on each road.

    A bridge has none (its deck is above the water). A tunnel has those of its two mouths. Any other road has those that its
    line runs through, save `channels` (cells of mapped watercourses and open water), as long as another cell is left: where
    a road crosses a stream there is a culvert or a small bridge, though maps often lack it.
    """
    lines = roads.table.geometry.to_numpy()
    bridge, tunnel = yes(roads.table, "bridge"), yes(roads.table, "tunnel")
    open_air = along(city_ground, lines)
    channel = np.isin(open_air.cell, channels)
    dry_cells = np.bincount(open_air.row[~channel], minlength=open_air.size)
    open_air = open_air.only(~bridge[open_air.row] & ~tunnel[open_air.row] & (~channel | (dry_cells[open_air.row] == 0)))
    mouths = ends(city_ground, lines)
    mouths = mouths.only(tunnel[mouths.row] & ~bridge[mouths.row])
    row, cell = np.concatenate([open_air.row, mouths.row]), np.concatenate([open_air.cell, mouths.cell])
    by_row = np.argsort(row, kind="stable")
    return Touch(row[by_row], cell[by_row], open_air.size)


class Traffic:
    """Depth on each road, and with it the speed that is left and whether the road is closed."""

    spec: ClassVar[Spec] = Spec(
        name="traffic", room="lifeline", title="Roads under water or rubble", params=TrafficParameters,
        reads=(), heeds=("water_depth", "road_blocked"),
        writes=(
            Column("road_flood_depth", "road", "m", "deepest water on the road now", 0, 100, 0, ramp="depth",
                   steps=(0.1, 0.2, 0.3, 0.6, 1)),
            Column("road_slowdown", "road", "1", "share of the allowed speed that water on the road takes away now", 0, 1, 0,
                   ramp="share", source=SOURCE),
            Column("road_closed", "road", "1", "whether water or debris closes the road to cars now", 0, 1, 0, ramp="category",
                   categories=("open", "closed"), source=SOURCE),
        ),
        needs=("road", "cell"), optional=("waterway",), grade=Grade.SKETCH, source=SOURCE,
        limits="Water and what an earthquake leaves on the road decide, not the police: a road counts as closed from one end "
               "to the other while water deeper than 0.3 m stands anywhere on it. Queues and drivers who choose other ways "
               "are not simulated. Bridges stay open whatever the river does. Where the terrain is coarse, a road beside a "
               "river may look flooded when it is not.",
        always=True,
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params: TrafficParameters = setup.params
        city = setup.city
        self.roads = Roads(city.table("road"))
        lines = city.table("waterway").geometry.to_numpy() if "waterway" in city else np.zeros(0, dtype=object)
        water = np.flatnonzero(city.ground.layer("water").ravel() > 0.5)
        channels = np.unique(np.concatenate([along(city.ground, lines).cell, water]))
        self.touch = road_cells(city.ground, self.roads, channels)
        tunnel = yes(self.roads.table, "tunnel")
        self.closed_depth = np.where(tunnel, self.params.tunnel_depth, self.params.closed_depth)
        self.longest_closed = 0.0

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Depth, slowdown and closure of each road at `end`."""
        depth = np.minimum(self.touch.highest(state["water_depth"]), 100.0)
        closed = ((depth > self.closed_depth) | (state["road_blocked"] > 0)) & self.roads.drivable
        left = np.minimum(safe_speed(depth), self.roads.speed) / self.roads.speed
        state["road_flood_depth"] = depth
        state["road_slowdown"] = np.where(closed, 1.0, np.where((depth > 0) & self.roads.drivable, 1.0 - left, 0.0))
        state["road_closed"] = closed
        self.longest_closed = max(self.longest_closed, float(np.sum(self.roads.length[closed])))
        return Status()

    def summary(self, state: State) -> dict[str, Any]:
        """Lengths in km: closed at the end, most closed at one moment, of all drivable roads."""
        length = self.roads.length
        return {
            "roads_km": float(np.sum(length[self.roads.drivable])) / 1000,
            "roads_closed_now_km": float(np.sum(length[state["road_closed"] > 0])) / 1000,
            "roads_closed_most_km": self.longest_closed / 1000,
            "roads_without_junctions": int(np.sum(self.roads.drivable & ~self.roads.edge)),
        }
