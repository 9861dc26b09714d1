"""What power and water networks have in common: nodes that fail, edges that carry, things that are fed.

A node is supplied when it works and a chain of working nodes joins it to a working source of its part of the network. A thing
is without supply when it is known who feeds it and none of those is supplied. Flows, loads and pressures are not computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy import sparse
from scipy.sparse import csgraph

from citytwin.city import City
from citytwin.city.roads import number, text

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

FLOODED = 1.22  # m: 4 ft, functionality threshold depth of substations, FEMA Hazus Flood Technical Manual, table 7.9


class Network:
    """Nodes `table`, their `kind`, and the edges between them, with feeding relations among nodes as edges too.

    `source`: nodes that bring supply into their part (by the first of `sources` kinds found there, else every node).
    `cut`: rows of `edges` that carry nothing; whoever knows of a broken one marks it.
    """

    def __init__(self, city: City, table: str, edges: str, ends: tuple[str, str], sources: Sequence[tuple[str, ...]]) -> None:
        self.city = city
        self.table = table
        self.kind = text(city.table(table), "kind")
        self.nodes = len(self.kind)
        among = self.feeds(table)
        parts = [among]
        self.edges = city.size(edges) if edges in city else 0
        if edges in city:
            lines = city.table(edges)
            parts.append((city.rows(table, text(lines, ends[0])), city.rows(table, text(lines, ends[1]))))
        first, last = (np.concatenate(p) for p in zip(*parts, strict=True))
        known = (first >= 0) & (last >= 0)
        self.first, self.last = first[known], last[known]
        self.cut = np.zeros(self.edges, dtype=np.bool_)
        self.edge = np.concatenate([np.full(len(among[0]), -1), np.arange(self.edges)])[known].astype(np.int64)
        self.source = self._sources(sources)

    def feeds(self, table: str) -> tuple[Rows, Rows]:
        """Who feeds what in `table`: row of the node and row of the thing, both known.

        A node `feeds` a thing, or the thing `depends_on` the node: cities say it either way.
        """
        r = self.city.relations
        if table not in self.city or not len(r):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        out = r[(r["kind"] == "feeds") & (r["from_table"] == self.table) & (r["to_table"] == table)]
        into = r[(r["kind"] == "depends_on") & (r["from_table"] == table) & (r["to_table"] == self.table)]
        node = self.city.rows(self.table, [*out["from_key"], *into["to_key"]])
        thing = self.city.rows(table, [*out["to_key"], *into["from_key"]])
        known = (node >= 0) & (thing >= 0)
        return node[known], thing[known]

    def estimated(self, table: str) -> bool:
        """Whether who feeds what in `table` is a guess, in whole or in part."""
        r = self.city.relations
        if "estimated" not in r:
            return False
        between = (r["kind"] == "feeds") & (r["from_table"] == self.table) & (r["to_table"] == table)
        return bool(r.loc[between, "estimated"].any())

    def parts(self, alive: Marks) -> Rows:
        """The part of the network that each node belongs to, over edges between nodes that are `alive`."""
        carries = alive[self.first] & alive[self.last]
        if self.cut.any():
            carries &= ~((self.edge >= 0) & self.cut[self.edge])
        ones = np.ones(int(carries.sum()), dtype=np.int8)
        graph = sparse.coo_matrix((ones, (self.first[carries], self.last[carries])), shape=(self.nodes, self.nodes))
        return np.asarray(csgraph.connected_components(graph, directed=False)[1], dtype=np.int64)

    def _sources(self, sources: Sequence[tuple[str, ...]]) -> Marks:
        part = self.parts(np.ones(self.nodes, dtype=np.bool_))
        source = np.zeros(self.nodes, dtype=np.bool_)
        for kinds in sources:
            fed = np.isin(part, part[source])
            source |= ~fed & np.isin(self.kind, kinds)
        return source | ~np.isin(part, part[source])

    def add_highest(self, voltage: Values) -> None:
        """Count as sources also those nodes of each part that have its highest voltage: there the wider grid comes in."""
        part = self.parts(np.ones(self.nodes, dtype=np.bool_))
        known = np.nan_to_num(voltage)
        top = np.zeros(int(part.max(initial=-1)) + 1)
        np.maximum.at(top, part, known)
        self.source |= (known > 0) & (known >= top[part])

    def supplied(self, alive: Marks, also: Marks | None = None) -> Marks:
        """Which nodes are supplied while only `alive` ones work; `also` names further sources (tanks that hold something)."""
        part = self.parts(alive)
        source = self.source if also is None else self.source | also
        return alive & np.isin(part, part[alive & source])


class Fed:
    """The things of one table that a network feeds, and which of them are without it."""

    def __init__(self, size: int, node: Rows, thing: Rows) -> None:
        self.node, self.thing = node, thing
        self.known = np.zeros(size, dtype=np.bool_)
        self.known[thing] = True

    def without(self, supplied: Marks) -> Marks:
        """Things whose feeding nodes are all known and none supplied."""
        reached = np.zeros(len(self.known), dtype=np.bool_)
        reached[self.thing[supplied[self.node]]] = True
        return self.known & ~reached


def fed_things(network: Network, table: str, assume: Sequence[str] = ()) -> tuple[Fed, bool]:
    """What `network` feeds in `table`; where the city does not say, and `assume` names kinds, each thing's nearest such node.

    Also returns whether that was assumed, here or by whoever built the city (column `estimated` of its relations).
    """
    if table not in network.city:
        return Fed(0, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)), False
    size = network.city.size(table)
    node, thing = network.feeds(table)
    rows = np.flatnonzero(np.isin(network.kind, list(assume)))
    if len(node) or not len(rows):
        return Fed(size, node, thing), network.estimated(table)
    place = shapely.point_on_surface(np.asarray(network.city.table(network.table).geometry.to_numpy(), dtype=object)[rows])
    tree = shapely.STRtree(place)
    things = np.asarray(network.city.table(table).geometry.to_numpy(), dtype=object)
    at, near = tree.query_nearest(things, all_matches=False)
    return Fed(size, rows[near].astype(np.int64), at.astype(np.int64)), True


def customers(building: pd.DataFrame) -> Values:
    """Customers (connections) in each building: its homes, at least one."""
    return np.maximum(np.rint(number(building, "dwellings", 0.0)), 1.0)
