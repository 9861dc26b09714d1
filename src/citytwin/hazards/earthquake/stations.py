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

    def thinned(self, most: int, exact: float = 0.2) -> Stations:
        """At most `most` places if that can be: what is told roughly (noise above `exact`) is put together by grid cells.

        Cells double until the number fits; within one, observations count by precision and stand at their mean place.
        Instruments stay as they are.
        """
        rough = np.all((self.noise > exact) | np.isnan(self.observed), axis=0)
        cell, found = 500.0, self
        while found.size > most and cell < 64_000 and rough.any():
            column, row = ((v // cell).astype(np.int64) for v in (self.expected.x, self.expected.y))
            group = np.where(rough, column * 10_000_000 + row, -1 - np.arange(self.size))
            found, cell = self._together(np.unique(group, return_inverse=True)[1].reshape(-1)), cell * 2
        return found

    def _together(self, group: npt.NDArray[np.int64]) -> Stations:
        """One place for each group: means of the models' values by precision of what was observed."""
        count = int(group.max()) + 1
        weight = np.where(np.isfinite(self.observed), 1 / np.maximum(self.noise, 1e-3) ** 2, 0.0)
        total = np.array([np.bincount(group, w, count) for w in weight])

        def mean(values: Array) -> Array:
            plain = np.array([np.bincount(group, v, count) for v in values]) / np.bincount(group, minlength=count)
            with np.errstate(invalid="ignore", divide="ignore"):
                own = np.array([np.bincount(group, np.nan_to_num(v) * w, count) for v, w in zip(values, weight, strict=True)])
                return np.where(total > 0, own / total, plain)

        e = self.expected
        x, y = (np.bincount(group, v, count) / np.bincount(group, minlength=count) for v in (e.x, e.y))
        expected = Shaking(e.measures, mean(e.median), mean(e.between), mean(e.within), x, y)
        single = np.bincount(group, minlength=count)[group] == 1
        noise = np.where(total > 0, 1 / np.sqrt(np.maximum(total, 1e-9)), 0.0)
        noise[:, group[single]] = self.noise[:, single]
        observed = np.where(total > 0, mean(self.observed), np.nan)
        observed[:, group[single]] = self.observed[:, single]
        first = np.unique(group, return_index=True)[1]
        return Stations(expected, observed, noise, [self.names[i] for i in first] if len(self.names) else ())

    def at(self, rows: npt.ArrayLike) -> Stations:
        """Some of the stations: indices or a mask."""
        some = np.asarray(rows)
        names = [self.names[i] for i in np.arange(self.size)[some]] if len(self.names) else ()
        return Stations(self.expected.at(some), self.observed[:, some], self.noise[:, some], names)
