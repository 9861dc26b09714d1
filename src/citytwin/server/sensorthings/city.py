"""The city's devices as tables in memory, one row a device, which is a Thing, its Location and so on; the SQL of the sets."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import shapely

from citytwin.columns import DeviceKind
from citytwin.io.stores.sensing import SensingStore
from citytwin.server.encoding import dumps
from citytwin.server.sensorthings.kept import ID

if TYPE_CHECKING:
    from citytwin.server.served import Served

GEOJSON = "application/geo+json"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
MODELS = "https://smartdatamodels.org/dataModel."
UCUM = "https://ucum.org/ucum#para-"


class Mirror:
    """The numbers of the city's devices: `ids` by row; `key` and `row` of an id."""

    def __init__(self, here: Served, store: SensingStore) -> None:
        twin = here.twin
        devices = twin.devices
        self.ids = store.numbers([f"device/{k}" for k in devices.keys])
        self.rows = {int(n): i for i, n in enumerate(self.ids)}
        self.keys = devices.keys
        kinds = {name: twin.columns.kinds[name] for name in dict.fromkeys(devices.names)}
        kind_ids = dict(zip(kinds, store.numbers([f"kind/{k}" for k in kinds]).tolist(), strict=True))
        columns = list(dict.fromkeys(k.column.name for k in kinds.values()))
        column_ids = dict(zip(columns, store.numbers([f"quantity/{c}" for c in columns]).tolist(), strict=True))
        self.kinds, self.quantities = set(kind_ids.values()), set(column_ids.values())
        store.load("kind", _kinds(kinds, kind_ids, column_ids))
        store.load("quantity", _quantities(kinds, column_ids))
        store.load("heard", HEARD.empty_table())
        store.load("device", self._devices(here, np.array([kind_ids[n] for n in devices.names], dtype=np.int64)))

    def key(self, id: int) -> str | None:
        """The key of the device that has this number."""
        row = self.rows.get(id)
        return None if row is None else self.keys[row]

    def has(self, entities: str, id: int) -> bool:
        """Whether the city itself has this entity (a client may have changed or deleted it)."""
        if entities == "Observations":
            return id % 2 == 1
        return id in {"Sensors": self.kinds, "ObservedProperties": self.quantities}.get(entities, self.rows)

    def _devices(self, here: Served, kind: np.ndarray[Any, Any]) -> pa.Table:
        n = len(self.keys)
        rows = np.arange(n, dtype=np.int64)
        shapes = np.full(n, None, dtype=object)
        if n and isinstance(here.places.table("device"), gpd.GeoDataFrame):
            shapes = here.places.to_lonlat(here.places.table("device").geometry.to_numpy())
        point = ~shapely.is_missing(shapes) & (shapely.get_type_id(shapes) == 0) & ~shapely.is_empty(shapes)
        xy = np.full((n, 2), np.nan)
        xy[point] = shapely.get_coordinates(shapes[point])
        point &= np.isfinite(xy).all(axis=1)
        said = here.places.attributes("device", rows) if n else []
        properties = [{"table": "device", **{k: v for k, v in each.items() if v is not None}} for each in said]
        built = dt.datetime.fromtimestamp((here.twin.folder / "city.toml").stat().st_mtime, dt.UTC).replace(tzinfo=None)
        names = [str(each.get("name") or key) for each, key in zip(said, self.keys, strict=True)]
        geojson = shapely.to_geojson(shapes)
        return pa.table({
            "id": self.ids, "key": pa.array(self.keys, pa.string()), "name": pa.array(names, pa.string()), "kind": kind,
            "properties": pa.array([dumps(p).decode() for p in properties], pa.string()),
            "lon": pa.array(np.where(point, xy[:, 0], np.nan), from_pandas=True),
            "lat": pa.array(np.where(point, xy[:, 1], np.nan), from_pandas=True),
            "shape": pa.array([s if p else None for s, p in zip(shapely.to_wkb(shapes), point, strict=True)], pa.binary()),
            "location": pa.array([s if p else None for s, p in zip(geojson, point, strict=True)], pa.string()),
            "since": pa.array([built] * n, pa.timestamp("us")),
        })  # fmt: skip


def _kinds(kinds: dict[str, DeviceKind], ids: dict[str, int], column_ids: dict[str, int]) -> pa.Table:
    def properties(k: DeviceKind) -> str:
        return dumps({"kind": k.name, "department": k.department, "period": k.period, "model": k.model}).decode()

    every = list(kinds.values())
    units = [{"name": k.column.unit, "symbol": k.column.unit, "definition": "https://ucum.org/ucum"} for k in every]
    return pa.table({
        "id": pa.array([ids[k.name] for k in every], pa.int64()), "kind": pa.array([k.name for k in every], pa.string()),
        "title": pa.array([k.name.replace("_", " ").capitalize() for k in every], pa.string()),
        "meaning": pa.array([k.column.meaning for k in every], pa.string()),
        "measures": pa.array([k.column.title for k in every], pa.string()),
        "unit": pa.array([dumps(u).decode() for u in units], pa.string()),
        "properties": pa.array([properties(k) for k in every], pa.string()),
        "quantity": pa.array([column_ids[k.column.name] for k in every], pa.int64()),
        "metadata": pa.array([dumps(_model_address(k.model) or k.name).decode() for k in every], pa.string()),
    })  # fmt: skip


