"""Random numbers of the epidemic: a hash of seed, person, day and purpose (splitmix64: Steele, Lea and Flood 2014, OOPSLA,
453-472). Whoever asks, in whatever order and on whatever thread, gets the same number.
"""
# mypy: disable-error-code="arg-type, return-value, assignment, no-any-return, operator, call-overload"
# (compiled code takes int and np.int64 for one)

from __future__ import annotations

import math

import numpy as np

from citytwin.sim.jit import inlined

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S11, S8 = (np.uint64(n) for n in (27, 30, 31, 11, 8))
UNIT = 2.0**-53
COURSE, MEETING, EVENT, BED = 1, 2, 3, 4
"""Purposes of random numbers."""
MOST = 10_000
"""Contacts a day at which a person's number is cut: beyond any disease."""


@inlined
def mixed(z: np.uint64) -> np.uint64:
    """The finalizer of splitmix64."""
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@inlined
def key_of(seed: np.uint64, person: int, day: int, purpose: int) -> np.uint64:
    """Where the random numbers of a person begin on a day, for a purpose."""
    return mixed(mixed(seed + np.uint64(person) * GOLDEN) ^ ((np.uint64(day) << S8) + np.uint64(purpose)))


@inlined
def uniform(key: np.uint64) -> float:
    """A number of [0, 1) from a key; add GOLDEN to the key for the next."""
    return float(mixed(key) >> S11) * UNIT


@inlined
def poisson(rate: float, u: float) -> int:
    """A Poisson number by inversion of `u`."""
    term = math.exp(-rate)
    total = term
    number = 0
    while u >= total and number < MOST and term > 0.0:
        number += 1
        term *= rate / number
        total += term
    return number


@inlined
def many(rate: float, key: np.uint64) -> int:
    """A Poisson number of any rate, as a sum of ones of at most 30."""
    number = 0
    left = rate
    while left > 0:
        key = mixed(key + GOLDEN)
        step = min(left, 30.0)
        number += poisson(step, uniform(key))
        left -= step
    return number
