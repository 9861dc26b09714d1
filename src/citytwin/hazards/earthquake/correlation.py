"""How the residuals of shaking hang together: over distance, and between measures at one place.

A model of correlation is brought to one form, from which fields are drawn and stations heeded: the within-event residuals of
m measures are a mix of f latent unit fields, each with its own decay over distance, whose innovations are correlated.

* Coregionalisation (Loth and Baker; Markhvida): latent fields are independent, the mix carries what measures share.
* One decay a measure (Jayaram and Baker; Heresi and Miranda): latent fields are the measures themselves; driven by correlated
  innovations in the same order of places (the same causal filter), they keep each its own decay exactly, the whole is
  positive definite for every set of places, and the correlation at one place is that of the cross-period model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citytwin.errors import MissingError, nearest
from citytwin.hazards.earthquake.models import measure_name, period
from citytwin.hazards.earthquake.models.table import PGV, Table

Array = npt.NDArray[np.float64]
SHORTEST, LONGEST = 0.01, 10.0


@dataclass(frozen=True)
class Decay:
    """Correlation of a latent field at distance h (m): sum of share * exp(-(h / scale)^power). No shares: white noise."""

    shares: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    power: float = 1.0

    @property
    def white(self) -> bool:
        """Whether places have nothing in common."""
        return not self.shares

    def at(self, distance: npt.ArrayLike) -> Array:
        """Correlation at `distance` (m)."""
        h = np.asarray(distance, dtype=float)
        if self.white:
            return np.asarray(h == 0, dtype=float)
        return np.asarray(sum(s * np.exp(-((h / r) ** self.power)) for s, r in zip(self.shares, self.scales, strict=True)))


@dataclass(frozen=True)
class Correlation:
    """A model of correlation for some measures.

    decays: of f latent fields. innovation: float64[f, f], correlation of their innovations. mixing: float64[m, f], the
    within-event residuals (unit variance) are mixing @ latent. between: float64[m, m], correlation of the event terms.
    """

    name: str
    measures: tuple[str, ...]
    decays: tuple[Decay, ...]
    innovation: Array
    mixing: Array
    between: Array

    def rows(self, measures: Sequence[str]) -> list[int]:
        """Where `measures` stand in this model."""
        return [self.measures.index(m) for m in measures]


def stand_in(measure: str) -> float:
    """The period (s) that stands for `measure` in models of correlation: PGA 0.01 s, PGV 1 s (as OpenQuake takes them)."""
    seconds = period(measure)
    return 1.0 if seconds == PGV else float(np.clip(seconds, SHORTEST, LONGEST))


def baker_jayaram(one: float, other: float) -> float:
    """Correlation between two periods at one place (Baker and Jayaram 2008, Earthquake Spectra 24(1), 299-317, eqs 1 to 5)."""
    low, high = min(one, other), max(one, other)
    c1 = 1 - np.cos(np.pi / 2 - 0.366 * np.log(high / max(low, 0.109)))
    c2 = 0.0
    if high < 0.2:
        c2 = 1 - 0.105 * (1 - 1 / (1 + np.exp(100 * high - 5))) * ((high - low) / (high - 0.0099))
    c3 = c2 if high < 0.109 else c1
    c4 = c1 + 0.5 * (np.sqrt(c3) - c3) * (1 + np.cos(np.pi * low / 0.109))
    if high <= 0.109:
        return float(c2)
    if low > 0.109:
        return float(c1)
    return float(min(c2, c4) if high < 0.2 else c4)


def baker_cornell(one: float, other: float) -> float:
    """Correlation between two periods at one place (Baker and Cornell 2006, BSSA 96(1), 215-227, eq. 9)."""
    low, high = min(one, other), max(one, other)
    bend = 0.163 * np.log(low / 0.189) if low < 0.189 else 0.0
    return float(1 - np.cos(np.pi / 2 - (0.359 + bend) * np.log(high / low)))


def bradley(other: float) -> float:
    """Correlation of PGV with the spectrum at period `other` (Bradley 2012, Earthquake Spectra 28(1), 17-35); 0.01 is PGA."""
    if other <= SHORTEST:
        return 0.733
    bands = (
        (0.1, 0.73, 0.54, 0.045, 1.8),
        (0.75, 0.54, 0.81, 0.28, 1.5),
        (2.5, 0.80, 0.76, 1.1, 3.0),
        (99.0, 0.76, 0.70, 5.0, 3.2),
    )
    a, b, c, d = next(v for top, *v in bands if other < top)
    return float((a + b) / 2 - (a - b) / 2 * np.tanh(d * np.log(other / c)))


Pair = Callable[[str, str], float]


def at_one_place(one: str, other: str) -> float:
    """Correlation of the residuals of two measures at one place: Bradley 2012 with PGV, else Baker and Jayaram 2008."""
    if one == other:
        return 1.0
    if "PGV" in (one, other):
        return bradley(stand_in(other if one == "PGV" else one))
    return baker_jayaram(stand_in(one), stand_in(other))


def ratio_of_periods(one: str, other: str) -> float:
    """The shorter period over the longer: the made-up correlation of ShakeMap's verification cases."""
    a, b = stand_in(one), stand_in(other)
    return min(a, b) / max(a, b)


