"""The functions that a filter may call (OGC 18-088, table 24, and those of FROST for spans of time), as SQL of DuckDB.

Distances and lengths are in degrees, as the conformance suite of the standard takes them; `geo.metres` is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from pyproj import Geod

from citytwin.io.stores.sensing import SensingStore
from citytwin.server.sensorthings import times

GEOD = Geod(ellps="WGS84")
TESTS = {
    "geo.intersects": shapely.intersects, "st_intersects": shapely.intersects, "st_equals": shapely.equals,
    "st_disjoint": shapely.disjoint, "st_touches": shapely.touches, "st_within": shapely.within,
    "st_overlaps": shapely.overlaps, "st_crosses": shapely.crosses, "st_contains": shapely.contains,
}  # fmt: skip

MIRRORED = {"st_within": "st_contains", "st_contains": "st_within"}  # the others say the same of both sides


@dataclass(frozen=True)
class Function:
    """A function: the types it takes, the type it gives, and what makes its SQL of the arguments."""

    takes: tuple[str, ...]
    gives: str
    sql: Callable[..., str]


def _f(takes: str, gives: str, sql: str | Callable[..., str]) -> Function:
    return Function(tuple(takes.split()), gives, sql.format if isinstance(sql, str) else sql)


FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "substringof": (_f("text text", "bool", "contains({1}, {0})"),),
    "contains": (_f("text text", "bool", "contains({0}, {1})"),),
    "startswith": (_f("text text", "bool", "starts_with({0}, {1})"),),
    "endswith": (_f("text text", "bool", "ends_with({0}, {1})"),),
    "length": (_f("text", "number", "length({0})"),),
    "indexof": (_f("text text", "number", "(strpos({0}, {1}) - 1)"),),
    "substring": (_f("text number", "text", "substring({0}, try_cast({1} as bigint) + 1)"),
                  _f("text number number", "text", "substring({0}, try_cast({1} as bigint) + 1, try_cast({2} as bigint))")),
    "tolower": (_f("text", "text", "lower({0})"),),
    "toupper": (_f("text", "text", "upper({0})"),),
    "trim": (_f("text", "text", "trim({0})"),),
    "concat": (_f("text text", "text", "({0} || {1})"),),
    "year": (_f("time", "number", "year({0})"),),
    "month": (_f("time", "number", "month({0})"),),
    "day": (_f("time", "number", "day({0})"),),
    "hour": (_f("time", "number", "hour({0})"),),
    "minute": (_f("time", "number", "minute({0})"),),
    "second": (_f("time", "number", "second({0})"),),
    "fractionalseconds": (_f("time", "number", "((date_part('microsecond', {0}) % 1000000) / 1e6)"),),
    "date": (_f("time", "date", "cast({0} as date)"),),
    "time": (_f("time", "clock", "cast({0} as time)"),),
    "totaloffsetminutes": (_f("time", "number", "(case when {0} is null then null else 0 end)"),),
    "now": (_f("", "time", "(now() at time zone 'UTC')"),),
    "mindatetime": (_f("", "time", "timestamp '0001-01-01 00:00:00'"),),
    "maxdatetime": (_f("", "time", "timestamp '9999-12-31 23:59:59'"),),
    "round": (_f("number", "number", "round({0})"),),
    "floor": (_f("number", "number", "floor({0})"),),
    "ceiling": (_f("number", "number", "ceil({0})"),),
    "geo.distance": (_f("geo geo", "number", "geo_distance({0}, {1})"),),
    "geo.metres": (_f("geo geo", "number", "geo_metres({0}, {1})"),),
    "geo.length": (_f("geo", "number", "geo_length({0})"),),
    "st_relate": (_f("geo geo text", "bool", "geo_relate({0}, {1}, {2})"),),
    **{name: (_f("geo geo", "bool", f"geo_test({{0}}, {{1}}, '{name}')"),) for name in TESTS},
    "before": (_f("span span", "bool", times.before),),
    "after": (_f("span span", "bool", lambda a, b: times.before(b, a)),),
    "meets": (_f("span span", "bool", "({0.begin} = {1.end} or {0.end} = {1.begin})"),),
    "during": (_f("span interval", "bool", times.during),),
    "overlaps": (_f("span span", "bool", times.overlaps),),
    "starts": (_f("span span", "bool", "({0.begin} = {1.begin})"),),
    "finishes": (_f("span span", "bool", "({0.end} = {1.end})"),),
}  # fmt: skip
FUNCTIONS["ceil"] = FUNCTIONS["ceiling"]


def install(store: SensingStore) -> None:
    """Teach the store the functions on shapes (WKB in degrees)."""
    store.function("geo_distance", lambda a, b: _answer(shapely.distance(_shapes(a), _shapes(b))), ["BLOB", "BLOB"], "DOUBLE")
    store.function("geo_metres", _metres, ["BLOB", "BLOB"], "DOUBLE")
    store.function("geo_length", _length, ["BLOB"], "DOUBLE")
    store.function("geo_test", _test, ["BLOB", "BLOB", "VARCHAR"], "BOOLEAN")
    store.function("geo_bounds", _bounds, ["BLOB[]"], "VARCHAR")
    store.function("geo_relate", _relate, ["BLOB", "BLOB", "VARCHAR"], "BOOLEAN")


def _shapes(array: Any) -> Any:
    """Shapes of an Arrow array of WKB; a literal, the same in each place, is read once."""
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=object)
    if len(values) > 1 and values[0] is not None and values[0] == values[-1] and (values == values[0]).all():
        return np.full(len(values), shapely.from_wkb(values[0]), dtype=object)
    return shapely.from_wkb(values)


def _answer(values: Any) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.float64), from_pandas=True)


def _metres(a: Any, b: Any) -> pa.Array:
    """Metres along the ellipsoid between the nearest points of two shapes (nearest in degrees)."""
    first, second = _shapes(a), _shapes(b)
    out = np.full(len(first), np.nan)
    there = np.flatnonzero(~(shapely.is_missing(first) | shapely.is_missing(second)))
    if len(there):
        lines = shapely.shortest_line(first[there], second[there])
        whole = np.flatnonzero(~shapely.is_missing(lines))
        ends = shapely.get_coordinates(lines[whole]).reshape(-1, 4)
        out[there[whole]] = GEOD.inv(ends[:, 0], ends[:, 1], ends[:, 2], ends[:, 3])[2]
    return _answer(out)


def _length(a: Any) -> pa.Array:
    shapes = _shapes(a)
    return _answer(np.where(shapely.get_dimensions(shapes) == 2, 0.0, shapely.length(shapes)))


def _test(a: Any, b: Any, names: Any) -> pa.Array:
    name = names[0].as_py()
    first, second = _shapes(a), _shapes(b)
    if len(second) > 1 and second[0] is second[-1]:  # a literal is the same object for all: it is prepared once
        first, second, name = second, first, MIRRORED.get(name, name)
    if len(first) > 1 and first[0] is first[-1]:
        shapely.prepare(first[0])
    return pa.array(np.asarray(TESTS[name](first, second), dtype=bool))


def _relate(a: Any, b: Any, patterns: Any) -> pa.Array:
    first, second, wanted = _shapes(a), _shapes(b), patterns.to_pylist()
    return pa.array(
        [
            False if x is None or y is None or p is None else bool(shapely.relate_pattern(x, y, p))
            for x, y, p in zip(first, second, wanted, strict=True)
        ]
    )


def _bounds(lists: Any) -> pa.Array:
    """The box around the shapes of each list, as GeoJSON (a point or line where it has no area); null around nothing."""
    out = []
    for shapes in lists.to_pylist():
        whole = shapely.from_wkb(np.asarray([s for s in shapes or () if s is not None], dtype=object))
        out.append(None if not len(whole) or shapely.is_empty(whole).all() else _box(*shapely.total_bounds(whole)))
    return pa.array(out, pa.string())


def _box(west: float, south: float, east: float, north: float) -> str:
    if (west, south) == (east, north):
        return str(shapely.to_geojson(shapely.Point(west, south)))
    if west == east or south == north:
        return str(shapely.to_geojson(shapely.LineString([(west, south), (east, north)])))
    return str(shapely.to_geojson(shapely.box(west, south, east, north)))
