"""Infection: who was met is put on the list of the infected, part by part: the same bits on any number of threads."""
# mypy: disable-error-code="arg-type, return-value, assignment, no-any-return, operator, call-overload"
# (compiled code takes int and np.int64 for one)

from __future__ import annotations

import numpy as np
from numba import prange

from citytwin.hazards.epidemic.arrays import NO_BED, PARTS, SURROUNDINGS, Active, Health, Law, Met, Tally, Town
from citytwin.hazards.epidemic.chance import COURSE, FIRST, key_of, uniform
from citytwin.hazards.epidemic.meeting import part_of
from citytwin.hazards.epidemic.progression import risk_of, turn_to
from citytwin.sim.jit import inlined, kernel, parallel


@inlined
def infect(day: int, seed: np.uint64, part: int, person: int, variant: int, town: Town, health: Health, active: Active,
           law: Law) -> None:  # fmt: skip
    """Put a newly infected person on the list of its part."""
    slot = active.count[part]
    group, age = health.group[person], np.int64(health.age_group[person])
    health.past[person] = min(np.int64(health.past[person]) + 1, 255)
    health.state[person] = law.first
    health.day[person] = day
    health.variant[person] = variant
    key = key_of(seed, person, day, COURSE)
    following, days = turn_to(law, law.first, age, risk_of(law, health, person, variant, day), key)
    active.person[part, slot] = person
    active.due[part, slot] = min(day + days, 65535)
    active.born[part, slot] = day
    active.state[part, slot] = law.first
    active.following[part, slot] = following
    active.variant[part, slot] = variant
    active.age_group[part, slot] = age
    quantile = int(uniform(key ^ FIRST) * law.spread.shape[0])
    active.infectivity[part, slot] = law.spread[quantile] * law.infectivity_by_age[age] * law.variant_infectivity[variant]
    active.household_first[part, slot] = health.household_first[person]
    active.household_size[part, slot] = health.household_size[person]
    active.group[part, slot] = group
    if group >= 0:
        active.group_first[part, slot] = town.group_start[group]
        active.group_size[part, slot] = town.group_start[group + 1] - town.group_start[group]
    else:
        active.group_size[part, slot] = 0
    active.layer[part, slot] = health.layer[person]
    active.zone[part, slot] = health.zone[person]
    active.bed[part, slot] = NO_BED
    active.count[part] = slot + 1


@inlined
def catch_one(day: int, seed: np.uint64, part: int, source: int, number: int, town: Town, health: Health, active: Active,
              law: Law, met: Met, tally: Tally) -> None:  # fmt: skip
    """Infect the person of one contact and count it."""
    person = met.person[source, number]
    old = np.int64(health.state[person])
    code = np.int64(met.code[source, number])
    layer, variant = code % 8, code // 8
    infect(day, seed, part, person, variant, town, health, active, law)
    zone, age = health.zone[person], health.age_group[person]
    tally.flow[part, zone, old] -= 1
    tally.flow[part, zone, law.first] += 1
    tally.new[part, zone] += 1
    tally.place[part, layer, age] += 1
    tally.entered[part, law.first, age] += 1
    tally.variants[part, variant] += 1
    if layer < SURROUNDINGS:
        tally.offspring[part, np.int64(met.born[source, number])] += 1


@kernel
def catch_part(day: int, seed: np.uint64, part: int, town: Town, health: Health, active: Active, law: Law, met: Met,
               tally: Tally) -> None:  # fmt: skip
    """Infect who was met of one part. As in `turn_part`, a first pass over each list warms the cache."""
    state, able = health.state, law.open
    for source in range(PARTS):
        persons = met.person[source]
        warm = 0
        for number in range(met.count[source]):
            if part_of(persons[number]) == part:
                warm += state[persons[number]]
        met.born[part, -1] = warm & 1  # the last place stays free for this: it keeps the compiler from dropping the pass
        for number in range(met.count[source]):
            person = persons[number]
            if part_of(person) == part and able[state[person]] > 0:
                catch_one(day, seed, part, source, number, town, health, active, law, met, tally)


@parallel
def catch(day: int, seed: np.uint64, town: Town, health: Health, active: Active, law: Law, met: Met, tally: Tally) -> None:
    """Infect who was met; of several contacts of one person the first by part counts. The lists must have room."""
    for part in prange(PARTS):
        catch_part(day, seed, part, town, health, active, law, met, tally)
