"""Who lives where: residents of each building by age group, and the zone of each building."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.city.roads import number, text

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

# Where the city says nothing: shares of the population of the European Union on 1 January 2023 younger than 15 and older
# than 64, and people per household (Eurostat, Population structure and ageing; Household composition statistics).
SHARE_UNDER_15 = 0.149
SHARE_OVER_64 = 0.213
PEOPLE_PER_DWELLING = 2.3

AGES = ("under_15", "15_to_64", "over_64")


@dataclass(frozen=True)
class Residents:
    """Residents of each building: `people`, and `by_age` (the groups of `AGES`, which add up to people).

    `assumed`: number of buildings whose residents were assumed from dwellings; `unknown`: of those counted as empty because
    nothing is known; `ages_assumed`: of inhabited ones whose age groups follow the shares of the European Union.
    """

    people: Values
    by_age: dict[str, Values]
    assumed: int
    unknown: int
    ages_assumed: int


def residents(building: pd.DataFrame) -> Residents:
    """Residents of the building table; what it lacks is filled as `Residents` says."""
    given = number(building, "people")
    lacking = ~np.isfinite(given)
    dwellings = number(building, "dwellings")
    guess = np.where(lacking & np.isfinite(dwellings), dwellings * PEOPLE_PER_DWELLING, 0.0)
    people = np.maximum(np.where(lacking, guess, given), 0.0)
    young, old = number(building, "people_under_15"), number(building, "people_over_64")
    ages_lacking = ~(np.isfinite(young) & np.isfinite(old))
    young = np.clip(np.where(ages_lacking, people * SHARE_UNDER_15, young), 0.0, people)
    old = np.clip(np.where(ages_lacking, people * SHARE_OVER_64, old), 0.0, people - young)
    return Residents(
        people, dict(zip(AGES, (young, people - young - old, old), strict=True)), int(np.sum(lacking & np.isfinite(dwellings))),
        int(np.sum(lacking & ~np.isfinite(dwellings))), int(np.sum(ages_lacking & (people > 0))),
    )  # fmt: skip


def zones_of(city: City, table: str) -> Rows:
    """Row in table `zone` of each row of `table`: by its `zone` key, else by where its inner point lies; -1 in no zone."""
    things = city.table(table)
    if "zone" not in city:
        return np.full(len(things), -1, dtype=np.int64)
    rows = city.rows("zone", text(things, "zone"))
    lost = np.flatnonzero(rows < 0)
    if len(lost):
        tree = shapely.STRtree(np.asarray(city.table("zone").geometry.to_numpy(), dtype=object))
        inner = shapely.point_on_surface(np.asarray(things.geometry.to_numpy(), dtype=object)[lost])
        at, zone = tree.query(inner, predicate="within")
        rows[lost[at[::-1]]] = zone[::-1]  # of overlapping zones, the first
    return rows


def zone_sums(city: City, zone: Rows, values: Values) -> Values:
    """Sum of `values` over the things of each zone."""
    inside = zone >= 0
    return np.bincount(zone[inside], weights=values[inside], minlength=city.size("zone")).astype(np.float64)
