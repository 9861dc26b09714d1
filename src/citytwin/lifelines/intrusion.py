"""Dirty water in the mains: what leaks in where pressure is lost under a flooded street, and what works under water send out.

A main under pressure leaks outwards. Without pressure, water that stands on the street runs in through the same leaks:

    inflow = C A sqrt(2 g h)                orifice; h: cover over the main and the water above it
    A      = leak / (C sqrt(2 g H))         leak area of a metre of main, from what it loses at the usual head H
    share  = flood water in a part of the network / water that the mains of that part hold

(Kirmeyer et al. 2001, Pathogen Intrusion into the Distribution System, AwwaRF; LeChevallier et al. 2003, J. Water Health 1,
3-14: leaks as orifices; from knowledge, not re-read.) A broken main under water fills, one on a dry street for a small
assumed part. A part of the network without pressure is mixed through. Once pressure is back, the share falls with the time that
the network takes to turn its water over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from citytwin.city import City
from citytwin.city.cells import Touch, along, around, channels
from citytwin.city.roads import number, text
from citytwin.lifelines.supply import Fed, Network

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

GRAVITY = 9.81
USUAL_HEAD = 40.0
"""Head of water (m) in mains at usual pressure: assumed."""
ORIFICE = 0.6
"""Discharge coefficient of a small hole with sharp edges."""
COVER = 1.0
"""Depth (m) of mains under the street: assumed."""
DIAMETER = 0.15
"""Inner diameter (m) of a main of unknown size: assumed."""
PIECE = 20.0
"""Length (m) of main before each building where the city has no table of pipes: assumed."""
WET = 0.05
"""Least depth (m) of water on the street over a main that counts: assumed."""
TRENCH = 0.05
"""Share of a broken main without pressure that ground water and what runs from broken sewers fill on a dry street: assumed."""


class Mains:
    """The mains of a network: `first`, `last` node, `length` (m), `bore` (m2), `touch` (cells of the street above them).

    `pipe`: row in the table of pipes, -1 where that table is missing and a piece of main is assumed before each building.
    """

    def __init__(self, city: City, network: Network, fed: Fed) -> None:
        if network.edges:
            table = city.table("pipe")
            lines = np.asarray(table.geometry.to_numpy(), dtype=object)
            self.first = city.rows(network.table, text(table, "from_node"))
            self.last = city.rows(network.table, text(table, "to_node"))
            self.length = np.maximum(shapely.length(lines), 1.0)
            self.bore = np.pi / 4 * np.maximum(number(table, "diameter", DIAMETER), 0.02) ** 2
            touch = along(city.ground, lines)
            self.pipe = np.arange(len(lines), dtype=np.int64)
        else:
            self.first = self.last = fed.node
            self.length = np.full(len(fed.node), PIECE)
            self.bore = np.full(len(fed.node), np.pi / 4 * DIAMETER**2)
            places = np.asarray(city.table("building").geometry.to_numpy(), dtype=object)[fed.thing]
            touch = around(city.ground, places).touch
            self.pipe = np.full(len(fed.node), -1)
        self.touch: Touch = touch.only(~np.isin(touch.cell, channels(city)))  # mains cross rivers under their beds
        known = (self.first >= 0) & (self.last >= 0)
        self.first, self.last = np.where(known, self.first, 0), np.where(known, self.last, 0)
        self.length = np.where(known, self.length, 0.0)


class Intrusion:
    """Flood water in the mains, as a share of what they hold, at each node of `network`: `share`."""

    def __init__(self, city: City, network: Network, fed: Fed, leak: float, turnover: float) -> None:
        """leak: m3/s that a metre of main loses at its usual pressure. turnover: time (s) that a network's water lasts."""
        self.network, self.fed, self.turnover = network, fed, turnover
        self.mains = Mains(city, network, fed)
        half = self.mains.length * self.mains.bore / 2
        self.volume = self._at_ends(half) + 1e-6
        self.conductance = leak / np.sqrt(2 * GRAVITY * USUAL_HEAD) * self.mains.length  # C A of each main
        self.dirt = np.zeros(network.nodes)
        self.entered = 0.0

    @property
    def share(self) -> Values:
        """Flood water in what the mains at each node hold, 0 ... 1."""
        return np.asarray(np.clip(self.dirt / self.volume, 0.0, 1.0))

    def _at_ends(self, each: Values) -> Values:
        """A number of each main, counted to both of its nodes."""
        ends = np.concatenate([self.mains.first, self.mains.last])
        counted = np.bincount(ends, weights=np.concatenate([each, each]), minlength=self.network.nodes)
        return np.asarray(counted, dtype=np.float64)

    def advance(self, depth: Values, supplied: Marks, sent: Values, seconds: float) -> None:
        """Let `seconds` pass with `depth` (m) on the ground. supplied: nodes under pressure; sent: share that works send."""
        lost = np.exp(-seconds / max(self.turnover, 1.0))
        self.dirt = np.where(supplied, self.dirt * lost + sent * self.volume * (1 - lost), self.dirt)
        leaked, trench = self._inflow(depth, supplied)
        came = np.minimum(np.maximum(leaked * seconds, trench - self.dirt), self.volume - self.dirt)
        came = np.maximum(came, 0.0)
        self.entered += float(came.sum())
        self.dirt += came
        self._mix(~supplied)

    def _inflow(self, depth: Values, supplied: Marks) -> tuple[Values, Values]:
        """Flood water (m3/s) that runs in at each node without pressure, and what (m3) broken mains there hold at least."""
        mains, above = self.mains, self.mains.touch.highest(depth)
        broken = self.network.cut[mains.pipe] if self.network.edges else np.zeros(len(above), np.bool_)
        speed = np.where(above > WET, np.sqrt(2 * GRAVITY * (COVER + above)), 0.0)
        leaked = self._at_ends((self.conductance + np.where(broken, ORIFICE * mains.bore, 0.0)) * speed / 2)
        trench = self._at_ends(np.where(broken, TRENCH * mains.length * mains.bore / 2, 0.0))
        return np.where(supplied, 0.0, leaked), np.where(supplied, 0.0, trench)

    def _mix(self, still: Marks) -> None:
        """Spread flood water evenly through each part of the network without pressure."""
        if not (still & (self.dirt > 0)).any():
            return
        part = self.network.parts(still)
        parts = int(part.max(initial=-1)) + 1
        dirt = np.bincount(part, weights=self.dirt, minlength=parts) / np.bincount(part, weights=self.volume, minlength=parts)
        self.dirt = np.where(still, dirt[part] * self.volume, self.dirt)

    def of_things(self) -> Values:
        """Share of flood water in what each fed thing draws: the worst of the nodes that feed it."""
        out = np.zeros(len(self.fed.known))
        np.maximum.at(out, self.fed.thing, self.share[self.fed.node])
        return out
