"""Buildings: rows of footprints along the edges of every block, of the size and use that the district asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city.synthetic.arterials import Frame
from citytwin.city.synthetic.districts import KINDS
from citytwin.city.synthetic.patterns import Lines
from citytwin.city.synthetic.plan import Floats, Plan, Whole
from citytwin.city.synthetic.streets import Streets

STOREY = {"house": 2.9, "apartments": 3.0, "commercial": 3.7, "industrial": 6.5, "public": 3.9}  # m, a rule


@dataclass
class Blocks:
    """Pieces of land between streets: `shape`, district kind by row of KINDS (`kind`), neighbourhood (`face`), `area` (m2).

    room: a block less its streets and pavements, where buildings may stand; where that falls apart there is a row for each
    part, and only one of them is the `first` of the block.
    """

    shape: Lines
    room: Lines
    face: Whole
    kind: npt.NDArray[np.str_]
    first: npt.NDArray[np.bool_]

    @property
    def area(self) -> Floats:
        """Area of the room for buildings (m2)."""
        return np.asarray(shapely.area(self.room))


@dataclass
class Buildings:
    """Footprints with their use, storeys, height (m), floor area (m2), block and neighbourhood."""

    shape: Lines
    use: npt.NDArray[np.str_]
    levels: Floats
    height: Floats
    block: Whole
    face: Whole
    site: Whole  # row of the facility site it belongs to, -1 for none

    @property
    def floor_area(self) -> Floats:
        """Floor area over all storeys (m2)."""
        return np.asarray(shapely.area(self.shape)) * self.levels

    @property
    def middle(self) -> Floats:
        """Centroids (k, 2)."""
        return np.asarray(shapely.get_coordinates(shapely.centroid(self.shape)))

    def __len__(self) -> int:
        return len(self.shape)


SQUARES = 0.035  # share of blocks among homes that are left open as a square or small park, a rule


def make_blocks(plan: Plan, frame: Frame, streets: Streets) -> Blocks:
    """What the streets enclose on dry land, less the streets' own width."""
    shape = shapely.get_parts(shapely.polygonize(streets.lines))
    point = shapely.point_on_surface(shape)
    tree = shapely.STRtree(np.array(frame.faces, dtype=object))
    row, face = tree.query(point, predicate="within")
    shape, face = shape[row], face
    centre = shapely.get_coordinates(shapely.centroid(shape))
    order = np.lexsort((centre[:, 1], centre[:, 0]))
    shape, face = shape[order], face[order]
    room = _inset(shape, streets)
    room = shapely.difference(room, shapely.buffer(frame.wet, 6))
    parts, owner = shapely.get_parts(room, return_index=True)
    good = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 120)
    parts, owner = parts[good], owner[good]
    kind = np.array(frame.kinds, dtype="U12")[face[owner]]
    open_space = plan.stream("squares").uniform(0, 1, len(parts)) < SQUARES
    area = shapely.area(parts)
    kind[open_space & np.isin(kind, ["old_town", "inner", "terraces", "suburb"]) & (area > 1200) & (area < 15_000)] = "park"
    return Blocks(shape[owner], parts, face[owner], kind, np.diff(owner, prepend=-1) != 0)


def _inset(shape: Lines, streets: Streets) -> Lines:
    """Blocks without the streets: each street takes half of its width and a pavement from either side."""
    narrow = CURB + 8.0 / 2
    room = shapely.buffer(shape, -narrow, join_style="mitre", quad_segs=2)
    _, cuts, dangles, _ = shapely.polygonize_full(streets.lines)
    blind = np.concatenate([shapely.get_parts(cuts), shapely.get_parts(dangles)])  # dead ends, which lie within a block
    wide = streets.width > 8.0
    lines = np.concatenate([streets.lines[wide], blind])
    width = np.concatenate([streets.width[wide], np.full(len(blind), 8.0)])
    bands = shapely.buffer(lines, width / 2 + CURB, cap_style="flat", quad_segs=3)
    tree = shapely.STRtree(bands)
    row, band = tree.query(room, predicate="intersects")
    order = np.argsort(row, kind="stable")
    row, band = row[order], band[order]
    first = np.flatnonzero(np.diff(row, prepend=-1))
    for begin, end in zip(first, np.append(first[1:], len(row)), strict=True):
        room[row[begin]] = shapely.difference(room[row[begin]], shapely.union_all(bands[band[begin:end]]))
    return np.asarray(room)


CURB = 1.6  # m of pavement beside each street


def make_buildings(plan: Plan, blocks: Blocks, claimed: npt.NDArray[np.bool_]) -> Buildings:
    """Rows of buildings on all blocks that no facility has claimed."""
    rng = plan.stream("buildings")
    shapes, owners = [], []
    names = np.unique(blocks.kind)
    for name in names:
        district = KINDS[str(name)]
        room = np.flatnonzero((blocks.kind == name) & ~claimed)
        yard = blocks.room[room]
        for _ in range(district.rows):
            line = shapely.simplify(shapely.buffer(yard, -district.setback, join_style="mitre"), 2.5)
            made, owner = _along(line, district.plot, district.depth, district.gap, rng)
            chosen = rng.uniform(0, 1, len(made)) < district.grown
            made, owner = made[chosen], room[owner[chosen]]
            fits = shapely.contains_properly(blocks.room[owner], made)
            shapes.append(made[fits])
            owners.append(owner[fits])
            yard = shapely.buffer(yard, -(district.setback + district.depth + max(district.gap, 12.0)), join_style="mitre")
    shape, block = np.concatenate(shapes), np.concatenate(owners)
    order = np.lexsort((np.arange(len(block)), block))
    shape, block = shape[order], block[order]
    free = ~_overlapped(shape)
    return _dressed(plan, shape[free], block[free], blocks)


