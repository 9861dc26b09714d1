"""What was measured or felt at places during an earthquake, beside what the models say there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError
from citytwin.hazards.earthquake.shaking import Shaking

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stations:
    """Observations at s places.

    expected: what the models say there, with the measures observed (o of them). observed: float64[o, s], ln of the measure, NaN
    where there is none. noise: float64[o, s], standard deviation of ln of the observation itself; 0 for a good instrument.
    names: of the stations, for reports.
    """

    expected: Shaking
    observed: Array
    noise: Array
    names: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        for name in ("observed", "noise"):
            if getattr(self, name).shape != self.expected.median.shape:
                raise InputError(
                    f"{name} of the stations has shape {getattr(self, name).shape}, not {self.expected.median.shape}"
                )
        if np.any(self.noise < 0):
            raise InputError("the noise of a station is negative", hint="allowed: 0 or more, in ln units")

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self.expected.x)

    def but(self, row: int) -> Stations:
        """All but one station, to see how well the others tell it."""
        return self.at(np.delete(np.arange(self.size), row))

    def at(self, rows: npt.ArrayLike) -> Stations:
        """Some of the stations: indices or a mask."""
        some = np.asarray(rows)
        names = [self.names[i] for i in np.arange(self.size)[some]] if len(self.names) else ()
        return Stations(self.expected.at(some), self.observed[:, some], self.noise[:, some], names)
