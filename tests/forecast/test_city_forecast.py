"""What a city's epidemic readings say, against made truth."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from citytwin.cli import root
from citytwin.errors import InputError
from citytwin.forecast import LEVELS, weighted_interval_score
from citytwin.forecast.city import CityReadings, Disease, assimilate, described
from citytwin.forecast.city_told import write_table
from citytwin.forecast.renewal import Renewal, filtered
from validation.epidemic_city_forecast import within, world

QUICK = Disease(particles=400)


def test_the_true_r_and_infections_lie_in_their_90_percent_bands_about_as_often():
    r, infections = [], []
    for seed in range(3):
        readings, real, infected = world(seed)
        found = assimilate(readings, Disease(particles=1200))
        r.append(within(real[:, 20:], found.reproduction[:5, 20:120]))
        infections.append(within(infected[:, 20:], found.infections[:5, 20:120]))
    assert 0.8 <= np.mean(r) <= 1.0
    assert 0.75 <= np.mean(infections) <= 1.0


def test_bands_of_r_are_far_narrower_than_what_was_believed_beforehand():
    readings, _, _ = world(1, law=lambda t: np.full(len(t), 1.1), days=60)
    found = assimilate(readings, QUICK)
    width = found.reproduction[:, 50, -3] - found.reproduction[:, 50, 2]
    beforehand = 2 * np.sinh(1.645 * 0.35)
    assert np.median(width) < 0.7 * beforehand


def test_forecasts_of_the_same_week_improve_as_days_are_added():
    early, late = [], []
    for seed in range(6):
        readings, _, _ = world(seed)
        truth = readings.cases[:, 105:112].sum(axis=1)
        for day, scores in ((84, early), (105, late)):
            found = assimilate(readings.until(day), QUICK)
            scores.append(weighted_interval_score(found.weekly_cases[:5, (105 - day) // 7], truth).mean())
    assert np.mean(late) < 0.7 * np.mean(early)


def test_a_lockdown_is_seen_within_two_weeks():
    readings, _, _ = world(2, law=lambda t: np.where(t < 60, 1.3, 0.7))
    found = assimilate(readings.until(74), QUICK)
    assert found.reproduction[-1, 50, 11] > 1.0
    assert found.reproduction[-1, 66, -3] < 1.0  # the 90 % band, six days after
    assert found.reproduction[-1, 73, 11] < 1.0


@pytest.mark.parametrize("stream", ["cases", "admissions", "wastewater"])
def test_any_one_stream_alone_tells_a_rise_from_a_fall(stream):
    chance = []
    for r in (1.3, 0.75):
        readings, _, _ = world(3, law=lambda t, r=r: np.full(len(t), r), days=36)
        parts = {s: getattr(readings, s) * (1.0 if s == stream else np.nan) for s in ("cases", "admissions", "wastewater")}
        found = assimilate(CityReadings(readings.zones, readings.people, readings.days, **parts), QUICK)
        chance.append(described(found)["city"]["rising"])
    assert chance[0] - chance[1] > 0.3


def test_no_reading_at_all_is_refused():
    readings, _, _ = world(0, days=30)
    empty = np.full_like(readings.cases, np.nan)
    with pytest.raises(InputError, match="no case, admission or wastewater"):
        assimilate(CityReadings(readings.zones, readings.people, readings.days, empty, empty, empty), QUICK)


def test_the_same_seed_gives_the_same_city_forecast():
    readings, _, _ = world(0, days=50)
    a, b = (assimilate(readings, QUICK) for _ in range(2))
    np.testing.assert_array_equal(a.weekly_cases, b.weekly_cases)
    assert (np.diff(a.reproduction, axis=-1) >= 0).all()
    assert a.infections.shape == (6, 78, len(LEVELS))


def test_the_renewal_filter_finds_a_constant_r():
    law = Renewal(particles=800, dispersion=0.1)
    generation = law.generation_pmf()
    infected = [50.0] * 30
    for _ in range(140):
        infected.append(1.15 * sum(g * infected[-1 - s] for s, g in enumerate(generation)))
    weekly = np.array(infected[30:]).reshape(-1, 7).sum(axis=1)
    found = filtered(weekly, np.random.default_rng(0), law)
    assert found.reproduction[-1, 11] == pytest.approx(1.15, abs=0.03)
    assert found.reproduction[-1, 2] < 1.15 < found.reproduction[-1, -3]


def test_the_command_forecasts_a_city_from_a_table(tmp_path, made_city):
    from citytwin.city import read_city

    people = read_city(made_city).table("zone").set_index("key")["people"].to_dict()
    zones = list(people)
    rng, rows = np.random.default_rng(0), []
    for zone in zones:
        for day, date in enumerate(pd.date_range("2026-01-01", periods=30)):
            rows.append({"zone": zone, "date": f"{date:%Y-%m-%d}", "cases": rng.poisson(people[zone] * 1e-3 * 1.06**day)})
    pd.DataFrame(rows).to_csv(tmp_path / "cases.csv", index=False)
    command = ["forecast", "city", str(made_city), "--readings", str(tmp_path / "cases.csv"), "--json"]
    done = CliRunner().invoke(root, command)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["today"] == "2026-01-30"
    assert set(said["zones"]) == set(zones)
    assert 0 <= said["city"]["rising"] <= 1
    assert len(said["city"]["weekly_admissions_ahead"]["median"]) == 4
    refused = CliRunner().invoke(root, ["forecast", "city", str(made_city)])
    assert isinstance(refused.exception, InputError)


def test_the_forecast_as_a_table_has_r_with_its_interval_for_every_day(tmp_path):
    readings, _, _ = world(1, days=50, zones=2)
    found = assimilate(readings, QUICK)
    write_table(found, tmp_path / "forecast.csv")
    read = pd.read_csv(tmp_path / "forecast.csv")
    r = read[(read["series"] == "reproduction") & (read["zone"] == "city")]
    assert len(r) == 50 + 28
    assert (r["kind"] == "estimate").sum() == 50
    assert ((r["low"] <= r["median"]) & (r["median"] <= r["high"])).all()
    assert r["median"].to_numpy() == pytest.approx(found.reproduction[-1, :, 11], rel=1e-4)
    assert set(read["zone"]) == {"z0", "z1", "city"}
    weekly = read[(read["series"] == "weekly_admissions") & (read["zone"] == "z0")]
    assert weekly["date"].tolist() == [str(d) for d in found.days[-28:][6::7]]
    told = described(found)["city"]
    assert len(told["reproduction_ahead"]["median"]) == len(told["infections_ahead"]["low"]) == 28


@pytest.mark.parametrize(("law", "toward"), [(1.5, -1), (0.6, 1)])
def test_r_a_week_ahead_has_drifted_towards_one(law, toward):
    readings, _, _ = world(3, law=lambda t: np.full(len(t), law), days=30)
    drifting, lasting = (
        assimilate(readings, replace(QUICK, lasting=share)).reproduction[-1, 36, 11] for share in (QUICK.lasting, 1.0)
    )
    assert np.sign(drifting - lasting) == toward
