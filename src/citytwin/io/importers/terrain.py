"""Terrain files onto the city's grid: GeoTIFF in any CRS, HGT tiles, zipped tiles; mosaicked, voids filled, resampled.

Tiles of one CRS and resolution are joined first, so that no seam is left; of several kinds the finest wins and the
coarser fill its gaps. A void is declared nodata, NaN, or an elevation that is not on Earth (below -500 m, above 9000 m); voids
that known ground encloses are filled by linear interpolation between their edges (Delaunay); what no tile covers stays unknown.
"""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
import rasterio
import rasterio.merge
import rasterio.warp
import rasterio.windows
from rasterio.transform import from_origin
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.ndimage import binary_dilation, label

from citytwin.errors import InputError, MissingError, OutsideError

LOWEST, HIGHEST = -500.0, 9000.0  # m: the Dead Sea shore is at -430, Everest at 8849
MOST_CELLS = 60_000_000  # 5 layers of 4 bytes each: 1.2 GB
TERRAIN_SUFFIXES = (".tif", ".tiff", ".hgt", ".asc", ".vrt", ".img", ".dem", ".bil", ".dt1", ".dt2", ".cog", ".nc")
Grid = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """The grid to fill: outer corner of its first cell, cell size (m), height and width in cells, CRS."""

    west: float
    north: float
    cell_size: float
    height: int
    width: int
    crs: pyproj.CRS

    @property
    def transform(self) -> Any:
        """The affine transform of the grid."""
        return from_origin(self.west, self.north, self.cell_size, self.cell_size)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        return (
            self.west, self.north - self.height * self.cell_size, self.west + self.width * self.cell_size, self.north,
        )  # fmt: skip


@dataclass(frozen=True)
class Terrain:
    """Elevation (m, NaN where unknown) on a frame, and how many cells were filled in or stayed unknown."""

    elevation: Grid
    filled: int
    unknown: int
    resolution: float  # m, of the finest tile


def make_frame(bounds: tuple[float, float, float, float], cell_size: float, crs: pyproj.CRS) -> Frame:
    """A grid of `cell_size` that covers `bounds` (m). Raises InputError when it has more cells than a machine can bear."""
    if not 0.5 <= cell_size <= 1000:
        raise InputError(f"cell size {cell_size:g} m is not between 0.5 and 1000 m", "--cell-size")
    west, north = np.floor(bounds[0] / cell_size) * cell_size, np.ceil(bounds[3] / cell_size) * cell_size
    width, height = int(np.ceil((bounds[2] - west) / cell_size)), int(np.ceil((north - bounds[1]) / cell_size))
    if width * height > MOST_CELLS:
        good = float(np.ceil(cell_size * np.sqrt(width * height / MOST_CELLS)))
        raise InputError(
            f"{width} x {height} cells of {cell_size:g} m are more than {MOST_CELLS // 10**6} million", "--cell-size",
            f"use --cell-size {good:g}, or a smaller --bbox",
        )  # fmt: skip
    return Frame(float(west), float(north), cell_size, height, width, crs)


def read_terrain(paths: Sequence[Path], frame: Frame) -> Terrain:
    """Elevation on `frame` from terrain files. Raises MissingError, InputError (no CRS, elsewhere, nothing but voids)."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="citytwin-")))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        tiles = [stack.enter_context(_open(path, folder)) for path in _unpacked(paths, folder)]
        near = [tile for tile in tiles if _overlaps(tile, frame)]
        if not near:
            raise InputError("the terrain lies elsewhere than the city", _names(paths), _where(tiles[0], frame))
        groups = _groups(near)
        elevation = np.full((frame.height, frame.width), np.nan, dtype=np.float32)
        filled = 0
        for group in groups:
            filled += _lay(group, frame, elevation, last=group is groups[-1])
        resolution = _metres(groups[0][0], frame)
    if np.isnan(elevation).all():
        raise InputError("the terrain has no elevation inside the city, only voids", _names(paths))
    return Terrain(elevation, filled, int(np.isnan(elevation).sum()), resolution)


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(str(p) for p in paths)


def _unpacked(paths: Sequence[Path], folder: Path) -> list[Path]:
    """The raster files meant by `paths`: folders are listed, zip files unpacked (GDAL cannot read a .hgt.zip in place)."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.name.lower().endswith((*TERRAIN_SUFFIXES, ".zip")))
            if not inside:
                raise InputError("holds no terrain files", str(path), "allowed: " + ", ".join(TERRAIN_SUFFIXES))
            found += _unpacked(inside, folder)
        elif not path.exists():
            raise MissingError("no such file", str(path))
        elif path.suffix.lower() == ".zip":
            found += _unzip(path, folder)
        else:
            found.append(path)
    return found


