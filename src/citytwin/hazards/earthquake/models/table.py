"""Coefficients of a ground-motion model: one CSV row a measure, read once; names of measures and their periods."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError

Array = npt.NDArray[np.float64]
PGA, PGV = 0.0, -1.0
"""The periods by which coefficient files name peak acceleration and peak velocity."""
_SPECTRAL = re.compile(r"(?:P?SA)\(?([0-9]*\.?[0-9]+)\)?")


@cache
def period(measure: str) -> float:
    """The period (s) that `measure` names: "PGA" 0, "PGV" -1, "SA(0.3)" 0.3. Raises InputError for any other name.

    >>> period("SA(0.3)"), period("PGA")
    (0.3, 0.0)
    """
    name = measure.strip().upper()
    if name in ("PGA", "PGV"):
        return PGA if name == "PGA" else PGV
    spectral = _SPECTRAL.fullmatch(name)
    if spectral is None or float(spectral[1]) <= 0:
        raise InputError(f'no intensity measure "{measure}"', hint="allowed: PGA, PGV, SA(period in s), as in SA(0.3)")
    return float(spectral[1])


def measure_name(measure: str) -> str:
    """The one spelling of `measure`: PGA, PGV, SA(0.3).

    >>> measure_name("psa1.00")
    'SA(1.0)'
    """
    seconds = period(measure)
    return "PGA" if seconds == PGA else "PGV" if seconds == PGV else f"SA({seconds})"


@dataclass(frozen=True)
class Table:
    """Coefficients by period. `columns`: name -> float64[rows]; `periods`: float64[rows], 0 is PGA, -1 is PGV."""

    name: str
    columns: dict[str, Array]

    @property
    def periods(self) -> Array:
        """Periods in s, in the file's order."""
        return self.columns["period"]

    @property
    def spectral(self) -> Array:
        """Periods above zero, ascending, in s."""
        return np.unique(self.periods[self.periods > 0])

    @staticmethod
    def read(name: str) -> Table:
        """The table of `coefficients/NAME.csv`: lines that start with # are remarks, the last of them the header."""
        text = resources.files(__package__).joinpath("coefficients", f"{name}.csv").read_text("utf-8").splitlines()
        remarks = [line for line in text if line.startswith("#")]
        rows = [[float(v) for v in row] for row in csv.reader(line for line in text if line.strip() and line[0] != "#")]
        header = [h.strip() for h in remarks[-1].lstrip("# ").split(",")]
        return Table(name, {h: np.array([r[i] for r in rows]) for i, h in enumerate(header)})

    def row(self, seconds: float) -> SimpleNamespace:
        """The coefficients at exactly `seconds` (0 is PGA, -1 PGV). Raises InputError where the table has none."""
        found = np.flatnonzero(np.isclose(self.periods, seconds, rtol=1e-6, atol=1e-9))
        if not found.size:
            raise InputError(f"{self.name} has no coefficients at {seconds:g} s")
        return SimpleNamespace(**{name: float(values[found[0]]) for name, values in self.columns.items()})

    def around(self, measure: str) -> list[tuple[float, float]]:
        """Periods to mix for `measure`, with weights linear in log period: one, or the two neighbours."""
        seconds = period(measure)
        if np.any(np.isclose(self.periods, seconds, rtol=1e-6, atol=1e-9)):
            return [(seconds, 1.0)]
        known = self.spectral
        if seconds <= 0 or not known[0] <= seconds <= known[-1]:
            peaks = [n for n, p in (("PGA", PGA), ("PGV", PGV)) if p in self.periods]
            allowed = ", ".join([*peaks, f"SA({known[0]:g}) to SA({known[-1]:g})"])
            raise InputError(f"{self.name} gives no {measure}", hint=f"allowed: {allowed}")
        above = int(np.searchsorted(known, seconds))
        low, high = float(known[above - 1]), float(known[above])
        share = float(np.log(seconds / low) / np.log(high / low))
        return [(low, 1 - share), (high, share)]
