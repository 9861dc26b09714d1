"""What crews and drones report of single buildings, and what that says of the others, by Bayes.

A report gives the damage of one building. It is likely under strong shaking there and under a weak type. Both are uncertain
beforehand: the shaking by its event and within-event terms, correlated in space; the type by a shift that all buildings of
one class share (`TYPE_SPREAD`, in ln of capacity). The posterior of the sum of both at the reported buildings is found by
expectation propagation (Minka 2001; Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, section 3.6), with
each likelihood read off the curves of the building's class and integrated over a grid. Its outcome is handed on as what the
rest understands: a reported building is a felt report of shaking with a noise of its own (a station), a class is weaker or
stronger by a factor, the reported building's own state is known as well as the reporter is reliable.

Taken lightly: posterior correlation between shaking and type is dropped when the two are handed on, and the spread of types
is not taken out of the curves' own dispersion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from citytwin.hazards.earthquake.correlation import Decay
from citytwin.hazards.earthquake.fragility import HIGH, LOW, POINTS
from citytwin.hazards.earthquake.kernel_damage import STATES

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

TYPE_SPREAD = 0.25
"""Standard deviation of ln of the capacity of a class against its curves: an estimate."""

MOST = 600
"""Reports that the posterior is worked out from; of more, that many spread over all are taken."""

ROUNDS, SETTLED = 30, 1e-4
GRID = np.linspace(-4.0, 4.0, 161)


@dataclass(frozen=True)
class Reported:
    """What reports say: `observed` (ln of the measure) and its `noise` at each report; `shift` of ln of the demand by class.

    A class whose shift is 0.2 is damaged as if it were shaken 22 % more. used: which reports the posterior came from.
    """

    observed: F64
    noise: F64
    shift: dict[int, float]
    used: I64


def confusion(reliability: float) -> F64:
    """P(said | true) of six states, shape (6, 6): right with `reliability`, else any of the neighbouring states alike."""
    table = np.zeros((STATES + 1, STATES + 1))
    for true in range(STATES + 1):
        near = [s for s in (true - 1, true + 1) if 0 <= s <= STATES]
        table[true, true] = reliability
        table[near, true] = (1.0 - reliability) / len(near)
    return table


def likelihood(table: F32, curve: int, said: int, reliability: float) -> F64:
    """P(said | ln of the demand) on the axis of the tables."""
    reached = np.concatenate([np.ones((POINTS, 1)), table[curve, :, :STATES].astype(np.float64), np.zeros((POINTS, 1))], axis=1)
    inside: F64 = np.clip(reached[:, :-1] - reached[:, 1:], 0.0, 1.0)
    return np.asarray(inside @ confusion(reliability)[said], dtype=np.float64)


def state_given(table: F32, curve: int, said: int, reliability: float, mean: float, deviation: float) -> F64:
    """Posterior probability of the six states of a reported building whose ln demand is normal."""
    x = mean + deviation * GRID
    density = np.exp(-0.5 * GRID**2)
    axis = np.linspace(LOW, HIGH, POINTS)
    reached = np.array([np.interp(x, axis, table[curve, :, k]) for k in range(STATES)])
    whole = np.vstack([np.ones_like(x), reached, np.zeros_like(x)])
    inside = np.clip(whole[:-1] - whole[1:], 0.0, 1.0) @ density
    posterior = inside * confusion(reliability)[said]
    return np.asarray(posterior / posterior.sum() if posterior.sum() > 0 else confusion(reliability)[said], dtype=np.float64)


def prior(x: F64, y: F64, between: F64, within: F64, decay: Decay, curve: I64) -> F64:
    """Covariance of ln demand at the reported buildings: event term, within-event term, shift of the class."""
    place = np.column_stack([x, y])
    shaking = np.outer(between, between) + np.outer(within, within) * decay.at(cdist(place, place))
    same = (curve[:, None] == curve[None, :]).astype(np.float64)
    return np.asarray(shaking + TYPE_SPREAD**2 * same + 1e-6 * np.eye(len(x)), dtype=np.float64)


def _tilted(curve: F64, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of a normal times a likelihood on the tables' axis."""
    x = mean + np.sqrt(variance) * GRID
    weight = np.interp(x, np.linspace(LOW, HIGH, POINTS), curve) * np.exp(-0.5 * GRID**2)
    total = weight.sum()
    if not total > 1e-300:
        return mean, variance
    first = float((weight * x).sum() / total)
    return first, max(float((weight * (x - first) ** 2).sum() / total), 1e-6)


