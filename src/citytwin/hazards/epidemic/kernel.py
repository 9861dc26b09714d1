"""The day of an epidemic: who changes state, whom infectious people meet, who is infected.

Only people on their way through the disease are visited. An infectious person has, over all places of a day, a Poisson number
of contacts that would infect a fully susceptible person; each is then dealt to a place and a person there and infects in
proportion to that person's susceptibility. The chance to escape is exp(-sum of rates), that of the location-based models
(Ferguson et al. 2005, Nature 437, 209-214), at a cost that grows with the infectious, not with the city.

Random numbers are a hash (splitmix64: Steele, Lea and Flood 2014, OOPSLA, 453-472) of seed, person, day and purpose. A person's
fate is written by one part only, parts are merged in order: the same bits on any number of threads.
"""
# ruff: noqa: I001 (the arrays are named in a few lines)
# mypy: disable-error-code="arg-type, return-value, assignment, no-any-return, operator, call-overload"
# (compiled code takes int and np.int64 for one)

from __future__ import annotations

import math

import numpy as np
from numba import prange

from citytwin.hazards.epidemic.arrays import (
    BLOCK, CARE_HOME, CLASS, COMMUNITY, HOUSEHOLD, NO_BED, OVERFLOW, PARTS, SURROUNDINGS, TEAM, TRANSIT, Active,
    Drawn, Events, Floats, Health, Law, Longs, Met, Mixing, Policy, Tally, Town,
)  # fmt: skip
from citytwin.sim.jit import inlined, kernel, parallel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S11, S32, S8 = (np.uint64(n) for n in (27, 30, 31, 11, 32, 8))
UNIT = 2.0**-53
COURSE, MEETING, EVENT, BED = 1, 2, 3, 4
"""Purposes of random numbers."""
MOST = 10_000
"""Contacts a day at which a person's number is cut: beyond any disease."""


@inlined
def mixed(z: np.uint64) -> np.uint64:
    """The finalizer of splitmix64."""
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@inlined
def key_of(seed: np.uint64, person: int, day: int, purpose: int) -> np.uint64:
    """Where the random numbers of a person begin on a day, for a purpose."""
    return mixed(mixed(seed + np.uint64(person) * GOLDEN) ^ ((np.uint64(day) << S8) + np.uint64(purpose)))


@inlined
def uniform(key: np.uint64) -> float:
    """A number of [0, 1) from a key; add GOLDEN to the key for the next."""
    return float(mixed(key) >> S11) * UNIT


@inlined
def part_of(person: int) -> int:
    """The part that a person belongs to."""
    return (person >> BLOCK) % PARTS


@inlined
def risk_of(law: Law, health: Health, person: int, variant: int, day: int) -> float:
    """Factor on the probability of severe illness, by variant, earlier infections and vaccine."""
    risk = law.variant_severity[variant]
    if health.past[person] > 1:
        risk *= law.past_severe[1]
    dose = health.dose[person]
    if dose > 0:
        risk *= law.vaccine_severe[dose, min(day - np.int64(health.dose_day[person]), law.vaccine_severe.shape[1] - 1)]
    return float(risk)


@inlined
def turn_to(law: Law, state: int, group: int, risk: float, key: np.uint64) -> tuple[int, int]:
    """The state that follows and after how many days, at least one."""
    u = uniform(key)
    last = np.int64(law.successors[state]) - 1
    chosen = last
    total = 0.0
    for k in range(last):
        share = law.share[state, k, group]
        if law.severe[state, k] == 1:
            share = min(1.0, share * risk)
        total += share
        if u < total:
            chosen = k
            break
    quantiles = law.quantile.shape[2]
    days = law.quantile[state, chosen, int(uniform(key + GOLDEN) * quantiles)]
    whole = int(days + uniform(key + GOLDEN + GOLDEN))
    return np.int64(law.follows[state, chosen]), max(whole, 1)


