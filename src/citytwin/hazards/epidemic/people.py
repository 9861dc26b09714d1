"""The people of a city as arrays: age, sex, household, home zone, and the class, team or care-home wing of their day.

From the tables `person` and `household` where the city has them, else made from the residents of its buildings (`peopling`).
Sorted by zone, then household, so that households and zones are ranges. About 20 bytes a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city import City
from citytwin.city.roads import number, text
from citytwin.errors import InputError
from citytwin.hazards.epidemic.arrays import AGE_GROUPS, CARE_HOME, CLASS, TEAM, Town

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

CLASS_SIZE, TEAM_SIZE, WING_SIZE = 25, 20, 20
"""Pupils of a class (20-30), most members of a team, residents of a care home's wing: rules."""

CARE_AGE, CARE_FULL = 75, 0.9
"""Where the tables do not say who lives in a care home: single people from this age, to this share of the places (rules)."""

PERSONS_A_DWELLING = 2.3  # EU-28, 2015, Eurostat lfst_hhantych
MOST_ZONES = 3000
SCHOOLS = ("kindergarten", "school", "university")


@dataclass
class Days:
    """Where persons spend the day: row of a facility or of a building, -1 for neither; who is `working`, who `attends`."""

    facility: Rows
    building: Rows
    working: Marks
    attends: Marks


@dataclass
class Persons:
    """Persons as read or made, in any order: `household` is a row of `home` (building of each household)."""

    age: Rows
    female: Marks
    household: Rows
    home: Rows
    days: Days


@dataclass
class People:
    """The people as the epidemic sees them; `town` holds the arrays of the kernels.

    home: building of each household, -1 unknown. group_zone: zone where each class, team or wing meets. zones: number of zones.
    row: the person's row in the city's table (or in the order of making). notes: what was assumed.
    """

    town: Town
    age: npt.NDArray[np.uint8]
    female: Marks
    working: Marks
    home: npt.NDArray[np.int32]
    group_zone: npt.NDArray[np.int32]
    zones: int
    row: npt.NDArray[np.int32]
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.age)

    @property
    def of_zone(self) -> Rows:
        """Number of people of each zone."""
        return np.diff(self.town.zone_start).astype(np.int64)

    @property
    def zone(self) -> Rows:
        """Zone of each person."""
        return np.repeat(np.arange(self.zones), self.of_zone)

    @property
    def household(self) -> Rows:
        """Household of each person, numbered in their order."""
        size = np.diff(self.town.household_start)
        return np.repeat(np.arange(len(size)), size)

    @property
    def layer(self) -> npt.NDArray[np.uint8]:
        """The kind of place that each person spends the day in: CLASS, TEAM, CARE_HOME or 0."""
        group = self.town.group
        return np.where(group >= 0, self.town.group_layer[group], 0).astype(np.uint8) if len(self.town.group_layer) else (
            np.zeros(len(self), np.uint8))  # fmt: skip

    @property
    def bytes_each(self) -> float:
        """Bytes that the arrays take, for each person."""
        arrays: list[Any] = [*self.town, self.age, self.female, self.working, self.home, self.group_zone, self.row]
        return float(sum(a.nbytes for a in arrays) / max(len(self), 1))


def zone_of(city: City, table: str) -> tuple[Rows, int]:
    """Zone of each row of `table`, by key, else by the nearest zone; and how many zones. A city without zones is one."""
    things = city.table(table)
    if "zone" not in city or not city.size("zone"):
        return np.zeros(len(things), np.int64), 1
    rows = city.rows("zone", text(things, "zone"))
    lost = np.flatnonzero(rows < 0)
    if len(lost):
        tree = shapely.STRtree(np.asarray(city.table("zone").geometry.to_numpy(), dtype=object))
        rows[lost] = tree.nearest(shapely.point_on_surface(np.asarray(things.geometry.to_numpy(), dtype=object)[lost]))
    return rows, city.size("zone")


def read_persons(city: City) -> Persons:
    """The persons of the tables `person` and `household`. Raises InputError for a person without a household."""
    person, household = city.table("person"), city.table("household")
    row = city.rows("household", person["household"])
    if (row < 0).any():
        raise InputError(f'"{person["household"].iloc[int(np.argmin(row))]}" is no household', "table person")
    home = city.rows("building", text(household, "building"))
    occupation = text(person, "occupation")
    facility = np.full(len(person), -1, np.int64)
    building = np.full(len(person), -1, np.int64)
    if "place" in person:
        place = person["place"].fillna("")
        building = city.rows("building", place)
        if "facility" in city:
            facility = city.rows("facility", place)
    days = Days(facility, building, occupation == "worker", np.isin(occupation, ("pupil", "preschool")))
    age = np.clip(number(person, "age", 40.0), 0, 120).astype(np.int64)
    return Persons(age, text(person, "sex") == "f", row, home, days)


