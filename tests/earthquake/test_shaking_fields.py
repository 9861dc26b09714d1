"""Correlated fields and what stations tell."""

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from citytwin.errors import InputError, MissingError
from citytwin.hazards.earthquake.conditioning import conditioned, left_out, trusted
from citytwin.hazards.earthquake.correlation import MODELS, baker_jayaram, correlation, exponential
from citytwin.hazards.earthquake.fields import Sampler, blocks
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.hazards.earthquake.stations import Stations
from citytwin.sim import Streams

MEASURES = ("PGA", "SA(0.3)", "SA(1.0)")


def flat(x, y, measures=("PGA",), tau=0.4, phi=0.6, median=0.0):
    shape = (len(measures), len(x))
    full = (np.full(shape, median), np.full(shape, tau), np.full(shape, phi))
    return Shaking(tuple(measures), *full, np.asarray(x, dtype=float), np.asarray(y, dtype=float))


def scattered(count, seed=0, span=20_000.0):
    return np.random.default_rng(seed).uniform(0, span, (2, count))


def drawn(*args, **kwargs):
    return np.concatenate([*blocks(*args, **kwargs)], axis=1)


def seen(x, y, observed, measures=("PGA",), noise=0.0):
    values = np.atleast_2d(np.asarray(observed, dtype=float))
    return Stations(flat(x, y, measures), values, np.full(values.shape, noise))


def test_same_seed_gives_the_same_bits_on_any_number_of_threads():
    shaking = flat(*scattered(300), measures=MEASURES)
    runs = [drawn(shaking, Streams(7), 100, block=16, threads=n) for n in (1, 2, 3)]
    assert runs[0].dtype == np.float32
    assert runs[0].shape == (3, 100, 300)
    assert np.array_equal(runs[0], runs[1])
    assert np.array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0], drawn(shaking, Streams(8), 100, block=16))


def test_the_order_of_places_changes_no_more_than_their_order():
    x, y = scattered(200)
    turn = np.random.default_rng(1).permutation(200)
    plain, turned = (drawn(flat(x[o], y[o]), Streams(1), 64) for o in (np.arange(200), turn))
    assert np.array_equal(plain[..., turn], turned)


def test_places_at_one_point_share_their_shaking():
    x, y = scattered(50)
    fields = drawn(flat(np.concatenate([x, x]), np.concatenate([y, y])), Streams(1), 20)
    assert np.array_equal(fields[..., :50], fields[..., 50:])


@pytest.mark.parametrize("name", [n for n in MODELS if n != "none"])
def test_the_sampler_has_the_covariance_of_its_model(name):
    """All of the sampler's covariance, exactly, over places few enough for every earlier one to count."""
    x, y = scattered(30, span=30_000)
    sampler = Sampler.of(flat(x, y), name)
    weight, left = sampler.weight[0]
    system = np.eye(sampler.nodes)
    for node, row in enumerate(sampler.neighbours):
        system[node, row[row >= 0]] -= weight[node, row >= 0]
    root = np.linalg.solve(system, np.diag(left.astype(float)))[sampler.node]
    places = np.column_stack([x, y])
    assert np.abs(root @ root.T - sampler.model.decays[0].at(cdist(places, places))).max() < 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_fields_keep_variance_and_the_correlation_between_measures(name):
    x, y = scattered(150, span=50_000)
    model = correlation(name, MEASURES)
    fields = drawn(flat(x, y, MEASURES, tau=0.0, phi=1.0), Streams(3), 1500, model).astype(float)
    assert np.abs(fields.std(axis=1) - 1).max() < 0.1
    counted = np.array([[np.mean(a * b) for b in fields] for a in fields])
    assert np.abs(counted - model.between).max() < 0.05


def test_no_correlation_leaves_places_alone():
    x, y = scattered(100, span=1000)
    fields = drawn(flat(x, y, tau=0.0, phi=1.0), Streams(3), 2000, "none")[0]
    assert np.abs(np.corrcoef(fields.T) - np.eye(100)).max() < 0.12


def test_event_terms_move_all_places_together():
    fields = drawn(flat(*scattered(50), tau=0.5, phi=0.0), Streams(1), 400)[0]
    assert np.ptp(fields, axis=1).max() < 1e-6
    assert fields[:, 0].std() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_correlation_are_positive_definite_and_bounded(name):
    model = correlation(name, ["PGA", "PGV", "SA(0.05)", "SA(0.3)", "SA(1.0)", "SA(3.0)"])
    at_a_place = model.mixing @ model.innovation @ model.mixing.T
    assert np.linalg.eigvalsh(model.between).min() >= 0
    assert np.linalg.eigvalsh(at_a_place).min() > -1e-9
    assert np.diag(at_a_place) == pytest.approx(np.ones(6))


