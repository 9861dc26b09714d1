"""The result in numbers: impact with its band, who needs help where, hospitals against the injured."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.city.roads import number, text
from citytwin.hazards.earthquake.casualties import LEVELS, QUANTITIES
from citytwin.hazards.earthquake.strike import Struck

F64 = npt.NDArray[np.float64]

MOST_ZONES = 300
ZONE_ENTRIES = ("collapses", "trapped", "injured", "killed", "displaced")


def band(values: npt.ArrayLike) -> dict[str, float]:
    """5th, 50th and 95th percentile."""
    low, median, high = np.percentile(np.asarray(values, dtype=np.float64), (5, 50, 95))
    return {"low": float(low), "median": float(median), "high": float(high)}


def impact_of(struck: Struck) -> dict[str, Any]:
    """Entries of the result's impact."""
    totals, outcome = struck.outcome.totals, struck.outcome
    of = {name: totals[:, k] for k, name in enumerate(QUANTITIES)}
    states = {level: band(of[level]) for level in LEVELS[1:]}
    damaged = totals[:, : len(LEVELS) - 1].sum(axis=1)
    people, buildings = struck.exposed
    return {
        "people_exposed": people,
        "people_displaced": band(of["displaced"]),
        "people_injured": band(outcome.injured()),
        "people_killed": band(of["killed"]),
        "buildings_exposed": buildings,
        "buildings_by_damage_state": {"none": band(float(struck.portfolio.number.sum()) - damaged), **states},
        "loss": band(of["loss"]),
    }


def triage_of(struck: Struck, city: City) -> dict[str, Any]:
    """Expected totals, people by severity, hospitals, and the zones in the order to look."""
    of = {name: struck.outcome.totals[:, k] for k, name in enumerate(QUANTITIES)}
    levels = (struck.levels * struck.portfolio.number[:, None]).sum(axis=0)
    return {
        "expected_buildings_by_damage_state": dict(zip(LEVELS, levels.tolist(), strict=True)),
        "expected": {
            "injured": float(struck.columns["quake_injured"].sum()), "killed": float(struck.columns["quake_killed"].sum()),
            "trapped": float(struck.columns["quake_trapped"].sum()), "loss": float(struck.columns["quake_loss"].sum()),
            "displaced": float(struck.columns["quake_displaced"].sum()),
        },
        "people_trapped": band(of["trapped"]),
        "injured_by_severity": {f"severity {n}": band(of[f"injured_{n}"]) for n in (1, 2, 3)},
        "people_inside_buildings": float(struck.portfolio.inside.sum()),
        "debris_t": band(of["debris"]),
        "hospitals": hospitals(struck, city),
        "zones": zones(struck, city),
    }  # fmt: skip


def hospitals(struck: Struck, city: City) -> dict[str, Any] | None:
    """Beds of hospitals that are expected to work, against those who need one (severities 2 and 3)."""
    if "facility" not in city:
        return None
    facility = city.table("facility")
    hospital = text(facility, "kind") == "hospital"
    beds = np.nan_to_num(number(facility, "capacity"))[hospital]
    works = 1.0 - struck.columns["facility_break_probability"][hospital]
    totals = struck.outcome.totals
    need = totals[:, QUANTITIES.index("injured_2")] + totals[:, QUANTITIES.index("injured_3")]
    return {"hospitals": int(hospital.sum()), "beds": float(beds.sum()), "beds_expected": float((beds * works).sum()),
            "beds_needed": band(need)}  # fmt: skip


def zones(struck: Struck, city: City) -> list[dict[str, Any]]:
    """The zones where somebody may be hurt or a building may collapse, in the order to look."""
    if "zone" not in city:
        return []
    columns, table = struck.columns, city.table("zone")
    rank = columns["zone_search_rank"].astype(int)
    order = np.argsort(rank)[:MOST_ZONES]
    names = text(table, "name")
    listed = []
    for row in order:
        if (
            columns["zone_injured_high"][row] <= 0
            and columns["zone_collapses_high"][row] <= 0
            and columns["zone_injured"][row] < 0.5
        ):
            continue
        said: dict[str, Any] = {"zone": str(table["key"].iloc[row]), "name": str(names[row]), "rank": int(rank[row])}
        for entry in ZONE_ENTRIES:
            low, high = (float(columns[f"zone_{entry}_{end}"][row]) for end in ("low", "high"))
            said[entry] = {"low": low, "expected": float(columns[f"zone_{entry}"][row]), "high": high}
        listed.append(said)
    return listed
