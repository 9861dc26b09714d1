"""What tables a city may have, and which attributes citytwin itself reads from them.

A table is a GeoDataFrame in the city's own metric coordinates. Every table has `key`, unique text. More attributes are
welcome and kept. `estimated` names, comma-separated, the attributes of a row that a rule filled in and no source gave.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attribute:
    """One static attribute: pandas dtype kind ("text", "number", "whole", "yes"), unit and meaning."""

    name: str
    kind: str
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class TableForm:
    """The declared form of one table: geometry kind ("Polygon", "LineString", "Point" or "" for none) and attributes."""

    name: str
    geometry: str
    meaning: str
    attributes: tuple[Attribute, ...]


def _a(name: str, kind: str, meaning: str, unit: str = "") -> Attribute:
    return Attribute(name, kind, meaning, unit)


NAME = _a("name", "text", "what people call it")
ESTIMATED = _a("estimated", "text", "attributes that a rule filled in, comma-separated")
KIND = _a("kind", "text", "what sort of thing it is")

FORMS: dict[str, TableForm] = {
    form.name: form
    for form in (
        TableForm("building", "Polygon", "a building's footprint", (
            _a("use", "text", "house, apartments, commercial, industrial, public, education, health, farm or other"),
            _a("levels", "number", "storeys above ground"), _a("height", "number", "height above ground", "m"),
            _a("floor_area", "number", "floor area over all storeys", "m2"), _a("dwellings", "number", "homes inside"),
            _a("people", "number", "residents"), _a("people_under_15", "number", "residents younger than 15"),
            _a("people_over_64", "number", "residents older than 64"), _a("zone", "text", "key of its zone"),
            NAME, ESTIMATED)),
        TableForm("facility", "Point", "a place that serves people", (
            KIND, NAME, _a("building", "text", "key of the building it is in, or empty"),
            _a("capacity", "number", "beds, pupils, people or vehicles, as its kind says"),
            _a("emergency", "yes", "takes emergencies"), _a("zone", "text", "key of its zone"), ESTIMATED)),
        TableForm("road", "LineString", "a stretch of way between two junctions", (
            _a("class", "text", "OpenStreetMap highway class, motorway ... footway"),
            _a("drivable", "yes", "open to motor vehicles"), _a("from_junction", "text", "key of the junction it starts at"),
            _a("to_junction", "text", "key of the junction it ends at"), _a("length", "number", "length", "m"),
            _a("lanes", "number", "lanes over both directions"), _a("speed", "number", "allowed speed", "m/s"),
            _a("oneway", "yes", "only from its first to its last point"), _a("bridge", "yes", "on a bridge"),
            _a("tunnel", "yes", "in a tunnel"), NAME, ESTIMATED)),
        TableForm("junction", "Point", "where roads meet or end", (_a("signals", "yes", "has traffic lights"),)),
        TableForm("waterway", "LineString", "the line of a watercourse", (
            _a("kind", "text", "river, stream, canal, ditch or drain"), _a("width", "number", "width", "m"), NAME, ESTIMATED)),
        TableForm("water", "Polygon", "a water surface", (KIND, NAME)),
        TableForm("land", "Polygon", "a piece of land of one use", (
            KIND, _a("manning", "number", "Manning roughness", "s/m^(1/3)"),
            _a("impervious", "number", "share that lets no water in"))),
        TableForm("zone", "Polygon", "a district that results are summed over", (
            NAME, _a("people", "number", "residents"), ESTIMATED)),
        TableForm("stop", "Point", "a stop of public transport", (
            NAME, _a("departures", "number", "departures on a working day"))),
        TableForm("device", "Point", "a device that measures or acts", (
            KIND, NAME, _a("zone", "text", "key of its zone"))),
        TableForm("household", "", "people who live together", (
            _a("building", "text", "key of its building"), _a("people", "whole", "members"))),
        TableForm("person", "", "one inhabitant", (
            _a("household", "text", "key of the household"), _a("age", "whole", "age in years"), _a("sex", "text", "f or m"),
            _a("occupation", "text", "preschool, pupil, worker, home or retired"),
            _a("place", "text", "key of the facility or building where the day is spent"))),
        TableForm("power_bus", "Point", "a node of the power network", (
            _a("kind", "text", "plant, substation, transformer or bus"), _a("voltage", "number", "voltage", "V"), NAME)),
        TableForm("power_line", "LineString", "a line or cable", (
            _a("from_bus", "text", "key of a power_bus"), _a("to_bus", "text", "key of a power_bus"),
            _a("voltage", "number", "nominal voltage", "V"))),
        TableForm("water_node", "Point", "a node of the water network", (
            _a("kind", "text", "works, reservoir, tank, pump or junction"), _a("elevation", "number", "elevation", "m"), NAME)),
        TableForm("pipe", "LineString", "a water main", (
            _a("from_node", "text", "key of a water_node"), _a("to_node", "text", "key of a water_node"),
            _a("diameter", "number", "inner diameter", "m"), _a("material", "text", "what it is made of"))),
    )
}  # fmt: skip

FACILITY_KINDS = (
    "hospital", "clinic", "doctors", "pharmacy", "care_home", "school", "kindergarten", "university", "fire_station", "police",
    "ambulance_station", "shelter", "townhall", "community_centre", "power_plant", "power_substation", "water_works",
    "wastewater_plant", "pumping_station", "fuel", "bus_station", "railway_station", "telecom",
)  # fmt: skip

RELATIONS: dict[str, str] = {
    "observes": "a device measures a thing",
    "feeds": "a network node supplies a thing",
    "serves": "a facility is there for a zone or building",
    "contains": "a thing lies inside another",
    "depends_on": "a thing cannot work without another",
}

RELATION_FIELDS = ("kind", "from_table", "from_key", "to_table", "to_key")
