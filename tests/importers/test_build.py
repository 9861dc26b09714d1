"""A city built from files has what the files say, and says what it made up."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import numpy as np
import pytest
import shapely

from citytwin.city import City, read_city
from citytwin.city.info import describe_city
from citytwin.cli import main
from citytwin.io.importers.build import Plan, build_city, local_crs


@pytest.fixture
def city(town: Any, slope: Path, tmp_path: Path) -> City:
    return build_city(Plan(town.write(tmp_path / "town.osm"), "Town", [slope]))


def test_roads_are_cut_where_they_share_a_node(city: City) -> None:
    road = city["road"]
    assert len(road) == 4
    assert road["length"].sum() == pytest.approx(2000, rel=0.01)
    assert set(road["from_junction"]) | set(road["to_junction"]) == set(city["junction"]["key"])
    assert city["junction"]["signals"].sum() == 1


def test_a_oneway_drawn_backwards_is_turned_round(town: Any, tmp_path: Path) -> None:
    town.way([(1000, 500), (1000, 900)], highway="tertiary", oneway="-1", lanes="x", maxspeed="30 mph")
    road = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["road"].set_index("class").loc["tertiary"]
    first, last = shapely.get_coordinates(road.geometry)[[0, -1]]
    assert bool(road["oneway"])
    assert first[1] > last[1]
    assert road["speed"] == pytest.approx(30 * 0.44704)
    assert "lanes" in road["estimated"]
    assert "speed" not in road["estimated"]


def test_roads_that_are_not_there_yet_are_left_out(town: Any, tmp_path: Path) -> None:
    town.way([(0, 0), (0, 300)], highway="construction", construction="primary")
    town.way([(10, 0), (10, 300)], highway="proposed")
    town.way([(20, 0), (20, 300)], highway="unclassified", access="private")
    road = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["road"]
    assert not set(road["class"]) & {"construction", "proposed"}
    assert not road.loc[road["class"] == "unclassified", "drivable"].any()


def test_a_building_with_a_courtyard_has_no_floor_in_it(town: Any, tmp_path: Path) -> None:
    outer, inner = town.square(800, 800, 40), town.square(810, 810, 20)
    town.relation([(outer, "outer"), (inner, "inner")], building="yes", building__levels="2;3")
    built = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["building"].set_index("key").loc["r1"]
    assert built.geometry.area == pytest.approx(40**2 - 20**2, rel=0.02)
    assert built["levels"] == 3
    assert built["floor_area"] == pytest.approx(3 * built.geometry.area)


def test_a_building_takes_the_height_of_its_tallest_part(town: Any, tmp_path: Path) -> None:
    town.square(800, 800, 40, building="yes")
    town.square(805, 805, 10, building__part="yes", height="30 m")
    town.square(820, 820, 10, building__part="yes", height="40'")
    built = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["building"]
    tower = built[built["class"] == "yes"].iloc[0]
    assert tower["height"] == pytest.approx(30)
    assert tower["levels"] == 10


def test_what_no_tag_says_is_marked_estimated(city: City) -> None:
    house = city["building"].query("use == 'house'").iloc[0]
    assert {"levels", "height", "people"} <= set(house["estimated"].split(","))
    flats = city["building"].query("use == 'apartments'").iloc[0]
    assert "levels" not in flats["estimated"].split(",")
    assert flats["levels"] == 5


def test_every_building_and_facility_lies_in_a_zone_and_people_add_up(city: City) -> None:
    zones = set(city["zone"]["key"])
    assert set(city["building"]["zone"]) <= zones
    assert set(city["facility"]["zone"]) <= zones
    assert city["zone"]["people"].sum() == city["building"]["people"].sum() > 0


def test_admin_areas_that_tile_the_city_are_its_zones(town: Any, tmp_path: Path) -> None:
    for n in range(3):
        corners = [(n * 400 - 50, -50), (n * 400 + 350, -50), (n * 400 + 350, 1050), (n * 400 - 50, 1050), (n * 400 - 50, -50)]
        side = town.way(corners)
        town.relation([(side, "outer")], type="boundary", boundary="administrative", admin_level="9", name=f"Ward {n}")
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))
    assert sorted(made["zone"]["name"]) == ["Ward 0", "Ward 1", "Ward 2"]


def test_a_bank_across_a_stream_does_not_dam_it(city: City) -> None:
    ground, line = city.ground, city["waterway"].geometry.iloc[0]
    at = shapely.get_coordinates(shapely.segmentize(line, 2.0))
    along = ground.elevation.reshape(-1)[ground.rows(at[:, 0], at[:, 1])]
    assert (np.diff(along) <= 1e-4).all()
    beside = ground.elevation.reshape(-1)[ground.rows(at[:, 0] + 100, at[:, 1])]
    assert np.diff(beside).max() > 0.1  # the bank still stands beside it


def test_ground_layers_hold_shares_and_roughness(city: City) -> None:
    layers = city.ground.layers
    for name in ("impervious", "building", "water"):
        assert 0 <= layers[name].min() <= layers[name].max() <= 1
    cell = city.ground.cell_size**2
    assert layers["building"].sum() * cell == pytest.approx(city["building"].area.sum(), rel=0.05)
    assert 0.01 < layers["manning"].min() < layers["manning"].max() <= 0.15


def test_a_coast_has_the_sea_on_its_right(town: Any, tmp_path: Path) -> None:
    town.way([(600, -3000), (600, 4000)], natural="coastline")
    water = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["water"].set_index("key")
    place = town.nodes[(1000, 500)]
    assert place
    made = build_city(Plan(tmp_path / "t.osm", "T"))
    x, y = made.from_lonlat([10 + 900 / 71700, 10 + 100 / 71700], [50 + 500 / 111240] * 2)
    assert shapely.contains_xy(water.loc["sea"].geometry, x, y).tolist() == [True, False]


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".osm", bytes), (".osm.gz", gzip.compress), (".osm.bz2", bz2.compress), (".x", bytes)]
)
def test_every_form_of_osm_file_gives_the_same_city(town: Any, tmp_path: Path, suffix: str, pack: Callable[..., bytes]) -> None:
    path = tmp_path / f"town{suffix}"
    path.write_bytes(pack(town.text().encode()))
    made = build_city(Plan(path, "Town"))
    assert len(made["building"]) == 14
    assert made.facts.sources[0].date == "2026-01-02T03:04:05Z"


def test_the_same_files_give_the_same_bytes(town: Any, slope: Path, tmp_path: Path) -> None:
    osm = town.write(tmp_path / "town.osm")
    for name in ("one", "two"):
        assert main(["city", "build", str(tmp_path / name), "--osm", str(osm), "--dem", str(slope), "--name", "T"]) == 0
    assert read_city(tmp_path / "one").identity == read_city(tmp_path / "two").identity


def test_a_box_cuts_the_city(town: Any, tmp_path: Path) -> None:
    half = (9.99, 49.99, 10 + 450 / 71700, 50.02)
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T", bbox=half))
    assert 0 < len(made["building"]) < 14


def test_the_folder_opens_in_duckdb_and_geopandas_and_info_counts_it(
    town: Any, slope: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    osm, out = town.write(tmp_path / "town.osm"), tmp_path / "city"
    assert main(["city", "build", str(out), "--osm", str(osm), "--dem", str(slope), "--name", "Town", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    rows = duckdb.connect().execute(f"select count(*) from '{out}/building.parquet'").fetchone()
    assert rows == (14,) == (said["tables"]["building"]["rows"],)
    assert len(gpd.read_parquet(out / "road.parquet")) == said["tables"]["road"]["rows"]
    levels = said["tables"]["building"]["attributes"]["levels"]
    assert levels["known"] + levels["estimated"] + levels["missing"] == 14
    assert levels["known"] == 1
    assert said["sources"][0]["licence"].startswith("ODbL")
    assert any(text.startswith("pipe") for text in said["missing"])
    assert main(["city", "info", str(out)]) == 0
    assert "drivable" in capsys.readouterr().out


def test_a_city_without_terrain_says_that_it_has_none(town: Any, tmp_path: Path) -> None:
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))
    assert not made.has_ground
    assert describe_city(made)["ground"] is None
    assert any(text.startswith("ground") for text in made.facts.missing)


@pytest.mark.parametrize(
    ("lon", "lat", "code"), [(1.5, 42.5, 32631), (-70.6, -33.4, 32719), (179.9, 10, 32660), (10, 86, 32661)]
)
def test_the_local_crs_is_the_utm_zone_of_the_place(lon: float, lat: float, code: int) -> None:
    assert local_crs(lon, lat).to_epsg() == code


def test_andorra_is_what_its_extract_says(shared: Path) -> None:
    folder = shared / "andorra"
    plan = Plan(folder / "andorra-2025-01-19.osm.pbf", "Andorra", [folder / "N42E001.hgt.zip"], cell_size=50)
    figures = describe_city(build_city(plan))["highlights"]
    assert 7300 <= figures["buildings"] <= 7450
    assert 440 <= figures["drivable_road_km"] <= 480
    assert figures["facilities"]["hospital"] == 1
    assert 80_000 <= figures["people"] <= 90_000