def posterior(mean: F64, covariance: F64, curves: list[F64]) -> tuple[F64, F64]:
    """Expectation propagation: the likelihoods as normals, their precisions and precision times mean, one a report.

    mean, covariance: prior of ln demand at n reports. curves: likelihood of each on the tables' axis.
    """
    n = len(mean)
    precision, pull = np.zeros(n), np.zeros(n)
    for _ in range(ROUNDS):
        now, spread = _joined(mean, covariance, precision, pull)
        worst = 0.0
        for i in range(n):
            left = 1.0 / spread[i] - precision[i]
            if left <= 1e-9:
                continue
            cavity = (now[i] / spread[i] - pull[i]) / left
            first, second = _tilted(curves[i], cavity, 1.0 / left)
            fresh = max(1.0 / second - left, 1e-6)
            worst = max(worst, abs(fresh - precision[i]) / (1.0 + precision[i]))
            fresh_pull = first / second - left * cavity
            precision[i], pull[i] = 0.5 * (precision[i] + fresh), 0.5 * (pull[i] + fresh_pull)
        if worst < SETTLED:
            break
    return precision, pull


def _joined(mean: F64, covariance: F64, precision: F64, pull: F64) -> tuple[F64, F64]:
    """Posterior mean and variances of ln demand, given the normals that stand for the likelihoods."""
    root = np.sqrt(precision)
    b = np.eye(len(mean)) + root[:, None] * covariance * root[None, :]
    factor = cho_factor(b, lower=True)
    gain = covariance * root[None, :]
    spread = np.diag(covariance) - np.einsum("ij,ji->i", gain, cho_solve(factor, gain.T))
    residual = pull - precision * mean
    correction = residual - root * cho_solve(factor, root * (covariance @ residual))
    return mean + covariance @ correction, np.maximum(spread, 1e-9)


def heed(
    median: F64, between: F64, within: F64, x: F64, y: F64, curve: I64, said: I64, reliability: F64, table: F32, decay: Decay
) -> Reported:
    """What reports of buildings say of the shaking there and of their classes.

    median, between, within: of ln of the measure at the reported buildings. curve: their class; said: state reported (0 ... 5);
    reliability: how likely a report is right. table: of all classes.
    """
    used = np.arange(len(said)) if len(said) <= MOST else np.unique(np.linspace(0, len(said) - 1, MOST).astype(np.int64))
    at = [np.asarray(a)[used] for a in (median, between, within, x, y)]
    covariance = prior(at[3], at[4], at[1], at[2], decay, curve[used])
    curves = [likelihood(table, int(curve[i]), int(said[i]), float(reliability[i])) for i in used]
    precision, pull = posterior(at[0], covariance, curves)
    root = np.sqrt(precision)
    factor = cho_factor(np.eye(len(used)) + root[:, None] * covariance * root[None, :], lower=True)
    residual = pull - precision * at[0]
    correction = residual - root * cho_solve(factor, root * (covariance @ residual))
    shift, left = {}, {}
    for c in np.unique(curve[used]):
        with_class = TYPE_SPREAD**2 * (curve[used] == c)
        shift[int(c)] = float(with_class @ correction)
        gain = root * with_class
        left[int(c)] = TYPE_SPREAD**2 - float(gain @ cho_solve(factor, gain))
    own = curve[used]
    observed = pull / precision - np.array([shift[int(c)] for c in own])
    noise = np.sqrt(1.0 / precision + np.maximum([left[int(c)] for c in own], 0.0))
    return Reported(observed, np.minimum(noise, 5.0), shift, used.astype(np.int64))


def shifted(table: F32, shift: dict[int, float]) -> F32:
    """The tables with the classes of `shift` read as if ln of the demand were larger by it."""
    step = (HIGH - LOW) / (POINTS - 1)
    out = table.copy()
    for row, amount in shift.items():
        at = np.clip(np.arange(POINTS) + amount / step, 0.0, POINTS - 1.001)
        left = at.astype(np.int64)
        right = (at - left).astype(np.float32)[:, None]
        out[row] = table[row, left] + right * (table[row, left + 1] - table[row, left])
    return out
