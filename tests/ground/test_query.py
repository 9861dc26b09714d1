"""Questions to the graph: what they find is what a look at every single thing finds."""

from __future__ import annotations

import functools
import gc
import math
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from citytwin.city import City, Facts, Ground
from citytwin.city.conditions import pattern
from citytwin.city.graph import Graph
from citytwin.city.query import DEEPEST, Query, query_of
from citytwin.columns import Column
from citytwin.errors import InputError, MissingError, TwinError
from citytwin.state import State

CRS = "EPSG:32631"
X, Y = 378_000.0, 4_708_000.0
CHECKED = settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
NAMES = ["Carrer Major", "carrer de la Vall", "Avinguda", "100%", "a_b", "", None]


def made(seed: int = 3) -> tuple[City, State]:
    """A square kilometre with 30 roads, 60 houses, 8 facilities, 50 devices, 4 buses, many relations; some things unknown."""
    rng = np.random.default_rng(seed)
    at = rng.uniform([X, Y], [X + 1000, Y + 1000], (200, 2))
    pick = lambda values, n: [values[i] for i in rng.integers(0, len(values), n)]  # noqa: E731
    ends = at[:30] + rng.uniform(-200, 200, (30, 2))
    road = {"key": [f"r{i}" for i in range(30)], "class": pick(["primary", "residential", "footway"], 30),
            "name": pick(NAMES, 30), "lanes": pick([1.0, 2.0, math.nan], 30), "oneway": pick([True, False], 30)}  # fmt: skip
    lines = [shapely.LineString([a, b]) for a, b in zip(at[:30], ends, strict=True)]
    house = {"key": [f"b{i}" for i in range(60)], "use": pick(["house", "apartments"], 60), "levels": pick([1, 2, 5], 60),
             "dwellings": pd.array(pick([1, 4, None], 60), dtype="Int64")}  # fmt: skip
    boxes = [shapely.box(x, y, x + 15, y + 25) for x, y in at[30:90]]
    facility = {"key": [f"f{i}" for i in range(8)], "kind": pick(["hospital", "school"], 8), "name": pick(NAMES, 8)}
    device = {"key": [f"d{i}" for i in range(50)], "kind": pick(["river_stage", "noise"], 50), "name": pick(NAMES, 50)}
    bus = {"key": [f"s{i}" for i in range(4)], "kind": "substation"}
    points = [shapely.Point(p) for p in at[90:152]]
    points[12] = None  # a device nobody knows the place of
    frame = lambda table, shapes: gpd.GeoDataFrame(table, geometry=shapes, crs=CRS)  # noqa: E731
    tables: dict[str, pd.DataFrame] = {
        "road": frame(road, lines), "building": frame(house, boxes), "facility": frame(facility, points[:8]),
        "device": frame(device, points[8:58]), "power_bus": frame(bus, points[58:62]),
        "household": pd.DataFrame({"key": ["h0", "h1"], "building": ["b0", "b1"]}),
    }  # fmt: skip
    names = {t: list(f["key"]) for t, f in tables.items()}
    rows = [("observes", "device", k, t, pick(names[t], 1)[0]) for k in names["device"] for t in ("road", "building")]
    rows += [("feeds", "power_bus", pick(names["power_bus"], 1)[0], "facility", k) for k in names["facility"]]
    rows += [("feeds", "power_bus", a, "power_bus", b) for a, b in (("s0", "s1"), ("s1", "s2"))]
    rows += [("feeds", "power_bus", "s0", "facility", "gone"), ("feeds", "nowhere", "s0", "facility", "f0")]
    relations = pd.DataFrame(rows, columns=["kind", "from_table", "from_key", "to_table", "to_key"])
    ground = Ground(X - 100, Y + 1100, 20.0, {"elevation": np.zeros((60, 60), dtype=np.float32)})
    city = City(Facts("Quadrat", CRS), tables, ground, relations)
    state = State(city)
    state.declare(Column("water_depth", "cell", "m", "depth", start=0.0), Column("damage_state", "building", "", "damage"))
    state["water_depth"] = rng.uniform(0, 1, ground.size)
    state["damage_state"] = rng.choice([0.0, 1.0, 2.0, np.nan], 60)
    state["river_level"] = rng.choice([0.5, 2.5, np.nan], 50)
    return city, state


CITY, STATE = made()


# -- the naive twin: one thing after another, in plain Python -----------------------------------------------------------


