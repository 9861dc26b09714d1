"""Power and water of a made city: from the plant and the works along the streets to every building.

Power: plant -> 110 kV lines -> substations -> 10 kV cables along the streets, a tree from each substation -> transformers ->
buildings. Water: works -> trunk mains -> reservoirs on high ground and mains in every street -> buildings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra, minimum_spanning_tree
from scipy.spatial import cKDTree
from shapely.geometry import LineString

from citytwin.city.synthetic.buildings import Buildings
from citytwin.city.synthetic.facilities import Facilities
from citytwin.city.synthetic.plan import Floats, Plan, Whole
from citytwin.city.synthetic.streets import Streets
from citytwin.city.synthetic.terrain import Terrain

HIGH, MEDIUM = 110_000.0, 10_000.0  # V, usual in European cities
PER_TRANSFORMER = 55  # buildings fed by one transformer, a rule
DIAMETER = {"primary": 0.4, "secondary": 0.3, "tertiary": 0.2, "residential": 0.125, "unclassified": 0.2}  # m, a rule


@dataclass
class Network:
    """Nodes (`place`, `kind`, `facility` row or -1) and `lines` from node `start` to node `end`.

    feeds: the node that supplies each building.
    size: voltage of each line (V) in a power network, inner diameter of each pipe (m) in a water network.
    """

    place: Floats
    kind: npt.NDArray[np.str_]
    facility: Whole
    lines: npt.NDArray[np.object_]
    start: Whole
    end: Whole
    size: Floats
    feeds: Whole


def street_graph(streets: Streets, use: npt.NDArray[np.bool_]) -> csr_array:
    """Undirected graph over street nodes with the lengths of the streets in `use`."""
    count = len(streets.nodes)
    start, end, length = streets.start[use], streets.end[use], np.maximum(streets.length[use], 0.1)
    order = np.lexsort((length, end, start))
    start, end, length = start[order], end[order], length[order]
    first = np.append(True, (np.diff(start) != 0) | (np.diff(end) != 0)) if len(start) else np.zeros(0, bool)
    graph = coo_array((length[first], (start[first], end[first])), shape=(count, count)).tocsr()
    return csr_array(graph.maximum(graph.T))


def clusters(place: Floats, each: int) -> Floats:
    """Centres of compact groups of about `each` places: the places halved again and again along their longer side."""
    groups, done = [np.arange(len(place))], []
    while groups:
        rows = groups.pop()
        if len(rows) <= each:
            done.append(place[rows].mean(axis=0))
            continue
        box = place[rows].max(axis=0) - place[rows].min(axis=0)
        order = rows[np.argsort(place[rows, int(np.argmax(box))], kind="stable")]
        groups += [order[: len(order) // 2], order[len(order) // 2 :]]
    return np.array(done).reshape(-1, 2)


def make_power(plan: Plan, streets: Streets, buildings: Buildings, facilities: Facilities) -> Network:
    """Plants, substations, feeders along the streets and transformers."""
    stations = np.concatenate([facilities.of("power_plant"), facilities.of("power_substation")])
    plants = len(facilities.of("power_plant"))
    place = facilities.place[stations]
    use = streets.kind != "footway"
    graph = street_graph(streets, use)
    on_street = np.unique(np.concatenate([streets.start[use], streets.end[use]]))
    near = cKDTree(streets.nodes[on_street])
    roots = on_street[near.query(place[plants:], workers=1)[1]]
    wanted = on_street[near.query(clusters(buildings.middle, PER_TRANSFORMER), workers=1)[1]]
    wanted = np.setdiff1d(np.unique(wanted), roots)
    if not len(wanted):
        wanted = np.setdiff1d(on_street, roots)[:1]
    distance, before, _ = dijkstra(graph, indices=np.unique(roots), min_only=True, return_predecessors=True)
    wanted = wanted[np.isfinite(distance[wanted])]
    nodes, parent, paths = _tree(before, wanted, np.unique(roots), streets.nodes)
    kind = np.where(np.isin(nodes, wanted), "transformer", "bus").astype("U12")
    feeds = len(stations) + np.flatnonzero(kind == "transformer")
    links = [(len(stations) + k, len(stations) + p) for k, p in enumerate(parent) if p >= 0]
    lines = [p for p in paths if p is not None]
    row_of = {int(n): len(stations) + k for k, n in enumerate(nodes)}
    for k, root in enumerate(roots):
        links.append((plants + k, row_of[int(root)]))
        lines.append(LineString([place[plants + k], _apart(streets.nodes[root], place[plants + k])]))
    high = _grid(place)
    lines += [LineString(place[list(pair)]) for pair in high]
    start, end = np.array(links + high, dtype=np.int64).reshape(-1, 2).T
    every = np.vstack([place, streets.nodes[nodes]])
    fed = feeds[cKDTree(every[feeds]).query(buildings.middle, workers=1)[1]]
    return Network(
        every, np.concatenate([["plant"] * plants, ["substation"] * (len(stations) - plants), kind]).astype("U12"),
        np.concatenate([stations, np.full(len(nodes), -1)]), np.array(lines, dtype=object), start, end,
        np.repeat([MEDIUM, HIGH], [len(links), len(high)]), fed,
    )  # fmt: skip


def _apart(point: Floats, other: Floats) -> Floats:
    return point if np.hypot(*(point - other)) > 0.5 else point + 0.5


def _tree(before: Whole, wanted: Whole, roots: Whole, nodes: Floats) -> tuple[Whole, list[int], list[LineString | None]]:
    """The part of a shortest-path forest that reaches `wanted`, only its branchings, ends and roots kept as nodes."""
    used = np.zeros(len(nodes), dtype=bool)
    used[roots] = True
    for node in wanted.tolist():
        while not used[node]:
            used[node] = True
            node = int(before[node])
    inner = np.flatnonzero(used & (before >= 0))
    branches = np.bincount(before[inner], minlength=len(nodes))
    key = used & ((branches >= 2) | (before < 0))
    key[wanted] = True
    rows = np.flatnonzero(key)
    number = {int(n): k for k, n in enumerate(rows)}
    parent, paths = [], []
    for node in rows.tolist():
        path = [node]
        while before[path[-1]] >= 0:
            path.append(int(before[path[-1]]))
            if key[path[-1]]:
                break
        parent.append(number[path[-1]] if len(path) > 1 else -1)
        paths.append(LineString(nodes[path]) if len(path) > 1 else None)
    return rows, parent, paths


def _grid(place: Floats) -> list[tuple[int, int]]:
    """High-voltage lines: the shortest tree over all stations, and a second way in for those at its ends."""
    if len(place) < 2:
        return []
    away = np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1)) + 1e-3
    tree = minimum_spanning_tree(np.triu(away)).tocoo()
    pairs = {(int(min(a, b)), int(max(a, b))) for a, b in zip(tree.row, tree.col, strict=True)}
    degree = np.bincount(np.array(sorted(pairs)).ravel(), minlength=len(place))
    for end in np.flatnonzero(degree == 1):
        for other in np.argsort(away[end], kind="stable")[1:]:
            pair = (int(min(end, other)), int(max(end, other)))
            if pair not in pairs:
                pairs.add(pair)
                break
    return sorted(pairs)


def make_water(plan: Plan, terrain: Terrain, streets: Streets, buildings: Buildings, facilities: Facilities) -> Network:
    """Works, reservoirs, trunk mains, and mains in the streets."""
    use = ~np.isin(streets.kind, ["footway", "motorway"])
    graph = street_graph(streets, use)
    part = connected_components(graph, directed=False)[1]
    whole = part == np.argmax(np.bincount(part))
    use &= whole[streets.start]
    rows = np.unique(np.concatenate([streets.start[use], streets.end[use]]))
    number = np.full(len(streets.nodes), -1)
    number[rows] = np.arange(len(rows))
    place = streets.nodes[rows]
    height = terrain.elevation(*place.T)
    works = facilities.of("water_works")
    high = _high_places(plan, place, height)
    extra = np.vstack([facilities.place[works], facilities.place[works] + 25.0, place[high] + 18.0])
    kind = ["works"] * len(works) + ["pump"] * len(works) + ["reservoir"] * len(high)
    first = len(rows)
    near = cKDTree(place)
    links = [(first + k, first + len(works) + k) for k in range(len(works))]
    links += [
        (first + len(works) + k, int(j)) for k, j in enumerate(near.query(extra[len(works) : 2 * len(works)], workers=1)[1])
    ]
    links += [(first + 2 * len(works) + k, int(j)) for k, j in enumerate(high)]
    every = np.vstack([place, extra])
    lines = [LineString(every[list(pair)]) for pair in links]
    main = np.array([DIAMETER.get(str(k), 0.125) for k in streets.kind[use]])
    start = np.concatenate([number[streets.start[use]], [a for a, _ in links]]).astype(np.int64)
    end = np.concatenate([number[streets.end[use]], [b for _, b in links]]).astype(np.int64)
    return Network(
        every, np.array(["junction"] * len(rows) + kind),
        np.concatenate([np.full(len(rows), -1), works, works, np.full(len(high), -1)]),
        np.concatenate([streets.lines[use], np.array(lines, dtype=object)]), start, end,
        np.concatenate([main, np.full(len(links), 0.6)]), near.query(buildings.middle, workers=1)[1].astype(np.int64),
    )  # fmt: skip


def _high_places(plan: Plan, place: Floats, height: Floats) -> Whole:
    """Junctions on high ground, not too near each other, that reservoirs stand beside."""
    count = max(1, round(plan.people / 70_000))
    chosen: list[int] = []
    for row in np.argsort(-height, kind="stable"):
        if all(np.hypot(*(place[row] - place[c])) > 0.5 * plan.radius for c in chosen[: 4 * count]):
            chosen.append(int(row))
        if len(chosen) >= count:
            break
    return np.array(chosen, dtype=np.int64)


def pipe_materials(plan: Plan, net: Network) -> npt.NDArray[np.str_]:
    """What each pipe is made of: the older, the nearer to the centre; trunk mains are of steel."""
    rng = plan.stream("pipes")
    away = np.hypot(*net.place[net.start].T) / plan.radius + rng.normal(0, 0.13, len(net.start))
    by_age = np.select([away < 0.34, away < 0.6, away < 0.75], ["cast_iron", "ductile_iron", "pvc"], "polyethylene")
    return np.where(net.size > 0.5, "steel", by_age)
