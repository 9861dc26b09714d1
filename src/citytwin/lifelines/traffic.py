"""Traffic: water on the roads slows cars, then stops them, debris stops them; people who stay at home leave roads empty."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import shapely
from pydantic import Field

from citytwin.city import Ground
from citytwin.city.cells import Touch, along, channels, ends
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
TRIPS = (
    "Share of the usual trips of the zones at the road's two ends (zone_traffic_demand), none where it is closed: a convention "
    "of this project."
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


def road_cells(city_ground: Ground, roads: Roads, channel_cells: npt.NDArray[np.int64]) -> Touch:
    """The cells whose water is on each road.

    A bridge has none (its deck is above the water). A tunnel has those of its two mouths. Any other road has those that its
    line runs through, save `channel_cells` (cells of mapped watercourses and open water), as long as another cell is left:
    where a road crosses a stream there is a culvert or a small bridge, though maps often lack it.
    """
    lines = roads.table.geometry.to_numpy()
    bridge, tunnel = yes(roads.table, "bridge"), yes(roads.table, "tunnel")
    open_air = along(city_ground, lines)
    channel = np.isin(open_air.cell, channel_cells)
    dry_cells = np.bincount(open_air.row[~channel], minlength=open_air.size)
    open_air = open_air.only(~bridge[open_air.row] & ~tunnel[open_air.row] & (~channel | (dry_cells[open_air.row] == 0)))
    mouths = ends(city_ground, lines)
    mouths = mouths.only(tunnel[mouths.row] & ~bridge[mouths.row])
    row, cell = np.concatenate([open_air.row, mouths.row]), np.concatenate([open_air.cell, mouths.cell])
    by_row = np.argsort(row, kind="stable")
    return Touch(row[by_row], cell[by_row], open_air.size)


class Traffic:
    """Depth on each road, the speed that is left, whether the road is closed, and how full it is."""

    spec: ClassVar[Spec] = Spec(
        name="traffic", room="lifeline", title="Roads: water, rubble, fewer cars", params=TrafficParameters,
        reads=(), heeds=("water_depth", "road_blocked", "zone_traffic_demand"),
        writes=(
            Column("road_flood_depth", "road", "m", "deepest water on the road now", 0, 100, 0, ramp="depth",
                   steps=(0.1, 0.2, 0.3, 0.6, 1)),
            Column("road_slowdown", "road", "1", "share of the allowed speed that water on the road takes away now", 0, 1, 0,
                   ramp="share", source=SOURCE),
            Column("road_closed", "road", "1", "whether water or debris closes the road to cars now", 0, 1, 0, ramp="category",
                   categories=("open", "closed"), source=SOURCE),
            Column("road_traffic", "road", "1", "cars on the road now, as a share of the usual", 0, 2, 1, "min", "share",
                   source=TRIPS),
        ),
        needs=("road", "cell"), optional=("waterway", "zone"), grade=Grade.SKETCH, source=SOURCE,
        limits="Water and what an earthquake leaves on the road decide, not the police: a road counts as closed from one end "
               "to the other while water deeper than 0.3 m stands anywhere on it. Queues and drivers who choose other ways "
               "are not simulated. Bridges stay open whatever the river does. Where the terrain is coarse, a road beside a "
               "river may look flooded when it is not. How full a road is follows the trips of the zones at its ends, "
               "nothing else: through traffic is not followed, and emptier roads are not faster.",
        always=True,
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params: TrafficParameters = setup.params
        city = setup.city
        self.roads = Roads(city.table("road"))
        self.touch = road_cells(city.ground, self.roads, channels(city))
        tunnel = yes(self.roads.table, "tunnel")
        self.closed_depth = np.where(tunnel, self.params.tunnel_depth, self.params.closed_depth)
        self.longest_closed = 0.0
        self.zones = self._zones(setup) if "zone" in city and city.size("zone") else None
        self.driven, self.usual, self.emptiest = 0.0, 0.0, 1.0

    def _zones(self, setup: Setup) -> npt.NDArray[np.int64]:
        """The zone at each road's two ends, the nearest where none holds it: (2, roads)."""
        tree = shapely.STRtree(np.asarray(setup.city.table("zone").geometry.to_numpy(), dtype=object))
        lines = np.asarray(self.roads.table.geometry.to_numpy(), dtype=object)
        return np.stack([tree.nearest(shapely.get_point(lines, end)) for end in (0, -1)]).astype(np.int64)

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Depth, slowdown and closure of each road at `end`."""
        depth = np.minimum(self.touch.highest(state["water_depth"]), 100.0)
        closed = ((depth > self.closed_depth) | (state["road_blocked"] > 0)) & self.roads.drivable
        left = np.minimum(safe_speed(depth), self.roads.speed) / self.roads.speed
        state["road_flood_depth"] = depth
        state["road_slowdown"] = np.where(closed, 1.0, np.where((depth > 0) & self.roads.drivable, 1.0 - left, 0.0))
        state["road_closed"] = closed
        self.longest_closed = max(self.longest_closed, float(np.sum(self.roads.length[closed])))
        self._fill(state, closed, end - begin)
        return Status()

    def _fill(self, state: State, closed: Marks, seconds: float) -> None:
        """How full each road is, and the sums of it over length and time."""
        trips = np.ones(len(closed)) if self.zones is None else state["zone_traffic_demand"][self.zones].mean(axis=0)
        traffic = np.where(closed, 0.0, np.clip(trips, 0.0, 2.0))
        state["road_traffic"] = np.where(self.roads.drivable, traffic, 1.0)
        length = np.where(self.roads.drivable, self.roads.length, 0.0)
        share = float(length @ traffic / length.sum()) if length.sum() > 0 else 1.0
        self.emptiest = min(self.emptiest, share)
        self.driven, self.usual = self.driven + share * seconds, self.usual + seconds

    def summary(self, state: State) -> dict[str, Any]:
        """Lengths in km: closed at the end, most closed at one moment, of all drivable roads."""
        length = self.roads.length
        return {
            "roads_km": float(np.sum(length[self.roads.drivable])) / 1000,
            "roads_closed_now_km": float(np.sum(length[state["road_closed"] > 0])) / 1000,
            "roads_closed_most_km": self.longest_closed / 1000,
            "traffic_mean_share": self.driven / self.usual if self.usual else 1.0,
            "traffic_least_share": self.emptiest,
            "roads_without_junctions": int(np.sum(self.roads.drivable & ~self.roads.edge)),
        }