@inlined
def moved(active: Active, part: int, begin: int, end: int) -> None:
    """Copy a slot of a part to another."""
    active.person[part, end] = active.person[part, begin]
    active.due[part, end] = active.due[part, begin]
    active.born[part, end] = active.born[part, begin]
    active.state[part, end] = active.state[part, begin]
    active.following[part, end] = active.following[part, begin]
    active.variant[part, end] = active.variant[part, begin]
    active.age_group[part, end] = active.age_group[part, begin]
    active.infectivity[part, end] = active.infectivity[part, begin]
    active.household_first[part, end] = active.household_first[part, begin]
    active.household_size[part, end] = active.household_size[part, begin]
    active.group[part, end] = active.group[part, begin]
    active.group_first[part, end] = active.group_first[part, begin]
    active.group_size[part, end] = active.group_size[part, begin]
    active.layer[part, end] = active.layer[part, begin]
    active.zone[part, end] = active.zone[part, begin]
    active.bed[part, end] = active.bed[part, begin]


@inlined
def change(day: int, seed: np.uint64, part: int, slot: int, health: Health, active: Active, law: Law, events: Events,
           tally: Tally) -> bool:  # fmt: skip
    """Bring the person of a slot to the next state; whether the course goes on."""
    person = active.person[part, slot]
    old, new = np.int64(active.state[part, slot]), np.int64(active.following[part, slot])
    group, zone, bed = np.int64(active.age_group[part, slot]), active.zone[part, slot], np.int64(active.bed[part, slot])
    health.state[person] = new
    tally.flow[part, zone, old] -= 1
    tally.flow[part, zone, new] += 1
    tally.entered[part, new, group] += 1
    if bed not in (NO_BED, OVERFLOW) and law.bed[new] != law.bed[old]:
        events.freed[part, bed - 1, np.int64(law.bed[old]) - 1] += 1
    if law.bed[new] != law.bed[old]:
        active.bed[part, slot] = NO_BED
        if law.bed[new] > 0:
            events.bed_slot[part, events.bed_count[part]] = slot
            events.bed_count[part] += 1
    if law.symptoms[new] > law.symptoms[old]:
        events.onset[part, events.onset_count[part]] = person
        events.onset_count[part] += 1
    if law.successors[new] == 0:
        health.day[person] = day
        return False
    risk = risk_of(law, health, person, np.int64(active.variant[part, slot]), day)
    following, days = turn_to(law, new, group, risk, key_of(seed, person, day, COURSE))
    active.state[part, slot] = new
    active.following[part, slot] = following
    active.due[part, slot] = min(day + days, 65535)
    return True


@kernel
def turn_part(day: int, seed: np.uint64, part: int, health: Health, active: Active, law: Law, events: Events,
              tally: Tally) -> None:  # fmt: skip
    """The day's changes of one part. Who leaves is replaced by the last, who is then looked at in turn.

    A first pass reads what the second will need: reads that do not wait for each other overlap.
    """
    events.bed_count[part] = 0
    events.onset_count[part] = 0
    due, person, state = active.due[part], active.person[part], health.state
    warm = 0
    for slot in range(active.count[part]):
        if due[slot] <= day:
            warm += state[person[slot]]
    events.touched[part] = warm
    left = active.count[part]
    slot = 0
    while slot < left:
        if due[slot] > day or change(day, seed, part, slot, health, active, law, events, tally):
            slot += 1
        else:
            left -= 1
            if slot < left:
                moved(active, part, left, slot)
    active.count[part] = left


@parallel
def turn(day: int, seed: np.uint64, health: Health, active: Active, law: Law, events: Events, tally: Tally) -> None:
    """The day's changes of state; who has ended the course leaves the list."""
    for part in prange(PARTS):
        turn_part(day, seed, part, health, active, law, events, tally)


