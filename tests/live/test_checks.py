"""Laws of the checks that every reading passes through."""

from __future__ import annotations

import numpy as np
import pytest
from device_city import arrivals
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.columns import Column, DeviceKind
from citytwin.state import Checks, Health, Quality
from citytwin.state.checks import AHEAD, REMEMBERED

GAUGE = DeviceKind(
    "gauge", Column("level", "device", "m", "a level", -5, 25), 60.0, (0, 4), "water", "", 1, rate=0.01, still=600
)
T = 1.7e9


def judged(*batches):
    checks = Checks([GAUGE], np.zeros(3, dtype=np.int32))
    for batch in batches:
        checks.check(batch)
    return [Quality(q) for batch in batches for q in batch.quality]


def test_an_ordinary_series_is_good():
    assert judged(arrivals([0] * 5, T + 60 * np.arange(5), [1.0, 1.1, 1.05, 1.2, 1.3])) == [Quality.GOOD] * 5


@pytest.mark.parametrize("value", [-5.01, 25.01, np.inf, -np.inf, np.nan])
def test_a_value_outside_physics_is_not_believed(value):
    assert judged(arrivals([0], [T], [value])) == [Quality.OUTSIDE_BOUNDS]


def test_bounds_themselves_are_possible():
    assert judged(arrivals([0, 1], [T, T], [-5, 25])) == [Quality.GOOD] * 2


def test_a_step_of_a_metre_in_one_period_is_too_fast_and_does_not_become_the_truth():
    found = judged(arrivals([0] * 4, T + 60 * np.arange(4), [1.0, 2.0, 1.1, 1.2]))
    assert found == [Quality.GOOD, Quality.TOO_FAST, Quality.GOOD, Quality.GOOD]


def test_a_real_rise_is_believed_once_it_has_lasted_as_long_as_it_needs():
    found = judged(arrivals([0] * 4, T + 60 * np.arange(4), [1.0, 2.0, 2.0, 2.0]))  # 1 m needs 100 s at 0.01 m/s
    assert found == [Quality.GOOD, Quality.TOO_FAST, Quality.GOOD, Quality.GOOD]


def test_exactly_equal_values_are_stuck_after_their_time():
    found = judged(arrivals([0] * 13, T + 60 * np.arange(13), [1.0] * 13))
    assert found[:11] == [Quality.GOOD] * 11
    assert found[11:] == [Quality.STUCK] * 2


def test_the_same_moment_twice_is_doubled_even_long_after():
    later = T + 60 * np.arange(REMEMBERED)
    found = judged(arrivals([0] * REMEMBERED, later, 1 + 0.01 * np.arange(REMEMBERED)), arrivals([0], [T], [1.0]))
    assert found[-1] == Quality.DOUBLED
    assert set(found[:-1]) == {Quality.GOOD}


def test_an_older_reading_is_late_and_leaves_the_newest_in_place():
    checks = Checks([GAUGE], np.zeros(1, dtype=np.int32))
    batch = arrivals([0, 0], [T, T - 30], [1.0, 3.0])
    checks.check(batch)
    assert [Quality(q) for q in batch.quality] == [Quality.GOOD, Quality.LATE]
    assert (checks.last_time[0], checks.last_value[0]) == (T, 1.0)


def test_a_clock_that_is_ahead_is_found_and_a_small_error_forgiven():
    found = judged(arrivals([0, 1], [T + AHEAD, T + AHEAD + 1], [1, 1], arrived=[T, T]))
    assert found == [Quality.GOOD, Quality.FUTURE]


def test_an_unknown_device_and_a_reading_already_refused_stay_what_they_are():
    batch = arrivals([-1, 0], [T, T], [1, 1])
    batch.quality[:] = [Quality.UNKNOWN_DEVICE, Quality.WRONG_UNIT]
    assert judged(batch) == [Quality.UNKNOWN_DEVICE, Quality.WRONG_UNIT]


readings = st.lists(
    st.tuples(st.integers(-1, 2), st.integers(0, 12), st.floats(-8, 30, width=32), st.integers(-100, 100)), max_size=60
)


@given(readings, st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_the_verdict_does_not_depend_on_how_readings_are_cut_into_batches(rows, size):
    def columns(part):
        row, step, value, offset = zip(*part, strict=True)
        time = T + 60 * np.array(step, dtype=float)
        return arrivals(row, time, value, arrived=time + np.array(offset))

    if rows:
        cut = [columns(rows[i : i + size]) for i in range(0, len(rows), size)]
        assert judged(columns(rows)) == judged(*cut)


@given(readings)
@settings(max_examples=60, deadline=None)
def test_nothing_impossible_and_nothing_twice_is_ever_believed(rows):
    if not rows:
        return
    row, step, value, offset = zip(*rows, strict=True)
    time = T + 60 * np.array(step, dtype=float)
    batch = arrivals(row, time, value, arrived=time + np.array(offset))
    Checks([GAUGE], np.zeros(3, dtype=np.int32)).check(batch)
    kept = batch.believed & (batch.row >= 0)
    assert ((batch.value[kept] >= -5) & (batch.value[kept] <= 25)).all()
    moments = list(zip(batch.row[kept].tolist(), batch.time[kept].tolist(), strict=True))
    assert len(moments) == len(set(moments))


def test_a_device_goes_from_unknown_over_online_and_late_to_silent():
    health = Health(np.array([60.0, 60.0]))
    health.hear(arrivals([0], [T], [1]))
    seen = [int(health.status(T + age)[0]) for age in (0, 80, 100, 301)]
    assert seen == [1, 1, 2, 3]
    assert health.status(T)[1] == 0


def test_a_device_is_faulty_after_three_faults_in_a_row_and_well_after_one_good_reading():
    health = Health(np.array([60.0]))
    wrong = arrivals([0, 0, 0], [T, T, T], [99, 99, 99])
    wrong.quality[:] = Quality.OUTSIDE_BOUNDS
    health.hear(wrong)
    assert health.status(T)[0] == 4
    health.hear(arrivals([0], [T], [1]))
    assert health.status(T)[0] == 1
