"""From shaking fields to damage: assets, the streaming loop over blocks of fields, and what it leaves behind.

Fields are never kept. A block of them comes, the kernel takes it, and what stays is: for each asset the probability of each
state (the mean over the fields of the exact curves, free of the lottery), for each field the totals of the city, for each
field and zone a few of them (for intervals), and the state of each asset in one field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.casualties import QUANTITIES
from citytwin.hazards.earthquake.fields import ground_of
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import axis_of
from citytwin.hazards.earthquake.kernel import Ground
from citytwin.hazards.earthquake.kernel_damage import STATES, Curves, Exposed, add_up, damage_block, draw_states
from citytwin.hazards.earthquake.kernel_lanes import FOLLOWS

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

SEGMENT = 1024
"""Assets whose totals are added up in single precision, at most."""

BY_ZONE = ("collapsed", "injured", "killed", "trapped", "displaced")
"""What is kept of each field for each zone."""


@dataclass(frozen=True)
class Assets:
    """What is damaged, one entry a building and intensity measure.

    owner (n,): row of the building. site, measure, curve (n,): of the fields and the tables. weight (n,): share of the building
    that the entry stands for (1 but for buildings whose possible curves are of several measures). shared (n,): shared out
    among the states instead of drawn. zone (n,): row of its zone, -1 for none. buildings: rows of the building table.
    Entries are sorted by zone; build with `sorted_assets`.
    """

    owner: I64
    site: npt.NDArray[np.int32]
    measure: npt.NDArray[np.int32]
    curve: npt.NDArray[np.int32]
    weight: F64
    shared: npt.NDArray[np.bool_]
    zone: I64
    buildings: int

    @property
    def segment(self) -> I64:
        """First entry of each segment of one zone, at most `SEGMENT` long; then the end."""
        starts = np.flatnonzero(np.diff(self.zone, prepend=self.zone[:1] - 1))
        ends = np.append(starts[1:], len(self.zone))
        parts = [np.arange(a, b, SEGMENT) for a, b in zip(starts, ends, strict=True)]
        return np.append(np.concatenate(parts) if parts else np.zeros(0), len(self.zone)).astype(np.int64)

    @cached_property
    def _each_once(self) -> bool:
        """Whether every building is one whole entry."""
        return bool((self.weight == 1.0).all() and (np.bincount(self.owner, minlength=self.buildings) == 1).all())

    def by_building(self, values: F64) -> F64:
        """`values` (n, ...) of entries added up, by weight, to their buildings."""
        out = np.zeros((self.buildings, *values.shape[1:]))
        if self._each_once:
            out[self.owner] = values
            return out
        np.add.at(out, self.owner, values * self.weight.reshape(-1, *(1,) * (values.ndim - 1)))
        return out


def sorted_assets(
    owner: npt.ArrayLike, site: npt.ArrayLike, measure: npt.ArrayLike, curve: npt.ArrayLike, weight: npt.ArrayLike,
    shared: npt.ArrayLike, zone: npt.ArrayLike, buildings: int,
) -> Assets:  # fmt: skip
    """Assets in the order that the loop wants."""
    order = np.lexsort((np.asarray(curve), np.asarray(zone)))  # neighbours in memory read the same table

    def put(values: npt.ArrayLike, kind: type) -> npt.NDArray[np.generic]:
        return np.ascontiguousarray(np.asarray(values)[order].astype(kind))

    return Assets(
        put(owner, np.int64), put(site, np.int32), put(measure, np.int32), put(curve, np.int32),  # type: ignore[arg-type]
        put(weight, np.float64), put(shared, np.bool_), put(zone, np.int64), buildings,  # type: ignore[arg-type]
    )  # fmt: skip


@dataclass
class Outcome:
    """What is left of all fields.

    reached (n, 5): probability of reaching each state, by entry. totals (fields, quantities): of the city. by_zone (zones,
    fields, len(BY_ZONE)), float32; the last row is what lies in no zone. drawn (n,): state of each entry in the chosen field.
    """

    reached: F64
    totals: F64
    by_zone: F32
    drawn: U8
    fields: int = 0

    @property
    def probability(self) -> F64:
        """Probability of being in each of the states none, 1 ... 5, by entry: shape (n, 6), rows sum to one."""
        out = np.empty((len(self.reached), STATES + 1))
        out[:, 0], out[:, STATES] = 1.0 - self.reached[:, 0], self.reached[:, -1]
        np.subtract(self.reached[:, :-1], self.reached[:, 1:], out=out[:, 1:STATES])
        return out

    def band(self, quantity: str) -> tuple[float, float, float]:
        """5th, 50th and 95th percentile over the fields of a total of the city."""
        low, middle, high = np.percentile(self.totals[:, QUANTITIES.index(quantity)], (5, 50, 95))
        return float(low), float(middle), float(high)

    def injured(self) -> F64:
        """Injured people of each field: severities 1 to 3."""
        first = QUANTITIES.index("injured_1")
        return np.asarray(self.totals[:, first : first + 3].sum(axis=1), dtype=np.float64)


@dataclass
class Part:
    """What one block of realisations leaves: sums of `Outcome.reached`, totals, those by zone, states of the chosen field."""

    reached: F32
    totals: F64
    by_zone: F32
    drawn: U8 | None


class Ledger:
    """One set of assets under the stream of fields: each block gives a part, parts are added up in their order.

    table (classes, points, 8), or with aftershocks (6 * classes, points, 8): see `draw_states`. seed: of the lottery. chosen:
    which field's states are kept. zones: rows of the zone table.
    """

    def __init__(self, assets: Assets, table: F32, follows: Follows, seed: int, chosen: int = 0, zones: int = 0) -> None:
        self.assets, self.seed, self.chosen, self.zones = assets, seed, chosen, zones
        self.curves = Curves(table, *axis_of(table))
        self.follows = follows.weighed(assets.weight)
        segment = assets.segment
        self.exposed = Exposed(
            assets.site, assets.measure, assets.curve, self.follows.kind, self.follows.amount, assets.shared, segment,
            self.follows.rates, self.follows.of,
        )  # fmt: skip
        zone = assets.zone[segment[:-1]]
        self.of_zone = np.where((zone < 0) | (zone >= zones), zones, zone)
        self.reached = np.zeros((len(assets.owner), STATES))
        self.drawn = np.zeros(len(assets.owner), dtype=np.uint8)
        self._totals: list[F64] = []
        self._by_zone: list[F32] = []
        self.done = 0

    def part(self, first: int, shocks: Sequence[Ground]) -> Part:
        """What the block of realisations from `first` leaves, the block of the main shock first; changes nothing."""
        count = shocks[0].size
        reached = np.empty((len(self.assets.owner), STATES), dtype=np.float32)
        totals = np.empty((len(self.exposed.segment) - 1, count, FOLLOWS), dtype=np.float32)
        here = self.chosen - first
        drawn: U8 | None = None
        if len(shocks) == 1:
            damage_block(shocks[0], self.exposed, self.curves, self._chance(0, first), reached, totals)
            if 0 <= here < count:
                drawn = self._states([_one_of(shocks[0], here)], self.chosen)[:, 0]
        else:
            states = self._states(shocks, first)
            add_up(states, self.exposed, reached, totals)
            if 0 <= here < count:
                drawn = states[:, here].copy()
        kinds = self.follows.count
        by_zone = _zone_part(totals[:, :, :kinds], self.of_zone, self.zones)
        return Part(reached, totals.sum(axis=0, dtype=np.float64)[:, :kinds], by_zone, drawn)

    def add(self, part: Part) -> None:
        """Add the next block's part."""
        self.reached += part.reached
        self._totals.append(part.totals)
        self._by_zone.append(part.by_zone)
        if part.drawn is not None:
            self.drawn = part.drawn
        self.done += len(part.totals)

    def take(self, fields: Sequence[F32]) -> None:
        """Take the next block of each shock as fields (m, b, sites), all of the same sizes: the main shock first."""
        self.add(self.part(self.done, [ground_of(f) for f in fields]))

    def _chance(self, shock: int, first: int) -> tuple[np.uint64, np.uint64]:
        return np.uint64((self.seed * 1_000_003 + shock * 7_919 + 12_345) % 2**63), np.uint64(first)

    def _states(self, shocks: Sequence[Ground], first: int) -> U8:
        """States after all shocks, (n, b)."""
        states = np.zeros((len(self.assets.owner), shocks[0].size), dtype=np.uint8)
        classes = len(self.curves.table) // (STATES + 1) if len(shocks) > 1 else len(self.curves.table)
        for shock, ground in enumerate(shocks):
            draw_states(ground, self.exposed, self.curves, classes, self._chance(shock, first), states, states)
        return states

    def outcome(self) -> Outcome:
        """What is left of all blocks taken."""
        none = np.zeros((self.zones + 1, 0, len(BY_ZONE)), np.float32)
        totals = np.concatenate(self._totals) if self._totals else np.zeros((0, self.follows.count))
        by_zone = np.concatenate(self._by_zone, axis=1) if self._by_zone else none
        self._totals, self._by_zone = [totals], [by_zone]
        return Outcome(self.reached / max(self.done, 1), totals, by_zone, self.drawn, self.done)


