"""How many contacts a day in which kind of place, and the contact matrix by age that follows from the city's people.

Contacts a day that can transmit, by place, are those of Mistry et al. (2021, Nat. Commun. 12:323): 4.11 in a household, 11.41
in a school, 8.07 at work, 2.79 in the community; of the last, what POLYMOD (Mossong et al. 2008, PLoS Med. 5:e74) has on the
way: 5.5 of 42.5 % of contacts that are neither at home, work nor school. Care homes have those of work: assumed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from citytwin.hazards.epidemic.arrays import AGE_GROUPS, CARE_HOME, CLASS, COMMUNITY, HOUSEHOLD, TEAM, TRANSIT, Law, Mixing
from citytwin.hazards.epidemic.disease import Disease, by_age
from citytwin.hazards.epidemic.law import infectious_days, susceptible_most
from citytwin.hazards.epidemic.people import People

Numbers = npt.NDArray[np.float64]

ON_THE_WAY = 2.79 * 0.055 / 0.425
USUAL = {
    "household": 4.11,
    "class": 11.41,
    "team": 8.07,
    "care_home": 8.07,
    "community": 2.79 - ON_THE_WAY,
    "transit": ON_THE_WAY,
}
"""Contacts a day by place: at home on average over people who share a household, on the way over people who travel."""

PLACES = {
    "household": HOUSEHOLD,
    "class": CLASS,
    "team": TEAM,
    "care_home": CARE_HOME,
    "community": COMMUNITY,
    "transit": TRANSIT,
}


def rates(people: People, weights: dict[str, float], a_day: dict[str, float] | None = None) -> Numbers:
    """Contact rates (6) by layer, times the disease's weight of that place; at home per other member.

    a_day: contacts a day by place, instead of `USUAL`. People share households with so many others that their mean is as said.
    """
    said = USUAL | (a_day or {})
    out = np.zeros(6)
    for name, layer in PLACES.items():
        out[layer] = said[name] * weights.get(name, 1.0)
    size = np.diff(people.town.household_start).astype(float)
    others = float((size * (size - 1)).sum() / max(size[size > 1].sum(), 1.0))
    out[HOUSEHOLD] = out[HOUSEHOLD] / others if others > 0 else 0.0
    going = people.layer
    travellers = float(np.isin(going, (CLASS, TEAM)).mean())
    out[TRANSIT] = out[TRANSIT] / travellers if travellers > 0 else 0.0
    return out


def matrix(people: People, layer_rates: Numbers, mixing: Mixing, activity: float = 1.0) -> Numbers:
    """Mean contacts a day of a person of group a (rows) with people of group b, by layer: (6, 18, 18)."""
    town = people.town
    counts = np.maximum(np.bincount(town.age_group, minlength=AGE_GROUPS), 1).astype(float)
    out = np.zeros((6, AGE_GROUPS, AGE_GROUPS))
    out[HOUSEHOLD] = layer_rates[HOUSEHOLD] * _pairs(people.household, town.age_group, np.ones(len(town.household_start) - 1))
    member = np.flatnonzero(town.group >= 0)
    size = np.diff(town.group_start).astype(float)
    for layer in (CLASS, TEAM, CARE_HOME):
        who = member[town.group_layer[town.group[member]] == layer] if len(member) else member
        each = np.divide(layer_rates[layer], size - 1, out=np.zeros_like(size), where=size > 1)
        out[layer] = activity * _pairs(town.group[who], town.age_group[who], each)
    living, travelling = _by_zone(people)
    together = _weights(mixing, 0)
    out[COMMUNITY] = activity * layer_rates[COMMUNITY] * _between(living, living, together)
    out[TRANSIT] = activity * layer_rates[TRANSIT] * _between(travelling, living, _weights(mixing, 1), travelling)
    return np.asarray(out / counts[:, None])


def _pairs(group: npt.NDArray[np.integer], age: npt.NDArray[np.uint8], each: Numbers) -> Numbers:
    """Sum over groups of each x (members of a) x (other members of b)."""
    if not len(group):
        return np.zeros((AGE_GROUPS, AGE_GROUPS))
    from scipy import sparse

    weight = np.ones(len(group))
    table = sparse.csr_matrix((weight, (group.astype(np.int64), age.astype(np.int64))), shape=(len(each), AGE_GROUPS))
    scaled = sparse.diags_array(each) @ table
    both = np.asarray((table.T @ scaled).todense(), dtype=float)
    alone = np.asarray(scaled.sum(axis=0)).ravel()
    return np.asarray(both - np.diag(alone))


def _by_zone(people: People) -> tuple[Numbers, Numbers]:
    town = people.town
    cell = people.zone * AGE_GROUPS + town.age_group
    size = people.zones * AGE_GROUPS
    going = np.isin(people.layer, (CLASS, TEAM))
    both = [np.bincount(cell, minlength=size), np.bincount(cell[going], minlength=size)]
    living, travelling = (b.reshape(people.zones, AGE_GROUPS).astype(float) for b in both)
    return living, travelling


def _weights(mixing: Mixing, kind: int) -> Numbers:
    """The zone-to-zone weights (Z, Z) that an alias table stands for, times its factor."""
    zones = mixing.alias.shape[2]
    out = mixing.threshold[kind].astype(float) / zones
    rest = (1 - mixing.threshold[kind].astype(float)) / zones
    row = np.repeat(np.arange(zones), zones)
    np.add.at(out, (row, mixing.alias[kind].reshape(-1)), rest.reshape(-1))
    return np.asarray(out * mixing.factor[kind][:, None].astype(float))


def _between(source: Numbers, living: Numbers, weight: Numbers, target: Numbers | None = None) -> Numbers:
    """Contacts between ages when people of zones meet by `weight` uniformly among those who live there."""
    there = living if target is None else target
    share = there / np.maximum(living.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(source.T @ weight @ share)


def next_generation(disease: Disease, law: Law, contacts: Numbers) -> Numbers:
    """Infections of group b by one infected of group a over its course, per unit transmission (18, 18).

    contacts: (6, 18, 18) from `matrix` with full activity; activity of ill people is in `infectious_days`.
    """
    days = infectious_days(law)
    home, away = contacts[HOUSEHOLD], contacts[CLASS:].sum(axis=0)
    infectivity = by_age(disease.spread.infectivity)
    susceptible = by_age(disease.spread.susceptibility)
    return np.asarray(infectivity[:, None] * (days[:, :1] * home + days[:, 1:] * away) * susceptible[None, :])


def transmission(disease: Disease, law: Law, contacts: Numbers) -> float:
    """Infections per contact with a person of susceptibility 1 at infectivity 1, as declared or as r0 asks.

    r0 is the dominant eigenvalue of the next-generation matrix (Diekmann, Heesterbeek and Metz 1990, J. Math. Biol. 28, 365).
    0 for a disease that does not spread.
    """  # fmt: skip
    if disease.spread.per_contact is not None:
        return disease.spread.per_contact
    if not disease.spread.r0:
        return 0.0
    largest = float(np.abs(np.linalg.eigvals(next_generation(disease, law, contacts))).max())
    return disease.spread.r0 / largest if largest > 0 else 0.0


def effective(layer_rates: Numbers, disease: Disease, per_contact: float) -> npt.NDArray[np.float32]:
    """The kernels' rates (6): contacts that would infect a person of the most susceptible age."""
    return (layer_rates * per_contact * susceptible_most(disease)).astype(np.float32)
