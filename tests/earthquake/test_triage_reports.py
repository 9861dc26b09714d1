"""Reports of single buildings: the posterior by expectation propagation against brute force, and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from citytwin.hazards.earthquake import reports
from citytwin.hazards.earthquake.correlation import Decay
from citytwin.hazards.earthquake.fragility import hazus_buildings, tabulate

TABLE = tabulate(hazus_buildings(), [(("URM.L.PC", 1.0),), (("C1.L.HC", 1.0),)])
DECAY = Decay((1.0,), (10_000.0,))


def brute_force(mean, covariance, said, curve, sure, draws=400_000):
    """Posterior mean of ln demand by weighing draws of the prior: slow and obvious."""
    root = np.linalg.cholesky(covariance)
    x = mean + np.random.default_rng(1).standard_normal((draws, len(mean))) @ root.T
    axis = np.linspace(reports.LOW, reports.HIGH, reports.POINTS)
    weight = np.ones(draws)
    for i in range(len(mean)):
        weight *= np.interp(x[:, i], axis, reports.likelihood(TABLE, curve[i], said[i], sure))
    return (weight[:, None] * x).sum(axis=0) / weight.sum()


def case(said):
    n = len(said)
    mean, between, within = np.full(n, np.log(0.25)), np.full(n, 0.3), np.full(n, 0.5)
    x, y = np.arange(n) * 3000.0, np.zeros(n)
    curve = np.arange(n) % 2
    return mean, between, within, x, y, curve, np.array(said)


@pytest.mark.parametrize("said", [(5, 0), (4, 3, 4), (0, 0, 1, 0)])
def test_the_posterior_is_that_of_brute_force(said):
    mean, between, within, x, y, curve, seen = case(said)
    covariance = reports.prior(x, y, between, within, DECAY, curve)
    curves = [reports.likelihood(TABLE, int(c), int(s), 0.9) for c, s in zip(curve, seen, strict=True)]
    precision, pull = reports.posterior(mean, covariance, curves)
    found = np.linalg.solve(np.linalg.inv(covariance) + np.diag(precision), np.linalg.solve(covariance, mean) + pull)
    assert found == pytest.approx(brute_force(mean, covariance, seen, curve, 0.9), abs=0.03)


def test_collapses_say_weak_types_and_strong_shaking_and_no_damage_the_opposite():
    mean, between, within, x, y, curve, _ = case((5,) * 6)
    sure = np.full(6, 0.9)
    bad = reports.heed(mean, between, within, x, y, curve, np.full(6, 5), sure, TABLE, DECAY)
    good = reports.heed(mean, between, within, x, y, curve, np.zeros(6, int), sure, TABLE, DECAY)
    assert all(v > 0 for v in bad.shift.values())
    assert all(v < 0 for v in good.shift.values())
    assert np.all(bad.observed > good.observed)
    assert np.all(bad.noise > 0)


def test_what_is_said_is_right_as_often_as_the_reporter_is_reliable():
    table = reports.confusion(0.8)
    assert table.sum(axis=0) == pytest.approx(np.ones(6))
    assert np.all(np.diag(table) == 0.8)


def test_the_state_of_a_reported_building_is_what_was_seen_unless_that_is_absurd():
    seen = reports.state_given(TABLE, 0, 5, 0.95, np.log(0.3), 0.6)
    assert seen.sum() == pytest.approx(1.0)
    assert seen.argmax() == 5
    doubted = reports.state_given(TABLE, 1, 5, 0.6, np.log(0.02), 0.2)
    assert doubted[5] < seen[5]


def test_more_reports_than_can_be_used_are_thinned_and_said_so():
    n = reports.MOST + 50
    one = np.ones(n)
    rng = np.random.default_rng(2)
    told = reports.heed(
        -1.4 * one, 0.3 * one, 0.5 * one, rng.uniform(0, 2e4, n), rng.uniform(0, 2e4, n), np.zeros(n, int),
        np.full(n, 3), 0.9 * one, TABLE, DECAY,
    )  # fmt: skip
    assert len(told.used) == reports.MOST
    assert np.isfinite(told.observed).all()
    assert np.isfinite(list(told.shift.values())).all()


def test_moved_tables_are_the_tables_elsewhere():
    moved = reports.shifted(TABLE, {1: 0.2})
    axis = np.linspace(reports.LOW, reports.HIGH, reports.POINTS)
    assert np.array_equal(moved[0], TABLE[0])
    expected = np.interp(axis + 0.2, axis, TABLE[1, :, 2])
    assert moved[1, :, 2] == pytest.approx(expected, abs=1e-4)
