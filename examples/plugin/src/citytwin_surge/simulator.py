"""The surge as the loop sees it: what it declares, and what it writes at each step."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from citytwin.hazards.flood import Flood
from citytwin.sim import Grade, Setup, Spec, Status
from citytwin.state import State
from citytwin_surge.parameters import SurgeParameters
from citytwin_surge.reach import reached

# The same columns that the flood declares: whoever reads them (exposure, loss, traffic, ...) now reads the surge too.
COLUMNS = tuple(c for c in Flood.spec.writes if c.name != "water_arrival")


class Surge:
    """The sea rises in a straight line to its level and stays there."""

    spec: ClassVar[Spec] = Spec(
        name="surge", room="hazard", title="Storm surge", params=SurgeParameters, reads=("water_depth_peak",), writes=COLUMNS,
        needs=("cell",), grade=Grade.SKETCH,
        source="Poulter and Halpin (2008), Int. J. Geogr. Inf. Sci. 22, doi:10.1080/13658810701371858.",
        limits="The sea stands everywhere as high as at its edge, at once: too much water far inland, no currents, no waves.",
    )  # fmt: skip

    def __init__(self, setup: Setup, state: State) -> None:
        self.params: SurgeParameters = setup.params
        self.elevation = setup.city.ground.elevation.astype(np.float64)
        self.lowest = float(np.nanmin(self.elevation))

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Depth at `end`."""
        share = min(end / self.params.rise, 1.0)
        level = self.lowest + share * (self.params.level - self.lowest)
        depth = reached(self.elevation, level, self.params.edge).ravel()
        state["water_depth"] = depth
        state["water_speed"] = 0.0
        state["water_depth_peak"] = np.maximum(state["water_depth_peak"], depth)
        state["water_hazard_peak"] = 0.0
        return Status()

    def summary(self, state: State) -> dict[str, Any]:
        """Cells that the sea reached."""
        return {"cells_reached": int(np.sum(state["water_depth_peak"] > 0))}
