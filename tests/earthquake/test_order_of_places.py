"""The order in which places are drawn, and the earlier ones that each is drawn from."""

import numba
import numpy as np
import pytest

from citytwin.hazards.earthquake.kernel import DECLINE, weights
from citytwin.hazards.earthquake.kernel_order import coarse_to_fine, earlier_neighbours


def made(kind, count=1500):
    rng = np.random.default_rng(4)
    if kind == "scattered":
        return rng.uniform(0, 30_000, (2, count))
    if kind == "towns and one far away":
        centre = rng.choice([0.0, 9_000.0, 40_000.0], count)
        x, y = rng.normal(0, 600, (2, count)) + centre
        return np.append(x, 400_000.0), np.append(y, 300_000.0)
    if kind == "a row":
        return np.arange(count) * 10.0, np.zeros(count)
    return rng.uniform(0, 0.4, (2, 300))  # a heap within half a metre


KINDS = ["scattered", "towns and one far away", "a row", "a heap"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_stands_in_the_order_once_and_levels_hold_one_place_a_cell(kind):
    x, y = made(kind)
    order = coarse_to_fine(x, y)
    assert np.array_equal(np.sort(order.places), np.arange(len(x)))
    assert order.starts[0] == 0
    assert order.starts[-1] == len(x)
    for end, size in list(zip(order.starts[1:], order.size, strict=True))[:-1]:
        so_far = order.places[:end]
        cell = np.column_stack([(v[so_far] - v.min()) // size for v in (x, y)])
        assert len(np.unique(cell, axis=0)) == len(so_far)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stations", [0, 12])
def test_neighbours_are_the_nearest_of_all_earlier_places(kind, stations):
    x, y = made(kind)
    rest = np.arange(stations, len(x))
    order = coarse_to_fine(x[rest], y[rest])
    turned = np.concatenate([np.arange(stations), rest[order.places]])
    x, y = x[turned], y[turned]
    found = earlier_neighbours(x, y, stations + order.starts, order.size, stations, 10, 4)
    for i in range(stations + 1, len(x), 7):
        far = np.hypot(x[:i] - x[i], y[:i] - y[i])
        row = found[i][found[i] >= 0]
        near = min(10, i)
        assert len(set(row.tolist())) == len(row)
        assert np.allclose(np.sort(far[row[:near]]), np.sort(far)[:near])
        if stations:
            assert far[row[row < stations]].min() == far[:stations].min()


def test_weights_solve_the_kriging_equations_on_any_number_of_threads():
    x, y = made("scattered", 200)
    order = coarse_to_fine(x, y)
    x, y = x[order.places], y[order.places]
    found = earlier_neighbours(x, y, order.starts, order.size, 0, 8, 0)
    runs = []
    before = numba.get_num_threads()
    try:
        for threads in (1, before):
            numba.set_num_threads(threads)
            runs.append(weights(x, y, found, 0, np.array([0.3, 0.7]), np.array([2000.0, 9000.0]), 1.0, DECLINE))
    finally:
        numba.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))
    weight, left = runs[0]

    def correlation(h):
        return 0.3 * np.exp(-h / 2000) + 0.7 * np.exp(-h / 9000)

    for i in (20, 199):
        near = found[i]
        among = correlation(np.hypot(x[near][:, None] - x[near], y[near][:, None] - y[near]))
        side = correlation(np.hypot(x[near] - x[i], y[near] - y[i]))
        exact = np.linalg.solve(among, side)
        assert weight[i] == pytest.approx(exact, abs=1e-6)
        assert left[i] == pytest.approx(np.sqrt(1 - exact @ side), abs=1e-6)
