"""Rain on the cells, and what soil and street drains take from them."""

from __future__ import annotations

import numpy as np
from numba import prange

from citytwin.hazards.flood.kernel import TILE, ZERO, Cells, Double, Single, Whole
from citytwin.sim.jit import kernel, parallel


@parallel
def soak(
    first: Whole,
    width: int,
    cells: Cells,
    rain_share: Single,
    rain: float,
    pervious: Single,
    soil: float,
    drains: float,
    sums: Double,
    deep: Single,
) -> None:
    """Rain, infiltration and drains over one large step, tile by tile; what a cell has not got is not taken.

    rain, soil, drains: depths (m) of the step; soil acts on the pervious share of a cell, drains on the rest.
    sums: by tile, depths of rain, infiltrated and drained, added up (m).
    """
    bed, depth, surface = cells
    for t in prange(first.size):
        if first[t] < 0:
            continue
        for row in range(TILE):
            for c in range(first[t] + row * width, first[t] + row * width + TILE):
                fallen = rain * np.float64(rain_share[c])
                new = depth[c] + fallen
                open_share = np.float64(pervious[c]) if pervious.size > 1 else 1.0
                soaked = min(soil * open_share, new)
                new -= soaked
                drained = min(drains * (1.0 - open_share), new)
                new -= drained
                depth[c] = new
                surface[c] = np.float64(bed[c]) + new
                sums[t, 0] += fallen
                sums[t, 1] += soaked
                sums[t, 2] += drained
                deep[t] = max(deep[t], np.float32(new))


@kernel
def green_ampt(conductivity: float, store: float, soaked: float, dt: float) -> float:
    """Depth (m) that a soil can take in `dt` after it took `soaked`, at the surface of a pond (Green and Ampt 1911, J. Agr.
    Sci. 4, 1-24). store: suction head times moisture deficit (m). Newton's iteration on F - S ln(1 + (F - F0)/(F0 + S)) =
    F0 + K dt, from above, where it converges monotonically.
    """
    base = soaked + store
    x = conductivity * dt + np.sqrt(2.0 * store * conductivity * dt) if store > 0 else conductivity * dt
    for _ in range(6):
        value = x - store * np.log(1.0 + x / base) - conductivity * dt if base > 0 else 0.0
        slope = 1.0 - store / (base + x) if base + x > 0 else 1.0
        x -= value / max(slope, 1e-12)
    return max(x, 0.0)


@parallel
def soak_green_ampt(
    first: Whole,
    width: int,
    cells: Cells,
    pervious: Single,
    conductivity: float,
    store: float,
    soaked: Double,
    dt: float,
    sums: Double,
) -> None:
    """Infiltration after Green and Ampt over one large step. soaked: what each cell's soil has taken so far (m)."""
    bed, depth, surface = cells
    for t in prange(first.size):
        if first[t] < 0:
            continue
        for row in range(TILE):
            for c in range(first[t] + row * width, first[t] + row * width + TILE):
                if depth[c] > 0.0 and pervious[c] > ZERO:
                    taken = min(green_ampt(conductivity, store, soaked[c], dt) * np.float64(pervious[c]), depth[c])
                    soaked[c] += taken / np.float64(pervious[c])
                    depth[c] -= taken
                    surface[c] = np.float64(bed[c]) + depth[c]
                    sums[t, 1] += taken