def _one_of(ground: Ground, field: int) -> Ground:
    """One realisation of a block."""
    one = slice(field, field + 1)
    latent, event = (np.ascontiguousarray(v[..., one]) for v in (ground.latent, ground.event))
    return ground._replace(latent=latent, event=event)


def damage_of(
    assets: Assets, shocks: Sequence[Iterable[F32]], table: F32, follows: Follows, seed: int, chosen: int = 0, zones: int = 0
) -> Outcome:
    """Run blocks of fields (m, b, sites) through damage: one ledger under the stream; `shocks` has those of each shock."""
    ledger = Ledger(assets, table, follows, seed, chosen, zones)
    for fields in zip(*shocks, strict=True):
        ledger.take(fields)
    return ledger.outcome()


def _zone_part(part: F32, of_zone: I64, zones: int) -> F32:
    """The totals of a block by zone, float32 (zones + 1, b, len(BY_ZONE)). Segments of a zone are neighbours."""
    out = np.zeros((zones + 1, part.shape[1], len(BY_ZONE) if part.shape[2] == len(QUANTITIES) else 0), dtype=np.float32)
    if not out.size or not len(part):
        return out
    at = {name: QUANTITIES.index(name) for name in QUANTITIES}
    few = np.stack([
        part[:, :, at["collapsed"]], part[:, :, at["injured_1"] : at["injured_3"] + 1].sum(axis=2), part[:, :, at["killed"]],
        part[:, :, at["trapped"]], part[:, :, at["displaced"]],
    ], axis=2)  # fmt: skip
    begins = np.flatnonzero(np.diff(of_zone, prepend=-1))
    summed, row = np.add.reduceat(few, begins, axis=0, dtype=np.float64), of_zone[begins]
    inside = row < zones
    out[row[inside]] = summed[inside]
    out[zones] = summed[~inside].sum(axis=0)  # before the first zone and after the last
    return out


def bands(by_zone: F32) -> F64:
    """5th, 50th and 95th percentile over the fields: shape (3, zones, len(BY_ZONE))."""
    kinds = [np.percentile(by_zone[:, :, kind], (5, 50, 95), axis=1) for kind in range(by_zone.shape[2])]
    return np.asarray(np.stack(kinds, axis=2), dtype=np.float64) if kinds else np.empty((3, len(by_zone), 0))
