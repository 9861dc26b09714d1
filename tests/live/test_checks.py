"""Laws of the checks that every reading passes through."""

from __future__ import annotations

import numpy as np
import pytest
from device_city import arrivals
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.columns import Column, DeviceKind
from citytwin.state import STATUS, Checks, Health, Judged, Judgement, Maintenance, Quality, read_notice, uptime, write_notice
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


def test_a_gauge_that_stays_where_it_stepped_stays_in_doubt_until_it_comes_back():
    steps = [1.0, 1.02, 1.01, 2.03, 2.05, 2.02, 2.04, 2.06, 1.05, 1.06]
    found = judged(arrivals([0] * 10, T + 60 * np.arange(10), steps))
    assert found == [Quality.GOOD] * 3 + [Quality.TOO_FAST] * 5 + [Quality.GOOD] * 2


def test_after_one_wild_value_a_river_that_goes_on_rising_is_believed_again():
    levels = [1.0, 1.3, 1.6, 9.0, 2.2, 2.5]  # 0.3 m a minute, and one spike
    found = judged(arrivals([0] * 6, T + 60 * np.arange(6), levels))
    assert found == [Quality.GOOD] * 3 + [Quality.TOO_FAST] + [Quality.GOOD] * 2


def test_a_steep_but_possible_rise_is_believed_throughout():
    levels = np.concatenate([np.full(5, 1.0), 1.0 + 0.5 * np.arange(1, 20)])
    assert judged(arrivals([0] * 24, T + 60 * np.arange(24), levels)) == [Quality.GOOD] * 24


def test_a_gauge_that_speaks_each_quarter_of_an_hour_is_known_by_its_own_steps():
    """A flood crest of centimetres a quarter of an hour, as on a large lowland river, and a zero that moves by a metre."""
    rise = 3.0 + 0.02 * np.arange(30) + 0.004 * np.sin(np.arange(30))
    moved = rise + np.where(np.arange(30) >= 20, 1.0, 0.0)
    found = judged(arrivals([0] * 30, T + 900 * np.arange(30), moved))
    assert found == [Quality.GOOD] * 20 + [Quality.TOO_FAST] * 10


def test_what_a_person_believes_is_where_following_readings_are_judged_from():
    checks = Checks([GAUGE], np.zeros(1, dtype=np.int32))
    before = arrivals([0] * 4, T + 60 * np.arange(4), [1.0, 1.01, 2.02, 2.03])
    checks.check(before)
    assert checks.in_doubt[0]
    checks.believe(0, T + 180, 2.03)
    after = arrivals([0] * 2, T + 60 * np.arange(4, 6), [2.04, 1.02])
    checks.check(after)
    assert [Quality(q) for q in after.quality] == [Quality.GOOD, Quality.TOO_FAST]


def test_exactly_equal_values_are_stuck_after_their_time():
    found = judged(arrivals([0] * 13, T + 60 * np.arange(13), [1.0] * 13))
    assert found[:11] == [Quality.GOOD] * 11
    assert found[11:] == [Quality.STUCK] * 2


def test_a_device_that_speaks_seldom_is_stuck_after_as_many_readings_as_others_not_after_two():
    found = judged(arrivals([0] * 13, T + 3600 * np.arange(13), [1.0] * 13))
    assert found == [Quality.GOOD] * 11 + [Quality.STUCK] * 2


def test_a_doubted_reading_that_comes_twice_is_kept_once():
    found = judged(arrivals([0] * 3, [T, T + 60, T + 60], [1.0, 2.0, 2.0]))
    assert found == [Quality.GOOD, Quality.TOO_FAST, Quality.DOUBLED]


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


def heard(health, faults, begin=0):
    """Readings a minute apart, of which some are faults (1)."""
    n = len(faults)
    batch = arrivals([0] * n, T + 60 * np.arange(begin, begin + n), [1.0] * n)
    batch.quality[:] = np.where(faults, int(Quality.OUTSIDE_BOUNDS), 0)
    health.hear(batch)
    return STATUS[health.status(batch.arrived[-1])[0]]


def test_a_device_is_faulty_by_its_share_of_faults_and_well_only_when_they_are_gone():
    health = Health(np.array([60.0]))
    assert heard(health, [0] * 10) == "online"
    assert heard(health, [1, 0, 1, 0, 1, 0, 1, 0], 10) == "online"
    assert heard(health, [1], 18) == "faulty"
    assert heard(health, [0] * 7, 19) == "faulty"
    assert heard(health, [0], 26) == "online"


def test_a_new_device_is_faulty_after_three_faults():
    assert heard(Health(np.array([60.0])), [1, 1, 1]) == "faulty"


def test_counts_are_kept_per_device_and_reason_and_missed_periods_with_them():
    health = Health(np.array([60.0, 60.0]))
    heard(health, [0, 1, 1, 0])
    heard(health, [0], 14)
    assert health.counts[0, [Quality.GOOD, Quality.OUTSIDE_BOUNDS]].tolist() == [3, 2]
    assert (health.silences[0], health.missed[0]) == (1, 10)
    assert health.counts[1].sum() == 0
    assert health.worst(np.array([1, 0])).tolist() == [0, 1]


def test_maintenance_hides_what_a_device_does_until_it_is_over():
    health = Health(np.array([60.0]))
    assert heard(health, [1, 1, 1]) == "faulty"
    health.maintain(0, T + 1000)
    assert [STATUS[health.status(T + s)[0]] for s in (200, 999, 1001)] == ["maintenance", "maintenance", "silent"]


def test_a_host_clock_that_is_set_back_does_not_hide_silence_for_longer_than_a_device_takes():
    health = Health(np.array([60.0]))
    heard(health, [0])
    assert STATUS[health.status(T - 7200)[0]] == "online"
    assert STATUS[health.status(T - 7200 + 301)[0]] == "silent"


def test_uptime_leaves_maintenance_and_the_time_before_a_device_was_known_out():
    status = np.array([0, 1, 3, 5, 1], dtype=np.uint8)
    moments = np.array([0.0, 100, 200, 300, 400])
    assert uptime(status, moments, 0, 500) == pytest.approx(200 / 300)
    assert uptime(status, moments, 150, 250) == pytest.approx(0.5)
    assert uptime(status[:1], moments[:1], 0, 50) is None


def test_the_last_of_several_judgements_counts_and_withdrawing_gives_back_what_the_checks_found():
    moments, found = T + 60 * np.arange(4.0), np.array([0, 5, 5, 0], dtype=np.uint8)

    def said(verdict, begin, end):
        return Judgement("g", T + 60 * begin, T + 60 * end, verdict, "A. Person", "seen", T)

    confirm, overrule, withdraw = said("confirm", 1, 2), said("overrule", 2, 3), said("withdraw", 2, 2)
    assert Judged([confirm]).quality(moments, found).tolist() == [0, 10, 10, 0]
    assert Judged([confirm, overrule]).quality(moments, found).tolist() == [0, 10, 11, 11]
    assert Judged([confirm, overrule, withdraw]).quality(moments, found).tolist() == [0, 10, 5, 11]
    assert Judged([overrule, confirm]).quality(moments, found).tolist() == [0, 10, 10, 11]
    for each in (confirm, Maintenance("g", T, "A. Person", "new battery", T)):
        assert read_notice(write_notice(each)) == each
