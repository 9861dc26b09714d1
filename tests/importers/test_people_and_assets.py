"""People, stops and assets from files come where they belong, and none is lost."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from citytwin.errors import InputError
from citytwin.io.importers.assets import read_mapping
from citytwin.io.importers.build import Assets, Plan, build_city
from citytwin.io.importers.gtfs import read_gtfs
from citytwin.io.importers.population import whole

Write = Callable[..., Path]


@pytest.fixture
def osm(town: Any, tmp_path: Path) -> Path:
    path: Path = town.write(tmp_path / "town.osm")
    return path


def test_a_raster_of_people_keeps_its_total(osm: Path, write_raster: Write) -> None:
    people = write_raster("people.tif", np.full((8, 8), 25.0), west=10.0, north=50.01, size=0.00125)
    made = build_city(Plan(osm, "T", population=people))["building"]
    assert made["people"].sum() == 8 * 8 * 25
    assert (made["people"] == np.round(made["people"])).all()
    assert made.loc[made["dwellings"] == 0, "people"].sum() == 25  # the hospital is all that stands in its pixel
    assert "people" not in made["estimated"].iloc[0].split(",")


def test_people_are_shared_by_floor_area(osm: Path, write_raster: Write) -> None:
    people = write_raster("people.tif", [[600.0]], west=9.99, north=50.02, size=0.04)
    made = build_city(Plan(osm, "T", population=people))["building"]
    homes = made[made["dwellings"] > 0]
    share = homes["floor_area"] / homes["floor_area"].sum() * 600
    assert np.abs(homes["people"] - share).max() <= 1


def test_a_density_is_people_per_square_kilometre(osm: Path, write_raster: Write) -> None:
    people = write_raster("density.tif", np.full((10, 10), 1000.0), west=10.0, north=50.01, size=0.001)
    made = build_city(Plan(osm, "T", population=people, population_density=True))["building"]
    pixel = 0.001 * 71.7 * 0.001 * 111.24  # km2
    assert made["people"].sum() == pytest.approx(100 * 1000 * pixel, rel=0.02)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet"])
def test_people_of_polygons_keep_their_total_and_stay_inside(osm: Path, tmp_path: Path, suffix: str) -> None:
    west, east = shapely.box(10.0, 50.0, 10.007, 50.009), shapely.box(10.007, 50.0, 10.014, 50.009)
    hexes = gpd.GeoDataFrame({"POPULATION": [100, 300], "name": ["a", "b"]}, geometry=[west, east], crs=4326)
    path = tmp_path / f"hex{suffix}"
    hexes.to_parquet(path) if suffix == ".parquet" else hexes.to_file(path)
    made = build_city(Plan(osm, "T", population=path))["building"]
    assert made["people"].sum() == 400
    inside = shapely.centroid(made.to_crs(4326).geometry.to_numpy())
    assert made.loc[shapely.intersects(west, inside), "people"].sum() == 100


def test_people_at_points_of_a_csv_go_to_the_homes_around(osm: Path, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("lon,lat,residents\n10.002,50.005,40\n10.01,50.003,60\n")
    made = build_city(Plan(osm, "T", population=path))["building"]
    assert made["people"].sum() == 100


def test_a_table_that_does_not_say_who_lives_there_is_refused(osm: Path, tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("lon,lat,a,b\n10.002,50.005,40,1\n")
    with pytest.raises(InputError, match="which column"):
        build_city(Plan(osm, "T", population=path))
    with pytest.raises(InputError, match=r'did you mean "a"|allowed'):
        build_city(Plan(osm, "T", population=path, population_column="aa"))


def test_people_elsewhere_are_refused(osm: Path, write_raster: Write) -> None:
    for west, fill in ((30.0, 5.0), (9.98, np.nan)):
        with pytest.raises(InputError):
            build_city(Plan(osm, "T", population=write_raster("else.tif", np.full((100, 100), fill), west=west)))


def test_a_stated_population_scales_the_rule(town: Any, tmp_path: Path) -> None:
    town.node(500, 480, place="town", name="Town", population="60")
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))
    assert made["building"]["people"].sum() == 60
    assert any("stated population of 60" in note for note in made.facts.notes)


def test_of_a_town_that_the_box_cuts_only_its_share_is_counted(town: Any, tmp_path: Path) -> None:
    town.node(500, 480, place="town", name="Town", population="60")
    path = town.write(tmp_path / "t.osm")
    half = build_city(Plan(path, "T", bbox=(9.99, 49.99, 10 + 450 / 71700, 50.02)))["building"]
    assert half["people"].sum() == pytest.approx(60 * len(half) / 14, abs=1)


def test_an_unbelievable_population_is_not_taken(town: Any, tmp_path: Path) -> None:
    town.node(500, 480, place="city", name="Metropolis", population="9000000")
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["building"]
    assert made["people"].sum() < 1000


def test_outbuildings_without_an_address_hold_no_homes_where_addresses_are_mapped(town: Any, tmp_path: Path) -> None:
    for n in range(10):
        town.square(50 + 80 * n, 700, 14, building="yes", addr__housenumber=str(n))
        town.square(80 + 80 * n, 700, 6, building="yes")
    for n in range(12):
        town.node(66 + 70 * n, 536, addr__housenumber=str(n))
    for n in range(4):
        town.node(710 + n, 310, addr__housenumber=f"{n}a")
    made = build_city(Plan(town.write(tmp_path / "t.osm"), "T"))["building"]
    small = made[(made["class"] == "yes") & (made.geometry.area < 60)]
    assert len(small) == 10
    assert small["dwellings"].sum() == 0
    assert (made.loc[(made["class"] == "yes") & (made.geometry.area > 60), "dwellings"] == 1).all()


def test_whole_people_keep_each_groups_total() -> None:
    rng = np.random.default_rng(5)
    people, group = rng.random(200) * 3, rng.integers(0, 9, 200)
    rounded = whole(people, group)
    for g in range(9):
        assert rounded[group == g].sum() == round(people[group == g].sum())
    assert np.abs(rounded - people).max() < 1


FEED = {
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon,location_type\n"
    "A,First,50.004,10.004,0\nB,Last,50.006,10.008,\nS,Hall,50,10,1\n",
    "trips.txt": "route_id,service_id,trip_id\nr,week,t1\nr,week,t2\nr,sunday,t3\nr,extra,t4\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
    + "".join(f"t{n},8:00:00,8:00:00,{s},{i}\n" for n in (1, 2, 3, 4) for i, s in enumerate("AB")),
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "week,1,1,1,1,1,0,0,20260105,20260130\nsunday,0,0,0,0,0,0,1,20260105,20260130\n",
    "calendar_dates.txt": "service_id,date,exception_type\nextra,20260107,1\nweek,20260108,2\n",
    "frequencies.txt": "trip_id,start_time,end_time,headway_secs\nt2,06:00:00,08:00:00,600\n",
}


def test_departures_are_counted_on_the_busiest_working_day(osm: Path, tmp_path: Path) -> None:
    path = tmp_path / "feed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in FEED.items():
            archive.writestr(name, text)
    stops, day = read_gtfs(path)
    assert day == "2026-01-07"  # t1 once, t2 twelve times in two hours, t4 once
    assert dict(zip(stops["key"], stops["departures"], strict=True)) == {"A": 14, "B": 14}
    made = build_city(Plan(osm, "T", gtfs=path))
    assert made["stop"]["departures"].sum() == 28
    assert any("2026-01-07" in s.note for s in made.facts.sources)


def test_a_feed_without_stops_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "feed.zip", "w") as archive:
        archive.writestr("agency.txt", "x")
    with pytest.raises(InputError, match=r"no stops\.txt"):
        read_gtfs(tmp_path / "feed.zip")


def test_assets_come_into_their_table_by_a_mapping(osm: Path, tmp_path: Path) -> None:
    path = tmp_path / "sensors.csv"
    path.write_text("id,type,x,y,owner\ns1,rain_gauge,10.003,50.004,works\ns2,noise,10.006,50.002,works\n")
    mapping = read_mapping("key=id,kind=type,lon=x,lat=y,name=owner")
    device = build_city(Plan(osm, "T", assets=[Assets("device", path, mapping)]))["device"].set_index("key")
    assert device.loc["s1", "kind"] == "rain_gauge"
    assert device.loc["s2", "name"] == "works"
    assert device["zone"].ne("").all()


def test_assets_of_any_table_keep_their_own_columns(osm: Path, tmp_path: Path) -> None:
    pipes = gpd.GeoDataFrame(
        {"nr": [7], "dn": [0.3], "laid": [1987]}, geometry=[shapely.LineString([(10.001, 50.001), (10.009, 50.001)])], crs=4326
    )
    pipes.to_file(tmp_path / "mains.geojson")
    mapping = {"key": "nr", "diameter": "dn", "material": "=iron"}
    pipe = build_city(Plan(osm, "T", assets=[Assets("pipe", tmp_path / "mains.geojson", mapping)]))["pipe"]
    assert pipe.loc[0, ["key", "diameter", "material", "laid"]].tolist() == ["7", 0.3, "iron", 1987]
    assert pipe.crs.to_epsg() == 32632


PLACES = {"lon": "x", "lat": "y"}


@pytest.mark.parametrize(("table", "mapping", "words"), [
    ("device", {"kind": "typ"} | PLACES, 'did you mean "type"'), ("devices", {}, 'did you mean "device"'),
    ("device", {"lon": "xx"}, "xx"), ("device", {"kind": "bad"} | PLACES, 'did you mean "noise"'),
    ("device", {"key": "type"} | PLACES, "more than once"),
])  # fmt: skip
def test_a_mapping_that_does_not_fit_names_what_would(
    table: str, mapping: dict[str, str], words: str, osm: Path, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"type": ["noise", "noise"], "bad": ["noyse", "noyse"], "x": [10.001, 10.002], "y": [50.001, 50.002]})
    frame.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match=words):
        build_city(Plan(osm, "T", assets=[Assets(table, tmp_path / "s.csv", mapping)]))
