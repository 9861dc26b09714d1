"""Meeting: whom infectious people meet today in a way that would infect, and who of those is infected.

An infectious person has, over all places of a day, a Poisson number of contacts that would infect a fully susceptible person;
each is then dealt to a place and a person there and infects in proportion to that person's susceptibility. The chance to escape
is exp(-sum of rates), that of the location-based models (Ferguson et al. 2005, Nature 437, 209-214), at a cost that grows with
the infectious, not with the city.
"""
# ruff: noqa: I001 (the arrays are named in a few lines)
# mypy: disable-error-code="arg-type, return-value, assignment, no-any-return, operator, call-overload"
# (compiled code takes int and np.int64 for one)

from __future__ import annotations

import numpy as np
from numba import prange

from citytwin.hazards.epidemic.arrays import (
    BLOCK, CARE_HOME, CLASS, COMMUNITY, HOUSEHOLD, PARTS, TEAM, TRANSIT, Active, Drawn, Floats, Health, Law, Met, Mixing,
    Policy, Town,
)  # fmt: skip
from citytwin.hazards.epidemic.chance import EVENT, FIRST, GOLDEN, MEETING, SECOND, key_of, many, mixed, poisson, uniform
from citytwin.sim.jit import inlined, kernel, parallel


@inlined
def part_of(person: int) -> int:
    """The part that a person belongs to."""
    return (person >> BLOCK) % PARTS


@inlined
def susceptibility(day: int, person: int, variant: int, health: Health, law: Law) -> float:
    """How easily a person is infected with a variant today, relative to the most susceptible age; 0 for who cannot be."""
    if law.open[health.state[person]] == 0:
        return 0.0
    left = law.susceptibility[health.age_group[person]]
    if health.past[person] > 0:
        since = min(day - np.int64(health.day[person]), law.waning.shape[0] - 1)
        left *= 1.0 - law.cross[health.variant[person], variant] * law.waning[since]
    dose = health.dose[person]
    if dose > 0:
        since = min(day - np.int64(health.dose_day[person]), law.vaccine.shape[1] - 1)
        left *= 1.0 - law.vaccine[dose, since] * (1.0 - law.escape[variant])
    return float(left)


@inlined
def someone(zone: int, kind: int, u: float, town: Town, mixing: Mixing) -> int:
    """A person met by somebody of `zone` in the community (kind 0) or on the way (1); -1 where the zone met is empty."""
    zones = mixing.alias.shape[2]
    spot = u * zones
    column = min(int(spot), zones - 1)
    rest = spot - column
    limit = mixing.threshold[kind, zone, column]
    if rest < limit:
        share = rest / limit
        met = column
    else:
        share = (rest - limit) / (1.0 - limit)
        met = np.int64(mixing.alias[kind, zone, column])
    first, last = town.zone_start[met], town.zone_start[met + 1]
    if last <= first:
        return -1
    return min(first + int(share * (last - first)), last - 1)


@inlined
def rates_of(zone: int, layer: int, household_size: int, group_size: int, act: float, contacts: Floats, source: Floats,
             factor: Floats) -> tuple[float, float, float, float]:  # fmt: skip
    """Rates of a day at home, in class, team or care home, in the community and on the way."""
    home = contacts[HOUSEHOLD] * (household_size - 1.0) * source[HOUSEHOLD, zone]
    group, way = 0.0, 0.0
    if layer > 0:
        if group_size > 1:
            group = act * contacts[layer] * group_size / (group_size - 1.0) * source[layer, zone]
        if layer != CARE_HOME:
            way = act * contacts[TRANSIT] * factor[1, zone] * source[TRANSIT, zone]
    community = act * contacts[COMMUNITY] * factor[0, zone] * source[COMMUNITY, zone]
    return home, group, community, way


@inlined
def met_at_home(person: int, first: int, size: int, u: float) -> int:
    """Another member of the household, each as likely."""
    met = first + min(int(u * (size - 1)), size - 2)
    return met + 1 if met >= person else met


@inlined
def draw(part: int, slot: int, rates: tuple[float, float, float, float], key: np.uint64, active: Active, town: Town,
         mixing: Mixing) -> tuple[int, int]:  # fmt: skip
    """Target and layer of one contact: a person, or a place in `group_member`; -1 where there is nobody."""
    home, group, community, way = rates
    u = uniform(key) * (home + group + community + way)
    v = uniform(key + GOLDEN)
    if u < home:
        first, size = np.int64(active.household_first[part, slot]), np.int64(active.household_size[part, slot])
        return met_at_home(np.int64(active.person[part, slot]), first, size, v), HOUSEHOLD
    if u < home + group:
        size = np.int64(active.group_size[part, slot])
        return active.group_first[part, slot] + min(int(v * size), size - 1), np.int64(active.layer[part, slot])
    layer = COMMUNITY if u < home + group + community else TRANSIT
    return someone(np.int64(active.zone[part, slot]), layer - COMMUNITY, v, town, mixing), layer


@inlined
def happens(day: int, part: int, slot: int, other: int, layer: int, u: float, health: Health, active: Active,
            policy: Policy) -> bool:  # fmt: skip
    """Whether isolation and the measures where both live let a contact happen."""
    if layer == HOUSEHOLD:
        return True
    if other == active.person[part, slot] or health.home_until[other] >= day:
        return False
    if health.home_until[active.person[part, slot]] >= day:
        return False
    zone, there = np.int64(active.zone[part, slot]), np.int64(health.zone[other])
    left = policy.target[layer, there]
    if layer < COMMUNITY:
        return policy.open[active.group[part, slot]] > 0 and u < left
    if layer == TRANSIT and health.layer[other] != CLASS and health.layer[other] != TEAM:
        return False
    if there != zone:
        left *= (1.0 - policy.stay[zone]) * (1.0 - policy.stay[there])
    return bool(u < left)


