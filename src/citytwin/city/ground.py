"""The ground: rasters of equal square cells, row 0 in the north, and where each cell is.

Table `cell` is this raster read row by row: cell (iy, ix) is row iy * width + ix.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError, MissingError, nearest

Layer = npt.NDArray[np.float32]

BANDS: dict[str, tuple[str, str, float]] = {
    # name: (unit, meaning, value where nothing is known)
    "elevation": ("m", "elevation of the ground that water runs over (streams pass under bridges)", float("nan")),
    "manning": ("s/m^(1/3)", "Manning roughness", 0.05),
    "impervious": ("1", "share of the cell that lets no water into the soil", 0.0),
    "building": ("1", "share of the cell covered by buildings", 0.0),
    "water": ("1", "share of the cell that is river, lake or sea at ordinary times", 0.0),
}


@dataclass
class Ground:
    """Rasters of shape (height, width) over square cells of `cell_size` metres.

    `west`, `north`: coordinates (m, the city's CRS) of the outer corner of cell (0, 0). `layers`: float32 arrays by
    name, see `BANDS`; `elevation` is always there, NaN outside the known ground.
    """

    west: float
    north: float
    cell_size: float
    layers: dict[str, Layer] = field(repr=False)

    def __post_init__(self) -> None:
        if "elevation" not in self.layers:
            raise InputError("ground without elevation", hint="layers: " + ", ".join(self.layers))
        if len({layer.shape for layer in self.layers.values()}) != 1:
            raise InputError("ground layers differ in shape")
        if not self.cell_size > 0:
            raise InputError(f"cell size {self.cell_size} is not positive")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in cells."""
        height, width = self.layers["elevation"].shape
        return int(height), int(width)

    @property
    def size(self) -> int:
        """Number of cells: the rows of table `cell`."""
        return self.shape[0] * self.shape[1]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north, in metres of the city's CRS."""
        height, width = self.shape
        return self.west, self.north - height * self.cell_size, self.west + width * self.cell_size, self.north

    @property
    def elevation(self) -> Layer:
        """Elevation in metres, NaN outside the known ground."""
        return self.layers["elevation"]

    def layer(self, name: str) -> Layer:
        """A layer by name; a declared layer that the city lacks comes filled with its unknown value."""
        if name in self.layers:
            return self.layers[name]
        if name not in BANDS:
            raise MissingError(f'no ground layer "{name}"', hint=nearest(name, BANDS))
        return np.full(self.shape, BANDS[name][2], dtype=np.float32)

    def rows(self, x: npt.ArrayLike, y: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Rows of table `cell` that hold the points x, y (m, the city's CRS); -1 outside the ground."""
        height, width = self.shape
        ix = np.floor((np.asarray(x, dtype=float) - self.west) / self.cell_size)
        iy = np.floor((self.north - np.asarray(y, dtype=float)) / self.cell_size)
        inside = (ix >= 0) & (ix < width) & (iy >= 0) & (iy < height)
        return np.where(inside, np.nan_to_num(iy) * width + np.nan_to_num(ix), -1).astype(np.int64)

    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Coordinates x of the columns (width,) and y of the rows (height,), in metres, of the cells' centres."""
        height, width = self.shape
        x, y = (
            self.west + (np.arange(width, dtype=np.float64) + 0.5) * self.cell_size,
            self.north - (np.arange(height, dtype=np.float64) + 0.5) * self.cell_size,
        )
        return x.astype(np.float64), y.astype(np.float64)
