"""Streets that collapsed buildings fall on, and bridges that cannot carry.

A collapsed building reaches as far as a share of its height (the scenario's `debris_reach`, 0.5 if not said: an estimate). A
street is blocked when rubble reaches its middle line.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city import City
from citytwin.city.roads import number, yes

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

STOREY = 3.0


class Streets:
    """Which buildings can block which roads."""

    def __init__(self, city: City, reach: float) -> None:
        road, building = city.table("road"), city.table("building")
        self.size = len(road)
        lines = np.asarray(road.geometry.to_numpy(), dtype=object)
        open_air = np.flatnonzero(~yes(road, "tunnel") & ~yes(road, "bridge"))
        height = number(building, "height")
        height = np.where(np.isfinite(height), height, STOREY * np.maximum(number(building, "levels", 2.0), 1.0))
        tree = shapely.STRtree(lines[open_air])
        shapes = np.asarray(building.geometry.to_numpy(), dtype=object)
        pairs = tree.query(shapes, predicate="dwithin", distance=np.maximum(height * reach, 0.0))
        self.building: I64 = pairs[0].astype(np.int64)
        self.road: I64 = open_air[pairs[1]].astype(np.int64)

    def probability(self, collapse: F64) -> F64:
        """Probability that debris blocks each road, from the probability of collapse of each building, taken one by one."""
        spared = np.zeros(self.size)
        np.add.at(spared, self.road, np.log1p(-np.minimum(collapse[self.building], 1.0 - 1e-12)))
        return np.asarray(1.0 - np.exp(spared), dtype=np.float64)

    def blocked(self, collapsed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Roads that debris of the collapsed buildings blocks."""
        out = np.zeros(self.size, dtype=np.bool_)
        out[self.road[collapsed[self.building]]] = True
        return out
