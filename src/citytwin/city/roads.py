"""The road table as a graph: which places hang together, and how long the way between them is.

Nodes are the junctions that roads name; edges are the drivable roads. Simulators share this; none keeps its own graph.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy import sparse
from scipy.sparse import csgraph

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

SPEED_UNKNOWN = 30 / 3.6  # m/s, where the table says nothing: the usual limit in a residential street


def number(table: pd.DataFrame, name: str, unknown: float = np.nan) -> Values:
    """Attribute `name` as numbers; `unknown` where it is missing."""
    if name not in table:
        return np.full(len(table), unknown)
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, unknown)


def yes(table: pd.DataFrame, name: str, unknown: bool = False) -> Marks:
    """Attribute `name` as yes or no; `unknown` where it is missing."""
    if name not in table:
        return np.full(len(table), unknown)
    said = table[name]
    return np.asarray(np.where(said.isna(), unknown, said.fillna(unknown).astype(bool)), dtype=np.bool_)


def text(table: pd.DataFrame, name: str) -> npt.NDArray[np.object_]:
    """Attribute `name` as text; empty where it is missing."""
    if name not in table:
        return np.full(len(table), "", dtype=object)
    return np.asarray(table[name].astype(object).where(table[name].notna(), "").astype(str), dtype=object)


class Roads:
    """The graph of a road table.

    `first`, `last`: node of each road's two ends, -1 where the table names none. `drivable`: open to motor vehicles.
    `length` (m), `speed` (m/s, allowed), `oneway`. `nodes`: number of nodes.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        names = np.concatenate([text(table, "from_junction"), text(table, "to_junction")])
        codes, known = pd.factorize(names)
        empty = np.asarray(known == "")
        codes = np.where(empty[codes], -1, codes) if len(known) else codes
        self.nodes = len(known)
        self.first: Rows = codes[: len(table)].astype(np.int64)
        self.last: Rows = codes[len(table) :].astype(np.int64)
        self.drivable = yes(table, "drivable", unknown=True)
        self.length = np.maximum(number(table, "length"), 0.0)
        self.length = np.where(np.isfinite(self.length), self.length, shapely.length(self._lines))
        self.speed = np.maximum(number(table, "speed", SPEED_UNKNOWN), 0.1)
        self.oneway = yes(table, "oneway")
        self.edge = self.drivable & (self.first >= 0) & (self.last >= 0)

    @property
    def _lines(self) -> npt.NDArray[np.object_]:
        return np.asarray(self.table.geometry.to_numpy(), dtype=object)

    @cached_property
    def _tree(self) -> tuple[shapely.STRtree, Rows]:
        rows = np.flatnonzero(self.edge)
        return shapely.STRtree(self._lines[rows]), rows.astype(np.int64)

    def nearest(self, points: npt.ArrayLike, within: float) -> Rows:
        """Row of the nearest drivable road of each point (or inner point); -1 where none is `within` metres."""
        tree, rows = self._tree
        inner = shapely.point_on_surface(np.asarray(points, dtype=object))
        found = np.full(len(inner), -1, dtype=np.int64)
        if len(rows) and len(inner):
            at, road = tree.query_nearest(inner, max_distance=within, all_matches=False)
            found[at] = rows[road]
        return found

    def components(self, usable: Marks) -> tuple[Rows, Rows]:
        """Component of each node, and the number of nodes in each component, over the `usable` roads, driven either way."""
        rows = np.flatnonzero(self.edge & usable)
        ones = np.ones(len(rows), dtype=np.int8)
        graph = sparse.coo_matrix((ones, (self.first[rows], self.last[rows])), shape=(self.nodes, self.nodes))
        count, label = csgraph.connected_components(graph, directed=False)
        return label.astype(np.int64), np.bincount(label, minlength=count).astype(np.int64)

    def times_to(self, targets: Rows, usable: Marks, speed: Values) -> Values:
        """Shortest driving time (s) from each node to the nearest of `targets` (nodes); inf where no way leads there."""
        if not len(targets) or not self.nodes:
            return np.full(self.nodes, np.inf)
        rows = np.flatnonzero(self.edge & usable & (speed > 0))
        time = np.maximum(self.length[rows] / speed[rows], 1e-3)
        back = ~self.oneway[rows]
        # The search runs from the targets against the direction of travel. Of parallel roads the fastest counts.
        begin = np.concatenate([self.last[rows], self.first[rows][back]])
        end = np.concatenate([self.first[rows], self.last[rows][back]])
        cost = np.concatenate([time, time[back]])
        order = np.lexsort((cost, end, begin))
        begin, end, cost = begin[order], end[order], cost[order]
        keep = np.append(True, (np.diff(begin) != 0) | (np.diff(end) != 0)) if len(begin) else np.zeros(0, dtype=bool)
        graph = sparse.csr_matrix((cost[keep], (begin[keep], end[keep])), shape=(self.nodes, self.nodes))
        return np.asarray(csgraph.dijkstra(graph, directed=True, indices=np.unique(targets), min_only=True), dtype=np.float64)
