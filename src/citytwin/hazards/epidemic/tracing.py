"""Tracing: who is sent home and kept there, and whom calls reach around a found case."""
# mypy: disable-error-code="arg-type, return-value, assignment, no-any-return, operator, call-overload"
# (compiled code takes int and np.int64 for one)

from __future__ import annotations

import numpy as np

from citytwin.hazards.epidemic.arrays import Health, Longs, Town
from citytwin.hazards.epidemic.chance import key_of, uniform
from citytwin.sim.jit import inlined, kernel


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
