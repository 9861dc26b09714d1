"""Fields of correlated residuals over many places, one after the other given their nearest earlier ones.

The order is coarse to fine (places thinned on grids of ever smaller cells, stations before all); each place is drawn from its
normal distribution given its nearest earlier places and the nearest stations (Vecchia 1988, J. R. Stat. Soc. B 50, 297-312;
sequential simulation). Cost grows with the number of places; memory is one block of realisations.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from numba import prange
from scipy.spatial import cKDTree

from citytwin.sim.jit import kernel, parallel

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]


def coarse_to_fine(x: Array, y: Array, coarsest: float = 64_000.0) -> tuple[Rows, Rows]:
    """An order of places, and the place in it where each level of thinning begins (int64[levels + 1]).

    Level by level the cells of a grid halve, and every cell without a place so far gives one. Within a level places go along
    a Z curve, so that what is near in the order is near on the ground, in eight turns, so that later places have earlier
    ones on all sides.
    """
    n = len(x)
    column, row = x - x.min(), y - y.min()
    code = _z_curve(column, row)
    left, order, starts, size = np.argsort(code, kind="stable"), [np.empty(0, dtype=np.int64)], [0], coarsest
    while left.size:
        cell = (row[left] // size).astype(np.int64) * 4_000_000 + (column[left] // size).astype(np.int64)
        if size < 1.0:  # what is left lies within a metre of others
            taken = np.ones(left.size, dtype=bool)
        else:
            taken = np.zeros(left.size, dtype=bool)
            taken[np.unique(cell, return_index=True)[1]] = True
            done = np.concatenate(order)
            if done.size:
                known = (row[done] // size).astype(np.int64) * 4_000_000 + (column[done] // size).astype(np.int64)
                taken &= ~np.isin(cell, known)
        if taken.any():
            order.append(_in_turns(left[taken]))
            starts.append(starts[-1] + int(taken.sum()))
        left, size = left[~taken], size / 2
    found = np.concatenate(order)
    assert found.size == n
    return found, np.array(starts, dtype=np.int64)


def _in_turns(places: Rows, turns: int = 8) -> Rows:
    """Places taken in turns: each turn a share of them, spread evenly, in their own order."""
    turn = ((np.arange(len(places)) * 0.6180339887498949) % 1 * turns).astype(np.int64)
    return places[np.argsort(turn, kind="stable")]


def _z_curve(x: Array, y: Array) -> Rows:
    """The place of each point along a Z curve over 16 bits a side."""
    span = max(float(x.max()), float(y.max()), 1.0)
    code = np.zeros(len(x), dtype=np.int64)
    a, b = ((v / span * 65535).astype(np.int64) for v in (x, y))
    for bit in range(16):
        code |= ((a >> bit) & 1) << (2 * bit) | ((b >> bit) & 1) << (2 * bit + 1)
    return code


def earlier_neighbours(x: Array, y: Array, starts: Rows, stations: int, near: int, near_stations: int) -> Indices:
    """For each place in order its nearest earlier ones, int32[n, near + near_stations], -1 where there are fewer.

    x, y: in order, the `stations` first. starts: where levels begin (the first after the stations).
    """
    n = len(x)
    found = np.full((n, near + near_stations), -1, dtype=np.int32)
    places = np.column_stack([x, y])
    for begin, end in itertools.pairwise(starts.tolist()):
        tree = cKDTree(places[:end], balanced_tree=False, compact_nodes=False)
        want = min(2 * near + 1, end)
        for first in range(begin, end, 16384):
            last = min(first + 16384, end)
            _, close = tree.query(places[first:last], k=want, workers=-1)
            _earlier(np.asarray(close, dtype=np.int64).reshape(last - first, want), first, near, found)
    if stations and near_stations:
        count = min(near_stations, stations)
        _, close = cKDTree(places[:stations]).query(places[stations:], k=count, workers=-1)
        _with_stations(np.asarray(close, dtype=np.int64).reshape(-1, count), stations, near, found)
    return found


@kernel
def _earlier(close: Rows, first: int, near: int, found: Indices) -> None:
    for i in range(close.shape[0]):
        count = 0
        for j in range(close.shape[1]):
            if close[i, j] < first + i and count < near:
                found[first + i, count] = close[i, j]
                count += 1


@kernel
def _with_stations(close: Rows, stations: int, near: int, found: Indices) -> None:
    for i in range(close.shape[0]):
        row = found[stations + i]
        count = 0
        while count < near and row[count] >= 0:
            count += 1
        for j in range(close.shape[1]):
            there = False
            for k in range(count):
                there = there or row[k] == close[i, j]
            if not there:
                row[count] = close[i, j]
                count += 1


@parallel
def weights(
    x: Array, y: Array, neighbours: Indices, stations: int, shares: Array, scales: Array, power: float
) -> tuple[Single, Single]:
    """Kriging weights of each place's earlier neighbours, float32[n, k], and what is left to chance, float32[n].

    shares, scales (m), power: of the decay. Stations (the first places) get no weights: their values are given.
    """
    n, most = neighbours.shape
    weight = np.zeros((n, most), dtype=np.float32)
    left = np.ones(n, dtype=np.float32)
    for i in prange(stations, n):
        k = 0
        while k < most and neighbours[i, k] >= 0:
            k += 1
        if k > 0:
            matrix, side = np.empty((k, k)), np.empty(k)
            for a in range(k):
                p = neighbours[i, a]
                side[a] = _correlation(x[i] - x[p], y[i] - y[p], shares, scales, power)
                for b in range(a):
                    q = neighbours[i, b]
                    matrix[a, b] = _correlation(x[q] - x[p], y[q] - y[p], shares, scales, power)
                matrix[a, a] = 1.0 + 1e-10
            solved = _solve(matrix, side.copy())
            known = 0.0
            for a in range(k):
                weight[i, a] = solved[a]
                known += solved[a] * side[a]
            left[i] = np.sqrt(max(1.0 - known, 0.0))
    return weight, left


@kernel
def _correlation(dx: float, dy: float, shares: Array, scales: Array, power: float) -> float:
    h = np.sqrt(dx * dx + dy * dy)
    total = 0.0
    for k in range(len(shares)):
        if power == 1.0:
            total += shares[k] * np.exp(-h / scales[k])
        else:
            total += shares[k] * np.exp(-((h / scales[k]) ** power))
    return total


@kernel
def _solve(matrix: Array, side: Array) -> Array:
    """The solution of a positive definite system, by Cholesky in place of its lower half."""
    n = len(side)
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                matrix[i, i] = np.sqrt(max(total, 1e-14))
            else:
                matrix[i, j] = total / matrix[j, j]
        total = side[i]
        for k in range(i):
            total -= matrix[i, k] * side[k]
        side[i] = total / matrix[i, i]
    for i in range(n - 1, -1, -1):
        total = side[i]
        for k in range(i + 1, n):
            total -= matrix[k, i] * side[k]
        side[i] = total / matrix[i, i]
    return side


@kernel
def sweep(field: Single, neighbours: Indices, weight: Single, left: Single, stations: int) -> None:
    """Turn independent normals into the correlated field, in place; float32[n, b], stations' rows hold their values."""
    n, b = field.shape
    most = neighbours.shape[1]
    row = np.empty(b, dtype=np.float32)
    for i in range(stations, n):
        own = left[i]
        for r in range(b):
            row[r] = own * field[i, r]
        k = 0
        while k + 3 < most and neighbours[i, k + 3] >= 0:
            f0, f1 = field[neighbours[i, k]], field[neighbours[i, k + 1]]
            f2, f3 = field[neighbours[i, k + 2]], field[neighbours[i, k + 3]]
            w0, w1, w2, w3 = weight[i, k], weight[i, k + 1], weight[i, k + 2], weight[i, k + 3]
            for r in range(b):
                row[r] += w0 * f0[r] + w1 * f1[r] + w2 * f2[r] + w3 * f3[r]
            k += 4
        while k < most and neighbours[i, k] >= 0:
            f0, w0 = field[neighbours[i, k]], weight[i, k]
            for r in range(b):
                row[r] += w0 * f0[r]
            k += 1
        for r in range(b):
            field[i, r] = row[r]


