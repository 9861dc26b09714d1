"""The city folder: open formats, written whole or not at all, the same bytes for the same city."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

import citytwin
from citytwin.city import City, Facts, Ground, Source, read_city, write_city
from citytwin.errors import ConflictError, InputError, MissingError, TwinError

CRS = "EPSG:32631"


@pytest.fixture
def city() -> City:
    building = gpd.GeoDataFrame(
        {"key": ["a", "b"], "levels": [1.0, np.nan]},
        geometry=list(shapely.box([500000.0, 500020.0], 4.7e6, [500010.0, 500030.0], 4.7e6 + 10)),
        crs=CRS,
    )
    layers = {"elevation": np.arange(30, dtype=np.float32).reshape(5, 6), "manning": np.full((5, 6), 0.03, np.float32)}
    relations = pd.DataFrame(
        [("feeds", "power_bus", "p", "building", "a")], columns=["kind", "from_table", "from_key", "to_table", "to_key"]
    )
    facts = Facts('Toy "town"', CRS, [Source("x.pbf", "osm", "ODbL-1.0", "2025-01-19", note="a\nb")], notes=["n"])
    return City(facts, {"building": building}, Ground(499990, 4700050, 10, layers), relations)


def test_a_city_comes_back_as_it_was_written(city: City, tmp_path: Path) -> None:
    write_city(city, tmp_path / "c")
    again = read_city(tmp_path / "c")
    assert again.facts == city.facts
    assert again.size("building") == 2
    pd.testing.assert_frame_equal(pd.DataFrame(again["building"]), pd.DataFrame(city["building"]), check_dtype=False)
    np.testing.assert_array_equal(again.ground.elevation, city.ground.elevation)
    assert again.ground.bounds == city.ground.bounds
    assert len(again.related("building", "a")) == 1


def test_the_same_city_gives_the_same_bytes(city: City, tmp_path: Path) -> None:
    sums = []
    for name in "ab":
        write_city(city, tmp_path / name)
        sums.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / name).iterdir()})
    assert sums[0] == sums[1]


def test_other_programs_read_the_folder_without_us(city: City, tmp_path: Path) -> None:
    write_city(city, tmp_path / "c")
    assert duckdb.sql(f"select count(*) from '{tmp_path}/c/building.parquet'").fetchall() == [(2,)]
    assert gpd.read_parquet(tmp_path / "c" / "building.parquet").crs == CRS
    with rasterio.open(tmp_path / "c" / "ground.tif") as ground:
        assert ground.descriptions == ("elevation", "manning")
        assert ground.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_points_find_their_cells_and_back(city: City) -> None:
    ground = city.ground
    x, y = ground.centres()
    rows = ground.rows(*np.meshgrid(x, y))
    np.testing.assert_array_equal(rows.ravel(), np.arange(ground.size))
    assert ground.rows([0.0], [0.0])[0] == -1
    assert ground.rows([np.nan], [4700010])[0] == -1


def test_lonlat_there_and_back_is_the_same_place(city: City) -> None:
    x, y = city.from_lonlat(*city.to_lonlat([500003.0], [4700004.0]))
    assert x[0] == pytest.approx(500003.0, abs=1e-3)
    assert y[0] == pytest.approx(4700004.0, abs=1e-3)


def test_a_folder_in_use_is_kept(city: City, tmp_path: Path) -> None:
    write_city(city, tmp_path / "c")
    with pytest.raises(ConflictError):
        write_city(city, tmp_path / "c")
    write_city(city, tmp_path / "c", replace=True)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_failed_write_leaves_nothing(city: City, tmp_path: Path) -> None:
    double = city["building"].assign(key=["a", "a"])
    with pytest.raises(InputError, match="not unique"):
        write_city(City(city.facts, {"building": double}), tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_folder_is_told_in_one_line(city: City, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="not a city folder"):
        citytwin.open(tmp_path)
    write_city(city, tmp_path / "c")
    (tmp_path / "c" / "building.parquet").write_bytes(b"rubbish")
    with pytest.raises(TwinError) as caught:
        read_city(tmp_path / "c")
    assert "\n" not in str(caught.value)
    (tmp_path / "c" / "building.parquet").unlink()
    (tmp_path / "c" / "city.toml").write_text("name = ")
    with pytest.raises(InputError, match=r"city\.toml"):
        read_city(tmp_path / "c")


def test_the_nearest_key_is_named(city: City) -> None:
    with pytest.raises(MissingError, match="no building"):
        city.row("building", "c")
    assert city.row("building", "b") == 1


def test_the_public_names_are_these() -> None:
    assert sorted(citytwin.__all__) == ["City", "Readings", "Result", "Scenario", "State", "Twin", "TwinError", "open", "units"]
    for name in citytwin.__all__:
        assert getattr(citytwin, name) is not None
