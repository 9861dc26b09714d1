"""Who is in a building at the hour, and what follows for them and for it from each damage state.

Severities of Hazus: 1 treated on the spot, 2 hospital, 3 immediately life-threatening, 4 killed.

Sources: casualty rates, FEMA, Hazus Earthquake Model Technical Manual, chapter 12 (indoor casualty rates by damage state,
types and severity), as set down in this project's notes; which types collapse lightly (3 and 5 % of severities 3 and 4:
wood, light steel, mobile homes) is from knowledge and was not read again. Repair shares and days: the manual's lifeline
facilities by occupancy, in `data/hazus_repair.csv`. Displaced homes: the manual's weights for extensive (0.9 in buildings of
several homes, 0 in houses) and complete damage (1), from knowledge. Trapped, debris, and hours of the day are estimates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city import City
from citytwin.city.roads import number, text
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import Fragility, Mixture, shipped
from citytwin.hazards.earthquake.kernel_damage import STATES
from citytwin.hazards.earthquake.kernel_lanes import FOLLOWS
from citytwin.hazards.earthquake.taxonomy import mixture_of_gem

F64 = npt.NDArray[np.float64]

QUANTITIES = (
    "slight", "moderate", "extensive", "complete", "collapsed", "injured_1", "injured_2", "injured_3", "killed", "trapped",
    "displaced", "debris", "loss",
)  # fmt: skip
"""What the damage kernel adds up: buildings by state, people, tonnes, EUR."""

LEVELS = ("none", "slight", "moderate", "extensive", "complete", "collapsed")
"""Damage states of a result; complete is without those that collapsed."""

PERCENT = {
    "": ((0.05, 0, 0, 0), (0.25, 0.03, 0, 0), (1, 0.1, 0.001, 0.001), (5, 1, 0.01, 0.01), (40, 20, 5, 10)),
    "steel": ((0.05, 0, 0, 0), (0.2, 0.025, 0, 0), (1, 0.1, 0.001, 0.001), (5, 1, 0.01, 0.01), (40, 20, 5, 10)),
    "light": ((0.05, 0, 0, 0), (0.25, 0.03, 0, 0), (1, 0.1, 0.001, 0.001), (5, 1, 0.01, 0.01), (40, 20, 3, 5)),
    "masonry": ((0.05, 0, 0, 0), (0.35, 0.4, 0.001, 0.001), (2, 0.2, 0.002, 0.002), (10, 2, 0.02, 0.02), (40, 20, 5, 10)),
}
"""People hurt, % of those inside, by group of types: for each state the four severities."""

OCCUPANCY = {
    "house": "RES1", "apartments": "RES3", "commercial": "COM4", "industrial": "IND2", "public": "GOV1", "education": "EDU1",
    "health": "COM6", "farm": "AGR1", "other": "RES1",
}  # fmt: skip
"""Hazus occupancy of a building's use."""

COST = {"residential": 1333.40, "commercial": 1394.45, "industrial": 910.58}
"""Construction cost, EUR of 2010 per m2 of floor, European Union: Huizinga et al. 2017 (EUR 28552 EN), its cost table."""

SECTOR = {"commercial": "commercial", "public": "commercial", "education": "commercial", "health": "commercial",
          "industrial": "industrial", "farm": "industrial"}  # fmt: skip

AT_HOME = {"night": 0.99, "day": 0.53, "commute": 0.35}
"""Share of residents in residential buildings where nobody says who works where: Hazus (1 by night rounded down by us)."""

AT_PLACE = {"night": 0.02, "day": 0.90, "commute": 0.30}
"""Share of those with a place of work or school who are there: an estimate."""

HOME_IF_FREE = {"night": 0.99, "day": 0.65, "commute": 0.55}
"""Share of those without such a place who are at home: an estimate."""

FLOOR_PER_WORKER = {"commercial": 35.0, "industrial": 90.0, "public": 35.0, "education": 15.0, "health": 25.0, "farm": 400.0}
"""m2 of floor for each person inside by day where no table says who works where: an estimate."""

TRAPPED = 0.35
"""Share of the people in a collapsed building who cannot leave by themselves: severities 2 to 4; a convention of ours."""

MASS = {"light": 0.4, "steel": 0.8, "": 1.2, "masonry": 1.3}
"""Tonnes of structure and finishes per m2 of floor, and `RUBBLE`, the share of it on the ground by state: estimates."""
RUBBLE = (0.0, 0.02, 0.25, 0.60, 1.0)


