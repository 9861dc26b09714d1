"""From what a scenario says of a shock to the shaking at places, and what stations and readings say there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.city.roads import number
from citytwin.hazards.earthquake.distances import from_rupture
from citytwin.hazards.earthquake.models import Setting
from citytwin.hazards.earthquake.parameters import EarthquakeParameters, Shock
from citytwin.hazards.earthquake.shaking import Shaking, shaking
from citytwin.hazards.earthquake.site import vs30_at
from citytwin.hazards.earthquake.source import Rupture, derived
from citytwin.hazards.earthquake.stations import Stations

F64 = npt.NDArray[np.float64]

G = 9.80665


class Scene:
    """One shock over a city: the scenario's main shock, or one of its aftershocks."""

    def __init__(self, city: City, params: EarthquakeParameters, shock: Shock | None = None) -> None:
        self.city, self.params, self.shock = city, params, shock
        self.rupture = self._rupture()

    def _rupture(self) -> Rupture:
        params, shock = self.params, self.shock
        if shock is not None:
            return derived(shock.magnitude, (*shock.place, shock.depth / 1000.0), shock.mechanism)
        assert params.magnitude is not None
        assert params.place is not None
        where = (*params.place, params.depth / 1000.0)
        return derived(params.magnitude, where, params.mechanism, params.rake, params.strike, params.dip)

    def at(self, measures: tuple[str, ...], x: F64, y: F64, vs30: F64) -> Shaking:
        """The shaking of `measures` at places x, y (m) with Vs30 (m/s)."""
        rupture = self.rupture
        far = from_rupture(rupture, x, y, self.city.from_lonlat)
        setting = Setting(
            magnitude=rupture.magnitude, rake=rupture.rake, dip=rupture.dip, top_depth=rupture.top_depth, width=rupture.width,
            hypocentre_depth=rupture.hypocentre[2], rrup=far.rrup, rjb=far.rjb, rx=far.rx, ry0=far.ry0, repi=far.repi,
            rhypo=far.rhypo, vs30=vs30,
        )  # fmt: skip
        return shaking(setting, self.params.models, measures, x, y)

    def vs30(self, x: F64, y: F64) -> F64:
        """Vs30 (m/s) at places: what the scenario says, else what the city's buildings, ground or slopes say."""
        if self.params.vs30 is not None:
            return np.full(len(x), self.params.vs30)
        building = self.city.table("building")
        said = number(building, "vs30")
        found = np.full(len(x), np.nan)
        found[: len(said)] = said[: len(x)]
        lacking = np.isnan(found)
        if lacking.any():
            found[lacking] = vs30_at(self.city, x[lacking], y[lacking])
        return found

    def vs30_of_ground(self, x: F64, y: F64) -> F64:
        """Vs30 (m/s) at places of the map."""
        return vs30_at(self.city, x, y) if self.params.vs30 is None else np.full(len(x), self.params.vs30)

    def stations(self, measures: tuple[str, ...]) -> Stations | None:
        """What instruments read and people felt of the main shock; None where nothing is known, and of aftershocks."""
        if self.shock is not None or not self.params.readings:
            return None
        return self._readings()

    def _readings(self) -> Stations:
        said = self.params.readings
        lon, lat = np.array([r.place for r in said]).T
        x, y = self.city.from_lonlat(lon, lat)
        vs30 = np.array([r.vs30 or self.params.vs30 or np.nan for r in said])
        vs30 = np.where(np.isnan(vs30), vs30_at(self.city, x, y), vs30)
        expected = self.at(("PGA", "PGV"), x, y, vs30)
        pga = np.array([np.nan if r.pga is None else r.pga / G for r in said])
        pgv = np.array([np.nan if r.pgv is None else r.pgv * 100.0 for r in said])
        noise = np.tile([r.noise for r in said], (2, 1)).astype(np.float64)
        return Stations(expected, np.log(np.array([pga, pgv])), noise, [r.name for r in said])

    def describe(self) -> dict[str, Any]:
        """The shock in words and numbers."""
        lon, lat, depth = self.rupture.hypocentre
        return {
            "magnitude": self.rupture.magnitude, "longitude": lon, "latitude": lat, "depth_km": depth,
            "rupture": "derived from the magnitude" if self.rupture.derived else "given", "models": dict(self.params.models),
        }  # fmt: skip