def settle(city: City, persons: Persons, rng: np.random.Generator, notes: list[str]) -> People:
    """Classes, teams and wings for persons, and all of it in the order of zones and households."""
    building_zone, zones = zone_of(city, "building")
    if zones > MOST_ZONES:
        raise InputError(f"{zones} zones", "epidemic", f"at most {MOST_ZONES}: join some")
    home = persons.home.copy()
    zone = np.where(home >= 0, building_zone[home], 0)
    facility_zone, facility_building, kind = _facilities(city, zones)
    if not (np.isin(persons.days.facility, np.flatnonzero(kind == "care_home")) & (persons.age > 60)).any():
        _move_to_care_homes(city, persons, kind, rng, notes)
    wing = (persons.days.facility >= 0) & (np.append(kind, "")[persons.days.facility] == "care_home")
    moved = np.flatnonzero(wing)
    zone[persons.household[moved]] = facility_zone[persons.days.facility[moved]]
    group, layer, group_zone = make_groups(persons, wing, facility_building, facility_zone, building_zone, rng)
    return assemble(
        persons.age, persons.household, zone, group, layer, zones, group_zone=group_zone, female=persons.female, home=home,
        working=persons.days.working, notes=notes,
    )  # fmt: skip


def _facilities(city: City, zones: int) -> tuple[Rows, Rows, npt.NDArray[np.object_]]:
    if "facility" not in city:
        return np.zeros(1, np.int64), np.full(1, -1), np.array([""], dtype=object)
    table = city.table("facility")
    zone, _ = zone_of(city, "facility")
    return np.append(zone, 0), np.append(city.rows("building", text(table, "building")), -1), text(table, "kind")


