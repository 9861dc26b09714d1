"""What stations tell about the event and about the places around them (Engler, Worden, Thompson and Jaiswal 2022, BSSA 112(4)).

Observations y at stations are median + between * H + within * W + noise. H (event terms by measure) and the latent fields
behind W at the stations' places are jointly normal, so their distribution given y is exact linear algebra; places elsewhere
follow from the latent fields by kriging. For one measure these are equations 12 to 14, 19 and 20 of the paper; for several,
those of its appendix B with the covariance of correlation.py, which is positive definite for any set of places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.spatial.distance import cdist

from citytwin.errors import InputError
from citytwin.hazards.earthquake.correlation import Correlation, Decay, correlation
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.hazards.earthquake.stations import Stations

Array = npt.NDArray[np.float64]
LEAST_NOISE = 1e-5
"""Added to an exact observation (ln), so that stations a few metres apart leave the equations solvable."""
MOST_STATIONS = 4000
"""Places of stations times latent fields up to which the equations are solved at once."""


@dataclass(frozen=True)
class Known:
    """What is known given the stations.

    model: the correlation, for the measures wanted and those observed. x, y: float64[s], the stations' places, each once.
    mean, covariance: of the event terms (m of them) and then of each latent field at the s places.
    roots: of each latent field, the Cholesky root of its correlation among the places.
    """

    model: Correlation
    x: Array
    y: Array
    mean: Array
    covariance: Array
    roots: tuple[Array, ...]

    @property
    def events(self) -> int:
        """Number of event terms: one a measure."""
        return len(self.model.measures)

    def event(self, measure: str) -> tuple[float, float]:
        """Mean and standard deviation of a measure's event term (in units of its between-event deviation)."""
        row = self.model.measures.index(measure)
        return float(self.mean[row]), float(np.sqrt(max(self.covariance[row, row], 0)))

    def root(self) -> Array:
        """A matrix whose product with its own transpose is the covariance."""
        small = 1e-9 * np.eye(len(self.mean))
        try:
            return np.asarray(np.linalg.cholesky(self.covariance + small))
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(self.covariance)
            return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))

    def latent(self, number: int) -> slice:
        """Where latent field `number` stands in mean and covariance."""
        places = len(self.x)
        return slice(self.events + number * places, self.events + (number + 1) * places)


def model_for(shaking: Shaking, stations: Stations | None, wanted: str | Correlation) -> Correlation:
    """The correlation model for all measures wanted and observed."""
    observed = stations.expected.measures if stations is not None else ()
    names = tuple(dict.fromkeys((*shaking.measures, *observed)))
    if isinstance(wanted, str):
        return correlation(wanted, names)
    missing = [n for n in names if n not in wanted.measures]
    if missing:
        raise InputError(f"the correlation model has no {missing[0]}", hint=f"it has {', '.join(wanted.measures)}")
    return wanted


