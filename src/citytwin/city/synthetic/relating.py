"""Relations of a made city: what feeds, observes, serves, contains and depends on what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from citytwin.city.synthetic.assembly import Text, plain
from citytwin.city.synthetic.devices import Devices
from citytwin.city.synthetic.facilities import Facilities
from citytwin.city.synthetic.networks import Network
from citytwin.city.synthetic.plan import Plan

SERVING = ("hospital", "fire_station", "police", "ambulance_station", "school", "shelter")  # each zone has its nearest


def relate(
    plan: Plan, tables: dict[str, pd.DataFrame], devices: Devices, facilities: Facilities, power: Network, water: Network
) -> pd.DataFrame:
    """All relations, one a row, by kind."""
    key = {
        name: tables[name]["key"].to_numpy(dtype=object)
        for name in ("building", "power_bus", "water_node", "facility", "device")
    }
    bus, node, building, facility = key["power_bus"], key["water_node"], key["building"], key["facility"]
    housed = np.flatnonzero(facilities.building >= 0)
    inside = facilities.building[housed]
    parts = [
        _rows("feeds", "power_bus", bus[power.feeds], "building", building),
        _rows("feeds", "water_node", node[water.feeds], "building", building),
        _rows("observes", "device", key["device"], devices.table, devices.key),
        _rows("contains", "building", building[inside], "facility", facility[housed]),
        _rows("depends_on", "facility", facility[housed], "power_bus", bus[power.feeds[inside]]),
        _rows("depends_on", "facility", facility[housed], "water_node", node[water.feeds[inside]]),
    ]
    for network, name, names in ((power, "power_bus", bus), (water, "water_node", node)):
        own = np.flatnonzero(network.facility >= 0)
        parts.append(_rows("contains", "facility", facility[network.facility[own]], name, names[own]))
    parts.append(_driven(water, node, power, bus))
    parts += [_served(plan, tables["zone"], facilities, kind, facility) for kind in SERVING]
    return pd.concat(parts, ignore_index=True)


def _driven(water: Network, node: Text, power: Network, bus: Text) -> pd.DataFrame:
    """Pumps and works need the nearest transformer."""
    rows = np.flatnonzero(np.isin(water.kind, ["pump", "works"]))
    transformers = np.flatnonzero(power.kind == "transformer")
    near = transformers[cKDTree(power.place[transformers]).query(water.place[rows], workers=1)[1]]
    return _rows("depends_on", "water_node", node[rows], "power_bus", bus[near])


def _served(plan: Plan, zones: pd.DataFrame, facilities: Facilities, kind: str, facility: Text) -> pd.DataFrame:
    """The nearest facility of one kind to each zone."""
    rows = facilities.of(kind)
    centre = shapely.get_coordinates(shapely.centroid(zones["geometry"].to_numpy())) - np.array(plan.origin)
    near = rows[cKDTree(facilities.place[rows]).query(centre, workers=1)[1]]
    return _rows("serves", "facility", facility[near], "zone", zones["key"].to_numpy(dtype=object))


def _rows(kind: str, from_table: str, from_key: Text, to_table: Any, to_key: Text) -> pd.DataFrame:
    """Relations of one kind, one a row."""
    count = len(from_key)
    full = np.full(count, to_table, dtype=object) if isinstance(to_table, str) else to_table
    return plain({
        "kind": np.full(count, kind, dtype=object), "from_table": np.full(count, from_table, dtype=object),
        "from_key": from_key, "to_table": full, "to_key": to_key,
    })  # fmt: skip
