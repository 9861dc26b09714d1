"""Random fields of shaking, correlated over places and between measures and conditioned on stations, in blocks.

Every block of realisations has a random stream of its own, so that it comes out the same on any number of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numba
import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake import kernel, kernel_order
from citytwin.hazards.earthquake.conditioning import Known, given, merged, model_for
from citytwin.hazards.earthquake.correlation import Correlation, Decay
from citytwin.hazards.earthquake.kernel import Ground
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.hazards.earthquake.stations import Stations
from citytwin.sim.streams import Streams

Array = npt.NDArray[np.float64]
Field = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Made = TypeVar("Made")
NEAR, NEAR_STATIONS = 30, 8
"""Earlier places and stations that a place is drawn from; the error that this leaves is measured in validation."""
BLOCK = 32
"""Realisations at a time: each thread has one block in hand."""


def blocks(
    shaking: Shaking,
    streams: Streams,
    realisations: int,
    correlation: str | Correlation = "JB2009",
    stations: Stations | None = None,
    block: int = BLOCK,
    threads: int = 2,
) -> Iterator[Field]:
    """Ln of the measures, float32[m, b, n], `block` realisations at a time; the same bits on any number of threads.

    Memory grows with `block` and with `threads`, each of which has a block in hand.
    """
    sampler = Sampler.of(shaking, correlation, stations)
    yield from each_block([(sampler, streams)], realisations, lambda _, grounds: dense(grounds[0]), block, threads)


def each_block(
    shocks: Sequence[tuple[Sampler, Streams]],
    realisations: int,
    use: Callable[[int, list[Ground]], Made],
    block: int = BLOCK,
    threads: int | None = None,
) -> Iterator[Made]:
    """What `use` makes of each block of realisations, in their order; the same on any number of threads.

    use: called on several threads at a time with the number of the block's first realisation and the block of each shock.
    threads: as many as kernels may use, unless said. Fields are gone when `use` returns, so memory is a block a thread.
    """
    numbers = range(-(-realisations // block))

    def work(number: int) -> Made:
        size = min(block, realisations - number * block)
        grounds = [sampler.ground(streams.named(f"shaking {number}"), size) for sampler, streams in shocks]
        return use(number * block, grounds)

    wanted = min(threads or numba.get_num_threads(), len(numbers))
    if wanted <= 1:
        yield from map(work, numbers)
        return
    with ThreadPoolExecutor(wanted) as pool:
        waiting: deque[Future[Made]] = deque()
        for number in numbers:
            waiting.append(pool.submit(work, number))
            if len(waiting) > wanted:  # one in hand each, and one that waits: threads need not
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def dense(ground: Ground) -> Field:
    """Ln of all measures at all places, float32[m, b, n]; those of one place are neighbours in memory."""
    m, n = ground.median.shape
    out = np.empty((m, n, ground.size), dtype=np.float32)
    for measure in range(m):
        kernel.spread(ground, measure, np.arange(n), out[measure])
    return out.transpose(0, 2, 1)


def ground_of(fields: Field) -> Ground:
    """Fields of somebody else, float32[m, b, n], as a block: each measure its own latent field."""
    m, b, n = fields.shape
    zero, one = np.zeros((m, n), dtype=np.float32), np.ones((m, n), dtype=np.float32)
    latent = np.ascontiguousarray(fields.transpose(0, 2, 1))
    return Ground(latent, np.arange(n), np.zeros((m, b), np.float32), np.eye(m, dtype=np.float32), zero, zero, one)


@dataclass(frozen=True)
class Sampler:
    """All that is worked out once for a set of places, before fields are drawn.

    node: int64[n], where each place stands in the order of drawing. neighbours: int32[nodes, k], nodes drawn before. weight: of
    each latent field, those of the neighbours and what is left to chance (None for white ones). known: what stations tell.
    root: of the covariance of event terms and of what is known.
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
        x, y, node, starts, size = _in_order(x, y, first)
        neighbours = np.full((len(x), 1), -1, dtype=np.int32)
        if any(not d.white for d in model.decays):
            neighbours = kernel_order.earlier_neighbours(x, y, starts, size, first, NEAR, NEAR_STATIONS)
        cache: dict[Decay, tuple[Field, Field] | None] = {}
        for decay in set(model.decays):
            cache[decay] = None
            if not decay.white:
                shares, scales = np.array(decay.shares), np.array(decay.scales)
                cache[decay] = kernel.weights(x, y, neighbours, first, shares, scales, decay.power, kernel.DECLINE)
        root = known.root() if known else np.asarray(np.linalg.cholesky(model.between))
        weight = tuple(cache[d] for d in model.decays)
        return Sampler(shaking, model, known, node[first:], len(x), neighbours, weight, root)

    def draw(self, random: np.random.Generator, size: int) -> Field:
        """Ln of the measures in `size` realisations, float32[m, size, n]; those of one place are neighbours in memory."""
        return dense(self.ground(random, size))

    def ground(self, random: np.random.Generator, size: int) -> Ground:
        """A block of `size` realisations."""
        f, given_nodes = len(self.model.decays), len(self.known.x) if self.known else 0
        event, at_stations = self._event_terms(random, size)
        latent = random.standard_normal((f, self.nodes, size), dtype=np.float32)
        if not np.array_equal(self.model.innovation, np.eye(f)):
            kernel.mix(latent, np.linalg.cholesky(self.model.innovation).astype(np.float32), given_nodes)
        latent[:, :given_nodes] = at_stations
        for number, weights in enumerate(self.weight):
            if weights is not None:
                kernel.sweep(latent[number], self.neighbours, *weights, given_nodes)
        return Ground(latent, self.node, event, *self._single)

    @cached_property
    def _single(self) -> tuple[Field, Field, Field, Field]:
        """Mixing, median, between and within of the measures wanted, in single precision."""
        mixing = self.model.mixing[self.model.rows(self.shaking.measures)]
        parts = (mixing, self.shaking.median, self.shaking.between, self.shaking.within)
        one, two, three, four = (np.ascontiguousarray(part, dtype=np.float32) for part in parts)
        return one, two, three, four

    def _event_terms(self, random: np.random.Generator, size: int) -> tuple[Field, Field]:
        """Event terms, float32[m, size], and the latent fields at the stations, float32[f, stations, size]."""
        f, events = len(self.model.decays), len(self.model.measures)
        drawn = self.root @ random.standard_normal((len(self.root), size))
        if self.known is not None:
            drawn += self.known.mean[:, None]
        at_stations = drawn[events:].reshape(f, -1, size) if self.known is not None else np.empty((f, 0, size))
        event = drawn[self.model.rows(self.shaking.measures)]
        return event.astype(np.float32), at_stations.astype(np.float32)


def _in_order(x: Array, y: Array, stations: int) -> tuple[Array, Array, Rows, Rows, Array]:
    """Places in the order of drawing, the node of each place given, where levels begin and the size of their cells (m).

    The first `stations` places stay first; a place at a station shares its node.
    """
    ux, uy, which = merged(x, y)
    node = np.full(len(ux), -1, dtype=np.int64)
    node[which[:stations]] = np.arange(stations)
    others = np.flatnonzero(node < 0)
    starts, size = np.array([stations], dtype=np.int64), np.empty(0)
    if others.size:
        order = kernel_order.coarse_to_fine(ux[others], uy[others])
        node[others[order.places]] = stations + np.arange(others.size)
        starts, size = stations + order.starts, order.size
    placed = np.argsort(node)
    return ux[placed], uy[placed], node[which], starts, size
