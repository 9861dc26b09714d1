"""A city from files: reads every source, makes the tables, the ground and the relations, and says what was estimated."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import rasterio.errors
import shapely
from rasterio._err import CPLE_BaseError

from citytwin import __version__
from citytwin.city import City, Facts, Ground, Source
from citytwin.errors import InputError, MissingError
from citytwin.io.importers import population as people
from citytwin.io.importers.assets import join_assets, read_assets
from citytwin.io.importers.bands import make_bands
from citytwin.io.importers.buildings import make_buildings
from citytwin.io.importers.devices import make_devices, observes
from citytwin.io.importers.exposed import onto_buildings, read_placed
from citytwin.io.importers.facilities import make_facilities
from citytwin.io.importers.gtfs import read_gtfs
from citytwin.io.importers.land import make_land, make_sea, make_water, make_waterways
from citytwin.io.importers.networks import make_power, make_relations, make_water_nodes
from citytwin.io.importers.osm import Extract, Lines, read_osm
from citytwin.io.importers.roads import make_roads
from citytwin.io.importers.streams import carve_streams
from citytwin.io.importers.terrain import Frame, Terrain, make_frame, read_terrain
from citytwin.io.importers.zones import make_zones, zone_keys

Told = Callable[[float, str], None]
MARGIN = 500.0  # m around the city's extent that the terrain still covers
FEW = 50  # buildings below which roads say where the city is
ODBL = "ODbL 1.0, (c) OpenStreetMap contributors"


@dataclass(frozen=True)
class Assets:
    """A file of assets for one table, with the mapping of its columns."""

    table: str
    path: Path
    mapping: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What to build a city from. `bbox`: west, south, east, north in degrees. `crs`: EPSG code, else the local UTM zone."""

    osm: Path
    name: str
    dem: Sequence[Path] = ()
    population: Path | None = None
    population_column: str = ""
    population_density: bool = False
    gtfs: Path | None = None
    assets: Sequence[Assets] = ()
    cell_size: float = 10.0
    bbox: tuple[float, float, float, float] | None = None
    crs: int | None = None
    household: float = people.HOUSEHOLD
    ages: tuple[float, float] = (people.UNDER_15, people.OVER_64)
    licences: Mapping[str, str] = field(default_factory=dict)  # name of a file -> its licence
    exposure: Sequence[Path] = ()
    exposure_map: Mapping[str, str] = field(default_factory=dict)  # our column of the exposure -> theirs


def build_city(plan: Plan, told: Told = lambda share, words: None) -> City:
    """The city that `plan` describes, in memory. Raises MissingError, InputError, OutsideError."""
    _check(plan)
    told(0.02, f"reading {plan.osm.name}")
    extract = read_osm(plan.osm)
    crs, extent = _extent(plan, extract)
    told(0.2, "making buildings, roads and places")
    with _reading(plan.osm):
        tables, notes, layers = _tables(plan, extract, crs, extent)
    facts = Facts(plan.name, f"EPSG:{crs.to_epsg()}", made_by=f"citytwin {__version__}")
    facts.sources.append(_source(plan.osm, "OpenStreetMap", ODBL, extract.date))
    notes += _people(plan, tables, layers, extent, facts)
    notes += _exposed(plan, tables, crs, extent, facts)
    _stops(plan, tables, extent, facts)
    add_assets(plan.assets, tables, crs, facts)
    _zone_all(tables)
    told(0.4, "making the ground")
    ground = _ground(plan, tables, crs, extent, facts, notes, told)
    relations = pd.concat([make_relations(tables), observes(tables["device"], tables["waterway"])], ignore_index=True)
    if len(relations):
        notes.append("relations feeds and serves are estimated: each thing is supplied or served by what is nearest")
    facts.notes[:] = notes
    facts.sources[:] = [replace(s, licence=plan.licences.get(s.name, s.licence)) for s in facts.sources]
    facts.missing[:] = _missing(tables, ground)
    told(0.9, "writing")
    return City(facts, {name: t for name, t in tables.items() if len(t)}, ground, relations)


