"""From what was drawn to the city's tables: keys, names, attributes, geometry moved to the city's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city.synthetic.arterials import Frame
from citytwin.city.synthetic.buildings import Blocks, Buildings
from citytwin.city.synthetic.countryside import COVERS, Countryside
from citytwin.city.synthetic.days import Days, occupations
from citytwin.city.synthetic.devices import Devices
from citytwin.city.synthetic.districts import KINDS, words
from citytwin.city.synthetic.facilities import SERVICES, Facilities
from citytwin.city.synthetic.networks import Network
from citytwin.city.synthetic.people import People
from citytwin.city.synthetic.plan import CRS, Floats, Plan, Whole
from citytwin.city.synthetic.streets import CLASSES, Streets
from citytwin.city.synthetic.terrain import Terrain

Text = npt.NDArray[np.object_]


def keys(prefix: str, count: int) -> Text:
    """Keys `prefix0`, `prefix1`, ... as text."""
    return np.array([f"{prefix}{k}" for k in range(count)], dtype=object)


def table(plan: Plan, geometry: Any, columns: Mapping[str, Any]) -> gpd.GeoDataFrame:
    """A table with its geometry moved from local metres to the city's place."""
    shapes = np.array(geometry, dtype=object) if len(geometry) else np.empty(0, dtype=object)
    moved = shapely.transform(shapes, lambda p: np.round(p + np.array(plan.origin), 2))
    return gpd.GeoDataFrame(plain(columns), geometry=moved, crs=CRS)


