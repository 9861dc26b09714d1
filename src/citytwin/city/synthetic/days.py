"""Where people spend the day: school, kindergarten, university, work or home; and the capacities that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from citytwin.city.synthetic.buildings import Buildings
from citytwin.city.synthetic.facilities import SERVICES, Facilities
from citytwin.city.synthetic.people import People
from citytwin.city.synthetic.plan import Floats, Plan, Whole

OCCUPATIONS = np.array(["preschool", "pupil", "worker", "home", "retired"])
IN_WORK = 0.76  # share of people of 18 to 66 in work, a rule near European employment rates
REACH = 0.28  # of the city's radius: how fast the pull of a work place falls with distance, a rule
# m2 of floor for one work place, a rule
DESK = {"commercial": 28.0, "industrial": 70.0, "public": 35.0, "education": 60.0, "health": 40.0, "other": 200.0}


@dataclass
class Days:
    """For each person `occupation` (row of OCCUPATIONS), and the `facility` or `building` of the day, or -1."""

    occupation: Whole
    facility: Whole
    building: Whole


def make_days(plan: Plan, people: People, buildings: Buildings, facilities: Facilities) -> Days:
    """Give everybody an occupation and a place, and set the capacities of the facilities so that all fit."""
    rng = plan.stream("days")
    age, count = people.age, len(people.age)
    occupation = np.select([age < 6, age < 18, age >= 67], [0, 1, 4], 2)
    student = (age >= 18) & (age < 25) & (rng.uniform(0, 1, count) < 0.33)
    working = rng.uniform(0, 1, count) < IN_WORK
    occupation = np.where(student, 1, np.where((occupation == 2) & ~working, 3, occupation))
    facility, building = np.full(count, -1), np.full(count, -1)
    middle = buildings.middle
    cared = (age >= 1) & (age < 6) & (rng.uniform(0, 1, count) < 0.72)
    pupil = (occupation == 1) & ~student
    for who, kind in ((cared, "kindergarten"), (pupil, "school"), (student, "university")):
        rows = facilities.of(kind)
        if len(rows):
            at = cKDTree(facilities.place[rows]).query(middle, workers=1)[1]
            facility[who] = rows[at[people.home[who]]]
    workers = np.flatnonzero(occupation == 2)
    building[workers] = _workplaces(plan, people.home[workers], buildings, middle, rng)
    facilities.capacity = _capacities(
        plan, facilities, buildings, np.bincount(facility[facility >= 0], minlength=len(facilities.place))
    )
    return Days(occupation, facility, building)


def _workplaces(plan: Plan, home: Whole, buildings: Buildings, middle: Floats, rng: np.random.Generator) -> Whole:
    """A building for each worker: nearer ones and larger ones draw more (a gravity model over squares of the city)."""
    jobs = buildings.floor_area / np.array([DESK.get(str(u), np.inf) for u in buildings.use])
    if not jobs.any() or not len(home):
        return np.full(len(home), -1)
    size = max(plan.radius / 14, 150.0)
    corner = middle.min(axis=0)
    square = ((middle - corner) // size).astype(np.int64)
    label, of = np.unique(square[:, 0] * 10_000 + square[:, 1], return_inverse=True)
    offers = np.bincount(of, weights=jobs, minlength=len(label))
    centre = np.stack([np.bincount(of, weights=middle[:, k]) / np.bincount(of) for k in (0, 1)], axis=1)
    order = np.argsort(of, kind="stable")
    within = np.cumsum(jobs[order])
    before = np.concatenate([[0.0], within])[np.searchsorted(of[order], np.arange(len(label)))]
    out = np.empty(len(home), dtype=np.int64)
    origin = of[home]
    by_origin = np.argsort(origin, kind="stable")
    first = np.flatnonzero(np.diff(origin[by_origin], prepend=-1))
    for begin, end in zip(first, np.append(first[1:], len(home)), strict=True):
        rows = by_origin[begin:end]
        pull = offers * np.exp(-np.hypot(*(centre - centre[origin[rows[0]]]).T) / (REACH * plan.radius + 200.0))
        reach = np.cumsum(pull)
        to = np.searchsorted(reach, rng.uniform(0, 1, len(rows)) * reach[-1], side="right")
        to = np.minimum(to, len(label) - 1)
        spot = before[to] + rng.uniform(0, 1, len(rows)) * offers[to]
        out[rows] = order[np.minimum(np.searchsorted(within, spot, side="right"), len(order) - 1)]
    return out


def _capacities(plan: Plan, facilities: Facilities, buildings: Buildings, attending: Whole) -> Floats:
    """Beds, pupils, people or vehicles: who attends must fit, the rest are rules per inhabitant shared out evenly."""
    capacity = np.zeros(len(facilities.place))
    each = {"hospital": 6.0, "care_home": 11.0, "shelter": 40.0, "doctors": 0.0, "community_centre": 12.0}  # per 1,000 people
    fixed = {"fire_station": 4, "police": 6, "ambulance_station": 4, "doctors": 3, "clinic": 12, "fuel": 8, "bus_station": 20}
    for kind in {SERVICES[s].kind for s in facilities.service}:
        rows = facilities.of(kind)
        if kind in ("school", "kindergarten", "university"):
            step = {"school": 25, "kindergarten": 10, "university": 100}[kind]
            capacity[rows] = np.maximum(np.ceil(attending[rows] * 1.08 / step), 1) * step
        elif kind in fixed:
            capacity[rows] = fixed[kind]
        elif kind in each:
            capacity[rows] = np.ceil(each[kind] * plan.people / 1000 / len(rows))
    return capacity


def occupations(days: Days) -> npt.NDArray[np.str_]:
    """The occupation of each person, in words."""
    return np.asarray(OCCUPATIONS[days.occupation])
