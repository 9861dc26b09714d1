"""One earthquake over one made city in a process of its own: `python -m benchmarks._quake ASSETS FIELDS STATIONS SITES`.

Prints JSON. wall, cpu: seconds of one pass once everything is compiled. before, peak: memory (MiB) of the process when the
city is there, and at most, the pass included; bare: once the modules are loaded and compiled code has run on a small city.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import geopandas as gpd
import numpy as np
import psutil
import shapely

from citytwin.city import City, Facts
from citytwin.hazards.earthquake.fragility import hazus_buildings
from citytwin.hazards.earthquake.parameters import EarthquakeParameters
from citytwin.hazards.earthquake.strike import strike
from citytwin.sim import Setup, Streams

CRS, WEST, SOUTH, SIDE = "EPSG:32633", 350e3, 4_660e3, 50e3


def made_city(n: int, sites: int = 0) -> City:
    """N buildings of all Hazus types, scattered over 50 x 50 km, 625 zones; at so many different places, if it is said."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, SIDE, (2, n))
    if sites:
        x, y = (np.resize(v[:sites], n) for v in (x, y))
    names = np.array(sorted(hazus_buildings().curves))
    zone = [f"{int(a)}-{int(b)}" for a, b in zip(x // 2000, y // 2000, strict=True)]
    rows = {
        "key": [f"a{i}" for i in range(n)], "taxonomy": rng.choice(names, n), "use": "apartments", "levels": 3.0, "people": 5.0,
        "floor_area": 300.0, "zone": zone,
    }  # fmt: skip
    x, y = x + WEST, y + SOUTH
    building = gpd.GeoDataFrame(rows, geometry=shapely.box(x - 5, y - 5, x + 5, y + 5), crs=CRS)
    keys = sorted(set(zone))
    zones = gpd.GeoDataFrame({"key": keys, "name": keys}, geometry=[shapely.box(0, 0, 1, 1)] * len(keys), crs=CRS)
    return City(Facts("bench", CRS), {"building": building, "zone": zones})


def said(city: City, **more: object) -> EarthquakeParameters:
    """A magnitude 6.5 earthquake under the middle."""
    lon, lat = city.to_lonlat(WEST + SIDE / 2, SOUTH + SIDE / 2)
    base = {"magnitude": 6.5, "place": [float(lon), float(lat)], "depth": "10 km", "models": {"BSSA14": 1.0}, "vs30": 760.0}
    return EarthquakeParameters.model_validate({**base, **more})


def once(assets: int, fields: int, stations: int, sites: int) -> dict[str, float]:
    """One pass, timed."""
    small = made_city(2_000)
    for some in (0, 3):
        _strike(small, 65, some)  # compiles, or loads what is compiled
    bare = _memory()
    city = made_city(assets, sites)
    before, begin, used = _memory(), time.perf_counter(), time.process_time()
    _strike(city, fields, stations)
    wall, cpu = time.perf_counter() - begin, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "bare": bare, "before": before, "peak": peak}


def _strike(city: City, fields: int, stations: int) -> None:
    rng = np.random.default_rng(3)
    lon, lat = city.to_lonlat(*(rng.uniform(0, SIDE, (2, stations)) + np.array([[WEST], [SOUTH]])))
    readings = [{"place": [float(a), float(b)], "pga": "2 m/s2"} for a, b in zip(lon, lat, strict=True)]
    params = said(city, realisations=fields, readings=readings)
    strike(Setup(city, params, 0.0, 600.0, Streams(1)), 2.0, False, ())


def _memory() -> float:
    return float(psutil.Process().memory_info().rss / 2**20)


if __name__ == "__main__":
    print(json.dumps(once(*map(int, sys.argv[1:5]))))