@inlined
def keep(part: int, number: int, person: int, code: int, born: int, met: Met) -> int:
    """Note a contact that infects, if there is room; the number so far, counted on where there is none."""
    if number < met.person.shape[1] - 1:
        met.person[part, number] = person
        met.code[part, number] = code
        met.born[part, number] = born
    return number + 1


@kernel
def draw_part(day: int, seed: np.uint64, part: int, town: Town, active: Active, law: Law, policy: Policy, mixing: Mixing,
              contacts: Floats, drawn: Drawn) -> None:  # fmt: skip
    """The contacts of the infectious of one part; nobody met is looked at yet."""
    number = 0
    state, born, infectivity, person = active.state[part], active.born[part], active.infectivity[part], active.person[part]
    zone, layer, household, group = active.zone[part], active.layer[part], active.household_size[part], active.group_size[part]
    by_day, activity, source, factor = law.infectivity, law.activity, policy.source, mixing.factor
    last, room = by_day.shape[1] - 1, drawn.slot.shape[1]
    for slot in range(active.count[part]):
        strength = by_day[state[slot], min(day - np.int64(born[slot]), last)] * infectivity[slot]
        if strength <= 0:
            continue
        rates = rates_of(zone[slot], layer[slot], household[slot], group[slot], activity[state[slot]], contacts, source, factor)
        rate = strength * (rates[0] + rates[1] + rates[2] + rates[3])
        key = key_of(seed, person[slot], day, MEETING)
        u = uniform(key)
        if u <= 1.0 - rate:  # exp(-rate) is never smaller
            continue
        for n in range(poisson(rate, u)):
            key = mixed(key + np.uint64(n) + GOLDEN)
            target, kind = draw(part, slot, rates, key, active, town, mixing)
            if target >= 0:
                if number < room:
                    drawn.target[part, number], drawn.slot[part, number] = target, slot
                    drawn.layer[part, number], drawn.key[part, number] = kind, key
                number += 1
    drawn.count[part] = number


@kernel
def meet_part(day: int, part: int, town: Town, health: Health, active: Active, law: Law, policy: Policy, drawn: Drawn,
              met: Met) -> None:  # fmt: skip
    """Which of the contacts of one part infect. Three passes: who it is, whether they can be infected, whether they are."""
    met.count[part] = 0
    if drawn.count[part] > drawn.slot.shape[1]:
        return
    target, layers, slots, state = drawn.target[part], drawn.layer[part], drawn.slot[part], health.state
    for n in range(drawn.count[part]):
        if HOUSEHOLD < layers[n] < COMMUNITY:
            target[n] = town.group_member[target[n]]
    able = 0
    for n in range(drawn.count[part]):
        other, slot, layer, key = target[n], slots[n], layers[n], drawn.key[part, n]
        target[able], slots[able], layers[able], drawn.key[part, able] = other, slot, layer, key
        able += law.open[state[other]]
    number = 0
    for n in range(able):
        other, slot, layer, key = np.int64(target[n]), np.int64(slots[n]), np.int64(layers[n]), drawn.key[part, n]
        variant = np.int64(active.variant[part, slot])
        if happens(day, part, slot, other, layer, uniform(key ^ FIRST), health, active, policy) and (
            uniform(key ^ SECOND) < susceptibility(day, other, variant, health, law)
        ):
            number = keep(part, number, other, layer + 8 * variant, np.int64(active.born[part, slot]), met)
    met.count[part] = number


@parallel
def meet(day: int, seed: np.uint64, town: Town, health: Health, active: Active, law: Law, policy: Policy, mixing: Mixing,
         contacts: Floats, drawn: Drawn, met: Met) -> None:  # fmt: skip
    """Whom the infectious infect today: `met`; people do not change. Where a count exceeds its room, call again with more."""
    for part in prange(PARTS):
        draw_part(day, seed, part, town, active, law, policy, mixing, contacts, drawn)
        meet_part(day, part, town, health, active, law, policy, drawn, met)


@kernel
def expose(day: int, seed: np.uint64, pressure: Floats, by_age: Floats, code: int, town: Town, health: Health, law: Law,
           met: Met) -> None:  # fmt: skip
    """Add to `met` who is infected from outside today: `pressure` is the rate per person and day of each zone, times `by_age`.

    code: layer + 8 * variant. by_age is at most 1.
    """
    layer, variant = code % 8, code // 8
    for zone in range(len(pressure)):
        first, last = town.zone_start[zone], town.zone_start[zone + 1]
        rate = float(pressure[zone]) * (last - first)
        if rate <= 0:
            continue
        key = key_of(seed, zone + layer * 1_000_003, day, EVENT)
        for n in range(many(rate, key)):
            one = mixed(key + np.uint64(n) + GOLDEN)
            person = first + min(int(uniform(one) * (last - first)), last - first - 1)
            left = by_age[health.age_group[person]] * susceptibility(day, person, variant, health, law)
            if uniform(one + GOLDEN) < left:
                part = part_of(person)
                met.count[part] = keep(part, met.count[part], person, code, day, met)
