"""The earthquake in a scenario: what it writes, what lifelines make of it, aftershocks, reports, retrofits, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from small_city import Bench, small_city

from citytwin.errors import InputError
from citytwin.hazards.earthquake.casualties import AMOUNTS, LEVELS, QUANTITIES, Kind, follows_of, occupants, part_of_day
from citytwin.hazards.earthquake.parameters import EarthquakeParameters, Retrofit
from citytwin.hazards.earthquake.strike import strike
from citytwin.scenario import parse_text, play
from citytwin.scenario.study import percentiles
from citytwin.sim import Setup, Streams

HERE = (1.7895, 42.4425)


def params(**said):
    base = {"magnitude": 6.3, "place": HERE, "depth": "8 km", "realisations": 64}
    return EarthquakeParameters.model_validate({**base, **said})


def struck(city=None, member=0, retrofits=(), after=0, seed=1, hour=2.0, **said):
    return strike(Setup(city or small_city(), params(**said), 0.0, 600.0, Streams(seed, member)), hour, False, retrofits, after)


SCENARIO = """
name: Quake
start: 2026-11-20T02:00:00Z
duration: 20min
every: 5min
seed: 2
hazards:
  - earthquake: {magnitude: 6.8, place: [1.7895, 42.4425], depth: 6 km, realisations: 48, delay: 6min}
