"""What the twin's devices say of an earthquake: who is heeded, for how long, and when that is news."""

from __future__ import annotations

import numpy as np
import pytest

from citytwin.hazards.earthquake.live import FELT, QUIET_NOISE, Instruments, Told, distance, is_news, lasting, told_by

ORIGIN, PLACE = 1_000_000.0, (1.0, 42.0)


def devices(n=1, felt=False, scale=40.0, out=""):
    lon, lat = np.full(n, PLACE[0]), np.full(n, PLACE[1])
    return Instruments(np.arange(n) + 5, [f"d{i}" for i in range(n)], lon, lat, np.full(n, felt), np.full(n, scale),
                       np.full(n, 10.0), np.full(n, np.nan), [out] * n)  # fmt: skip


def told(rows, timed=True, **said):
    row, time, value = (np.array(v, dtype=float) for v in zip(*rows, strict=True))
    return told_by(devices(**said), row.astype(int), ORIGIN + time, value, ORIGIN, 6.0, PLACE, timed)


def test_strong_shaking_lasts_as_long_as_waves_travel_and_the_rupture_runs():
    assert lasting(6.0, 100.0) == pytest.approx(100 / 2.5 + 10 + 30)
    assert distance(np.array([1.0]), np.array([43.0]), PLACE)[0] == pytest.approx(111.19, abs=0.02)


def test_the_peak_after_the_origin_counts_and_neither_what_was_before_nor_an_aftershock():
    said, _ = told([(5, -1.0, 9.0), (5, 5.0, 1.5), (5, 15.0, 2.5), (5, 25.0, 0.4), (5, 3000.0, 8.0)])
    assert said == {"d0": Told(2.5, PLACE, False, vs30=said["d0"].vs30)}
    assert said["d0"].reading("d0") == {"name": "d0", "place": [1.0, 42.0], "pga": "2.5 m/s2"}


def test_a_quiet_instrument_counts_when_the_shaking_is_over_and_not_before():
    early, _ = told([(5, 5.0, 0.004)])
    late, _ = told([(5, 5.0, 0.004), (5, 60.0, 0.003)])
    untimed, _ = told([(5, 5.0, 0.004), (5, 60.0, 0.003)], timed=False)
    assert early == untimed == {}
    assert late["d0"].value == 0.004 < FELT
    assert late["d0"].noise == QUIET_NOISE


@pytest.mark.parametrize(
    ("said", "value", "why"),
    [({"scale": 19.6}, 19.5, "saturated"), ({"out": "faulty"}, 2.0, "faulty"), ({"out": "maintenance"}, 2.0, "maintenance")],
)
def test_who_saturates_or_is_faulty_or_worked_on_is_left_out_and_named(said, value, why):
    heard, left = told([(5, 5.0, value)], **said)
    assert heard == {}
    assert why in left["d0"]


def test_reports_of_people_are_one_intensity_with_their_number():
    said, _ = told([(5, 60.0, 6.0), (5, 400.0, 7.0), (5, 1700.0, 8.0), (5, 2000.0, 1.0)], felt=True)
    assert said["d0"].reading("d0") == {"name": "d0", "place": [1.0, 42.0], "intensity": 7.0, "responses": 3}


def test_a_tenth_more_is_news_and_a_hundredth_is_not():
    one = {"a": Told(1.0, PLACE, False)}
    assert not is_news(one, {"a": Told(1.01, PLACE, False)})
    assert is_news(one, {"a": Told(1.2, PLACE, False)})
    assert is_news(one, {})
    assert is_news({}, one)
    assert not is_news({"f": Told(6.0, PLACE, True, reports=9)}, {"f": Told(6.1, PLACE, True, reports=10)})
    assert is_news({"f": Told(6.0, PLACE, True, reports=1)}, {"f": Told(6.0, PLACE, True, reports=12)})


def test_devices_that_are_not_asked_for_are_passed_over():
    assert told([(99, 5.0, 3.0)]) == ({}, {})
