"""The City: tables, relations and ground, held in memory or read from a city folder as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyproj

from citytwin import columns as declared
from citytwin.city.ground import Ground
from citytwin.city.tables import RELATION_FIELDS
from citytwin.errors import InputError, MissingError, nearest


@dataclass(frozen=True)
class Source:
    """Where some of the city comes from: a file or service, its kind, date, licence and checksum."""

    name: str
    kind: str
    licence: str = ""
    date: str = ""
    sha256: str = ""
    note: str = ""


@dataclass
class Facts:
    """What `city.toml` says: name, coordinate reference system (EPSG or WKT text), sources, notes for the reader."""

    name: str
    crs: str
    sources: list[Source] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made_by: str = ""
    synthetic: bool = False


class City:
    """What exists: tables by name, the ground, typed relations between things.

    All geometry is in the city's own metric CRS (`city.crs`). A table is a GeoDataFrame (or a DataFrame where things
    have no place) with a unique text `key` and rows 0, 1, 2, ...; treat it as read-only, states and results count on it.
    """

    def __init__(
        self,
        facts: Facts,
        tables: Mapping[str, pd.DataFrame],
        ground: Ground | None = None,
        relations: pd.DataFrame | None = None,
    ) -> None:
        self.facts = facts
        self.folder: Path | None = None
        self.columns = declared.shipped()
        self._read_identity: Callable[[], str] | None = None
        self._tables: dict[str, pd.DataFrame] = dict(tables)
        self._unread: dict[str, Callable[[], pd.DataFrame]] = {}
        self._sizes: dict[str, int] = {name: len(table) for name, table in tables.items()}
        self._ground: Ground | None = ground
        self._read_ground: Callable[[], Ground] | None = None
        self._relations = relations
        self._read_relations: Callable[[], pd.DataFrame] | None = None
        self._rows: dict[str, pd.Index[Any]] = {}

    @property
    def name(self) -> str:
        """What people call the city."""
        return self.facts.name

    @cached_property
    def identity(self) -> str:
        """Checksum of the city folder as it was read, for provenance; empty for a city that was never written."""
        return self._read_identity() if self._read_identity else ""

    @cached_property
    def crs(self) -> pyproj.CRS:
        """The city's metric coordinate reference system."""
        return pyproj.CRS.from_user_input(self.facts.crs)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that this city has."""
        return tuple(sorted(self._sizes))

    def size(self, table: str) -> int:
        """Number of rows of `table`, `cell` included, without reading it."""
        if table == "cell":
            return self.ground.size
        self._known(table)
        return self._sizes[table]

    def table(self, name: str) -> pd.DataFrame:
        """The table `name`, a GeoDataFrame where it has geometry. Raises MissingError with the nearest name."""
        if name not in self._tables:
            self._known(name)
            read = self._unread.get(name)
            if read is not None:  # None: another thread has just read it
                self._tables.setdefault(name, read())
                self._unread.pop(name, None)
        return self._tables[name]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.table(name)

    def __contains__(self, name: object) -> bool:
        return name in self._sizes or (name == "cell" and self.has_ground)

    @property
    def has_ground(self) -> bool:
        """Whether the city has a terrain."""
        return self._ground is not None or self._read_ground is not None

    @property
    def ground(self) -> Ground:
        """The ground rasters. Raises MissingError for a city without terrain."""
        if self._ground is None:
            if self._read_ground is None:
                raise MissingError("this city has no ground", self.name, "build it with --dem FILE")
            self._ground = self._read_ground()
        return self._ground

    @property
    def relations(self) -> pd.DataFrame:
        """Typed relations, one a row: kind, from_table, from_key, to_table, to_key."""
        if self._relations is None:
            self._relations = self._read_relations() if self._read_relations else pd.DataFrame(columns=RELATION_FIELDS)
        return self._relations

    def rows(self, table: str, keys: Iterable[str]) -> npt.NDArray[np.int64]:
        """Row of each key in `table`, -1 where there is none."""
        if table not in self._rows:
            self._rows[table] = pd.Index(self.table(table)["key"])
        return self._rows[table].get_indexer(pd.Index(list(keys))).astype(np.int64)

    def row(self, table: str, key: str) -> int:
        """Row of the thing called `key`. Raises MissingError with the nearest key."""
        row = int(self.rows(table, [key])[0])
        if row < 0:
            raise MissingError(f'no {table} "{key}"', self.name, nearest(key, self._rows[table][:20000]))
        return row

    def related(self, table: str, key: str) -> pd.DataFrame:
        """All relations that go out from or come in to one thing."""
        r = self.relations
        out = (r["from_table"] == table) & (r["from_key"] == key)
        into = (r["to_table"] == table) & (r["to_key"] == key)
        return r[out | into].reset_index(drop=True)

    @cached_property
    def _inward(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)

    @cached_property
    def _outward(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)

    def from_lonlat(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """x, y in metres of the city's CRS."""
        x, y = self._inward.transform(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float))
        return np.asarray(x), np.asarray(y)

    def to_lonlat(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Longitude and latitude (WGS 84, degrees) of points in the city's CRS."""
        lon, lat = self._outward.transform(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        return np.asarray(lon), np.asarray(lat)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres: of the ground, or of the tables where there is none."""
        if self.has_ground:
            return self.ground.bounds
        boxes = [self.table(t).total_bounds for t in self.tables if self._is_geo(t) and self.size(t)]
        if not boxes:
            raise MissingError("this city has nothing with a place", self.name)
        stacked = np.array(boxes)
        west, south = stacked[:, :2].min(axis=0)
        east, north = stacked[:, 2:].max(axis=0)
        return float(west), float(south), float(east), float(north)

    def _is_geo(self, name: str) -> bool:
        return isinstance(self.table(name), gpd.GeoDataFrame)

    @property
    def lonlat_bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        box = self._outward.transform_bounds(*self.bounds)
        return float(box[0]), float(box[1]), float(box[2]), float(box[3])

    def _known(self, table: str) -> None:
        if table not in self._sizes:
            raise MissingError(f'no table "{table}"', self.name, nearest(table, self._sizes))

    def check(self) -> None:
        """Refuse tables without unique keys or with another CRS than the city's. Raises InputError."""
        for name in self.tables:
            table = self.table(name)
            if "key" not in table or not table["key"].is_unique:
                raise InputError("keys are missing or not unique", f"table {name}")
            if isinstance(table, gpd.GeoDataFrame) and table.crs != self.crs:
                raise InputError(f"coordinates are in {table.crs}, not in the city's {self.crs}", f"table {name}")
