"""An outbreak as it runs: the people's health, who is on the way through the disease, and one day after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.hazards.epidemic import infection, meeting, progression
from citytwin.hazards.epidemic.arrays import (
    AGE_GROUPS,
    BLOCK,
    LAYERS,
    OUTSIDE,
    PARTS,
    PERSON,
    Active,
    Drawn,
    Events,
    Health,
    Law,
    Met,
    Mixing,
    Policy,
    Tally,
)
from citytwin.hazards.epidemic.disease import SUSCEPTIBLE
from citytwin.hazards.epidemic.people import People

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

GROWTH = 1.6
LONGEST = 65_000
"""Most days of a run: days are kept in 16 bits."""


@dataclass(frozen=True)
class Imported:
    """Infection from beyond contacts: rate per person and day by zone, times a share by age; of which layer and variant."""

    rate: Numbers
    by_age: Numbers = field(default_factory=lambda: np.ones(AGE_GROUPS))
    layer: int = OUTSIDE
    variant: int = 0


@dataclass
class Wards:
    """Beds for this disease: `room` free (hospitals, 2: ward, intensive), `order` of hospitals by zone (Z, hospitals)."""

    room: Rows
    order: Rows

    @staticmethod
    def unlimited(zones: int) -> Wards:
        """One hospital that is never full."""
        return Wards(np.full((1, 2), 2**40), np.zeros((zones, 1), np.int64))


def no_policy(people: People) -> Policy:
    """Nothing is closed, nobody stays at home."""
    zones = people.zones
    return Policy(
        np.ones((6, zones), np.float32), np.ones((6, zones), np.float32), np.zeros(zones, np.float32),
        np.ones(max(len(people.town.group_layer), 1), np.uint8),
    )  # fmt: skip


class Outbreak:
    """The state of one run; `step` plays a day. Deterministic in `seed`, on any number of threads.

    counts: people by zone and state (Z, S). `today`: persons with first symptoms, by `onsets`; new infections by zone, `new`.
    """

    def __init__(
        self, people: People, law: Law, names: list[str], contacts: Floats, mixing: Mixing, seed: int, days: int,
        wards: Wards | None = None,
    ) -> None:  # fmt: skip
        self.people, self.law, self.names, self.contacts, self.mixing = people, law, names, contacts, mixing
        self.seed = np.uint64(seed & (2**64 - 1))
        self._days = min(days, LONGEST)
        self.wards = wards or Wards.unlimited(people.zones)
        self.day = 0
        count, states = len(people), len(names)
        susceptible = names.index(SUSCEPTIBLE)
        self.persons = _persons(people, susceptible)
        self.health = Health(*(self.persons[name] for name in Health._fields))
        self.counts = np.zeros((people.zones, states), np.int64)
        self.counts[:, susceptible] = people.of_zone
        self.active = _active(max(256, count // (PARTS * 16)))
        self.met = _met(max(256, count // (PARTS * 64)))
        self.drawn = _drawn(max(256, count // (PARTS * 32)))
        self.events = _events(self.active.person.shape[1], len(self.wards.room))
        self.tally = Tally(
            np.zeros((PARTS, people.zones, states), np.int32), np.zeros((PARTS, people.zones), np.int32),
            np.zeros((PARTS, len(LAYERS), AGE_GROUPS), np.int64), np.zeros((PARTS, states, AGE_GROUPS), np.int64),
            np.zeros((PARTS, self._days + 2), np.int64), np.zeros((PARTS, len(law.escape)), np.int64),
        )  # fmt: skip
        self.new = np.zeros(people.zones, np.int64)
        self.infected_by_day: list[int] = []
        self.turned_away = 0

    @property
    def days(self) -> int:
        """Most days of this run; arrays are made for them, so it does not change."""
        return self._days

    @property
    def bytes_each(self) -> float:
        """Bytes that the run's arrays take, for each person."""
        arrays: list[Any] = [self.persons, *self.active, *self.drawn, *self.met, *self.events]
        return float(sum(a.nbytes for a in arrays) / max(len(self.people), 1))

    def seed_people(self, persons: Rows, variant: int = 0) -> None:
        """Infect `persons` from outside, on the present day; those who cannot be infected are left out."""
        persons = np.unique(np.asarray(persons, np.int64))
        if len(persons) >= self.met.person.shape[1]:
            self.met = _met(len(persons) + 1)
        self.met.count[:] = 0
        self.met.count[0] = len(persons)
        self.met.person[0, : len(persons)] = persons
        self.met.code[0, : len(persons)] = OUTSIDE + 8 * variant
        self.met.born[0, : len(persons)] = self.day
        with np.errstate(over="ignore"):
            self._catch()
        self._count()

    def make_immune(self, persons: Rows) -> None:
        """Put persons into the first immune state, as if they had recovered today."""
        state = self.names.index(next(n for n, o in zip(self.names, self.law.open, strict=True) if o and n != SUSCEPTIBLE))
        persons = persons[self.health.state[persons] == self.names.index(SUSCEPTIBLE)]
        self.health.state[persons] = state
        self.health.day[persons] = self.day
        self.health.past[persons] = 1
        moved = np.bincount(self.health.zone[persons], minlength=self.people.zones)
        self.counts[:, self.names.index(SUSCEPTIBLE)] -= moved
        self.counts[:, state] += moved

    def step(self, policy: Policy, imported: tuple[Imported, ...] = ()) -> None:
        """Play the next day: changes of state, beds, contacts, infections from outside, new infections.

        Raises ValueError beyond the last day of the run.
        """
        if self.day > self._days:
            raise ValueError(f"this run has {self._days} days")
        self.day += 1
        with np.errstate(over="ignore"):
            self._turn()
            self._meet(policy, imported)
            self._catch()
        self._count()

    def onsets(self) -> Rows:
        """Persons whose symptoms began today, in order."""
        parts = [self.events.onset[p, : self.events.onset_count[p]] for p in range(PARTS)]
        return np.sort(np.concatenate(parts)).astype(np.int64)

    def persons_in(self, state: str) -> int:
        """How many people are in a state."""
        return int(self.counts[:, self.names.index(state)].sum())

    def _turn(self) -> None:
        self.events.freed[:] = 0
        progression.turn(self.day, self.seed, self.health, self.active, self.law, self.events, self.tally)
        self.wards.room += self.events.freed.sum(axis=0)
        self.turned_away += progression.give_beds(
            self.day, self.seed, self.active, self.law, self.events, self.wards.room, self.wards.order
        )

    def _meet(self, policy: Policy, imported: tuple[Imported, ...]) -> None:
        while True:
            meeting.meet(self.day, self.seed, self.people.town, self.health, self.active, self.law, policy, self.mixing,
                        self.contacts, self.drawn, self.met)  # fmt: skip
            if int(self.drawn.count.max()) > self.drawn.slot.shape[1]:
                self.drawn = _drawn(int(self.drawn.count.max() * GROWTH))
                continue
            for each in imported:
                meeting.expose(self.day, self.seed, each.rate.astype(np.float32), each.by_age.astype(np.float32),
                              each.layer + 8 * each.variant, self.people.town, self.health, self.law, self.met)  # fmt: skip
            most = int(self.met.count.max())
            if most < self.met.person.shape[1]:
                return
            self.met = _met(int(most * GROWTH))

    def _catch(self) -> None:
        room = self.active.person.shape[1]
        coming = int(self.met.count.sum())
        if int(self.active.count.max()) + coming > room:
            exact = self._per_part()
            if int((self.active.count + exact).max()) > room:
                self._grow(int((self.active.count + exact).max() * 1.3) + 64)
        infection.catch(self.day, self.seed, self.people.town, self.health, self.active, self.law, self.met, self.tally)

    def _per_part(self) -> Rows:
        """Contacts that infect, by part of who is infected."""
        persons = np.concatenate([self.met.person[p, : self.met.count[p]] for p in range(PARTS)])
        return np.bincount((persons >> BLOCK) % PARTS, minlength=PARTS).astype(np.int64)

    def _grow(self, room: int) -> None:
        old, self.active = self.active, _active(room)
        self.active.count[:] = old.count
        used = int(old.count.max())
        pairs: Any = zip(old[1:], self.active[1:], strict=True)
        for before, after in pairs:
            after[:, :used] = before[:, :used]
        events = self.events
        self.events = _events(room, len(self.wards.room))
        self.events.onset_count[:] = events.onset_count
        most = int(events.onset_count.max())
        self.events.onset[:, :most] = events.onset[:, :most]

    def _count(self) -> None:
        self.counts += self.tally.flow.sum(axis=0)
        self.tally.flow[:] = 0
        self.new = self.tally.new.sum(axis=0).astype(np.int64)
        self.tally.new[:] = 0
        while len(self.infected_by_day) <= self.day:
            self.infected_by_day.append(0)
        self.infected_by_day[self.day] += int(self.new.sum())