def _quantities(kinds: dict[str, DeviceKind], ids: dict[str, int]) -> pa.Table:
    columns = {k.column.name: k for k in kinds.values()}
    every = list(columns.values())
    return pa.table({
        "id": pa.array([ids[c] for c in columns], pa.int64()), "name": pa.array([k.column.title for k in every], pa.string()),
        "description": pa.array([k.column.meaning for k in every], pa.string()),
        "definition": pa.array([_model_address(k.model) or f"urn:citytwin:{k.column.name}" for k in every], pa.string()),
        "properties": pa.array([dumps({"column": k.column.name, "unit": k.column.unit}).decode() for k in every], pa.string()),
    })  # fmt: skip


def _model_address(model: str) -> str:
    """The page of a Smart Data Model property, `Subject/Model.property`; empty where a kind names none."""
    subject, _, rest = model.partition("/")
    return f"https://smart-data-models.github.io/dataModel.{subject}/{rest.split('.')[0]}" if rest else ""


def _not_hidden(what: str, column: str = "id", gone: bool = False) -> str:
    return f"{column} not in (select id from own.hidden where entities = '{what}'{' and gone' if gone else ''})"


# When each device of the city was first and last heard, where a question is about that; an empty table for all others.
HEARD = pa.schema([("id", pa.int64()), ("begin", pa.timestamp("us")), ("end", pa.timestamp("us"))])
PLACED = "lon is not null"
VIEWS: dict[str, str] = {
    "Things": f"""select id, name, description, properties from own."Things" union all
        select d.id, d.name, k.title || ' of the city', d.properties from main.device d join main.kind k on k.id = d.kind
        where {_not_hidden("Things", "d.id")}""",
    "Locations": f"""select id, name, description, properties, "encodingType", location, shape, lon, lat from own."Locations"
        union all select id, name, 'Where ' || name || ' is', null, '{GEOJSON}', location, shape, lon, lat from main.device
        where {PLACED} and {_not_hidden("Locations")}""",
    "HistoricalLocations": f"""select id, time, "Thing" from own."HistoricalLocations" union all
        select id, since, id from main.device where {PLACED} and {_not_hidden("HistoricalLocations")}""",
    "Datastreams": f"""select s.*, least(o."begin", h."begin") as "begin", greatest(o."end", h."end") as "end", o.result_begin,
        o.result_end from
        (select id, name, description, properties, "observationType", "unitOfMeasurement", "observedArea", "Thing", "Sensor",
        "ObservedProperty" from own."Datastreams" union all
        select d.id, k.measures || ' at ' || d.name, k.meaning, k.properties, '{MEASUREMENT}', k.unit, d.location, d.id, d.kind,
        k.quantity from main.device d join main.kind k on k.id = d.kind where {_not_hidden("Datastreams", "d.id")}) s
        left join (select "Datastream" as stream, min("begin") as "begin", max("end") as "end",
        min("resultTime") as result_begin,
        max("resultTime") as result_end from own."Observations" group by 1) o on o.stream = s.id
        left join main.heard h on h.id = s.id""",
    "Sensors": f"""select id, name, description, properties, "encodingType", metadata from own."Sensors" union all
        select id, title, meaning, properties, 'text/html', metadata from main.kind where {_not_hidden("Sensors")}""",
    "ObservedProperties": f"""select id, name, description, properties, definition from own."ObservedProperties" union all
        select id, name, description, properties, definition from main.quantity where {_not_hidden("ObservedProperties")}""",
    "FeaturesOfInterest": f"""select id, name, description, properties, "encodingType", feature, shape, lon, lat
        from own."FeaturesOfInterest" union all
        select id, name, 'Where ' || name || ' measures', null, '{GEOJSON}', location, shape, lon, lat from main.device
        where {PLACED} and {_not_hidden("FeaturesOfInterest")}""",
    "located": f"""select thing, location from own.located union all
        select id, id from main.device where {PLACED} and {_not_hidden("located")}""",
    "was_located": f"""select historical, location from own.was_located union all
        select id, id from main.device where {PLACED} and {_not_hidden("was_located")}""",
}  # fmt: skip
OBSERVATION = (
    'id, "begin", "end", "resultTime", result, number, text, "resultQuality", valid_begin, valid_end, parameters, '
    '"Datastream", "FeatureOfInterest"'
)


def observations(readings: str) -> str:
    """The SQL of Observations: those that clients made, and the `readings` of the city's devices."""
    return f"""select {OBSERVATION} from own."Observations" union all
        select {ID} as id, r.time, r.time, null::timestamp, null::varchar, r.value, null::varchar, '"' || r.quality || '"',
        null::timestamp, null::timestamp, null::varchar, d.id, d.id from ({readings}) r join main.device d on d.key = r.device
        where {_not_hidden("Datastreams", "d.id", gone=True)} and {_not_hidden("FeaturesOfInterest", "d.id", gone=True)}
        and {_not_hidden("Observations", ID)}"""
