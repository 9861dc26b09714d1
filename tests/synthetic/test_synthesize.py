"""Laws that a made city keeps: it adds up, it hangs together, and the same seed gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from citytwin.city import BANDS, FACILITY_KINDS, FORMS, RELATION_FIELDS, RELATIONS, City, read_city, write_city
from citytwin.city.synthetic import synthesize
from citytwin.errors import InputError

TOWN = (12_000, 3_000, 4)
VILLAGE = (500, 50, 1)


@cache
def made(people: int, devices: int, seed: int) -> City:
    return synthesize(people, devices, seed)


@pytest.fixture(params=[TOWN, VILLAGE], ids=["town", "village"])
def city(request: pytest.FixtureRequest) -> City:
    return made(*request.param)


@pytest.fixture
def town() -> City:
    return made(*TOWN)


def positions(city: City, table: str, keys: pd.Series) -> np.ndarray:
    rows = city.rows(table, keys)
    assert (rows >= 0).all(), f"keys that are not in {table}"
    return rows


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes_of_every_file(tmp_path: Path) -> None:
    write_city(synthesize(*VILLAGE), tmp_path / "one")
    code = (
        "from pathlib import Path; from citytwin.city import write_city; from citytwin.city.synthetic import synthesize;"
        f"write_city(synthesize(*{VILLAGE}), Path({str(tmp_path / 'two')!r}))"
    )
    other = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=other)
    one = hashes(tmp_path / "one")
    assert len(one) >= 17
    assert one == hashes(tmp_path / "two")


def test_another_seed_gives_another_city() -> None:
    one, two = made(*VILLAGE), synthesize(500, 50, 2)
    assert one["building"].total_bounds.tolist() != two["building"].total_bounds.tolist()


def test_a_written_city_reads_back_with_every_table_in_its_declared_form(city: City, tmp_path: Path) -> None:
    write_city(city, tmp_path / "city")
    read = read_city(tmp_path / "city")
    assert set(read.tables) == set(FORMS)
    for name, form in FORMS.items():
        table = read.table(name)
        assert {a.name for a in form.attributes} <= set(table.columns), name
        if form.geometry:
            assert set(table.geom_type.unique()) == {form.geometry}, name
            assert table.is_valid.all(), name
    assert set(read.ground.layers) == set(BANDS)
    assert read.facts.synthetic
    assert "made up" in read.facts.notes[0]


def test_there_are_exactly_as_many_people_and_devices_as_asked_for(city: City) -> None:
    people, devices = (TOWN if city is made(*TOWN) else VILLAGE)[:2]
    assert city.size("person") == people
    assert city.size("device") == devices
    for table in ("building", "household", "zone"):
        assert city[table]["people"].sum() == people, table


@pytest.mark.parametrize(("people", "devices"), [(1, 0), (2, 3), (37, 120)])
def test_the_smallest_cities_are_whole_too(people: int, devices: int) -> None:
    city = synthesize(people, devices, 8)
    assert city["building"]["people"].sum() == people
    assert (city.size("device") if "device" in city else 0) == devices


@pytest.mark.parametrize(
    ("people", "devices", "seed"),
    [(0, 5, 1), (-3, 5, 1), (30_000_000, 5, 1), (100, -1, 1), (100, 5, -1), (True, 5, 1), (1.5, 5, 1)],
)
def test_impossible_sizes_are_refused_in_one_line(people: int, devices: int, seed: int) -> None:
    with pytest.raises(InputError) as refused:
        synthesize(people, devices, seed)
    assert "\n" not in str(refused.value)


def test_everybody_lives_in_a_household_in_a_home(city: City) -> None:
    person, household, building = city["person"], city["household"], city["building"]
    home = positions(city, "household", person["household"])
    assert (np.bincount(home, minlength=len(household)) == household["people"]).all()
    where = positions(city, "building", household["building"])
    assert building["use"].isin(["house", "apartments"]).to_numpy()[where].all()
    assert (np.bincount(where, minlength=len(building)) <= building["dwellings"]).all()
    assert (np.bincount(where[home], minlength=len(building)) == building["people"]).all()


def test_no_child_lives_alone(city: City) -> None:
    eldest = city["person"].groupby("household")["age"].max()
    assert eldest.min() >= 18


def test_residents_by_age_add_up(city: City) -> None:
    age, building = city["person"]["age"], city["building"]
    assert building["people_under_15"].sum() == (age < 15).sum()
    assert building["people_over_64"].sum() == (age > 64).sum()


def test_ages_and_household_sizes_are_those_of_the_census(town: City) -> None:
    age = town["person"]["age"].to_numpy()
    assert abs((age < 15).mean() - 0.136) < 0.003  # from the counts in people.AGE_GROUPS
    assert abs((age > 64).mean() - 0.199) < 0.003
    share = town["household"]["people"].value_counts(normalize=True)
    for size, expected in {1: 0.42, 2: 0.34, 3: 0.12, 4: 0.09}.items():
        assert abs(share[size] - expected) < 0.005, size


def test_parents_are_a_generation_older_than_their_children(town: City) -> None:
    person = town["person"]
    age, home = person["age"].to_numpy(), person["household"].to_numpy()
    minors = person[age < 18].groupby("household")["age"].max()
    adults = person[(age >= 25)].groupby("household")["age"].min()
    gap = (adults - minors).dropna()
    assert len(home) == len(person)
    assert len(gap) > 500
    assert 24 < gap.median() < 36
    assert (gap < 15).mean() < 0.03


def test_all_school_children_go_to_a_school_that_has_room(city: City) -> None:
    person, facility = city["person"], city["facility"]
    pupils = person[(person["age"] >= 6) & (person["age"] < 18)]
    assert (pupils["occupation"] == "pupil").all()
    school = positions(city, "facility", pupils["place"])
    assert (facility["kind"].to_numpy()[school] == "school").all()
    at_place = person[person["place"].str.startswith("f")]["place"].value_counts()
    learning = facility[facility["kind"].isin(["school", "kindergarten", "university"])].set_index("key")["capacity"]
    assert (at_place <= learning.reindex(at_place.index)).all()


def test_workers_work_in_buildings_that_are_not_homes(city: City) -> None:
    workers = city["person"].query("occupation == 'worker'")
    at = positions(city, "building", workers["place"])
    assert not city["building"]["use"].isin(["house", "apartments"]).to_numpy()[at].any()


def test_streets_hang_together(city: City) -> None:
    road = city["road"]
    start, end = positions(city, "junction", road["from_junction"]), positions(city, "junction", road["to_junction"])
    place = shapely.get_coordinates(city["junction"].geometry)
    lines = road.geometry.to_numpy()
    assert np.allclose(place[start], shapely.get_coordinates(shapely.get_point(lines, 0)), atol=0.02)
    assert np.allclose(place[end], shapely.get_coordinates(shapely.get_point(lines, -1)), atol=0.02)
    count = city.size("junction")
    for use in (np.ones(len(road), dtype=bool), road["drivable"].to_numpy()):
        part = connected_components(
            coo_array((np.ones(use.sum()), (start[use], end[use])), shape=(count, count)), directed=False
        )[1]
        inside = np.isin(np.arange(count), np.concatenate([start[use], end[use]]))
        assert np.bincount(part[inside]).max() > 0.99 * inside.sum()


def test_bridges_cross_the_river_and_nothing_else_does(city: City) -> None:
    road = city["road"]
    river = city["waterway"].geometry.union_all()
    crossing = road.intersects(river)
    assert crossing.any()
    assert road[crossing]["bridge"].all()
    assert road[road["bridge"]].intersects(river).all()


def test_no_building_stands_on_another_on_a_street_or_in_the_water(city: City) -> None:
    shape = city["building"].geometry.to_numpy()
    first, second = shapely.STRtree(shape).query(shape, predicate="intersects")
    assert (first == second).all()
    road = city["road"]
    assert not len(shapely.STRtree(shape).query(road.geometry.to_numpy(), predicate="intersects")[0])
    assert not city["building"].intersects(city["water"].union_all()).any()


def test_buildings_lie_in_their_zones(city: City) -> None:
    zone = positions(city, "zone", city["building"]["zone"])
    middle = shapely.point_on_surface(city["building"].geometry.to_numpy())
    assert shapely.contains(city["zone"].geometry.to_numpy()[zone], middle).mean() > 0.995


def test_every_kind_of_facility_that_a_crisis_needs_is_there(city: City) -> None:
    kinds = set(city["facility"]["kind"])
    assert kinds <= set(FACILITY_KINDS)
    assert {"hospital", "school", "fire_station", "police", "shelter", "care_home", "power_substation", "water_works"} <= kinds
    named = city["facility"]["building"]
    inside = positions(city, "building", named[named != ""])
    at = city["facility"].geometry.to_numpy()[(named != "").to_numpy()]
    assert shapely.distance(at, city["building"].geometry.to_numpy()[inside]).max() < 30


def test_each_building_is_fed_by_one_transformer_and_one_water_node(city: City) -> None:
    feeds = city.relations.query("kind == 'feeds' and to_table == 'building'")
    for table, kind in (("power_bus", "transformer"), ("water_node", "junction")):
        rows = feeds[feeds["from_table"] == table]
        assert sorted(rows["to_key"]) == sorted(city["building"]["key"])
        assert (city[table]["kind"].to_numpy()[positions(city, table, rows["from_key"])] == kind).all()


@pytest.mark.parametrize(
    ("nodes", "lines", "end", "source"), [("power_bus", "power_line", "bus", "plant"), ("water_node", "pipe", "node", "works")]
)
def test_every_network_node_is_reached_from_its_source(city: City, nodes: str, lines: str, end: str, source: str) -> None:
    start, stop = (positions(city, nodes, city[lines][f"{way}_{end}"]) for way in ("from", "to"))
    place = shapely.get_coordinates(city[nodes].geometry)
    shape = city[lines].geometry.to_numpy()
    for rows, which in ((start, 0), (stop, -1)):
        gap = np.hypot(*(place[rows] - shapely.get_coordinates(shapely.get_point(shape, which))).T)
        assert gap.max() < 1.0
    graph = coo_array((np.ones(len(start)), (start, stop)), shape=(len(place),) * 2)
    part = connected_components(graph, directed=False)[1]
    assert (part == part[int(np.argmax(city[nodes]["kind"] == source))]).all()


def test_devices_are_of_many_kinds_and_lie_where_they_belong(town: City) -> None:
    device = town["device"]
    assert device["kind"].nunique() >= 25
    assert set(device["kind"]) <= set(town.columns.kinds)
    west, south, east, north = town.ground.bounds
    assert device.geometry.x.between(west, east).all()
    assert device.geometry.y.between(south, north).all()
    seen = town.relations.query("kind == 'observes'").set_index("from_key").reindex(device["key"])
    assert seen["to_key"].notna().all()
    for table, most in (
        ("building", 0.01),
        ("road", 16.0),
        ("waterway", 1.0),
        ("power_bus", 3.0),
        ("water_node", 3.0),
        ("zone", 0.1),
    ):
        rows = (seen["to_table"] == table).to_numpy()
        assert rows.any(), table
        thing = town[table].geometry.to_numpy()[positions(town, table, seen["to_key"][rows])]
        assert shapely.distance(device.geometry.to_numpy()[rows], thing).max() <= most, table
    assert set(seen["to_table"][(device["kind"] == "river_stage").to_numpy()]) == {"waterway"}
    assert set(seen["to_table"][(device["kind"] == "water_meter").to_numpy()]) == {"building"}


def test_relations_are_declared_and_point_to_things_that_exist(city: City) -> None:
    relations = city.relations
    assert tuple(relations.columns) == RELATION_FIELDS
    assert set(relations["kind"]) <= set(RELATIONS)
    for way in ("from", "to"):
        for table, keys in relations.groupby(f"{way}_table")[f"{way}_key"]:
            positions(city, str(table), keys)


def test_the_river_bed_falls_all_the_way_to_the_sea(city: City) -> None:
    line = city["waterway"].geometry.union_all()
    x, y = shapely.get_coordinates(shapely.line_interpolate_point(line, np.arange(0, line.length, 1.0))).T
    cells = city.ground.rows(x, y)
    _, first = np.unique(cells, return_index=True)
    bed = city.ground.elevation.ravel()[cells[np.sort(first)]]
    assert bed[-1] < 0
    assert bed[0] - bed[-1] > 0.3
    assert (np.diff(bed) <= 1e-6).mean() > 0.999
    assert np.diff(bed).max() < 0.02


def test_the_ground_is_whole_and_shares_are_shares(city: City) -> None:
    ground = city.ground
    assert all(np.isfinite(layer).all() for layer in ground.layers.values())
    for name in ("impervious", "building", "water"):
        assert ground.layer(name).min() >= 0
        assert ground.layer(name).max() <= 1
    roofs = city["building"].area.sum()
    assert abs(ground.layer("building").sum() * ground.cell_size**2 - roofs) < 0.1 * roofs
    assert ground.elevation[ground.layer("water") > 0.99].mean() < ground.elevation[ground.layer("water") == 0].mean()


def test_a_flood_would_reach_homes_in_the_low_part(town: City) -> None:
    """Ground below the river's own banks, protected by a low levee only, and people living there."""
    middle = shapely.get_coordinates(shapely.centroid(town["building"].geometry.to_numpy()))
    height = town.ground.elevation.ravel()[town.ground.rows(*middle.T)]
    line = town["waterway"].geometry.union_all()
    bank = 1.8 + 0.0009 * (line.length - shapely.line_locate_point(line, shapely.points(middle)))
    assert town["building"]["people"][height < bank].sum() > 0.02 * town.size("person")
