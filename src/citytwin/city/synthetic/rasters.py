"""The ground rasters of a made city: height, roughness, sealing, buildings and water in square cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize
from rasterio.transform import from_origin

from citytwin.city.ground import Ground
from citytwin.city.synthetic.arterials import Frame
from citytwin.city.synthetic.buildings import Blocks, Buildings
from citytwin.city.synthetic.countryside import COVERS, Countryside
from citytwin.city.synthetic.districts import KINDS
from citytwin.city.synthetic.plan import Floats, Plan
from citytwin.city.synthetic.streets import Streets
from citytwin.city.synthetic.terrain import Terrain

# Manning roughness: Chow, Open-Channel Hydraulics (1959), table 5-6.
WATER_BED, ASPHALT = 0.030, 0.016  # clean straight stream 0.030; rough asphalt 0.016
VERGE = (0.035, 0.05)  # Manning roughness and sealed share of what is left between the pieces of land: high grass
FINE = 4  # sub-cells along each side of a cell when shares are counted


def make_ground(
    plan: Plan, terrain: Terrain, frame: Frame, streets: Streets, blocks: Blocks, country: Countryside, buildings: Buildings
) -> Ground:
    """All bands of the ground, in local metres moved to the city's place."""
    west, south, east, north = plan.bounds
    width, height = round((east - west) / plan.cell_size), round((north - south) / plan.cell_size)
    x = west + (np.arange(width) + 0.5) * plan.cell_size
    y = north - (np.arange(height) + 0.5) * plan.cell_size
    elevation = np.concatenate([
        terrain.elevation(*np.meshgrid(x, y[k : k + 256])) for k in range(0, height, 256)
    ]).astype(np.float32)  # fmt: skip
    _let_river_run(plan, terrain, elevation)
    shape = (height, width)
    water = _share(plan, shape, [frame.wet])
    roof = _share(plan, shape, list(buildings.shape))
    kinds = sorted(KINDS)
    covers = sorted(COVERS)
    painted = [(g, 1 + len(kinds) + covers.index(str(c))) for g, c in zip(country.shape, country.cover, strict=True)]
    painted += [
        (g, 1 + kinds.index(str(k))) for g, k in zip(blocks.shape[blocks.first], blocks.kind[blocks.first], strict=True)
    ]
    cover = _paint(plan, shape, painted)
    manning = np.array([VERGE[0]] + [KINDS[k].manning for k in kinds] + [COVERS[c][0] for c in covers], dtype=np.float32)[cover]
    sealed = np.array([VERGE[1]] + [KINDS[k].impervious for k in kinds] + [COVERS[c][1] for c in covers], dtype=np.float32)[
        cover
    ]
    drive = streets.drivable
    road = _share(
        plan, shape, list(shapely.buffer(streets.lines[drive], streets.width[drive] / 2, cap_style="flat", quad_segs=2))
    )
    manning = manning * (1 - road) + ASPHALT * road
    sealed = np.clip(np.maximum(sealed * (1 - road) + road, roof), 0, 1)
    manning, sealed = manning * (1 - water) + WATER_BED * water, sealed * (1 - water)
    layers = {"elevation": elevation, "manning": manning, "impervious": sealed, "building": roof, "water": water}
    origin = plan.origin
    return Ground(west + origin[0], north + origin[1], plan.cell_size, {k: v.astype(np.float32) for k, v in layers.items()})


def _share(plan: Plan, shape: tuple[int, int], shapes: list[object]) -> npt.NDArray[np.float32]:
    """The share of each cell that `shapes` cover, counted in FINE x FINE sub-cells."""
    if not shapes:
        return np.zeros(shape, dtype=np.float32)
    fine = FINE if shape[0] * shape[1] < 1_500_000 else 2
    size = plan.cell_size / fine
    out = np.zeros((shape[0] * fine, shape[1] * fine), dtype=np.uint8)
    rasterize(((s, 1) for s in shapes), out=out, transform=from_origin(plan.bounds[0], plan.bounds[3], size, size))
    return np.asarray(out.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3), dtype=np.float32))


def _paint(plan: Plan, shape: tuple[int, int], shapes: list[tuple[object, int]]) -> npt.NDArray[np.uint8]:
    """The number of the shape that holds each cell's centre, 0 for none."""
    out = np.zeros(shape, dtype=np.uint8)
    if shapes:
        rasterize(shapes, out=out, transform=from_origin(plan.bounds[0], plan.bounds[3], plan.cell_size, plan.cell_size))
    return out


def river_cells(plan: Plan, terrain: Terrain, shape: tuple[int, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the cells that the river's centreline passes, from the source down, each once."""
    step = np.linspace(0, 1, 8, endpoint=False)
    a, b = terrain.river[:-1], terrain.river[1:]
    points: Floats = (a[:, None] + step[None, :, None] * (b - a)[:, None]).reshape(-1, 2)
    ix = np.floor((points[:, 0] - plan.bounds[0]) / plan.cell_size).astype(np.int64)
    iy = np.floor((plan.bounds[3] - points[:, 1]) / plan.cell_size).astype(np.int64)
    inside = (ix >= 0) & (ix < shape[1]) & (iy >= 0) & (iy < shape[0])
    flat = iy[inside] * shape[1] + ix[inside]
    _, first = np.unique(flat, return_index=True)
    cells = flat[np.sort(first)]
    return cells // shape[1], cells % shape[1]


def _let_river_run(plan: Plan, terrain: Terrain, elevation: npt.NDArray[np.float32]) -> None:
    """Take out what the raster puts in the river's way: along its line no cell is higher than the one before."""
    iy, ix = river_cells(plan, terrain, (elevation.shape[0], elevation.shape[1]))
    elevation[iy, ix] = np.minimum.accumulate(elevation[iy, ix])
