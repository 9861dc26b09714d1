"""State: the declared columns of one city at one moment. A fork shares every array until one side writes it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.columns import Column, Columns
from citytwin.errors import MissingError

Values = npt.NDArray[np.float64]


class State:
    """Numbers by column name, one per row of the column's table, float64 in the column's unit; NaN is unknown.

    `time` is seconds since 1970 (UTC). `state["water_depth"]` reads (the array is read-only), `state.edit("water_depth")`
    gives the array to write into. Never keep an array from `edit` across a `fork`: ask for it again.
    A column takes no memory before its first write.
    """

    def __init__(self, city: City, columns: Columns | None = None, time: float = 0.0) -> None:
        self.city = city
        self.columns = columns if columns is not None else city.columns
        self.time = time
        self._values: dict[str, Values] = {}
        self._owned: set[str] = set()

    def fork(self) -> State:
        """A state that starts as this one. Takes microseconds: arrays are shared until either side edits them."""
        other = State(self.city, self.columns, self.time)
        other._values = self._values.copy()
        self._owned.clear()
        return other

    def __getitem__(self, name: str) -> Values:
        values = self._values.get(name)
        if values is None:
            column = self.columns[name]
            values = np.broadcast_to(np.float64(column.start), self.city.size(column.table))
            self._values[name] = values
        view = values.view()
        view.flags.writeable = False
        return view

    def edit(self, name: str) -> Values:
        """The array of `name` to write into; copied first if another state shares it."""
        if name not in self._owned:
            self._values[name] = np.array(self[name], dtype=np.float64)
            self._owned.add(name)
        return self._values[name]

    def __setitem__(self, name: str, values: npt.ArrayLike) -> None:
        column = self.columns[name]
        array = np.empty(self.city.size(column.table))
        array[:] = values
        self._values[name] = array
        self._owned.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the columns that hold more than their start value."""
        return tuple(sorted(n for n, v in self._values.items() if v.ndim and v.strides != (0,)))

    def declare(self, *columns: Column) -> None:
        """Make columns known to this state, for example those that a simulator writes."""
        self.columns.declare(columns)

    def raster(self, name: str) -> Values:
        """A `cell` column as a read-only raster of shape (height, width)."""
        if self.columns[name].table != "cell":
            raise MissingError(f'column "{name}" is not on the ground raster')
        return self[name].reshape(self.city.ground.shape)
