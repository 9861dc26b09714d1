"""Truth of three values, as arrays: what is not known is neither true nor false.

Stephen Kleene, Introduction to Metamathematics, 1952, his strong logic (from knowledge, not re-read).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Truth = npt.NDArray[np.uint8]
FALSE, UNKNOWN, TRUE = 0, 1, 2


def of(holds: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> Truth:
    """Truth from `holds`, where it is `known`."""
    return np.where(known, holds * np.uint8(TRUE), np.uint8(UNKNOWN))


def every(parts: Sequence[Truth]) -> Truth:
    """Whether all hold."""
    least: Truth = np.minimum.reduce(parts)
    return least


def some(parts: Sequence[Truth]) -> Truth:
    """Whether any holds."""
    most: Truth = np.maximum.reduce(parts)
    return most


def not_(part: Truth) -> Truth:
    """Whether it does not hold."""
    return np.uint8(TRUE) - part


def at_least(number: int, parts: Sequence[Truth]) -> Truth:
    """Whether so many hold: yes where enough do, no where enough cannot."""
    stacked = np.stack(parts)
    sure, possible = (stacked == TRUE).sum(axis=0), (stacked != FALSE).sum(axis=0)
    return np.where(sure >= number, np.uint8(TRUE), np.where(possible < number, np.uint8(FALSE), np.uint8(UNKNOWN)))
