"""The water of a run, for simulated devices to stand in: a rehearsed flood that gauges report as if it happened now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError
from citytwin.scenario import read_result

Floats = npt.NDArray[np.float64]


class RunWater:
    """Depth of the water (m) at places x, y (m, the city's CRS) over the course of the run in `folder`. Raises InputError."""

    def __init__(self, folder: Path, x: Floats, y: Floats) -> None:
        with read_result(folder).fields as fields:
            if "water_depth" not in fields or fields["water_depth"].dims != ("time", "y", "x"):
                raise InputError("this run has no water_depth over time", str(folder), "give a run of a flood")
            east, south = fields["x"].to_numpy(), fields["y"].to_numpy()
            ix, iy = _nearest(east, x), _nearest(south, y)
            inside = (ix >= 0) & (iy >= 0)
            depth = fields["water_depth"].to_numpy()[:, np.maximum(iy, 0), np.maximum(ix, 0)]
            moments = fields["time"].to_numpy()
        self._depth: Floats = np.where(inside, np.nan_to_num(depth.astype(np.float64)), 0.0)
        self._seconds: Floats = (moments - moments[0]) / np.timedelta64(1, "s")

    def at(self, seconds: float) -> Floats:
        """Depth at each place so many seconds after the run's start; before it the first, after its end the last."""
        frame = int(np.searchsorted(self._seconds, seconds, side="right")) - 1
        found: Floats = self._depth[min(max(frame, 0), len(self._depth) - 1)]
        return found


def _nearest(centres: Floats, at: Floats) -> npt.NDArray[np.int64]:
    """Index of the cell centre nearest to each place, -1 beyond half a cell from all of them."""
    step = centres[1] - centres[0] if len(centres) > 1 else 1.0
    index = np.round((at - centres[0]) / step).astype(np.int64)
    return np.where((index >= 0) & (index < len(centres)), index, -1)