def _persons(people: People, susceptible: int) -> npt.NDArray[np.void]:
    """One row of `PERSON` for everybody, all susceptible."""
    town = people.town
    out = np.zeros(len(people), PERSON)
    size = np.diff(town.household_start)
    out["state"] = susceptible
    out["age_group"], out["zone"], out["group"], out["layer"] = town.age_group, people.zone, town.group, people.layer
    out["household_size"] = np.repeat(np.minimum(size, 255), size)
    out["household_first"] = np.repeat(town.household_start[:-1], size)
    return out


def _active(room: int) -> Active:
    kinds = [np.int32, np.uint16, np.uint16, np.uint8, np.uint8, np.uint8, np.uint8, np.float32, np.int32, np.uint16, np.int32,
             np.int32, np.uint16, np.uint8, np.uint16, np.uint16]  # fmt: skip
    return Active(np.zeros(PARTS, np.int64), *(np.zeros((PARTS, room), kind) for kind in kinds))  # type: ignore[arg-type]


def _met(room: int) -> Met:
    return Met(np.zeros(PARTS, np.int64), np.zeros((PARTS, room), np.int32), np.zeros((PARTS, room), np.uint16),
               np.zeros((PARTS, room), np.uint16))  # fmt: skip


def _drawn(room: int) -> Drawn:
    return Drawn(np.zeros(PARTS, np.int64), np.zeros((PARTS, room), np.int32), np.zeros((PARTS, room), np.int32),
                 np.zeros((PARTS, room), np.uint8), np.zeros((PARTS, room), np.uint64))  # fmt: skip


def _events(room: int, hospitals: int) -> Events:
    return Events(np.zeros(PARTS, np.int64), np.zeros((PARTS, room), np.int32), np.zeros(PARTS, np.int64),
                  np.zeros((PARTS, room), np.int32), np.zeros((PARTS, hospitals, 2), np.int32),
                  np.zeros(PARTS, np.int64))  # fmt: skip
