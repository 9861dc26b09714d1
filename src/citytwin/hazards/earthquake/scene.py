"""From what a scenario says of a shock to the shaking at places, and what stations and readings say there."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.errors import InputError
from citytwin.hazards.earthquake.conditioning import trusted
from citytwin.hazards.earthquake.distances import from_rupture
from citytwin.hazards.earthquake.intensity import spread_of_reports
from citytwin.hazards.earthquake.parameters import EarthquakeParameters, Reading, Shock
from citytwin.hazards.earthquake.records import Record, read_records, stations_of
from citytwin.hazards.earthquake.rupture_files import read_rupture
from citytwin.hazards.earthquake.shakemap import ShakeMap, read_shakemap, shaking_of_map
from citytwin.hazards.earthquake.shaking import Shaking, setting_of, shaking, warnings_of
from citytwin.hazards.earthquake.site import Speeds
from citytwin.hazards.earthquake.source import Rupture, derived
from citytwin.hazards.earthquake.stations import Stations

F64 = npt.NDArray[np.float64]

G = 9.80665
MOST_TESTED = 300
"""Records of more places than these are not tested against one another: it takes the cube of their number."""


def record_of(reading: Reading) -> Record:
    """A reading of a scenario as the record of a station: ln of g and of cm/s, or a felt intensity with its deviation."""
    if reading.intensity is not None:
        spread = reading.spread or float(spread_of_reports(reading.responses or 1))
        return Record(reading.name, *reading.place, {}, (reading.intensity, spread), reading.vs30 or float("nan"))
    values = {}
    if reading.pga is not None:
        values["PGA"] = (float(np.log(reading.pga / G)), reading.noise)
    if reading.pgv is not None:
        values["PGV"] = (float(np.log(reading.pgv * 100.0)), reading.noise)
    return Record(reading.name, *reading.place, values, None, reading.vs30 or float("nan"))


class Scene:
    """One shock over a city: the scenario's main shock, or one of its aftershocks."""

    def __init__(self, city: City, params: EarthquakeParameters, shock: Shock | None = None) -> None:
        self.city, self.params, self.shock = city, params, shock
        self.notes: dict[str, None] = {}  # limits of models that are left, records that are not trusted; each once
        self.speeds = Speeds(city, params.vs30)
        self.map: ShakeMap | None = None
        if shock is None and params.shakemap is not None:
            self.map = read_shakemap(params.shakemap, params.uncertainty)

    @cached_property
    def rupture(self) -> Rupture:
        """Where it broke: given, or derived from magnitude and place."""
        params, shock = self.params, self.shock
        if shock is not None:
            return derived(shock.magnitude, (*shock.place, shock.depth / 1000.0), shock.mechanism)
        if params.rupture is not None:
            return read_rupture(params.rupture)
        if self.map is not None:
            return derived(self.map.magnitude, self.map.hypocentre)
        assert params.magnitude is not None
        assert params.place is not None
        where = (*params.place, params.depth / 1000.0)
        return derived(params.magnitude, where, params.mechanism, params.rake, params.strike, params.dip)

    @property
    def available(self) -> tuple[str, ...] | None:
        """Measures that there are; None where models give any."""
        return None if self.map is None else self.map.measures

    def at(self, measures: tuple[str, ...], x: F64, y: F64, vs30: F64) -> Shaking:
        """The shaking of `measures` at places x, y (m) with Vs30 (m/s)."""
        if self.map is not None:
            return shaking_of_map(self.map, x, y, *self.city.to_lonlat(x, y), measures)
        far = from_rupture(self.rupture, x, y, self.city.from_lonlat)
        setting = setting_of(self.rupture, far, vs30)
        self.notes.update(dict.fromkeys(warnings_of(setting, self.params.models)))
        return shaking(setting, self.params.models, measures, x, y)

    def vs30(self, x: F64, y: F64) -> F64:
        """Vs30 (m/s) at places of which the first are the city's buildings."""
        return self.speeds.at(x, y, buildings=True)

    def vs30_of_ground(self, x: F64, y: F64) -> F64:
        """Vs30 (m/s) at places of the map."""
        return Speeds(self.city, self.params.vs30).at(x, y)

    def stations(self, measures: tuple[str, ...]) -> Stations | None:
        """What instruments read and people felt of the main shock; None where nothing is known, and of aftershocks."""
        params = self.params
        if self.shock is not None or not (params.readings or params.stations):
            return None
        records = [record_of(r) for r in params.readings]
        if params.stations is not None:
            records += read_records(params.stations)
        if self.map is not None:
            raise InputError("a ShakeMap heeds its stations already", "earthquake", "leave out stations and readings")
        recorded = {m for r in records for m in r.values}
        wanted = measures if set(measures) <= recorded else (*measures, *(m for m in ("PGA",) if m in recorded))
        x, y = self.city.from_lonlat([r.lon for r in records], [r.lat for r in records])
        vs30 = Speeds(self.city, params.vs30).at(x, y)
        found = stations_of(records, self.rupture, params.models, self.city.from_lonlat, wanted, vs30)
        if len(records) > MOST_TESTED:
            return found
        kept, left_out = trusted(found, params.correlation)
        self.notes.update(dict.fromkeys(left_out))
        return kept

    def describe(self) -> dict[str, Any]:
        """The shock in words and numbers."""
        lon, lat, depth = self.rupture.hypocentre
        source = "derived from the magnitude" if self.rupture.derived else "given"
        said = {} if self.map is not None else {"vs30": self.speeds.words()}
        return {
            "magnitude": self.rupture.magnitude, "longitude": lon, "latitude": lat, "depth_km": depth,
            "source": "ShakeMap" if self.map is not None else f"rupture {source}",
            "models": {} if self.map is not None else dict(self.params.models), "notes": list(self.notes), **said,
        }  # fmt: skip
