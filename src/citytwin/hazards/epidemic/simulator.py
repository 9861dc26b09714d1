"""The epidemic as the loop sees it: what it declares, one day after the other, and what it says at the end."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from citytwin.columns import Column
from citytwin.hazards.epidemic import contacts
from citytwin.hazards.epidemic.arrays import AGE_GROUPS, LAYERS
from citytwin.hazards.epidemic.care import Hospitals
from citytwin.hazards.epidemic.disease import DAY, Disease, by_age
from citytwin.hazards.epidemic.law import law_of
from citytwin.hazards.epidemic.measures import Measures, Numbers, zone_rows
from citytwin.hazards.epidemic.mobility import leisure, mixing_of, read_trips
from citytwin.hazards.epidemic.outbreak import Imported, Outbreak
from citytwin.hazards.epidemic.parameters import (
    BorderSeeding,
    Curfew,
    EpidemicParameters,
    GatheringLimit,
    Lockdown,
    Masks,
    Quarantine,
    SchoolClosure,
    Tracing,
    TravelLimit,
    Vaccination,
    WorkClosure,
)
from citytwin.hazards.epidemic.people import People, read_persons, settle
from citytwin.hazards.epidemic.peopling import Margins, make_persons, read_margins
from citytwin.hazards.epidemic.surroundings import Water, heat
from citytwin.sim import Grade, InterventionKind, Setup, Spec, Status
from citytwin.state import State

Values = npt.NDArray[np.float64]
MOST = 1e8

COLUMNS = (
    Column("zone_infections", "zone", "people", "people infected on the last day", 0, MOST, 0, ramp="people"),
    Column("zone_infected", "zone", "people", "people on their way through the disease now", 0, MOST, 0, ramp="people"),
    Column("zone_infected_share", "zone", "1", "share of residents infected now", 0, 1, 0, ramp="share"),
    Column("zone_ever_infected_share", "zone", "1", "infections so far by resident", 0, 100, 0, ramp="share"),
    Column("zone_ill", "zone", "people", "people with symptoms now", 0, MOST, 0, ramp="people"),
    Column("zone_patients", "zone", "people", "residents who need a hospital bed now", 0, MOST, 0, ramp="people"),
    Column("zone_intensive_patients", "zone", "people", "residents who need intensive care now", 0, MOST, 0, ramp="people"),
    Column("zone_recovered", "zone", "people", "people recovered and not infected again", 0, MOST, 0, ramp="people"),
    Column("zone_epidemic_deaths", "zone", "people", "residents who died of the disease so far", 0, MOST, 0, ramp="people"),
    Column("zone_vaccinated", "zone", "people", "residents with at least one dose", 0, MOST, 0, ramp="people"),
    Column("zone_water_contamination", "zone", "1", "pathogens in the water, in doses that infect at half of the highest rate",
           0, 1000, 0, ramp="hazard"),
    Column("zone_traffic_demand", "zone", "1", "trips that people make, as a share of the usual", 0, 2, 1, "min", "share"),
    Column("zone_power_demand", "zone", "1", "power that people use, as a share of the usual", 0, 2, 1, "min", "share"),
    Column("hospital_patients", "facility", "people", "patients of the epidemic, on wards and in intensive care", 0, 1e6, 0,
           ramp="people"),
    Column("hospital_intensive_patients", "facility", "people", "patients of the epidemic in intensive care", 0, 1e6, 0,
           ramp="people"),
    Column("hospital_epidemic_beds_free", "facility", "1", "beds on wards that the epidemic may use and has not",
           0, 1e6, peak="min"),
    Column("hospital_epidemic_intensive_free", "facility", "1", "intensive beds that it may use and has not", 0, 1e6,
           peak="min"),
)  # fmt: skip

SPEC = Spec(
    name="epidemic", room="hazard", title="Epidemic", params=EpidemicParameters, reads=(), heeds=("water_depth",),
    recalls=("building_without_water", "building_water_contamination", "hospital_out"), writes=COLUMNS, needs=("building",),
    optional=("zone", "facility", "person", "household", "cell"), grade=Grade.VERIFIED,
    source="Individual-based by place: Ferguson et al. 2005 (Nature 437, 209-214); contacts a day: Mistry et al. 2021 (Nat. "
    "Commun. 12:323) and Mossong et al. 2008 (PLoS Med. 5:e74); each disease names the sources of its numbers.",
    limits="A step is a day; who infects whom is drawn from effective contacts, contacts that infect nobody leave no trace. "
    "Contact tracing knows household, class and team, not strangers. Nobody is born, moves house or dies of other causes. "
    "Measures change contacts as declared: whether people would follow them is for the scenario to say.",
    interventions=(
        InterventionKind("lockdown", "Stay at home", Lockdown),
        InterventionKind("school_closure", "Close schools", SchoolClosure),
        InterventionKind("work_closure", "Close work places", WorkClosure),
        InterventionKind("gathering_limit", "Limit gatherings", GatheringLimit),
        InterventionKind("masks", "Wear masks", Masks),
        InterventionKind("curfew", "Curfew at night", Curfew),
        InterventionKind("travel_limit", "Limit trips between zones", TravelLimit),
        InterventionKind("test_trace_isolate", "Test, trace and isolate", Tracing),
        InterventionKind("quarantine", "Isolate the ill, quarantine their households", Quarantine),
        InterventionKind("vaccination", "Vaccinate", Vaccination),
        InterventionKind("border_seeding", "Infected people come in", BorderSeeding),
    ),
)  # fmt: skip


def people_of(setup: Setup) -> People:
    """The people of the city: from its tables, else made from the residents of its buildings."""
    city, params, rng = setup.city, setup.params, setup.streams.named("epidemic people")
    notes: list[str] = []
    if "person" in city and "household" in city and params.census is None:
        return settle(city, read_persons(city), rng, notes)
    margins = Margins() if params.census is None else read_margins(params.census, city)
    jobs = None if params.trips is None else read_trips(params.trips, city)
    return settle(city, make_persons(city, margins, rng, notes, jobs, params.way_to_work), rng, notes)


class Epidemic:
    """A disease among all people of the city, day by day, with measures and hospitals."""

    spec: ClassVar[Spec] = SPEC

    def __init__(self, setup: Setup, state: State) -> None:
        params: EpidemicParameters = setup.params
        self.params, self.city = params, setup.city
        self.disease: Disease = params.disease
        if params.r0 is not None:
            spread = self.disease.spread.model_copy(update={"r0": params.r0, "per_contact": None})
            self.disease = self.disease.model_copy(update={"spread": spread})
        if params.vaccine is not None:
            self.disease = self.disease.model_copy(update={"vaccine": params.vaccine})
        self.people = people_of(setup)
        law = law_of(self.disease)
        trips = None if params.trips is None else read_trips(params.trips, setup.city)
        mixing = mixing_of(self.people, leisure(setup.city, self.people, params.leisure, params.reach), trips)
        rates = contacts.rates(self.people, {str(k): v for k, v in self.disease.spread.places.items()},
                                {str(k): v for k, v in params.contacts.items()})  # fmt: skip
        self.contacts = contacts.matrix(self.people, rates, mixing)
        self.per_contact = contacts.transmission(self.disease, law, self.contacts)
        self.hospitals = Hospitals(setup.city, self.people.zones, params.beds)
        seed = int(setup.streams.named("epidemic").integers(0, 2**63))
        names = list(self.disease.states)
        self.outbreak = Outbreak(
            self.people, law, names, contacts.effective(rates, self.disease, self.per_contact), mixing, seed,
            int(setup.duration / DAY) + 1, self.hospitals.wards,
        )  # fmt: skip
        weekday = dt.datetime.fromtimestamp(setup.start, dt.UTC).weekday()
        self.measures = Measures(setup.city, self.people, self.outbreak, setup.interventions, weekday, self.disease)
        self.water = Water(setup.city, params, self.people.zones)
        self.numbers = Numbers(people=self.people.of_zone)
        self._flags(names)
        self._begin(setup)
        self.course: dict[str, list[float]] = {
            n: [] for n in ("infections", "infected", "ill", "patients", "intensive", "deaths")
        }
        self.turned_away_first: int | None = None
        self._write(state)

    def _flags(self, names: list[str]) -> None:
        states = self.disease.states
        self.ill = np.array([states[n].symptoms for n in names])
        self.dead = np.array([states[n].dead for n in names])
        self.immune = np.array([states[n].immune for n in names])
        self.ward = np.array([states[n].bed == "ward" for n in names])
        self.intensive = np.array([states[n].bed == "intensive" for n in names])
        self.on_the_way = np.array([bool(self.disease.ways(n)) for n in names])
        self.sheds = np.array([states[n].infectivity for n in names])

    def _begin(self, setup: Setup) -> None:
        rng = setup.streams.named("epidemic seeds")
        share = by_age(self.params.immune)[self.people.town.age_group]
        if share.any():
            self.outbreak.make_immune(np.flatnonzero(rng.uniform(size=len(share)) < share))
        for seeds in self.params.seeds if self.disease.heat is None else []:
            zones = zone_rows(self.city, [seeds.zone] if seeds.zone else [], self.people.zones, "epidemic.seeds")
            able = np.flatnonzero(np.isin(self.people.zone, zones) & (self.outbreak.health.past == 0))
            chosen = rng.permutation(able)[: seeds.people]
            variant = 0 if seeds.variant is None else 1 + list(self.disease.variants).index(seeds.variant)
            self.outbreak.seed_people(chosen, variant)

    def advance(self, state: State, begin: float, end: float) -> Status:
        """Play the days that end in `begin` ... `end` and write where everybody stands."""
        self.water.look(state, begin, end)
        if "facility" in self.city and "hospital_out" in state.columns:
            self.hospitals.close(state["hospital_out"][self.hospitals.rows] > 0)
        last = min(int((end + 1e-6) / DAY), self.outbreak.days)
        while self.outbreak.day < last:
            self.play_day()
        self._write(state)
        return Status(numbers={"day": float(self.outbreak.day), "infected": float(self._sum(self.on_the_way).sum())})

    def play_day(self) -> None:
        """Play the next day: measures, the surroundings, the outbreak, tests and calls."""
        outbreak, numbers = self.outbreak, self.numbers
        day = outbreak.day + 1
        policy, imported = self.measures.begin_day(day, numbers)
        around: list[Imported | None] = [
            self.water.day(outbreak.counts @ self.sheds, self.people.of_zone.astype(float)),
            heat(self.disease, self.params.temperature, day, self.people.zones),
        ]
        outbreak.step(policy, (*imported, *(a for a in around if a is not None)))
        self.measures.end_day(day)
        onsets = np.bincount(outbreak.health.zone[outbreak.onsets()], minlength=self.people.zones)
        numbers.onsets = [*numbers.onsets[-6:], onsets]
        numbers.infected = self._sum(self.on_the_way)
        numbers.ward, numbers.intensive = self.hospitals.in_use(0), self.hospitals.in_use(1)
        if outbreak.turned_away and self.turned_away_first is None:
            self.turned_away_first = day
        for name, value in (
            ("infections", outbreak.new.sum()), ("infected", numbers.infected.sum()), ("ill", self._sum(self.ill).sum()),
            ("patients", self._sum(self.ward | self.intensive).sum()), ("intensive", self._sum(self.intensive).sum()),
            ("deaths", self._sum(self.dead).sum()),
        ):  # fmt: skip
            self.course[name].append(float(value))

    def _sum(self, states: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """People in some of the states, by zone."""
        return np.asarray(self.outbreak.counts[:, states].sum(axis=1))

    def _write(self, state: State) -> None:
        if "zone" in self.city and self.city.size("zone") == self.people.zones:
            self._write_zones(state)
        if "facility" in self.city:
            for kind, name in enumerate(("hospital_epidemic_beds_free", "hospital_epidemic_intensive_free")):
                free = np.full(self.city.size("facility"), np.nan)
                free[self.hospitals.rows] = self.hospitals.free[: len(self.hospitals.rows), kind]
                state[name] = free
            patients = self.hospitals.patients[: len(self.hospitals.rows)]
            for name, value in (("hospital_patients", patients.sum(axis=1)), ("hospital_intensive_patients", patients[:, 1])):
                here = np.zeros(self.city.size("facility"))
                here[self.hospitals.rows] = value
                state[name] = here

    def _write_zones(self, state: State) -> None:
        living = np.maximum(self.people.of_zone, 1)
        infected = self._sum(self.on_the_way)
        ever = np.bincount(self.outbreak.health.zone, weights=self.outbreak.health.past, minlength=self.people.zones)
        traffic, power = self.measures.demand()
        dosed = np.flatnonzero(self.outbreak.health.dose) if self.measures.lost.doses else np.zeros(0, np.int64)
        state["zone_infections"] = self.outbreak.new if self.outbreak.day else 0.0
        state["zone_infected"] = infected
        state["zone_infected_share"] = infected / living
        state["zone_ever_infected_share"] = ever / living
        state["zone_ill"] = self._sum(self.ill)
        state["zone_patients"] = self._sum(self.ward | self.intensive)
        state["zone_intensive_patients"] = self._sum(self.intensive)
        state["zone_recovered"] = self._sum(self.immune)
        state["zone_epidemic_deaths"] = self._sum(self.dead)
        state["zone_vaccinated"] = np.bincount(self.outbreak.health.zone[dosed], minlength=self.people.zones)
        state["zone_water_contamination"] = self.water.level
        state["zone_traffic_demand"], state["zone_power_demand"] = traffic, power

    def summary(self, state: State) -> dict[str, Any]:
        """Totals by age, place and zone, the reproduction number by day, beds, what measures cost."""
        tally, lost, costs = self.outbreak.tally, self.measures.lost, self.params.costs
        place, entered = tally.place.sum(axis=0), tally.entered.sum(axis=0)
        infections = int(place.sum())
        needed = self._first_needs(entered)
        money = (lost.school_days * costs.school_day + lost.work_days * costs.work_day + lost.doses * costs.dose
                 + lost.tests * costs.test + lost.money)  # fmt: skip
        deaths = int(self._sum(self.dead).sum())
        variants = ("first", *self.disease.variants)
        return {
            "impact": {
                "people_infected": infections, "people_hospitalised": int(needed.sum()), "people_killed": deaths,
                "school_days_lost": lost.school_days, "work_days_lost": lost.work_days, "measures_cost": money,
            },
            "disease": self.disease.name, "people": len(self.people), "days": self.outbreak.day,
            "per_contact": self.per_contact, "attack_rate": infections / max(len(self.people), 1),
            "infected_by_age": _by_age(place.sum(axis=0)), "hospitalised_by_age": _by_age(needed),
            "killed_by_age": _by_age(entered[self.dead].sum(axis=0)),
            "infected_by_place": {LAYERS[n]: int(v) for n, v in enumerate(place.sum(axis=1))},
            "infected_by_variant": dict(zip(variants, tally.variants.sum(axis=0).tolist(), strict=True)),
            "course": self.course, "reproduction_by_day": self._reproduction(),
            "hospitals": {
                "beds": int(self.hospitals.beds[:, 0].sum()), "intensive_beds": int(self.hospitals.beds[:, 1].sum()),
                "turned_away": self.outbreak.turned_away, "first_turned_away_day": self.turned_away_first,
                **({"reason": self.hospitals.reason} if self.hospitals.reason else {}),
            } if not self.hospitals.reason else {"reason": self.hospitals.reason},
            "measures": {"tests": lost.tests, "doses": lost.doses, "calls": lost.calls, "days_at_home": lost.home_days},
            "notes": self.people.notes,
        }  # fmt: skip

    def _first_needs(self, entered: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """People by age who came to need a bed, counted at the first state with one on their way."""
        names = list(self.disease.states)
        bed = {n for n in names if self.disease.states[n].bed != "none"}
        first = [n for n in bed if any(w.to == n and w.begin not in bed for w in self.disease.transitions)]
        return np.asarray(entered[[names.index(n) for n in first]].sum(axis=0) if first else np.zeros(AGE_GROUPS, np.int64))

    def _reproduction(self) -> list[float | None]:
        """Mean infections caused so far by those infected on each day (the case reproduction number), None where nobody was."""
        caused = self.outbreak.tally.offspring.sum(axis=0)
        cases = self.outbreak.infected_by_day
        return [float(caused[d] / n) if n else None for d, n in enumerate(cases[: self.outbreak.day + 1])]


def _by_age(values: npt.NDArray[np.int64]) -> dict[str, int]:
    """Counts by ten-year groups, in words."""
    pairs = [(f"{10 * k}-{10 * k + 9}", int(values[2 * k : 2 * k + 2].sum())) for k in range(8)]
    return dict([*pairs, ("80+", int(values[16:].sum()))])