def compared(value, test, wanted) -> bool:
    unknown = value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
    if test == "known":
        return unknown != wanted
    if unknown:
        return False
    match test:
        case "in":
            return value in wanted
        case "like":
            return like(str(value).lower(), wanted.lower())
        case "=":
            return value == wanted
        case "!=":
            return value != wanted
        case "<":
            return value < wanted
        case "<=":
            return value <= wanted
        case ">":
            return value > wanted
    return value >= wanted


def like(text: str, wanted: str) -> bool:
    if not wanted:
        return not text
    if wanted[0] == "%":
        return any(like(text[i:], wanted[1:]) for i in range(len(text) + 1))
    return bool(text) and (wanted[0] in ("_", text[0])) and like(text[1:], wanted[1:])


@functools.cache
def column_of(table: str, row: int, name: str) -> float:
    if name != "water_depth":
        return float(STATE[name][row])
    shape, ground = CITY[table].geometry[row], CITY.ground
    if shape is None:
        return math.nan
    found = []
    inner = shape.point_on_surface()
    west, south, east, north = shape.bounds
    for cell in range(ground.size):
        iy, ix = divmod(cell, 60)
        left, top = ground.west + ix * 20.0, ground.north - iy * 20.0
        if not (left < east + 20 and left + 20 > west - 20 and top > south - 20 and top - 20 < north + 20):
            continue
        holds = left <= inner.x < left + 20 and top - 20 < inner.y <= top
        if holds or shape.contains(shapely.Point(left + 10, top - 10)):
            found.append(STATE["water_depth"][cell])
    return max(found, default=math.nan)


def holds(query: Query, row: int) -> bool:
    frame = CITY[query.table]
    field = next((f for f in ("kind", "use", "class") if f in frame), None)
    kinds = [query.kind] if isinstance(query.kind, str) else query.kind
    if kinds is not None and frame[field][row] not in kinds:
        return False
    for c in query.where:
        value = frame[c.property][row] if c.property else column_of(query.table, row, c.column)
        if not compared(value, c.test, c.value):
            return False
    return placed(query, row) and all(related(query.table, frame["key"][row], r) for r in query.related)


def placed(query: Query, row: int) -> bool:
    place = query.within
    if place is None:
        return True
    shape = CITY[query.table].geometry[row]
    if shape is None:
        return False
    degrees = shapely.transform(shape, lambda p: np.column_stack(CITY.to_lonlat(p[:, 0], p[:, 1])))
    good = place.bbox is None or degrees.intersects(shapely.box(*place.bbox))
    good = good and (place.polygon is None or degrees.intersects(shapely.Polygon(*place.polygon[:1], place.polygon[1:])))
    if place.around is not None:
        x, y = CITY.from_lonlat(place.around.lon, place.around.lat)
        good = good and shape.distance(shapely.Point(x, y)) <= place.around.metres
    if place.near is not None:
        things = place.near.things
        others = [CITY[things.table].geometry[i] for i in naive(things)]
        good = good and any(o is not None and shape.distance(o) <= place.near.metres for o in others)
    return bool(good)


def related(table: str, key: str, asked) -> bool:
    goal = {(asked.to.table, CITY[asked.to.table]["key"][i]) for i in naive(asked.to)}
    front = {(table, key)}
    for _ in range(asked.steps):
        reached = set()
        for _, kind, a, a_key, b, b_key in CITY.relations.itertuples():
            there = all(t in CITY and k in set(CITY[t]["key"]) for t, k in ((a, a_key), (b, b_key)))
            if kind != asked.kind or not there:
                continue
            if asked.direction in ("out", "any") and (a, a_key) in front:
                reached.add((b, b_key))
            if asked.direction in ("in", "any") and (b, b_key) in front:
                reached.add((a, a_key))
        if reached & goal:
            return True
        front = reached
    return False


FOUND: dict[Query, list[int]] = {}


def naive(query: Query) -> list[int]:
    key = query.model_dump_json()
    if key not in FOUND:
        FOUND[key] = [row for row in range(CITY.size(query.table)) if holds(query, row)]
    return FOUND[key]


# -- any question ------------------------------------------------------------------------------------------------------

COMPARING = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
WORDS = st.sampled_from([n for n in NAMES if n is not None])
LIKE = st.one_of(WORDS, st.text("%_carC ", max_size=6), st.sampled_from(["carrer%", "%a%", "%", "_", "a_b"]))


def on(name: str, values: st.SearchStrategy, sort: str = "property") -> st.SearchStrategy:
    one = st.builds(lambda t, v: {sort: name, "test": t, "value": v}, COMPARING, values)
    many = st.builds(lambda v: {sort: name, "test": "in", "value": v}, st.lists(values, max_size=3))
    return st.one_of(one, many, st.builds(lambda v: {sort: name, "test": "known", "value": v}, st.booleans()))


