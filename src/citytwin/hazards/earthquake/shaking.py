"""Median and uncertainty of shaking at places: ground-motion models weighted in a logic tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError
from citytwin.hazards.earthquake.distances import Distances, from_rupture
from citytwin.hazards.earthquake.models import Setting, measure_name, model
from citytwin.hazards.earthquake.source import Rupture, ToMetres

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shaking:
    """What an earthquake's shaking is believed to be at n places.

    measures: names of m measures, as in PGA (g), PGV (cm/s), SA(0.3) (g). median: float64[m, n], ln of the measure.
    between, within: float64[m, n], standard deviations of ln between events (tau) and within one (phi).
    x, y: float64[n], metres in the city's coordinates.
    """

    measures: tuple[str, ...]
    median: Array
    between: Array
    within: Array
    x: Array
    y: Array

    def __post_init__(self) -> None:
        shape = (len(self.measures), len(self.x))
        for name in ("median", "between", "within"):
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} has shape {getattr(self, name).shape}, not {shape}")

    @property
    def total(self) -> Array:
        """Standard deviation of ln, float64[m, n]."""
        return np.hypot(self.between, self.within)

    def at(self, rows: npt.ArrayLike) -> Shaking:
        """The same at some of the places: indices or a mask of them."""
        some = np.asarray(rows)
        parts = (self.median[:, some], self.between[:, some], self.within[:, some], self.x[some], self.y[some])
        return Shaking(self.measures, *parts)


def shaking(
    setting: Setting, tree: Mapping[str, float], measures: Sequence[str], x: npt.ArrayLike, y: npt.ArrayLike
) -> Shaking:
    """The shaking of `measures` at the places of `setting` by the weighted models of `tree` (name -> weight).

    The mean of ln is the weighted mean; within-event variance is the weighted mean of the models'; between-event variance is
    the weighted mean of the models' plus the weighted variance of their means: what the models disagree on moves all
    places together, as an event term does (as ShakeMap combines its models: Worden et al. 2020, ShakeMap manual, 3.3).
    """
    weights = _weights(tree)
    names = tuple(measure_name(m) for m in measures)
    motions = [model(n).motions(names, setting) for n in weights]
    share = np.array(list(weights.values()))[:, None]
    median, between, within = (np.empty((len(names), setting.size)) for _ in range(3))
    for i in range(len(names)):
        mean = np.array([m[i].mean for m in motions])
        median[i] = (share * mean).sum(axis=0)
        epistemic = (share * (mean - median[i]) ** 2).sum(axis=0)
        between[i] = np.sqrt((share * np.array([m[i].between for m in motions]) ** 2).sum(axis=0) + epistemic)
        within[i] = np.sqrt((share * np.array([m[i].within for m in motions]) ** 2).sum(axis=0))
    return Shaking(names, median, between, within, np.asarray(x, dtype=float), np.asarray(y, dtype=float))


def setting_of(rupture: Rupture, distances: Distances, vs30: npt.ArrayLike, measured: npt.ArrayLike = 0.0) -> Setting:
    """What models are told about a rupture and places with `vs30` (m/s), `measured` (1) or inferred (0)."""
    return Setting(
        rupture.magnitude, rupture.rake, rupture.dip, rupture.top_depth, rupture.width, rupture.hypocentre[2],
        distances.rrup, distances.rjb, distances.rx, distances.ry0, distances.repi, distances.rhypo,
        np.asarray(vs30, dtype=float), np.asarray(measured, dtype=float),
    )  # fmt: skip


def shaking_of(
    rupture: Rupture,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    to_metres: ToMetres,
    vs30: npt.ArrayLike,
    tree: Mapping[str, float],
    measures: Sequence[str],
) -> Shaking:
    """The shaking that `rupture` brings to places x, y (m, as `to_metres` gives them) with `vs30` (m/s)."""
    setting = setting_of(rupture, from_rupture(rupture, x, y, to_metres), vs30)
    return shaking(setting, tree, measures, x, y)


def warnings_of(setting: Setting, tree: Mapping[str, float]) -> list[str]:
    """A line for each limit of a model of `tree` that the setting leaves."""
    return [line for name in tree for line in model(name).warnings(setting)]


def _weights(tree: Mapping[str, float]) -> dict[str, float]:
    """`tree` with weights that sum to one."""
    total = float(sum(tree.values()))
    if not tree or total <= 0 or min(tree.values()) < 0:
        raise InputError(
            f"weights of ground-motion models are {dict(tree)}", hint="allowed: numbers above 0, as in BSSA14: 0.5"
        )
    return {name: weight / total for name, weight in tree.items()}
