"""A vaccination campaign: who is asked first, where doses are given, how many a day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city import City
from citytwin.errors import InputError, nearest
from citytwin.hazards.epidemic.arrays import CARE_HOME, CLASS, TEAM
from citytwin.hazards.epidemic.disease import BAND, DAY, Disease
from citytwin.hazards.epidemic.outbreak import Outbreak
from citytwin.hazards.epidemic.parameters import WEEK, Vaccination
from citytwin.hazards.epidemic.people import People
from citytwin.hazards.epidemic.peopling import centres

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
JOBS = {"care_home": CARE_HOME, "class": CLASS, "team": TEAM}


class Campaign:
    """Queues of those who want a dose, one for each site (one in all without sites), in the order of the scenario.

    `front`: how many at the head of each queue have had theirs.
    """

    def __init__(
        self, city: City, people: People, outbreak: Outbreak, said: Vaccination, number: int, disease: Disease
    ) -> None:  # fmt: skip
        self.said, self.outbreak = said, outbreak
        rng = np.random.Generator(np.random.PCG64([int(outbreak.seed) & (2**63 - 1), 977, number]))
        willing = rng.uniform(size=len(people)) >= 1 - (1 - said.hesitancy) * said.compliance
        rank = ranks(city, people, said.order)
        wanted = np.flatnonzero(willing & (rank < len(said.order)))
        wanted = wanted[np.lexsort((rng.uniform(size=len(wanted)), rank[wanted]))]
        site = _sites(city, people, said)
        self.queue = [wanted[site[people.zone[wanted]] == s] for s in range(max(len(said.sites), 1))]
        self.front = [0] * len(self.queue)
        self.second: dict[int, list[Rows]] = {}
        if disease.vaccine is None:
            raise InputError(f"{disease.name} has no vaccine", "vaccination", "declare one in its file")
        self.doses = min(said.doses, outbreak.law.vaccine.shape[0] - 1)
        self.interval = disease.vaccine.interval
        self.site_of = np.zeros(len(people), np.uint16)
        self.left = np.zeros(len(self.queue))

    def give(self, day: int, weekday: int, zones: Marks) -> int:
        """Give today's doses to those in line whose zone has the campaign; how many were given."""
        given = 0
        for s in range(len(self.queue)):
            self.left[s] += self._today(s, weekday)
            many = int(self.left[s])
            self.left[s] -= many
            given += self._to(day, s, many, zones)
        return given

    def _today(self, site: int, weekday: int) -> float:
        if not self.said.sites:
            return float(self.said.doses_a_day or 0)
        said = self.said.sites[site]
        return said.an_hour * said.hours if WEEK[weekday] in said.days else 0.0

    def _to(self, day: int, site: int, many: int, zones: Marks) -> int:
        """Second doses that are due, then first ones; people in bed or dead are passed over."""
        health = self.outbreak.health
        here = self._second_doses(day, site, many)
        ready = self._next(site, many - len(here), zones)
        health.dose[ready] = 1
        health.dose_day[ready] = day
        self.site_of[ready] = site
        self._book(day, ready)
        return len(here) + len(ready)

    def _second_doses(self, day: int, site: int, many: int) -> Rows:
        """Those at a site whose next dose is due, at most `many`; they are given it, the others wait on in their order."""
        health, activity = self.outbreak.health, self.outbreak.law.activity
        dates = sorted(d for d in self.second if d <= day)
        if not dates:
            return np.zeros(0, np.int64)
        due = np.concatenate([p for d in dates for p in self.second.pop(d)])
        may = np.flatnonzero((self.site_of[due] == site) & (activity[health.state[due]] > 0))[:many]
        here, waiting = due[may], np.delete(due, may)
        if len(waiting):
            self.second[dates[0]] = [waiting]
        health.dose[here] += 1
        health.dose_day[here] = day
        self._book(day, here)
        return here

    def _next(self, site: int, many: int, zones: Marks) -> Rows:
        """The next ones in line who may come; who may not today keeps the place."""
        health, activity = self.outbreak.health, self.outbreak.law.activity
        first = self.front[site]
        ahead = self.queue[site][first : first + 4 * many + 64]
        may = np.flatnonzero(zones[health.zone[ahead]] & (activity[health.state[ahead]] > 0))[:many]
        ready: Rows = ahead[may]
        ahead[len(may) :] = np.delete(ahead, may)  # in place: the line is long and few of it move
        self.front[site] += len(may)
        return ready

    def _book(self, day: int, persons: Rows) -> None:
        """Note when those with doses to come are due again."""
        more = persons[self.outbreak.health.dose[persons] < self.doses]
        if len(more):
            self.second.setdefault(day + round(self.interval / DAY), []).append(more)


def ranks(city: City, people: People, order: list[str]) -> Rows:
    """Place of each person in an order of ages, jobs and zones; len(order) for who is in none. Raises InputError."""
    rank = np.full(len(people), len(order), np.int64)
    for place, who in reversed(list(enumerate(order))):
        rank[_those(city, people, who)] = place
    return rank


def _those(city: City, people: People, who: str) -> Marks:
    band = BAND.match(who)
    if band:
        high = int(band[2]) if band[2] else (10_000 if who.endswith("+") else int(band[1]))
        return np.asarray((people.age >= int(band[1])) & (people.age <= high))
    if who in JOBS:
        return np.asarray(people.layer == JOBS[who])
    row = int(city.rows("zone", [who])[0]) if "zone" in city else -1
    if row < 0:
        raise InputError(f'"{who}" is no age, job or zone', "vaccination.order", nearest(who, [*JOBS, "60-69", "80+"]))
    return np.asarray(people.zone == row)


def _sites(city: City, people: People, said: Vaccination) -> Rows:
    """The site that is nearest to each zone, 0 where none is named. Raises InputError for an unknown facility."""
    if not said.sites:
        return np.zeros(people.zones, np.int64)
    rows = [city.row("facility", site.facility) for site in said.sites]
    place = shapely.get_coordinates(shapely.point_on_surface(np.asarray(city.table("facility").geometry, dtype=object)[rows]))
    middle = centres(city, people.zones)
    return np.asarray(np.argmin(np.hypot(*(middle[:, None] - place[None]).transpose(2, 0, 1)), axis=1))
