"""The shaking and ground failure on the city's raster: for maps, at the median, with its uncertainty."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from citytwin.city import City
from citytwin.hazards.earthquake import ground_failure
from citytwin.hazards.earthquake.conditioning import conditioned
from citytwin.hazards.earthquake.scene import G, Scene
from citytwin.hazards.earthquake.stations import Stations

F64 = npt.NDArray[np.float64]

MOST = 4_000
"""Points that the shaking is worked out at; cells between lie on straight lines."""

FAR = 100.0
"""km to the nearest water where the city knows none."""


def ground_columns(city: City, scene: Scene, stations: Stations | None, correlation: str) -> dict[str, F64]:
    """Columns of the cells. The shaking is exact at up to `MOST` points of a grid, bilinear between them."""
    ground = city.ground
    height, width = ground.shape
    step = max(1, int(np.ceil(np.sqrt(height * width / MOST))))
    rows, columns = (np.unique(np.append(np.arange(0, n, step), n - 1)) for n in (height, width))
    xs, ys = ground.centres()
    x, y = (a.ravel() for a in np.meshgrid(xs[columns], ys[rows]))
    vs30 = scene.vs30_of_ground(x, y)
    shaken = scene.at(("PGA", "PGV"), x, y, vs30)
    mean, spread = shaken.median, shaken.total
    if stations is not None:
        known = conditioned(shaken, stations, correlation)
        mean, spread = known.mean, known.deviation
    at = np.meshgrid(np.interp(np.arange(height), rows, np.arange(len(rows))),
                     np.interp(np.arange(width), columns, np.arange(len(columns))), indexing="ij")  # fmt: skip

    def spread_out(values: F64) -> F64:
        coarse = values.reshape(len(rows), len(columns))
        return np.asarray(map_coordinates(coarse, at, order=1, mode="nearest"), dtype=np.float64)

    pga, pgv = np.exp(spread_out(mean[0])), np.exp(spread_out(mean[1]))
    slope = ground_failure.slope_of(ground.elevation, ground.cell_size)
    slides = ground_failure.slope_failure(pga, ground_failure.critical_acceleration(slope))
    wet = ground_failure.liquefaction(
        pgv, spread_out(vs30), scene.params.precipitation, to_water(city), scene.params.water_table, pga
    )  # fmt: skip
    fields = {
        "ground_acceleration": pga * G, "ground_velocity": pgv / 100.0, "shaking_spread": spread_out(spread[0]),
        "shaking_change": np.clip(spread_out(mean[0] - shaken.median[0]), -5.0, 5.0),
        "liquefaction_probability": np.where(_open_water(city), 0.0, wet), "slope_failure_probability": slides,
    }  # fmt: skip
    return {name: values.ravel() for name, values in fields.items()}


def _open_water(city: City) -> npt.NDArray[np.bool_]:
    return np.asarray(city.ground.layer("water") > 0.5, dtype=np.bool_)


def to_water(city: City) -> F64:
    """Distance (km) of each cell to the nearest water surface on the raster."""
    from scipy.ndimage import distance_transform_edt

    water = _open_water(city)
    if not water.any():
        return np.full(water.shape, FAR)
    return np.asarray(distance_transform_edt(~water), dtype=np.float64) * city.ground.cell_size / 1000.0
