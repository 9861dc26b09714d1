"""One row a site, and a hospital is what takes the injured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd

from citytwin.city import City
from citytwin.io.importers.build import Plan, build_city


def facilities(town: Any, tmp_path: Path) -> gpd.GeoDataFrame:
    made: City = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))
    return gpd.GeoDataFrame(made["facility"])


def count(table: gpd.GeoDataFrame, kind: str) -> int:
    return int((table["kind"] == kind).sum())


def test_a_hospital_is_one_site_however_often_it_is_drawn(town: Any, tmp_path: Path) -> None:
    town.node(230, 230, amenity="hospital", name="Town Hospital")
    town.node(250, 230, amenity="hospital")
    town.square(150, 150, 150, amenity="hospital", healthcare="hospital", name="Town Hospital", beds="120")
    found = facilities(town, tmp_path).query("kind == 'hospital'")
    assert len(found) == 1
    assert found["capacity"].iloc[0] == 120
    assert found["building"].iloc[0] != ""


def test_a_node_that_only_says_hospital_is_left_out(town: Any, tmp_path: Path) -> None:
    town.node(900, 900, amenity="hospital", healthcare="hospital")
    town.node(100, 900, amenity="hospital")
    assert count(facilities(town, tmp_path), "hospital") == 1


def test_a_named_practice_tagged_as_hospital_is_kept_as_a_clinic(town: Any, tmp_path: Path) -> None:
    town.node(900, 900, amenity="hospital", name="Centre Mèdic")
    town.node(100, 900, healthcare="hospital", emergency="no", name="Reiki Hospital")
    found = facilities(town, tmp_path)
    assert count(found, "hospital") == 1
    clinics = found[found["kind"] == "clinic"]
    assert len(clinics) == 2
    assert clinics["estimated"].str.contains("kind").all()


def test_a_second_real_hospital_is_kept_in_any_language(town: Any, tmp_path: Path) -> None:
    for n, name in enumerate(("Klinikum Nord", "東京病院", "Городская больница", "Hôpital Sud", "Spitalul Județean")):
        town.node(50 + 150 * n, 950 if n % 2 else 30, amenity="hospital", name=name)
    assert count(facilities(town, tmp_path), "hospital") == 6


def test_two_fuel_stations_of_one_chain_are_two(town: Any, tmp_path: Path) -> None:
    town.node(100, 480, amenity="fuel", name="Oil")
    town.node(300, 480, amenity="fuel", name="Oil")
    assert count(facilities(town, tmp_path), "fuel") == 2


def test_power_comes_from_the_nearest_substation_and_stops_with_its_place(town: Any, tmp_path: Path) -> None:
    west, east = town.square(20, 300, 20, power="substation"), town.square(960, 700, 20, power="substation")
    town.way([(30, 310), (500, 600), (970, 710)], power="line", voltage="20000")
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))
    line = made["power_line"].iloc[0]
    assert {line["from_bus"], line["to_bus"]} == {f"w{west}", f"w{east}"}
    feeds = made.relations.query("kind == 'feeds' and to_table == 'building'")
    assert len(feeds) == len(made["building"])
    assert set(feeds["from_key"]) == {f"w{west}", f"w{east}"}
    assert len(made.relations.query("kind == 'depends_on' and from_table == 'power_bus'")) == 2
    serves = made.relations.query("kind == 'serves'")
    assert set(serves["to_key"]) == set(made["zone"]["key"])
