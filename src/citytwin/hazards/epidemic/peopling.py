"""People made for a city that knows only how many live in each building.

Ages by zone are fitted to margins (IPF) and rounded to whole people that keep them; households of census sizes are filled with
ages that could be families; homes go to buildings by their residents; schools and jobs by capacity and gravity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.city.roads import number, text
from citytwin.city.synthetic.people import AGE_GROUPS as GERMANY
from citytwin.city.synthetic.people import SIZES, families
from citytwin.errors import InputError, MissingError, nearest
from citytwin.hazards.epidemic.arrays import AGE_GROUPS
from citytwin.hazards.epidemic.fitting import by_columns, by_rows, fitted, gravity, shared_out, whole
from citytwin.hazards.epidemic.people import PERSONS_A_DWELLING, SCHOOLS, Days, Persons, zone_of

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

ATTEND = {"kindergarten": (1, 6, 0.72), "school": (6, 18, 1.0), "university": (18, 25, 0.33)}
"""Ages from ... to below, and share that attends: rules, as in made cities."""
IN_WORK, WORK_AGES = 0.76, (18, 67)  # share at work: near European employment rates
DESK = {"commercial": 28.0, "industrial": 70.0, "public": 35.0, "education": 60.0, "health": 40.0, "other": 200.0}
"""Floor (m2) for one work place by a building's use: rules, as in made cities."""
SCHOOL_WAY, WORK_WAY = 1200.0, 4000.0
"""Scale (m) of how the pull of schools and jobs falls with distance: rules; mean trip lengths can be given."""
FIRM_SPREAD = 1.0
"""Sigma of the lognormal sizes of employers around what their floor holds: a rule."""


@dataclass
class Margins:
    """What a census says: shares of five-year ages and household sizes in the city, and counts by zone where it has them.

    By row of the zone: zone_age, people by five-year group; zone_size, households by size 1, 2, ...; women, their share.
    """

    age: Numbers = field(default_factory=lambda: np.array(GERMANY, dtype=float))
    size: Numbers = field(default_factory=lambda: np.array(list(SIZES.values())))
    zone_age: dict[int, Numbers] = field(default_factory=dict)
    zone_size: dict[int, Numbers] = field(default_factory=dict)
    women: dict[int, float] = field(default_factory=dict)
    given: bool = False


def read_margins(path: Path, city: City) -> Margins:
    """Margins of a CSV (or Parquet) with the columns `zone` (key, or empty for the city), `margin`, `class`, `people`.

    margin: age (class "0-4", ..., "85+"), household_size (class 1, 2, ...; counts of households), sex (class f or m).
    Raises MissingError, InputError.
    """
    table = read_frame(path, ("zone", "margin", "class", "people"))
    margins = Margins(given=True)
    keys = city.table("zone")["key"].tolist() if "zone" in city else []
    for (zone, margin), rows in table.groupby([table["zone"].fillna("").astype(str), "margin"], sort=True):
        if zone and zone not in keys:
            raise InputError(f'no zone "{zone}"', str(path), nearest(str(zone), keys[:20000]))
        row = keys.index(zone) if zone else -1
        said = dict(zip(rows["class"].astype(str), rows["people"].astype(float), strict=True))
        _take(margins, row, str(margin), said, path)
    return margins


