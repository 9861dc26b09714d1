"""Questions to the graph of 150,000 things: how long one takes, beside geopandas asked in the plain way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import psutil
import shapely

from benchmarks.row import Row
from citytwin.city import City, Facts
from citytwin.city.graph import Graph
from citytwin.city.query import query_of
from citytwin.state import State

THINGS, ROADS, HOSPITALS, KINDS = 150_000, 20_000, 20, 30
TIMES = 15


def city() -> City:
    """20 km by 20 km: devices of 30 kinds that observe roads, hospitals that four substations feed."""
    rng = np.random.default_rng(1)
    west, south = 4e5, 4.7e6
    at = lambda n: rng.uniform([west, south], [west + 2e4, south + 2e4], (n, 2))  # noqa: E731
    kinds = list(State(City(Facts("", "EPSG:32631"), {})).columns.kinds)[:KINDS]
    place = {"device": at(THINGS), "facility": at(HOSPITALS), "power_bus": at(4)}
    tables = {
        name: gpd.GeoDataFrame(
            {"key": [f"{name}-{i}" for i in range(len(p))]}, geometry=gpd.points_from_xy(*p.T), crs="EPSG:32631"
        )
        for name, p in place.items()
    }
    tables["device"]["kind"] = [kinds[i] for i in rng.integers(0, len(kinds), THINGS)]
    tables["facility"]["kind"] = "hospital"
    corner = shapely.get_coordinates(tables["device"].geometry.to_numpy())
    shapes = shapely.box(*corner.T, *(corner + 12.0).T)
    tables["building"] = gpd.GeoDataFrame(
        {"key": [f"building-{i}" for i in range(THINGS)], "use": tables["device"]["kind"]}, geometry=shapes, crs="EPSG:32631"
    )
    start = at(ROADS)
    lines = [f"LINESTRING({a} {b}, {a + 80} {b + 40})" for a, b in start]
    tables["road"] = gpd.GeoDataFrame(
        {"key": [f"road-{i}" for i in range(ROADS)]}, geometry=gpd.GeoSeries.from_wkt(lines), crs="EPSG:32631"
    )
    sees = rng.integers(0, ROADS, THINGS)
    relations = pd.concat([
        pd.DataFrame({"kind": "observes", "from_table": "device", "from_key": tables["device"]["key"], "to_table": "road",
                      "to_key": [f"road-{i}" for i in sees]}),
        pd.DataFrame({"kind": "feeds", "from_table": "power_bus", "from_key": [f"power_bus-{i % 4}" for i in range(HOSPITALS)],
                      "to_table": "facility", "to_key": tables["facility"]["key"]}),
    ])  # fmt: skip
    return City(Facts("Bench", "EPSG:32631"), dict(tables), relations=relations)


def took(work: Callable[[], object]) -> float:
    """Milliseconds of the middle one of several times, after a first."""
    work()
    times = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)) * 1e3


def questions() -> Iterator[Row]:
    """A box and a kind; a column too; along relations."""
    place = city()
    state = State(place)
    graph = Graph.of(place)
    device = place.table("device")
    kind = str(device["kind"].iloc[0])
    column = state.columns.kind(kind).column.name
    state[column] = np.random.default_rng(2).uniform(0, 1, THINGS)
    lon, lat = place.to_lonlat([4.05e5, 4.15e5], [4.705e6, 4.715e6])
    box = [float(lon[0]), float(lat[0]), float(lon[1]), float(lat[1])]
    alike = {"table": "device", "kind": kind}
    here: dict[str, Any] = {**alike, "within": {"bbox": box}}
    fed = {"table": "facility", "kind": "hospital",
           "related": [{"kind": "feeds", "direction": "in",
                        "to": {"table": "power_bus", "where": [{"property": "key", "value": "power_bus-3"}]}}]}  # fmt: skip
    roads = {"table": "road", "within": {"near": {"things": fed, "metres": 500}}}
    seen = [{"kind": "observes", "direction": "out", "to": roads}]
    asked = {
        "box and kind": here,
        "box and use, footprints": {**here, "table": "building"},
        "box, kind and a column": {**here, "where": [{"column": column, "test": ">", "value": 0.9}]},
        "devices on roads by fed hospitals": {"table": "device", "related": seen},
        "roads 500 m from devices of a kind": {"table": "road", "within": {"near": {"things": alike, "metres": 500}}},
    }  # fmt: skip
    degrees: Any = device.to_crs(4326)  # type: ignore[operator]
    plain = took(lambda: degrees.cx[box[0] : box[2], box[1] : box[3]].query("kind == @kind", local_dict={"kind": kind}))
    begin = time.perf_counter()
    for said in asked.values():
        graph.rows(query_of(said), state)
    first = time.perf_counter() - begin
    for name, said in asked.items():
        ours = took(lambda said=said: graph.rows(query_of(said), state))  # type: ignore[misc]
        found = len(graph.rows(query_of(said), state))
        peer = (f"geopandas .cx {plain:.1f} ms", f"1 : {plain / ours:.1f}") if said is here else ("-", "-")
        yield Row(f"query: {name}, {THINGS:,} things", f"{ours:.1f} ms ({found:,})", *peer)
    yield Row(
        "query: all asked first, indices made",
        f"{first:.1f} s",
        memory=f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB",
    )


CASES = [questions]