def plain(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A table without geometry; text becomes pandas text."""
    made = {}
    for name, values in columns.items():
        array = np.asarray(values)
        made[name] = pd.Series(array.astype(object), dtype="str") if array.dtype.kind in "OU" else pd.Series(array)
    return pd.DataFrame(made)


def zone_table(plan: Plan, frame: Frame, people: Whole) -> gpd.GeoDataFrame:
    """Neighbourhoods, with their residents."""
    return table(plan, frame.faces, {
        "key": keys("z", len(frame.faces)), "name": np.array(frame.names, dtype=object), "people": people.astype(float),
        "kind": np.array(frame.kinds, dtype=object), "estimated": np.full(len(frame.faces), "", dtype=object),
    })  # fmt: skip


def building_table(plan: Plan, buildings: Buildings, homes: Whole, people: People) -> gpd.GeoDataFrame:
    """Buildings with their homes and residents by age."""
    count = len(buildings)

    def residents(who: npt.NDArray[np.bool_]) -> Floats:
        return np.bincount(people.home[who], minlength=count).astype(float)

    return table(plan, buildings.shape, {
        "key": keys("b", count), "use": buildings.use, "levels": buildings.levels, "height": buildings.height,
        "floor_area": np.round(buildings.floor_area, 1), "dwellings": homes.astype(float),
        "people": residents(np.ones(len(people.age), dtype=bool)), "people_under_15": residents(people.age < 15),
        "people_over_64": residents(people.age > 64), "zone": keys("z", int(buildings.face.max()) + 1)[buildings.face],
        "name": np.full(count, "", dtype=object), "estimated": np.full(count, "", dtype=object),
    })  # fmt: skip


def facility_table(plan: Plan, facilities: Facilities, buildings: Buildings) -> gpd.GeoDataFrame:
    """Facilities, with the building each is in."""
    inside = facilities.building
    building = np.where(inside >= 0, keys("b", len(buildings))[inside], "")
    zone = np.where(inside >= 0, keys("z", int(buildings.face.max()) + 1)[buildings.face[inside]], "")
    return table(plan, shapely.points(facilities.place), {
        "key": keys("f", len(inside)), "kind": np.array([SERVICES[s].kind for s in facilities.service], dtype=object),
        "name": np.array(facilities.names, dtype=object), "building": building, "capacity": facilities.capacity,
        "emergency": np.array([SERVICES[s].emergency for s in facilities.service]), "zone": zone,
        "estimated": np.full(len(inside), "", dtype=object),
    })  # fmt: skip


def street_tables(plan: Plan, streets: Streets) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Roads and junctions."""
    node = keys("j", len(streets.nodes))
    count = len(streets.lines)
    roads = table(plan, streets.lines, {
        "key": keys("r", count), "class": streets.kind, "drivable": streets.drivable,
        "from_junction": node[streets.start], "to_junction": node[streets.end], "length": np.round(streets.length, 2),
        "lanes": np.array([float(CLASSES[k][0]) for k in streets.kind]),
        "speed": np.array([round(CLASSES[k][1] / 3.6, 3) for k in streets.kind]),
        "oneway": np.zeros(count, dtype=bool), "bridge": streets.bridge, "tunnel": np.zeros(count, dtype=bool),
        "name": street_names(plan, streets), "estimated": np.full(count, "", dtype=object),
    })  # fmt: skip
    return roads, table(plan, shapely.points(streets.nodes), {"key": node, "signals": streets.signals})


ENDINGS: dict[str, tuple[str, ...]] = {
    "motorway": ("Ringway",), "primary": ("Road", "Avenue"), "secondary": ("Avenue", "Way"), "tertiary": ("Street", "Road"),
    "footway": ("Walk", "Path"), "residential": ("Street", "Lane", "Close", "Row"), "unclassified": ("Road",),
}  # fmt: skip


def street_names(plan: Plan, streets: Streets) -> Text:
    """Invented street names; edges of a neighbourhood that run on in one direction share one."""
    rng = plan.stream("street names")
    stems = np.array(words(), dtype=object)
    first = shapely.get_coordinates(shapely.get_point(streets.lines, 0))
    last = shapely.get_coordinates(shapely.get_point(streets.lines, -1))
    way = np.mod(np.arctan2(*(last - first).T[::-1]), np.pi)
    middle = (first + last) / 2
    across = -middle[:, 0] * np.sin(np.round(way, 1)) + middle[:, 1] * np.cos(np.round(way, 1))
    group = np.stack([streets.face, np.round(way / 0.3), np.round(across / 60.0)], axis=1)
    _, number = np.unique(group, axis=0, return_inverse=True)
    number = number.ravel()
    stem = rng.integers(0, len(stems), int(number.max()) + 1)[number]
    end = rng.integers(0, 12, int(number.max()) + 1)[number]
    return np.array([
        f"{stems[s]} {ENDINGS[str(k)][e % len(ENDINGS[str(k)])]}"
        for s, e, k in zip(stem, end, streets.kind, strict=True)
    ], dtype=object)  # fmt: skip


def water_tables(plan: Plan, terrain: Terrain, frame: Frame) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Watercourse and water surfaces, cut at the edge of the ground."""
    box = shapely.box(*plan.bounds)
    course = shapely.intersection(shapely.linestrings(terrain.river[terrain.upstream >= 0]), box)
    parts = [p for p in shapely.get_parts(course) if p.geom_type == "LineString"]
    waterways = table(plan, parts, {
        "key": keys("w", len(parts)), "kind": np.full(len(parts), "river", dtype=object),
        "width": np.full(len(parts), float(np.median(terrain.width))),
        "name": np.full(len(parts), f"River {_river(plan)}", dtype=object),
        "estimated": np.full(len(parts), "", dtype=object),
    })  # fmt: skip
    sea = shapely.intersection(terrain.sea, box)
    harbour = shapely.difference(terrain.basins, terrain.sea)
    river = shapely.intersection(shapely.difference(terrain.channel, shapely.union_all([terrain.sea, terrain.basins])), box)
    shapes, kinds = [], []
    for kind, shape in (("sea", sea), ("harbour", harbour), ("river", river)):
        found = [p for p in shapely.get_parts(shape) if p.geom_type == "Polygon" and p.area > 1.0]
        shapes += found
        kinds += [kind] * len(found)
    names = {"sea": "The Sound", "harbour": "Harbour", "river": f"River {_river(plan)}"}
    return waterways, table(plan, shapes, {
        "key": keys("s", len(shapes)), "kind": np.array(kinds, dtype=object),
        "name": np.array([names[k] for k in kinds], dtype=object),
    })  # fmt: skip


def _river(plan: Plan) -> str:
    return str(plan.stream("river").choice(["Anwy", "Tessel", "Orrin", "Lavant", "Merrow", "Isbourne", "Calder Wen", "Sele"]))


LAND_USE = {"centre": "commercial", "industry": "industrial", "port": "industrial", "park": "park"}


def land_table(plan: Plan, blocks: Blocks, country: Countryside) -> gpd.GeoDataFrame:
    """Blocks by what their land is used for, and the land beyond the city."""
    kinds = [str(k) for k in blocks.kind[blocks.first]]
    shapes = np.concatenate([blocks.shape[blocks.first], country.shape])
    ground = [(KINDS[k].manning, KINDS[k].impervious) for k in kinds] + [COVERS[str(c)] for c in country.cover]
    return table(plan, shapes, {
        "key": keys("l", len(shapes)),
        "kind": np.array([LAND_USE.get(k, "residential") for k in kinds] + country.cover.tolist(), dtype=object),
        "manning": np.array([manning for manning, _ in ground]), "impervious": np.array([sealed for _, sealed in ground]),
    })  # fmt: skip


def people_tables(people: People, days: Days) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Households and persons."""
    household = np.char.add("h", np.arange(len(people.size)).astype("U9"))
    households = plain({
        "key": household, "building": np.char.add("b", people.building.astype("U9")), "people": people.size,
    })  # fmt: skip
    facility = np.char.add("f", days.facility.astype("U9"))
    building = np.char.add("b", days.building.astype("U9"))
    place = np.where(days.facility >= 0, facility, np.where(days.building >= 0, building, ""))
    persons = plain({
        "key": np.char.add("p", np.arange(len(people.age)).astype("U9")),
        "household": np.char.add("h", people.household.astype("U9")), "age": people.age,
        "sex": np.where(people.female, "f", "m"), "occupation": occupations(days), "place": place,
    })  # fmt: skip
    return households, persons


def network_tables(plan: Plan, net: Network, prefix: str, node: str, what: str) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Nodes and lines of the power network (`what` is "voltage") or of the water network ("diameter")."""
    names = keys(prefix, len(net.place))
    lines = table(plan, net.lines, {
        "key": keys(f"{prefix}l", len(net.lines)), f"from_{node}": names[net.start], f"to_{node}": names[net.end],
        what: net.size,
    })  # fmt: skip
    return table(plan, shapely.points(net.place), {
        "key": names, "kind": net.kind, "name": np.full(len(names), "", dtype=object),
    }), lines  # fmt: skip


def device_table(plan: Plan, devices: Devices, zone: Text) -> gpd.GeoDataFrame:
    """Devices, each with a key that says its kind."""
    order: dict[str, int] = {}
    key, name = [], []
    for kind in devices.kind:
        order[kind] = order.get(kind, 0) + 1
        key.append(f"{kind}-{order[kind]}")
        name.append(f"{str(kind).replace('_', ' ').capitalize()} {order[kind]}")
    return table(plan, shapely.points(devices.place) if len(key) else [], {
        "key": np.array(key, dtype=object), "kind": devices.kind, "name": np.array(name, dtype=object), "zone": zone,
    })  # fmt: skip