TEXT = st.one_of(on("name", WORDS), st.builds(lambda v: {"property": "name", "test": "like", "value": v}, LIKE))
DEPTH = on("water_depth", st.sampled_from([0.3, 0.8, 0.95]), "column")
WHERE = {
    "road": st.one_of(TEXT, on("lanes", st.sampled_from([1.0, 2.0])), on("oneway", st.booleans())),
    "building": st.one_of(on("levels", st.integers(1, 5)), on("dwellings", st.sampled_from([1, 4])), DEPTH,
                          on("damage_state", st.sampled_from([0.0, 1.0]), "column")),
    "facility": st.one_of(TEXT, DEPTH),
    "device": st.one_of(TEXT, on("river_level", st.sampled_from([0.5, 1.0, 2.5]), "column")),
    "power_bus": st.builds(lambda v: {"property": "key", "value": v}, st.sampled_from(["s0", "s1", "S1"])),
}  # fmt: skip
KINDS = {"road": ["primary", "footway"], "building": ["house", "apartments"], "facility": ["hospital", "school", "clinic"],
         "device": ["river_stage", "noise", "rain_gauge"], "power_bus": ["substation"]}  # fmt: skip


def lonlat(point: tuple[float, float]) -> tuple[float, float]:
    lon, lat = CITY.to_lonlat(*point)
    return float(lon), float(lat)


PLACE = st.builds(lambda a, b: lonlat((X + a, Y + b)), st.integers(-100, 1100), st.integers(-100, 1100))


def box_of(a, b) -> list[float]:
    return [min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])]


@st.composite
def queries(draw, deep: int = 2) -> dict:
    table = draw(st.sampled_from(sorted(WHERE)))
    said: dict = {"table": table}
    if draw(st.booleans()):
        kinds = st.sampled_from([k for k in KINDS[table] if k in set(CITY[table].get("kind", KINDS[table])) or k == "clinic"])
        said["kind"] = draw(st.one_of(kinds, st.lists(kinds, max_size=2)))
    said["where"] = draw(st.lists(WHERE[table], max_size=2))
    within = {}
    if draw(st.integers(0, 3)) == 0:
        within["bbox"] = box_of(draw(PLACE), draw(PLACE))
    if draw(st.integers(0, 5)) == 0:
        a, b, c = draw(PLACE), draw(PLACE), draw(PLACE)
        if abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) > 1e-7:
            within["polygon"] = [[a, b, c, a]]
    if draw(st.integers(0, 3)) == 0:
        lon, lat = draw(PLACE)
        within["around"] = {"lon": lon, "lat": lat, "metres": draw(st.sampled_from([0.0, 150.0, 600.0]))}
    if deep and draw(st.integers(0, 2)) == 0:
        within["near"] = {"things": draw(queries(deep - 1)), "metres": draw(st.sampled_from([0.0, 30.0, 250.0]))}
    if within:
        said["within"] = within
    if deep and draw(st.booleans()):
        said["related"] = [{"kind": draw(st.sampled_from(["observes", "feeds", "serves"])), "to": draw(queries(deep - 1)),
                            "direction": draw(st.sampled_from(["in", "out", "any"])),
                            "steps": draw(st.integers(1, 3))}]  # fmt: skip
    return said


@CHECKED
@given(queries())
def test_a_question_finds_what_a_look_at_every_thing_finds(said) -> None:
    query = query_of(said)
    assert Graph.of(CITY).rows(query, STATE).tolist() == naive(query)


@CHECKED
@given(st.text("ab%_.\n[", max_size=12), st.text("abB.\n[", max_size=12))
def test_like_is_what_its_definition_says(wanted, text) -> None:
    assert bool(pattern(wanted).fullmatch(text)) == like(text.lower(), wanted.lower())


def test_a_pattern_of_many_wildcards_takes_no_long_time() -> None:
    assert not pattern("%a" * 200 + "b").fullmatch("a" * 500)


def test_the_question_of_the_devices_near_the_hospitals_of_a_substation() -> None:
    bus = {"table": "power_bus", "where": [{"property": "key", "value": "s1"}]}
    fed = {"table": "facility", "kind": "hospital", "related": [{"kind": "feeds", "direction": "in", "to": bus}]}
    roads = {"table": "road", "within": {"near": {"things": fed, "metres": 500}}}
    query = query_of({"table": "device", "related": [{"kind": "observes", "direction": "out", "to": roads}]})
    found = Graph.of(CITY).rows(query).tolist()
    assert found == naive(query)
    assert 0 < len(found) < CITY.size("device")


