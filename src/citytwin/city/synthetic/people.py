"""Inhabitants of a made city: ages and household sizes as a census counts them, families that could be, homes for all.

Ages: Germany, single years spread from the 18 groups of `Germany_country_level_age_distribution_18.csv` of Mistry et al.,
Inferring high-resolution human mixing patterns for disease modeling, Nature Communications 12:323 (2021), Apache-2.0.
Household sizes: Germany 2018, Federal Statistical Office (microcensus): 42, 34, 12, 9 and 3 % of one ... five and more people.
How households are put together from them (parents' age gap, who lives with whom) is a rule of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citytwin.city.synthetic.buildings import Buildings
from citytwin.city.synthetic.plan import Floats, Plan, Whole

AGE_GROUPS = (3408478, 3767660, 3958181, 4697618, 4854360, 4937127, 4742261, 6067789, 7171681, 6689434, 5776310, 5265835,
              4253476, 5323421, 4202488, 3030733, 1823908, 1897448)  # fmt: skip
SIZES = {1: 0.42, 2: 0.34, 3: 0.12, 4: 0.09, 5: 0.021, 6: 0.006, 7: 0.003}  # the source ends at 5 and more: 3 % spread by us
GROWN_UP = 18
PER_HOUSEHOLD = sum(size * share for size, share in SIZES.items())
FLAT = 95.0  # m2 of a block of flats for each home in it, stairs and walls included, a rule
VACANT = 0.03  # share of homes that stand empty, a rule


@dataclass
class People:
    """Persons ordered by household: `household`, `age`, `female`; and households: `size`, `building`."""

    household: Whole
    age: Whole
    female: npt.NDArray[np.bool_]
    size: Whole
    building: Whole

    @property
    def home(self) -> Whole:
        """Building of each person."""
        return self.building[self.household]


def whole_parts(weight: Floats, total: int) -> Whole:
    """`total` shared out by `weight` in whole parts that add up, by largest remainder."""
    weight = np.asarray(weight, dtype=float)
    weight = weight if weight.sum() > 0 else np.ones(len(weight))
    exact = weight / weight.sum() * total
    parts: Whole = np.floor(exact).astype(np.int64)
    rest = int(total - parts.sum())
    if rest > 0:
        parts[np.argsort(-(exact - parts), kind="stable")[:rest]] += 1
    return parts


def ages_of(people: int) -> Whole:
    """How many people there are of each age 0 ... 99, as whole numbers that add up to `people`."""
    single = np.repeat(np.array(AGE_GROUPS[:-1]) / 5.0, 5)
    oldest = 0.83 ** np.arange(15)
    return whole_parts(np.concatenate([single, oldest / oldest.sum() * AGE_GROUPS[-1]]), people)


def sizes_of(people: int) -> Whole:
    """Sizes of households that together have `people` members."""
    counts = whole_parts(np.array(list(SIZES.values())), max(1, int(people / PER_HOUSEHOLD)))
    sizes = np.repeat(np.array(list(SIZES)), counts)
    rest = people - int(sizes.sum())
    while rest < 0:  # a handful at most, from rounding
        row = int(np.argmax(sizes))
        sizes[row] -= 1
        sizes, rest = sizes[sizes > 0], people - int(sizes[sizes > 0].sum())
    return np.concatenate([sizes, np.ones(rest, dtype=np.int64)]).astype(np.int64)


def make_people(plan: Plan, buildings: Buildings) -> tuple[People, Whole]:
    """People with ages in households in homes; and the number of homes of each building."""
    rng = plan.stream("people")
    size = rng.permutation(sizes_of(plan.people))
    age = np.repeat(np.arange(100), ages_of(plan.people))
    household, ages, female, with_parents = families(size, age, rng)
    homes = _homes(buildings, len(size))
    building = _housed(size, with_parents, homes, buildings, rng)
    order = np.argsort(building, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    moved = np.argsort(rank[household], kind="stable")
    return People(rank[household][moved], ages[moved], female[moved], size[order], building[order]), homes


def families(
    size: Whole, age: Whole, rng: np.random.Generator
) -> tuple[Whole, Whole, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Members of households, one for each of the (sorted) ages: household, age, female; and which households have children.

    size: of each household, adding up to the number of ages. Persons come out ordered by household.
    """
    children = _children(size, age, rng)
    household = np.repeat(np.arange(len(size)), size)
    slot = np.arange(len(household)) - np.repeat(np.cumsum(size) - size, size)
    is_child = slot >= (size - children)[household]
    ages, with_parents = _settle_ages(age, size, children, household, slot, is_child, rng)
    female = rng.uniform(0, 1, len(ages)) < 0.487 + 0.14 * np.clip((ages - 50) / 40, 0, 1)
    second = (slot == 1) & ~is_child & (rng.uniform(0, 1, len(ages)) < 0.96)
    female[second] = ~female[np.flatnonzero(second) - 1]
    return household, ages, female, with_parents


