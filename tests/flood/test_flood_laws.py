"""Laws of the flood: rest, conservation, symmetry, order of measures; each on a few cells."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely

from citytwin.city import City, Facts, Ground
from citytwin.errors import InputError
from citytwin.hazards.flood import Flood
from citytwin.hazards.flood.parameters import Breach, FloodParameters, Gate, Pump, Wall
from citytwin.hazards.flood.water import Points, Water
from citytwin.sim import Planned, Setup, Streams, advance, columns_with
from citytwin.state import State

CLOSED = {"north": "closed", "south": "closed", "east": "closed", "west": "closed"}
SHUT = dict.fromkeys(("north", "south", "east", "west"))


def city_of(bed, cell_size=10.0, **layers) -> City:
    layers = {k: np.asarray(v, dtype=np.float32) for k, v in {"elevation": bed, **layers}.items()}
    return City(Facts("test", "EPSG:32631"), {}, Ground(400_000.0, 4_700_000.0, cell_size, layers))


def place(city: City, row: float, column: float) -> tuple[float, float]:
    g = city.ground
    lon, lat = city.to_lonlat(g.west + (column + 0.5) * g.cell_size, g.north - (row + 0.5) * g.cell_size)
    return float(lon), float(lat)


def flooded(city: City, duration: float, *measures, depth=None, state=None, every=60.0, **said):
    state = state or State(city, columns_with(city.columns))
    if depth is not None:
        state["water_depth"] = np.broadcast_to(np.asarray(depth, dtype=float), city.ground.shape).reshape(-1)
    flood = Flood(Setup(city, FloodParameters.model_validate(said), 0.0, duration, Streams(0), tuple(measures)), state)
    advance([flood], state, duration, every, lambda time, now: None)
    return flood, state


def hills(seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, size)) + np.hypot(*np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]) * 5


def test_a_lake_stays_at_rest():
    bed = hills(1, 40).astype(np.float32)
    depth = np.maximum(float(np.median(bed)) - bed.astype(float), 0)
    _, state = flooded(city_of(bed), 600, depth=depth, edges=CLOSED)
    np.testing.assert_allclose(state.raster("water_depth"), depth, atol=1e-10)
    assert state["water_speed"].max() < 1e-8


def test_a_lake_stays_at_rest_around_buildings():
    building = np.zeros((20, 20))
    building[5:8, 5:12] = 1
    bed = np.where(building > 0, 5.0, 0.0)
    depth = np.where(building > 0, 0.0, 1.5)
    _, state = flooded(city_of(np.zeros((20, 20)), building=building), 300, depth=depth, edges=CLOSED, buildings="obstacles")
    np.testing.assert_allclose(state.raster("water_depth"), depth, atol=1e-10)
    assert bed.max() > depth.max()


@pytest.mark.parametrize("soil", [{"rate": "20 mm/h"}, {"horton": {"first": "50 mm/h", "last": "5 mm/h", "decay": "2 1/h"}},
                                  {"green_ampt": {"conductivity": "5 mm/h", "suction": "90 mm", "deficit": 0.3}}])  # fmt: skip
def test_no_water_is_made_or_lost(soil):
    bed = hills(2, 40)
    bed[10:14, 20:25] = np.nan
    city = city_of(bed, impervious=np.full((40, 40), 0.4))
    flood, state = flooded(city, 1200, Planned(300.0, "pump", Pump(place=place(city, 20, 20), rate="200 l/s")),
                           rain={"intensity": "90 mm/h", "duration": "10min"}, infiltration=soil, drains="5 mm/h",
                           inflow=[{"place": place(city, 3, 3), "discharge": "2 m3/s"}])  # fmt: skip
    account = flood.water.account
    assert account.rain == pytest.approx((1600 - 20) * 100 * 0.015)
    assert account.inflow == pytest.approx(2 * 1200)
    assert min(account.infiltrated, account.drained, account.left, account.pumped_out) > 0
    assert flood.summary(state)["mass_balance_error"] < 1e-12
    assert state["water_depth"].min() >= 0


def test_a_turned_city_floods_the_same_way():
    bed = hills(3, 32)
    _, state = flooded(city_of(bed), 300, depth=0.2, edges=CLOSED)
    straight = state.raster("water_depth")
    for turn in range(1, 4):
        _, state = flooded(city_of(np.rot90(bed, turn)), 300, depth=0.2, edges=CLOSED)
        np.testing.assert_allclose(np.rot90(state.raster("water_depth"), -turn), straight, atol=1e-6)
    _, state = flooded(city_of(bed[:, ::-1]), 300, depth=0.2, edges=CLOSED)
    np.testing.assert_allclose(state.raster("water_depth")[:, ::-1], straight, atol=1e-6)


def test_the_same_run_gives_the_same_bits_on_one_and_two_threads(monkeypatch):
    bed = hills(4, 96)
    results = []
    for tiles in (1000, 1):
        monkeypatch.setattr("citytwin.hazards.flood.water.TILES_A_THREAD", tiles)
        _, state = flooded(city_of(bed), 300, rain={"intensity": "80 mm/h"})
        results.append(state["water_depth"].copy())
    assert np.array_equal(*results)
    assert results[0].max() > 0.01


def test_water_never_flows_through_a_wall_and_over_it_only_when_higher():
    city = city_of(np.zeros((20, 40)))
    depth = np.zeros((20, 40))
    depth[:, :20] = 1.0
    wall = {"along": [place(city, -1, 19.5), place(city, 20, 19.8)]}
    _, held = flooded(city, 300, Planned(0, "wall", Wall(**wall, height="1.2 m")), depth=depth, edges=CLOSED)
    np.testing.assert_allclose(held.raster("water_depth"), depth, atol=1e-10)
    _, over = flooded(city, 300, Planned(0, "wall", Wall(**wall, height="0.5 m")), depth=depth, edges=CLOSED)
    assert over.raster("water_depth")[:, 21:].max() > 0.05


def test_a_slanted_wall_leaks_nowhere():
    city = city_of(np.zeros((40, 40)))
    depth = np.where(np.add.outer(np.arange(40), np.arange(40)) < 30, 0.5, 0.0)
    wall = Wall(along=[place(city, -1, 40.3), place(city, 39.9, -0.7)], height="1 m")
    _, state = flooded(city, 600, Planned(0, "wall", wall), depth=depth, edges=CLOSED)
    beyond = np.add.outer(np.arange(40), np.arange(40)) > 41
    assert state.raster("water_depth")[beyond].max() == 0.0
    assert state.raster("water_depth").max() < 0.5


def test_a_gate_holds_until_it_opens_and_a_breach_undoes_a_wall():
    city = city_of(np.zeros((10, 40)))
    depth = np.where(np.arange(40) < 20, 1.0, 0.0) + np.zeros((10, 1))
    line = [place(city, -1, 19.5), place(city, 10, 19.5)]
    shut, open_ = Gate(along=line), Gate(along=line, state="open")
    _, state = flooded(city, 300, Planned(0, "gate", shut), depth=depth, edges=CLOSED)
    assert state.raster("water_depth")[:, 20:].max() == 0.0
    _, state = flooded(city, 300, Planned(0, "gate", shut), Planned(120, "gate", open_), depth=depth, edges=CLOSED)
    assert state.raster("water_depth")[:, 20:].max() > 0.1
    assert np.nanmin(state.raster("water_arrival")[:, 20:]) > 120
    wall, breach = Planned(0, "wall", Wall(along=line, height="2 m")), Planned(120, "breach", Breach(along=line))
    _, state = flooded(city, 300, wall, breach, depth=depth, edges=CLOSED)
    assert state.raster("water_depth")[:, 20:].max() > 0.1


def test_a_pump_moves_its_rate_and_never_more_than_there_is():
    city = city_of(np.zeros((10, 10)))
    pump = Pump(place=place(city, 2, 2), rate="100 l/s", outlet=place(city, 7, 7), duration="2min")
    flood, _ = flooded(city, 300, Planned(60, "pump", pump), depth=1.0, edges=CLOSED)
    assert flood.water.account.pumped == pytest.approx(0.1 * 120)
    flood, state = flooded(
        city, 600, Planned(0, "pump", Pump(place=place(city, 5, 5), rate="100 m3/s")), depth=0.1, edges=CLOSED
    )
    assert 0 < flood.water.account.pumped_out <= 0.1 * 100 * 100
    assert state["water_depth"].min() >= 0


def test_a_run_in_two_halves_is_the_run_in_one():
    city = city_of(hills(5, 40))
    params, ends = FloodParameters.model_validate({"rain": {"intensity": "60 mm/h"}}), []
    for parts in ([(0, 600)], [(0, 300), (300, 600)]):
        state = State(city, columns_with(city.columns))
        flood = Flood(Setup(city, params, 0.0, 600, Streams(0)), state)
        for begin, end in parts:
            for now in range(begin, end, 60):
                flood.advance(state, now, now + 60)
        ends.append(state["water_depth"].copy())
    assert np.array_equal(*ends)


def test_a_fork_floods_without_wetting_its_parent_and_goes_on_from_its_water():
    city = city_of(hills(6, 32))
    parent = State(city, columns_with(city.columns))
    parent["water_depth"] = np.full(city.ground.size, 0.1)
    flood, fork = flooded(city, 120, state=parent.fork(), edges=CLOSED)
    assert np.all(parent["water_depth"] == 0.1)
    assert fork["water_depth"].sum() == pytest.approx(parent["water_depth"].sum(), rel=1e-12)
    assert fork["water_depth"].max() > 0.2
    assert flood.summary(fork)["volume"]["at_start"] == pytest.approx(0.1 * 32 * 32 * 100)


def test_the_sea_comes_in_to_its_level_and_goes_out_again():
    city = city_of(np.full((12, 30), 0.0))
    sea = [{"edge": "west", "level": {"0h": "0 m", "10min": "1 m", "2h": "1 m"}}]
    _, high = flooded(city, 7200, sea=sea, edges=CLOSED, every=600)
    np.testing.assert_allclose(high.raster("water_depth"), 1.0, atol=0.02)
    sea = [{"edge": "west", "level": {"0h": "1 m", "10min": "0.2 m"}}]
    _, low = flooded(city, 7200, depth=1.0, sea=sea, edges=CLOSED, every=600)
    np.testing.assert_allclose(low.raster("water_depth"), 0.2, atol=0.02)


def test_only_the_area_asked_for_floods():
    city = city_of(hills(7, 64))
    west, north = place(city, 15.5, 15.5)
    east, south = place(city, 47.5, 47.5)
    _, state = flooded(city, 120, rain={"intensity": "100 mm/h"}, area=(west, south, east, north))
    wet = state.raster("water_depth") > 0
    assert wet[16:48, 16:48].mean() > 0.5
    assert not wet[:14].any()
    assert not wet[:, 50:].any()


def test_water_leaves_over_unknown_ground_and_over_open_edges_only():
    bed = np.zeros((20, 20))
    flood, _ = flooded(city_of(bed), 600, depth=0.5, edges=CLOSED)
    assert flood.water.account.left == 0
    bed[8:12, 8:12] = np.nan
    flood, state = flooded(city_of(bed), 3600, depth=0.5, edges=CLOSED, every=600)
    assert flood.water.account.left > 0.8 * 384 * 100 * 0.5
    assert flood.summary(state)["mass_balance_error"] < 1e-12


@pytest.mark.parametrize(("said", "word"), [
    ({"rain": {"duration": "1h"}}, "intensity"),
    ({"inflow": [{"discharge": "1 m3/s"}]}, "place"),
    ({"sea": [{"level": "1 m", "edge": "west", "water": "w1"}]}, "exactly one"),
    ({"rain": {"intensity": 60}}, "unit"),
    ({"inflow": [{"place": [1.5, 42.5], "discharge": {"1h": "1 m3/s", "0h": "2 m3/s"}}]}, "rise"),
    ({"inflow": [{"place": [1.5, 42.5], "discharge": {"file": "q.csv"}}]}, "may not name files"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(said, word):
    with pytest.raises(ValueError, match=word):
        FloodParameters.model_validate(said)


def test_a_place_off_the_ground_is_refused():
    with pytest.raises(InputError, match="not on the simulated ground"):
        flooded(city_of(np.zeros((10, 10))), 60, inflow=[{"place": (10.0, 50.0), "discharge": "1 m3/s"}])


def test_a_series_is_read_from_a_file(tmp_path):
    (tmp_path / "rain.csv").write_text("time (min),rain (mm/h)\n0,10\n30,60\n60,0\n")
    params = FloodParameters.model_validate({"rain": {"series": {"file": "rain.csv"}}}, context={"folder": tmp_path})
    assert params.rain.series.total(0, 7200) == pytest.approx(0.035)


def test_tiles_that_step_apart_come_near_tiles_that_step_together(monkeypatch):
    x = np.abs(np.arange(96) - 48) * 0.5
    bed = x + np.arange(96)[::-1, None] * 0.2 + np.random.default_rng(8).normal(size=(96, 96)) * 0.1
    depths = []
    for finest in (0, 5):
        monkeypatch.setattr("citytwin.hazards.flood.water.FINEST", finest)
        flood, state = flooded(city_of(bed), 1200, rain={"intensity": "100 mm/h", "duration": "20min"})
        depths.append(state.raster("water_depth").copy())
    assert len(np.unique(flood.water.level[flood.water.active])) > 1
    assert np.abs(depths[1] - depths[0]).mean() < 0.02 * depths[0].mean()


def test_an_empty_city_stays_dry():
    flood, state = flooded(city_of(hills(9, 32)), 120)
    assert state["water_depth"].max() == 0.0
    assert flood.summary(state)["mass_balance_error"] == 0.0


def test_still_water_needs_no_account():
    water = Water(np.zeros((5, 5)), np.full((5, 5), 0.03), 10.0, SHUT)
    water.set_depth(np.full((5, 5), 1.0))
    water.plan(10.0, np.zeros(water.deep.size))
    water.flow(Points())
    assert water.volume() == 2500.0


def by_the_sea(height: float) -> City:
    """A beach of 20 x 20 cells whose eastern quarter is open sea, 3 m deep below a level of 0 m."""
    bed = np.where(np.arange(20) < 15, height, -3.0) * np.ones((20, 1))
    plain = city_of(bed)
    _, south, east, north = plain.ground.bounds
    sea = gpd.GeoDataFrame(
        {"key": ["s"], "kind": ["sea"]}, geometry=[shapely.box(east - 50, south, east, north)], crs=plain.crs
    )
    return City(plain.facts, {"water": sea}, plain.ground)


def test_what_runs_into_the_open_sea_is_gone_and_the_account_knows():
    flood, state = flooded(by_the_sea(1.0), 3600, depth=0.3, edges=CLOSED)
    depth = state.raster("water_depth")
    assert (depth[:, 15:] == 0).all()
    assert depth[:, :15].mean() < 0.15
    volume = flood.summary(state)["volume"]
    assert volume["out"]["edges"] == pytest.approx(volume["at_start"] - volume["stored"])
    assert flood.summary(state)["mass_balance_error"] < 1e-12


def test_the_sea_is_simulated_where_a_level_is_given():
    _, state = flooded(by_the_sea(1.0), 3600, edges=CLOSED, sea=[{"water": "s", "level": "1.5 m"}])
    assert state.raster("water_depth")[:, 14].min() > 0.3


def test_water_may_be_pumped_into_the_open_sea():
    city = by_the_sea(1.0)
    pump = Planned(0.0, "pump", Pump(place=place(city, 10, 3), outlet=place(city, 10, 18), rate="0.1 m3/s"))
    flood, state = flooded(city, 60, pump, depth=0.3, edges=CLOSED)
    assert flood.summary(state)["volume"]["out"]["pumped"] == pytest.approx(6.0)
