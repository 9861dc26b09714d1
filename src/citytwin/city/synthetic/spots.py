"""Where devices may be: sets of places in the made city by name, each with the things that a device there observes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city.synthetic.buildings import Buildings
from citytwin.city.synthetic.devices import Spots, along
from citytwin.city.synthetic.facilities import Facilities
from citytwin.city.synthetic.networks import Network
from citytwin.city.synthetic.plan import Floats, Plan
from citytwin.city.synthetic.streets import Streets
from citytwin.city.synthetic.terrain import Terrain


class Finder:
    """Finds the spots of a name; each set is made once, when it is first asked for."""

    def __init__(
        self, plan: Plan, terrain: Terrain, streets: Streets, buildings: Buildings, facilities: Facilities, power: Network,
        water: Network, tables: dict[str, gpd.GeoDataFrame], stops: Floats,
    ) -> None:  # fmt: skip
        self.plan, self.terrain, self.streets, self.buildings = plan, terrain, streets, buildings
        self.facilities, self.power, self.water, self.tables, self.stops = facilities, power, water, tables, stops
        self.find: Callable[[str], Spots] = cache(self._find)

    def _find(self, name: str) -> Spots:
        found: Spots = getattr(self, f"_{name}")()
        west, south, east, north = self.plan.bounds
        inside = ((found.place > [west, south]) & (found.place < [east, north])).all(axis=1)
        return Spots(found.place[inside], found.table, found.keys[inside])

    def _keys(self, table: str) -> npt.NDArray[np.object_]:
        return np.asarray(self.tables[table]["key"].to_numpy(dtype=object))

    def _beside(self, use: npt.NDArray[np.bool_], spacing: float) -> Spots:
        rows = np.flatnonzero(use)
        if not len(rows):
            return Spots(np.empty((0, 2)), "road", np.empty(0, dtype=object))
        place, row = along(self.streets.lines[rows], spacing, self.streets.width[rows] / 2 + 0.6)
        return Spots(place, "road", self._keys("road")[rows[row]])

    def _inside(self, use: npt.NDArray[np.bool_]) -> Spots:
        rows = np.flatnonzero(use)
        place = shapely.get_coordinates(shapely.point_on_surface(self.buildings.shape[rows]))
        return Spots(place, "building", self._keys("building")[rows])

    def _at(self, *kinds: str) -> Spots:
        rows = np.concatenate([self.facilities.of(kind) for kind in kinds])
        return Spots(self.facilities.place[rows], "facility", self._keys("facility")[rows])

    def _main_road(self) -> Spots:
        return self._beside(np.isin(self.streets.kind, ["motorway", "primary", "secondary", "tertiary"]), 120.0)

    def _drive(self) -> Spots:
        return self._beside(self.streets.drivable, 200.0)

    def _kerb(self) -> Spots:
        return self._beside((self.streets.kind != "motorway") & ~self.streets.bridge, 30.0)

    def _signal_road(self) -> Spots:
        lit = self.streets.signals
        return self._beside(self.streets.drivable & (lit[self.streets.start] | lit[self.streets.end]), 1e9)

    def _signal(self) -> Spots:
        lit = np.flatnonzero(self.streets.signals)
        return Spots(self.streets.nodes[lit] + 2.5, "junction", self._keys("junction")[lit])

    def _bridge(self) -> Spots:
        return self._beside(self.streets.bridge, 1e9)

    def _busy(self) -> Spots:
        away = np.hypot(*shapely.get_coordinates(shapely.centroid(self.streets.lines)).T)
        return self._beside((away < 0.42 * self.plan.radius) & (self.streets.kind != "motorway"), 90.0)

    def _street_node(self) -> Spots:
        used = np.unique(np.concatenate([self.streets.start, self.streets.end]))
        return Spots(self.streets.nodes[used] + 1.5, "junction", self._keys("junction")[used])

    def _home(self) -> Spots:
        return self._inside(np.isin(self.buildings.use, ["house", "apartments"]))

    def _roof(self) -> Spots:
        return self._inside(np.isin(self.buildings.use, ["house", "industrial", "education", "commercial"]))

    def _public_building(self) -> Spots:
        return self._inside(np.isin(self.buildings.use, ["public", "education", "health"]))

    def _tall(self) -> Spots:
        return self._inside(self.buildings.levels >= np.quantile(self.buildings.levels, 0.97))

    def _shop(self) -> Spots:
        return self._inside((self.buildings.use == "commercial") & (self.buildings.floor_area > 500))

    def _industry(self) -> Spots:
        return self._inside(self.buildings.use == "industrial")

    def _mast(self) -> Spots:
        return self._at("telecom")

    def _emergency(self) -> Spots:
        return self._at("fire_station", "police", "ambulance_station", "hospital")

    def _pump_site(self) -> Spots:
        return self._at("pumping_station")

    def _hospital(self) -> Spots:
        return self._at("hospital")

    def _substation(self) -> Spots:
        rows = np.flatnonzero(self.power.kind == "substation")
        return Spots(self.power.place[rows], "power_bus", self._keys("power_bus")[rows])

    def _feeder(self) -> Spots:
        rows = np.flatnonzero(self.power.kind == "transformer")
        return Spots(self.power.place[rows], "power_bus", self._keys("power_bus")[rows])

    def _water_node(self) -> Spots:
        rows = np.concatenate([np.flatnonzero(self.water.kind != "junction"), np.flatnonzero(self.water.kind == "junction")])
        return Spots(self.water.place[rows], "water_node", self._keys("water_node")[rows])

    def _reservoir(self) -> Spots:
        return self._water("reservoir")

    def _water_pump(self) -> Spots:
        return self._water("pump")

    def _water(self, kind: str) -> Spots:
        rows = np.flatnonzero(self.water.kind == kind)
        return Spots(self.water.place[rows], "water_node", self._keys("water_node")[rows])

    def _stop(self) -> Spots:
        return Spots(self.stops, "stop", self._keys("stop"))

    def _river(self) -> Spots:
        lines = self.tables["waterway"]
        shapes = shapely.transform(lines.geometry.to_numpy(), lambda p: p - np.array(self.plan.origin))
        place, row = along(shapes, max(25.0, self.plan.radius / 60), np.zeros(len(shapes)))
        return Spots(place, "waterway", self._keys("waterway")[row])

    def _sea(self) -> Spots:
        n, t = np.meshgrid(np.linspace(0.1, 0.35, 3) * self.plan.radius, np.linspace(-0.8, 0.8, 9) * self.plan.radius)
        place = self.plan.place(self.terrain.coast(t.ravel()) - n.ravel(), t.ravel())
        sea = self.tables["water"].query("kind == 'sea'")["key"].to_numpy(dtype=object)
        return Spots(place, "water", np.repeat(sea[:1], len(place)))

    def _scattered(self, kind: str | None) -> Spots:
        zones = self.tables["zone"]
        rows = np.flatnonzero((zones["kind"] == kind).to_numpy() if kind else np.ones(len(zones), dtype=bool))
        if not len(rows):
            return Spots(np.empty((0, 2)), "zone", np.empty(0, dtype=object))
        rng = self.plan.stream(f"scattered {kind}")
        shapes = shapely.transform(zones.geometry.to_numpy()[rows], lambda p: p - np.array(self.plan.origin))
        box = shapely.bounds(shapes)
        points, owner = [shapely.get_coordinates(shapely.point_on_surface(shapes))], [rows]
        for _ in range(12):
            draw = box[:, :2] + rng.uniform(0, 1, (len(rows), 2)) * (box[:, 2:] - box[:, :2])
            good = shapely.contains_xy(shapes, *draw.T)
            points.append(draw[good])
            owner.append(rows[good])
        return Spots(np.concatenate(points), "zone", self._keys("zone")[np.concatenate(owner)])

    def _zone(self) -> Spots:
        return self._scattered(None)

    def _park(self) -> Spots:
        return self._scattered("park")

    def _valley(self) -> Spots:
        every = self._scattered(None)
        height = self.terrain.elevation(*every.place.T)
        low = height < np.quantile(height, 0.5)
        return Spots(every.place[low], "zone", every.keys[low])
