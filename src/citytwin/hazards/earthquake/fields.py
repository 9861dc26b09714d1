"""Random fields of shaking, correlated over places and between measures and conditioned on stations, in blocks.

Every block of realisations has a random stream of its own, so that it comes out the same on any number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake import kernel
from citytwin.hazards.earthquake.conditioning import Known, given, merged, model_for
from citytwin.hazards.earthquake.correlation import Correlation, Decay
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.hazards.earthquake.stations import Stations
from citytwin.sim.streams import Streams

Array = npt.NDArray[np.float64]
Field = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
NEAR, NEAR_STATIONS = 30, 8
"""Earlier places and stations that a place is drawn from; the error that this leaves is measured in validation."""


def blocks(
    shaking: Shaking,
    streams: Streams,
    realisations: int,
    correlation: str | Correlation = "JB2009",
    stations: Stations | None = None,
    block: int = 32,
    threads: int = 2,
) -> Iterator[Field]:
    """Ln of the measures, float32[m, b, n], `block` realisations at a time; the same bits on any number of threads.

    Memory grows with `block` and with `threads`, each of which has a block in hand.
    """
    sampler = Sampler.of(shaking, correlation, stations)
    sizes = [min(block, realisations - first) for first in range(0, realisations, block)]
    if threads <= 1 or len(sizes) == 1:
        for number, size in enumerate(sizes):
            yield sampler.draw(streams.named(f"shaking {number}"), size)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Field]] = deque()
        for number, size in enumerate(sizes):
            waiting.append(pool.submit(sampler.draw, streams.named(f"shaking {number}"), size))
            if len(waiting) >= threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@dataclass(frozen=True)
class Sampler:
    """All that is worked out once for a set of places, before fields are drawn.

    node: int64[n], where each place stands in the order of drawing. neighbours: int32[nodes, k]. weight, left: of each latent
    field (None for white ones). known: what stations tell. root: of the covariance of event terms and of what is known.
    """

    shaking: Shaking
    model: Correlation
    known: Known | None
    node: Rows
    nodes: int
    neighbours: kernel.Indices
    weight: tuple[tuple[Field, Field] | None, ...]
    root: Array

    @staticmethod
    def of(shaking: Shaking, correlation: str | Correlation = "JB2009", stations: Stations | None = None) -> Sampler:
        """The sampler for the places of `shaking`; places within a centimetre of one another share their residual."""
        model = model_for(shaking, stations, correlation)
        known = given(stations, model) if stations is not None else None
        first = len(known.x) if known else 0
        x, y = (np.concatenate([getattr(known, k) if known else [], getattr(shaking, k)]) for k in ("x", "y"))
        x, y, node, starts = _in_order(x, y, first)
        neighbours = np.full((len(x), 1), -1, dtype=np.int32)
        if any(not d.white for d in model.decays):
            neighbours = kernel.earlier_neighbours(x, y, starts, first, NEAR, NEAR_STATIONS)
        cache: dict[Decay, tuple[Field, Field] | None] = {}
        for decay in set(model.decays):
            cache[decay] = None
            if not decay.white:
                shares, scales = np.array(decay.shares), np.array(decay.scales)
                cache[decay] = kernel.weights(x, y, neighbours, first, shares, scales, decay.power)
        root = known.root() if known else np.asarray(np.linalg.cholesky(model.between))
        weight = tuple(cache[d] for d in model.decays)
        return Sampler(shaking, model, known, node[first:], len(x), neighbours, weight, root)

    def draw(self, random: np.random.Generator, size: int) -> Field:
        """Ln of the measures in `size` realisations, float32[m, size, n]; those of one place are neighbours in memory."""
        f, given_nodes = len(self.model.decays), len(self.known.x) if self.known else 0
        event, at_stations = self._event_terms(random, size)
        fields = random.standard_normal((f, self.nodes, size), dtype=np.float32)
        if not np.array_equal(self.model.innovation, np.eye(f)):
            kernel.mix(fields, np.linalg.cholesky(self.model.innovation).astype(np.float32), given_nodes)
        fields[:, :given_nodes] = at_stations
        for number, weights in enumerate(self.weight):
            if weights is not None:
                kernel.sweep(fields[number], self.neighbours, *weights, given_nodes)
        s = self.shaking
        out = np.empty((len(s.measures), len(s.x), size), dtype=np.float32)
        for row, measure in enumerate(self.model.rows(s.measures)):
            median, between, within = (np.ascontiguousarray(v[row], dtype=np.float32) for v in (s.median, s.between, s.within))
            mixing = self.model.mixing[measure].astype(np.float32)
            kernel.spread(fields, self.node, event[measure], mixing, median, between, within, out[row])
        return out.transpose(0, 2, 1)

    def _event_terms(self, random: np.random.Generator, size: int) -> tuple[Field, Field]:
        """Event terms, float32[measures, size], and the latent fields at the stations, float32[f, stations, size]."""
        f, events = len(self.model.decays), len(self.model.measures)
        drawn = self.root @ random.standard_normal((len(self.root), size))
        if self.known is not None:
            drawn += self.known.mean[:, None]
        at_stations = drawn[events:].reshape(f, -1, size) if self.known is not None else np.empty((f, 0, size))
        return drawn[:events].astype(np.float32), at_stations.astype(np.float32)


def _in_order(x: Array, y: Array, given_nodes: int) -> tuple[Array, Array, Rows, Rows]:
    """Places in the order of drawing, the node of each place given, and where levels begin.

    The first `given_nodes` places are stations and stay first; a place at a station shares its node.
    """
    ux, uy, which = merged(x, y)
    first = np.full(len(ux), -1, dtype=np.int64)
    first[which[:given_nodes]] = np.arange(given_nodes)
    others = np.flatnonzero(first < 0)
    starts = np.array([given_nodes], dtype=np.int64)
    if others.size:
        order, levels = kernel.coarse_to_fine(ux[others], uy[others])
        first[others[order]] = given_nodes + np.arange(others.size)
        starts = given_nodes + levels
    placed = np.argsort(first)
    return ux[placed], uy[placed], first[which], starts