@kernel
def give_beds(day: int, seed: np.uint64, active: Active, law: Law, events: Events, room: Longs, order: Longs) -> int:
    """Beds for who needs one: in the nearest hospital with room (`order`, zones x hospitals), else none; how many got none.

    room: free beds (hospitals, 2) of ward and intensive care, changed here. Who gets none may die of it.
    """
    turned_away = 0
    for part in range(PARTS):
        for e in range(events.bed_count[part]):
            slot = events.bed_slot[part, e]
            state = np.int64(active.state[part, slot])
            kind = np.int64(law.bed[state]) - 1
            zone = active.zone[part, slot]
            found = False
            for rank in range(order.shape[1]):
                hospital = order[zone, rank]
                if room[hospital, kind] > 0:
                    room[hospital, kind] -= 1
                    active.bed[part, slot] = hospital + 1
                    found = True
                    break
            if not found:
                turned_away += 1
                active.bed[part, slot] = OVERFLOW
                if uniform(key_of(seed, active.person[part, slot], day, BED)) < law.without_bed[state]:
                    active.following[part, slot] = law.dead
    return turned_away


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
def poisson(rate: float, u: float) -> int:
    """A Poisson number by inversion of `u`."""
    term = math.exp(-rate)
    total = term
    number = 0
    while u >= total and number < MOST and term > 0.0:
        number += 1
        term *= rate / number
        total += term
    return number


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
        for n in range(_many(rate, key)):
            one = mixed(key + np.uint64(n) + GOLDEN)
            person = first + min(int(uniform(one) * (last - first)), last - first - 1)
            left = by_age[health.age_group[person]] * susceptibility(day, person, variant, health, law)
            if uniform(one + GOLDEN) < left:
                part = part_of(person)
                met.count[part] = keep(part, met.count[part], person, code, day, met)


@inlined
def _many(rate: float, key: np.uint64) -> int:
    """A Poisson number of any rate, as a sum of ones of at most 30."""
    number = 0
    left = rate
    while left > 0:
        key = mixed(key + GOLDEN)
        step = min(left, 30.0)
        number += poisson(step, uniform(key))
        left -= step
    return number


@inlined
def send_home(person: int, day: int, until: int, health: Health, days: Longs) -> None:
    """Keep a person at home until a day; the days that this adds are counted by what they would do (layer of the day)."""
    before = max(np.int64(health.home_until[person]), day)
    if until > before:
        days[health.layer[person]] += until - before
        health.home_until[person] = until


@kernel
def stay_home(seed: np.uint64, day: int, until: int, purpose: int, share: float, persons: Longs, health: Health) -> Longs:
    """Send persons home until a day, each with probability `share`; days at home added, by layer (4)."""
    days = np.zeros(4, np.int64)
    for person in persons:
        if uniform(key_of(seed, person, day, purpose)) < share:
            send_home(person, day, until, health, days)
    return days


@kernel
def trace(seed: np.uint64, day: int, until: int, purpose: int, shares: tuple[float, float, int], persons: Longs, town: Town,
          health: Health) -> tuple[int, Longs]:  # fmt: skip
    """Quarantine household, class and team members of confirmed `persons`: notices sent, days at home added by layer (4).

    shares: probability to reach and keep home a household member, a member of class, team or care home; and most notices.
    Who is met is known by membership, not by each contact.
    """
    days = np.zeros(4, np.int64)
    notices = 0
    at_home, in_group, most = shares
    for person in persons:
        home, group = np.int64(health.household_first[person]), np.int64(health.group[person])
        for other in range(home, home + np.int64(health.household_size[person])):
            if notices < most and other != person and uniform(key_of(seed, other, day, purpose)) < at_home:
                send_home(other, day, until, health, days)
                notices += 1
        if group >= 0 and in_group > 0:
            for k in range(town.group_start[group], town.group_start[group + 1]):
                other = np.int64(town.group_member[k])
                if notices < most and other != person and uniform(key_of(seed, other, day, purpose)) < in_group:
                    send_home(other, day, until, health, days)
                    notices += 1
    return notices, days


__all__ = ["catch", "expose", "give_beds", "meet", "stay_home", "trace", "turn"]
