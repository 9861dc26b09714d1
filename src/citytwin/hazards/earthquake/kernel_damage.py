"""Damage of assets under blocks of shaking: look up the curves, draw a state, add up what follows from it.

An asset has a class; a class has five curves over the natural logarithm of its intensity measure, tabulated at equal steps:
the probabilities of reaching or passing state 1 ... 5, each at most the one before. State 0 is no damage; nothing
follows from it. What follows from another state (people hurt, loss, ...) is a row of numbers per kind of asset and state,
times the asset's own amounts (people, value, ...). One thread takes a block of realisations through all assets in their
order, so that any number of threads gives the same bits.

The error of a straight line between table points is at most step^2 / 8 times the largest second derivative of the curve:
for a lognormal curve of dispersion beta, step^2 / 8 * 0.242 / beta^2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.kernel import Ground, shaken
from citytwin.hazards.earthquake.kernel_lanes import FOLLOWS, WIDTH, Whole, add_row, state_of
from citytwin.sim.jit import inlined, kernel

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Marks = npt.NDArray[np.bool_]
Chance = tuple[np.uint64, np.uint64]

STATES = 5  # beyond "none"
LANES = 4  # sums that are held apart, so that one need not wait for the one before

LOW_BITS = np.uint64(0xFFFFFFFF)
FIRST, SECOND = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)


class Exposed(NamedTuple):
    """The assets as the kernels read them, n of them.

    site, measure, curve: int32[n], of the block's places and measures and of the tables. kind: int32[n], row of `rates`.
    amount: float32[n, amounts]. shared: bool[n], shared out among the states instead of drawn. segment: int64[s + 1], the first
    asset of each segment. rates: float32[kinds, 6, 16], what follows from each state for one of each amount; of: int64[16],
    which amount that is.
    """

    site: I32
    measure: I32
    curve: I32
    kind: I32
    amount: F32
    shared: Marks
    segment: I64
    rates: F32
    of: I64


class Curves(NamedTuple):
    """Tables of curves, float32[classes, points, 8]; ln of the measure at the first point; points per unit."""

    table: F32
    low: np.float32
    per_step: np.float32


@inlined
def product(one: np.uint32, other: np.uint32) -> np.uint32:
    """The low 32 bits of a product."""
    return np.uint32((np.uint64(one) * np.uint64(other)) & LOW_BITS)


@inlined
def mixed(x: np.uint32) -> np.uint32:
    """32 bits stirred, every one into every other: the finalizer of MurmurHash3 (Appleby 2011)."""
    x = product(x ^ (x >> np.uint32(16)), np.uint32(0x85EBCA6B))
    x = product(x ^ (x >> np.uint32(13)), np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@inlined
def lottery(seed: np.uint64, asset: int, first: np.uint64, out: F32) -> None:
    """Numbers of [0, 1), multiples of 2^-24, for one asset in fields `first`, `first` + 1, ...: the same whoever asks."""
    own = np.uint32((seed ^ (seed >> np.uint64(32))) & LOW_BITS) ^ product(np.uint32(asset), FIRST)
    start = mixed(own)
    for j in range(len(out)):
        field = np.uint32((first + np.uint64(j)) & LOW_BITS)
        drawn = mixed(np.uint32((np.uint64(start) + np.uint64(product(field, SECOND))) & LOW_BITS))
        out[j] = np.float32(np.int32(drawn >> np.uint32(8))) * np.float32(2.0**-24)


@inlined
def table_places(values: F32, curves: Curves, left: I32, right: F32) -> None:
    """Where in the table each value lies: the row before it, how far beyond in rows; outside at its ends, NaN at its begin."""
    top = np.float32(curves.table.shape[1]) - np.float32(1.001)
    for j in range(len(values)):
        place = (values[j] - curves.low) * curves.per_step
        place = place if place > np.float32(0.0) else np.float32(0.0)
        place = min(place, top)
        left[j] = np.int32(place)
        right[j] = place - np.float32(left[j])


@kernel
def damage_block(ground: Ground, assets: Exposed, curves: Curves, chance: Chance, reached: F32, totals: F32) -> None:
    """Take one block of realisations.

    chance: seed of the lottery, number of the block's first realisation. reached: float32[n, 5], filled with the sums over the
    block of the probabilities of reaching each state. totals: float32[s, b, 16], filled with what follows, by segment.
    """
    count = ground.event.shape[1]
    here, right, drawn = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    left, sums, amount = np.empty(count, np.int32), np.zeros((LANES, WIDTH), np.float32), np.empty(FOLLOWS, np.float32)
    for s in range(len(assets.segment) - 1):
        total = totals[s]
        total[:] = np.float32(0.0)
        for i in range(assets.segment[s], assets.segment[s + 1]):
            shaken(ground, assets.measure[i], assets.site[i], here)
            table_places(here, curves, left, right)
            lottery(chance[0], i, chance[1], drawn)
            table, rates = curves.table[assets.curve[i]], assets.rates[assets.kind[i]]
            _amounts(assets, i, amount)
            sums[:] = np.float32(0.0)
            for j in range(count):
                state = state_of(table, np.intp(left[j]), right[j], drawn[j], sums, j & (LANES - 1))
                if assets.shared[i]:
                    _share_out(table, np.intp(left[j]), right[j], rates, amount, total[j])
                else:
                    add_row(total, j, rates, state, amount)
            for k in range(STATES):
                reached[i, k] = (sums[0, k] + sums[1, k]) + (sums[2, k] + sums[3, k])


@inlined
def _amounts(assets: Exposed, i: int, amount: F32) -> None:
    """The amount of asset i that each quantity goes by, float32[16]."""
    for q in range(FOLLOWS):
        amount[q] = assets.amount[i, assets.of[q]]


@inlined
def _share_out(table: F32, left: Whole, right: np.float32, rates: F32, amount: F32, total: F32) -> None:
    """Add what follows on average from the states at a place of a table."""
    for state in range(STATES):
        share = table[left, state] + right * (table[left + 1, state] - table[left, state])
        if state < STATES - 1:
            share -= table[left, state + 1] + right * (table[left + 1, state + 1] - table[left, state + 1])
        for q in range(FOLLOWS):
            total[q] += share * rates[state + 1, q] * amount[q]


@kernel
def draw_states(ground: Ground, assets: Exposed, curves: Curves, classes: int, chance: Chance, begun: U8, states: U8) -> None:
    """The state of each asset after each field, never less than it had before.

    begun: uint8[n, b], states before; the curves of class c for a building in state k are table row c + k * classes, so a table
    without later rows is for undamaged buildings alone. states: uint8[n, b], filled; may be `begun` itself. The draws are those
    of `damage_block` for the same chance.
    """
    count = ground.event.shape[1]
    here, right, drawn = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    left, sums = np.empty(count, np.int32), np.zeros((1, WIDTH), np.float32)
    for i in range(len(assets.site)):
        shaken(ground, assets.measure[i], assets.site[i], here)
        table_places(here, curves, left, right)
        lottery(chance[0], i, chance[1], drawn)
        for j in range(count):
            table = curves.table[assets.curve[i] + classes * np.int64(begun[i, j])]
            state = state_of(table, np.intp(left[j]), right[j], drawn[j], sums, 0)
            states[i, j] = max(state, int(begun[i, j]))


@kernel
def add_up(states: U8, assets: Exposed, reached: F32, totals: F32) -> None:
    """What follows from drawn `states` (n, b); `reached` and `totals` as in `damage_block`, from counts."""
    amount = np.empty(FOLLOWS, np.float32)
    reached[:] = np.float32(0.0)
    for s in range(len(assets.segment) - 1):
        totals[s] = np.float32(0.0)
        for i in range(assets.segment[s], assets.segment[s + 1]):
            _amounts(assets, i, amount)
            for j in range(states.shape[1]):
                for k in range(states[i, j]):
                    reached[i, k] += np.float32(1.0)
                add_row(totals[s], j, assets.rates[assets.kind[i]], np.intp(states[i, j]), amount)
