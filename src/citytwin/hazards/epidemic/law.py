"""From a declared disease to the tables that the kernels look up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from citytwin.hazards.epidemic.arrays import AGE_GROUPS, Law
from citytwin.hazards.epidemic.disease import DAY, SUSCEPTIBLE, Disease, by_age

QUANTILES = 512
SINCE = 366
"""Days since infection or recovery that tables tell apart; later is as on the last."""

BEDS = {"none": 0, "ward": 1, "intensive": 2}
Numbers = npt.NDArray[np.float64]


def law_of(disease: Disease) -> Law:
    """The tables of `disease`; states are numbered in the order of its declaration."""
    names = list(disease.states)
    states = list(disease.states.values())
    count, most = len(names), max(1, max(len(disease.ways(n)) for n in names))
    successors, follows = np.zeros(count, np.uint8), np.zeros((count, most), np.uint8)
    share = np.zeros((count, most, AGE_GROUPS), np.float32)
    severe, quantile = np.zeros((count, most), np.uint8), np.zeros((count, most, QUANTILES), np.float32)
    for s, name in enumerate(names):
        ways = disease.ways(name)
        successors[s] = len(ways)
        for k, way in enumerate(ways):
            follows[s, k] = names.index(way.to)
            share[s, k] = 0.0 if way.probability is None else by_age(way.probability)
            severe[s, k] = way.severe
            quantile[s, k] = way.after.quantiles(QUANTILES)
    dead = [n for n, state in enumerate(states) if state.dead]
    vaccine, vaccine_severe = _vaccine(disease)
    return Law(
        first=names.index(disease.infected), dead=dead[0] if dead else names.index(disease.infected), successors=successors,
        follows=follows, share=share, severe=severe, quantile=quantile,
        open=np.array([n == SUSCEPTIBLE or s.immune for n, s in disease.states.items()], np.uint8),
        infectivity=_infectivity(disease), activity=np.array([s.activity for s in states], np.float32),
        symptoms=np.array([s.symptoms for s in states], np.uint8), bed=np.array([BEDS[s.bed] for s in states], np.uint8),
        without_bed=np.array([s.without_bed for s in states], np.float32),
        susceptibility=(by_age(disease.spread.susceptibility) / susceptible_most(disease)).astype(np.float32),
        infectivity_by_age=by_age(disease.spread.infectivity).astype(np.float32), spread=_spread(disease.spread.dispersion),
        variant_infectivity=np.array([1.0, *(v.infectivity for v in disease.variants.values())], np.float32),
        variant_severity=np.array([1.0, *(v.severity for v in disease.variants.values())], np.float32),
        cross=_cross(disease), waning=_waning(disease.immunity.half_life, disease.immunity.lasting),
        past_severe=np.array([1.0, disease.immunity.severe], np.float32), vaccine=vaccine, vaccine_severe=vaccine_severe,
        escape=np.array([0.0, *(v.vaccine_escape for v in disease.variants.values())], np.float32),
    )  # fmt: skip


def susceptible_most(disease: Disease) -> float:
    """The susceptibility of the most susceptible age, by which tables are scaled (and contacts scaled back)."""
    return float(max(by_age(disease.spread.susceptibility).max(), 1e-12))


def _infectivity(disease: Disease) -> npt.NDArray[np.float32]:
    state = np.array([s.infectivity for s in disease.states.values()])
    profile = np.ones(SINCE)
    if disease.spread.profile:
        days = np.minimum(np.arange(SINCE), len(disease.spread.profile) - 1)
        profile = np.asarray(disease.spread.profile, dtype=float)[days]
    return np.asarray(state[:, None] * profile, dtype=np.float32)


def _spread(dispersion: float | None) -> npt.NDArray[np.float32]:
    """Quantiles of the gamma distribution with mean 1 and shape k (Lloyd-Smith et al. 2005, Nature 438, 355-359)."""
    if dispersion is None:
        return np.ones(1, np.float32)
    from scipy import stats

    u = (np.arange(4096) + 0.5) / 4096
    values = stats.gamma.ppf(u, dispersion, scale=1 / dispersion)
    return np.asarray(values / values.mean(), dtype=np.float32)


def _waning(half_life: float | None, lasting: float) -> npt.NDArray[np.float32]:
    if half_life is None:
        return np.ones(SINCE, np.float32)
    fading = np.exp2(-np.arange(SINCE) / (half_life / DAY))
    return np.asarray(lasting + (1 - lasting) * fading, dtype=np.float32)


def _cross(disease: Disease) -> npt.NDArray[np.float32]:
    """Protection by an infection with one variant against another: a newer one escapes older immunity, not the other way."""
    escape = np.array([0.0, *(v.escape for v in disease.variants.values())])
    before, after = np.indices((len(escape), len(escape)))
    left = np.where(after > before, 1 - escape[after], 1.0)
    return np.asarray(disease.immunity.protection * left, dtype=np.float32)


def _vaccine(disease: Disease) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    if disease.vaccine is None:
        return np.zeros((1, SINCE), np.float32), np.ones((1, SINCE), np.float32)
    said = disease.vaccine
    doses = max(len(said.infection), len(said.severe))
    infection, severe = np.zeros((doses + 1, SINCE)), np.ones((doses + 1, SINCE))
    days = np.arange(SINCE, dtype=float)
    full = max(said.after / DAY, 1e-9)
    fading = np.ones(SINCE) if said.half_life is None else np.exp2(-np.maximum(days - full, 0) / (said.half_life / DAY))
    for dose in range(1, doses + 1):
        now, then = said.infection[min(dose, len(said.infection)) - 1], said.severe[min(dose, len(said.severe)) - 1]
        before = said.infection[dose - 2] if dose > 1 else 0.0, said.severe[dose - 2] if dose > 1 else 0.0
        rise = np.minimum(days / full, 1.0)
        infection[dose] = (before[0] + (now - before[0]) * rise) * fading
        severe[dose] = 1 - (before[1] + (then - before[1]) * rise)
    return infection.astype(np.float32), severe.astype(np.float32)


def infectious_days(law: Law) -> Numbers:
    """Expected infectivity by age group over a course, per unit of contact: sum over days of infectivity and activity (A, 2).

    The first column counts contacts at home, the second those outside, which activity lowers. By enumeration of the tables,
    day by day, exactly as the kernel plays them: infection on day 0, changes before meeting.
    """
    states, days = law.infectivity.shape
    horizon = min(days, 200)
    inside = np.zeros((AGE_GROUPS, 2))
    for group in range(AGE_GROUPS):
        alive = np.zeros((states, horizon + 1))
        alive[law.first, 0] = 1.0  # by day of entry
        for day in range(horizon):
            for s in range(states):
                entered = alive[s, day]
                if entered < 1e-12 or law.successors[s] == 0:
                    continue
                _pass_on(law, s, group, day, entered, alive, inside[group])
    return inside


def _pass_on(law: Law, s: int, group: int, day: int, entered: float, alive: Numbers, inside: Numbers) -> None:
    rest = 1.0
    count = int(law.successors[s])
    for k in range(count):
        share = float(law.share[s, k, group]) if k < count - 1 else rest
        share = min(share, rest)
        rest -= share
        if share <= 0:
            continue
        stays = staying(law, s, k)
        last = min(len(stays), alive.shape[1] - day - 1)
        left = entered * share * np.concatenate([[1.0], 1 - np.cumsum(stays)])[:last]
        weight = law.infectivity[s, day : day + last].astype(float)
        weight[: 1 if day == 0 else 0] = 0.0  # nobody infects on the day of infection
        inside[0] += float(left @ weight)
        inside[1] += float(left @ weight) * float(law.activity[s])
        alive[law.follows[s, k], day + 1 : day + 1 + last] += entered * share * stays[:last]


def staying(law: Law, s: int, k: int) -> Numbers:
    """Probability to stay exactly 1, 2, ... days in state s before its change k, with the kernel's rounding."""
    days = law.quantile[s, k].astype(float)
    low = np.floor(days).astype(int)
    up = days - low
    size = int(low.max()) + 2
    chance = np.bincount(np.maximum(low, 1), weights=1 - up, minlength=size + 1)
    chance = chance + np.bincount(np.maximum(low + 1, 1), weights=up, minlength=size + 1)
    return np.asarray(chance[1:] / len(days))
