"""An exposure model over a map: the map says where buildings stand, the exposure what they are; totals are the exposure's."""

from __future__ import annotations

from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from citytwin.city import read_city
from citytwin.cli import main
from citytwin.io.importers.exposed import FAR, REACH, onto_buildings

HEAD = "id,lon,lat,taxonomy,number,structural,night,day,occupancy"


def houses(n=10, use="house"):
    shapes = [shapely.box(100.0 * i, 0, 100.0 * i + 10, 10) for i in range(n)]
    return gpd.GeoDataFrame(
        {"key": [f"w{i}" for i in range(n)], "use": use, "levels": np.arange(1.0, n + 1),
         "floor_area": 100.0 * np.arange(1, n + 1), "people": 5.0, "people_under_15": 1.0, "people_over_64": 1.0,
         "estimated": ""},
        geometry=shapes, crs="EPSG:32631",
    )  # fmt: skip


def assets(*rows):
    names = ["key", "x", "y", "taxonomy", "number", "value", "people", "people_day", "use"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(value_structural=table["value"], floor_area=np.nan)


def test_an_asset_of_one_building_is_the_building_that_it_lies_in_or_the_nearest_free_one():
    rows = assets(
        ("in", 5.0, 5.0, "URM", 1, 10.0, 2.0, 1.0, "house"), ("flat", 6.0, 5.0, "C1", 1, 30.0, 3.0, 1.0, "house"),
        ("beside", 100.0 - REACH / 2, 5.0, "W", 1, 7.0, 1.0, 1.0, "house"), ("far", 150.0, 5.0, "S", 1, 9.0, 1.0, 1.0, "house"),
    )  # fmt: skip
    found, notes = onto_buildings(houses(3), rows, residents=False)
    assert found["taxonomy"].tolist() == ["C1", "W", "", "S"]  # the more valuable flat says the type
    assert found["value"].tolist()[:2] == [40.0, 7.0]
    assert found["people"].tolist() == [5.0, 1.0, 5.0, 1.0]  # where nothing is said, the map's own
    assert found["key"].tolist() == ["w0", "w1", "w2", "far"]
    assert "3 assets are buildings of the map" in notes[0]
    assert "1 rows have no building" in notes[0]


def test_rows_for_many_are_dealt_out_by_their_shares_the_taller_to_the_taller_and_totals_stay():
    rows = assets(
        ("low", 500.0, 5.0, "MUR/H:1", 60, 600.0, 120.0, 60.0, "house"),
        ("high", 500.0, 5.0, "CR/H:6", 40, 900.0, 200.0, 90.0, "house"),
    )  # fmt: skip
    found, _ = onto_buildings(houses(10), rows, residents=False)
    assert found["taxonomy"].tolist() == ["MUR/H:1"] * 6 + ["CR/H:6"] * 4
    assert found["value"].sum() == pytest.approx(1500.0)
    assert found["people"].sum() == pytest.approx(320.0)
    assert found["people_day"].sum() == pytest.approx(150.0)
    assert found["value"].iloc[9] == pytest.approx(10 * found["value"].iloc[0])  # by floor area
    assert found["people_under_15"].sum() == pytest.approx(64.0)  # a fifth, as before


def test_uses_keep_their_own_rows_and_what_is_far_from_all_buildings_stays_a_square():
    building = houses(4)
    building.loc[3, "use"] = "industrial"
    rows = assets(
        ("homes", 0.0, 0.0, "MUR/H:2", 30, 300.0, 90.0, 10.0, "apartments"),
        ("works", 0.0, 0.0, "S/H:1", 5, 500.0, 0.0, 50.0, "industrial"),
        ("away", 300.0 + 2 * FAR, 0.0, "CR/H:3", 20, 100.0, 9.0, 9.0, "house"),
    )  # fmt: skip
    found, _ = onto_buildings(building, rows, residents=True)
    assert found["taxonomy"].tolist() == ["MUR/H:2"] * 3 + ["S/H:1", "CR/H:3"]
    assert found["value"].tolist()[3:] == [500.0, 100.0]
    assert found["number"].tolist()[4] == 20
    assert found["people"].tolist()[:4] == [5.0] * 4  # residents were known


def test_map_and_exposure_make_one_city_from_the_command_line(town, tmp_path, capsys):
    osm = town.write(tmp_path / "town.osm")
    form = SimpleNamespace(**type(town).write.__globals__)  # other folders have a module conftest too

    def line(key, x, y, *rest):
        lon, lat = form.WEST + x * form.STEP_X, form.SOUTH + y * form.STEP_Y
        return ",".join([key, f"{lon:.7f}", f"{lat:.7f}", *map(str, rest)])

    rows = [line("flats", 715, 315, "CR/LFINF+CDL/H:5", 1, 5e6, 60, 20, "RES"),
            line("zone", 500, 500, "MUR/LWAL/H:2", 12, 2.4e6, 48, 20, "RES")]  # fmt: skip
    (tmp_path / "exposure.csv").write_text("\n".join([HEAD, *rows]))
    built = ["city", "build", str(tmp_path / "city"), "--osm", str(osm), "--exposure", str(tmp_path / "exposure.csv")]
    assert main(built) == 0
    city = read_city(tmp_path / "city")
    building = city.table("building")
    assert len(building) == 14
    assert (building["taxonomy"] == "CR/LFINF+CDL/H:5").sum() == 1
    assert (building["taxonomy"] == "MUR/LWAL/H:2").sum() == 13
    assert building["value"].sum() == pytest.approx(7.4e6)
    assert city.table("zone")["people"].sum() == pytest.approx(108.0)
    assert any("exposure" in n for n in city.facts.notes)
    (tmp_path / "far.csv").write_text(f"{HEAD}\na,99,1,URM,1,1,1,1,RES\n")
    assert main([*built[:-1], str(tmp_path / "far.csv"), "--replace"]) == 2
    assert "no asset lies inside the city's extent" in capsys.readouterr().err
