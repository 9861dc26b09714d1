"""Measures as the days go by: which hold where, what they leave of contacts, whom they send home, what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.errors import InputError, nearest
from citytwin.hazards.epidemic import tracing
from citytwin.hazards.epidemic.arrays import CLASS, COMMUNITY, HOUSEHOLD, TEAM, TRANSIT, Policy
from citytwin.hazards.epidemic.contacts import PLACES
from citytwin.hazards.epidemic.disease import DAY, Disease
from citytwin.hazards.epidemic.outbreak import Imported, Outbreak
from citytwin.hazards.epidemic.parameters import (
    BorderSeeding,
    Curfew,
    GatheringLimit,
    Lockdown,
    Masks,
    Measure,
    Quarantine,
    SchoolClosure,
    Tracing,
    TravelLimit,
    Trigger,
    Vaccination,
    WorkClosure,
)
from citytwin.hazards.epidemic.people import People
from citytwin.hazards.epidemic.vaccinating import Campaign
from citytwin.sim import Planned

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

NIGHT = np.array([0.5, 0.3, 0.2, 0.2, 0.3, 0.7, 2, 4, 5, 5, 6, 6, 7, 6, 6, 6, 7, 8, 8, 7.3, 6, 4.5, 2.5, 1.5])
"""Contacts in the community by hour of the day, in percent of all: a rule of this project, no survey that we read has it."""

PAIR = 2.0
"""Smallest gathering: the share of contacts in gatherings of more than n is taken as (2 / n) ** 0.5, a rule of this project."""

WORK, SCHOOL, OTHER = 0.4, 0.15, 0.45
"""Shares of trips to work, school and elsewhere, for the demand of traffic: a rule."""
AT_HOME, AT_WORK = 0.08, 0.25
"""Power demand: what being at home adds and a closed work place saves, as shares of a zone's usual demand: a rule."""


@dataclass
class Lost:
    """What measures have cost so far: days of school and work, tests, doses, calls, days at home, money to run them (EUR)."""

    school_days: float = 0.0
    work_days: float = 0.0
    tests: int = 0
    doses: int = 0
    calls: int = 0
    home_days: float = 0.0
    money: float = 0.0


@dataclass
class Numbers:
    """What triggers look at: by zone people with first symptoms in each of the last days, infected and people; beds in use."""

    onsets: list[Rows] = field(default_factory=list)
    infected: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    people: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    ward: float = 0.0
    intensive: float = 0.0

    def of(self, trigger: Trigger) -> npt.NDArray[np.float64]:
        """The number that a trigger asks for, by zone."""
        if trigger.of in ("hospital", "intensive"):
            return np.full(len(self.people), self.ward if trigger.of == "hospital" else self.intensive)
        count = np.sum(self.onsets[-7:], axis=0) if trigger.of == "incidence" and self.onsets else self.infected
        count = np.zeros(len(self.people)) if trigger.of == "incidence" and not self.onsets else np.asarray(count, float)
        if trigger.each_zone:
            return np.asarray(count / np.maximum(self.people, 1) * 1e5)
        return np.full(len(self.people), count.sum() / max(self.people.sum(), 1) * 1e5)

    def meets(self, trigger: Trigger) -> Marks:
        """Zones where the trigger is so."""
        value = self.of(trigger)
        if trigger.above is not None:
            return np.asarray(value > trigger.above)
        return np.asarray(value < (trigger.below or 0.0))