@kernel
def spread(
    fields: Single, node: Rows, event: Single, mixing: Single, median: Single, between: Single, within: Single, out: Single
) -> None:
    """Ln of one measure at all places: median + between * event + within * mix of the latent fields, into float32[n, b].

    fields: float32[f, nodes, b]. node: int64[n], the node of each place. event: float32[b]. mixing: float32[f]; a weight of
    zero leaves its field out. median, between, within: float32[n].
    """
    n, b = len(node), len(event)
    mixed = np.empty(b, dtype=np.float32)
    for i in range(n):
        for r in range(b):
            mixed[r] = np.float32(0)
        for f in range(len(mixing)):
            if mixing[f] != 0:
                share, values = mixing[f], fields[f, node[i]]
                for r in range(b):
                    mixed[r] += share * values[r]
        for r in range(b):
            out[i, r] = median[i] + between[i] * event[r] + within[i] * mixed[r]


@kernel
def mix(fields: Single, root: Single, stations: int) -> None:
    """Give the innovations of float32[f, n, b] their correlation, in place: lower triangular root, float32[f, f]."""
    f, n, b = fields.shape
    for i in range(stations, n):
        for g in range(f - 1, -1, -1):
            for r in range(b):
                total = root[g, g] * fields[g, i, r]
                for h in range(g):
                    total += root[g, h] * fields[h, i, r]
                fields[g, i, r] = total
