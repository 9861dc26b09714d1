"""Progression: who of the infected changes state today, and who gets a bed.

Only people on their way through the disease are visited. A person's fate is written by one part only.
"""
# mypy: disable-error-code="arg-type, return-value, assignment, no-any-return, operator, call-overload"
# (compiled code takes int and np.int64 for one)

from __future__ import annotations

import numpy as np
from numba import prange

from citytwin.hazards.epidemic.arrays import NO_BED, OVERFLOW, PARTS, Active, Events, Health, Law, Longs, Tally
from citytwin.hazards.epidemic.chance import BED, COURSE, GOLDEN, key_of, uniform
from citytwin.sim.jit import inlined, kernel, parallel


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
