"""Fields of correlated residuals over many places, one after the other given their nearest earlier ones.

Places come coarse to fine (see kernel_order.py); each is drawn from its normal distribution given its nearest earlier places
and the nearest stations (Vecchia 1988, J. R. Stat. Soc. B 50, 297-312; sequential simulation). Cost grows with the number of
places; memory is one block of realisations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange

from citytwin.sim.jit import inlined, kernel, parallel

Array = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]

STEPS, MOST = 64, 40
"""Of the table of exp(-t): steps a unit, and the t from which it counts as zero (4e-18)."""
DECLINE = np.exp(-np.arange(STEPS * MOST) / STEPS)


class Ground(NamedTuple):
    """One block of realisations at n places, as kernels read it: ln of a measure is median + between * event + within * mix.

    latent: float32[f, nodes, b], the latent fields. node: int64[n], the node of each place. event: float32[m, b], event terms.
    mixing: float32[m, f]; a weight of zero leaves its field out. median, between, within: float32[m, n].
    """

    latent: Single
    node: Rows
    event: Single
    mixing: Single
    median: Single
    between: Single
    within: Single

    @property
    def size(self) -> int:
        """Realisations in the block."""
        return int(self.event.shape[1])


@inlined
def shaken(ground: Ground, measure: int, place: int, out: Single) -> None:
    """Ln of one measure at one place in all realisations of the block, into float32[b]."""
    node, count = ground.node[place], len(out)
    for r in range(count):
        out[r] = np.float32(0)
    for f in range(ground.mixing.shape[1]):
        if ground.mixing[measure, f] != 0:
            share, values = ground.mixing[measure, f], ground.latent[f, node]
            for r in range(count):
                out[r] += share * values[r]
    median, between, within = ground.median[measure, place], ground.between[measure, place], ground.within[measure, place]
    event = ground.event[measure]
    for r in range(count):
        out[r] = median + between * event[r] + within * out[r]


@kernel
def spread(ground: Ground, measure: int, places: Rows, out: Single) -> None:
    """Ln of one measure at some places, into float32[places, b]."""
    for i in range(len(places)):
        shaken(ground, measure, places[i], out[i])


@parallel
def weights(
    x: Array, y: Array, neighbours: Indices, stations: int, shares: Array, scales: Array, power: float, decline: Array
) -> tuple[Single, Single]:
    """Kriging weights of each place's earlier neighbours, float32[n, k], and what is left to chance, float32[n].

    shares, scales (m), power: of the decay. decline: `DECLINE`. Stations (the first places) get no weights: their values are
    given.
    """
    n, most = neighbours.shape
    weight = np.zeros((n, most), dtype=np.float32)
    left = np.ones(n, dtype=np.float32)
    for i in prange(stations, n):
        k = 0
        while k < most and neighbours[i, k] >= 0:
            k += 1
        if k > 0:
            px, py, side = np.empty(k), np.empty(k), np.empty(k)
            for a in range(k):
                px[a], py[a] = x[neighbours[i, a]], y[neighbours[i, a]]
            _correlations(px, py, x[i], y[i], shares, scales, power, decline, side)
            matrix = np.empty((k, k))
            for a in range(k):
                later = slice(a + 1, k)
                _correlations(px[later], py[later], px[a], py[a], shares, scales, power, decline, matrix[a, later])
                matrix[a, a] = 1.0 + 1e-10
            solved = _solve(matrix, side.copy())
            known = 0.0
            for a in range(k):
                weight[i, a] = solved[a]
                known += solved[a] * side[a]
            left[i] = np.sqrt(max(1.0 - known, 0.0))
    return weight, left


@kernel
def _correlations(
    px: Array, py: Array, x: float, y: float, shares: Array, scales: Array, power: float, decline: Array, out: Array
) -> None:
    """Correlation of places px, py with place x, y."""
    for a in range(len(px)):
        dx, dy = px[a] - x, py[a] - y
        out[a] = np.sqrt(dx * dx + dy * dy)
    for a in range(len(px)):
        total = 0.0
        for k in range(len(shares)):
            far = out[a] / scales[k]
            total += shares[k] * _declined(far if power == 1.0 else far**power, decline)
        out[a] = total


@kernel
def _declined(t: float, decline: Array) -> float:
    """Exp(-t) for t >= 0, by a table and five terms of the series of the rest r < 1/64: relative error r^5/120 < 8e-12."""
    if t >= MOST:
        return 0.0
    at = np.uint32(t * STEPS)
    r = t - np.float64(at) / STEPS
    return float(decline[at]) * (1.0 - r * (1.0 - r * (0.5 - r * (1.0 / 6.0 - r / 24.0))))


@kernel
def _solve(matrix: Array, side: Array) -> Array:
    """The solution of a positive definite system, by Cholesky in place of its upper half, row by row."""
    n = len(side)
    for j in range(n):
        row = matrix[j]
        root = np.sqrt(max(row[j], 1e-14))
        inverse = 1.0 / root
        row[j] = root
        for i in range(j + 1, n):
            row[i] *= inverse
        side[j] *= inverse
        for i in range(j + 1, n):
            share, below = row[i], matrix[i]
            for k in range(i, n):
                below[k] -= share * row[k]
            side[i] -= share * side[j]
    for j in range(n - 1, -1, -1):
        total = side[j]
        for i in range(j + 1, n):
            total -= matrix[j, i] * side[i]
        side[j] = total / matrix[j, j]
    return side


@kernel
def sweep(field: Single, neighbours: Indices, weight: Single, left: Single, stations: int) -> None:
    """Turn independent normals into the correlated field, in place; float32[n, b], stations' rows hold their values."""
    b, most = field.shape[1], neighbours.shape[1]
    row = np.empty(b, dtype=np.float32)
    for i in range(stations, len(field)):
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