@contextlib.contextmanager
def _reading(*paths: Path) -> Iterator[None]:
    """What GDAL, PROJ and GEOS raise over a file, as one line that names the file."""
    try:
        yield
    except (rasterio.errors.RasterioError, CPLE_BaseError, pyproj.exceptions.ProjError, shapely.errors.GEOSException) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"cannot be used: {first}", ", ".join(map(str, paths))) from error


def _check(plan: Plan) -> None:
    files = [plan.osm, *plan.dem, *[p for p in (plan.population, plan.gtfs) if p], *[a.path for a in plan.assets]]
    files += plan.exposure
    for path in files:
        if not path.exists():
            raise MissingError("no such file", str(path))
    if plan.bbox:
        west, south, east, north = plan.bbox
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise InputError(
                f"{plan.bbox} is no box in degrees", "--bbox", "give west,south,east,north as in 1.47,42.48,1.57,42.54"
            )
    if not all(0 <= share <= 1 for share in plan.ages) or sum(plan.ages) > 1:
        raise InputError(
            f"{plan.ages} are not shares of one", "--ages", "give the shares under 15 and over 64, as in 0.15,0.21"
        )


def local_crs(lon: float, lat: float) -> pyproj.CRS:
    """The metric CRS for a place: its UTM zone, polar stereographic beyond 84 degrees north and 80 south."""
    if lat >= 84 or lat <= -80:
        return pyproj.CRS.from_epsg(32661 if lat > 0 else 32761)
    zone = min(int((lon + 180) // 6) + 1, 60)
    return pyproj.CRS.from_epsg((32600 if lat >= 0 else 32700) + zone)


def _extent(plan: Plan, extract: Extract) -> tuple[pyproj.CRS, shapely.Polygon]:
    """The city's CRS and extent: --bbox, else where things are, without outliers and not beyond the header's box."""
    box = plan.bbox or _data_box(extract)
    lon, lat = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    crs = local_crs(lon, lat)
    if plan.crs:
        try:
            crs = pyproj.CRS.from_epsg(plan.crs)
        except pyproj.exceptions.CRSError as error:
            raise InputError(f"EPSG:{plan.crs} is not known", "--crs") from error
        if not crs.is_projected or crs.axis_info[0].unit_name != "metre":
            raise InputError(
                f"EPSG:{plan.crs} is not a projection in metres",
                "--crs",
                f"leave it out to use EPSG:{local_crs(lon, lat).to_epsg()}",
            )
    bounds = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform_bounds(*box)
    if not np.isfinite(bounds).all():
        raise InputError(f"the city at {lon:.2f}, {lat:.2f} is outside EPSG:{crs.to_epsg()}", "--crs")
    return crs, shapely.box(*bounds)


def _data_box(extract: Extract) -> tuple[float, float, float, float]:
    """Where the city is, in degrees: the box that the file's header promises, as far as there are things in it.

    Without one, where all but the outlying half per cent of buildings (of road nodes, where there are few) lie.
    """
    building = shapely.get_coordinates(shapely.centroid(extract.layers["building"].geometry.to_numpy()))
    road = np.column_stack([extract.highway.lon, extract.highway.lat])
    points = np.concatenate([building, road])
    low, high = points.min(axis=0) - 0.002, points.max(axis=0) + 0.002
    if extract.box is not None:
        first, last = np.maximum(low, extract.box[:2]), np.minimum(high, extract.box[2:])
        if (first < last).all():
            return float(first[0]), float(first[1]), float(last[0]), float(last[1])
    core = building if len(building) >= FEW else points
    inner, outer = np.quantile(core, 0.005, axis=0), np.quantile(core, 0.995, axis=0)
    pad = np.maximum((outer - inner) * 0.1, 0.002)
    low, high = np.maximum(low, inner - pad), np.minimum(high, outer + pad)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _tables(
    plan: Plan, extract: Extract, crs: pyproj.CRS, extent: shapely.Polygon
) -> tuple[dict[str, gpd.GeoDataFrame], list[str], dict[str, gpd.GeoDataFrame]]:
    """All tables but stops, the notes, and the layers of the file in city coordinates, cut to the extent."""
    reach = extent if plan.bbox else extent.buffer(MARGIN, join_style="mitre")
    layers: dict[str, gpd.GeoDataFrame] = {}
    for name in list(extract.layers):  # one at a time: a large extract does not fit twice
        layer = extract.layers.pop(name).to_crs(crs)
        if name == "building":
            middle = shapely.centroid(layer.geometry.to_numpy())
            layers["every"] = gpd.GeoDataFrame({"key": layer["key"]}, geometry=middle, crs=crs)
        layers[name] = layer if name == "place" else _inside(layer, reach, name)
    notes = []
    lost = len(layers["every"]) - len(layers["building"])
    if lost:
        notes.append(f"{lost} buildings outside the city's extent were left out")
    if extract.broken:
        notes.append(
            f"{extract.broken} objects of {extract.path.name} were left out: incomplete at the extract's border, or broken"
        )
    raw = [layers.pop(name) for name in ("building", "building_part", "address")]
    building = make_buildings(raw[0], raw[1], layers["land"], raw[2])
    raw.clear()  # what is raw goes as soon as it is used: a large extract and its tables do not fit beside each other
    ways = [extract.highway]
    extract.highway = extract.highway.select(np.empty(0, dtype=np.int64))
    graph = make_roads(ways.pop(), layers["signal"], reach, crs)
    if graph.removed > 1000:
        notes.append(f"{graph.removed / 1000:.0f} km of ways beyond the city's extent were left out")
    facility, doubts = make_facilities(layers["facility"], building)
    bus, line = make_power(_cut_lines(extract.power_line, extent.buffer(5 * MARGIN), crs), layers["facility"], crs)
    sea = make_sea(layers["coastline"], extent.buffer(2 * MARGIN, join_style="mitre")) if len(layers["coastline"]) else None
    tables = {
        "building": building, "road": graph.road, "junction": graph.junction, "facility": facility,
        "land": make_land(layers["land"]), "water": make_water(layers["water"], sea),
        "waterway": make_waterways(layers["waterway"]), "device": make_devices(layers["facility"]),
        "power_bus": bus, "power_line": line, "water_node": make_water_nodes(layers["facility"]),
        "zone": make_zones(layers["boundary"], building, extent), "stop": _map_stops(layers["stop"]),
    }  # fmt: skip
    if not len(building) and not len(graph.road):
        raise InputError("neither buildings nor roads lie inside the city's extent", str(plan.osm), "look at --bbox")
    return tables, notes + doubts, layers


def _inside(layer: gpd.GeoDataFrame, reach: shapely.Polygon, name: str) -> gpd.GeoDataFrame:
    """Valid shapes of `layer` in reach: buildings and places by their middle, the rest where they touch it."""
    shapes = layer.geometry.to_numpy()
    bad = ~shapely.is_valid(shapes)
    if bad.any():
        shapes[bad] = shapely.make_valid(shapes[bad])
    flat = shapely.get_type_id(shapes)
    single = (flat == 6) & (shapely.get_num_geometries(shapes) == 1)
    shapes[single] = shapely.get_geometry(shapes[single], 0)
    by_middle = name in ("building", "building_part", "facility", "stop", "signal", "place")
    keep = shapely.intersects(reach, shapely.point_on_surface(shapes) if by_middle else shapes) & ~shapely.is_empty(shapes)
    if name in ("building", "building_part", "land", "water", "boundary"):
        keep &= np.isin(flat, (3, 6))
    if name in ("land", "water", "waterway"):
        crossing = keep & ~shapely.contains(reach, shapes)
        shapes[crossing] = shapely.intersection(shapes[crossing], reach)
        keep &= ~shapely.is_empty(shapes)
    return gpd.GeoDataFrame(layer.assign(geometry=shapes)[keep].reset_index(drop=True), crs=layer.crs)


def _cut_lines(lines: Lines, reach: shapely.Polygon, crs: pyproj.CRS) -> Lines:
    """The ways that touch `reach`."""
    to_city = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    inside = shapely.contains_xy(reach, *to_city.transform(lines.lon, lines.lat)) if len(lines.lon) else np.empty(0, bool)
    touched = np.add.reduceat(inside, lines.start[:-1]) > 0 if len(lines.table) else np.empty(0, bool)
    return lines.select(np.flatnonzero(touched))


def _map_stops(raw: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    columns = {"key": raw["key"], "name": raw["name"].fillna(raw["ref"]).fillna(""), "departures": np.nan}
    return gpd.GeoDataFrame(columns, geometry=shapely.centroid(raw.geometry.to_numpy()), crs=raw.crs)


def _people(
    plan: Plan, tables: dict[str, gpd.GeoDataFrame], layers: dict[str, gpd.GeoDataFrame], extent: shapely.Polygon, facts: Facts
) -> list[str]:
    """Residents of buildings and zones; returns notes."""
    building = tables["building"]
    if not len(building):
        return []
    if plan.population:
        with _reading(plan.population):
            found = people.people_from_file(plan.population, building, extent, plan.population_column, plan.population_density)
        facts.sources.append(_source(plan.population, "population"))
    else:
        found = people.people_by_rule(building, layers["boundary"], layers["place"], layers["every"], plan.household)
    building["people"] = found.people
    building["people_under_15"], building["people_over_64"] = found.people * plan.ages[0], found.people * plan.ages[1]
    guessed = "people," * found.estimated + "people_under_15,people_over_64"
    building["estimated"] = (building["estimated"] + "," + guessed).str.strip(",")
    ages = f"ages estimated: {plan.ages[0]:.1%} younger than 15, {plan.ages[1]:.1%} older than 64"
    return [*found.notes, ages]


def _exposed(
    plan: Plan, tables: dict[str, gpd.GeoDataFrame], crs: pyproj.CRS, extent: shapely.Polygon, facts: Facts
) -> list[str]:
    """Buildings as an exposure model describes them; returns notes."""
    if not plan.exposure:
        return []
    assets = read_placed(plan.exposure, dict(plan.exposure_map), crs, extent)
    tables["building"], notes = onto_buildings(tables["building"], assets, plan.population is not None)
    facts.sources += [_source(path, "exposure model") for path in plan.exposure]
    return notes


def _stops(plan: Plan, tables: dict[str, gpd.GeoDataFrame], extent: shapely.Polygon, facts: Facts) -> None:
    if plan.gtfs is None:
        return
    stops, day = read_gtfs(plan.gtfs)
    stops = stops.to_crs(tables["building"].crs)
    stops = stops[shapely.intersects(extent.buffer(MARGIN), stops.geometry.to_numpy())].reset_index(drop=True)
    if not len(stops):
        raise InputError("has no stops inside the city", str(plan.gtfs))
    tables["stop"] = stops
    facts.sources.append(_source(plan.gtfs, "GTFS", note=f"departures counted on {day}" if day else "every trip counted once"))


def add_assets(given: Sequence[Assets], tables: dict[str, gpd.GeoDataFrame], crs: pyproj.CRS, facts: Facts) -> None:
    """Put files of assets into the tables of a city and name them among its sources."""
    for assets in given:
        with _reading(assets.path):
            rows = read_assets(assets.table, assets.path, assets.mapping, crs)
        tables[assets.table] = join_assets(tables.get(assets.table), rows)
        facts.sources.append(_source(assets.path, f"assets of {assets.table}", note=f"{len(rows)} rows"))


def _zone_all(tables: dict[str, gpd.GeoDataFrame]) -> None:
    """Fill the zone of buildings, facilities and devices, and the people of zones."""
    zone = tables["zone"]
    for name in ("building", "facility", "device"):
        table = tables[name]
        keys = zone_keys(zone, shapely.point_on_surface(table.geometry.to_numpy()))
        told = table["zone"].fillna("").astype("str") if "zone" in table else pd.Series("", index=table.index, dtype="str")
        table["zone"] = told.where(told.isin(zone["key"]), keys)
    if "people" in tables["building"]:
        sums = tables["building"].groupby("zone")["people"].sum()
        zone["people"] = zone["key"].map(sums).fillna(0.0)
        zone["estimated"] = (zone["estimated"].fillna("") + ",people").str.strip(",")


def _ground(
    plan: Plan, tables: dict[str, gpd.GeoDataFrame], crs: pyproj.CRS, extent: shapely.Polygon, facts: Facts, notes: list[str],
    told: Told,
) -> Ground | None:  # fmt: skip
    if not plan.dem:
        return None
    frame = make_frame(extent.buffer(MARGIN, join_style="mitre").bounds, plan.cell_size, crs)
    with _reading(*plan.dem):
        terrain = read_terrain(plan.dem, frame)
    told(0.55, "carving streams")
    lowered = carve_streams(terrain.elevation, frame, tables["waterway"])
    notes += _ground_notes(terrain, lowered, frame)
    facts.sources += [_source(path, "terrain", note=f"about {terrain.resolution:.0f} m") for path in plan.dem]
    told(0.65, "making land use layers")
    bands = make_bands(frame, tables["land"], tables["building"], tables["road"], tables["water"], tables["waterway"])
    ground = Ground(frame.west, frame.north, frame.cell_size, {"elevation": terrain.elevation} | bands)
    _elevate(tables["water_node"], ground)
    return ground


def _ground_notes(terrain: Terrain, lowered: int, frame: Frame) -> list[str]:
    words = [f"{lowered} cells of terrain lowered so that nothing dams a watercourse"]
    if terrain.resolution > 1.5 * frame.cell_size:
        words.append(f"terrain of {terrain.resolution:.0f} m laid on cells of {frame.cell_size:g} m: finer forms are not known")
    if terrain.filled:
        words.append(f"{terrain.filled} voids of the terrain filled between their edges")
    if terrain.unknown:
        words.append(f"{terrain.unknown} cells ({terrain.unknown / (frame.height * frame.width):.1%}) have no elevation")
    return words


def _elevate(node: gpd.GeoDataFrame, ground: Ground) -> None:
    at = shapely.get_coordinates(node.geometry.to_numpy())
    rows = ground.rows(at[:, 0], at[:, 1])
    here = np.where(rows >= 0, ground.elevation.reshape(-1)[np.maximum(rows, 0)], np.nan)
    node["elevation"] = node["elevation"].fillna(pd.Series(here, index=node.index))


def _missing(tables: dict[str, Any], ground: Ground | None) -> list[str]:
    """What the city lacks, in words a person can act upon."""
    words = [] if ground is not None else ["ground: no terrain given (--dem), so nothing can flood"]
    need = {
        "building": "no buildings", "road": "no roads", "waterway": "no watercourses", "stop": "no stops (--gtfs)",
        "power_bus": "no power network", "water_node": "no water works or tanks",
        "pipe": "no water mains (--assets pipe=FILE)", "device": "no devices (--assets device=FILE)",
    }  # fmt: skip
    words += [f"{name}: {text}" for name, text in need.items() if name not in tables or not len(tables[name])]
    kinds = set(tables["facility"]["kind"])
    words += [
        f"facility: no {kind.replace('_', ' ')}"
        for kind in ("hospital", "fire_station", "police", "shelter")
        if kind not in kinds
    ]
    if len(tables["stop"]) and tables["stop"]["departures"].isna().all():
        words.append("stop: departures are not known (--gtfs)")
    return words


def _source(path: Path, kind: str, licence: str = "", date: str = "", note: str = "") -> Source:
    digest = ""
    if path.is_file():
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return replace(Source(path.name, kind), licence=licence or "not stated in the file", date=date, sha256=digest, note=note)
