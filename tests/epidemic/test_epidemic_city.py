"""An epidemic and the rest of the twin in one run: streets and loads follow measures, dirt in the mains brings cholera."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np
import pytest
from epidemic_town import DAY, epidemic
from small_city import SIDE, small_city

from citytwin.city import City
from citytwin.scenario import parse, play

PEOPLE = 600.0
SIDES = ("north", "east", "south", "west")


@cache
def bowl() -> City:
    """The small city with more people, on ground that falls to the water works in the east."""
    east, south = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    city = small_city(10.0 + 0.06 * np.hypot(east - 37, south - 11))
    building = city.table("building").assign(people=PEOPLE, floor_area=4000.0)
    return City(city.facts, {**{t: city.table(t) for t in city.tables}, "building": building}, city.ground, city.relations)


def flooded(rain: str = "400 mm/h", **water) -> dict:
    return {
        "name": "Cholera", "start": "2027-06-01T00:00:00Z", "duration": "1d", "every": "6h", "seed": 3,
        "hazards": [
            {"flood": {"rain": {"intensity": rain, "duration": "1h"}, "edges": dict.fromkeys(SIDES, "closed")}},
            {"epidemic": {"disease": "cholera", "seeds": [{"people": 0}]}},
        ],
        "lifelines": ["power", {"water": water}],
    }  # fmt: skip


def played(said: dict, folder, name: str):
    return play(parse(said), bowl(), folder / name)


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a day of water is long without the compiler")
def test_a_flood_that_takes_the_pressure_brings_cholera_through_the_mains(tmp_path):
    wet, tight, dry = (played(s, tmp_path, n) for n, s in (
        ("wet", flooded()), ("tight", flooded(leakage="0 m2/s")), ("dry", flooded("1 mm/h"))))  # fmt: skip
    assert dry.impact["people_infected"] == dry.impact["customers_without_water"] == 0
    assert wet.impact["customers_without_water"] > 0
    assert wet.document["diagnostics"]["water"]["flood_water_in_mains_m3"] > 0
    assert tight.document["diagnostics"]["water"]["flood_water_in_mains_m3"] == 0
    assert wet.impact["people_infected"] > tight.impact["people_infected"] > 0  # dry taps alone bring some
    with wet.fields as one, tight.fields as other:
        assert (one["zone_water_contamination"].values[3:] > other["zone_water_contamination"].values[3:]).all()
        assert one["building_water_contamination"].values[-1].max() > 0


def test_a_hospital_that_is_out_takes_nobody_and_its_patients_stay():
    made = epidemic(0, length=60, seeds=[{"people": 400}], r0=4)
    made.advance(made.state, 0.0, 25 * DAY)
    before, there = made.outbreak.turned_away, made.hospitals.patients.sum()
    assert there > 0
    made.state["hospital_out"] = 1.0
    made.advance(made.state, 25 * DAY, 35 * DAY)
    assert made.outbreak.turned_away > before
    assert made.hospitals.patients.min() >= 0
    left = made.hospitals.patients.sum()
    assert left < there
    rows = made.hospitals.rows
    assert made.state["hospital_epidemic_beds_free"][rows].max() == 0
    made.state["hospital_out"] = 0.0
    made.advance(made.state, 35 * DAY, 36 * DAY)
    assert made.hospitals.patients.sum() > left
    assert (made.hospitals.patients + made.hospitals.free == made.hospitals.beds).all()


def test_a_lockdown_empties_streets_and_shifts_power_home(tmp_path):
    said = {
        "name": "L", "start": "2027-01-04T00:00:00Z", "duration": "6d", "every": "1d", "seed": 1,
        "hazards": [{"epidemic": {"disease": "influenza", "seeds": [{"people": 5}]}}], "lifelines": ["power"],
        "interventions": [{"at": "3d", "lockdown": {"zones": ["west"], "share": 0.8}}],
    }  # fmt: skip
    result = played(said, tmp_path, "closed")
    with result.fields as fields:
        traffic, load = fields["road_traffic"].values, fields["zone_power_load"].values
    assert (traffic[:4] == 1).all()
    assert traffic[-1].min() < 0.6
    assert traffic.shape[1] < bowl().size("road")  # the streets of the east are as ever, and not written
    assert load.shape[1] == 2
    assert load[-1, 0] != pytest.approx(load[1, 0], rel=1e-3)
    assert load[-1, 1] == pytest.approx(load[1, 1], rel=1e-3)
    told = result.document["diagnostics"]
    assert told["traffic"]["traffic_least_share"] < 1
    assert told["power"]["energy_drawn_kwh"] != pytest.approx(told["power"]["energy_usual_kwh"])
    open_ = played({**said, "interventions": []}, tmp_path, "open").document["diagnostics"]
    assert open_["traffic"]["traffic_mean_share"] == 1
    assert open_["power"]["energy_drawn_kwh"] == pytest.approx(open_["power"]["energy_usual_kwh"])