def test_correlation_between_periods_is_the_published_one():
    """Baker and Jayaram 2008: one at equal periods, symmetric, and 1 - cos(pi/2 - 0.366 ln(Tmax/Tmin)) for long periods."""
    assert baker_jayaram(1.0, 1.0) == pytest.approx(1.0)
    assert baker_jayaram(0.2, 2.0) == baker_jayaram(2.0, 0.2)
    assert baker_jayaram(0.5, 2.0) == pytest.approx(1 - np.cos(np.pi / 2 - 0.366 * np.log(4)))


def test_a_wrong_model_of_correlation_names_the_nearest():
    with pytest.raises(MissingError, match="JB2009"):
        correlation("JB209", ["PGA"])


def test_a_station_is_met_in_every_field():
    x, y = scattered(60)
    stations = seen(x[:3], y[:3], [0.5, -0.2, 1.0])
    fields = drawn(flat(x, y), Streams(1), 50, stations=stations)[0]
    assert np.abs(fields[:, :3] - np.array([0.5, -0.2, 1.0])).max() < 1e-3
    assert fields[:, 10:].std(axis=0).min() > 0.1


def test_fields_have_the_conditioned_mean_and_deviation():
    x, y = scattered(400)
    rng = np.random.default_rng(5)
    stations = seen(*scattered(12, seed=9), rng.normal(0.4, 0.6, 12), noise=0.1)
    told = conditioned(flat(x, y), stations, "JB2009 clustered")
    fields = drawn(flat(x, y), Streams(2), 3000, "JB2009 clustered", stations)[0]
    assert np.abs(fields.mean(axis=0) - told.mean[0]).max() < 0.05
    assert np.abs(fields.std(axis=0) - told.deviation[0]).max() < 0.04


def test_conditioning_is_that_of_a_dense_normal_distribution_of_several_measures():
    """Six unknown residuals and their event terms, against numpy's own conditioning of the whole covariance."""
    x, y = scattered(10, span=15_000)
    measures = ("PGA", "SA(1.0)")
    model = correlation("LB2013", measures)
    observed = np.array([[0.3, np.nan, -0.4, 0.2], [np.nan, 0.5, -0.1, 0.7]])
    stations = Stations(flat(x[:4], y[:4], measures), observed, np.full(observed.shape, 0.05))
    told = conditioned(flat(x[4:], y[4:], measures), stations, model)
    distance = cdist(np.column_stack([x, y]), np.column_stack([x, y]))
    whole = np.kron(0.4**2 * model.between, np.ones((10, 10)))
    for f, decay in enumerate(model.decays):
        whole += 0.6**2 * np.kron(np.outer(model.mixing[:, f], model.mixing[:, f]), decay.at(distance))
    known = np.array([m * 10 + s for m in range(2) for s in range(4) if np.isfinite(observed[m, s])])
    wanted = np.array([m * 10 + p for m in range(2) for p in range(4, 10)])
    values = observed[np.isfinite(observed)]
    gain = whole[np.ix_(wanted, known)] @ np.linalg.inv(whole[np.ix_(known, known)] + 0.05**2 * np.eye(len(known)))
    variance = np.diag(whole[np.ix_(wanted, wanted)] - gain @ whole[np.ix_(known, wanted)])
    assert told.mean.ravel() == pytest.approx(gain @ values, abs=1e-6)
    assert told.deviation.ravel() == pytest.approx(np.sqrt(variance), abs=1e-6)


def test_another_measure_at_a_station_tells_of_the_one_wanted():
    x, y = scattered(20)
    stations = seen(x[:5], y[:5], np.full(5, 1.0), measures=("SA(0.3)",))
    told = conditioned(flat(x, y, ("PGA",)), stations)
    assert (told.mean[0] > 0.2).all()
    assert (told.deviation[0] < np.hypot(0.4, 0.6)).all()


def test_stations_far_away_tell_of_the_event_only():
    stations = seen([500_000.0, 501_000.0], [0.0, 9000.0], [1.0, 1.0])
    told = conditioned(flat([0.0, 900.0], [0.0, 0.0]), stations)
    assert np.ptp(told.mean) < 1e-6
    assert 0 < told.mean[0, 0] < 1
    assert told.deviation[0, 0] > 0.6


@hypothesis_given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_knowing_more_never_widens_the_interval(count, noise, seed):
    x, y = scattered(count + 8, seed=seed)
    places = flat(x[count:], y[count:])
    observed = np.random.default_rng(seed).normal(0, 1, count)
    told = conditioned(places, seen(x[:count], y[:count], observed, noise=noise))
    assert (told.deviation <= np.hypot(0.4, 0.6) + 1e-9).all()
    if count > 1:
        fewer = conditioned(places, seen(x[: count - 1], y[: count - 1], observed[:-1], noise=noise))
        assert (told.deviation <= fewer.deviation + 1e-9).all()