def _unzip(path: Path, folder: Path) -> list[Path]:
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.lower().endswith(TERRAIN_SUFFIXES) and not Path(member).name.startswith("."):
                    found.append(folder / f"{len(list(folder.iterdir()))}" / Path(member).name)
                    found[-1].parent.mkdir()
                    found[-1].write_bytes(archive.read(member))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"is a damaged zip file: {error}", str(path), "fetch the file again") from error
    if not found:
        raise InputError("holds no terrain file", str(path), "allowed inside: " + ", ".join(TERRAIN_SUFFIXES))
    return found


def _open(path: Path, folder: Path) -> Any:
    shown = path.name if folder in path.parents else str(path)
    try:
        tile = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise InputError("is not a raster that can be read", shown, "allowed: GeoTIFF, HGT, either zipped") from error
    if tile.crs is None:
        tile.close()
        hint = "a terrain must say where it lies: add the CRS with gdal_edit.py -a_srs or rio edit-info --crs"
        raise InputError("has no coordinate reference system", shown, hint)
    return tile


def _window(tile: Any, frame: Frame) -> rasterio.windows.Window | None:
    """The pixels of `tile` that `frame` needs, with an edge for interpolation; None where they do not meet."""
    try:
        box = rasterio.warp.transform_bounds(frame.crs.to_wkt(), tile.crs, *frame.bounds, densify_pts=21)
        window = rasterio.windows.from_bounds(*box, transform=tile.transform)
    except (rasterio.errors.RasterioError, ValueError):
        return None
    edge = 8
    first_row, first_column = int(np.floor(window.row_off)) - edge, int(np.floor(window.col_off)) - edge
    last_row = int(np.ceil(window.row_off + window.height)) + edge
    last_column = int(np.ceil(window.col_off + window.width)) + edge
    first_row, first_column = max(first_row, 0), max(first_column, 0)
    last_row, last_column = min(last_row, tile.height), min(last_column, tile.width)
    if first_row >= last_row or first_column >= last_column:
        return None
    return rasterio.windows.Window(first_column, first_row, last_column - first_column, last_row - first_row)


def _overlaps(tile: Any, frame: Frame) -> bool:
    return _window(tile, frame) is not None


def _where(tile: Any, frame: Frame) -> str:
    there = rasterio.warp.transform_bounds(tile.crs, "EPSG:4326", *tile.bounds)
    here = rasterio.warp.transform_bounds(frame.crs.to_wkt(), "EPSG:4326", *frame.bounds)
    words = ["{:.2f}, {:.2f} to {:.2f}, {:.2f}".format(*box) for box in (there, here)]
    return f"it covers {words[0]}; the city is at {words[1]}"


def _metres(tile: Any, frame: Frame) -> float:
    """Pixel size of `tile` in metres, at the middle of the frame."""
    west, south, east, north = frame.bounds
    x, y = (west + east) / 2, (south + north) / 2
    xs, ys = rasterio.warp.transform(frame.crs.to_wkt(), tile.crs, [x, x + 100, x], [y, y, y + 100])
    size = [np.hypot((xs[k] - xs[0]) / tile.transform.a, (ys[k] - ys[0]) / tile.transform.e) for k in (1, 2)]
    return float(100 / max(np.mean(size), 1e-9))


def _groups(tiles: list[Any]) -> list[list[Any]]:
    """Tiles of the same CRS and pixel size together, finest first."""
    found: dict[Any, list[Any]] = {}
    for tile in tiles:
        found.setdefault((str(tile.crs), round(abs(tile.transform.a), 9), round(abs(tile.transform.e), 9)), []).append(tile)
    metres_of = {"degree": 111_320.0}
    return sorted(
        found.values(), key=lambda g: abs(g[0].transform.a) * (metres_of["degree"] if g[0].crs.is_geographic else 1.0)
    )


