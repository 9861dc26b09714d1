"""OpenStreetMap files read as a stream: .osm.pbf, .osm, .osm.gz and .osm.bz2, whatever the file is called.

Two passes with pyosmium: the first remembers the relations that make areas, the second keeps only objects that a city
uses and only the tags it uses, so memory follows what is kept (and 16 bytes a node for places), not the file.
Coordinates are longitude, latitude (WGS 84); keys are the letter of the object's type and its number: n12, w34, r56.
"""

from __future__ import annotations

import bz2
import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import osmium
import pandas as pd
import shapely

from citytwin.errors import InputError, MissingError

Told = Callable[[float, str], None]
CHUNK = 20_000  # features that wait as text before they become geometries
CONTACT = ("name", "operator", "phone", "contact:phone", "website", "contact:website", "wikidata", "wikipedia", "addr:street")
LAND_KEYS = ("landuse", "natural", "leisure", "amenity", "aeroway", "surface", "highway", "area:highway", "railway", "parking")
FACILITY_KEYS = (
    "amenity", "healthcare", "emergency", "power", "man_made", "railway", "public_transport", "social_facility",
    "building", "tower:type", "shelter_type", "usage", "landuse", *CONTACT, "beds", "capacity", "capacity:beds",
    "capacity:persons", "healthcare:speciality", "operator:type", "voltage", "substation", "generator:source",
    "plant:source", "parking", "monitoring:water_level", "monitoring:air_quality", "monitoring:weather", "highway",
)  # fmt: skip

# What is kept of the objects of each layer: their tags, in this order.
LAYERS: dict[str, tuple[str, ...]] = {
    "building": (
        "building", "building:levels", "height", "building:height", "roof:levels", "building:flats", "name", "amenity",
        "shop", "office", "tourism", "leisure", "craft", "healthcare", "landuse", "man_made", "building:use",
        "building:material", "start_date", "addr:housenumber",
    ),
    "building_part": ("building:part", "building:levels", "height", "building:height", "roof:levels"),
    "land": LAND_KEYS,
    "water": ("natural", "water", "waterway", "landuse", "name", "intermittent"),
    "facility": FACILITY_KEYS,
    "boundary": ("boundary", "admin_level", "name", "population", "population:date", "place"),
    "place": ("place", "name", "population", "capital"),
    "waterway": ("waterway", "name", "width", "tunnel", "layer", "intermittent", "bridge"),
    "coastline": ("natural",),
    "address": ("addr:housenumber",),
    "signal": ("highway",),
    "stop": ("highway", "railway", "public_transport", "name", "ref"),
    "highway": (
        "highway", "name", "ref", "lanes", "lanes:forward", "lanes:backward", "maxspeed", "oneway", "junction", "bridge",
        "tunnel", "layer", "access", "motor_vehicle", "vehicle", "motorcar", "surface", "service",
        "maxspeed:type", "zone:maxspeed", "covered",
    ),
    "power_line": ("power", "voltage", "name", "cables"),
}  # fmt: skip

AREA_KEYS = (
    "building", "building:part", "landuse", "natural", "leisure", "amenity", "aeroway", "waterway", "water", "healthcare",
    "emergency", "power", "man_made", "boundary", "social_facility", "railway", "place",
)  # fmt: skip
KEPT_KEYS = (*AREA_KEYS, "highway", "public_transport", "area:highway", "addr:housenumber")
WATERWAYS = ("river", "stream", "canal", "ditch", "drain", "tidal_channel")
POWER_LINES = ("line", "minor_line", "cable")


@dataclass
class Lines:
    """Ways with the nodes they run through: row i of `table` runs over nodes [start[i], start[i+1])."""

    table: pd.DataFrame
    start: npt.NDArray[np.int64]
    node: npt.NDArray[np.int64]
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]

    def select(self, rows: npt.NDArray[np.int64]) -> Lines:
        """Only the ways of `rows`."""
        size = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        at = np.arange(start[-1]) - np.repeat(start[:-1], size) + np.repeat(self.start[rows], size)
        return Lines(self.table.iloc[rows].reset_index(drop=True), start, self.node[at], self.lon[at], self.lat[at])


@dataclass
class Extract:
    """What an OpenStreetMap file holds of a city. `box`: west, south, east, north that its header promises, or None."""

    layers: dict[str, gpd.GeoDataFrame]
    highway: Lines
    power_line: Lines
    box: tuple[float, float, float, float] | None
    date: str
    broken: int = 0
    path: Path = field(default_factory=Path)