def _matrix(measures: Sequence[str], pair: Pair) -> Array:
    return _nearest_correlation(np.array([[pair(a, b) for b in measures] for a in measures]))


def _nearest_correlation(matrix: Array) -> Array:
    """`matrix` without negative eigenvalues, its diagonal brought back to one."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    mended = (vectors * np.maximum(values, 1e-9)) @ vectors.T
    scale = np.sqrt(np.diag(mended))
    return np.asarray(mended / np.outer(scale, scale))


def _root(matrix: Array) -> Array:
    """A with A @ A.T = `matrix`, which may be of lower rank; small negative eigenvalues count as none."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def jayaram_baker(measures: Sequence[str], clustered: bool = False) -> Correlation:
    """Jayaram and Baker 2009, Earthquake Eng. Struct. Dyn. 38, 1687-1708, eqs 17 to 20; `at_one_place`.

    clustered: Vs30 comes in clusters (case 2 of the paper), where short periods correlate further.
    """
    decays = []
    for measure in measures:
        t = 0.0 if period(measure) == 0 else stand_in(measure)
        short = 40.7 - 15.0 * t if clustered else 8.5 + 17.2 * t
        decays.append(Decay((1.0,), ((short if t < 1 else 22.0 + 3.7 * t) * 1000 / 3,)))
    return _one_decay_each("JB2009", measures, decays, at_one_place)


def heresi_miranda(measures: Sequence[str]) -> Correlation:
    """Heresi and Miranda 2019, Bull. Earthquake Eng. 17, 1747-1769: the median decay; between measures `at_one_place`."""
    decays = []
    for measure in measures:
        t = 0.0 if period(measure) == 0 else stand_in(measure)
        beta = 4.231 * t**2 - 5.180 * t + 13.392 if t < 1.37 else 0.140 * t**2 - 2.249 * t + 17.050
        decays.append(Decay((1.0,), (beta * 1000,), 0.55))
    return _one_decay_each("HM2018", measures, decays, at_one_place)


def exponential(measures: Sequence[str], scale: float = 10_000.0, pair: Pair = ratio_of_periods) -> Correlation:
    """Exp(-h / scale) for all measures, `pair` between periods: with its defaults that of ShakeMap's verification cases."""
    return _one_decay_each("exponential", measures, [Decay((1.0,), (scale,))] * len(measures), pair)


def independent(measures: Sequence[str]) -> Correlation:
    """Nothing in common between places; between measures `at_one_place`."""
    return _one_decay_each("none", measures, [Decay()] * len(measures), at_one_place)


def _one_decay_each(name: str, measures: Sequence[str], decays: Sequence[Decay], pair: Pair) -> Correlation:
    names = tuple(measure_name(m) for m in measures)
    cross = _matrix(names, pair)
    innovation = _nearest_correlation(np.clip(cross / _shared(decays), -1, 1))
    return Correlation(name, names, tuple(decays), innovation, np.eye(len(names)), cross)


