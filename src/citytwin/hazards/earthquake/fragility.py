"""Fragility: the probability that a building, bridge or station reaches a damage state, given the shaking.

A `Fragility` holds curves by name (a taxonomy) and the names of its states. `hazus_buildings` and `hazus_networks` come with
citytwin; `nrml.read_fragility` reads others. `tabulate` puts curves, or weighted mixtures of them, on the axis that the
kernel reads.

Sources: curves of buildings, FEMA (2024) Hazus Earthquake Model Technical Manual 6.1, equivalent-PGA curves of section 5.7 (for
the manual's reference spectrum: magnitude 7, western United States, 15 km and more, stiff soil); bridges, tunnels and
stations, the same of version 5.1; all as in the library named in data/LICENCE-simcenter-dlml.txt.

The manual prints a dispersion of 0.64 with those curves of buildings; the library gives 0.4. We take the library's: 0.64
contains the spread of the shaking (0.4 and 0.5 make 0.64), which here is in the fields already. That reading is ours.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from citytwin.errors import InputError, MissingError, nearest
from citytwin.hazards.earthquake.kernel_damage import STATES
from citytwin.hazards.earthquake.kernel_lanes import WIDTH
from citytwin.hazards.earthquake.models import measure_name

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

HAZUS_STATES = ("slight", "moderate", "extensive", "complete")
LOW, HIGH, POINTS = float(np.log(1e-4)), float(np.log(1e3)), 1024
"""Ends of the tables' axis (ln of the measure in its own unit, g or cm/s) and their number of points: a step of 1.6 %."""

MEASURES = {
    "Peak Ground Acceleration": "PGA",
    "Peak Ground Velocity": "PGV",
    "Spectral Acceleration|1.0": measure_name("SA(1.0)"),
}


@dataclass(frozen=True)
class Lognormal:
    """P(state >= k) = Phi(ln(x / median_k) / dispersion_k); zero below `least`, as at `most` above that."""

    measure: str
    medians: tuple[float, ...]
    dispersions: tuple[float, ...]
    least: float = 0.0
    most: float = np.inf

    def exceedance(self, ln: npt.ArrayLike) -> F64:
        """Probability of reaching or passing each state, shape (states, ...), at `ln` of the measure."""
        x = np.asarray(ln, dtype=np.float64)
        at = np.minimum(x, np.log(self.most))
        curves = [ndtr((at - np.log(m)) / b) for m, b in zip(self.medians, self.dispersions, strict=True)]
        return np.where(x >= (np.log(self.least) if self.least > 0 else -np.inf), np.array(curves), 0.0)


@dataclass(frozen=True)
class Tabulated:
    """Probabilities (states, levels) at `levels` of the measure: straight lines between, to zero at `least`, level above."""

    measure: str
    levels: tuple[float, ...]
    probabilities: tuple[tuple[float, ...], ...]
    least: float = 0.0

    def exceedance(self, ln: npt.ArrayLike) -> F64:
        """Probability of reaching or passing each state, shape (states, ...), at `ln` of the measure."""
        x = np.exp(np.asarray(ln, dtype=np.float64))
        begins = self.least < self.levels[0]
        levels = (self.least, *self.levels) if begins else self.levels
        curves = [np.interp(x, levels, (0.0, *p) if begins else p) for p in self.probabilities]
        return np.where(x >= self.least, np.array(curves), 0.0)


Curve = Lognormal | Tabulated


@dataclass(frozen=True)
class Fragility:
    """Curves by name, the names of their states (without "none"), and the share of the last state that collapses, by name."""

    states: tuple[str, ...]
    curves: Mapping[str, Curve]
    collapse: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.states) <= STATES:
            raise InputError(f"{len(self.states)} damage states", self.source, f"allowed: 1 to {STATES} beyond none")

    def __getitem__(self, name: str) -> Curve:
        if name not in self.curves:
            raise MissingError(f'no fragility of taxonomy "{name}"', self.source, nearest(name, self.curves))
        return self.curves[name]

    @property
    def has_collapse(self) -> bool:
        """Whether collapse is a state of its own in the tables: there is room, and the last state is not collapse itself."""
        return len(self.states) < STATES and "collapse" not in self.states[-1].lower()

    def probabilities(self, name: str, ln: npt.ArrayLike) -> F64:
        """Probability of reaching each of the five states of the tables, shape (5, ...): a missing one is never reached.

        The last used one is collapse where `has_collapse`; else collapse is the last state of the curves itself.
        """
        found = self[name].exceedance(ln)
        out = np.zeros((STATES, *found.shape[1:]))
        out[: len(found)] = np.minimum.accumulate(found, axis=0)
        if self.has_collapse:
            out[len(found)] = out[len(found) - 1] * self.collapse.get(name, 0.0)
        return out