class _Sheet:
    """Rows of one layer: text until `CHUNK` rows wait, then geometries and categories."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = tags
        self._keys: list[str] = []
        self._shapes: list[str] = []
        self._values: list[tuple[str | None, ...]] = []
        self._done: list[gpd.GeoDataFrame] = []

    def add(self, key: str, shape: str, tags: Any) -> None:
        self._keys.append(key)
        self._shapes.append(shape)
        get = tags.get
        self._values.append(tuple(get(tag) for tag in self.tags))
        if len(self._keys) >= CHUNK:
            self._settle()

    def _settle(self) -> None:
        frame = pd.DataFrame(self._values, columns=list(self.tags), dtype="str")
        frame.insert(0, "key", pd.Series(self._keys, dtype="str"))
        self._done.append(gpd.GeoDataFrame(frame, geometry=shapely.from_wkb(self._shapes), crs=4326))
        self._keys, self._shapes, self._values = [], [], []

    def frame(self) -> gpd.GeoDataFrame:
        if self._keys or not self._done:
            self._settle()
        whole = self._done[0] if len(self._done) == 1 else gpd.GeoDataFrame(pd.concat(self._done, ignore_index=True), crs=4326)
        self._done = []
        return whole.drop_duplicates("key", ignore_index=True)


class _Threads:
    """Rows of one layer of ways whose nodes are kept."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        self.tags = tags
        self._keys: list[str] = []
        self._values: list[tuple[str | None, ...]] = []
        self._nodes: list[npt.NDArray[np.float64]] = []
        self._refs: list[npt.NDArray[np.int64]] = []

    def add(self, way: Any) -> bool:
        run = [(n.ref, n.location.lon, n.location.lat) for n in way.nodes if n.location.valid()]
        if len(run) < 2:
            return False
        get = way.tags.get
        self._keys.append(f"w{way.id}")
        self._values.append(tuple(get(tag) for tag in self.tags))
        self._refs.append(np.fromiter((r[0] for r in run), np.int64, len(run)))
        self._nodes.append(np.array([r[1:] for r in run]))
        return True

    def lines(self) -> Lines:
        table = pd.DataFrame(self._values, columns=list(self.tags), dtype="str")
        table.insert(0, "key", pd.Series(self._keys, dtype="str"))
        start = np.concatenate([[0], np.cumsum([len(r) for r in self._refs])]).astype(np.int64)
        nodes = np.concatenate(self._nodes) if self._nodes else np.empty((0, 2))
        refs = np.concatenate(self._refs) if self._refs else np.empty(0, np.int64)
        return Lines(table, start, refs, nodes[:, 0], nodes[:, 1])


class _Reader:
    """Sorts the objects of a file into layers."""

    def __init__(self) -> None:
        self.sheets = {name: _Sheet(tags) for name, tags in LAYERS.items() if name not in ("highway", "power_line")}
        self.highway = _Threads(LAYERS["highway"])
        self.power_line = _Threads(LAYERS["power_line"])
        self.broken = 0
        self._wkb = osmium.geom.WKBFactory()

    def node(self, node: Any) -> None:
        layers = list(_node_layers(node.tags))
        if layers and node.location.valid():
            shape = self._wkb.create_point(node)
            for layer in layers:
                self.sheets[layer].add(f"n{node.id}", shape, node.tags)

    def way(self, way: Any) -> None:
        tags = way.tags
        if "highway" in tags and not (tags.get("area") == "yes" and way.is_closed()):
            self.broken += not self.highway.add(way)
        elif tags.get("power") in POWER_LINES:
            self.broken += not self.power_line.add(way)
        layer = "waterway" if tags.get("waterway") in WATERWAYS else "coastline" if tags.get("natural") == "coastline" else ""
        if layer:
            self._keep([layer], f"w{way.id}", lambda: self._wkb.create_linestring(way), tags)

    def area(self, area: Any) -> None:
        layers = list(_area_layers(area.tags))
        if layers:
            letter = "w" if area.from_way() else "r"
            self._keep(layers, f"{letter}{area.orig_id()}", lambda: self._wkb.create_multipolygon(area), area.tags)

    def _keep(self, layers: list[str], key: str, shape: Callable[[], str], tags: Any) -> None:
        try:
            text = shape()
        except (RuntimeError, osmium.InvalidLocationError):  # nodes beyond the extract's border, rings that do not close
            self.broken += 1
            return
        for layer in layers:
            self.sheets[layer].add(key, text, tags)


SITE_KEYS = ("amenity", "healthcare", "emergency", "man_made", "social_facility")
POWER_SITES = ("substation", "plant", "transformer", "generator")


