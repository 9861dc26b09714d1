"""Roads, power, water and the way to hospital on a small city with water put on it by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_city import Bench, pond, small_city

from citytwin.city import City
from citytwin.city.roads import Roads
from citytwin.lifelines.care import CareParameters
from citytwin.lifelines.power import PowerParameters
from citytwin.lifelines.traffic import safe_speed
from citytwin.lifelines.water import WaterParameters

CITY = small_city()
EAST, WEST_STATION, PLANT = pond(1.5, 310, 90, 350, 150), pond(1.5, 40, 100, 80, 140), pond(1.5, 190, 0, 210, 20)
WEST_HOMES = [0, 1, 4, 5, 8, 9, 12, 13]


def homes(rows) -> int:
    dwellings = CITY.table("building")["dwellings"].to_numpy()
    return int(dwellings[list(rows)].sum())


def without(*tables: str, relations: bool = True) -> City:
    kept = {t: CITY.table(t) for t in CITY.tables if t not in tables}
    return City(CITY.facts, kept, CITY.ground, CITY.relations if relations else None)


def test_without_water_no_lifeline_fails():
    made = Bench(CITY, "traffic", "power", "water", "care").water(0).step().step()
    assert made.impact == {"customers_without_power": 0, "customers_without_water": 0, "care_delay": 0}
    for column in (
        "road_closed",
        "power_bus_out",
        "building_without_power",
        "building_without_water",
        "care_delay",
        "hospital_out",
    ):
        assert made.state[column].max() == 0


@pytest.mark.parametrize(("depth", "speed"), [(0.0, 86.9448), (0.1, 40.6548), (0.15, 24.2598), (0.3, 2.0748), (0.31, 0.0)])
def test_the_speed_left_in_water_is_that_of_the_published_function(depth, speed):
    assert safe_speed(np.array([depth]))[0] * 3.6 == pytest.approx(speed, abs=1e-9)


@given(st.floats(0, 2), st.floats(0, 2))
def test_deeper_water_is_never_faster(depth, more):
    slow, slower = safe_speed(np.array([depth, depth + more]))
    assert slower <= slow


def test_shallow_water_slows_a_road_and_deep_water_closes_it():
    made = Bench(CITY, "traffic").water(0.1).step()
    assert made.state["road_closed"].max() == 0
    assert made.state["road_slowdown"] == pytest.approx(1 - 40.6548 / 50)
    made.water(0.4).step()
    assert made.state["road_closed"].min() == made.state["road_slowdown"].min() == 1
    assert made.water(0).step().state["road_slowdown"].max() == 0


def test_a_flooded_substation_cuts_all_that_only_it_feeds():
    made = Bench(CITY, "power").water(EAST).step()
    east = [n for n in range(16) if n not in WEST_HOMES]
    assert np.flatnonzero(made.state["building_without_power"]).tolist() == east
    assert made.impact["customers_without_power"] == homes(east)
    assert made.state["facility_without_power"].tolist() == [1, 0, 0, 0]
    assert made.state["zone_without_power"].tolist() == [0, homes(east)]


def test_what_hangs_on_a_dead_station_is_dead_too():
    made = Bench(CITY, "power").water(WEST_STATION).step()
    assert np.flatnonzero(made.state["power_bus_out"]).tolist() == [1, 3]  # the station and the transformer behind it
    assert np.flatnonzero(made.state["building_without_power"]).tolist() == WEST_HOMES


def test_the_only_source_takes_all_with_it():
    made = Bench(CITY, "power").water(PLANT).step()
    assert made.impact["customers_without_power"] == made.diagnostics("power")["customers"] == homes(range(16))


def test_a_flooded_station_stays_out_when_the_water_has_gone():
    made = Bench(CITY, "power").water(EAST).step().water(0).step(3600)
    assert made.state["building_without_power"].sum() == 8
    assert made.diagnostics("power")["customer_hours_without_power"] == pytest.approx(
        made.impact["customers_without_power"] * 13 / 12
    )


def test_a_city_may_say_depends_on_instead_of_feeds():
    said = CITY.relations.rename(
        columns={"from_table": "to_table", "to_table": "from_table", "from_key": "to_key", "to_key": "from_key"}
    )
    city = City(CITY.facts, {t: CITY.table(t) for t in CITY.tables}, CITY.ground, said.assign(kind="depends_on"))
    made, usual = (Bench(c, "power", "water").water(EAST).step() for c in (city, CITY))
    assert made.impact == usual.impact
    assert made.state["facility_without_power"].tolist() == usual.state["facility_without_power"].tolist()


def test_a_second_feed_keeps_the_lights_on():
    relations = CITY.relations.copy()
    relations.loc[len(relations)] = ("feeds", "power_bus", "s_west", "building", "b3")
    city = City(CITY.facts, {t: CITY.table(t) for t in CITY.tables}, CITY.ground, relations)
    assert Bench(city, "power").water(EAST).step().state["building_without_power"][3] == 0


def test_a_pump_without_power_stops_the_water_behind_it():
    made = Bench(CITY, "power", "water").water(EAST).step()
    assert np.flatnonzero(made.state["building_without_water"]).tolist() == WEST_HOMES
    assert made.impact["customers_without_water"] == homes(WEST_HOMES)


def test_a_backup_bridges_a_power_cut_until_it_is_used_up():
    made = Bench(CITY, "power", "water", water=WaterParameters(backup="8 min")).water(EAST).step()
    assert made.impact["customers_without_water"] == 0
    assert made.step().impact["customers_without_water"] == homes(WEST_HOMES)


def test_a_tank_bridges_the_loss_of_the_works_until_it_is_empty():
    node = CITY.table("water_node").copy()
    node.loc[node["key"] == "w_east", "kind"] = "tank"
    city = City(CITY.facts, {**{t: CITY.table(t) for t in CITY.tables}, "water_node": node}, CITY.ground, CITY.relations)
    made = Bench(city, "water", water=WaterParameters(storage="8 min")).water(pond(1.5, 360, 100, 380, 120)).step()
    assert made.impact["customers_without_water"] == 0
    assert made.diagnostics("water")["customers_on_storage_or_without"] == homes(range(16))
    assert made.step().impact["customers_without_water"] == homes(range(16))


def test_flooded_works_stop_all_water():
    made = Bench(CITY, "water").water(pond(1.5, 360, 100, 380, 120)).step()
    assert made.impact["customers_without_water"] == homes(range(16))
    assert made.state["facility_without_water"].tolist() == [1, 0, 0, 0]


def test_a_flooded_hospital_makes_the_way_longer_and_drops_its_beds():
    made = Bench(CITY, "traffic", "care").water(pond(0.5, 230, 130, 270, 170)).step()
    assert made.diagnostics("care")["beds_out"] == 100
    assert made.impact["care_delay"] > 0
    assert made.diagnostics("care")["people_cut_off_from_care"] == 0


def test_people_without_any_open_way_are_counted_apart():
    made = Bench(CITY, "traffic", "care").water(pond(0.5, 0, 0, 400, 400)).step()
    assert made.impact["care_delay"] is None
    assert made.diagnostics("care")["people_cut_off_from_care"] == 120
    assert "open way" in made.diagnostics("care")["reason"]
    assert made.state["care_cut_off"].sum() == 16


def test_a_dark_hospital_closes_when_its_backup_is_used_up():
    made = Bench(CITY, "power", "traffic", "care", care=CareParameters(backup="8 min")).water(EAST).step()
    assert made.state["hospital_out"].tolist() == [0, 0, 0, 0]
    assert made.step().state["hospital_out"].tolist() == [1, 0, 0, 0]


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 3), st.floats(0, 2), st.integers(0, 20), st.integers(0, 20), st.integers(3, 30))
def test_deeper_water_never_gives_power_water_or_care_back(depth, more, west, north, size):
    def outcome(d: float) -> tuple[float, ...]:
        box = pond(d, west * 10, north * 10, (west + size) * 10, (north + size) * 10)
        made = Bench(CITY, "traffic", "power", "water", "care").water(box).step()
        return (*(made.impact[f"customers_without_{x}"] for x in ("power", "water")), made.state["care_cut_off"].sum())

    assert all(a <= b for a, b in zip(outcome(depth), outcome(depth + more), strict=True))


def test_a_city_that_lacks_a_network_says_so_and_gives_null():
    made = Bench(without("power_bus", "power_line", "facility"), "power").water(2).step()
    assert made.impact["customers_without_power"] is None
    assert made.diagnostics("power")["reason"] == "the city has no power stations"
    made = Bench(without("water_node", "pipe", "facility"), "water").water(2).step()
    assert made.impact["customers_without_water"] is None
    assert made.diagnostics("water")["reason"] == "the city has no water works"


def test_a_network_of_which_nothing_can_fail_gives_null_and_a_reason():
    node = CITY.table("water_node").assign(kind="reservoir")
    city = City(CITY.facts, {**{t: CITY.table(t) for t in CITY.tables}, "water_node": node}, CITY.ground, CITY.relations)
    made = Bench(city, "water").water(2).step()
    assert made.impact["customers_without_water"] is None
    assert "could fail" in made.diagnostics("water")["reason"]


def test_a_city_without_hospital_gives_null_and_a_reason():
    facility = CITY.table("facility").assign(kind="school")
    city = City(CITY.facts, {**{t: CITY.table(t) for t in CITY.tables}, "facility": facility}, CITY.ground)
    made = Bench(city, "traffic", "care").water(1).step()
    assert made.impact["care_delay"] is None
    assert made.diagnostics("care")["reason"] == "the city has no hospital"


def test_where_nobody_says_who_feeds_a_building_the_nearest_station_is_assumed_and_said():
    made = Bench(without(relations=False), "power").water(EAST).step()
    assert made.diagnostics("power")["feeding_station_assumed_nearest"]
    assert 0 < made.impact["customers_without_power"] < homes(range(16))
    made = Bench(without(relations=False), "power", power=PowerParameters(assume_nearest=False)).water(EAST).step()
    assert made.impact["customers_without_power"] is None


def test_a_city_whose_stations_are_only_places_on_the_map_still_gets_a_sketch():
    made = Bench(without("water_node", "pipe", "power_bus", "power_line", relations=False), "water").water(2).step()
    assert made.impact["customers_without_water"] == homes(range(16))
    assert made.diagnostics("water")["feeding_works_assumed_nearest"]


def test_driving_times_match_a_search_by_hand():
    roads = Roads(CITY.table("road"))
    open_all = np.ones(len(roads.length), dtype=bool)
    first = roads.first[0]  # a corner of the grid
    times = roads.times_to(np.array([first]), open_all, roads.speed)
    assert np.sort(times) == pytest.approx(np.sort([(i + j) * 97.5 / (50 / 3.6) for i in range(5) for j in range(5)]))


def test_a_one_way_street_is_driven_one_way_only():
    table = CITY.table("road").iloc[:1].assign(oneway=True)
    roads = Roads(table)
    usable = np.ones(1, dtype=bool)
    to_end = roads.times_to(roads.last[:1], usable, roads.speed)
    to_begin = roads.times_to(roads.first[:1], usable, roads.speed)
    assert np.isfinite(to_end[roads.first[0]])
    assert np.isinf(to_begin[roads.last[0]])
