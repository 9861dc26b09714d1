"""How far the sea runs: the bathtub with connected cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Raster = npt.NDArray[np.float64]

EDGES = {"north": (0, slice(None)), "south": (-1, slice(None)), "west": (slice(None), 0), "east": (slice(None), -1)}


def reached(elevation: Raster, level: float, edge: str) -> Raster:
    """Depth (m) on each cell of `elevation` (m) that lies below `level` and is joined to `edge` by cells that do too.

    Poulter and Halpin (2008), Raster modelling of coastal flooding from sea-level rise, Int. J. Geogr. Inf. Sci. 22,
    doi:10.1080/13658810701371858: connection over the four sides of a cell.
    """
    low = np.nan_to_num(elevation, nan=np.inf) < level
    parts, _ = ndimage.label(low)
    wet = low & np.isin(parts, np.unique(parts[EDGES[edge]]))
    return np.where(wet, level - elevation, 0.0)