class Running:
    """One measure of the scenario: `zones` where it holds today."""

    def __init__(self, planned: Planned, city: City, zones: int, number: int) -> None:
        self.said: Measure = planned.params  # type: ignore[assignment]
        self.at, self.number, self.name = planned.at / DAY, number, planned.name
        self.where = np.zeros(zones, np.bool_)
        self.where[zone_rows(city, self.said.zones, zones, planned.name)] = True
        self.zones = np.zeros(zones, np.bool_)
        self.since = np.full(zones, -1)
        self.queue: dict[int, list[Rows]] = {}
        self.campaign: Campaign | None = None

    def look(self, day: int, numbers: Numbers) -> bool:
        """Begin and end where it is time to; whether anything changed."""
        said, before = self.said, self.zones.copy()
        if day < self.at + 1:
            return False
        begins = self.where & ~self.zones & (np.ones_like(self.where) if said.start is None else numbers.meets(said.start))
        if said.start is None:
            begins &= self.since < 0  # without a trigger it begins once
        self.zones |= begins
        self.since = np.where(begins, day, self.since)
        if said.duration is not None:
            self.zones &= day - self.since < said.duration / DAY
        if said.stop is not None:
            self.zones &= ~(numbers.meets(said.stop) & (self.since < day))
        return bool((self.zones != before).any())


def zone_rows(city: City, keys: list[str], zones: int, where: str) -> Rows:
    """Rows of zones by key, all for none. Raises InputError with the nearest key."""
    if not keys:
        return np.arange(zones)
    if "zone" not in city:
        raise InputError("this city has no zones", where)
    rows = city.rows("zone", keys)
    if (rows < 0).any():
        known = city.table("zone")["key"].tolist()
        wrong = keys[int(np.argmin(rows))]
        raise InputError(f'no zone "{wrong}"', where, nearest(wrong, known[:20000]))
    return rows


