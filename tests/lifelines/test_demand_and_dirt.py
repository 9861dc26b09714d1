"""What people do empties streets and shifts power; what leaks into mains without pressure reaches the taps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_city import Bench, pond, small_city

from citytwin.city import City
from citytwin.lifelines.intrusion import COVER, USUAL_HEAD
from citytwin.lifelines.power import usual_load
from citytwin.lifelines.water import WaterParameters

CITY = small_city()
WORKS, ALL = pond(1.5, 360, 100, 380, 120), pond(0.2, 0, 0, 400, 400)


def without(*tables: str) -> City:
    return City(CITY.facts, {t: CITY.table(t) for t in CITY.tables if t not in tables}, CITY.ground)


def test_without_an_epidemic_streets_are_as_full_and_loads_as_high_as_ever():
    made = Bench(CITY, "traffic", "power").water(0).step()
    assert (made.state["road_traffic"] == 1).all()
    assert (made.state["power_bus_load"] == 1).all()
    assert made.state["building_power_load"] == pytest.approx(usual_load(CITY))
    assert made.diagnostics("power")["energy_drawn_kwh"] == pytest.approx(made.diagnostics("power")["energy_usual_kwh"])
    assert made.diagnostics("traffic")["traffic_mean_share"] == pytest.approx(1)


def test_fewer_trips_in_one_zone_empty_its_streets_and_halve_those_to_the_other():
    made = Bench(CITY, "traffic").water(0)
    made.state["zone_traffic_demand"] = np.array([0.4, 1.0])
    made.step()
    assert sorted({float(t) for t in made.state["road_traffic"].round(6)}) == [0.4, 0.7, 1.0]
    assert 0.4 < made.diagnostics("traffic")["traffic_least_share"] < 1


def test_a_closed_road_carries_nobody():
    made = Bench(CITY, "traffic").water(0.5).step()
    assert made.state["road_traffic"].max() == 0


def test_the_load_of_a_station_follows_the_zones_that_it_feeds():
    made = Bench(CITY, "power").water(0)
    made.state["zone_power_demand"] = np.array([1.1, 0.9])
    made.step()
    bus = dict(zip(CITY.table("power_bus")["key"], made.state["power_bus_load"], strict=True))
    assert bus == pytest.approx({"plant": 1.0, "s_west": 1.1, "s_east": 0.9, "t_west": 1.1})
    load = usual_load(CITY)
    west = (CITY.table("building")["zone"] == "west").to_numpy()
    assert made.state["zone_power_load"] == pytest.approx([1.1 * load[west].sum(), 0.9 * load[~west].sum()])


def test_a_building_without_power_draws_none():
    made = Bench(CITY, "power").water(pond(1.5, 310, 90, 350, 150)).step()
    dark = made.state["building_without_power"] > 0
    assert made.state["building_power_load"][dark].max() == 0 < made.state["building_power_load"][~dark].max()
    assert dict(zip(CITY.table("power_bus")["key"], made.state["power_bus_load"], strict=True))["s_east"] == 0


def test_pressure_keeps_flood_water_out():
    made = Bench(CITY, "water").water(ALL).step(86400)
    assert made.state["building_without_water"].max() == 0
    assert made.state["building_water_contamination"].max() == 0


def test_flood_water_enters_mains_without_pressure_as_through_their_leaks():
    made = Bench(CITY, "water").water(np.maximum(WORKS, ALL)).step(3600)
    pipes = CITY.table("pipe")
    volume = pipes.geometry.length.to_numpy() * np.pi / 4 * 0.2**2
    deep = np.array([1.5, 0.2, 0.2])  # the first main begins at the works, under deep water
    leak = 10 / 86400 / 1000 * pipes.geometry.length.to_numpy() * np.sqrt((COVER + deep) / USUAL_HEAD)
    told = made.diagnostics("water")
    assert told["flood_water_in_mains_m3"] == pytest.approx(leak.sum() * 3600, rel=1e-6)
    assert made.state["building_water_contamination"] == pytest.approx(leak.sum() * 3600 / volume.sum(), rel=1e-4)
    assert told["customers_with_dirty_water"] in (0, told["customers"])


def test_a_dry_street_lets_nothing_into_mains_without_pressure():
    made = Bench(CITY, "water").water(pond(1.5, 364, 104, 376, 116)).step(86400)
    wet = Bench(CITY, "water").water(np.maximum(WORKS, ALL)).step(86400)
    assert made.state["building_without_water"].min() == 1
    assert made.state["building_water_contamination"].max() < 0.2 * wet.state["building_water_contamination"].max()


def test_dirt_is_flushed_out_once_pressure_is_back():
    made = Bench(CITY, "water", water=WaterParameters(turnover="12 h")).water(ALL)
    made.state["water_node_without_power"] = 1.0
    for _ in range(24):
        made.step(3600)
    dirty = made.state["building_water_contamination"].copy()
    assert dirty.min() > 0.01
    made.state["water_node_without_power"] = 0.0
    for _ in range(12):
        made.step(3600)
    assert made.state["building_without_water"].max() == 0
    assert made.state["building_water_contamination"] == pytest.approx(dirty * np.exp(-1), rel=1e-6)


def test_works_that_run_with_water_against_them_send_it_out():
    made = Bench(CITY, "water").water(pond(0.5, 360, 100, 380, 120)).step(10 * 86400)
    assert made.state["building_without_water"].max() == 0
    assert made.state["building_water_contamination"] == pytest.approx(0.02, rel=1e-3)


def test_a_broken_main_without_pressure_takes_in_dirt_and_more_of_it_under_water():
    def dirt(depth: float) -> np.ndarray:
        made = Bench(CITY, "water").water(depth)
        made.state["pipe_broken"] = np.array([0.0, 1.0, 0.0])  # from the east to the pump: the west is cut off
        return made.step(3600).state["building_water_contamination"]

    dry, wet = dirt(0.0), dirt(0.3)
    west = (CITY.table("building")["zone"] == "west").to_numpy()
    assert dry[~west].max() == wet[~west].max() == 0
    assert 0 < dry[west].min() < wet[west].min() <= 1


def test_without_a_table_of_pipes_a_piece_of_main_is_taken_before_each_building():
    city = without("water_node", "pipe", "power_bus", "power_line")
    made = Bench(city, "water").water(np.maximum(WORKS, ALL)).step(86400)
    assert made.state["building_without_water"].min() == 1
    assert 0.01 < made.state["building_water_contamination"].min() <= 1


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 3))
def test_deeper_water_and_longer_waits_never_make_taps_cleaner(depth, more, hours):
    def dirt(d: float, steps: int) -> np.ndarray:
        made = Bench(CITY, "water").water(np.maximum(WORKS, pond(d, 0, 0, 400, 400)))
        for _ in range(steps):
            made.step(3600)
        return made.state["building_water_contamination"]

    base = dirt(depth, hours)
    assert (dirt(depth + more, hours) >= base - 1e-12).all()
    assert (dirt(depth, hours + 1) >= base - 1e-12).all()
    assert base.max() <= 1