def axis() -> F64:
    """The axis of the tables: ln of the measure."""
    return np.linspace(LOW, HIGH, POINTS)


def axis_of(table: F32) -> tuple[np.float32, np.float32]:
    """What the kernel is told of the axis: where it begins, points per unit."""
    return np.float32(LOW), np.float32((table.shape[1] - 1) / (HIGH - LOW))


Mixture = tuple[tuple[str, float], ...]
"""Names of curves with their probabilities."""


def tabulate(fragility: Fragility, mixtures: Sequence[Mixture]) -> F32:
    """Tables of `mixtures` for the kernel, float32 (mixtures, points, 8). All curves of one mixture have one measure."""
    known: dict[str, F64] = {}
    table = np.zeros((len(mixtures), POINTS, WIDTH), dtype=np.float32)
    for row, mixture in enumerate(mixtures):
        total = np.zeros((STATES, POINTS))
        for name, weight in mixture:
            if name not in known:
                known[name] = fragility.probabilities(name, axis())
            total += weight * known[name]
        table[row, :, :STATES] = total.T
    return table


def shipped(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file that comes with the earthquake."""
    text = resources.files("citytwin.hazards.earthquake").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _lognormal(row: Mapping[str, str]) -> Lognormal:
    pairs = [(row[f"median_{k}"], row[f"dispersion_{k}"]) for k in range(1, 5) if row[f"median_{k}"]]
    medians, dispersions = zip(*((float(m), float(b)) for m, b in pairs), strict=True)
    return Lognormal(MEASURES[row["measure"]], medians, dispersions)


@cache
def hazus_buildings() -> Fragility:
    """Equivalent-PGA curves of the 36 Hazus building types at up to four code levels, as in "C1.L.HC" or "W1.PC"."""
    rows = [r for r in shipped("hazus_buildings.csv") if r["id"].startswith("LF.")]
    curves = {r["id"].removeprefix("LF."): _lognormal(r) for r in rows}
    collapse = {r["id"].removeprefix("LF."): float(r["last_shares"].split("|")[1]) for r in rows}
    return Fragility(HAZUS_STATES, curves, collapse, "Hazus 6.1")


@cache
def hazus_networks() -> Fragility:
    """Curves of bridges (HWB.GS.n), tunnels (HTU.GS.n), substations (EP.S...), distribution (EP.C) and plants (EP.G...)."""
    rows = [r for r in shipped("hazus_networks.csv") if r["measure"] in MEASURES]
    return Fragility(HAZUS_STATES, {r["id"]: _lognormal(r) for r in rows}, {}, "Hazus 5.1")


def retrofitted(curve: Curve, factor: float) -> Curve:
    """`curve` of a building that withstands `factor` times the shaking."""
    if isinstance(curve, Lognormal):
        return Lognormal(curve.measure, tuple(m * factor for m in curve.medians), curve.dispersions, curve.least, curve.most)
    return Tabulated(curve.measure, tuple(x * factor for x in curve.levels), curve.probabilities, curve.least * factor)


def measures_of(fragility: Fragility, names: Iterable[str]) -> tuple[str, ...]:
    """The intensity measures that the curves `names` ask for, in a fixed order. Raises InputError for one that none gives."""
    asked = {fragility[name].measure: name for name in names}
    for measure, name in asked.items():
        try:
            measure_name(measure)
        except InputError as error:
            words = f'the curve of "{name}" asks for {measure}, which the shaking does not give'
            raise InputError(words, fragility.source, error.hint) from None
    return tuple(sorted(asked))
