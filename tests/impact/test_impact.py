"""Exposure, loss and access on a small city with water put on it by hand."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString
from small_city import Bench, at, pond, small_city, square

from citytwin.city import City
from citytwin.errors import InputError
from citytwin.impact import curves
from citytwin.impact.people import residents
from citytwin.scenario.document import parse
from citytwin.scenario.own_values import OwnValues
from citytwin.scenario.play import play

IMPACT = ("traffic", "exposure", "loss", "access")
CITY = small_city()


def bench(city: City = CITY) -> Bench:
    return Bench(city, *IMPACT)


def total(values: dict) -> float:
    return float(sum(values.values()))


def with_table(name: str, table: gpd.GeoDataFrame, elevation: np.ndarray | None = None) -> City:
    city = small_city(elevation)
    return City(city.facts, {**{t: city.table(t) for t in city.tables}, name: table}, city.ground, city.relations)


def test_without_water_every_impact_is_zero():
    made = bench().water(0).step().step()
    for name, value in made.impact.items():
        if name == "buildings_by_damage_state":
            assert value == {"none": 16, "slight": 0, "moderate": 0, "extensive": 0, "complete": 0}
        else:
            assert (total(value) if isinstance(value, dict) else value) == 0, name
    assert made.state["facility_state"].max() == 0


def test_a_pond_over_known_buildings_gives_the_numbers_worked_out_by_hand():
    made = (
        bench().water(pond(1.0, 30, 30, 70, 70) + pond(2.5, 130, 30, 170, 70)).step()
    )  # b0 (house), b1 (apartments, 1 person)
    area = 16.0**2
    home = 24.078 * 33558.68**0.3852 * 0.6 * 0.6 * 1.5
    assert made.impact["loss"] == pytest.approx(area * home * (0.40 + (0.60 + 0.75) / 2))
    assert made.impact["people_exposed"] == 1
    assert made.impact["buildings_exposed"] == 2
    assert made.impact["people_exposed_by_hazard_class"]["H5"] == 1
    assert made.impact["buildings_by_damage_state"] == {"none": 14, "slight": 0, "moderate": 1, "extensive": 1, "complete": 0}


def test_totals_add_up_over_classes_ages_uses_states_and_zones():
    rng = np.random.default_rng(7)
    made = bench().water(rng.uniform(0, 3, (40, 40)) * (rng.random((40, 40)) < 0.2), rng.uniform(0, 3, (40, 40))).step()
    impact, state = made.impact, made.state
    assert impact["people_exposed"] > 0
    assert total(impact["people_exposed_by_hazard_class"]) == pytest.approx(impact["people_exposed"])
    assert total(impact["people_exposed_by_age"]) == pytest.approx(impact["people_exposed"])
    assert state["people_exposed"].sum() == pytest.approx(impact["people_exposed"])
    assert state["zone_people_exposed"].sum() == pytest.approx(impact["people_exposed"])
    assert total(impact["buildings_by_use"]) == impact["buildings_exposed"] == np.sum(state["flood_hazard"] > 0)
    assert total(impact["buildings_by_damage_state"]) == 16
    assert total(impact["loss_by_use"]) == pytest.approx(impact["loss"])
    assert state["zone_loss"].sum() == pytest.approx(impact["loss"])
    assert total(impact["roads_closed_km_by_class"]) == pytest.approx(impact["roads_closed_km"])
    assert total(impact["facilities_out_by_kind"]) == impact["facilities_out"]
    assert impact["people_displaced"] <= impact["people_exposed"]


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 6), st.floats(0, 3), st.integers(0, 30), st.integers(0, 30), st.integers(5, 40))
def test_deeper_water_never_lessens_exposure_loss_or_closures(depth, more, west, north, size):
    def impact(d: float) -> dict:
        return bench().water(pond(d, west * 10, north * 10, (west + size) * 10, (north + size) * 10), 0.2).step().impact

    low, high = impact(depth), impact(depth + more)
    for name in ("people_exposed", "people_displaced", "buildings_exposed", "loss", "roads_closed_km", "facilities_out"):
        assert high[name] >= low[name], name


def test_damage_stays_when_the_water_has_gone_and_roads_open_again():
    made = bench().water(pond(1.5, 0, 0, 200, 200)).step()
    wet = made.impact
    assert made.state["road_closed"].sum() > 0
    made.water(0).step()
    assert made.state["road_closed"].sum() == 0
    assert made.impact == wet


def test_a_river_in_its_bed_below_a_house_does_not_flood_it():
    elevation = np.full((40, 40), 10.0)
    elevation[:, 6] = 6.0  # a bed 4 m deep, one cell wide, beside the houses b0, b4, b8, b12
    made = bench(small_city(elevation)).water(np.where(elevation < 10, 3.5, 0.0)).step()
    assert made.impact["buildings_exposed"] == 0
    made.water(np.where(elevation < 10, 4.5, 0.0)).step()
    assert made.state["flood_depth"].max() == pytest.approx(0.5)
    assert made.impact["buildings_exposed"] == 4


def test_a_building_that_is_an_obstacle_is_reached_by_the_water_around_it():
    depth = pond(0.8, 0, 0, 400, 400)
    depth[4:6, 4:6] = 0.0  # the cells of b0 stay dry
    made = bench().water(depth).step()
    assert made.state["flood_depth"][0] == pytest.approx(0.8)


def test_a_film_of_rain_counts_as_dry():
    assert bench().water(0.09).step().impact["buildings_exposed"] == 0
    assert bench().water(0.11).step().impact["buildings_exposed"] == 16


def test_fast_water_raises_the_class_at_the_same_depth():
    slow, fast = bench().water(0.25, 0.1).step(), bench().water(0.25, 2.5).step()
    assert set(slow.state["flood_hazard"]) == {1.0}
    assert set(fast.state["flood_hazard"]) == {5.0}


def test_a_peak_between_two_steps_is_not_missed():
    made = bench()
    made.state["water_depth_peak"] = 1.0
    made.state["water_hazard_peak"] = 0.9
    made.step()
    assert set(made.state["flood_hazard"]) == {4.0}
    assert made.state["flood_depth"].min() == 1.0


def test_a_hospital_under_water_is_out_and_stays_out():
    made = bench().water(pond(0.5, 230, 130, 270, 170)).step()  # around b6
    assert made.impact["facilities_out_by_kind"] == {"hospital": 1}
    made.water(0).step()
    assert made.state["facility_state"].tolist() == [2, 0, 0, 0]


def test_a_school_ringed_by_closed_roads_is_cut_off_and_then_reached_again():
    ring = pond(0.6, 0, 0, 400, 400)
    ring[4:17, 4:17] = 0.0  # dry only around b0, b1, b4, b5 and the crossing between them
    made = bench().water(ring).step()
    assert made.state["facility_state"].tolist() == [2, 2, 1, 1]
    made.water(0).step()
    assert made.state["facility_state"][2] == 0
    assert made.impact["facilities_cut_off"] == 2  # the school and, over closed roads, the water works


def test_raised_utility_sites_stand_deeper_water_than_a_hospital():
    made = bench().water(1.0).step()
    assert made.state["facility_state"].tolist() == [2, 2, 2, 1]
    assert made.water(1.3).step().state["facility_state"].tolist() == [2, 2, 2, 2]


def test_city_without_zones_facilities_or_people_still_counts_what_it_can():
    city = small_city()
    tables = {t: city.table(t) for t in ("building", "road")}
    tables["building"] = tables["building"][["key", "geometry"]]
    made = bench(City(city.facts, tables, city.ground)).water(2.0).step()
    assert made.impact["people_exposed"] == 0
    assert made.impact["buildings_by_use"] == {"other": 16}
    assert made.impact["loss"] > 0
    assert "facilities_out" not in made.impact
    assert made.diagnostics("exposure")["buildings_people_unknown"] == 16


def test_residents_of_unknown_age_or_number_are_assumed_and_counted():
    building = small_city().table("building").copy()
    building.loc[3, "people"] = np.nan
    building.loc[4, ["people_under_15", "people_over_64"]] = np.nan
    found = residents(building)
    assert (found.assumed, found.unknown, found.ages_assumed) == (1, 0, 1)
    assert found.people[3] == pytest.approx(2.3 * building.loc[3, "dwellings"])
    assert sum(group[4] for group in found.by_age.values()) == pytest.approx(4)
    assert all((group >= 0).all() for group in found.by_age.values())


def test_a_building_without_zone_key_belongs_where_it_stands():
    building = small_city().table("building").copy()
    building["zone"] = ["", None, "nowhere", *building["zone"][3:]]
    made = Bench(with_table("building", building), "exposure").water(1.0).step()
    assert made.state["zone_people_exposed"].tolist() == [52.0, 68.0]


def test_a_use_may_have_a_price_of_its_own(tmp_path):
    city = small_city()
    city.folder = tmp_path
    (tmp_path / "impact.toml").write_text('[loss]\nresidential = "1000 EUR/m2"\nuse = {apartments = "10 EUR/m2"}\n')
    made = Bench(city, "exposure", "loss").water(pond(1.0, 30, 30, 70, 70) + pond(1.0, 130, 30, 170, 70)).step()
    assert made.impact["loss_by_use"] == {"house": pytest.approx(256 * 400), "apartments": pytest.approx(256 * 4)}


def test_a_city_says_its_own_prices_in_impact_toml(tmp_path):
    city = small_city()
    city.folder = tmp_path
    (tmp_path / "impact.toml").write_text('[loss]\nresidential = "1000 EUR/m2"\n[exposure]\nleast_depth = "0.5 m"\n')
    made = bench(city).water(pond(1.0, 30, 30, 70, 70)).step()
    assert made.impact["loss"] == pytest.approx(256 * 1000 * 0.40)
    assert bench(city).water(0.4).step().impact["buildings_exposed"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("[loss]\nresidental = 3\n", 'did you mean "residential"'), ("[los]\n", 'did you mean "loss"'),
     ("[loss\n", "cannot be read"), ("[loss]\nuse = {farms = '3 EUR/m2'}\n", "loss.use.farms"),
     ('[loss]\nresidential = "3 m"\n', "does not measure"), ("[loss]\ngdp_per_capita = -1\n", "greater than 0")],
)  # fmt: skip
def test_a_wrong_impact_toml_gives_one_clear_line(tmp_path, text, said):
    city = small_city()
    city.folder = tmp_path
    (tmp_path / "impact.toml").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        Bench(city, "loss")
    assert "impact.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_scenario_says_counts_before_what_the_city_says(tmp_path):
    city = small_city()
    city.folder = tmp_path
    (tmp_path / "impact.toml").write_text('[loss]\nresidential = "1000 EUR/m2"\ncommercial = "2000 EUR/m2"\n')
    flood = {"flood": {"rain": {"intensity": "60 mm/h", "duration": "1 min"}}}
    said = {"name": "both", "duration": "2 min", "every": "1 min", "hazards": [flood],
            "impact": [{"loss": {"commercial": "3000 EUR/m2"}}]}  # fmt: skip
    made = play(parse(said), city, tmp_path / "run")
    used = made.document["provenance"]["parameters"]["loss"]
    assert (used["residential"], used["commercial"]) == (1000.0, 3000.0)


def test_a_wrong_section_of_impact_toml_is_told_whatever_is_simulated(tmp_path):
    (tmp_path / "impact.toml").write_text('[access]\nout_dept = "0.2 m"\n')
    with pytest.raises(InputError, match="out_depth"):
        OwnValues(tmp_path)


def test_loss_does_not_depend_on_how_the_city_is_listed():
    building = small_city().table("building").iloc[::-1].reset_index(drop=True)
    depth = np.random.default_rng(3).uniform(0, 2, (40, 40))
    mirrored = Bench(with_table("building", building), "exposure", "loss").water(depth).step().impact
    assert mirrored["loss"] == pytest.approx(Bench(CITY, "exposure", "loss").water(depth).step().impact["loss"])


def test_a_building_in_two_halves_loses_as_much_as_in_one():
    building = small_city().table("building").iloc[:1].copy()
    whole = Bench(with_table("building", building), "exposure", "loss").water(1.0).step().impact["loss"]
    halves = gpd.GeoDataFrame([dict(building.iloc[0], key=k) for k in ("a", "b")], crs=building.crs)
    halves["geometry"] = [square(46, 50, 4).union(square(46, 54, 4)), square(54, 50, 4).union(square(54, 54, 4))]
    area = float(halves.geometry.area.sum())
    parts = Bench(with_table("building", halves), "exposure", "loss").water(1.0).step().impact["loss"]
    assert parts / area == pytest.approx(whole / 256)


def test_every_building_use_has_a_sector():
    assert set(curves.SECTOR_OF_USE.values()) == set(curves.SECTORS)


def test_an_empty_city_has_no_impact():
    city = small_city()
    tables = {t: city.table(t).iloc[:0] for t in ("building", "road", "facility", "zone")}
    made = bench(City(city.facts, tables, city.ground)).water(3.0).step()
    assert made.impact["people_exposed"] == made.impact["loss"] == made.impact["roads_closed_km"] == 0


def road(**more: object) -> City:
    rows = gpd.GeoDataFrame(
        [{"key": "r", "class": "primary", "drivable": True, "from_junction": "a", "to_junction": "b", "bridge": False,
          "tunnel": False, **more}],
        geometry=[LineString([at(20, 200), at(380, 200)])], crs=CITY.facts.crs,
    )  # fmt: skip
    return with_table("road", rows)


def closed(city: City, depth: np.ndarray) -> bool:
    return bool(Bench(city, "traffic").water(depth).step().state["road_closed"][0])


def test_water_closes_a_road_but_not_a_bridge_and_closes_a_tunnel_at_its_mouth_only():
    middle, mouth = pond(1.0, 180, 180, 220, 220), pond(0.2, 0, 180, 60, 220)
    assert closed(road(), middle)
    assert not closed(road(bridge=True), middle)
    assert not closed(road(tunnel=True), middle)
    assert closed(road(tunnel=True), mouth)
    assert not closed(road(), mouth)
    assert not closed(road(drivable=False), middle)


def test_a_stream_under_a_road_does_not_close_it_until_the_water_leaves_its_bed():
    stream = gpd.GeoDataFrame(
        [{"key": "w", "kind": "stream"}], geometry=[LineString([at(205, 0), at(205, 400)])], crs=CITY.facts.crs
    )
    city = road()
    city = City(city.facts, {**{t: city.table(t) for t in city.tables}, "waterway": stream}, city.ground, city.relations)
    assert not closed(city, pond(1.5, 200, 0, 210, 400))
    assert closed(city, pond(1.5, 190, 0, 220, 400))
