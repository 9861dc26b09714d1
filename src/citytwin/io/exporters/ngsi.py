"""The city as NGSI-LD entities (ETSI GS CIM 009), typed by Smart Data Models where these have a type for it.

A thing is an entity `urn:ngsi-ld:TYPE:KEY`; its place is a GeoProperty, an attribute a Property (`unitCode` where UN/CEFACT
Recommendation 20 has a code for its unit), a relation a Relationship. What a device measures is the property that `sensors.csv`
names (`Environment/AirQualityObserved.no2`: type AirQualityObserved, property no2), with `observedAt`. An entity with several
relations of one kind lists them as instances with a `datasetId` each.
"""

from __future__ import annotations

import copy
import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import numpy.typing as npt

from citytwin.city import FORMS, City
from citytwin.columns import Columns, DeviceKind
from citytwin.errors import OutsideError
from citytwin.io.exporters.features import Feature, features, write_pieces

CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
MODELS = "https://raw.githubusercontent.com/smart-data-models/dataModel.{}/master/context.jsonld"
OWN = "https://citytwin.invalid/ngsi-ld#"  # names of ours; `invalid` is reserved (RFC 2606): they name, nothing is there
# UN/CEFACT Recommendation 20: common codes of the units in sensors.csv and the tables (from knowledge; lengths re-read).
UNIT_CODES = {
    "1": "C62", "%": "P1", "1/L": "", "Cel": "CEL", "Hz": "HTZ", "L": "LTR", "L/s": "G51", "V": "VLT", "V/m": "D50", "W": "WTT",
    "W/m2": "D54", "[pH]": "Q30", "[ppm]": "59", "cm": "CMT", "dB[A]": "2N", "hPa": "A97", "kPa": "KPA", "kW": "KWT",
    "kWh": "KWH", "km/h": "KMH", "m": "MTR", "m/s": "MTS", "m/s2": "MSK", "m3/s": "MQS", "mg/m3": "GP", "mm": "MMT",
    "mrad": "C25", "uSv/h": "P72", "ug/m3": "GQ", "m2": "MTK", "s": "SEC",
}  # fmt: skip
TABLE_TYPES = {  # Smart Data Models' subject and type of a table, where there is one (from knowledge, not re-read)
    "building": ("Building", "Building"), "facility": ("PointOfInterest", "PointOfInterest"),
    "road": ("Transportation", "RoadSegment"), "stop": ("UrbanMobility", "GtfsStop"),
}  # fmt: skip
RESERVED = {"id", "type", "location", "@context", "scope", "observationSpace", "operationSpace"}


@dataclass(frozen=True)
class Reading:
    """What a device said last: a value in the unit of its kind, and when (s since 1970)."""

    value: float
    time: float


@dataclass
class Named:
    """How a thing is called in NGSI-LD."""

    subject: str
    type: str

    @property
    def context(self) -> list[str | dict[str, str]]:
        """The JSON-LD contexts of the type, the core's last, as the specification asks."""
        return [*([MODELS.format(self.subject)] if self.subject else []), {"@vocab": OWN}, CORE]


