"""Laws of simulated devices: believable, coherent, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray
from device_city import device_city

from citytwin.city import City, Facts, Ground
from citytwin.columns import shipped
from citytwin.io.feeds.fleet import Fleet
from citytwin.io.feeds.mqtt import packet
from citytwin.io.feeds.signals import CLOCK_AHEAD, DROPOUT, SPIKES, STUCK, WRONG_CLOCK, Signals
from citytwin.io.feeds.water import RunWater
from citytwin.state import State

KINDS = shipped().kinds
T = 1_795_262_400.0
HOUR = 3600.0


def signals(city=None, **given):
    return Signals(city or device_city(88, tuple(KINDS)), KINDS, **{"seed": 1, "share": 0.0, **given})


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_declared_kind_says_something_that_physics_allows_all_day_long(kind):
    made = signals(device_city(4, (kind,)))
    rows = np.arange(4)
    values = np.array([made.truth(rows, T + h * HOUR) for h in range(24)])
    column = KINDS[kind].column
    assert np.isfinite(values).all()
    assert (values >= column.low).all()
    assert (values <= column.high).all()


@pytest.mark.parametrize("kind", [k for k in KINDS if np.isfinite(KINDS[k].rate)])
def test_no_healthy_device_changes_faster_than_its_kind_can(kind):
    made, k = signals(device_city(10, (kind,))), KINDS[kind]
    values = np.array([made.truth(np.arange(10), T + n * k.period) for n in range(200)])
    assert np.abs(np.diff(values, axis=0)).max() <= k.rate * k.period


def test_the_same_seed_gives_the_same_readings_and_another_seed_others():
    rows = np.arange(88)
    first, same, other = (signals(seed=s, share=0.1).sample(rows, T) for s in (1, 1, 2))
    assert np.array_equal(first.value, same.value)
    assert np.array_equal(first.row, same.row)
    assert not np.array_equal(first.value[:50], other.value[:50])


def test_neighbouring_rain_gauges_agree_and_it_does_rain_at_times():
    city = device_city(50, ("rain_gauge",))
    made = signals(city)
    rain = np.array([made.truth(np.arange(50), T + h * 600) for h in range(6 * 24 * 7)])
    wet = rain[rain.max(axis=1) > 0]
    assert 20 < len(wet) < 500
    near, far = np.abs(wet[:, 0] - wet[:, 1]), np.abs(wet[:, 0] - wet[:, 49])  # 100 m and 4.9 km apart
    assert near.max() <= 0.1 * wet.max() + 0.01
    assert far.mean() > 5 * near.mean()


def test_gauges_rise_by_the_depth_of_the_water_where_they_stand():
    made_city = device_city(10, ("river_stage", "noise"))
    ground = Ground(499_900.0, 5_000_100.0, 100.0, {"elevation": np.zeros((2, 15), dtype=np.float32)})
    city = City(Facts("Wet", "EPSG:32631"), {"device": made_city.table("device")}, ground)
    state = State(city)
    from citytwin.columns import Column

    state.declare(Column("water_depth", "cell", "m", "depth", 0, 100, start=0.0))
    made, rows = signals(city), np.arange(10)
    dry = made.truth(rows, T)
    state.edit("water_depth")[:] = 1.5
    made.follow(state)
    wet = made.truth(rows, T)
    assert wet[0::2] - dry[0::2] == pytest.approx(1.5)
    assert np.array_equal(wet[1::2], dry[1::2])
    made.follow(None)
    assert np.array_equal(made.truth(rows, T), dry)


def test_faults_are_what_they_are_called():
    made = signals(share=0.5)
    rows = np.arange(88)
    fault = made.faults(int(T // HOUR))
    assert {STUCK, DROPOUT, SPIKES, WRONG_CLOCK} <= set(fault.tolist())
    one, two = made.sample(rows, T + 1200), made.sample(rows, T + 2400)
    assert set(np.flatnonzero(fault == DROPOUT)) == set(rows.tolist()) - set(one.row.tolist())
    held = np.isin(one.row, np.flatnonzero(fault == STUCK))
    assert np.array_equal(one.value[held], two.value[held])
    ahead = np.isin(one.row, np.flatnonzero(fault == WRONG_CLOCK))
    assert (one.time[ahead] == T + 1200 + CLOCK_AHEAD).all()
    assert (one.time[~ahead] == T + 1200).all()


def test_the_share_of_faulty_devices_is_what_was_asked_for():
    made = signals(device_city(20_000, ("noise",)), share=0.01)
    assert 120 < (made.faults(5) > 0).sum() < 280  # binomial, 20,000 x 0.01, more than five standard deviations each way


def test_a_rate_is_shared_over_all_devices_and_without_one_each_keeps_its_period():
    city = device_city(20)
    assert Fleet(city, KINDS, rate=40)._interval.tolist() == [0.5] * 20
    assert Fleet(city, KINDS, devices=3)._interval.tolist() == [
        KINDS[k].period for k in ("river_stage", "rain_gauge", "air_temperature")
    ]


@pytest.mark.parametrize(("size", "length"), [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3)])
def test_the_length_of_a_packet_is_written_as_mqtt_says(size, length):
    made = packet(0x30, b"x" * size)
    assert len(made) == 1 + length + size
    digits = made[1 : 1 + length]
    assert sum((d & 127) * 128**i for i, d in enumerate(digits)) == size


def test_the_water_of_a_run_comes_and_goes_where_it_did(tmp_path):
    depth = np.zeros((3, 2, 3), dtype=np.float32)
    depth[1, 1, 2] = 1.5
    depth[2] = np.nan
    course = xarray.Dataset(
        {"water_depth": (("time", "y", "x"), depth)},
        {"time": pd.date_range("2026-11-21", periods=3, freq="5min"), "y": [150.0, 50.0], "x": [50.0, 150.0, 250.0]},
    )
    course.to_netcdf(tmp_path / "fields.nc")
    (tmp_path / "result.json").write_text('{"scenario": {}, "impact": {}, "grade": {}}')
    water = RunWater(tmp_path, np.array([260.0, 60.0, 900.0]), np.array([40.0, 160.0, 40.0]))
    assert [water.at(t).tolist() for t in (-1, 299, 300, 599, 9999)] == [
        [0, 0, 0],
        [0, 0, 0],
        [1.5, 0, 0],
        [1.5, 0, 0],
        [0, 0, 0],
    ]