def _take(margins: Margins, row: int, margin: str, said: dict[str, float], path: Path) -> None:
    if margin == "age":
        values = np.zeros(AGE_GROUPS)
        for band, people in said.items():
            low = int(band.rstrip("+").split("-")[0])
            high = AGE_GROUPS * 5 - 1 if band.endswith("+") else int(band.split("-")[-1])
            cells = np.arange(min(low // 5, AGE_GROUPS - 1), min(high // 5, AGE_GROUPS - 1) + 1)
            share = np.array(GERMANY, dtype=float)[cells]
            values[cells] += people * share / share.sum()
        margins.age, margins.zone_age = (
            (values, margins.zone_age) if row < 0 else (margins.age, margins.zone_age | {row: values})
        )
    elif margin == "household_size":
        values = np.zeros(max(int(k.rstrip("+")) for k in said))
        for size, households in said.items():
            values[int(size.rstrip("+")) - 1] += households
        margins.size, margins.zone_size = (
            (values, margins.zone_size) if row < 0 else (margins.size, margins.zone_size | {row: values})
        )
    elif margin == "sex":
        margins.women[row] = said.get("f", 0.0) / max(sum(said.values()), 1e-9)
    else:
        raise InputError(f'no margin "{margin}"', str(path), nearest(margin, ("age", "household_size", "sex")))


def read_frame(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """The table in a CSV or Parquet file, with at least `columns`. Raises MissingError, InputError."""
    if not path.is_file():
        raise MissingError("no such file", str(path))
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"zone": str, "class": str})
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise InputError(f"cannot be read as a table: {error}", str(path)) from error
    lacking = [c for c in columns if c not in table]
    if lacking:
        raise InputError(f'has no column "{lacking[0]}"', str(path), "columns: " + ", ".join(columns))
    return table


def make_persons(
    city: City, margins: Margins, rng: np.random.Generator, notes: list[str], jobs: Numbers | None = None,
    trip: float | None = None,
) -> Persons:  # fmt: skip
    """Persons for the residents of the buildings. jobs: commuters between zones (Z, Z), if known; trip: mean way to work, m."""
    building = city.table("building")
    zone, zones = zone_of(city, "building")
    residents = _residents(building)
    in_zone = np.bincount(zone, weights=residents, minlength=zones).astype(np.int64)
    if not in_zone.sum():
        raise InputError("nobody lives here", "epidemic", "the buildings of the city have no residents")
    table = ages_by_zone(margins, in_zone, _bands(building, zone, residents, zones))
    parts = [_zone_persons(z, table[z], margins, rng) for z in range(zones) if in_zone[z]]
    age, female, person_zone = (np.concatenate([p[k] for p in parts]) for k in (1, 2, 3))
    counts = np.array([p[4] for p in parts])
    start = np.repeat(np.cumsum(counts) - counts, [len(p[1]) for p in parts])
    household = np.concatenate([p[0] for p in parts]) + start
    home = _homes(np.bincount(household), person_zone[np.flatnonzero(np.diff(household, prepend=-1))], residents, zone, rng)
    days = _days(city, age, person_zone, zone, zones, rng, jobs, trip)
    source = "the census margins given" if margins.given else "Germany's ages and household sizes"
    notes.append(f"{len(age)} people made from the residents of buildings, with {source}")
    return Persons(age, female, household, home, days)


def _residents(building: pd.DataFrame) -> Rows:
    people = number(building, "people")
    guess = number(building, "dwellings", 0.0) * PERSONS_A_DWELLING
    exact = np.maximum(np.where(np.isfinite(people), people, guess), 0.0)
    return shared_out(exact, round(float(exact.sum()))) if exact.sum() > 0 else np.zeros(len(exact), np.int64)


def _bands(building: pd.DataFrame, zone: Rows, residents: Rows, zones: int) -> Numbers | None:
    """Residents under 15, of 15 to 64, and over 64 of each zone, where the buildings say so."""
    young, old = number(building, "people_under_15"), number(building, "people_over_64")
    if not (np.isfinite(young) & np.isfinite(old))[residents > 0].all():
        return None
    both = [np.bincount(zone, weights=np.nan_to_num(v), minlength=zones) for v in (young, old)]
    total = np.bincount(zone, weights=residents, minlength=zones)
    return np.stack([both[0], np.maximum(total - both[0] - both[1], 0.0), both[1]], axis=1)


def ages_by_zone(margins: Margins, in_zone: Rows, bands: Numbers | None = None) -> Rows:
    """People by zone and five-year group (Z, 18): zones' totals exact, ages as the margins have them, bands as known."""
    zones = len(in_zone)
    share = margins.age / margins.age.sum()
    table = np.outer(in_zone, share)
    for row, ages in margins.zone_age.items():
        table[row] = ages / max(ages.sum(), 1e-9) * in_zone[row]
    targets = [(by_rows(table.shape), in_zone.astype(float))]
    if not margins.zone_age and bands is None:
        targets.insert(0, (by_columns(table.shape), share * in_zone.sum()))
    if bands is not None and not margins.zone_age:
        band = np.repeat([0, 1, 2], [3, 10, AGE_GROUPS - 13])
        targets.insert(0, (np.arange(zones)[:, None] * 3 + band, bands.reshape(-1)))
    return whole(fitted(table, targets), in_zone)


def _zone_persons(
    zone: int, ages: Rows, margins: Margins, rng: np.random.Generator
) -> tuple[Rows, Rows, npt.NDArray[np.bool_], Rows, int]:
    """Household, age, sex and zone of the people of one zone, and how many households."""
    group = np.repeat(np.arange(AGE_GROUPS), ages)
    oldest = np.minimum(rng.geometric(0.17, len(group)) - 1, 14)  # deaths thin the ages from 85: as in made cities
    age = np.sort(group * 5 + np.where(group < AGE_GROUPS - 1, rng.integers(0, 5, len(group)), oldest))
    size = sizes_of(len(age), margins.zone_size.get(zone, margins.size), rng)
    household, age, female, _ = families(size, age, rng)
    share = margins.women.get(zone, margins.women.get(-1))
    if share is not None:
        surplus = int(female.sum()) - round(share * len(female))
        flip = np.flatnonzero(female == (surplus > 0))
        female[rng.permutation(flip)[: abs(surplus)]] ^= True
    return household, age, female, np.full(len(age), zone), len(size)


def sizes_of(people: int, share: Numbers, rng: np.random.Generator) -> Rows:
    """Sizes of households with `people` members in all, in the proportions of `share` (households of 1, 2, ...)."""
    mean = float((share * np.arange(1, len(share) + 1)).sum() / share.sum())
    sizes = np.repeat(np.arange(1, len(share) + 1), shared_out(share, max(1, int(people / mean))))
    over = int(sizes.sum()) - people
    if over > 0:
        sizes = np.sort(sizes)[::-1]
        keep = int(np.searchsorted(np.cumsum(sizes), people, side="left"))
        sizes = sizes[: keep + 1].copy()
        sizes[-1] -= int(sizes.sum()) - people
    else:
        sizes = np.concatenate([sizes, np.ones(-over, np.int64)])
    return rng.permutation(sizes[sizes > 0]).astype(np.int64)


def _homes(size: Rows, household_zone: Rows, residents: Rows, zone: Rows, rng: np.random.Generator) -> Rows:
    """Building of each household: households of a zone fill its buildings by their residents."""
    order = np.lexsort((rng.uniform(size=len(size)), household_zone))
    homes = np.flatnonzero(residents > 0)
    homes = homes[np.argsort(zone[homes], kind="stable")]
    middle = np.cumsum(size[order]) - size[order] / 2.0
    out = np.empty(len(size), np.int64)
    out[order] = homes[np.minimum(np.searchsorted(np.cumsum(residents[homes]), middle), len(homes) - 1)]
    return out


def _days(
    city: City, age: Rows, person_zone: Rows, building_zone: Rows, zones: int, rng: np.random.Generator, jobs: Numbers | None,
    trip: float | None,
) -> Days:  # fmt: skip
    facility, building = np.full(len(age), -1, np.int64), np.full(len(age), -1, np.int64)
    attends = np.zeros(len(age), bool)
    for kind in SCHOOLS:
        low, high, share = ATTEND[kind]
        who = np.flatnonzero((age >= low) & (age < high) & (rng.uniform(size=len(age)) < share))
        rows = np.flatnonzero(text(city.table("facility"), "kind") == kind) if "facility" in city else np.zeros(0, np.int64)
        attends[who] = True
        if len(rows) and len(who):
            facility[who] = _to_schools(city, rows, person_zone[who], zones, rng)
        else:
            attends[who[age[who] >= WORK_AGES[0]]] = False
    low, high = WORK_AGES
    working = (age >= low) & (age < high) & ~attends & (rng.uniform(size=len(age)) < IN_WORK)
    who = np.flatnonzero(working)
    building[who] = _to_work(city, person_zone[who], building_zone, zones, rng, jobs, trip)
    return Days(facility, building, working, attends)


def centres(city: City, zones: int) -> Numbers:
    """x, y of a point inside each zone (m); one for a city without zones."""
    if "zone" not in city or not city.size("zone"):
        return np.zeros((1, 2))
    return np.asarray(shapely.get_coordinates(shapely.point_on_surface(np.asarray(city.table("zone").geometry, dtype=object))))


def distances(city: City, zones: int) -> Numbers:
    """Distance (m) between zones; within one, half the radius of a circle of its area."""
    place = centres(city, zones)
    out = np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1))
    if "zone" in city and city.size("zone"):
        area = np.asarray(shapely.area(np.asarray(city.table("zone").geometry, dtype=object)))
        np.fill_diagonal(out, 0.5 * np.sqrt(area / np.pi))
    return np.asarray(out)


