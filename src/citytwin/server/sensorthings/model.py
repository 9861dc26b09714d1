"""The entity sets of SensorThings (OGC 18-088, clause 8): their properties, their relations, and where SQL finds both."""

from __future__ import annotations

from dataclasses import dataclass

ROOT = "/sensorthings/v1.1"
SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req"
CONFORMS = (
    f"{SPEC}/datamodel", f"{SPEC}/resource-path/resource-path-to-entities", f"{SPEC}/request-data",
    f"{SPEC}/create-update-delete/create-entity", f"{SPEC}/create-update-delete/link-to-existing-entities",
    f"{SPEC}/create-update-delete/deep-insert", f"{SPEC}/create-update-delete/deep-insert-status-code",
    f"{SPEC}/create-update-delete/update-entity", f"{SPEC}/create-update-delete/update-entity-jsonpatch",
    f"{SPEC}/create-update-delete/update-entity-put",
    f"{SPEC}/create-update-delete/delete-entity",
    f"{SPEC}/create-update-delete/historical-location-auto-creation",
    f"{SPEC}/create-update-delete/historical-location-manual-creation", f"{SPEC}/data-array/data-array",
)  # fmt: skip


@dataclass(frozen=True)
class Property:
    """One property: its type (`text`, `json`, `geo`, `time`, `span`, `result`) and whether an entity must have it."""

    name: str
    type: str = "text"
    needed: bool = False


@dataclass(frozen=True)
class Relation:
    """A navigation to `target`; `many` of them or one. `link`: the table of pairs with (our, their) column, if there is one."""

    name: str
    target: str
    many: bool
    column: str = ""  # of the many side, that names the one
    link: tuple[str, str, str] | None = None
    needed: bool = False


@dataclass(frozen=True)
class Entities:
    """One entity set."""

    name: str
    one: str
    properties: tuple[Property, ...]
    relations: tuple[Relation, ...]

    def property(self, name: str) -> Property | None:
        """The property called so."""
        return next((p for p in self.properties if p.name == name), None)

    def relation(self, name: str) -> Relation | None:
        """The relation called so."""
        return next((r for r in self.relations if r.name == name), None)


def _p(name: str, type: str = "text", needed: bool = False) -> Property:
    return Property(name, type, needed)


def _one(name: str, target: str, needed: bool = True) -> Relation:
    return Relation(name, target, False, name, None, needed)


def _many(name: str, column: str) -> Relation:
    return Relation(name, name, True, column)


NAME, DESCRIPTION, PROPERTIES = _p("name", needed=True), _p("description", needed=True), _p("properties", "json")
ENCODING = _p("encodingType", needed=True)

SETS: dict[str, Entities] = {
    each.name: each
    for each in (
        Entities("Things", "Thing", (NAME, DESCRIPTION, PROPERTIES), (
            _many("Datastreams", "Thing"),
            Relation("Locations", "Locations", True, link=("located", "thing", "location")),
            _many("HistoricalLocations", "Thing"))),
        Entities("Locations", "Location", (NAME, DESCRIPTION, ENCODING, _p("location", "geo", True), PROPERTIES), (
            Relation("Things", "Things", True, link=("located", "location", "thing")),
            Relation("HistoricalLocations", "HistoricalLocations", True, link=("was_located", "location", "historical")))),
        Entities("HistoricalLocations", "HistoricalLocation", (_p("time", "time", True),), (
            _one("Thing", "Things"),
            Relation("Locations", "Locations", True, link=("was_located", "historical", "location")))),
        Entities("Datastreams", "Datastream", (
            NAME, DESCRIPTION, _p("observationType", needed=True), _p("unitOfMeasurement", "json", True),
            _p("observedArea", "json"), _p("phenomenonTime", "span"), _p("resultTime", "span"), PROPERTIES), (
            _one("Thing", "Things"), _one("Sensor", "Sensors"), _one("ObservedProperty", "ObservedProperties"),
            _many("Observations", "Datastream"))),
        Entities("Sensors", "Sensor", (NAME, DESCRIPTION, ENCODING, _p("metadata", "json", True), PROPERTIES), (
            _many("Datastreams", "Sensor"),)),
        Entities("ObservedProperties", "ObservedProperty", (
            NAME, _p("definition", needed=True), DESCRIPTION, PROPERTIES), (_many("Datastreams", "ObservedProperty"),)),
        Entities("Observations", "Observation", (
            _p("phenomenonTime", "span"), _p("result", "result", True), _p("resultTime", "time"),
            _p("resultQuality", "json"), _p("validTime", "span"), _p("parameters", "json")), (
            _one("Datastream", "Datastreams"), _one("FeatureOfInterest", "FeaturesOfInterest"))),
        Entities("FeaturesOfInterest", "FeatureOfInterest", (
            NAME, DESCRIPTION, ENCODING, _p("feature", "geo", True), PROPERTIES), (
            _many("Observations", "FeatureOfInterest"),)),
    )
}  # fmt: skip

SINGULAR = {each.one: each for each in SETS.values()}
# Deleting one of these takes the others with it (OGC 18-088, table 25).
CASCADES: dict[str, tuple[str, ...]] = {
    "Things": ("Datastreams", "HistoricalLocations"), "Locations": ("HistoricalLocations",), "Datastreams": ("Observations",),
    "Sensors": ("Datastreams",), "ObservedProperties": ("Datastreams",), "FeaturesOfInterest": ("Observations",),
}  # fmt: skip
