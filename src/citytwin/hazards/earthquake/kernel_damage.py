"""Damage of assets under blocks of shaking fields: look up the curves, draw a state, add up what follows from it.

An asset has a class; a class has five curves over the natural logarithm of its intensity measure, tabulated at equal steps:
the probabilities of reaching or passing state 1 ... 5, each at most the one before. State 0 is no damage; nothing
follows from it. What follows from another state (people hurt, loss, ...) is a row of numbers per asset and state. Assets are
cut into segments of neighbouring rows; one thread handles a segment from end to end, and segments are added up in their
order, so that any number of threads gives the same bits.

The error of a straight line between table points is at most step^2 / 8 times the largest second derivative of the curve:
for a lognormal curve of dispersion beta, step^2 / 8 * 0.242 / beta^2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from citytwin.sim.jit import kernel, parallel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Marks = npt.NDArray[np.bool_]
Chance = tuple[np.uint64, np.uint64]

STATES = 5  # beyond "none"
WIDTH = 8  # of a table row: five curves, padded to half a cache line
FOLLOWS = 16  # quantities that may follow from a state: padded to a cache line

NEXT = np.uint32(1)
LOW_BITS = np.uint64(0xFFFFFFFF)


@kernel
def mixed(x: np.uint64) -> np.uint64:
    """32 bits stirred, every one into every other: the finalizer of MurmurHash3 (Appleby 2011)."""
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & LOW_BITS
    x = ((x ^ (x >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & LOW_BITS
    return x ^ (x >> np.uint64(16))


@kernel
def lottery(seed: np.uint64, asset: np.uint64, field: np.uint64) -> np.float64:
    """A number of [0, 1) for one asset in one field, the same whoever asks. No product is larger than 64 bits."""
    first = mixed((seed ^ (seed >> np.uint64(32)) ^ (asset * np.uint64(0x9E3779B1))) & LOW_BITS)
    return np.float64(mixed((first + field * np.uint64(0x85EBCA77)) & LOW_BITS)) * 2.3283064365386963e-10


@kernel
def table_place(value: np.float32, low: np.float32, per_step: np.float32, top: np.float32) -> np.float32:
    """Where in the table `value` lies, in steps from its begin; beyond its ends it lies at them, NaN at its begin."""
    place = (value - low) * per_step
    if place > np.float32(0.0):
        return min(place, top)
    return np.float32(0.0)


@kernel
def reading(curves: F32, left: np.uint32, right: np.float32, state: int) -> np.float32:
    """The probability of reaching state 1 + `state`, on the straight line between two rows of a class's table."""
    low = curves[left, state]
    return np.float32(low + right * (curves[left + NEXT, state] - low))


@parallel
def damage_block(
    fields: F32, site: I32, measure: I32, curve: I32, table: F32, axis: tuple[np.float32, np.float32], follows: F32,
    shared: Marks, segment: I64, chance: Chance, reached: F64, totals: F32,
) -> None:  # fmt: skip
    """Take one block of fields.

    fields (m, b, sites): ln of the measures. site, measure, curve (n,): of each asset. table (classes, points, 8), axis: ln of
    the measure at the first point, points per unit. follows (n, 6, 16): what follows from each state. shared (n,): whether the
    asset is shared out among the states (a row that stands for many buildings) rather than in one state per field.
    segment (s + 1,): first asset of each segment. chance: seed, number of the block's first field.
    reached (n, 5): to which the probabilities of this block's fields are added. totals (s, b, 16): filled.
    """
    count = fields.shape[1]
    low, per_step = axis
    top = np.float32(table.shape[1]) - np.float32(1.001)
    for s in prange(len(segment) - 1):
        totals[s] = np.float32(0.0)
        for i in range(segment[s], segment[s + 1]):
            row, m, curves, of = site[i], measure[i], table[curve[i]], follows[i]
            sum1 = sum2 = sum3 = sum4 = sum5 = np.float64(0.0)
            for j in range(count):
                place = table_place(fields[m, j, row], low, per_step, top)
                left = np.uint32(place)
                right = place - np.float32(left)
                p1, p2 = reading(curves, left, right, 0), reading(curves, left, right, 1)
                p3, p4 = reading(curves, left, right, 2), reading(curves, left, right, 3)
                p5 = reading(curves, left, right, 4)
                sum1, sum2, sum3, sum4, sum5 = sum1 + p1, sum2 + p2, sum3 + p3, sum4 + p4, sum5 + p5
                if shared[i]:
                    q1, q2, q3, q4 = p1 - p2, p2 - p3, p3 - p4, p4 - p5
                    for q in range(FOLLOWS):
                        totals[s, j, q] += q1 * of[1, q] + q2 * of[2, q] + q3 * of[3, q] + q4 * of[4, q] + p5 * of[5, q]
                    continue
                u = lottery(chance[0], np.uint64(i), chance[1] + np.uint64(j))
                if u < p1:
                    state = 1 + int(u < p2) + int(u < p3) + int(u < p4) + int(u < p5)
                    for q in range(FOLLOWS):
                        totals[s, j, q] += of[state, q]
            reached[i, 0] += sum1
            reached[i, 1] += sum2
            reached[i, 2] += sum3
            reached[i, 3] += sum4
            reached[i, 4] += sum5


@parallel
def draw_states(
    fields: F32, site: I32, measure: I32, curve: I32, table: F32, axis: tuple[np.float32, np.float32], classes: int,
    chance: Chance, begun: U8, states: U8,
) -> None:  # fmt: skip
    """The state of each asset after each field, never less than it had before.

    begun (n, b): states before; the curves of class c for a building in state k are table row c + k * classes, so a table
    without later rows is for undamaged buildings alone. states (n, b): filled; may be `begun` itself. The draws are those of
    `damage_block` for the same chance.
    """
    low, per_step = axis
    top = np.float32(table.shape[1]) - np.float32(1.001)
    for i in prange(len(site)):
        for j in range(fields.shape[1]):
            curves = table[curve[i] + classes * np.int64(begun[i, j])]
            place = table_place(fields[measure[i], j, site[i]], low, per_step, top)
            left = np.uint32(place)
            right = place - np.float32(left)
            u = lottery(chance[0], np.uint64(i), chance[1] + np.uint64(j))
            state = 0
            for k in range(STATES):
                state += int(u < reading(curves, left, right, k))
            states[i, j] = max(state, int(begun[i, j]))


@parallel
def add_up(states: U8, follows: F32, segment: I64, reached: F64, totals: F32) -> None:
    """What follows from drawn `states` (n, b); `reached` and `totals` as in `damage_block`, from counts."""
    for s in prange(len(segment) - 1):
        totals[s] = np.float32(0.0)
        for i in range(segment[s], segment[s + 1]):
            for j in range(states.shape[1]):
                state = states[i, j]
                for k in range(state):
                    reached[i, k] += 1.0
                if state > 0:
                    for q in range(FOLLOWS):
                        totals[s, j, q] += follows[i, state, q]
