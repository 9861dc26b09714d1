"""The base map: vector tiles (MVT in PMTiles) made from the city's own tables, kept in CITY/tiles for this very city.

Tiles are made in stages of zoom, each with what can be told apart there; the archives of the stages are joined into one.
`make` runs in a worker process; `Basemap` is the server's side: is it there, how far is it, serve it by ranges.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import freestiler
import geopandas as gpd
import pandas as pd
import shapely
from pmtiles import reader as pmtiles_reader
from pmtiles import writer as pmtiles_writer
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from citytwin.city import City
from citytwin.errors import OutsideError, TwinError
from citytwin.server.process import ordered

log = logging.getLogger("citytwin.server")

FORM = 1  # raise it when the tiles change, so that kept ones are made anew

LAYERS: dict[str, tuple[str, ...]] = {
    "land": ("kind",),
    "water": (),
    "waterway": ("kind", "name"),
    "zone": ("key", "name"),
    "road": ("key", "class", "name", "bridge", "tunnel"),
    "building": ("key", "use", "height", "levels"),
    "stop": ("key", "name"),
    "facility": ("key", "kind", "name"),
}

MAIN = ("motorway", "trunk", "primary", "secondary")
STREETS = (*MAIN, "tertiary", "unclassified", "residential", "living_street", "road", "busway")
SERVICE = (*STREETS, "service", "pedestrian", "track", "cycleway")


@dataclass(frozen=True)
class Stage:
    """What is drawn in zooms low ... high: classes of roads (None: all), the smallest area (m2) and detail (m) of surfaces."""

    low: int
    high: int
    layers: tuple[str, ...]
    roads: tuple[str, ...] | None
    area: float
    detail: float


STAGES = (
    Stage(6, 10, ("land", "water", "waterway", "zone", "road"), MAIN, 40_000.0, 40.0),
    Stage(11, 11, ("land", "water", "waterway", "zone", "road", "facility"), (*MAIN, "tertiary"), 10_000.0, 15.0),
    Stage(12, 12, ("land", "water", "waterway", "zone", "road", "facility"), STREETS, 2_000.0, 6.0),
    Stage(13, 13, tuple(LAYERS), SERVICE, 40.0, 2.0),
    Stage(14, 15, tuple(LAYERS), None, 0.0, 0.0),
)

Progress = Callable[[float, str], None]


def make(city: City, out: Path, progress: Progress = lambda share, words: None) -> None:
    """Write the base map of `city` to `out`. Raises OutsideError."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".basemap-") as folder:
        parts: list[Path] = []
        for number, stage in enumerate(STAGES):
            progress(number / len(STAGES), f"zoom {stage.low} to {stage.high}")
            layers = {name: layer for name in stage.layers if (layer := _layer(city, name, stage)) is not None}
            if layers:
                parts.append(Path(folder) / f"{stage.low}.pmtiles")
                _tile(layers, parts[-1], stage)
        partial = Path(folder) / "joined.pmtiles"
        _join(parts, partial, city)
        partial.replace(out)
    progress(1.0, "done")


