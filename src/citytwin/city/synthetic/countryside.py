"""The land beyond the streets: fields and meadows in the valley, woods on the hills, beach along the sea."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city.synthetic.arterials import Frame
from citytwin.city.synthetic.buildings import Blocks
from citytwin.city.synthetic.patterns import Lines
from citytwin.city.synthetic.plan import Plan
from citytwin.city.synthetic.terrain import Terrain, waves

# Manning roughness by Chow, Open-Channel Hydraulics (1959), table 5-6, flood plains, normal values: field crops 0.040,
# high grass 0.035, heavy stand of timber 0.100; clean sand as the straight clean channel 0.030. Sealed share: a rule.
COVERS: dict[str, tuple[float, float]] = {
    "farmland": (0.040, 0.01), "meadow": (0.035, 0.0), "forest": (0.100, 0.0), "beach": (0.030, 0.0),
}  # fmt: skip
MOST_FIELDS = 2500
BEACH = 22.0  # m wide


@dataclass
class Countryside:
    """Pieces of open land (`shape`) and what covers each (`cover`, a name of COVERS)."""

    shape: Lines
    cover: npt.NDArray[np.str_]


def make_countryside(plan: Plan, terrain: Terrain, frame: Frame, blocks: Blocks) -> Countryside:
    """Fields of uneven size over all land that is not city; on high ground they are woods."""
    rng = plan.stream("countryside")
    west, south, east, north = plan.bounds
    size = max(230.0, float(np.sqrt((east - west) * (north - south) / MOST_FIELDS)))
    x, y = np.meshgrid(np.arange(west - size, east + 2 * size, size), np.arange(south - size, north + 2 * size, 0.8 * size))
    points = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-0.42, 0.42, (x.size, 2)) * size
    fields = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points)))
    blocked = list(blocks.shape[blocks.first])
    water = [shapely.buffer(terrain.sea, BEACH), frame.wet, shapely.buffer(terrain.channel, 6)]
    taken = shapely.union_all([*blocked, *water], grid_size=0.05)
    land = shapely.difference(shapely.intersection(fields, shapely.box(*plan.bounds)), taken)
    shape = shapely.get_parts(land)
    shape = shape[(shapely.get_type_id(shape) == 3) & (shapely.area(shape) > 300)]
    centre = shapely.get_coordinates(shapely.centroid(shape))
    order = np.lexsort((centre[:, 1], centre[:, 0]))
    shape, centre = shape[order], centre[order]
    high = terrain.elevation(*centre.T) / (0.018 * plan.radius + 14) + 0.5 * waves(rng, 6 * size, 30 * size, 5)(*centre.T)
    within = shapely.contains_xy(frame.urban, *centre.T)
    cover = np.where(
        (high > 0.95) & ~within, "forest", np.where(within | (rng.uniform(0, 1, len(shape)) < 0.3), "meadow", "farmland")
    )
    shore = shapely.intersection(shapely.buffer(terrain.sea, BEACH), shapely.box(*plan.bounds))
    beach = shapely.difference(shore, shapely.union_all([*blocked, frame.wet], grid_size=0.05))
    sand = [p for p in shapely.get_parts(beach) if p.geom_type == "Polygon" and p.area > 300]
    return Countryside(
        np.concatenate([shape, np.array(sand, dtype=object)]),
        np.concatenate([cover, np.full(len(sand), "beach")]).astype("U10"),
    )