def _shared(decays: Sequence[Decay]) -> Array:
    """What fields of `decays` share at one place when driven by the same innovations, float64[f, f].

    Found on 400 made places; 1 for equal decays. Innovations are made that much closer, so that the fields' correlation at
    one place is the one wanted.
    """
    shared = np.ones((len(decays), len(decays)))
    if len(set(decays)) == 1:
        return shared
    golden = np.arange(400)
    reach = max((max(d.scales) for d in decays if not d.white), default=1.0)
    x, y = (reach * 3 * ((golden * step) % 1) for step in (0.7548776662466927, 0.5698402909980532))
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    roots = [np.linalg.cholesky(d.at(distance) + 1e-9 * np.eye(400)) for d in decays]
    for i, one in enumerate(roots):
        for j, other in enumerate(roots):
            shared[i, j] = 1.0 if i == j else float(np.mean(np.sum(one * other, axis=1)[100:]))
    return shared


_LB_PERIODS = np.array([0.01, 0.1, 0.2, 0.5, 1, 2, 5, 7.5, 10])
_LB_SHORT = [
    [0.29],
    [0.25, 0.30],
    [0.23, 0.20, 0.27],
    [0.23, 0.16, 0.18, 0.31],
    [0.18, 0.10, 0.10, 0.22, 0.33],
    [0.10, 0.04, 0.03, 0.14, 0.24, 0.33],
    [0.06, 0.03, 0.00, 0.08, 0.16, 0.26, 0.37],
    [0.06, 0.04, 0.01, 0.07, 0.13, 0.21, 0.30, 0.28],
    [0.06, 0.05, 0.02, 0.07, 0.12, 0.19, 0.26, 0.24, 0.23],
]
_LB_LONG = [
    [0.47],
    [0.40, 0.42],
    [0.43, 0.37, 0.45],
    [0.35, 0.25, 0.36, 0.42],
    [0.27, 0.15, 0.26, 0.37, 0.48],
    [0.15, 0.03, 0.15, 0.29, 0.41, 0.55],
    [0.13, 0.04, 0.09, 0.20, 0.26, 0.37, 0.51],
    [0.09, 0.00, 0.05, 0.16, 0.21, 0.33, 0.49, 0.62],
    [0.12, 0.03, 0.08, 0.16, 0.21, 0.32, 0.49, 0.60, 0.68],
]
_LB_NUGGET = [
    [0.24],
    [0.22, 0.28],
    [0.21, 0.20, 0.28],
    [0.09, 0.04, 0.05, 0.26],
    [-0.02, -0.05, -0.06, 0.14, 0.20],
    [0.01, 0.00, 0.00, 0.05, 0.07, 0.12],
    [0.03, 0.01, 0.04, 0.05, 0.05, 0.08, 0.12],
    [0.02, 0.01, 0.03, 0.05, 0.05, 0.07, 0.10, 0.10],
    [0.01, -0.01, 0.01, 0.04, 0.05, 0.06, 0.08, 0.09, 0.09],
]
"""Tables of the model, symmetric: their lower halves."""


def _between_periods(rows: Sequence[Sequence[float]], measures: Sequence[str]) -> Array:
    """A table over pairs of periods, given by its lower half, drawn linearly between its periods for `measures`."""
    half = np.array([[*row, *[0.0] * (len(rows) - len(row))] for row in rows])
    table, periods = half + np.tril(half, -1).T, [stand_in(m) for m in measures]
    share = np.array([[np.interp(t, _LB_PERIODS, unit) for unit in np.eye(len(_LB_PERIODS))] for t in periods])
    return np.asarray(share @ table @ share.T)


