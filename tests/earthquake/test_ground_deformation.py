"""Ground that fails: Hazus's chain by hand, the geospatial model's bridge, what it adds to curves of buildings and to mains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from citytwin.hazards.earthquake import ground_failure
from citytwin.hazards.earthquake.deformation import (
    CLASSES,
    DISPERSION,
    FOOT,
    INCH,
    Failing,
    Soil,
    _with_ground,
    extensive,
    magnitude_factors,
    spread,
)
from citytwin.hazards.earthquake.fragility import hazus_buildings, tabulate
from citytwin.hazards.earthquake.networks import repairs_by_ground_failure

PGA = np.array([0.3])
PGV = np.log(np.array([30.0]))
LAW = Failing(7.5, 5 * FOOT)


def soil(grade="", exponent=-math.inf, critical=math.inf):
    return Soil(np.array([CLASSES.index(grade) if grade else -1]), np.array([exponent]), np.array([critical]))


def test_moderate_ground_at_three_tenths_of_g_by_hand():
    k_m, k_d = magnitude_factors(7.5)
    assert k_m == pytest.approx(1.1391 - 1.5019 - 1.5413 + 2.9188, abs=2e-4)  # 1.0147
    assert k_d == pytest.approx(3.6281 - 5.1413 + 3.5235 - 0.9835, abs=2e-4)  # 1.0269
    probability, settling, spreading = LAW.liquefied(soil("moderate"), PGA, PGV)
    assert probability[0] == pytest.approx((6.67 * 0.3 - 1.0) / (1.0147 * 1.04) * 0.10, rel=1e-3)  # 0.0949
    assert settling[0] == pytest.approx(2 * INCH)
    assert spreading[0] == pytest.approx(12 * INCH * 1.0269, rel=1e-3)  # at twice the threshold of 0.15 g
    by_hand = probability[0] * norm.cdf(math.log(12 * 1.0269 / 60) / DISPERSION)  # spreading is the worse of the two
    assert LAW.broken(soil("moderate"), PGA, PGV)[0] == pytest.approx(by_hand, rel=1e-3)
    assert by_hand == pytest.approx(0.00985, abs=2e-4)


def test_spread_joins_at_its_corners_and_nothing_moves_below_the_threshold():
    corners = spread(np.array([0.5, 1.0, 2.0, 3.0, 4.0, 9.0])) / INCH
    assert corners == pytest.approx([0.0, 0.0, 12.0, 30.0, 100.0, 100.0])
    assert LAW.broken(soil("moderate"), np.array([0.149]), PGV)[0] == 0.0
    assert extensive(0.0, 0.0) == 0.0
    assert extensive(60 * INCH, 0.0) == extensive(0.0, 10 * INCH) == 0.5


def test_without_a_class_the_share_of_the_geospatial_model_is_the_probability_and_bridges_to_a_class():
    exponent = 8.801 - 1.918 * math.log(250.0) + 0.0005408 * 800 - 0.2054 * 0.3 - 0.0333 * 5
    probability, settling, spreading = LAW.liquefied(soil(exponent=exponent), PGA, PGV)
    p = ground_failure.liquefaction(30.0, 250.0, 800.0, 0.3, 5.0, 0.3)
    share = float(ground_failure.liquefied_share(p))
    assert probability[0] == pytest.approx(share)
    assert 0.05 < share < 0.25  # between low and very high: so is the settlement
    assert 1 * INCH < settling[0] < 12 * INCH
    assert spreading[0] > 0
    assert LAW.liquefied(soil(exponent=exponent), np.array([0.09]), PGV)[0][0] == 0.0
    assert LAW.broken(soil(), PGA, PGV)[0] == 0.0


def test_a_failing_slope_moves_by_newmark_and_damages_by_its_displacement():
    critical = np.array([0.1])
    moved = ground_failure.newmark(PGA, critical)
    ratio = 1 / 3
    assert moved[0] == pytest.approx(10 ** (0.215 + 2.341 * math.log10(1 - ratio) - 1.438 * math.log10(ratio)) / 100)
    by_hand = ground_failure.slope_failure(PGA, critical)[0] * norm.cdf(math.log(moved[0] / (60 * INCH)) / DISPERSION)
    assert LAW.broken(soil(critical=0.1), PGA, PGV)[0] == pytest.approx(by_hand)
    assert ground_failure.newmark(0.05, 0.1) == 0.0


def test_ground_and_shaking_are_independent_a_fifth_is_complete_and_states_stay_in_order():
    fragility = hazus_buildings()
    old = tabulate(fragility, [(("URM.L.PC", 1.0),)])
    reached = np.full(old.shape[1], 0.3)
    new = _with_ground(old, reached, (1, 2, 3, 4, 5))
    assert new[0, :, 2] == pytest.approx(1 - (1 - old[0, :, 2]) * 0.7, abs=1e-6)
    assert new[0, :, 3] == pytest.approx(1 - (1 - old[0, :, 3]) * (1 - 0.2 * 0.3), abs=1e-6)
    assert new[0, :, 4] == pytest.approx(0.15 * new[0, :, 3], abs=1e-6)  # 15 % of complete masonry collapses
    assert np.all(np.diff(new[0, :, :5], axis=1) <= 1e-6)
    assert np.array_equal(_with_ground(old, np.zeros(old.shape[1]), (1, 2, 3, 4, 5)), old)


def test_a_main_in_liquefied_ground_by_hand():
    probability, settling, spreading = (v[0] for v in LAW.liquefied(soil("moderate"), PGA, PGV))
    moved = max(settling, spreading)
    per_thousand_feet = 0.8 * 1.06 * (12 * 1.0269) ** 0.319 * probability  # K2 = 0.8
    found = repairs_by_ground_failure(np.array([moved]), np.array([304.8]), np.array([0.8]), np.array([probability]))
    assert found[0] == pytest.approx(per_thousand_feet, rel=1e-3)
