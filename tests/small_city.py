"""A small made city for tests: 400 m square, flat, every table that simulators read, and water put on it by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import LineString, Point, box

from citytwin.city import City, Facts, Ground
from citytwin.scenario.own_values import OwnValues
from citytwin.sim import Parameters, Setup, Streams, columns_with, simulator
from citytwin.state import State

CRS = "EPSG:32631"
WEST, NORTH, CELL, SIDE = 400_000.0, 4_700_000.0, 10.0, 40


def at(east: float, south: float) -> tuple[float, float]:
    """The point `east` metres from the west edge and `south` metres from the north edge."""
    return WEST + east, NORTH - south


def table(rows: list[dict], geometry: list) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(rows, geometry=geometry, crs=CRS)


def square(east: float, south: float, half: float = 8.0):
    x, y = at(east, south)
    return box(x - half, y - half, x + half, y + half)


def small_city(elevation: np.ndarray | None = None) -> City:
    """Streets every 100 m (a 5 x 5 grid of junctions 0 ... 4), a building in the middle of each of the 16 blocks."""
    level = np.full((SIDE, SIDE), 10.0) if elevation is None else elevation
    ground = Ground(WEST, NORTH, CELL, {"elevation": level.astype(np.float32)})
    uses = ["house", "apartments", "commercial", "industrial", "public", "education", "health", "farm", "other"]
    buildings, shapes = [], []
    for number in range(16):
        line, column = divmod(number, 4)
        buildings.append({
            "key": f"b{number}", "use": uses[number % len(uses)], "levels": 2.0, "people": float(number),
            "people_under_15": float(number // 4), "people_over_64": float(number // 5),
            "dwellings": float(max(1, number // 2)), "zone": "west" if column < 2 else "east",
        })  # fmt: skip
        shapes.append(square(50 + 100 * column, 50 + 100 * line))
    tables = {
        "building": table(buildings, shapes),
        "zone": table([{"key": "west", "name": "West"}, {"key": "east", "name": "East"}],
                      [box(*at(0, 400), *at(200, 0)), box(*at(200, 400), *at(400, 0))]),
        **_streets(),
        **_networks(),
    }  # fmt: skip
    return City(Facts("Smallville", CRS), tables, ground, _relations())


def _streets() -> dict[str, gpd.GeoDataFrame]:
    places = {(i, j): at(5 + 97.5 * i, 5 + 97.5 * j) for i in range(5) for j in range(5)}
    roads, lines = [], []
    for i, j in places:
        for di, dj in ((1, 0), (0, 1)):
            if (i + di, j + dj) in places:
                roads.append({
                    "key": f"r{i}{j}{i + di}{j + dj}", "class": "residential" if di else "secondary", "drivable": True,
                    "from_junction": f"j{i}{j}", "to_junction": f"j{i + di}{j + dj}", "length": 97.5, "speed": 50 / 3.6,
                    "oneway": False, "bridge": False, "tunnel": False,
                })  # fmt: skip
                lines.append(LineString([places[i, j], places[i + di, j + dj]]))
    junctions = table([{"key": f"j{i}{j}"} for i, j in places], [Point(p) for p in places.values()])
    return {"road": table(roads, lines), "junction": junctions}


def _networks() -> dict[str, gpd.GeoDataFrame]:
    facility = table(
        [
            {"key": "hospital", "kind": "hospital", "building": "b6", "capacity": 100.0, "emergency": True},
            {"key": "clinic", "kind": "hospital", "building": "", "capacity": 20.0, "emergency": False},
            {"key": "school", "kind": "school", "building": "b5", "capacity": 300.0, "emergency": False},
            {"key": "works", "kind": "water_works", "building": "", "capacity": np.nan, "emergency": False},
        ],
        [Point(at(250, 150)), Point(at(30, 390)), Point(at(150, 150)), Point(at(370, 110))],
    )
    bus = table(
        [{"key": k, "kind": kind, "voltage": 110_000.0 if kind == "plant" else 20_000.0} for k, kind in
         (("plant", "plant"), ("s_west", "substation"), ("s_east", "substation"), ("t_west", "transformer"))],
        [Point(at(200, 10)), Point(at(60, 120)), Point(at(340, 120)), Point(at(60, 320))],
    )  # fmt: skip
    ways = (("plant", "s_west"), ("plant", "s_east"), ("s_west", "t_west"))
    where = dict(zip(bus["key"], bus.geometry, strict=True))
    line = table(
        [{"key": f"l{a}{b}", "from_bus": a, "to_bus": b, "voltage": 20_000.0} for a, b in ways],
        [LineString([where[a], where[b]]) for a, b in ways],
    )
    node = table(
        [{"key": k, "kind": kind, "elevation": 10.0} for k, kind in
         (("w_works", "works"), ("w_pump", "pump"), ("w_west", "junction"), ("w_east", "junction"))],
        [Point(at(370, 110)), Point(at(200, 200)), Point(at(100, 200)), Point(at(300, 200))],
    )  # fmt: skip
    mains = (("w_works", "w_east"), ("w_east", "w_pump"), ("w_pump", "w_west"))
    place = dict(zip(node["key"], node.geometry, strict=True))
    pipe = table(
        [{"key": f"p{a}{b}", "from_node": a, "to_node": b, "diameter": 0.2} for a, b in mains],
        [LineString([place[a], place[b]]) for a, b in mains],
    )
    return {"facility": facility, "power_bus": bus, "power_line": line, "water_node": node, "pipe": pipe}


def _relations() -> pd.DataFrame:
    rows = []
    for number in range(16):
        west = number % 4 < 2
        bus = ("t_west" if number >= 8 else "s_west") if west else "s_east"
        rows.append(("feeds", "power_bus", bus, "building", f"b{number}"))
        rows.append(("feeds", "water_node", "w_west" if west else "w_east", "building", f"b{number}"))
    rows += [
        ("feeds", "power_bus", "s_east", "facility", "hospital"),
        ("feeds", "power_bus", "t_west", "facility", "clinic"),
        ("feeds", "power_bus", "s_east", "water_node", "w_pump"),
        ("feeds", "power_bus", "plant", "water_node", "w_works"),
        ("feeds", "water_node", "w_east", "facility", "hospital"),
    ]
    return pd.DataFrame(rows, columns=["kind", "from_table", "from_key", "to_table", "to_key"])


class Bench:
    """Simulators by name on one city, advanced by hand over water put there by hand."""

    def __init__(self, city: City, *names: str, **params: Parameters) -> None:
        self.city = city
        self.state = State(city)
        columns_with(self.state.columns)
        self.made = []
        own = OwnValues(city.folder)
        for name in names:
            kind = simulator(name)
            said = own.under(kind.spec, params.get(name))
            self.made.append(kind(Setup(city, said, 0.0, 3600.0, Streams(1)), self.state))
        self.time = 0.0

    def water(self, depth, speed=0.0) -> Bench:
        """Put water on the cells: a number, or a raster of shape (SIDE, SIDE)."""
        shape = self.city.ground.shape
        d, v = (np.broadcast_to(np.asarray(a, dtype=float), shape).ravel() for a in (depth, speed))
        self.state["water_depth"], self.state["water_speed"] = d, v
        self.state["water_depth_peak"] = np.maximum(self.state["water_depth_peak"], d)
        self.state["water_hazard_peak"] = np.maximum(self.state["water_hazard_peak"], d * v)
        return self

    def step(self, seconds: float = 300.0) -> Bench:
        for each in self.made:
            assert each.advance(self.state, self.time, self.time + seconds).ok
        self.time += seconds
        return self

    @property
    def impact(self) -> dict:
        out: dict = {}
        for each in self.made:
            out.update(each.summary(self.state).get("impact", {}))
        return out

    def diagnostics(self, name: str) -> dict:
        made = next(m for m in self.made if m.spec.name == name)
        return {k: v for k, v in made.summary(self.state).items() if k != "impact"}


def pond(depth: float, west: float, north: float, east: float, south: float) -> np.ndarray:
    """A raster with `depth` in the rectangle given in metres from the west and north edges, dry elsewhere."""
    out = np.zeros((SIDE, SIDE))
    out[int(north // CELL) : int(south // CELL), int(west // CELL) : int(east // CELL)] = depth
    return out
