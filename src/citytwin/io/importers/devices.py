"""Things on the map that measure or act by themselves, as devices of the kinds that citytwin knows.

Only what OpenStreetMap shows to be there: gauges and monitoring stations, charging and bicycle-hire stations, multi-storey
car parks, street lamps, sirens. Whether they send readings is up to their owners.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from citytwin import columns

# kind of device: (tag, values); a kind that the shipped sensors.csv does not have is left out
DEVICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("river_stage", "monitoring:water_level", ("yes",)), ("air_no2", "monitoring:air_quality", ("yes",)),
    ("air_temperature", "monitoring:weather", ("yes",)), ("ev_charger", "amenity", ("charging_station",)),
    ("bike_station", "amenity", ("bicycle_rental",)), ("parking_garage", "parking", ("multi-storey", "underground")),
    ("streetlight", "highway", ("street_lamp",)), ("siren", "emergency", ("siren",)),
)  # fmt: skip
LEVELS = ("river_stage", "river_discharge")
GAUGE_REACH = 250.0  # m from a gauge to the watercourse it measures


def make_devices(raw: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Table `device` from OpenStreetMap objects in the city's CRS."""
    known = columns.shipped().kinds
    kind = np.full(len(raw), "", dtype=object)
    for name, tag, accepted in reversed(DEVICES):
        if name in known:
            kind[raw[tag].isin(accepted).to_numpy()] = name
    own = raw.assign(kind=kind)
    own = own[own["kind"] != ""].drop_duplicates("key").sort_values("key", ignore_index=True)
    table = {"key": own["key"], "kind": own["kind"].astype("str"), "name": own["name"].fillna("")}
    return gpd.GeoDataFrame(table, geometry=shapely.point_on_surface(own.geometry.to_numpy()), crs=raw.crs)


def observes(device: gpd.GeoDataFrame, waterway: gpd.GeoDataFrame) -> pd.DataFrame:
    """Relations from river gauges to the watercourse that each stands at."""
    gauge = device[device["kind"].isin(LEVELS)]
    i, j = np.empty(0, np.int64), np.empty(0, np.int64)
    if len(gauge) and len(waterway):
        tree = shapely.STRtree(waterway.geometry.to_numpy())
        i, j = tree.query_nearest(gauge.geometry.to_numpy(), max_distance=GAUGE_REACH, all_matches=False)
    return pd.DataFrame({
        "kind": "observes", "from_table": "device", "from_key": gauge["key"].to_numpy()[i], "to_table": "waterway",
        "to_key": waterway["key"].to_numpy()[j],
    }).astype("str").assign(estimated=False)  # fmt: skip
