"""In which order places are drawn, and which earlier ones a place is drawn from.

The order is coarse to fine (places thinned on grids of ever smaller cells, stations before all). Neighbours are the nearest of
all earlier places, found exactly: places are sorted by the cells of a grid, a window of cells grows until nothing nearer can
lie outside of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import prange
from scipy.spatial import cKDTree

from citytwin.sim.jit import kernel, parallel

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]

COARSEST, LEVELS = 64_000.0, 17
"""Cell (m) of the first thinning, and how often it halves: the last cells are half a metre wide."""
FINER = 5
"""More halvings in which places are told apart for their order along the curve: to 1.5 cm."""
TURNS = 8
WINDOW = 5
"""Cells on each side of a place's own in which neighbours are sought first."""


@dataclass(frozen=True)
class Order:
    """An order of places. places: int64[n]. starts: int64[levels + 1], where each level begins. size: cell (m) of each."""

    places: Rows
    starts: Rows
    size: Array


def coarse_to_fine(x: Array, y: Array) -> Order:
    """Places level by level: the cells of a grid halve, and every cell without a place so far gives one.

    Along a Z curve (Morton 1966) the cells of all sizes are runs of places. A cell gives its first place, so the level of a
    place is told by the largest cell in which it does not lie together with the place before it. Within a level places go
    along the curve, so that what is near in the order is near on the ground, in eight turns, so that later places have
    earlier ones on all sides.
    """
    unit = COARSEST / 2 ** (LEVELS + FINER)
    column, row = (((v - v.min()) / unit).astype(np.int64) for v in (x, y))
    code = _apart(column) | _apart(row) << 1
    along = np.argsort(code, kind="stable").astype(np.int64)
    between = code[along[1:]] ^ code[along[:-1]]
    level = np.zeros(len(x), dtype=np.int64)
    for halved in range(LEVELS):
        level[1:] += between >> 2 * (LEVELS + FINER - halved) == 0
    found = [_in_turns(along[level == number]) for number in range(LEVELS + 1)]
    count = np.array([len(f) for f in found])
    filled = np.flatnonzero(count)
    starts = np.concatenate([[0], np.cumsum(count[filled])])
    return Order(np.concatenate(found), starts.astype(np.int64), np.asarray(COARSEST / 2.0**filled, dtype=np.float64))


def _apart(values: Rows) -> Rows:
    """Bits of numbers under 2^31 with a gap after each, int64."""
    for shift in (16, 8, 4, 2, 1):
        values = (values | values << shift) & np.int64((2**64 - 1) // (2**shift + 1))
    return values


def _in_turns(places: Rows) -> Rows:
    """Places taken in turns: each turn a share of them, spread evenly, in their own order."""
    turn = ((np.arange(len(places)) * 0.6180339887498949) % 1 * TURNS).astype(np.int64)
    return places[np.argsort(turn, kind="stable")]


def earlier_neighbours(x: Array, y: Array, starts: Rows, size: Array, stations: int, near: int, near_stations: int) -> Indices:
    """For each place in order its nearest earlier ones, then stations not among them, int32[n, k], -1 where there are fewer.

    x, y: in order, the `stations` first. starts: where levels begin (the first after the stations); size: their cells (m).
    """
    n = len(x)
    found = np.full((n, near + (near_stations if stations else 0)), -1, dtype=np.int32)
    level = 0
    while level < len(size):
        begin, last = int(starts[level]), level + 1
        while last < len(size) and n - starts[last] < 0.06 * n:  # the few of the finest levels go together
            last += 1
        end = starts[last]
        _search(x[:end], y[:end], begin, float(size[level]), near, found)
        level = last
    if stations and near_stations:
        count = min(near_stations, stations)
        places = np.column_stack([x, y])
        _, close = cKDTree(places[:stations]).query(places[stations:], k=count, workers=-1)
        _with_stations(np.asarray(close, dtype=np.int64).reshape(-1, count), stations, near, found)
    return found


class Grid(NamedTuple):
    """Places by cells of a grid: coordinates and keys (row * width + column) in the order of keys, each one's number."""

    x: Array
    y: Array
    key: Rows
    number: Indices
    width: int
    height: int
    size: float


def _search(x: Array, y: Array, begin: int, size: float, near: int, found: Indices) -> None:
    """Neighbours of the places from `begin` on, by way of a grid of cells of `size`."""
    column, row = (((v - v.min()) // size).astype(np.int64) for v in (x, y))
    width = int(column.max()) + 1
    key = row * width + column
    order = np.argsort(key, kind="stable")
    grid = Grid(x[order], y[order], key[order], order.astype(np.int32), width, int(row.max()) + 1, size)
    _nearest(x, y, key, grid, begin, near, found)


@parallel
def _nearest(x: Array, y: Array, key: Rows, grid: Grid, begin: int, near: int, found: Indices) -> None:
    for i in prange(begin, len(x)):
        far, who = np.empty(near), np.empty(near, dtype=np.int32)
        row, column = key[i] // grid.width, key[i] % grid.width
        window, count = WINDOW, 0
        while True:
            low, high = max(column - window, 0), min(column + window, grid.width - 1)
            bottom, top = max(row - window, 0), min(row + window, grid.height - 1)
            count = 0
            for r in range(bottom, top + 1):
                at = _first_from(grid.key, r * grid.width + low)
                while at < len(x) and grid.key[at] <= r * grid.width + high:
                    if grid.number[at] < i:
                        dx, dy = grid.x[at] - x[i], grid.y[at] - y[i]
                        count = _enter(dx * dx + dy * dy, grid.number[at], far, who, count)
                    at += 1
            whole = low == 0 and bottom == 0 and high == grid.width - 1 and top == grid.height - 1
            if whole or (count == near and far[near - 1] <= (window * grid.size) ** 2):
                break
            window = _wider(window, count, near, far[near - 1], grid.size)
        for k in range(count):
            found[i, k] = who[k]


@kernel
def _wider(window: int, count: int, near: int, farthest: float, size: float) -> int:
    """The next window: if enough were found, what their distance asks for; else as wide as their density tells."""
    if count == near:
        return max(int(np.ceil(np.sqrt(farthest) / size)), window + 1)
    return max(min(int(window * np.sqrt(1.5 * near / (count + 1))), 4 * window), window + 1)


@kernel
def _first_from(values: Rows, least: int) -> int:
    """Where in sorted `values` those of at least `least` begin."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _enter(distance: float, place: int, far: Array, who: Indices, count: int) -> int:
    """Enter a place among the nearest so far, which are sorted; how many there are then."""
    if count == len(far) and distance >= far[count - 1]:
        return count
    at = min(count, len(far) - 1)
    while at > 0 and far[at - 1] > distance:
        far[at], who[at] = far[at - 1], who[at - 1]
        at -= 1
    far[at], who[at] = distance, place
    return min(count + 1, len(far))


@parallel
def _with_stations(close: Rows, stations: int, near: int, found: Indices) -> None:
    for i in prange(close.shape[0]):
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
