"""The city as the server reads it: tables by place, names to search, relations of one thing, all indexed once.

Nothing here speaks HTTP. Methods may be called from several threads.
"""

from __future__ import annotations

import threading
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.city.graph import KIND_FIELDS, Graph
from citytwin.errors import InputError, MissingError

Rows = npt.NDArray[np.int64]
Box = tuple[float, float, float, float]

SEARCHED = ("facility", "stop", "zone", "device", "waterway", "water", "building", "road", "bridge", "power_bus", "water_node")
RELATIONS_SHOWN = 200


@dataclass(frozen=True)
class Relation:
    """One relation of a thing, seen from that thing."""

    kind: str
    direction: str
    table: str
    key: str
    name: str


class Places:
    """Look-ups over one city."""

    def __init__(self, city: City) -> None:
        self.city = city
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made only once."""
        if name not in self._made:
            with self._lock:
                if name not in self._made:
                    self._made[name] = make()
        return self._made[name]

    def table(self, name: str) -> pd.DataFrame:
        """A table of the city. Raises MissingError."""
        if name not in self.city.tables:
            return self.city.table(name)
        found: pd.DataFrame = self.once(f"table {name}", lambda: self.city.table(name))
        return found

    def row(self, table: str, key: str) -> int:
        """The row of one thing. Raises MissingError."""
        self.table(table)
        with self._lock:
            return self.city.row(table, key)

    def select(self, table: str, box: Box | None, kind: str | None) -> Rows:
        """Rows of `table` that touch `box` (lon/lat degrees) and are of `kind`, in the table's order. Raises InputError."""
        frame = self.table(table)
        rows = np.arange(len(frame), dtype=np.int64)
        if box is not None:
            if not isinstance(frame, gpd.GeoDataFrame):
                raise InputError(f"table {table} has no places", "bbox", "ask without bbox")
            rows = np.flatnonzero(Graph.of(self.city).in_box(table, *box))
        if kind is not None:
            field = next((f for f in KIND_FIELDS if f in frame), None)
            if field is None:
                raise InputError(f"things in table {table} have no kinds", "kind")
            rows = rows[(frame[field].to_numpy()[rows] == kind).astype(bool)]
        return rows

    def geojson(self, table: str, rows: Rows) -> list[Any]:
        """The geometry of each row as GeoJSON text in longitude and latitude; None where it has none."""
        frame = self.table(table)
        if not isinstance(frame, gpd.GeoDataFrame):
            return [None] * len(rows)
        return list(shapely.to_geojson(self.to_lonlat(frame.geometry.to_numpy()[rows])))

    def geojson_of(self, frame: pd.DataFrame) -> list[Any]:
        """The geometry of a table of the city's CRS as GeoJSON text in longitude and latitude."""
        return list(shapely.to_geojson(self.to_lonlat(frame["geometry"].to_numpy())))

    def to_lonlat(self, geometry: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
        """Shapes of the city's CRS in degrees, to a centimetre."""

        def turned(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            degrees = np.column_stack(self.city.to_lonlat(points[:, 0], points[:, 1])).astype(np.float64)
            return degrees.round(7)

        shapes: npt.NDArray[np.object_] = shapely.transform(geometry, turned)
        return shapes

    def corners(self, width: int, height: int, factor: int = 1) -> list[list[float]]:
        """Longitude and latitude of the NW, NE, SE and SW corner of a raster of `factor` ground cells a pixel."""
        ground = self.city.ground
        east = ground.west + width * factor * ground.cell_size
        south = ground.north - height * factor * ground.cell_size
        lon, lat = self.city.to_lonlat([ground.west, east, east, ground.west], [ground.north, ground.north, south, south])
        return [[float(a), float(b)] for a, b in zip(lon, lat, strict=True)]

    def attributes(self, table: str, rows: Rows) -> list[dict[str, Any]]:
        """The static attributes of each row, without geometry; what is not known is None."""
        frame = self.table(table)
        names = [c for c in frame.columns if c != getattr(frame, "_geometry_column_name", None)]
        chosen = frame[names].iloc[rows]
        columns = [_known(chosen[name]) for name in names]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def point(self, table: str, row: int) -> tuple[float | None, float | None]:
        """Longitude and latitude of a point on one thing."""
        frame = self.table(table)
        if not isinstance(frame, gpd.GeoDataFrame) or frame.geometry.iloc[row] is None:
            return None, None
        point = frame.geometry.iloc[row].representative_point()
        if point.is_empty:
            return None, None
        lon, lat = self.city.to_lonlat([point.x], [point.y])
        return round(float(lon[0]), 7), round(float(lat[0]), 7)

    def name(self, table: str, row: int) -> str:
        """What people call one thing; empty where it has no name."""
        frame = self.table(table)
        value = frame["name"].iloc[row] if "name" in frame else ""
        return value if isinstance(value, str) else ""

    def kind(self, table: str, row: int) -> str:
        """What sort of thing one is: its kind, use or class."""
        frame = self.table(table)
        field = next((f for f in KIND_FIELDS if f in frame), None)
        value = frame[field].iloc[row] if field else ""
        return value if isinstance(value, str) else ""

    def related(self, table: str, key: str) -> tuple[list[Relation], int]:
        """The relations of one thing (at most RELATIONS_SHOWN of each sort), and how many there are in all."""
        index: _RelationIndex = self.once("relations", lambda: _RelationIndex(self.city.relations))
        shown: list[Relation] = []
        seen: Counter[tuple[str, str, str]] = Counter()
        for kind, direction, other, other_key in index.of(table, key):
            sort = (kind, direction, other)
            seen[sort] += 1
            if seen[sort] <= RELATIONS_SHOWN:
                shown.append(Relation(kind, direction, other, other_key, self._name_of(other, other_key)))
        return shown, seen.total()

    def _name_of(self, table: str, key: str) -> str:
        try:
            return self.name(table, self.row(table, key))
        except MissingError:
            return ""

    def search(self, words: str, limit: int) -> list[dict[str, Any]]:
        """Things whose key is `words`, then those whose name begins with them, then those whose name contains them."""
        wanted = folded(words)
        found: dict[tuple[str, Any], None] = {}
        for table in self._searched():
            with self._lock:
                row = int(self.city.rows(table, [words])[0])
            if row >= 0:
                found[table, row] = None
        named: set[tuple[str, str, str]] = set()
        for table, row in self._names().find(wanted) if wanted else ():
            like = (table, self.name(table, row), self.kind(table, row))
            if like not in named:
                named.add(like)
                found[table, row] = None
            if len(found) >= limit:
                break
        return [self._hit(table, row) for table, row in list(found)[:limit]]

    def _hit(self, table: str, row: int) -> dict[str, Any]:
        lon, lat = self.point(table, row)
        key = str(self.table(table)["key"].iloc[row])
        said = {"table": table, "key": key, "name": self.name(table, row), "kind": self.kind(table, row)}
        return {**said, "lon": lon, "lat": lat}

    def _searched(self) -> list[str]:
        tables = [t for t in SEARCHED if t in self.city.tables]
        for table in tables:
            self.table(table)
        return tables

    def _names(self) -> _Names:
        names: _Names = self.once("names", lambda: _Names({t: self.table(t) for t in self._searched()}))
        return names


def _known(series: pd.Series[Any]) -> list[Any]:
    values = series.astype(object).to_numpy()
    unknown = series.isna().to_numpy()
    return [None if lost else value for value, lost in zip(values, unknown, strict=True)]


def folded(words: str) -> str:
    """Words without accents, in lower case, as the search compares them."""
    if words.isascii():
        return " ".join(words.lower().split())
    apart = unicodedata.normalize("NFKD", words.casefold())
    return " ".join("".join(c for c in apart if not unicodedata.combining(c)).split())


class _Names:
    """All names in one long text, which `str.find` goes through at memory speed."""

    def __init__(self, tables: dict[str, pd.DataFrame]) -> None:
        self.table: list[str] = []
        self.row: list[int] = []
        parts: list[str] = []
        for table, frame in tables.items():
            if "name" not in frame:
                continue
            names = frame["name"].fillna("").astype(str)
            rows = np.flatnonzero((names != "").to_numpy()).tolist()
            self.table += [table] * len(rows)
            self.row += rows
            parts += [folded(name) for name in names.to_numpy(dtype=object)[rows]]
        self.text = "\n" + "\n".join(parts) + "\n"
        lengths = np.fromiter((len(p) + 1 for p in parts), dtype=np.int64, count=len(parts))
        self.starts = [0, *np.cumsum(lengths).tolist()]

    def find(self, wanted: str) -> Iterator[tuple[str, int]]:
        """Table and row of each name that begins with `wanted`, then of each that contains it."""
        for text in (f"\n{wanted}", wanted):
            at = self.text.find(text)
            while at >= 0:
                number = bisect_right(self.starts, at) - 1
                if number >= len(self.row):
                    break
                yield self.table[number], self.row[number]
                at = self.text.find(text, self.starts[number + 1])


class _RelationIndex:
    """Relations sorted by a hash of each end, so that those of one thing are found without a look at the others."""

    def __init__(self, relations: pd.DataFrame) -> None:
        self.fields = {name: relations[name].to_numpy(dtype=object) for name in relations.columns}
        self.ends = {
            direction: self._sorted(relations, side) for direction, side in (("out", "from"), ("in", "to"))
        }  # fmt: skip

    def _sorted(self, relations: pd.DataFrame, side: str) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        joined = (relations[f"{side}_table"].astype(str) + "\n" + relations[f"{side}_key"].astype(str)).to_numpy(dtype=object)
        hashes = pd.util.hash_array(joined, categorize=False)
        order = np.argsort(hashes, kind="stable")
        return hashes[order], order

    def of(self, table: str, key: str) -> Iterator[tuple[str, str, str, str]]:
        """Kind, direction, table and key of the other end of each relation of one thing."""
        wanted = pd.util.hash_array(np.array([f"{table}\n{key}"], dtype=object), categorize=False)[0]
        for direction, mine, other in (("out", "from", "to"), ("in", "to", "from")):
            hashes, order = self.ends[direction]
            begin, end = (np.searchsorted(hashes, wanted, side=side) for side in ("left", "right"))
            for at in np.sort(order[begin:end]):
                f = self.fields
                if f[f"{mine}_table"][at] == table and f[f"{mine}_key"][at] == key:
                    yield str(f["kind"][at]), direction, str(f[f"{other}_table"][at]), str(f[f"{other}_key"][at])
