"""The sea runs where it can, and no further."""

from __future__ import annotations

import numpy as np
from citytwin_surge.reach import reached

VALLEY = np.array([[0.0, 1.0, 9.0, 1.0], [0.0, 9.0, 9.0, 1.0]])


def test_the_sea_does_not_cross_a_ridge() -> None:
    """A basin behind a ridge stays dry."""
    assert reached(VALLEY, 2.0, "west").tolist() == [[2, 1, 0, 0], [2, 0, 0, 0]]


def test_a_higher_sea_covers_at_least_the_same_cells() -> None:
    """More sea, no less water anywhere."""
    assert np.all(reached(VALLEY, 9.5, "west") >= reached(VALLEY, 2.0, "west"))
