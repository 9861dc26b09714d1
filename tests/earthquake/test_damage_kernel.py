"""Damage of assets: the kernel against its slow twin, probabilities, totals, threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citytwin.hazards.earthquake import aftershock
from citytwin.hazards.earthquake.damage import Ledger, damage_of, sorted_assets
from citytwin.hazards.earthquake.fields import Sampler, blocks, each_block
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import Fragility, Lognormal, hazus_buildings, retrofitted, tabulate
from citytwin.hazards.earthquake.kernel_damage import lottery
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.sim import Streams

NAMES = ("URM.L.PC", "C1.M.MC", "W1.HC")


def assets(n=60, shared=False, seed=1):
    rng = np.random.default_rng(seed)
    zero = np.zeros(n)
    curve = rng.integers(0, len(NAMES), n)
    return sorted_assets(np.arange(n), np.arange(n), zero, curve, np.ones(n), np.full(n, shared), rng.integers(-1, 4, n), n)


def follows(n, kinds=13, seed=2):
    out = np.zeros((n, 6, kinds), np.float32)
    out[:, 1:] = np.random.default_rng(seed).uniform(0, 1, (n, 5, kinds))
    return out


def fields(n=60, b=16, seed=3):
    return np.random.default_rng(seed).normal(-1.5, 0.8, (1, b, n)).astype(np.float32)


def table():
    return tabulate(hazus_buildings(), [((name, 1.0),) for name in NAMES])


def slow_probability(a, motion):
    """The twin: exact curves, one asset and field after another."""
    out = np.zeros((len(a.owner), 5))
    for i in range(len(a.owner)):
        for j in range(motion.shape[1]):
            out[i] += hazus_buildings().probabilities(NAMES[a.curve[i]], float(motion[0, j, a.site[i]]))
    return out / motion.shape[1]


def test_probabilities_are_those_of_the_exact_curves():
    a, motion = assets(), fields()
    found = damage_of(a, [[motion]], table(), Follows.each(follows(60)), 1).reached
    assert np.abs(found - slow_probability(a, motion)).max() < 5e-5


@pytest.mark.parametrize("shared", [False, True])
def test_probabilities_of_all_states_sum_to_one_and_none_is_negative(shared):
    out = damage_of(assets(shared=shared), [[fields()]], table(), Follows.each(follows(60)), 1).probability
    assert np.abs(out.sum(axis=1) - 1).max() < 1e-12
    assert out.min() > -1e-7


def test_a_row_that_is_shared_out_has_the_totals_of_its_probabilities():
    a, f = assets(shared=True), follows(60)
    out = damage_of(a, [[fields()]], table(), Follows.each(f), 1)
    expected = (out.probability[:, :, None] * f).sum(axis=(0, 1))
    assert out.totals.mean(axis=0) == pytest.approx(expected, rel=1e-4)


def test_drawn_totals_scatter_around_the_expected_ones():
    a, f = assets(), follows(60)
    out = damage_of(a, [[fields(b=400)]], table(), Follows.each(f), 1)
    expected = (out.probability[:, :, None] * f).sum(axis=(0, 1))
    assert out.totals.mean(axis=0) == pytest.approx(expected, rel=0.03)


def test_blocks_do_not_matter():
    motion = fields(b=32)
    whole = damage_of(assets(), [[motion]], table(), Follows.each(follows(60)), 7, chosen=20)
    parts = damage_of(assets(), [[motion[:, :10], motion[:, 10:]]], table(), Follows.each(follows(60)), 7, chosen=20)
    assert np.array_equal(whole.totals, parts.totals)
    assert np.array_equal(whole.drawn, parts.drawn)
    assert np.allclose(whole.reached, parts.reached, rtol=1e-6)  # a block is summed in single precision


def test_any_number_of_threads_gives_the_same_bits():
    outs = []
    before = numba.get_num_threads()
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            outs.append(damage_of(assets(3000), [[fields(3000)]], table(), Follows.each(follows(3000)), 5, zones=4))
    finally:
        numba.set_num_threads(before)
    for name in ("reached", "totals", "by_zone", "drawn"):
        assert np.array_equal(getattr(outs[0], name), getattr(outs[-1], name)), name


def test_zones_add_up_to_the_city():
    out = damage_of(assets(500), [[fields(500)]], table(), Follows.each(follows(500)), 5, zones=4)
    collapsed, killed = 4, 8
    assert out.by_zone[:, :, 0].sum(axis=0) == pytest.approx(out.totals[:, collapsed], rel=1e-5)
    assert out.by_zone[:, :, 2].sum(axis=0) == pytest.approx(out.totals[:, killed], rel=1e-5)


@given(st.floats(-4, 2), st.floats(0.01, 1.0))
@settings(max_examples=30, deadline=None)
def test_more_shaking_never_does_less_damage(ln, more):
    one = sorted_assets([0], [0], [0], [0], [1.0], [True], [0], 1)
    low, high = (
        damage_of(one, [[np.full((1, 1, 1), x, np.float32)]], table(), Follows.each(follows(1)), 1).reached
        for x in (ln, ln + more)
    )
    assert np.all(high >= low - 1e-6)


def test_the_lottery_is_even_and_tells_assets_and_fields_apart():
    draws = np.empty((100, 100), np.float32)
    for asset in range(100):
        lottery(np.uint64(3), asset, np.uint64(0), draws[asset])
    assert 0.49 < draws.mean() < 0.51
    assert len(np.unique(draws)) > 9_980  # of 2^24 there are; by chance three are drawn twice
    assert abs(np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 0.03


def test_an_aftershock_never_mends_and_hits_damaged_buildings_harder():
    n = 400
    a, f = assets(n), Follows.each(follows(n))
    main, after = fields(n), fields(n, seed=9)
    stacked = aftershock.stacked(table())
    first = Ledger(a, table(), f, 3)
    first.take([main])
    both = Ledger(a, stacked, f, 3)
    both.take([main, after])
    alone = Ledger(a, aftershock.stacked(table(), (1.0,) * 6), f, 3)
    alone.take([main, after])
    assert np.all(both.drawn >= first.drawn)
    assert both.outcome().reached[:, 3].mean() > alone.outcome().reached[:, 3].mean()


def test_a_retrofit_by_a_factor_moves_the_curve_by_that_factor():
    curve = hazus_buildings()["URM.L.PC"]
    ln = np.linspace(-3, 1, 9)
    assert retrofitted(curve, 1.5).exceedance(ln + np.log(1.5)) == pytest.approx(curve.exceedance(ln))


def test_curves_that_cross_are_put_in_order():
    crossed = Fragility(("a", "b"), {"x": Lognormal("PGA", (0.2, 0.25), (0.3, 1.2))})
    p = crossed.probabilities("x", np.linspace(-4, 2, 50))
    assert np.all(np.diff(p, axis=0) <= 0)


def test_a_run_from_draw_to_sums_is_the_same_on_any_number_of_threads():
    n = 400
    x, y = np.random.default_rng(8).uniform(0, 20_000, (2, n))
    sampler = Sampler.of(Shaking(("PGA",), *(np.full((1, n), v) for v in (-1.2, 0.4, 0.6)), x, y))
    outs = []
    for threads in (1, 2, 3):
        ledger = Ledger(assets(n), table(), Follows.each(follows(n)), 5, chosen=70, zones=4)
        for part in each_block([(sampler, Streams(3))], 100, ledger.part, threads=threads):
            ledger.add(part)
        outs.append(ledger.outcome())
    dense = damage_of(assets(n), [blocks(sampler.shaking, Streams(3), 100)], table(), Follows.each(follows(n)), 5, 70, 4)
    for other in (*outs[1:], dense):
        for name in ("reached", "totals", "by_zone", "drawn"):
            assert np.array_equal(getattr(outs[0], name), getattr(other, name)), name
    assert outs[0].drawn.any()
