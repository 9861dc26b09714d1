"""The same declared disease as counts of people by zone and age: for ensembles in no time, and a check on the individuals.

Stochastic, a day a step: new infections are binomial with the force of infection of the contact matrix by age and the mixing of
zones; people leave a state by the same distributions of days as the individuals do. Households and classes are not told apart:
where contacts repeat (at home) it spreads faster than the individual form. A profile by days since infection is not heeded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from citytwin.hazards.epidemic.arrays import AGE_GROUPS, COMMUNITY, HOUSEHOLD, TRANSIT, Law, Mixing
from citytwin.hazards.epidemic.contacts import _weights
from citytwin.hazards.epidemic.disease import SUSCEPTIBLE, Disease, by_age
from citytwin.hazards.epidemic.law import staying
from citytwin.hazards.epidemic.people import People
from citytwin.sim.jit import kernel

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@kernel
def _seeded(seed: int) -> None:
    """Seed the generator of compiled code."""
    np.random.seed(seed)


@kernel
def _leave(
    queue: Counts, share: Numbers, stay: Numbers, follows: npt.NDArray[np.uint8], entering: Counts, left: Counts
) -> None:
    """Send who enters a state on its ways: `queue` (Z, A, way, day ahead) gets who leaves by each way on each day ahead.

    share: (A, ways) probabilities; stay: (ways, days) of staying; entering: (Z, A); left: (Z, A) must be zero, scratch.
    """
    zones, ages = entering.shape
    for z in range(zones):
        for a in range(ages):
            rest, mass = entering[z, a], 1.0
            for k in range(len(follows)):
                p = share[a, k]
                many = rest if k == len(follows) - 1 else np.random.binomial(rest, min(max(p / max(mass, 1e-12), 0.0), 1.0))
                rest -= many
                mass -= p
                over = 1.0
                for d in range(stay.shape[1]):
                    if many == 0:
                        break
                    here = stay[k, d]
                    out = (
                        many
                        if d == stay.shape[1] - 1
                        else np.random.binomial(many, min(max(here / max(over, 1e-12), 0.0), 1.0))
                    )
                    queue[z, a, k, d] += out
                    many -= out
                    over -= here


@kernel
def _infect(susceptible: Counts, force: Numbers) -> Counts:
    """New infections among the susceptible (Z, A): binomial with 1 - exp(-force)."""
    out = np.zeros_like(susceptible)
    for z in range(susceptible.shape[0]):
        for a in range(susceptible.shape[1]):
            out[z, a] = np.random.binomial(susceptible[z, a], 1.0 - np.exp(-force[z, a]))
    return out


@dataclass
class Metapopulation:
    """People by zone, age group and state (`counts`, (Z, A, S)), advanced a day at a time by `step`."""

    disease: Disease
    law: Law
    counts: Counts
    within: Numbers  # (A, A) contacts a day at home, in class, team and care home: with people of one's own zone
    between: Numbers  # (A, A) contacts in the community and on the way
    zones: Numbers  # (Z, Z) where those contacts live, rows add up to 1
    per_contact: float
    seed_number: int
    infected_by_day: list[int] = field(default_factory=lambda: [0])
    day: int = 0

    @staticmethod
    def of(
        people: People, disease: Disease, law: Law, contacts: Numbers, mixing: Mixing, per_contact: float, seed: int = 0
    ) -> Metapopulation:
        """The metapopulation of a city's people. contacts: (6, A, A) of `contacts.matrix`."""
        names = list(disease.states)
        cell = people.zone * AGE_GROUPS + people.town.age_group
        counts = np.zeros((people.zones, AGE_GROUPS, len(names)), np.int64)
        counts[:, :, names.index(SUSCEPTIBLE)] = np.bincount(cell, minlength=people.zones * AGE_GROUPS).reshape(-1, AGE_GROUPS)
        zones = _weights(mixing, 0)
        zones = zones / np.maximum(zones.sum(axis=1, keepdims=True), 1e-12)
        return Metapopulation(
            disease, law, counts, contacts[HOUSEHOLD:COMMUNITY].sum(axis=0),
            contacts[COMMUNITY : TRANSIT + 1].sum(axis=0), zones, per_contact, seed,
        )  # fmt: skip

    def __post_init__(self) -> None:
        self.names = list(self.disease.states)
        _seeded(self.seed_number)
        self._ways: list[tuple[Numbers, Numbers]] = []
        self._queues: list[Counts] = []
        for s in range(len(self.names)):
            count = int(self.law.successors[s])
            share = self.law.share[s, :count].T.astype(float).copy() if count else np.zeros((AGE_GROUPS, 0))
            if count:
                share[:, -1] = 1 - share[:, :-1].sum(axis=1)
            stays = [staying(self.law, s, k) for k in range(count)]
            size = max([len(x) for x in stays], default=1)
            self._ways.append((share, np.array([np.pad(x, (0, size - len(x))) for x in stays]).reshape(count, size)))
            self._queues.append(np.zeros((*self.counts.shape[:2], max(count, 1), size), np.int64))
        self.infectivity = self.law.infectivity[:, 1].astype(float)
        self.activity = self.law.activity.astype(float)

    def seed(self, by_zone: npt.ArrayLike) -> None:
        """Infect so many people of each zone, of ages as they live there."""
        by_zone = np.asarray(by_zone, np.int64)
        s = self.names.index(SUSCEPTIBLE)
        rng = np.random.Generator(np.random.PCG64([self.seed_number, 1]))
        entering = np.stack([rng.multivariate_hypergeometric(self.counts[z, :, s], n) for z, n in enumerate(by_zone)])
        self._enter(entering)
        self.infected_by_day[0] += int(entering.sum())

    def _enter(self, entering: Counts) -> None:
        """Move people from susceptible into the first state."""
        self.counts[:, :, self.names.index(SUSCEPTIBLE)] -= entering
        self._arrive(int(self.law.first), entering)

    def _arrive(self, state: int, entering: Counts) -> None:
        self.counts[:, :, state] += entering
        share, stay = self._ways[state]
        if len(stay):
            follows = self.law.follows[state, : len(stay)]
            _leave(self._queues[state], share, stay, follows, entering, np.zeros_like(entering))

    def step(self, within: float = 1.0, between: float = 1.0) -> None:
        """Play the next day; `within` and `between` scale contacts in households, classes and teams, and elsewhere."""
        self.day += 1
        arriving = [np.zeros(self.counts.shape[:2], np.int64) for _ in self.names]
        for s, queue in enumerate(self._queues):
            for k in range(int(self.law.successors[s])):
                self.counts[:, :, s] -= queue[:, :, k, 0]
                arriving[int(self.law.follows[s, k])] += queue[:, :, k, 0]
            queue[..., :-1] = queue[..., 1:]
            queue[..., -1] = 0
        for s, entering in enumerate(arriving):
            if entering.any():
                self._arrive(s, entering)
        new = _infect(self.counts[:, :, self.names.index(SUSCEPTIBLE)], self.force(within, between))
        self._enter(new)
        self.infected_by_day.append(int(new.sum()))

    def force(self, within: float = 1.0, between: float = 1.0) -> Numbers:
        """Force of infection (Z, A) on a day: contacts with each age times the infectious share of those met."""
        infectious = (self.counts @ self.infectivity) * by_age(self.disease.spread.infectivity)
        active = (self.counts @ (self.infectivity * self.activity)) * by_age(self.disease.spread.infectivity)
        living = self.counts.sum(axis=2).astype(float)
        here = infectious / np.maximum(living, 1.0)
        there = (self.zones @ active) / np.maximum(self.zones @ living, 1.0)
        rate = within * here @ self.within.T + between * there @ self.between.T
        return np.asarray(self.per_contact * rate * by_age(self.disease.spread.susceptibility))