def part_of_day(hour: float, weekend: bool = False) -> str:
    """The part of the day at a local hour: night, day (9 to 16 h), commute (6 to 9, 16 to 20 h); weekends have no day."""
    hour %= 24
    if hour >= 20 or hour < 6:
        return "night"
    if weekend:
        return "commute"
    return "day" if 9 <= hour < 16 else "commute"


def group_of(kind: str) -> str:
    """The group of `PERCENT` and `MASS` of a Hazus type, as in C1.L.HC."""
    material = kind.split(".")[0]
    if material in ("W1", "W2", "S3", "MH"):
        return "light"
    return "masonry" if material == "URM" else "steel" if material.startswith("S") else ""


def groups(mixture: Mixture) -> dict[str, float]:
    """How likely each group is in a mixture of Hazus curves, or of curves of a file that bear a GEM taxonomy."""
    total: dict[str, float] = {}
    for name, weight in mixture:
        parts = ((name, 1.0),) if name.split(".")[0] in _HAZUS else mixture_of_gem(name) or (("C1", 1.0),)
        for kind, share in parts:
            group = group_of(kind)
            total[group] = total.get(group, 0.0) + weight * share
    return total


_HAZUS = {"W1", "W2", "S1", "S2", "S3", "S4", "S5", "C1", "C2", "C3", "PC1", "PC2", "RM1", "RM2", "URM", "MH"}


def collapse_share(mixture: Mixture) -> float:
    """Share of the complete state that collapses, for curves of a file: that of the Hazus material (0.03 ... 0.15)."""
    share = groups(mixture)
    return 0.03 * share.get("light", 0.0) + 0.07 * share.get("steel", 0.0) + 0.13 * share.get("", 0.0) + 0.15 * share.get(
        "masonry", 0.0
    )  # fmt: skip


def severity_of(fragility: Fragility, said: Mapping[str, str] | None = None) -> tuple[int, ...]:
    """The level (1 slight ... 5 collapsed) of each state of the tables; of states beyond those of the curves too.

    A file's states are matched by name (slight, moderate, extensive, complete, collapse), else by their number: one state is
    complete; two are moderate and complete; three begin at moderate; five end with collapse. `said` has the last word.
    """
    count = len(fragility.states)
    names = [s.lower() for s in fragility.states]
    known = {"slight": 1, "minor": 1, "moderate": 2, "extensive": 3, "severe": 3, "complete": 4, "extreme": 4, "collapse": 5,
             "collapsed": 5}  # fmt: skip
    by_count = {1: (4,), 2: (2, 4), 3: (2, 3, 4), 4: (1, 2, 3, 4), 5: (1, 2, 3, 4, 5)}[count]
    levels = tuple(known.get(n, 0) for n in names)
    rising = all(levels) and all(b > a for a, b in pairwise(levels))
    levels = levels if rising else by_count
    if said:
        levels = tuple(known[said.get(s, "")] if s in said else lv for s, lv in zip(fragility.states, levels, strict=True))
    return (*levels, *(5,) * (STATES - count))


@cache
def _repair() -> dict[str, tuple[float, ...]]:
    return {r["id"]: tuple(float(r[f"state_{k}"] or "nan") for k in range(1, 6)) for r in shipped("hazus_repair.csv")}


def repair_shares(use: str) -> tuple[float, ...]:
    """Repair cost of states slight ... collapsed as a share of the building's value, for a use."""
    return _repair()[f"LF.{OCCUPANCY.get(use, 'RES1')}-Cost"]


def repair_days(use: str) -> tuple[float, ...]:
    """Days of repair (clean-up and construction) of states slight ... collapsed, for a use."""
    return _repair()[f"LF.{OCCUPANCY.get(use, 'RES1')}-Time"]


def casualty_rates(mixture: Mixture, weights: F64 | None = None) -> F64:
    """Rates per person inside, shape (5 levels, 4 severities), of a mixture; `weights` (5, groups) if they differ by level."""
    share = groups(mixture)
    table = np.array([PERCENT[g] for g in share]) / 100.0
    by_level = np.tile(np.array(list(share.values())), (5, 1)) if weights is None else weights
    rates: F64 = np.einsum("lg,gls->ls", by_level / by_level.sum(axis=1, keepdims=True), table)
    return rates