def _children(size: Whole, age: Whole, rng: np.random.Generator) -> Whole:
    """How many members of each household live there as a child (of any age up to 24)."""
    minors = int((age < GROWN_UP).sum())
    young = int(((age >= GROWN_UP) & (age < 25)).sum())
    want = np.where(size >= 3, size - 2, 0)
    lone = (size == 3) & (rng.uniform(0, 1, len(size)) < 0.12)
    pair = (size == 2) & (rng.uniform(0, 1, len(size)) < 0.13)
    want = want + lone + pair
    total = int(np.clip(want.sum(), minors, minors + round(0.75 * young)))
    total = min(total, int((size - 1).sum()))
    if want.sum() > total:
        spare = rng.permutation(np.repeat(np.arange(len(size)), want))[: int(want.sum()) - total]
        want = want - np.bincount(spare, minlength=len(size))
    elif want.sum() < total:
        room = rng.permutation(np.repeat(np.arange(len(size)), size - 1 - want))[: total - int(want.sum())]
        want = want + np.bincount(room, minlength=len(size))
    return np.asarray(want)


def _settle_ages(
    age: Whole, size: Whole, children: Whole, household: Whole, slot: Whole, is_child: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[Whole, npt.NDArray[np.bool_]]:  # fmt: skip
    """An age for each member: children of a household near each other, parents about thirty years older, partners alike."""
    count = int(is_child.sum())
    minors = np.flatnonzero(age < GROWN_UP)
    older = rng.permutation(np.flatnonzero((age >= GROWN_UP) & (age < 25)))
    chosen = np.sort(np.concatenate([minors, older])[:count])
    rest = np.setdiff1d(np.arange(len(age)), chosen)
    ages = np.zeros(len(household), dtype=np.int64)
    base = rng.uniform(0, 22, len(size))
    key = base[household] + rng.normal(0, 2.4, len(household))
    rows = np.flatnonzero(is_child)
    ages[rows[np.argsort(key[rows], kind="stable")]] = age[chosen]
    eldest = np.zeros(len(size), dtype=np.int64)
    np.maximum.at(eldest, household[rows], ages[rows])
    parent = ~is_child & (slot < 2) & (children > 0)[household]
    wish = (eldest + np.clip(rng.normal(30.5, 4.6, len(size)), 17, 46))[household] + rng.normal(0, 1.6, len(household))
    adults = age[rest]
    fit = np.exp(-(((adults - 42.0) / 9.5) ** 2) / 2) + 1e-9
    picked = np.zeros(len(rest), dtype=bool)
    picked[np.argsort(-(np.log(fit) + rng.gumbel(size=len(rest))), kind="stable")[: int(parent.sum())]] = True
    rows = np.flatnonzero(parent)
    ages[rows[np.argsort(wish[rows], kind="stable")]] = np.sort(adults[picked])
    other = np.flatnonzero(~is_child & ~parent)
    alone = (size == 1)[household[other]]
    life = np.where(alone, rng.beta(0.85, 0.8, len(size))[household[other]], rng.beta(1.25, 1.15, len(size))[household[other]])
    wish_other = life + rng.normal(0, 0.02, len(other))
    ages[other[np.argsort(wish_other, kind="stable")]] = np.sort(adults[~picked])
    return ages, children > 0


def homes_at_usual_size(buildings: Buildings) -> float:
    """How many homes there would be if each house were one and each flat of a usual size."""
    flats = buildings.use == "apartments"
    return float((buildings.use == "house").sum() + buildings.floor_area[flats].sum() / FLAT)


def _homes(buildings: Buildings, households: int) -> Whole:
    """Number of homes in each building: one in a house, and flats by floor area, as many in all as the city needs."""
    house, flats = buildings.use == "house", buildings.use == "apartments"
    need = int(np.ceil(households * (1 + VACANT)))
    homes: Whole = house.astype(np.int64)
    weight = np.where(flats, buildings.floor_area, 0.0)
    missing = max(need - int(homes.sum()), int(weight.sum() / (1.7 * FLAT)))
    if missing > weight.sum() / (0.6 * FLAT):  # more than fit: some houses have two homes
        weight = np.where(house, buildings.floor_area, weight)
    if missing > 0:
        at_least = np.minimum(flats, 1) if missing > flats.sum() else np.zeros(len(homes), dtype=np.int64)
        homes += at_least + whole_parts(weight, missing - int(at_least.sum()))
    return homes


def _housed(size: Whole, family: npt.NDArray[np.bool_], homes: Whole, buildings: Buildings, rng: np.random.Generator) -> Whole:
    """The building of each household; families rather in houses."""
    slots = rng.permutation(np.repeat(np.arange(len(homes)), homes))[: len(size)]
    house = (buildings.use == "house")[slots]
    order = np.argsort(-(house + rng.normal(0, 0.55, len(slots))), kind="stable")
    wish = np.argsort(-(0.8 * family + 0.15 * size + rng.normal(0, 0.5, len(size))), kind="stable")
    building = np.empty(len(size), dtype=np.int64)
    building[wish] = slots[order]
    return building