def _move_to_care_homes(
    city: City, persons: Persons, kind: npt.NDArray[np.object_], rng: np.random.Generator, notes: list[str]
) -> None:
    """Give the care homes residents: single people of old age, the oldest rather."""
    rows = np.flatnonzero(kind == "care_home")
    if not len(rows):
        return
    places = np.nan_to_num(number(city.table("facility"), "capacity")[rows])
    size = np.bincount(persons.household, minlength=len(persons.home))
    able = np.flatnonzero((size[persons.household] == 1) & (persons.age >= CARE_AGE))
    order = able[np.argsort(-(persons.age[able] / 6.0 + rng.gumbel(size=len(able))), kind="stable")]
    slots = rng.permutation(np.repeat(rows, (places * CARE_FULL).astype(int)))
    chosen = order[: min(len(slots), len(able) // 2)]
    persons.days.facility[chosen] = slots[: len(chosen)]
    notes.append(
        f"{len(chosen)} single people of {CARE_AGE} and older live in {len(rows)} care homes: assumed from their capacity"
    )


def make_groups(
    persons: Persons, wing: Marks, facility_building: Rows, facility_zone: Rows, building_zone: Rows, rng: np.random.Generator
) -> tuple[Rows, Rows, Rows]:
    """Group of each person (-1 none), and layer and zone of each group.

    Pupils of a school are cut by age into classes, each with a teacher from among those who work in its building; residents of
    a care home into wings with its staff; others who work in one building into teams.
    """
    days = persons.days
    group = np.full(len(persons.age), -1, np.int64)
    layers: list[Rows] = []
    zones: list[Rows] = []
    made = 0
    staff = days.working & (days.building >= 0) & ~wing
    for who, size, layer, order in (
        (np.flatnonzero(days.attends & (days.facility >= 0)), CLASS_SIZE, CLASS, persons.age),
        (np.flatnonzero(wing), WING_SIZE, CARE_HOME, np.zeros(len(persons.age))),
    ):
        if not len(who):
            continue
        who = who[np.lexsort((rng.uniform(size=len(who)), order[who], days.facility[who]))]
        place = days.facility[who]
        number = cut(place, size)
        group[who] = made + number
        count = int(number.max()) + 1
        of = place[np.searchsorted(number, np.arange(count))]
        _add_staff(group, made, facility_building[of], staff, days.building, 1 if layer == CLASS else 8, rng)
        layers.append(np.full(count, layer))
        zones.append(facility_zone[of])
        made += count
    who = np.flatnonzero(days.working & (group < 0))
    who = who[np.lexsort((rng.uniform(size=len(who)), days.building[who]))]
    who = who[days.building[who] >= 0]
    if len(who):
        number = cut(days.building[who], TEAM_SIZE)
        group[who] = made + number
        of = days.building[who][np.searchsorted(number, np.arange(int(number.max()) + 1))]
        layers.append(np.full(len(of), TEAM))
        zones.append(building_zone[of])
    none = [np.zeros(0, np.int64)]
    return group, np.concatenate(layers or none), np.concatenate(zones or none)


def cut(place: Rows, size: int) -> Rows:
    """Number of the group of each member, sorted by `place`: equal groups of at most `size`, none over two places."""
    first = np.flatnonzero(np.diff(place, prepend=place[0] - 1))
    count = np.diff(np.append(first, len(place)))
    groups = -(-count // size)
    before = np.cumsum(groups) - groups
    slot = np.arange(len(place)) - np.repeat(first, count)
    return np.asarray(np.repeat(before, count) + slot * np.repeat(groups, count) // np.repeat(count, count))


def _add_staff(
    group: Rows, made: int, building: Rows, staff: Marks, works_in: Rows, each: int, rng: np.random.Generator
) -> None:
    """Give each of the groups (numbered from `made`, in `building`) up to `each` of those who work in that building."""
    free = np.flatnonzero(staff & (group < 0) & np.isin(works_in, building[building >= 0]))
    free = free[np.lexsort((rng.uniform(size=len(free)), works_in[free]))]
    slot = np.arange(len(free)) - np.searchsorted(works_in[free], works_in[free], side="left")
    order = np.argsort(building, kind="stable")
    first = np.searchsorted(building[order], works_in[free], side="left")
    groups = np.searchsorted(building[order], works_in[free], side="right") - first
    taken = slot < groups * each
    group[free[taken]] = made + order[first[taken] + slot[taken] % groups[taken]]


def assemble(
    age: npt.ArrayLike, household: npt.ArrayLike, household_zone: npt.ArrayLike, group: npt.ArrayLike,
    group_layer: npt.ArrayLike, zones: int, *, group_zone: npt.ArrayLike | None = None, female: npt.ArrayLike | None = None,
    home: npt.ArrayLike | None = None, working: npt.ArrayLike | None = None, notes: list[str] | None = None,
) -> People:  # fmt: skip
    """People from plain arrays: by person age, household (row of household_zone) and group (row of group_layer, -1 none)."""
    age, household, zone = np.asarray(age), np.asarray(household, np.int64), np.asarray(household_zone, np.int64)
    group = np.asarray(group, np.int64)
    if not len(age):
        raise InputError("nobody lives here", "epidemic", "the buildings of the city have no residents")
    order = np.lexsort((household, zone[household]))
    sorted_household = household[order]
    new = np.flatnonzero(np.diff(sorted_household, prepend=-1))
    person_zone = zone[sorted_household]
    group, layers = group[order], np.asarray(group_layer, np.uint8)
    members = np.flatnonzero(group >= 0)
    members = members[np.argsort(group[members], kind="stable")]
    town = Town(
        age_group=np.minimum(age[order] // 5, AGE_GROUPS - 1).astype(np.uint8),
        household_start=np.append(new, len(order)).astype(np.int32),
        zone_start=np.searchsorted(person_zone, np.arange(zones + 1)).astype(np.int32), group=group.astype(np.int32),
        group_start=np.searchsorted(group[members], np.arange(len(layers) + 1)).astype(np.int32),
        group_member=members.astype(np.int32), group_layer=layers,
    )  # fmt: skip
    homes = np.full(len(zone), -1) if home is None else np.asarray(home)
    where = np.zeros(len(layers), np.int64) if group_zone is None else np.asarray(group_zone)
    said = np.zeros(len(age), bool)
    return People(
        town, age[order].astype(np.uint8), said if female is None else np.asarray(female)[order],
        said if working is None else np.asarray(working)[order], homes[sorted_household[new]].astype(np.int32),
        where.astype(np.int32), zones, order.astype(np.int32), notes or [],
    )  # fmt: skip


__all__ = ["Days", "People", "Persons", "assemble", "read_persons", "settle", "zone_of"]