def given(stations: Stations, model: Correlation) -> Known:
    """The event terms and the latent fields at the stations, given what these observed.

    Rough observations are put together by cells where there are too many to solve for at once.
    """
    x, y, roots, seen = _seen(stations.thinned(MOST_STATIONS // len(model.decays)), model)
    prior = _prior(model, roots)
    carried = seen.design @ prior
    factor = cho_factor(carried @ seen.design.T + np.diag(seen.noise), lower=True)
    gain = cho_solve(factor, carried)
    covariance = prior - carried.T @ gain
    return Known(model, x, y, gain.T @ seen.residual, (covariance + covariance.T) / 2, roots)


@dataclass(frozen=True)
class LeftOut:
    """Each observation told from all the others: error and standard deviation of ln, float64[p].

    of: for each, the number of the measure observed and the rows of the stations at its place.
    """

    of: list[tuple[int, npt.NDArray[np.int64]]]
    error: Array
    deviation: Array


def left_out(stations: Stations, wanted: str | Correlation = "JB2009") -> LeftOut:
    """How well the other stations tell each observation: leave-one-out of a normal distribution, in closed form.

    With the inverse K of the observations' covariance the error is (K r) / diag(K), its variance 1 / diag(K) (Dubrule 1983,
    Math. Geology 15(6)).
    """
    model = model_for(stations.expected, None, wanted)
    _, _, roots, seen = _seen(stations, model)
    covariance = seen.design @ _prior(model, roots) @ seen.design.T + np.diag(seen.noise)
    inverse = cho_solve(cho_factor(covariance, lower=True), np.eye(len(seen.noise)))
    own = np.diag(inverse)
    return LeftOut(seen.of, inverse @ seen.residual / own, 1 / np.sqrt(own))


def trusted(stations: Stations, wanted: str | Correlation = "JB2009", limit: float = 4.0) -> tuple[Stations, list[str]]:
    """The stations without observations that the others contradict, and a line for each left out.

    The one furthest off, in standard deviations of what all others tell, goes first; then all is told anew, until none is
    further off than `limit`. Two stations that support one another stay. At most a fifth goes.
    """
    observed, said = stations.observed.copy(), []
    for _ in range(max(int(np.isfinite(observed).sum()) // 5, 1)):
        told = left_out(Stations(stations.expected, observed, stations.noise, stations.names), wanted)
        off = np.abs(told.error) / told.deviation
        worst = int(np.argmax(off))
        if len(off) < 3 or off[worst] <= limit:
            break
        measure, rows = told.of[worst]
        observed[measure, rows] = np.nan
        names = ", ".join(str(stations.names[r]) for r in rows) if len(stations.names) else f"row {rows[0]}"
        said.append(f"{names}: {stations.expected.measures[measure]} is {off[worst]:.1f} standard deviations off, left out")
    return Stations(stations.expected, observed, stations.noise, stations.names), said


def merged(x: Array, y: Array) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Places with those within a centimetre of one another counted once, and the one that each belongs to."""
    column, row = (np.rint(v * 100).astype(np.int64) for v in (x, y))
    if len(column):
        column, row = column - column.min(), row - row.min()
        column = column * (row.max() + 1) + row
    _, first, which = np.unique(column, return_index=True, return_inverse=True)
    return x[first], y[first], which.reshape(-1).astype(np.int64)


def _prior(model: Correlation, roots: tuple[Array, ...]) -> Array:
    """Covariance of the event terms and the latent fields at the stations."""
    events, places = len(model.measures), len(roots[0])
    prior = np.zeros((events + len(roots) * places,) * 2)
    prior[:events, :events] = model.between
    for i, one in enumerate(roots):
        for j, other in enumerate(roots):
            if model.innovation[i, j] != 0:
                rows, columns = (slice(events + k * places, events + (k + 1) * places) for k in (i, j))
                prior[rows, columns] = model.innovation[i, j] * (one @ other.T)
    return prior


@dataclass(frozen=True)
class _Seen:
    """Observation equation: design float64[p, unknowns], observed less median and variance of the noise float64[p]."""

    design: Array
    residual: Array
    noise: Array
    of: list[tuple[int, npt.NDArray[np.int64]]]


def _seen(stations: Stations, model: Correlation) -> tuple[Array, Array, tuple[Array, ...], _Seen]:
    """Places of the stations, each once; roots of the latent fields' correlation among them; the observation equation."""
    x, y, place = merged(stations.expected.x, stations.expected.y)
    if len(x) * len(model.decays) > MOST_STATIONS:
        raise InputError(
            f"{len(x)} places of stations with {len(model.decays)} fields are too many",
            hint=f"allowed: {MOST_STATIONS} together; leave out far stations, or ask for fewer measures",
        )
    distance = cdist(np.column_stack([x, y]), np.column_stack([x, y]))
    small = 1e-10 * np.eye(len(x))
    cache: dict[Decay, Array] = {}
    for decay in set(model.decays):
        cache[decay] = np.asarray(np.linalg.cholesky(np.eye(len(x)) if decay.white else decay.at(distance) + small))
    return x, y, tuple(cache[d] for d in model.decays), _observations(stations, model, place, len(x))


def _observations(stations: Stations, model: Correlation, place: npt.NDArray[np.int64], places: int) -> _Seen:
    events = len(model.measures)
    design, residual, noise, of = [], [], [], []
    for o, measure in enumerate(stations.expected.measures):
        row = model.measures.index(measure)
        there = np.flatnonzero(np.isfinite(stations.observed[o]) & np.isfinite(stations.expected.median[o]))
        for p in np.unique(place[there]):
            same = there[place[there] == p]
            variance = np.maximum(stations.noise[o, same], LEAST_NOISE) ** 2
            share = (1 / variance) / (1 / variance).sum()  # several at one place: their mean by precision
            line = np.zeros(events + len(model.decays) * places)
            line[row] = share @ stations.expected.between[o, same]
            line[events + p :: places] = model.mixing[row] * (share @ stations.expected.within[o, same])
            design.append(line)
            residual.append(share @ (stations.observed[o, same] - stations.expected.median[o, same]))
            noise.append(1 / (1 / variance).sum())
            of.append((o, same))
    if not design:
        raise InputError("the stations have no observation of any measure that the models give")
    return _Seen(np.array(design), np.array(residual), np.array(noise), of)


@dataclass(frozen=True)
class Conditioned:
    """Shaking at n places once stations are heeded: mean and deviation of ln, float64[m, n]."""

    measures: tuple[str, ...]
    mean: Array
    deviation: Array
    known: Known


def conditioned(shaking: Shaking, stations: Stations, wanted: str | Correlation = "JB2009", chunk: int = 4096) -> Conditioned:
    """Mean and standard deviation of ln of the measures at the places of `shaking`, given the stations; exact, by kriging."""
    model = model_for(shaking, stations, wanted)
    known = given(stations, model)
    m, n = shaking.median.shape
    mean, deviation = np.empty((m, n)), np.empty((m, n))
    for first in range(0, n, chunk):
        part = slice(first, min(first + chunk, n))
        weight, left = _kriging(known, shaking.x[part], shaking.y[part])
        for row, measure in enumerate(shaking.measures):
            mix = model.mixing[model.measures.index(measure)]
            carrier = _carrier(known, measure, shaking.between[row, part], shaking.within[row, part], mix, weight)
            mean[row, part] = shaking.median[row, part] + carrier @ known.mean
            own = np.einsum("f,fn,fg,g,gn->n", mix, left, model.innovation, mix, left, optimize=True)
            variance = np.einsum("nk,nk->n", carrier @ known.covariance, carrier) + shaking.within[row, part] ** 2 * own
            deviation[row, part] = np.sqrt(np.maximum(variance, 0))
    return Conditioned(shaking.measures, mean, deviation, known)


def _kriging(known: Known, x: Array, y: Array) -> tuple[list[Array], Array]:
    """Of each latent field: weights of the stations' places, float64[n, s], and what is left to chance, float64[f, n]."""
    distance = cdist(np.column_stack([x, y]), np.column_stack([known.x, known.y]))
    distance[distance < 0.02] = 0.0
    cache = {}
    for decay, root in zip(known.model.decays, known.roots, strict=True):
        if decay not in cache:
            close = decay.at(distance)
            half = solve_triangular(root, close.T, lower=True)
            weight = solve_triangular(root, half, lower=True, trans="T").T
            cache[decay] = (weight, np.sqrt(np.maximum(1 - (half**2).sum(axis=0), 0)))
    return [cache[d][0] for d in known.model.decays], np.array([cache[d][1] for d in known.model.decays])


def _carrier(known: Known, measure: str, between: Array, within: Array, mix: Array, weight: list[Array]) -> Array:
    """How what is known at the stations enters a measure at n places, float64[n, unknowns]."""
    carrier = np.zeros((len(between), len(known.mean)))
    carrier[:, known.model.measures.index(measure)] = between
    for f, share in enumerate(mix):
        if share != 0:
            carrier[:, known.latent(f)] = (within * share)[:, None] * weight[f]
    return carrier