def _tile(layers: dict[str, gpd.GeoDataFrame], path: Path, stage: Stage) -> None:
    try:
        freestiler.freestile(
            dict(layers), path, tile_format="mvt", min_zoom=stage.low, max_zoom=stage.high, generate_ids=True, quiet=True
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise OutsideError(f"the base map cannot be made: {error}") from error


def _layer(city: City, name: str, stage: Stage) -> gpd.GeoDataFrame | None:
    """One table as a layer of a stage; None where there is nothing to draw."""
    if name not in city.tables or not city.size(name):
        return None
    table = city.table(name)
    if not isinstance(table, gpd.GeoDataFrame):
        return None
    shown = table[~(table.geometry.isna() | table.geometry.is_empty)]
    if name == "road" and stage.roads is not None and "class" in shown:
        shown = shown[shown["class"].astype(str).str.removesuffix("_link").isin(stage.roads)]
    if name == "waterway" and stage.high <= 12 and "kind" in shown:
        shown = shown[shown["kind"].isin(("river", "canal")) | (stage.high == 12)]
    shape = shown.geometry
    if name in ("land", "water", "building") and stage.area:
        large = shape.area >= stage.area
        shown, shape = shown[large], shape[large]
    if not len(shown):
        return None
    if stage.detail:
        shape = shape.simplify(stage.detail, preserve_topology=True)
    layer = gpd.GeoDataFrame(_attributes(name, shown), geometry=shape.to_numpy(), crs=table.crs).to_crs("EPSG:4326")
    kept = layer[~layer.geometry.is_empty]
    return kept.explode(ignore_index=True) if (shapely.get_type_id(kept.geometry.to_numpy()) == 7).any() else kept


def _attributes(name: str, table: pd.DataFrame) -> pd.DataFrame:
    out: dict[str, Any] = {}
    for field in LAYERS[name]:
        if field not in table:
            continue
        values = table[field]
        if pd.api.types.is_bool_dtype(values):
            out[field] = values.fillna(False).to_numpy(dtype=bool)
        elif pd.api.types.is_numeric_dtype(values):
            out[field] = values.to_numpy(dtype=float, na_value=0.0).round(2)
        else:
            out[field] = values.fillna("").astype(str).to_numpy(dtype=object)
    return pd.DataFrame(out or {"shown": [True] * len(table)})


def _join(parts: list[Path], out: Path, city: City) -> None:
    """Put archives of rising zooms into one: tile numbers rise with the zoom, so each follows the one before."""
    pmtiles: Any = pmtiles_writer
    layers: dict[str, dict[str, Any]] = {}
    zooms: list[int] = []
    with out.open("wb") as file:
        writer = pmtiles.Writer(file)
        for path in parts:
            zooms += _copy(path, writer, layers)
        if not parts:
            writer.write_tile(0, gzip.compress(b""))  # an archive has at least one tile; this one is empty
        west, south, east, north = (round(side * 1e7) for side in city.lonlat_bounds)
        header = {
            "tile_type": TileType.MVT, "tile_compression": Compression.GZIP, "min_zoom": min(zooms, default=0),
            "max_zoom": max(zooms, default=0), "center_zoom": min(13, max(zooms, default=0)),
            "min_lon_e7": west, "min_lat_e7": south, "max_lon_e7": east, "max_lat_e7": north,
            "center_lon_e7": (west + east) // 2, "center_lat_e7": (south + north) // 2,
        }  # fmt: skip
        writer.finalize(header, {"name": city.name, "vector_layers": list(layers.values())})


def _copy(path: Path, writer: Any, layers: dict[str, dict[str, Any]]) -> list[int]:
    """Copy all tiles of an archive, add what it says about its layers, return its lowest and highest zoom."""
    pmtiles: Any = pmtiles_reader
    with path.open("rb") as part:
        source = pmtiles.MmapSource(part)
        reader = pmtiles.Reader(source)
        for layer in reader.metadata().get("vector_layers", []):
            known = layers.setdefault(layer["id"], {**layer})
            known["minzoom"] = min(known.get("minzoom", 0), layer.get("minzoom", 0))
            known["maxzoom"] = max(known.get("maxzoom", 0), layer.get("maxzoom", 0))
            known["fields"] = {**layer.get("fields", {}), **known.get("fields", {})}
        for place, tile in sorted(pmtiles.all_tiles(source), key=lambda t: zxy_to_tileid(*t[0])):
            writer.write_tile(zxy_to_tileid(*place), tile)
        header = reader.header()
        return [int(header["min_zoom"]), int(header["max_zoom"])]


class Basemap:
    """The base map of one city folder; made at the first start, and again when the city has changed."""

    def __init__(self, city: City, folder: Path) -> None:
        self.city = city
        self.folder = folder
        self.path = folder / "tiles" / "basemap.pmtiles"
        self.progress = 0.0
        self.problem: TwinError | None = None
        self.tag = ""
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to make it, if it is not there."""
        self._task = asyncio.create_task(self._prepare())

    async def stop(self) -> None:
        """Give up making it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """Whether it is ready, and how far it is."""
        words = str(self.problem) if self.problem else "ready" if self.progress >= 1 else "being made"
        return {"ready": self._ready.is_set() and self.problem is None, "progress": self.progress, "words": words}

    async def wait(self) -> None:
        """Wait until it is there. Raises OutsideError where it cannot be made."""
        await self._ready.wait()
        if self.problem is not None:
            raise self.problem

    async def _prepare(self) -> None:
        try:
            identity = await asyncio.to_thread(lambda: self.city.identity)
            self.tag = f'"{identity[:24]}-{FORM}"'
            kept = self.path.with_suffix(".json")
            if not await asyncio.to_thread(self._is_kept, kept):
                await self._make(kept)
            self.progress = 1.0
        except TwinError as error:
            self.problem = error
        except OSError as error:
            self.problem = OutsideError(f"the base map cannot be kept: {error.strerror or error}", str(error.filename or ""))
        finally:
            self._ready.set()
        if self.problem is not None:
            log.error("base map: %s", self.problem)

    def _is_kept(self, kept: Path) -> bool:
        try:
            return self.path.is_file() and json.loads(kept.read_text(encoding="utf-8")).get("tag") == self.tag
        except (OSError, ValueError, AttributeError):
            return False

    async def _make(self, kept: Path) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in self.path.parent.glob(".basemap-*"):  # of a server that was killed
            shutil.rmtree(left, ignore_errors=True)

        def progress(share: float, words: str) -> None:
            self.progress = min(share, 0.99)

        await ordered(self.folder, {"do": "basemap", "out": str(self.path)}, progress)
        kept.write_text(json.dumps({"tag": self.tag}), encoding="utf-8")


async def tiles(request: Request) -> Response:
    """The archive, whole or by ranges; waits while it is being made."""
    basemap: Basemap = request.app.state.served.basemap
    await basemap.wait()
    headers = {"etag": basemap.tag, "cache-control": "no-cache"}
    if basemap.tag in request.headers.get("if-none-match", "") and "range" not in request.headers:
        return Response(status_code=304, headers=headers)
    return FileResponse(basemap.path, headers=headers, media_type="application/vnd.pmtiles")


routes = [Route("/api/basemap.pmtiles", tiles)]
