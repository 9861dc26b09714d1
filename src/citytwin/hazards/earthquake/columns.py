"""The columns that the earthquake writes."""

from __future__ import annotations

from citytwin.columns import Column
from citytwin.hazards.earthquake.casualties import LEVELS

HAZUS = "Hazus Earthquake Model Technical Manual 6.1 (FEMA 2024)"
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
SHAKES = (0.4, 0.9, 1.8, 3.3, 6.4)
"""m/s2; roughly the lower ends of intensities V to IX."""

BROKEN = ("works", "broken")


def _share(name: str, table: str, meaning: str) -> Column:
    return Column(name, table, "1", meaning, 0.0, 1.0, 0.0, "last", "share", SHARES, course=False)


def _yes(name: str, table: str, meaning: str, words: tuple[str, str]) -> Column:
    return Column(name, table, "1", meaning, 0.0, 1.0, 0.0, "last", "category", categories=words, course=False)


def _number(name: str, table: str, unit: str, meaning: str, ramp: str = "people", high: float = 1e9) -> Column:
    return Column(name, table, unit, meaning, 0.0, high, 0.0, "last", ramp, course=False)


def _band(name: str, meaning: str, ramp: str = "people") -> tuple[Column, ...]:
    """An expected value of a zone, and its 5th and 95th percentile over the fields of shaking."""
    return (
        _number(f"zone_{name}", "zone", "1", f"{meaning}: expected", ramp),
        _number(f"zone_{name}_low", "zone", "1", f"{meaning}: 5th percentile", ramp),
        _number(f"zone_{name}_high", "zone", "1", f"{meaning}: 95th percentile", ramp),
    )


CELL = (
    Column("ground_acceleration", "cell", "m/s**2", "median peak ground acceleration", 0.0, 100.0, 0.0, "max", "hazard", SHAKES,
           course=False),
    Column("ground_velocity", "cell", "m/s", "peak ground velocity, median", 0.0, 20.0, 0.0, "max", "hazard",
           (0.01, 0.05, 0.1, 0.2, 0.4, 0.8), course=False),
    Column("shaking_spread", "cell", "1", "standard deviation of ln of the peak ground acceleration: how uncertain it is", 0.0,
           5.0, 0.0, "last", "level", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), course=False),
    Column("shaking_change", "cell", "1", "what stations and reports changed: ln of the peak ground acceleration with them "
           "over what models alone say", -5.0, 5.0, 0.0, "last", "change", (-1.0, -0.5, -0.2, 0.2, 0.5, 1.0), course=False),
    _share("liquefaction_probability", "cell", "probability that the ground liquefies, at the median shaking"),
    _share("slope_failure_probability", "cell", "probability that the slope fails, at the median shaking"),
)  # fmt: skip

BUILDING = (
    Column("building_acceleration", "building", "m/s**2", "peak ground acceleration at the building, median", 0.0, 100.0, 0.0,
           "last", "hazard", SHAKES, course=False),
    Column("quake_damage_state", "building", "1", "damage in the one realisation that lifelines see (not a forecast of this "
           "building)", 0.0, 5.0, 0.0, "last", "damage", categories=LEVELS, source=HAZUS, course=False),
    _share("heavy_damage_probability", "building", "probability of extensive damage or worse"),
    _share("collapse_probability", "building", "probability of collapse"),
    _share("ground_failure_probability", "building", "probability that failing ground damages the building extensively or "
           "worse, at the median shaking; rough"),
    _number("quake_injured", "building", "1", "people injured (severities 1 to 3), expected"),
    _number("quake_killed", "building", "1", "people killed, expected"),
    _number("quake_trapped", "building", "1", "people who cannot leave a collapsed building by themselves, expected"),
    _number("quake_displaced", "building", "1", "residents who cannot stay, expected"),
    _number("quake_loss", "building", "EUR", "repair cost, expected", "money", 1e13),
    _number("quake_repair_days", "building", "d", "days of repair, expected", "level", 1e4),
)  # fmt: skip

ZONE = (
    *_band("collapses", "buildings that collapse", "damage"), *_band("injured", "people injured (severities 1 to 3)"),
    *_band("killed", "people killed"), *_band("trapped", "people trapped"), *_band("displaced", "people displaced"),
    _number("zone_quake_loss", "zone", "EUR", "repair cost: expected", "money", 1e15),
    _number("zone_debris", "zone", "t", "debris: expected", "level", 1e12),
    _number("zone_search_rank", "zone", "1", "where to look first: 1 has the most people trapped, expected", "level", 1e6),
)  # fmt: skip

NETWORK = (
    _share("road_block_probability", "road", "probability that debris or a damaged bridge blocks the road"),
    _yes("road_blocked", "road", "whether debris or a damaged bridge blocks the road (one realisation)", ("free", "blocked")),
    _number("pipe_repairs", "pipe", "1", "leaks and breaks of the main, expected", "level", 1e6),
    _yes("pipe_broken", "pipe", "whether the main is broken (one realisation)", ("whole", "broken")),
    _share("power_bus_break_probability", "power_bus", "probability that the station does not work"),
    _yes("power_bus_broken", "power_bus", "whether the station is broken (one realisation)", BROKEN),
    _share("water_node_break_probability", "water_node", "probability that works, pump or tank do not work"),
    _yes("water_node_broken", "water_node", "whether works, pump or tank are broken (one realisation)", BROKEN),
    _share("facility_break_probability", "facility", "probability that the facility cannot be used"),
    _yes("facility_broken", "facility", "whether the facility cannot be used (one realisation)", BROKEN),
)

COLUMNS = (*CELL, *BUILDING, *ZONE, *NETWORK)
