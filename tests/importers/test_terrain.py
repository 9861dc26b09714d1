"""Terrain comes onto the city's grid from any tile, whole and unbiased."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio.warp

from citytwin.io.importers.terrain import fill_voids, make_frame, read_terrain

Write = Callable[..., Path]
UTM = pyproj.CRS.from_epsg(32632)
BOX = pyproj.Transformer.from_crs(4326, UTM, always_xy=True).transform_bounds(10.0, 50.0, 10.014, 50.009)


def plane(west: float, north: float, size: float, height: int, width: int) -> np.ndarray:
    """Elevations that rise with longitude and latitude."""
    lon = west + (np.arange(width) + 0.5) * size
    lat = north - (np.arange(height) + 0.5) * size
    return 1000 * (lon - 10)[None, :] + 2000 * (lat - 50)[:, None] + 100


def truth(cell_size: float) -> tuple[np.ndarray, object]:
    frame = make_frame(BOX, cell_size, UTM)
    x = frame.west + (np.arange(frame.width) + 0.5) * cell_size
    y = frame.north - (np.arange(frame.height) + 0.5) * cell_size
    xs, ys = np.meshgrid(x, y)
    lon, lat = (np.array(v) for v in rasterio.warp.transform(UTM.to_wkt(), "EPSG:4326", xs.ravel(), ys.ravel()))
    return (1000 * (lon - 10) + 2000 * (lat - 50) + 100).reshape(frame.height, frame.width), frame


@pytest.mark.parametrize("cell_size", [5.0, 20.0, 150.0])
def test_a_plane_stays_a_plane_finer_or_coarser(write_raster: Write, cell_size: float) -> None:
    values, frame = truth(cell_size)
    found = read_terrain([write_raster("p.tif", plane(9.98, 50.02, 0.0005, 100, 100))], frame)
    assert np.abs(found.elevation - values).max() < 0.15


def test_two_tiles_meet_without_a_seam(write_raster: Write) -> None:
    values, frame = truth(20.0)
    tiles = [write_raster(f"{w}.tif", plane(w, 50.02, 0.0005, 100, 54), west=w) for w in (9.98, 10.007)]
    found = read_terrain(tiles, frame)
    assert found.unknown == 0
    assert np.abs(found.elevation - values).max() < 0.15


def test_a_fine_tile_lies_on_top_of_a_coarse_one(write_raster: Write) -> None:
    _, frame = truth(20.0)
    fine = write_raster("fine.tif", np.full((30, 30), 500.0), west=10.003, north=50.007, size=0.0001)
    coarse = write_raster("coarse.tif", np.full((50, 50), 100.0), size=0.001)
    found = read_terrain([coarse, fine], frame)
    assert found.unknown == 0
    assert set(np.round(found.elevation.ravel(), -2)) == {100.0, 500.0}


def test_voids_are_filled_between_their_edges(write_raster: Write) -> None:
    values, frame = truth(20.0)
    holed = plane(9.98, 50.02, 0.0005, 100, 100)
    holed[25:35, 45:55] = -32768
    found = read_terrain([write_raster("p.tif", holed)], frame)
    assert found.filled == 100
    assert np.abs(found.elevation - values).max() < 0.5


def test_ground_that_no_tile_covers_stays_unknown(write_raster: Write) -> None:
    _, frame = truth(20.0)
    found = read_terrain([write_raster("half.tif", plane(9.98, 50.02, 0.0005, 100, 54))], frame)
    assert 0.3 < found.unknown / found.elevation.size < 0.7
    assert found.filled == 0


def test_a_zipped_hgt_tile_is_read(tmp_path: Path) -> None:
    _, frame = truth(20.0)
    samples = np.full((1201, 1201), 321, dtype=">i2")
    samples[5:9, 5:9] = -32768
    with zipfile.ZipFile(tmp_path / "N50E010.hgt.zip", "w") as archive:
        archive.writestr("N50E010.hgt", samples.tobytes())
    found = read_terrain([tmp_path / "N50E010.hgt.zip"], frame)
    assert np.abs(found.elevation - 321).max() < 1e-3


def test_a_tile_in_another_projection_is_brought_over(write_raster: Write) -> None:
    _, frame = truth(20.0)
    box = rasterio.warp.transform_bounds(UTM.to_wkt(), "EPSG:3035", *frame.bounds)
    dem = write_raster("laea.tif", np.full((60, 60), 42.0), west=box[0] - 200, north=box[3] + 200, size=30.0, crs="EPSG:3035")
    assert np.abs(read_terrain([dem], frame).elevation - 42).max() < 1e-3


def test_a_hole_is_filled_and_the_sea_around_is_not() -> None:
    values = np.full((40, 40), 7.0, dtype=np.float32)
    values[:, 30:] = np.nan
    values[10:14, 10:14] = np.nan
    assert fill_voids(values) == 16
    assert np.isnan(values[:, 30:]).all()
    assert (values[:, :30] == 7).all()
