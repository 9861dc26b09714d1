"""The street network of a made city: main roads and local streets, noded, tidied and in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry import MultiLineString

from citytwin.city.synthetic.arterials import Frame
from citytwin.city.synthetic.districts import KINDS
from citytwin.city.synthetic.patterns import Lines, local_streets
from citytwin.city.synthetic.plan import Floats, Plan, Whole

TOO_SHORT = 11.0  # m: junctions nearer than this to each other are made one

# lanes over both directions, allowed speed (km/h) and width between kerbs (m) by class; rules after common urban practice
CLASSES: dict[str, tuple[int, float, float]] = {
    "motorway": (4, 100.0, 24.0), "primary": (4, 50.0, 18.0), "secondary": (2, 50.0, 13.0), "tertiary": (2, 50.0, 10.0),
    "residential": (2, 30.0, 8.0), "unclassified": (2, 50.0, 10.0), "pedestrian": (0, 7.0, 6.0), "footway": (0, 5.0, 3.0),
}  # fmt: skip
RANK = {name: rank for rank, name in enumerate(CLASSES)}


@dataclass
class Streets:
    """Edges (`lines`, `kind`, `bridge`) between `nodes` (k, 2): `start` and `end` are rows of nodes.

    face: row of the neighbourhood, -1 for main roads. signals: which nodes have traffic lights.
    """

    lines: Lines
    kind: npt.NDArray[np.str_]
    bridge: npt.NDArray[np.bool_]
    start: Whole
    end: Whole
    nodes: Floats
    face: Whole
    signals: npt.NDArray[np.bool_]

    @property
    def length(self) -> Floats:
        """Length of each edge (m)."""
        return np.asarray(shapely.length(self.lines))

    @property
    def width(self) -> Floats:
        """Width between kerbs of each edge (m)."""
        return np.array([CLASSES[k][2] for k in self.kind])

    @property
    def drivable(self) -> npt.NDArray[np.bool_]:
        """Whether motor vehicles may use each edge."""
        return np.array([CLASSES[k][0] > 0 for k in self.kind])


def make_streets(plan: Plan, frame: Frame) -> Streets:
    """Fill the neighbourhoods with local streets and join everything to one network."""
    local, kinds, faces = _local(plan, frame)
    main = np.array(frame.roads, dtype=object)
    sources = np.concatenate([main, local, _anchors(main[np.array(frame.bridges, dtype=bool)])])
    noded = shapely.get_parts(shapely.line_merge(shapely.union_all(sources, grid_size=0.05)))
    middle = shapely.line_interpolate_point(noded, 0.5, normalized=True)
    piece, found = shapely.STRtree(sources).query(middle, predicate="dwithin", distance=0.3)
    source = np.full(len(noded), len(sources))
    np.minimum.at(source, piece, found)  # a main road before a local street
    source[source >= len(main) + len(local)] = -1
    known = source >= 0
    noded, source = noded[known], source[known]
    kind = np.concatenate([np.array(frame.classes, dtype="U16"), kinds])[source]
    bridge = np.concatenate([np.array(frame.bridges, dtype=bool), np.zeros(len(local), dtype=bool)])[source]
    face = np.concatenate([np.full(len(main), -1), faces])[source]
    return _network(noded, kind, bridge, face)


def _anchors(bridges: Lines) -> Lines:
    """Stubs of 3 m at both ends of each bridge: they keep a bridge from being merged with the street that goes on from it."""
    ends = np.stack([_ends(bridges, 0), _ends(bridges, -1)], axis=1)
    way = ends[:, 1] - ends[:, 0]
    aslant = np.stack([way[:, 0] - way[:, 1], way[:, 0] + way[:, 1]], axis=1)
    aslant = 3.0 * aslant / np.hypot(*aslant.T)[:, None]
    stubs = np.stack([ends, ends + np.stack([-aslant, aslant], axis=1)], axis=2)
    return np.asarray(shapely.linestrings(stubs.reshape(-1, 2, 2)))


def _local(plan: Plan, frame: Frame) -> tuple[Lines, npt.NDArray[np.str_], Whole]:
    """The local streets of all neighbourhoods, with class and neighbourhood."""
    roads, motorway = np.array(frame.roads, dtype=object), np.array(frame.classes) == "motorway"
    tree = shapely.STRtree(roads)
    lines, kinds, faces = [], [], []
    for row, (face, kind) in enumerate(zip(frame.faces, frame.kinds, strict=True)):
        near = np.sort(tree.query(face, predicate="dwithin", distance=40.0))
        joins, bars = (MultiLineString(list(roads[near[motorway[near] == which]])) for which in (False, True))
        made = local_streets(face, KINDS[kind], joins, bars, plan.stream(f"streets {row}"))
        lines.append(made)
        kinds.append(np.full(len(made), _LOCAL_CLASS.get(kind, "residential"), dtype="U16"))
        faces.append(np.full(len(made), row))
    return np.concatenate(lines), np.concatenate(kinds), np.concatenate(faces)


_LOCAL_CLASS = {"park": "footway", "port": "unclassified", "industry": "unclassified"}


def _network(lines: Lines, kind: npt.NDArray[np.str_], bridge: npt.NDArray[np.bool_], face: Whole) -> Streets:
    """Nodes at the ends of `lines`, those too near each other made one, and only what hangs together kept."""
    ends = np.stack([_ends(lines, 0), _ends(lines, -1)], axis=1)
    nodes, inverse = np.unique(np.round(ends.reshape(-1, 2), 1), axis=0, return_inverse=True)
    link = inverse.reshape(-1, 2)
    short = (shapely.length(lines) < TOO_SHORT) & ~bridge
    group = _groups(link[short], len(nodes))
    place = np.stack([np.bincount(group, weights=nodes[:, k]) / np.bincount(group) for k in (0, 1)], axis=1)
    link = group[link]
    keep = ~short & ((link[:, 0] != link[:, 1]) | (shapely.length(lines) > 60))
    lines, kind, bridge, face, link = lines[keep], kind[keep], bridge[keep], face[keep], link[keep]
    part = _groups(link, len(place))
    largest = int(np.argmax(np.bincount(part[link[:, 0]], weights=shapely.length(lines))))
    keep = part[link[:, 0]] == largest
    lines, kind, bridge, face, link = lines[keep], kind[keep], bridge[keep], face[keep], link[keep]
    used, flat = np.unique(link, return_inverse=True)
    link, place = flat.reshape(-1, 2), np.round(place[used], 2)
    lines = _pulled(lines, place[link[:, 0]], place[link[:, 1]])
    return Streets(lines, kind, bridge, link[:, 0], link[:, 1], place, face, _signals(link, kind, len(place)))


def _groups(link: Whole, count: int) -> Whole:
    graph = coo_array((np.ones(len(link), dtype=np.int8), (link[:, 0], link[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1]).astype(np.int64)


def _ends(lines: Lines, which: int) -> Floats:
    return np.asarray(shapely.get_coordinates(shapely.get_point(lines, which)))


def _pulled(lines: Lines, start: Floats, end: Floats) -> Lines:
    """The lines with their ends moved to the places given."""
    points, owner = shapely.get_coordinates(lines, return_index=True)
    points = np.round(points, 2)
    first = np.searchsorted(owner, np.arange(len(lines)), side="left")
    last = np.searchsorted(owner, np.arange(len(lines)), side="right") - 1
    points[first], points[last] = start, end
    return np.asarray(shapely.linestrings(points, indices=owner))


def _signals(link: Whole, kind: npt.NDArray[np.str_], count: int) -> npt.NDArray[np.bool_]:
    """Traffic lights where at least three ends of main streets meet, and where a fourth street joins two of them."""
    big = np.isin(kind, ["primary", "secondary"])
    drive = ~np.isin(kind, ["footway", "pedestrian"])
    mains = np.bincount(link[big].ravel(), minlength=count)
    degree = np.bincount(link[drive].ravel(), minlength=count)
    motorway = np.bincount(link[kind == "motorway"].ravel(), minlength=count)
    return np.asarray(((mains >= 3) | ((mains >= 2) & (degree >= 4))) & (motorway == 0))
