"""Vs30 comes from what the scenario says, a map, the tables, the slope, in this order; and the result says from where."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_bounds
from small_city import small_city

from citytwin.city import City, write_city
from citytwin.cli import main
from citytwin.errors import InputError
from citytwin.hazards.earthquake.site import UNKNOWN, Speeds, vs30_of_map

LON, LAT = np.array([1.785, 1.795]), np.array([42.44, 42.44])


def raster(path, bounds, crs, values=None, nodata=None):
    cells = np.full((40, 40), 350.0) if values is None else values
    height, width = cells.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype="float32", crs=crs, nodata=nodata,
        transform=from_bounds(*bounds, width, height),
    ) as file:  # fmt: skip
        file.write(cells.astype(np.float32), 1)
    return path


def test_a_map_is_read_at_its_cells_in_degrees_or_metres_or_from_0_to_360(tmp_path):
    halves = np.repeat([[300.0, 600.0]], 2, axis=0)
    degrees = raster(tmp_path / "a.tif", (1.78, 42.43, 1.80, 42.45), "EPSG:4326", halves)
    x, y = rasterio.warp.transform("EPSG:4326", "EPSG:32631", [1.78, 1.80], [42.43, 42.45])
    metres = raster(tmp_path / "b.tif", (x[0], y[0], x[1], y[1]), "EPSG:32631", halves)
    for path in (degrees, metres):
        assert vs30_of_map(path, LON, LAT).tolist() == [300.0, 600.0]
    west = raster(tmp_path / "c.tif", (239.0, 42.43, 241.0, 42.45), None, halves)
    assert vs30_of_map(west, np.array([-120.5]), np.array([42.44])).tolist() == [300.0]


def test_what_a_map_does_not_know_is_left_open(tmp_path):
    values = np.array([[-9999.0, 400.0], [0.0, 400.0]])
    path = raster(tmp_path / "a.tif", (1.78, 42.43, 1.80, 42.45), "EPSG:4326", values, nodata=-9999)
    lon, lat = np.array([1.785, 1.785, 1.795, 9.0]), np.array([42.445, 42.435, 42.44, 42.44])
    assert np.array_equal(vs30_of_map(path, lon, lat), [np.nan, np.nan, 400.0, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("bounds", "crs", "values", "words"),
    [
        ((9.0, 42.0, 10.0, 43.0), "EPSG:4326", None, "does not cover the city: it lies at 9.00 ... 10.00 east"),
        ((4e5, 4.6e6, 5e5, 4.8e6), None, None, "does not say its coordinate system"),
        ((1.0, 42.0, 2.0, 43.0), "EPSG:4326", np.full((4, 4), 0.4), "0.4 is no Vs30"),
    ],
)
def test_a_map_that_cannot_be_meant_is_refused_in_one_line(tmp_path, bounds, crs, values, words):
    path = raster(tmp_path / "a.tif", bounds, crs, values)
    with pytest.raises(InputError, match="Vs30") as error:
        vs30_of_map(path, LON, LAT)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_first_who_knows_says_it_and_is_counted(tmp_path):
    plain = small_city()
    building, zone = plain.table("building").copy(), plain.table("zone").copy()
    building["vs30"] = [500.0] * 4 + [np.nan] * 12
    zone["vs30"] = [np.nan, 250.0]
    tables = {n: plain.table(n) for n in plain.tables} | {"building": building, "zone": zone}
    city = City(plain.facts, tables, None, plain.relations)
    point = building.geometry.centroid
    x, y = point.x.to_numpy(), point.y.to_numpy()
    speeds = Speeds(city)
    found = speeds.at(x, y, buildings=True)
    east = building["zone"].to_numpy() == "east"
    assert found[:4].tolist() == [500.0] * 4
    assert np.all(found[4:][east[4:]] == 250.0)
    assert np.all(found[4:][~east[4:]] == UNKNOWN)
    assert speeds.used == {"building": 4, "zone": 6, "unknown": 6}
    path = raster(tmp_path / "a.tif", (1.7, 42.4, 1.9, 42.5), "EPSG:4326")
    assert np.all(Speeds(city, path).at(x, y, buildings=True) == 350.0)
    assert np.all(Speeds(city, 700.0).at(x, y, buildings=True) == 700.0)


SCENARIO = """
name: On soft ground
start: 2026-11-20T02:00:00Z
duration: 5min
hazards:
  - earthquake: {magnitude: 6.2, place: [1.7895, 42.4425], realisations: 8, vs30: MAP}
"""


def test_a_scenario_names_a_map_and_the_result_says_that_it_was_used(tmp_path, capsys):
    write_city(small_city(), tmp_path / "city")
    raster(tmp_path / "soft.tif", (1.7, 42.4, 1.9, 42.5), "EPSG:4326", np.full((8, 8), 200.0))
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    said = {}
    for name in ("soft.tif", "200", "broken.tif"):
        (tmp_path / "quake.yaml").write_text(SCENARIO.replace("MAP", name))
        ran = [
            "run",
            str(tmp_path / "quake.yaml"),
            "--city",
            str(tmp_path / "city"),
            "--out",
            str(tmp_path / name[:3]),
            "--json",
        ]
        code = main(ran)
        out = capsys.readouterr()
        if name == "broken.tif":
            assert code == 2
            assert "cannot read a Vs30 map" in out.err
        else:
            said[name] = json.loads(out.out)
    assert said["soft.tif"]["impact"] == said["200"]["impact"]
    assert said["soft.tif"]["diagnostics"]["earthquake"]["event"]["vs30"] == "a map at 100 % of places"