def _to_schools(city: City, rows: Rows, person_zone: Rows, zones: int, rng: np.random.Generator) -> Rows:
    """A facility for each person, by capacity and distance from the middle of the zone."""
    table = city.table("facility").iloc[rows]
    place = shapely.get_coordinates(shapely.point_on_surface(np.asarray(table.geometry, dtype=object)))
    capacity = number(table, "capacity")
    capacity = np.where(np.isfinite(capacity) & (capacity > 0), capacity, np.nan)
    capacity = np.where(np.isfinite(capacity), capacity, np.nanmean(capacity) if np.isfinite(capacity).any() else 1.0)
    distance = np.hypot(*(centres(city, zones)[:, None] - place[None]).transpose(2, 0, 1))
    leaving = np.bincount(person_zone, minlength=zones)
    trips = whole(gravity(distance, leaving.astype(float), capacity, scale=SCHOOL_WAY), leaving)
    return _dealt(person_zone, rows, trips, rng)


def _dealt(person_zone: Rows, target: Rows, trips: Rows, rng: np.random.Generator) -> Rows:
    """A target for each person: those of each zone shuffled, then dealt out by the row of `trips`."""
    order = np.lexsort((rng.uniform(size=len(person_zone)), person_zone))
    out = np.empty(len(person_zone), np.int64)
    out[order] = np.repeat(np.tile(target, len(trips)), trips.reshape(-1))
    return out