class Measures:
    """All measures of a run; `begin_day` before contacts, `end_day` after, each day."""

    def __init__(
        self, city: City, people: People, outbreak: Outbreak, planned: tuple[Planned, ...], weekday: int,
        disease: Disease,
    ) -> None:  # fmt: skip
        self.people, self.outbreak, self.weekday, self.variants = people, outbreak, weekday, list(disease.variants)
        self.running = [Running(p, city, people.zones, n) for n, p in enumerate(planned)]
        for each in self.running:
            if isinstance(each.said, Vaccination):
                each.campaign = Campaign(city, people, outbreak, each.said, each.number, disease)
            if isinstance(each.said, BorderSeeding) and each.said.variant not in (None, *disease.variants):
                raise InputError(
                    f'no variant "{each.said.variant}"', each.name, nearest(str(each.said.variant), disease.variants)
                )
        self.lost = Lost()
        town = people.town
        self.group_size = np.diff(town.group_start)
        self.group_zone = people.group_zone.astype(np.int64)
        self.luck = _luck(len(town.group_layer), int(outbreak.seed))
        self.policy = self._policy()

    def begin_day(self, day: int, numbers: Numbers) -> tuple[Policy, tuple[Imported, ...]]:
        """What holds on `day`: the policy for contacts, and who comes in from outside. Gives vaccine, counts what is lost."""
        changed = [each.look(day, numbers) for each in self.running]
        if any(changed):
            self.policy = self._policy()
        imported = []
        for each in self.running:
            self.lost.money += each.said.cost_a_day * bool(each.zones.any())
            if isinstance(each.said, BorderSeeding) and each.zones.any():
                imported.append(self._arrivals(each, each.said))
            if each.campaign is not None and each.zones.any():
                self.lost.doses += each.campaign.give(day, (self.weekday + day - 1) % 7, each.zones)
        self._count(day)
        return self.policy, tuple(imported)

    def end_day(self, day: int) -> None:
        """Tests, isolation, calls and quarantine that follow from today's first symptoms."""
        onsets = self.outbreak.onsets()
        for each in self.running:
            if isinstance(each.said, Tracing):
                self._trace(day, each, each.said, onsets)
            elif isinstance(each.said, Quarantine) and each.zones.any():
                self._quarantine(day, each, each.said, onsets)

    def demand(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Demand of traffic and of power in each zone, as shares of the usual."""
        community = self.policy.source[COMMUNITY].astype(float) * (1 - 0.5 * self.policy.stay)
        work, school = self._open_share(TEAM), self._open_share(CLASS)
        traffic = WORK * work + SCHOOL * school + OTHER * np.minimum(community, 1.0)
        power = 1 + AT_HOME * (1 - np.minimum(community, 1.0)) - AT_WORK * (1 - work)
        return np.clip(traffic, 0, 2), np.clip(power, 0, 2)

    def _open_share(self, layer: int) -> npt.NDArray[np.float64]:
        of = np.flatnonzero(self.people.town.group_layer == layer)
        size = self.group_size[of].astype(float)
        zones = self.people.zones
        every = np.bincount(self.group_zone[of], weights=size, minlength=zones)
        is_open = np.bincount(self.group_zone[of], weights=size * self.policy.open[of], minlength=zones)
        return np.divide(is_open, every, out=np.ones(zones), where=every > 0)

    def _policy(self) -> Policy:
        zones = self.people.zones
        source, target = np.ones((6, zones), np.float32), np.ones((6, zones), np.float32)
        stay = np.zeros(zones, np.float32)
        is_open = np.ones(max(len(self.people.town.group_layer), 1), np.uint8)
        for each in self.running:
            if each.zones.any():
                self._apply(each, source, target, stay, is_open)
        return Policy(source, target, stay, is_open)

    def _apply(self, each: Running, source: npt.NDArray[np.float32], target: npt.NDArray[np.float32],
               stay: npt.NDArray[np.float32], is_open: npt.NDArray[np.uint8]) -> None:  # fmt: skip
        said, zones, keep = each.said, each.zones, each.said.compliance
        if isinstance(said, Lockdown):
            for layer in (COMMUNITY, TRANSIT):
                source[layer, zones] *= 1 - said.share * keep
                target[layer, zones] *= 1 - said.share * keep
            source[HOUSEHOLD, zones] *= 1 + (said.at_home - 1) * keep
            self._close(is_open, TEAM, zones, (1 - said.essential) * keep)
        elif isinstance(said, SchoolClosure):
            self._close(is_open, CLASS, zones, said.share * keep)
            source[HOUSEHOLD, zones] *= 1 + (said.at_home - 1) * keep
            source[COMMUNITY, zones] *= 1 + (said.community - 1) * keep
        elif isinstance(said, WorkClosure):
            self._close(is_open, TEAM, zones, said.share * keep)
        elif isinstance(said, Masks):
            for place in said.places:
                source[PLACES[place], zones] *= 1 - said.keeps_in * keep
                if place != "household":
                    target[PLACES[place], zones] *= 1 - said.keeps_out * keep
        elif isinstance(said, (GatheringLimit, Curfew)):
            left = np.sqrt(1 - keep * (ended(said)))  # each side of a contact keeps the root: one contact is ended once
            source[COMMUNITY, zones] *= left
            target[COMMUNITY, zones] *= left
        elif isinstance(said, TravelLimit):
            stay[zones] = 1 - (1 - stay[zones]) * (1 - said.share * keep)

    def _close(self, is_open: npt.NDArray[np.uint8], layer: int, zones: Marks, share: float) -> None:
        """Close that share of classes or teams: always the same ones first, so that more closure closes more."""
        is_open[: len(self.luck)][(self.people.town.group_layer == layer) & zones[self.group_zone] & (self.luck < share)] = 0

    def _count(self, day: int) -> None:
        """Days of school and work lost to closed classes and teams, on working days."""
        if (self.weekday + day - 1) % 7 >= 5:
            return
        shut = self.policy.open[: len(self.group_size)] == 0
        layer = self.people.town.group_layer
        self.lost.school_days += float(self.group_size[shut & (layer == CLASS)].sum())
        self.lost.work_days += float(self.group_size[shut & (layer == TEAM)].sum())

    def _arrivals(self, each: Running, said: BorderSeeding) -> Imported:
        people = self.people.of_zone * each.zones
        rate = np.where(people > 0, said.people_a_day / max(people.sum(), 1), 0.0)
        return Imported(rate, variant=0 if said.variant is None else 1 + self.variants.index(said.variant))

    def _trace(self, day: int, each: Running, said: Tracing, onsets: Rows) -> None:
        """Tests whose results come later, isolation of found cases, calls to those around them."""
        health, seed = self.outbreak.health, self.outbreak.seed
        if each.zones.any():
            chosen = self._some(onsets[each.zones[health.zone[onsets]]], said.tested * said.compliance, day, each.number, 11)
            if said.capacity is not None:
                chosen = self._shuffled(chosen, day)[: said.capacity]
            self.lost.tests += len(chosen)
            found = self._some(chosen, said.sensitivity, day, each.number, 12)
            each.queue.setdefault(day + round(said.delay / DAY), []).append(found)
            each.queue.setdefault(-(day + round((said.delay + said.trace_delay) / DAY)), []).append(found)
        with np.errstate(over="ignore"):
            for found in each.queue.pop(day, []):
                self._home(
                    tracing.stay_home(seed, day, day + round(said.isolation / DAY), 13 + 8 * each.number, 1.0, found, health)
                )
            for found in each.queue.pop(-day, []):
                most = 2**62 if said.trace_capacity is None else said.trace_capacity
                notices, days = tracing.trace(
                    seed, day, day + round(said.quarantine / DAY), 14 + 8 * each.number, (said.household, said.group, most),
                    self._shuffled(found, day), self.people.town, health,
                )  # fmt: skip
                self.lost.calls += int(notices)
                self._home(days)

    def _quarantine(self, day: int, each: Running, said: Quarantine, onsets: Rows) -> None:
        health, seed = self.outbreak.health, self.outbreak.seed
        there = onsets[each.zones[health.zone[onsets]]]
        chosen = self._some(there, said.ill * said.compliance, day, each.number, 15)
        with np.errstate(over="ignore"):
            self._home(tracing.stay_home(seed, day, day + round(said.ill_for / DAY), 16 + 8 * each.number, 1.0, chosen, health))
            if said.household > 0:
                _, days = tracing.trace(
                    seed, day, day + round(said.household_for / DAY), 17 + 8 * each.number,
                    (said.household * said.compliance, 0.0, 2**62), there, self.people.town, health,
                )  # fmt: skip
                self._home(days)

    def _home(self, days: npt.NDArray[np.int64]) -> None:
        """Count days at home by what people would have done: 0 nothing, CLASS, TEAM; five of seven are working days."""
        self.lost.home_days += float(days.sum())
        self.lost.school_days += float(days[CLASS]) * 5 / 7
        self.lost.work_days += float(days[TEAM]) * 5 / 7

    def _some(self, persons: Rows, share: float, day: int, number: int, purpose: int) -> Rows:
        """Some of `persons`, each with probability `share`, the same for the same seed, person and day."""
        return persons[_draws(persons, int(self.outbreak.seed), day, purpose + 8 * number) < share]

    def _shuffled(self, persons: Rows, day: int) -> Rows:
        return persons[np.argsort(_draws(persons, int(self.outbreak.seed), day, 18), kind="stable")]


def ended(said: GatheringLimit | Curfew) -> float:
    """Share of contacts in the community that a gathering limit or curfew ends."""
    if isinstance(said, GatheringLimit):
        return said.share if said.share is not None else min(1.0, np.sqrt(PAIR / max(said.people, PAIR)))
    hours = np.arange(24) + 0.5
    if said.begin_hour > said.end_hour:
        night = (hours >= said.begin_hour) | (hours < said.end_hour)
    else:
        night = (hours >= said.begin_hour) & (hours < said.end_hour)
    return float(NIGHT[night].sum() / NIGHT.sum())


def _mixed(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _draws(persons: Rows, seed: int, day: int, purpose: int) -> npt.NDArray[np.float64]:
    """A number of [0, 1) for each person, as the kernels' `key_of` and `uniform` would draw it."""
    first = _mixed(np.uint64(seed) + persons.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    with np.errstate(over="ignore"):
        key = _mixed(first ^ ((np.uint64(day) << np.uint64(8)) + np.uint64(purpose)))
    return np.asarray((_mixed(key) >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _luck(count: int, seed: int) -> npt.NDArray[np.float64]:
    """A number of [0, 1) for each class and team: which are closed first."""
    return _draws(np.arange(count), seed, 0, 19)