def values_of(building: pd.DataFrame) -> F64:
    """Replacement value (EUR) of each building: its `value`, or floor area times the construction cost of its sector."""
    given = number(building, "value")
    use = text(building, "use").astype(str)
    cost = np.array([COST[SECTOR.get(u, "residential")] for u in use])
    return np.where(np.isfinite(given), given, cost * floors(building))


def floors(building: pd.DataFrame) -> F64:
    """Floor area (m2): as the table says, else footprint times storeys."""
    given = number(building, "floor_area")
    levels = np.maximum(number(building, "levels", 1.0), 1.0)
    area = building.geometry.area.to_numpy() if "geometry" in building else np.zeros(len(building))
    return np.where(np.isfinite(given), given, area * levels)


def occupants(city: City, hour: float, weekend: bool = False) -> F64:
    """People inside each building at a local hour: from who lives, works and learns where, or from residents and floors.

    A table of assets may say it itself: columns `people_day`, `people_night`, `people_transit`.
    """
    building = city.table("building")
    part = part_of_day(hour, weekend)
    said = number(building, {"night": "people_night", "day": "people_day", "commute": "people_transit"}[part])
    residents = np.maximum(number(building, "people", 0.0), 0.0)
    if "person" in city and "household" in city:
        inside = _from_persons(city, part, residents)
    else:
        use = text(building, "use").astype(str)
        per_floor = np.array([1.0 / FLOOR_PER_WORKER[u] if u in FLOOR_PER_WORKER else 0.0 for u in use])
        inside = residents * AT_HOME[part] + floors(building) * per_floor * {"night": 0.02, "day": 1.0, "commute": 0.4}[part]
    return np.where(np.isfinite(said), said, inside)


def _from_persons(city: City, part: str, residents: F64) -> F64:
    person = city.table("person")
    size = city.size("building")
    home = city.rows("building", text(city.table("household"), "building"))[city.rows("household", text(person, "household"))]
    place = text(person, "place")
    there = city.rows("building", place)
    if "facility" in city:
        at = city.rows("facility", place)
        inside = city.rows("building", text(city.table("facility"), "building"))
        there = np.where((there < 0) & (at >= 0), inside[at], there)
    busy = there >= 0
    known = np.bincount(home[home >= 0], minlength=size).astype(np.float64)
    at_home = np.where(busy, 1.0 - AT_PLACE[part] - (0.0 if part == "night" else 0.10), HOME_IF_FREE[part])
    at_home = np.clip(at_home, 0.0, 1.0)
    total = np.bincount(home[home >= 0], weights=at_home[home >= 0], minlength=size)
    away = np.bincount(there[busy], minlength=size) * AT_PLACE[part]
    return np.asarray(total + away + np.maximum(residents - known, 0.0) * AT_HOME[part], dtype=np.float64)


AMOUNTS = ("number", "inside", "residents", "floor", "value")
"""What quantities go by: buildings that an entry stands for, people inside, residents, floor area (m2), value (EUR)."""
_GOES_BY = (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 0, 0, 0)


class Kind(NamedTuple):
    """What entries have in common.

    hurt: (5 levels, 4 severities) per person inside. homes: share of the residents displaced by extensive damage. mass: tonnes
    per m2 of floor. loss: share of the value in each of the five states of the tables.
    """

    hurt: F64
    homes: float
    mass: float
    loss: Sequence[float] | F64


def follows_of(kinds: Sequence[Kind], kind: npt.ArrayLike, severity: Sequence[int], amount: Mapping[str, F64]) -> Follows:
    """What follows from each state of each entry, in the order of `QUANTITIES`.

    kind (n,): of each entry. severity: level of each state of the tables. amount: each of `AMOUNTS`, (n,).
    """
    rates = np.zeros((len(kinds), STATES + 1, FOLLOWS), dtype=np.float32)
    for row, each in enumerate(kinds):
        for state, level in enumerate(severity, start=1):
            rates[row, state, level - 1] = 1.0
            rates[row, state, 5:9] = each.hurt[level - 1]
            rates[row, state, 9] = TRAPPED if level == 5 else 0.0
            rates[row, state, 10] = 1.0 if level >= 4 else each.homes if level == 3 else 0.0
            rates[row, state, 11] = each.mass * RUBBLE[level - 1]
            rates[row, state, 12] = each.loss[state - 1]
    columns = np.column_stack([amount[name] for name in AMOUNTS]).astype(np.float32)
    return Follows(rates, np.asarray(kind, dtype=np.int32), columns, np.array(_GOES_BY, dtype=np.int64), len(QUANTITIES))