def _lay(group: list[Any], frame: Frame, elevation: Grid, last: bool) -> int:
    """Fill what `elevation` still lacks from one group of tiles; returns the number of its own pixels that were filled in."""
    pixels, transform = _joined(group, frame)
    filled = fill_voids(pixels) if last else 0
    fine = _metres(group[0], frame)
    method = rasterio.warp.Resampling.average if frame.cell_size > 1.5 * fine else rasterio.warp.Resampling.cubic
    laid = np.full(elevation.shape, np.nan, dtype=np.float32)
    rasterio.warp.reproject(
        pixels, laid, src_transform=transform, src_crs=group[0].crs, src_nodata=np.nan, dst_transform=frame.transform,
        dst_crs=frame.crs.to_wkt(), dst_nodata=np.nan, resampling=method, num_threads=2,
    )  # fmt: skip
    gap = np.isnan(elevation)
    elevation[gap] = laid[gap]
    return filled


def _joined(group: list[Any], frame: Frame) -> tuple[Grid, Any]:
    """The pixels of one group around the frame as one array, voids as NaN, and its transform."""
    if len(group) == 1:
        window = _window(group[0], frame)
        return _clean(_pixels(group[0], window), group[0].nodata), group[0].window_transform(window)
    with ExitStack() as stack:
        parts = []
        for tile in group:
            window = _window(tile, frame)
            pixels = _clean(_pixels(tile, window), tile.nodata)
            memory = stack.enter_context(rasterio.MemoryFile())
            form = {
                "driver": "GTiff", "height": pixels.shape[0], "width": pixels.shape[1], "count": 1, "dtype": "float32",
                "crs": tile.crs, "transform": tile.window_transform(window), "nodata": np.nan,
            }  # fmt: skip
            with memory.open(**form) as out:
                out.write(pixels, 1)
            parts.append(stack.enter_context(memory.open()))
        pixels, transform = rasterio.merge.merge(parts, nodata=np.nan)
    return np.asarray(pixels[0], dtype=np.float32), transform


def _pixels(tile: Any, window: Any) -> Grid:
    try:
        return np.asarray(tile.read(1, window=window), dtype=np.float32)
    except rasterio.errors.RasterioIOError as error:
        raise InputError("is damaged or cut off", tile.name, "fetch the file again") from error
    except MemoryError as error:
        raise OutsideError("not enough memory to read it", tile.name, "use a coarser terrain or a smaller --bbox") from error


def _clean(pixels: Grid, nodata: float | None) -> Grid:
    with np.errstate(invalid="ignore"):
        void = ~((pixels > LOWEST) & (pixels < HIGHEST))
        if nodata is not None and np.isfinite(nodata):
            void |= pixels == np.float32(nodata)
    pixels[void] = np.nan
    return pixels


def fill_voids(pixels: Grid) -> int:
    """Fill, in place, each void that known ground encloses; small ones at the rim too. Returns how many pixels were filled."""
    void = np.isnan(pixels)
    if not void.any() or void.all():
        return 0
    parts, count = label(void)
    rim = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    size = np.bincount(parts.ravel(), minlength=count + 1)
    open_ = rim[(rim > 0) & (size[rim] > 0.01 * pixels.size)]
    wanted = void & ~np.isin(parts, open_)
    if not wanted.any():
        return 0
    edge = binary_dilation(wanted, np.ones((3, 3), dtype=bool)) & ~void
    if not edge.any():
        return 0
    known, asked = np.argwhere(edge).astype(float), np.argwhere(wanted).astype(float)
    value = pixels[edge].astype(float)
    found = np.full(len(asked), np.nan)
    if len(known) >= 4 and np.ptp(known[:, 0]) > 0 and np.ptp(known[:, 1]) > 0:
        found = np.asarray(LinearNDInterpolator(known, value)(asked))
    lost = np.isnan(found)
    if lost.any():
        found[lost] = NearestNDInterpolator(known, value)(asked[lost])
    pixels[wanted] = found.astype(np.float32)
    return int(wanted.sum())
