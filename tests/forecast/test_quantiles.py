"""Scores of quantile forecasts."""

import numpy as np
import pytest

from citytwin.forecast import LEVELS, averaged, covered, interval_score, weighted_interval_score


def test_wis_of_a_hand_worked_case_equals_the_sum_of_its_interval_scores():
    # Median 10, central 50 % interval 8 ... 13, truth 15; Bracher et al. 2021, equation 3, by hand:
    # interval score (alpha 0.5) = 5 + 4 * (15 - 13) = 13; WIS = (0.5 * |15 - 10| + 0.25 * 13) / 1.5 = 3.8333...
    assert interval_score(8, 13, 15, 0.5) == 13
    assert weighted_interval_score([8, 10, 13], 15, [0.25, 0.5, 0.75]) == pytest.approx((0.5 * 5 + 0.25 * 13) / 1.5)


def test_wis_equals_the_weighted_sum_of_interval_scores_at_the_hubs_levels():
    rng = np.random.default_rng(1)
    quantiles, truth = np.sort(rng.normal(50, 20, (40, 23)), axis=1), rng.normal(50, 20, 40)
    total = 0.5 * np.abs(truth - quantiles[:, 11])
    for k in range(11):
        alpha = 2 * LEVELS[k]
        total += alpha / 2 * interval_score(quantiles[:, k], quantiles[:, 22 - k], truth, alpha)
    np.testing.assert_allclose(weighted_interval_score(quantiles, truth), total / 11.5)


def test_wis_of_a_point_is_its_absolute_error():
    assert weighted_interval_score(np.full(23, 7.0), 12.0) == pytest.approx(5.0)


def test_an_unknown_truth_has_no_score_and_covers_nothing():
    assert np.isnan(weighted_interval_score(np.arange(23.0), np.nan))
    assert np.isnan(covered(np.arange(23.0), np.nan, 0.95))


def test_the_bounds_of_an_interval_belong_to_it():
    quantiles = np.arange(23.0)
    assert covered(quantiles, 1.0, 0.95) == 1
    assert covered(quantiles, 0.99, 0.95) == 0
    assert covered(quantiles, 21.0, 0.95) == 1


def test_an_ensemble_of_quantiles_lies_between_its_members_and_in_order():
    low, high = np.linspace(0, 10, 23), np.linspace(5, 45, 23)
    mean = averaged([low, high], [1.0, 3.0])
    np.testing.assert_allclose(mean, 0.25 * low + 0.75 * high)
    assert (np.diff(averaged([low, low[::-1]], [1.0, 3.0])) >= 0).all()


def test_wis_equals_the_published_values_of_the_hub(shared):
    from citytwin.forecast import read_vintages
    from citytwin.forecast.hub import read_forecasts, scored, summary

    folder = shared / "epi_flusight_2024_25"
    truth = read_vintages(folder / "target-hospital-admissions.csv.gz")
    ours = scored(read_forecasts(folder / "forecasts.csv.gz", "FluSight-ensemble"), truth)
    baseline = scored(read_forecasts(folder / "forecasts.csv.gz", "FluSight-baseline"), truth)
    whole = summary(ours, baseline)[0]
    assert whole.forecasts == 5724
    assert whole.wis == pytest.approx(177.597, abs=0.001)
    assert whole.baseline == pytest.approx(263.249, abs=0.001)
    assert whole.relative == pytest.approx(0.6746, abs=0.0001)
    assert (round(whole.inside_50, 3), round(whole.inside_95, 3)) == (0.519, 0.818)