def loth_baker(measures: Sequence[str]) -> Correlation:
    """Loth and Baker 2013, Earthquake Eng. Struct. Dyn. 42, 397-417, with the tables of its erratum (2020, 49, 1303-1304)."""
    names = tuple(measure_name(m) for m in measures)
    parts = [_between_periods(rows, names) for rows in (_LB_SHORT, _LB_LONG, _LB_NUGGET)]
    scale = np.sqrt(np.diag(sum(parts)))  # between the table's periods the variances fall short of one
    short, long, nugget = (p / np.outer(scale, scale) for p in parts)
    near, far = 20_000 / 3, 70_000 / 3
    if len(names) == 1:  # one measure: one field with both decays, and its nugget
        smooth = float(short[0, 0] + long[0, 0])
        both = Decay((float(short[0, 0]) / smooth, float(long[0, 0]) / smooth), (near, far))
        return _coregionalised("LB2013", names, (both, Decay()), np.sqrt([[smooth, float(nugget[0, 0])]]))
    decays = (*[Decay((1.0,), (near,))] * len(names), *[Decay((1.0,), (far,))] * len(names), *[Decay()] * len(names))
    return _coregionalised("LB2013", names, decays, np.hstack([_root(short), _root(long), _root(nugget)]))


_PC_NESTED = (
    (2.5, 4.52, 15.0, 6.78, 250.0),
    (0.5, 1.4, 10.0, 2.6, 160.0),
    (0.15, 0.42, 15.0, 0.63, 160.0),
    (0.15, 0.225, 10.0, 0.225, 120.0),
)
_PC_NUGGET = (
    *(0.31432, 0.19075, 0.13785, 0.11128, 0.0965, 0.07174, 0.06482, 0.05408),
    *(0.05119, 0.04332, 0.0414, 0.03466, 0.0188, 0.00286, 0.00036),
)


def markhvida(measures: Sequence[str]) -> Correlation:
    """Markhvida, Ceferino and Baker 2018, Earthquake Eng. Struct. Dyn. 47, 1804-1818: all 19 principal components.

    The first four have nested exponential variograms with a nugget, the others are white. Loadings are drawn linearly in log
    period (0.01 to 5 s) and brought to unit variance.
    """
    names = tuple(measure_name(m) for m in measures)
    table = Table.read("markhvida18")
    at, periods = [np.log(stand_in(m)) for m in names], np.log(table.periods)
    loadings = np.array([np.interp(at, periods, table.columns[f"pc{k + 1}"]) for k in range(19)]).T
    nugget = np.array([*[n[0] for n in _PC_NESTED], *_PC_NUGGET])
    smooth = np.array([n[1] + n[3] for n in _PC_NESTED])
    white = _root((loadings * nugget) @ loadings.T)
    mixing = np.hstack([loadings[:, :4] * np.sqrt(smooth), white])
    mixing /= np.sqrt((mixing**2).sum(axis=1, keepdims=True))
    nested = [
        Decay((near / (near + far), far / (near + far)), (a1 * 1000 / 3, a2 * 1000 / 3)) for _, near, a1, far, a2 in _PC_NESTED
    ]
    return _coregionalised("M2018", names, (*nested, *[Decay()] * len(names)), mixing)


def _coregionalised(name: str, measures: tuple[str, ...], decays: tuple[Decay, ...], mixing: Array) -> Correlation:
    return Correlation(name, measures, decays, np.eye(len(decays)), mixing, _nearest_correlation(mixing @ mixing.T))


MODELS: dict[str, Callable[[Sequence[str]], Correlation]] = {
    "JB2009": jayaram_baker,
    "JB2009 clustered": lambda measures: jayaram_baker(measures, clustered=True),
    "HM2018": heresi_miranda,
    "LB2013": loth_baker,
    "M2018": markhvida,
    "none": independent,
}
"""Models of correlation by name."""


def correlation(name: str, measures: Sequence[str]) -> Correlation:
    """The model of correlation called `name` for `measures`. Raises MissingError for a name that there is not."""
    plain = {k.replace(" ", "").lower(): made for k, made in MODELS.items()}
    found = plain.get(name.replace(" ", "").replace("_", "").lower())
    if found is None:
        raise MissingError(f'no model of spatial correlation "{name}"', hint=nearest(name, MODELS))
    return found(measures)
