"""A made city: invented from a seed, believable, and complete in every table, for demos, tests and questions of scale.

Purely a function of people, devices, seed and name: the same four give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from citytwin.city.model import City, Facts, Source
from citytwin.city.synthetic import assembly
from citytwin.city.synthetic.arterials import Frame, make_frame
from citytwin.city.synthetic.buildings import Blocks, Buildings, make_blocks, make_buildings
from citytwin.city.synthetic.countryside import make_countryside
from citytwin.city.synthetic.days import make_days
from citytwin.city.synthetic.devices import Devices, along, make_devices
from citytwin.city.synthetic.facilities import build_sites, claim_blocks, settle_facilities
from citytwin.city.synthetic.networks import Network, make_power, make_water, pipe_materials
from citytwin.city.synthetic.people import PER_HOUSEHOLD, homes_at_usual_size, make_people
from citytwin.city.synthetic.plan import CRS, Floats, Plan, Whole, make_plan, resized
from citytwin.city.synthetic.rasters import make_ground
from citytwin.city.synthetic.relating import relate
from citytwin.city.synthetic.spots import Finder
from citytwin.city.synthetic.streets import Streets, make_streets
from citytwin.city.synthetic.terrain import Terrain, make_terrain

ATTEMPTS = 6
FITS = (0.92, 1.28)  # homes of usual size that there are for each household
ROOMY = 1.08  # the same, as aimed at: some stand empty, some are large
LEAST_HOMES = 25  # below that a hamlet is as small as it gets
Progress = Callable[[float, str], None]


def synthesize(
    people: int, devices: int, seed: int, name: str | None = None, progress: Progress = lambda share, words: None
) -> City:
    """Make up a city of `people` inhabitants with `devices` devices. Raises InputError for impossible sizes."""
    site = _fitted(make_plan(people, devices, seed, name), progress)
    plan, terrain, frame, streets, blocks = site.plan, site.terrain, site.frame, site.streets, site.blocks
    buildings = site.buildings
    country = make_countryside(plan, terrain, frame, blocks)
    facilities = settle_facilities(plan, terrain, blocks, site.services, site.claimed, buildings, frame.names)
    progress(0.4, "people")
    residents, homes = make_people(plan, buildings)
    days = make_days(plan, residents, buildings, facilities)
    progress(0.55, "power and water")
    power = make_power(plan, streets, buildings, facilities)
    water = make_water(plan, terrain, streets, buildings, facilities)
    progress(0.62, "ground")
    ground = make_ground(plan, terrain, frame, streets, blocks, country, buildings)
    progress(0.8, "tables")
    in_zone = np.bincount(buildings.face[residents.home], minlength=len(frame.faces))
    tables: dict[str, pd.DataFrame] = {
        "zone": assembly.zone_table(plan, frame, in_zone),
        "building": assembly.building_table(plan, buildings, homes, residents),
        "facility": assembly.facility_table(plan, facilities, buildings),
        "land": assembly.land_table(plan, blocks, country),
    }
    tables["road"], tables["junction"] = assembly.street_tables(plan, streets)
    tables["waterway"], tables["water"] = assembly.water_tables(plan, terrain, frame)
    tables["household"], tables["person"] = assembly.people_tables(residents, days)
    tables |= _network_tables(plan, terrain, power, water)
    stops, tables["stop"] = _stops(plan, streets, frame)
    progress(0.9, "devices")
    finder = Finder(plan, terrain, streets, buildings, facilities, power, water, tables, stops)  # type: ignore[arg-type]
    placed = make_devices(plan, finder.find)
    tables["device"] = assembly.device_table(plan, placed, _zone_of(frame, placed))
    relations = relate(plan, tables, placed, facilities, power, water)
    progress(1.0, "done")
    return City(_facts(plan), {k: v for k, v in tables.items() if len(v)}, ground, relations)


@dataclass
class Site:
    """What is built before anybody moves in; `services` and `claimed`: facilities with land of their own, and their blocks."""

    plan: Plan
    terrain: Terrain
    frame: Frame
    streets: Streets
    blocks: Blocks
    services: Whole
    claimed: Whole
    buildings: Buildings


def _fitted(plan: Plan, progress: Progress) -> Site:
    """The city built so large that its homes are of a usual size: drawn again, wider or closer, until they are."""
    best: Site | None = None
    least = np.inf
    for attempt in range(ATTEMPTS):
        progress(0.02 + 0.06 * attempt, "once more, to fit the people" if attempt else "land, streets and buildings")
        site = _built(plan)
        room = max(homes_at_usual_size(site.buildings), 0.1) / max(plan.people / PER_HOUSEHOLD, LEAST_HOMES)
        if best is None or abs(np.log(room / ROOMY)) < least:
            best, least = site, abs(np.log(room / ROOMY))
        if FITS[0] < room < FITS[1]:
            break
        plan = resized(plan, float(np.clip(np.sqrt(ROOMY / room), 0.75, 1.4)))
    assert best is not None
    return best


def _built(plan: Plan) -> Site:
    """One drawing of all that stands."""
    with np.errstate(invalid="ignore"):  # GEOS raises the flag when a shape moved inwards vanishes
        return _drawn(plan)


def _drawn(plan: Plan) -> Site:
    terrain = make_terrain(plan)
    frame = make_frame(plan, terrain)
    streets = make_streets(plan, frame)
    blocks = make_blocks(plan, frame, streets)
    services, rows = claim_blocks(plan, terrain, blocks)
    claimed = np.zeros(len(blocks.shape), dtype=bool)
    claimed[rows] = True
    buildings = build_sites(plan, blocks, services, rows, make_buildings(plan, blocks, claimed))
    return Site(plan, terrain, frame, streets, blocks, services, rows, buildings)


def _network_tables(plan: Plan, terrain: Terrain, power: Network, water: Network) -> dict[str, pd.DataFrame]:
    """Nodes and lines of both networks."""
    made: dict[str, pd.DataFrame] = {}
    made["power_bus"], made["power_line"] = assembly.network_tables(plan, power, "e", "bus", "voltage")
    made["power_bus"]["voltage"] = np.where(np.isin(power.kind, ["plant", "substation"]), 110_000.0, 10_000.0)
    made["water_node"], made["pipe"] = assembly.network_tables(plan, water, "n", "node", "diameter")
    made["water_node"]["elevation"] = np.round(terrain.elevation(*water.place.T), 2)
    made["pipe"]["material"] = pipe_materials(plan, water)
    return made


def _stops(plan: Plan, streets: Streets, frame: Frame) -> tuple[Floats, gpd.GeoDataFrame]:
    """Bus stops along the main streets."""
    main = np.flatnonzero(np.isin(streets.kind, ["primary", "secondary", "tertiary"]) & ~streets.bridge)
    place, row = along(streets.lines[main], 380.0, streets.width[main] / 2 + 1.0)
    within = shapely.contains_xy(frame.urban, *place.T)
    place, row = place[within], row[within]
    names = assembly.street_names(plan, streets)[main][row]
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
        device, face = shapely.STRtree(np.array(frame.faces, dtype=object)).query(
            shapely.points(devices.place), predicate="intersects"
        )
        zone[device] = assembly.keys("z", len(frame.faces))[face]
    return zone


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