lifelines: [traffic, power, water, care]
"""


def test_a_scenario_gives_impact_with_bands_and_zones_that_add_up(tmp_path):
    result = play(parse_text(SCENARIO), small_city(), tmp_path / "run")
    impact, told = result.impact, result.document["diagnostics"]["earthquake"]
    assert impact["people_injured"]["low"] <= impact["people_injured"]["median"] <= impact["people_injured"]["high"]
    assert set(impact["buildings_by_damage_state"]) == set(LEVELS)
    building, zone = result.table("building"), result.table("zone")
    for name in ("injured", "killed", "trapped", "displaced"):
        assert zone[f"zone_{name}"].sum() == pytest.approx(building[f"quake_{name}"].sum(), rel=1e-5)
        assert told["triage"]["expected"][name] == pytest.approx(building[f"quake_{name}"].sum(), rel=1e-5)
    states = told["triage"]["expected_buildings_by_damage_state"]
    assert sum(states.values()) == pytest.approx(16)
    assert [z["rank"] for z in told["triage"]["zones"]] == [1, 2]
    assert result.grade["earthquake"] == "verified"
    assert impact["roads_closed_km"] is not None
    assert {"traffic", "access"} <= set(result.grade)


def test_nothing_happens_before_the_delay(tmp_path):
    text = SCENARIO.replace("duration: 20min", "duration: 5min").replace("lifelines: [traffic, power, water, care]", "")
    result = play(parse_text(text), small_city(), tmp_path / "run")
    assert result.document["diagnostics"]["earthquake"]["reason"] == "no shock before the end"
    assert result.tables == ()


def test_a_quake_that_fails_a_substation_darkens_its_customers():
    city = small_city()
    bench = Bench(city, "power", "water")
    broken = np.zeros(city.size("power_bus"))
    broken[city.row("power_bus", "s_east")] = 1.0
    bench.state["power_bus_broken"] = broken
    bench.step()
    dark = bench.state["building_without_power"] > 0
    east = city.table("building")["zone"].to_numpy() == "east"
    assert np.array_equal(dark, east)
    assert bench.state["water_node_without_power"][city.row("water_node", "w_pump")] == 1


def test_a_broken_main_cuts_off_what_lies_behind_it():
    city = small_city()
    bench = Bench(city, "water")
    broken = np.zeros(city.size("pipe"))
    broken[city.row("pipe", "pw_eastw_pump")] = 1.0
    bench.state["pipe_broken"] = broken
    bench.step()
    west = city.table("building")["zone"].to_numpy() == "west"
    assert np.array_equal(bench.state["building_without_water"] > 0, west)


def test_rubble_closes_a_road_and_a_broken_hospital_takes_nobody():
    city = small_city()
    bench = Bench(city, "traffic", "care", "access")
    bench.state["road_blocked"] = np.eye(1, city.size("road"), 3)[0]
    bench.state["facility_broken"] = np.eye(1, city.size("facility"), 0)[0]
    bench.step()
    assert bench.state["road_closed"].tolist() == np.eye(1, city.size("road"), 3)[0].tolist()
    assert bench.state["hospital_out"][0] == 1
    assert bench.state["facility_state"][0] == 2


def test_the_same_seed_gives_the_same_bits_and_members_share_their_fields():
    first, again, member, other = struck(), struck(), struck(member=3), struck(seed=2)
    for name, values in first.columns.items():
        assert np.array_equal(values, again.columns[name]), name
    for name in ("collapse_probability", "quake_injured", "zone_trapped_high"):
        assert np.array_equal(first.columns[name], member.columns[name]), name
    assert not np.array_equal(first.columns["quake_damage_state"], member.columns["quake_damage_state"])
    assert not np.array_equal(first.columns["collapse_probability"], other.columns["collapse_probability"])


def test_each_station_has_the_probability_of_its_own_curve():
    city = small_city()
    found = struck(city).columns["power_bus_break_probability"]
    kind = city.table("power_bus")["kind"].to_numpy()
    assert found[kind == "transformer"].max() < found[kind == "substation"].min()  # circuits stand more than substations
    assert np.all((found > 0) & (found < 1))


def test_a_stronger_nearer_earthquake_does_more():
    weak, strong = struck(magnitude=5.2), struck(magnitude=7.0)
    for name in ("building_acceleration", "collapse_probability", "quake_loss", "pipe_repairs"):
        assert np.all(strong.columns[name] > weak.columns[name]), name


def test_a_strong_reading_raises_the_shaking_around_it_and_narrows_it():
    without = struck()
    high = struck(readings=[{"place": HERE, "pga": "9 m/s2"}])
    assert np.all(high.columns["building_acceleration"] > without.columns["building_acceleration"])
    assert high.columns["shaking_spread"].mean() < 0.7 * without.columns["shaking_spread"].mean()
    assert high.columns["collapse_probability"].mean() > without.columns["collapse_probability"].mean()


def test_reports_of_collapse_make_the_neighbours_worse_and_reports_of_no_damage_better():
    before = struck().columns["heavy_damage_probability"]
    bad = struck(reports=[{"building": k, "state": "collapsed"} for k in ("b0", "b9")]).columns["heavy_damage_probability"]
    good = struck(reports=[{"building": k, "state": "none"} for k in ("b0", "b9")]).columns["heavy_damage_probability"]
    others = [n for n in range(16) if n not in (0, 9)]
    assert np.all(bad[others] > before[others])
    assert np.all(good[others] < before[others])
    assert bad[0] > 0.9
    assert good[9] < 0.1


def test_a_report_of_a_building_that_is_not_there_is_refused():
    with pytest.raises(InputError, match='no building "b99"'):
        _refused(reports=[{"building": "b99", "state": "none"}])


def _refused(**said):
    from citytwin.errors import MissingError

    try:
        struck(**said)
    except MissingError as error:
        raise InputError(error.message) from error


def test_an_aftershock_leaves_no_building_better():
    shock = {"magnitude": 6.2, "place": HERE, "delay": "10 min"}
    alone, both = struck(aftershocks=[shock]), struck(aftershocks=[shock], after=1)
    assert both.columns["heavy_damage_probability"].mean() > alone.columns["heavy_damage_probability"].mean()
    assert np.all(both.columns["quake_damage_state"] >= alone.columns["quake_damage_state"])


def test_a_retrofit_helps_those_it_is_given_to_and_nobody_else():
    before, after = struck(), struck(retrofits=(Retrofit(use=["education", "health"], factor=2.0),))
    use = small_city().table("building")["use"].to_numpy()
    chosen = np.isin(use, ["education", "health"])
    a, b = (s.columns["collapse_probability"] for s in (before, after))
    assert np.all(b[chosen] < a[chosen])
    assert b[~chosen] == pytest.approx(a[~chosen], rel=1e-6)


def test_people_are_at_home_by_night_and_at_work_by_day():
    city = small_city()
    use = city.table("building")["use"].to_numpy()
    night, day = occupants(city, 2.0), occupants(city, 11.0)
    homes = np.isin(use, ["house", "apartments"])
    assert night[homes].sum() > day[homes].sum()
    assert day[use == "commercial"].sum() > night[use == "commercial"].sum()
    assert [part_of_day(h) for h in (3, 7, 12, 17, 22)] == ["night", "commute", "day", "commute", "night"]
    assert part_of_day(12, weekend=True) == "commute"


def test_nobody_is_hurt_where_nothing_is_damaged():
    out = follows_of(
        [Kind(np.ones((5, 4)), 1.0, 1.0, np.ones(5))], [0], (1, 2, 3, 4, 5), {name: np.ones(1) for name in AMOUNTS}
    )
    assert [out.expected(np.eye(6)[[state]], QUANTITIES.index("loss"))[0] for state in range(6)] == [0, 1, 1, 1, 1, 1]
    assert all(out.expected(np.eye(6)[[0]], quantity)[0] == 0 for quantity in range(out.count))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{magnitude: 6}", "has a place"),
        ("{}", "exactly one of magnitude with place, rupture, shakemap"),
        ("{magnitude: 6, place: [1, 42], models: {BSA14: 1}}", "BSSA14|BSA14"),
        ("{magnitude: 6, place: [1, 42], magnitud: 3}", "magnitude"),
        ("{magnitude: 6, place: [1, 42], fragility: nowhere.xml}", "may name no file"),
        ("{magnitude: 6, place: [1, 42], aftershocks: [{magnitude: 5, place: [1, 42], delay: 0 s}]}", "aftershocks come after"),
    ],
)
def test_a_wrong_earthquake_is_refused_in_one_line(said, words, tmp_path):
    text = f"name: x\nstart: 2026-11-20T02:00:00Z\nduration: 5min\nhazards:\n  - earthquake: {said}\n"
    with pytest.raises(InputError, match=words):
        play(parse_text(text), small_city(), tmp_path / "run")


def test_bands_of_members_become_one_outer_band():
    members = [{"people_killed": {"low": 0.0, "median": 1.0 + n, "high": 5.0 + n}} for n in range(3)]
    band = percentiles(members)["people_killed"]
    assert band["median"] == 2.0
    assert band["low"] == 0.0
    assert 6.5 < band["high"] <= 7.0


def test_soft_ground_adds_damage_to_buildings_and_repairs_to_mains_and_can_be_left_out():
    firm, soft = struck(susceptibility="none"), struck(susceptibility="very_high")
    off = struck(susceptibility="very_high", ground_failure=False)
    for name in ("heavy_damage_probability", "collapse_probability", "pipe_repairs", "ground_failure_probability"):
        assert np.all(soft.columns[name] > firm.columns[name]), name
    for name, values in firm.columns.items():
        assert np.array_equal(values, off.columns[name]), name
    assert np.all(firm.columns["ground_failure_probability"] == 0)
    added = soft.columns["heavy_damage_probability"] - firm.columns["heavy_damage_probability"]
    assert np.all(added < 1.5 * soft.columns["ground_failure_probability"])
    states = soft.levels * soft.portfolio.number[:, None]
    assert states.sum() == pytest.approx(16)
    assert soft.words["ground_failure"]["grade"] == "sketch"
    assert soft.words["ground_failure"]["buildings_extensive_by_ground"] > 0


def test_a_reported_building_on_soft_ground_stays_as_it_was_seen():
    seen = struck(susceptibility="very_high", reports=[{"building": "b3", "state": "none", "reliability": 0.99}])
    assert seen.columns["heavy_damage_probability"][3] < 0.05


def test_what_stations_change_is_nothing_without_them_and_up_where_they_read_more():
    assert np.all(struck().columns["shaking_change"] == 0)
    assert np.all(struck(readings=[{"place": HERE, "pga": "9 m/s2"}]).columns["shaking_change"] > 0.2)


def test_a_retrofit_costs_what_it_says_for_each_square_metre_of_floor(tmp_path):
    text = SCENARIO + "interventions:\n  - {at: 0min, retrofit: {use: [education], factor: 1.5, cost: 300}}\n"
    city = small_city()
    result = play(parse_text(text), city, tmp_path / "run")
    floor = 2.0 * 256.0 * (city.table("building")["use"] == "education").sum()  # two storeys of 16 m by 16 m
    assert result.impact["measures_cost"] == pytest.approx(300.0 * floor)
    free = play(parse_text(text.replace(", cost: 300", "")), city, tmp_path / "free")
    assert free.impact["measures_cost"] is None


def test_ground_whose_class_nobody_says_fails_only_where_that_is_asked_for():
    unsaid, off, asked = struck(), struck(ground_failure=False), struck(ground_failure=True)
    for name, values in unsaid.columns.items():
        assert np.array_equal(values, off.columns[name]), name
    assert unsaid.words["ground_failure"] == "none"
    assert "told from Vs30" in asked.words["ground_failure"]["susceptibility"]