class Exporter:
    """Writes the entities of one city; `readings`: the last of each device by key."""

    def __init__(self, city: City, columns: Columns, readings: Mapping[str, Reading] | None = None) -> None:
        self._city, self._columns = city, columns
        self._readings = readings or {}
        self._kinds: dict[str, str] = {}
        if "device" in city.tables:
            devices = city.table("device")
            self._kinds = dict(zip(devices["key"].astype(str), devices["kind"].astype(str), strict=True))
        self._relations = _index(city)

    def with_readings(self, readings: Mapping[str, Reading]) -> Exporter:
        """The same city with other readings."""
        made = copy.copy(self)
        made._readings = readings
        return made

    def entities(self, table: str, rows: npt.NDArray[np.int64] | None = None) -> Iterator[dict[str, Any]]:
        """The entities of a table in its order, or those of `rows`, in the normalised form. Raises MissingError."""
        units = {a.name: a.unit for a in FORMS[table].attributes} if table in FORMS else {}
        for each in features(self._city, table, rows):
            yield self._entity(table, each, units)

    def name(self, table: str, key: str) -> Named:
        """Subject and type of a thing."""
        if table == "device":
            kind = self._columns.kinds.get(self._kinds.get(key, ""))
            subject, _, rest = (kind.model if kind is not None else "").partition("/")
            return Named(subject, rest.split(".")[0]) if rest else Named("Device", "Device")
        if table in TABLE_TYPES:
            return Named(*TABLE_TYPES[table])
        return Named("", _camel(table, upper=True))

    def urn(self, table: str, key: str) -> str:
        """The identifier of a thing."""
        return f"urn:ngsi-ld:{self.name(table, key).type}:{quote(key, safe='')}"

    def _entity(self, table: str, thing: Feature, units: dict[str, str]) -> dict[str, Any]:
        named = self.name(table, thing.key)
        out: dict[str, Any] = {"id": self.urn(table, thing.key), "type": named.type}
        if thing.geometry is not None:
            out["location"] = {"type": "GeoProperty", "value": msgspec.Raw(thing.geometry.encode())}
        for name, value in thing.attributes.items():
            called = _camel(name)
            called = f"{_camel(table)}{called[:1].upper()}{called[1:]}" if called in RESERVED else called
            out[called] = _property(value, units.get(name, ""))
        if table == "device":
            out |= self._measured(thing.key, named)
        out |= self._related(table, thing.key, set(out))
        out["@context"] = named.context
        return out

    def _measured(self, key: str, named: Named) -> dict[str, Any]:
        kind, last = self._columns.kinds.get(self._kinds.get(key, "")), self._readings.get(key)
        if kind is None or last is None or not np.isfinite(last.value):
            return {}
        when = dt.datetime.fromtimestamp(last.time, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        out = {measured_name(kind): {**_property(last.value, kind.column.unit), "observedAt": when}}
        if named.type.endswith("Observed"):
            out["dateObserved"] = {"type": "Property", "value": {"@type": "DateTime", "@value": when}}
        return out

    def _related(self, table: str, key: str, taken: set[str]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for kind, ends in self._relations.get((table, key), {}).items():
            name = _camel(kind) if _camel(kind) not in taken else f"{_camel(kind)}Relation"
            urns = sorted({self.urn(other, other_key) for other, other_key in ends})
            if len(urns) == 1:
                out[name] = {"type": "Relationship", "object": urns[0]}
            else:
                out[name] = [
                    {"type": "Relationship", "object": u, "datasetId": f"urn:ngsi-ld:Dataset:{kind}:{i}"}
                    for i, u in enumerate(urns)
                ]
        return out

    def lines(self, tables: list[str] | None = None) -> Iterator[bytes]:
        """All entities of `tables`, or of the city, as one JSON-LD array, in pieces."""
        yield b"["
        first = True
        for table in tables if tables is not None else self._city.tables:
            for entity in self.entities(table):
                yield (b"" if first else b",\n") + msgspec.json.encode(entity)
                first = False
        yield b"]\n"

    def write(self, path: Path, tables: list[str] | None = None) -> Path:
        """All entities into one file, whole or not at all. Raises OutsideError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return write_pieces(path, self.lines(tables))
        except OSError as error:
            raise OutsideError(f"cannot be written: {error.strerror}", str(path)) from error


def measured_name(kind: DeviceKind) -> str:
    """The property of the Smart Data Model that a kind measures, or our own name for it."""
    _, _, name = kind.model.rpartition(".")
    return name if "/" in kind.model and name and "/" not in name else _camel(kind.column.name)


def _property(value: Any, unit: str) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "Property", "value": value}
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and UNIT_CODES.get(unit):
        out["unitCode"] = UNIT_CODES[unit]
    elif number and unit and unit != "enum":
        out["unitText"] = {"type": "Property", "value": unit}
    return out


def _camel(name: str, upper: bool = False) -> str:
    """A column's name as NGSI-LD writes names: `floor_area` is `floorArea`."""
    parts = [p for p in re.split(r"[^0-9A-Za-z]+", name) if p]
    words = "".join(p[:1].upper() + p[1:] for p in parts) or "attribute"
    words = words if words[0].isalpha() else f"a{words}"
    return words if upper else words[:1].lower() + words[1:]


def _index(city: City) -> dict[tuple[str, str], dict[str, list[tuple[str, str]]]]:
    """The relations that go out of each thing, by kind. Those to things that are not there are left out."""
    out: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    relations = city.relations
    known = {t: set(city.table(t)["key"].astype(str)) for t in city.tables}
    fields = (relations[f].astype(str).to_numpy() for f in ("kind", "from_table", "from_key", "to_table", "to_key"))
    for kind, table, key, other, other_key in zip(*fields, strict=True):
        if other_key in known.get(other, ()):
            out[table, key][kind].append((other, other_key))
    return out