def test_the_same_question_answers_of_each_state_by_itself() -> None:
    query = query_of({"table": "device", "where": [{"column": "river_level", "test": ">", "value": 2}]})
    graph, fork = Graph.of(CITY), STATE.fork()
    before = graph.rows(query, STATE).tolist()
    fork.edit("river_level")[:] = 0.0
    fork.edit("river_level")[7] = 3.0
    assert graph.rows(query, fork).tolist() == [7]
    assert graph.rows(query, STATE).tolist() == before != [7]
    assert graph.rows(query, State(CITY)).tolist() == []


def test_a_question_writes_nothing_into_the_state() -> None:
    state = State(CITY)
    Graph.of(CITY).rows(
        query_of({"table": "device", "where": [{"column": "noise_level", "test": "known", "value": False}]}), state
    )
    assert "noise_level" not in state


def test_found_things_bring_their_columns() -> None:
    query = query_of({"table": "building", "where": [{"column": "damage_state", "test": ">", "value": 0}]})
    found = Graph.of(CITY).find(query, STATE, ("damage_state", "water_depth"))
    assert found["damage_state"].tolist() == [v for v in STATE["damage_state"] if v > 0]
    assert found["water_depth"].between(0, 1).all()
    assert "damage_state" not in CITY["building"]


def test_a_box_around_the_whole_world_holds_everything_that_has_a_place() -> None:
    for table in ("road", "building", "facility"):
        query = query_of({"table": table, "within": {"bbox": [-180, -90, 180, 90]}})
        assert len(Graph.of(CITY).rows(query)) == CITY.size(table)
    nowhere = query_of({"table": "road", "within": {"bbox": [100, -90, 120, 90]}})
    assert len(Graph.of(CITY).rows(nowhere)) == 0


def test_a_graph_does_not_keep_its_city() -> None:
    city = made(5)[0]
    graph = Graph.of(city)
    assert Graph.of(city) is graph
    del city
    gc.collect()
    with pytest.raises(MissingError, match="gone"):
        graph.rows(Query(table="road"))


NESTED: dict = {"table": "road"}
for _ in range(DEEPEST):
    NESTED = {"table": "road", "related": [{"kind": "observes", "to": NESTED}]}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"tabel": "road"}, 'no field "tabel" (did you mean "table"?)'),
        ({"table": "raod"}, 'did you mean "road"?'),
        ({"table": "facility", "kind": "hospitals"}, 'did you mean "hospital"?'),
        ({"table": "household", "kind": "x"}, "have no kinds"),
        ({"table": "road", "where": [{"property": "clas", "value": "x"}]}, 'did you mean "class"?'),
        ({"table": "road", "where": [{"property": "geometry", "value": "x"}]}, "no property"),
        ({"table": "device", "where": [{"column": "river_levels", "value": 1}]}, 'did you mean "river_level"?'),
        ({"table": "road", "where": [{"column": "river_level", "value": 1}]}, "is on table device, not on road"),
        ({"table": "device", "where": [{"property": "river_level", "value": 1}]}, "ask for column"),
        ({"table": "road", "where": [{"property": "class", "value": 1}]}, "compare it with text"),
        ({"table": "road", "where": [{"property": "lanes", "value": "2"}]}, "compare it with a number"),
        ({"table": "road", "where": [{"property": "lanes", "test": "in", "value": 2}]}, "takes a list"),
        ({"table": "road", "where": [{"property": "lanes", "test": "like", "value": 2}]}, "compares with text"),
        ({"table": "road", "where": [{"property": "lanes", "column": "x", "value": 2}]}, "give one of the two"),
        ({"table": "road", "where": [{"value": 2}]}, "give one of the two"),
        ({"table": "road", "within": {}}, "give bbox, polygon, around or near"),
        ({"table": "road", "within": {"bbox": [3, 1, 2, 4]}}, "is not a box"),
        ({"table": "road", "within": {"polygon": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}}, "crosses itself"),
        ({"table": "household", "within": {"bbox": [1, 1, 2, 4]}}, "has no places"),
        ({"table": "road", "within": {"near": {"things": {"table": "household"}, "metres": 5}}}, "has no places"),
        ({"table": "road", "related": [{"kind": "feed", "to": {"table": "road"}}]}, 'did you mean "feeds"?'),
        (NESTED, "too many queries within queries"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_right(said, words) -> None:
    with pytest.raises(TwinError, match=re.escape(words)):
        Graph.of(CITY).rows(query_of(said), STATE)


def test_a_column_needs_a_state() -> None:
    with pytest.raises(InputError, match="needs a state"):
        Graph.of(CITY).rows(query_of({"table": "device", "where": [{"column": "river_level", "value": 1}]}))