def _to_work(
    city: City, person_zone: Rows, building_zone: Rows, zones: int, rng: np.random.Generator, jobs: Numbers | None,
    trip: float | None,
) -> Rows:  # fmt: skip
    """A building for each worker: the zone by the commuters given, else gravity; in it by floor and chance."""
    offers = work_places(city.table("building"))
    offers *= rng.lognormal(0.0, FIRM_SPREAD, len(offers))
    leaving = np.bincount(person_zone, minlength=zones)
    inside = np.bincount(building_zone, weights=offers, minlength=zones)
    if jobs is None:
        trips = gravity(distances(city, zones), leaving.astype(float), inside.astype(float), trip, WORK_WAY)
    else:
        rows = jobs * (inside > 0)
        empty = rows.sum(axis=1) <= 0
        rows[empty] = inside
        trips = rows * (leaving / rows.sum(axis=1))[:, None]
    to = _dealt(person_zone, np.arange(zones), whole(trips, leaving), rng)
    order = np.argsort(building_zone, kind="stable")
    reach = np.cumsum(offers[order])
    before = np.concatenate([[0.0], np.cumsum(inside)])
    spot = before[to] + rng.uniform(size=len(to)) * inside[to]
    found = order[np.minimum(np.searchsorted(reach, spot, side="right"), len(order) - 1)]
    return np.where(inside[to] > 0, found, -1)


def work_places(building: pd.DataFrame) -> Numbers:
    """Work places of each building by use and floor area; where no building has a known use, by size alone."""
    use = text(building, "use")
    floor = number(building, "floor_area")
    size = shapely.area(np.asarray(building.geometry, dtype=object)) * number(building, "levels", 1.0)
    floor = np.where(np.isfinite(floor), floor, size)
    offers = floor / np.array([DESK.get(str(u), np.inf) for u in use])
    return np.asarray(offers if offers.sum() > 0 else np.maximum(floor, 1.0))