def _node_layers(tags: Any) -> Iterator[str]:
    if (
        any(key in tags for key in SITE_KEYS)
        or tags.get("power") in POWER_SITES
        or tags.get("railway") in ("station", "halt")
        or tags.get("highway") == "street_lamp"
    ):
        yield "facility"
    if "addr:housenumber" in tags:
        yield "address"
    if tags.get("highway") == "traffic_signals":
        yield "signal"
    if tags.get("highway") == "bus_stop" or tags.get("railway") in ("tram_stop", "station", "halt"):
        yield "stop"
    if "place" in tags:
        yield "place"


def _area_layers(tags: Any) -> Iterator[str]:
    if tags.get("building", "no") != "no":
        yield "building"
    if tags.get("building:part", "no") != "no":
        yield "building_part"
    if _is_water(tags):
        yield "water"
    elif _is_land(tags):
        yield "land"
    if any(key in tags for key in SITE_KEYS) or tags.get("building") == "hospital" or tags.get("power") in POWER_SITES:
        yield "facility"
    if tags.get("boundary") == "administrative" or tags.get("place") in ("suburb", "quarter", "neighbourhood", "borough"):
        yield "boundary"


def _is_water(tags: Any) -> bool:
    surface = tags.get("natural") == "water" or tags.get("landuse") in ("reservoir", "basin")
    return surface or tags.get("waterway") in ("riverbank", "dock")


def _is_land(tags: Any) -> bool:
    if any(key in tags for key in ("landuse", "natural", "leisure", "aeroway", "area:highway")):
        return True
    return tags.get("amenity") == "parking" or (tags.get("area") == "yes" and "highway" in tags)


def read_osm(path: Path, told: Told = lambda share, words: None) -> Extract:
    """Read the OpenStreetMap file at `path`. Raises MissingError, InputError (empty, damaged, or another kind of file)."""
    path = Path(path)
    form = sniff(path)
    reader = _Reader()
    try:
        source = osmium.io.File(str(path), form)
        box, date = _header(source)
        processor: Any = osmium.FileProcessor(source).with_areas(osmium.filter.KeyFilter(*AREA_KEYS))
        for thing in processor.with_filter(osmium.filter.KeyFilter(*KEPT_KEYS)):
            if thing.is_node():
                reader.node(thing)
            elif thing.is_way():
                reader.way(thing)
            elif thing.is_area():
                reader.area(thing)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"is damaged or cut off: {error}", str(path), "fetch the file again") from error
    del processor  # and with it the places of all nodes
    told(0.9, "making geometries")
    layers = {name: reader.sheets.pop(name).frame() for name in list(reader.sheets)}
    extract = Extract(layers, reader.highway.lines(), reader.power_line.lines(), box, date or _text_date(path, form))
    extract.broken, extract.path = reader.broken, path
    if not len(layers["building"]) and not len(extract.highway.table):
        raise InputError("holds neither buildings nor roads", str(path), "give an extract that covers the city")
    return extract


def sniff(path: Path) -> str:
    """The format of an OpenStreetMap file told from its first bytes: "pbf", "osm", "osm.gz" or "osm.bz2"."""
    if not path.is_file():
        raise MissingError("no such file" if not path.exists() else "is not a file", str(path))
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise InputError("is empty", str(path), "fetch the file again")
    if b"OSMHeader" in head:
        return "pbf"
    for magic, form in ((b"\x1f\x8b", "osm.gz"), (b"BZh", "osm.bz2"), (b"<", "osm"), (b"\xef\xbb\xbf<", "osm")):
        if head.startswith(magic):
            if b"<osm" in _opening(path, form):
                return form
            break
    raise InputError("is not an OpenStreetMap file", str(path), "allowed: .osm.pbf, .osm, .osm.gz, .osm.bz2")


def _opening(path: Path, form: str) -> bytes:
    opener: Any = {"osm.gz": gzip.open, "osm.bz2": bz2.open}.get(form, open)
    try:
        with opener(path, "rb") as file:
            return bytes(file.read(4000))
    except (OSError, EOFError) as error:
        raise InputError(f"is damaged or cut off: {error}", str(path), "fetch the file again") from error


def _header(source: Any) -> tuple[tuple[float, float, float, float] | None, str]:
    header = osmium.io.Reader(source, osmium.osm.osm_entity_bits.NOTHING).header()
    box, bounds = header.box(), None
    if box.valid():
        low, high = box.bottom_left, box.top_right
        bounds = (low.lon, low.lat, high.lon, high.lat)
    return bounds, header.get("osmosis_replication_timestamp") or header.get("timestamp") or ""


def _text_date(path: Path, form: str) -> str:
    """The date that the Overpass service writes into the text formats."""
    if form == "pbf":
        return ""
    found = re.search(rb'(?:osm_base|timestamp)="([0-9TZ:.-]+)"', _opening(path, form))
    return found.group(1).decode() if found else ""