def _along(line: Lines, plot: float, depth: float, gap: float, rng: np.random.Generator) -> tuple[Lines, Whole]:
    """Footprints along the outer rings of polygons: one for each plot width, facing outwards; and the polygon of each."""
    parts, part_of = shapely.get_parts(line, return_index=True)
    solid = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > plot * depth * 0.8)
    parts, part_of = shapely.orient_polygons(parts[solid]), part_of[solid]
    points, ring = shapely.get_coordinates(shapely.get_exterior_ring(parts), return_index=True)
    if not len(points):
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    same = ring[1:] == ring[:-1]
    begin, end, ring = points[:-1][same], points[1:][same], ring[:-1][same]
    length = np.hypot(*(end - begin).T)
    count = np.maximum(((length - 0.8 * depth) / plot), 0).astype(int)
    count = np.where((count == 0) & (length > 0.75 * plot), 1, count)
    edge = np.repeat(np.arange(len(begin)), count)
    slot = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    heading = (end - begin) / np.maximum(length, 1e-9)[:, None]
    inward = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    pitch = np.where(count > 1, (length - 0.8 * depth) / np.maximum(count, 1), np.minimum(length, plot))[edge]
    wide = pitch - gap * rng.uniform(0.8, 1.2, len(edge)) if gap < 1 else (pitch - gap) * rng.uniform(0.78, 1.08, len(edge))
    deep = depth * rng.uniform(0.82, 1.16, len(edge))
    back = (0.0 if gap < 1 else 0.25 * gap) * rng.uniform(0, 1, len(edge))
    left = (slot * pitch + (pitch - wide) / 2)[:, None] * heading[edge] + begin[edge] + back[:, None] * inward[edge]
    return _footprints(left, heading[edge] * wide[:, None], inward[edge] * deep[:, None], gap, rng), part_of[ring[edge]]


def _footprints(corner: Floats, side: Floats, depth: Floats, gap: float, rng: np.random.Generator) -> Lines:
    """Rectangles, and L-shapes among the ones that stand alone."""
    count = len(corner)
    notch_x = np.where(rng.uniform(0, 1, count) < (0.38 if gap > 1 else 0.22), rng.uniform(0.3, 0.7, count), 1.0)
    notch_y = rng.uniform(0.35, 0.7, count)
    flip = rng.uniform(0, 1, count) < 0.5
    u = np.stack([np.zeros(count), np.ones(count), np.ones(count), notch_x, notch_x, np.zeros(count)], axis=1)
    v = np.stack([np.zeros(count), np.zeros(count), notch_y, notch_y, np.ones(count), np.ones(count)], axis=1)
    u = np.where(flip[:, None], 1 - u, u)
    points = corner[:, None] + u[..., None] * side[:, None] + v[..., None] * depth[:, None]
    points = np.round(points, 2)
    plain = notch_x == 1.0
    out = np.empty(count, dtype=object)
    out[plain] = shapely.polygons(points[plain][:, [0, 1, 4, 5]])
    out[~plain] = shapely.polygons(points[~plain])
    return out


def _overlapped(shape: Lines) -> npt.NDArray[np.bool_]:
    """Which footprints meet one that comes before them."""
    first, second = shapely.STRtree(shape).query(shape, predicate="intersects")
    hit = np.zeros(len(shape), dtype=bool)
    hit[np.maximum(first, second)[first != second]] = True
    return hit


def _dressed(plan: Plan, shape: Lines, block: Whole, blocks: Blocks) -> Buildings:
    """Use, storeys and height for each footprint."""
    rng = plan.stream("uses")
    kind = blocks.kind[block]
    use = np.full(len(shape), "other", dtype="U12")
    levels = np.ones(len(shape))
    tall = rng.uniform(0, 1, len(blocks.shape))[block]  # a block was built in one go
    for name in np.unique(kind):
        district, rows = KINDS[str(name)], np.flatnonzero(kind == name)
        uses = np.array(list(district.uses))
        share = np.cumsum(list(district.uses.values()))
        use[rows] = uses[np.minimum(np.searchsorted(share, rng.uniform(0, share[-1], len(rows))), len(uses) - 1)]
        low, high = district.levels
        mixed = 0.55 * tall[rows] + 0.45 * rng.uniform(0, 1, len(rows))
        levels[rows] = np.floor(low + (high - low + 0.999) * mixed**1.5)
    levels = np.where(use == "other", 1.0, levels)
    storey = np.array([STOREY.get(str(u), 3.0) for u in use])
    height = np.round(levels * storey * rng.uniform(0.95, 1.08, len(use)) + np.where(use == "house", 1.8, 0.6), 1)
    return Buildings(shape, use, levels, height, block, blocks.face[block], np.full(len(shape), -1))


def row_of_buildings(room: shapely.Polygon, plot: float, depth: float, rng: np.random.Generator) -> Lines:
    """Buildings of one facility along the edges of its land, the largest first, none overlapping; at least one."""
    for scale in (1.0, 0.8, 0.6, 0.45, 0.3):
        line = shapely.simplify(shapely.buffer(np.array([room]), -6.0 * scale, join_style="mitre"), 1.0)
        made, _ = _along(line, plot * scale, depth * scale, 3.0, rng)
        made = made[shapely.contains_properly(room, made)] if len(made) else made
        if len(made):
            made = made[np.argsort(-shapely.area(made), kind="stable")]
            return made[~_overlapped(made)]
    circle = shapely.maximum_inscribed_circle(room)
    return np.array([shapely.buffer(circle.interpolate(0), 0.6 * circle.length, cap_style="square")], dtype=object)
