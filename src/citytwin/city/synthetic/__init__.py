"""A made city: invented from a seed, believable, and complete in every table, for demos, tests and questions of scale.

Purely a function of people, devices, seed and name: the same four give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from citytwin.city.model import City, Facts, Source
from citytwin.city.synthetic import assembly
from citytwin.city.synthetic.arterials import Frame, make_frame
from citytwin.city.synthetic.buildings import make_blocks, make_buildings
from citytwin.city.synthetic.days import make_days
from citytwin.city.synthetic.devices import Devices, along, make_devices
from citytwin.city.synthetic.facilities import build_sites, claim_blocks, settle_facilities
from citytwin.city.synthetic.networks import make_power, make_water
from citytwin.city.synthetic.people import make_people
from citytwin.city.synthetic.plan import CRS, Floats, Plan, make_plan
from citytwin.city.synthetic.rasters import make_ground
from citytwin.city.synthetic.spots import Finder
from citytwin.city.synthetic.streets import Streets, make_streets
from citytwin.city.synthetic.terrain import make_terrain

Progress = Callable[[float, str], None]


def synthesize(
    people: int, devices: int, seed: int, name: str | None = None, progress: Progress = lambda share, words: None
) -> City:
    """Make up a city of `people` inhabitants with `devices` devices. Raises InputError for impossible sizes."""
    plan = make_plan(people, devices, seed, name)
    progress(0.0, "land and sea")
    terrain = make_terrain(plan)
    frame = make_frame(plan, terrain)
    progress(0.05, "streets")
    streets = make_streets(plan, frame)
    progress(0.15, "blocks")
    blocks = make_blocks(frame, streets)
    services, site_blocks = claim_blocks(plan, terrain, blocks)
    claimed = np.zeros(len(blocks.shape), dtype=bool)
    claimed[site_blocks] = True
    progress(0.25, "buildings")
    buildings = make_buildings(plan, blocks, claimed)
    buildings = build_sites(plan, blocks, services, site_blocks, buildings)
    facilities = settle_facilities(plan, terrain, blocks, services, site_blocks, buildings, frame.names)
    progress(0.4, "people")
    residents, homes = make_people(plan, buildings)
    days = make_days(plan, residents, buildings, facilities)
    progress(0.55, "power and water")
    power = make_power(plan, streets, buildings, facilities)
    water = make_water(plan, terrain, streets, buildings, facilities)
    progress(0.65, "ground")
    ground = make_ground(plan, terrain, frame, streets, blocks, buildings)
    progress(0.8, "tables")
    in_zone = np.bincount(buildings.face[residents.home], minlength=len(frame.faces))
    tables: dict[str, pd.DataFrame] = {
        "zone": assembly.zone_table(plan, frame, in_zone),
        "building": assembly.building_table(plan, buildings, homes, residents),
        "facility": assembly.facility_table(plan, facilities, buildings),
        "land": assembly.land_table(plan, blocks),
    }
    tables["road"], tables["junction"] = assembly.street_tables(plan, streets)
    tables["waterway"], tables["water"] = assembly.water_tables(plan, terrain, frame)
    tables["household"], tables["person"] = assembly.people_tables(residents, days)
    tables["power_bus"], tables["power_line"] = assembly.network_tables(plan, power, "e", "bus", "voltage")
    tables["power_bus"]["voltage"] = np.where(np.isin(power.kind, ["plant", "substation"]), 110_000.0, 10_000.0)
    tables["water_node"], tables["pipe"] = assembly.network_tables(plan, water, "n", "node", "diameter")
    tables["water_node"]["elevation"] = np.round(terrain.elevation(*water.place.T), 2)
    tables["pipe"]["material"] = "polyethylene"
    stops, tables["stop"] = _stops(plan, streets, frame)
    progress(0.9, "devices")
    finder = Finder(plan, terrain, streets, buildings, facilities, power, water, tables, stops)  # type: ignore[arg-type]
    placed = make_devices(plan, finder.find)
    tables["device"] = assembly.device_table(plan, placed, _zone_of(frame, placed))
    relations = _relations(tables, placed, power.feeds, water.feeds)
    progress(1.0, "done")
    return City(_facts(plan), {k: v for k, v in tables.items() if len(v)}, ground, relations)


def _stops(plan: Plan, streets: Streets, frame: Frame) -> tuple[Floats, gpd.GeoDataFrame]:
    """Bus stops along the main streets."""
    main = np.flatnonzero(np.isin(streets.kind, ["primary", "secondary", "tertiary"]) & ~streets.bridge)
    place, row = along(streets.lines[main], 380.0, streets.width[main] / 2 + 1.0)
    names = assembly._street_names(plan, streets)[main][row]
    rng = plan.stream("stops")
    away = np.hypot(*place.T) / plan.radius
    departures = np.round(rng.uniform(40, 90, len(place)) * np.exp(1.2 * (1 - np.minimum(away, 1.2))))
    return place, assembly.table(plan, shapely.points(place), {
        "key": assembly.keys("stop", len(place)), "name": names, "departures": departures,
    })  # fmt: skip


def _zone_of(frame: Frame, devices: Devices) -> assembly.Text:
    """Key of the neighbourhood that holds each device, empty outside all."""
    zone = np.full(len(devices.kind), "", dtype=object)
    if len(zone):
        device, face = shapely.STRtree(np.array(frame.faces, dtype=object)).query(shapely.points(devices.place), predicate="intersects")
        zone[device] = assembly.keys("z", len(frame.faces))[face]
    return zone


def _relations(tables: dict[str, pd.DataFrame], devices: Devices, power: assembly.Text, water: assembly.Text) -> pd.DataFrame:
    """What observes and feeds what."""
    building = tables["building"]["key"].to_numpy(dtype=object)
    bus = tables["power_bus"]["key"].to_numpy(dtype=object)
    node = tables["water_node"]["key"].to_numpy(dtype=object)
    rows = assembly.relation_rows
    return pd.concat([
        rows("feeds", "power_bus", bus[power], "building", building),
        rows("feeds", "water_node", node[water], "building", building),
        rows("observes", "device", tables["device"]["key"].to_numpy(dtype=object), devices.table, devices.key),
    ], ignore_index=True)  # fmt: skip


def _facts(plan: Plan) -> Facts:
    notes = [
        f"{plan.name} is made up: no such city exists. It was drawn by citytwin from seed {plan.seed} and lies, by intention, "
        "in the open North Atlantic.",
        f"Asked for: {plan.people} people, {plan.devices} devices.",
    ]
    ages = Source("Mistry et al. (2021), age distribution of Germany", "population", "Apache-2.0", "2021",
                  note="Nature Communications 12:323; ages of the inhabitants")  # fmt: skip
    sizes = Source("Federal Statistical Office of Germany, households by size 2018", "population", date="2018",
                   note="sizes of the households")  # fmt: skip
    return Facts(plan.name, CRS, [ages, sizes], [], notes, "citytwin city synthesize", synthetic=True)


__all__ = ["synthesize"]