def test_two_stations_at_one_place_count_as_their_mean():
    once = conditioned(flat([3000.0], [0.0]), seen([0.0], [0.0], [0.0]))
    both = conditioned(flat([3000.0], [0.0]), seen([0.0, 0.0], [0.0, 0.0], [1.0, -1.0]))
    assert both.mean == pytest.approx(once.mean, abs=1e-9)
    assert both.deviation == pytest.approx(once.deviation, abs=1e-6)


def test_each_station_is_told_from_the_others_as_if_it_were_not_there():
    x, y = scattered(9)
    stations = seen(x, y, np.random.default_rng(3).normal(0, 1, 9), noise=0.1)
    told = left_out(stations)
    for (_, rows), error, deviation in zip(told.of, told.error, told.deviation, strict=True):
        one = conditioned(flat(x[rows], y[rows]), stations.but(rows[0]))
        assert stations.observed[0, rows[0]] - one.mean[0, 0] == pytest.approx(error, abs=1e-6)
        assert np.hypot(one.deviation[0, 0], 0.1) == pytest.approx(deviation, abs=1e-6)


def test_a_station_that_all_others_contradict_is_left_out_and_named():
    x, y = scattered(12, span=4000)
    values = np.random.default_rng(3).normal(0, 0.1, 12)
    values[4] = -6.0
    stations = Stations(flat(x, y), values[None], np.zeros((1, 12)), [f"s{i}" for i in range(12)])
    kept, said = trusted(stations)
    assert len(said) == 1
    assert said[0].startswith("s4: PGA")
    assert np.isnan(kept.observed[0, 4])
    assert np.isfinite(np.delete(kept.observed[0], 4)).all()


def test_stations_without_any_value_are_refused():
    with pytest.raises(InputError, match="no observation"):
        conditioned(flat([0.0], [0.0]), seen([0.0], [0.0], [np.nan]))
    with pytest.raises(InputError, match="negative"):
        seen([0.0], [0.0], [0.0], noise=-1.0)
    with pytest.raises(InputError, match="shape"):
        Stations(flat([0.0], [0.0]), np.zeros((1, 2)), np.zeros((1, 2)))


def test_the_verification_model_is_the_products_of_decay_and_ratio_of_periods():
    model = exponential(["PGA", "SA(0.1)"])
    assert model.between[0, 1] == pytest.approx(0.1)
    assert float(model.decays[0].at(10_000.0)) == pytest.approx(np.exp(-1))


def test_many_rough_observations_are_put_together_and_instruments_stay():
    x, y = scattered(2000, span=40_000)
    noise = np.full((1, 2000), 0.8)
    noise[0, :5] = 0.0
    observed = np.random.default_rng(1).normal(0.5, 0.9, (1, 2000))
    many = Stations(flat(x, y), observed, noise, [str(i) for i in range(2000)])
    few = many.thinned(300)
    assert few.size <= 300
    assert np.count_nonzero(few.noise == 0) == 5
    assert set(observed[0, :5]) <= set(few.observed[0])
    rough = few.noise[0] > 0
    assert (few.noise[0, rough] <= 0.8 + 1e-9).all()
    total = (1 / noise[0, 5:] ** 2).sum()
    assert (1 / few.noise[0, rough] ** 2).sum() == pytest.approx(total)
    assert (few.observed[0, rough] / few.noise[0, rough] ** 2).sum() == pytest.approx((observed[0, 5:] / 0.64).sum())
    assert many.thinned(3000) is many


def test_more_felt_reports_than_can_be_solved_for_are_put_together_first(monkeypatch):
    monkeypatch.setattr("citytwin.hazards.earthquake.conditioning.MOST_STATIONS", 600)
    x, y = scattered(700, span=60_000)
    shape = (2, 700)
    many = Stations(flat(x, y, ("PGA", "SA(1.0)")), np.random.default_rng(1).normal(0.5, 0.9, shape), np.full(shape, 0.8))
    told = conditioned(flat([30_000.0], [30_000.0], ("PGA", "SA(1.0)")), many, "LB2013")
    assert len(told.known.x) <= 600 // 6
    assert 0.2 < told.mean[0, 0] < 0.8
    exact = Stations(many.expected, many.observed, np.zeros(shape))
    with pytest.raises(InputError, match="too many"):
        conditioned(flat([0.0], [0.0], ("PGA", "SA(1.0)")), exact, "LB2013")


@pytest.mark.parametrize("places", [0, 1])
def test_no_place_or_one_is_no_special_case(places):
    assert drawn(flat([0.0] * places, [0.0] * places), Streams(1), 5).shape == (1, 5, places)
