"""One pass: shaking at all places, fields through damage and networks, and the columns that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.city.roads import text
from citytwin.hazards.earthquake import aftershock, networks
from citytwin.hazards.earthquake.casualties import QUANTITIES
from citytwin.hazards.earthquake.conditioning import conditioned
from citytwin.hazards.earthquake.damage import BY_ZONE, Ledger, Outcome, Part, bands, sorted_assets
from citytwin.hazards.earthquake.deformation import Grounds
from citytwin.hazards.earthquake.fields import Sampler, each_block
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import tabulate
from citytwin.hazards.earthquake.heard import Heard, heard_of, observed, with_reports
from citytwin.hazards.earthquake.kernel import Ground
from citytwin.hazards.earthquake.losses import Losses
from citytwin.hazards.earthquake.maps import ground_columns
from citytwin.hazards.earthquake.nrml import read_mapping, read_vulnerability
from citytwin.hazards.earthquake.parameters import Retrofit
from citytwin.hazards.earthquake.portfolio import Portfolio, build, places
from citytwin.hazards.earthquake.scene import G, Scene
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.hazards.earthquake.stations import Stations
from citytwin.hazards.earthquake.streets import Streets
from citytwin.sim.spec import Setup
from citytwin.sim.streams import Streams

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

NETWORK_MEASURES = ("PGA", "PGV", "SA(1.0)")
UNUSABLE = 3
"""Damage level (extensive) from which a building cannot be used as a facility."""


@dataclass
class Struck:
    """What a pass leaves: columns by name, the portfolio, its outcome, levels (buildings, 6), words on the event."""

    columns: dict[str, F64]
    portfolio: Portfolio
    outcome: Outcome
    levels: F64
    exposed: tuple[float, float]
    words: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sites:
    """All places that are shaken: buildings first, then things of networks (from `begin`), then mains (from `mains`)."""

    x: F64
    y: F64
    things: list[networks.Things]
    begin: list[int]
    mains: int


def sites_of(city: City, with_networks: bool, available: tuple[str, ...] | None = None) -> Sites:
    """The places of a city. Things whose curves ask for a measure that is not `available` are left out."""
    xs, ys = places(city.table("building"))
    x, y, begin = [xs], [ys], []
    things = networks.things_of(city, available) if with_networks else []
    for each in things:
        begin.append(sum(map(len, x)))
        x.append(each.x)
        y.append(each.y)
    mains = sum(map(len, x))
    if with_networks and "pipe" in city and (available is None or "PGV" in available):
        px, py = places(city.table("pipe"))
        x.append(px)
        y.append(py)
    return Sites(np.concatenate(x), np.concatenate(y), things, begin, mains)


def strike(setup: Setup, hour: float, weekend: bool, retrofits: tuple[Retrofit, ...], after: int = 0) -> Struck:
    """The main shock and the first `after` aftershocks on the city of `setup`."""
    city, params = setup.city, setup.params
    portfolio = build(city, params, hour, weekend, retrofits)
    scenes = [Scene(city, params), *(Scene(city, params, shock) for shock in params.aftershocks[:after])]
    available = scenes[0].available
    sites = sites_of(city, params.networks, available)
    has_networks = bool(sites.things) or len(sites.x) > sites.mains
    others = [m for m in (NETWORK_MEASURES if has_networks else ()) if available is None or m in available]
    losses = _losses(setup)
    measures = tuple(dict.fromkeys((*portfolio.measures, *(losses.measures if losses else ()), *others)))
    vs30 = scenes[0].vs30(sites.x, sites.y)
    shaken = [scene.at(measures, sites.x, sites.y, vs30) for scene in scenes]
    stations = scenes[0].stations(measures)
    heard = heard_of(city, params, portfolio, shaken[0]) if params.reports else None
    if heard is not None:
        stations = with_reports(stations, heard, shaken[0], portfolio)
    run = _Run(setup, portfolio, sites, shaken[0], len(scenes), heard, losses, _grounds(setup, scenes[0], sites, vs30))
    samplers = [
        (Sampler.of(each, params.correlation, None if number else stations), _streams(setup, number))
        for number, each in enumerate(shaken)
    ]
    for parts in each_block(samplers, params.realisations, run.parts):
        run.add(parts)
    del samplers  # as large as a block of fields
    return run.struck(scenes, shaken[0], stations)


def _grounds(setup: Setup, scene: Scene, sites: Sites, vs30: F64) -> Grounds | None:
    """Where the ground may fail under buildings and mains; None where it is not to, or cannot be told."""
    known = scene.available is None or {"PGA", "PGV"} <= set(scene.available)
    if setup.params.ground_failure is False or not known:
        return None
    return Grounds.of(
        setup.city, setup.params, scene.rupture.magnitude, sites.x, sites.y, vs30, sites.mains,
        lambda count: scene.at(("PGA", "PGV"), sites.x[:count], sites.y[:count], vs30[:count]),
    )  # fmt: skip


def _losses(setup: Setup) -> Losses | None:
    """What a vulnerability file says of the losses, if there is one."""
    params = setup.params
    if params.vulnerability is None:
        return None
    mapping = read_mapping(params.mapping) if params.mapping else None
    return Losses(setup.city.table("building"), read_vulnerability(params.vulnerability), mapping)


def _streams(setup: Setup, shock: int) -> Streams:
    """The streams of one shock's fields: of the scenario's seed, the same for every member of an ensemble."""
    return Streams((setup.streams.seed + 0x9E37 * shock) % 2**63, 0)


class _Parts(NamedTuple):
    """What one block of realisations leaves in each ledger."""

    size: int
    buildings: Part
    stations: Part | None
    losses: Part | None
    mains: networks.Broken | None


class _Run:
    """The ledgers under the stream of fields, and the columns that come of them."""

    def __init__(
        self,
        setup: Setup,
        portfolio: Portfolio,
        sites: Sites,
        shaken: Shaking,
        shocks: int,
        heard: Heard | None,
        losses: Losses | None = None,
        grounds: Grounds | None = None,
    ) -> None:
        self.city, self.params, self.portfolio, self.sites = setup.city, setup.params, portfolio, sites
        self.chosen = setup.streams.member % self.params.realisations
        self.seed, self.shocks = setup.streams.seed, shocks
        self.zones = self.city.size("zone") if "zone" in self.city else 0
        assets, table = portfolio.assets, portfolio.table
        if heard is not None:
            assets, table = observed(heard, assets, table, shaken)
        self.grounds = grounds
        if grounds is not None:
            seen = np.empty(0, dtype=np.int64) if heard is None else heard.row
            assets, table = grounds.under(assets, table, shaken, portfolio.severity, seen)
        self.buildings = Ledger(assets, self._stacked(table), portfolio.follows, self.seed, self.chosen, self.zones)
        self.losses = None if losses is None else losses.ledger(shaken.measures, self.seed)
        self.stations = self._stations(shaken.measures) if sites.things else None
        self.mains: networks.Mains | None = None
        if len(sites.x) > sites.mains:
            site = np.arange(sites.mains, len(sites.x), dtype=np.int32)
            draw = setup.streams.named("mains").random(len(site))
            failing = None if grounds is None else grounds.of_mains
            self.mains = networks.Mains(self.city, site, shaken.measures, draw, self.chosen, failing)

    def _stacked(self, table: F32) -> F32:
        return aftershock.stacked(table) if self.shocks > 1 else table

    def _stations(self, measures: tuple[str, ...]) -> Ledger:
        """Bridges, stations, works and facilities outside buildings, as one set of assets."""
        known = networks.curves()
        mixtures = [m for things in self.sites.things for m in things.curve]
        distinct = {m: n for n, m in enumerate(dict.fromkeys(mixtures))}
        curve = np.array([distinct[m] for m in mixtures])
        measure = np.array([measures.index(known[m[0][0]].measure) for m in mixtures])
        site = np.concatenate([b + np.arange(len(t.row)) for b, t in zip(self.sites.begin, self.sites.things, strict=True)])
        n = len(mixtures)
        zero = np.zeros(n)
        assets = sorted_assets(np.arange(n), site, measure, curve, np.ones(n), zero, zero, n)
        table = self._stacked(tabulate(known, list(distinct)))
        return Ledger(assets, table, Follows.each(np.zeros((n, 6, 1))), self.seed + 1, self.chosen)

    def parts(self, first: int, grounds: list[Ground]) -> _Parts:
        """What one block of each shock leaves; several threads ask at a time."""
        return _Parts(
            grounds[0].size,
            self.buildings.part(first, grounds),
            None if self.stations is None else self.stations.part(first, grounds),
            None if self.losses is None else self.losses.part(first, grounds[:1]),
            None if self.mains is None else self.mains.part(first, grounds[0]),
        )

    def add(self, parts: _Parts) -> None:
        """Add the parts of the next block."""
        self.buildings.add(parts.buildings)
        for ledger, part in ((self.stations, parts.stations), (self.losses, parts.losses)):
            if ledger is not None and part is not None:
                ledger.add(part)
        if self.mains is not None and parts.mains is not None:
            self.mains.add(parts.mains, parts.size)

    def struck(self, scenes: list[Scene], shaken: Shaking, stations: Stations | None) -> Struck:
        """All columns, now that the fields are through."""
        outcome, portfolio = self.buildings.outcome(), self.portfolio
        probability = outcome.probability
        levels = portfolio.by_level(probability)
        columns = self._building_columns(probability, levels, shaken, stations)
        if self.losses is not None:
            columns["quake_loss"] = self._vulnerable(outcome)
        columns |= self._network_columns(columns)
        columns |= self._zone_columns(columns, levels, probability, outcome)
        if "cell" in self.city:
            columns |= ground_columns(self.city, scenes[0], stations, self.params.correlation)
        strong = columns["building_acceleration"] >= 0.1 * G
        exposed = (float(portfolio.inside[strong].sum()), float(portfolio.number[strong].sum()))
        words = {
            **scenes[0].describe(), "realisations": outcome.fields, "aftershocks": len(scenes) - 1, "stations": stations.size
            if stations is not None else 0, "reports": len(self.params.reports), "correlation": self.params.correlation,
            "fragility": portfolio.fragility.source, "measures": list(shaken.measures), "ground_failure": "none"
            if self.grounds is None else self.grounds.words(columns["ground_failure_probability"] * portfolio.number),
        }  # fmt: skip
        return Struck(columns, portfolio, outcome, levels, exposed, words)

    def _vulnerable(self, outcome: Outcome) -> F64:
        """Expected loss of each building by vulnerability functions; the totals get those of each field."""
        assert self.losses is not None
        found = self.losses.outcome()
        outcome.totals[:, QUANTITIES.index("loss")] = found.totals[:, 0]
        assets = self.losses.assets
        return assets.by_building(found.reached[:, 0] * self.losses.follows.amount[:, 0] / assets.weight)

    def _building_columns(self, probability: F64, levels: F64, shaken: Shaking, stations: Stations | None) -> dict[str, F64]:
        own = np.arange(self.portfolio.assets.buildings)
        peak = shaken.at(own)
        fails = np.zeros(len(own))
        if "PGA" not in peak.measures:
            mean = np.full(len(peak.x), np.nan)
        else:
            row = peak.measures.index("PGA")
            known = peak.median if stations is None else conditioned(peak, stations, self.params.correlation).mean
            mean = np.exp(known[row]) * G
            fails = fails if self.grounds is None else self.grounds.probability(known[row] - peak.median[row])
        at = {name: QUANTITIES.index(name) for name in QUANTITIES}
        hurt = sum(self.portfolio.expected(probability, at[f"injured_{n}"]) for n in (1, 2, 3))
        return {
            "building_acceleration": np.nan_to_num(mean),
            "quake_damage_state": self.portfolio.level_drawn(self.buildings.drawn),
            "heavy_damage_probability": np.clip(levels[:, 3:].sum(axis=1), 0.0, 1.0),
            "collapse_probability": np.clip(levels[:, 5], 0.0, 1.0),
            "ground_failure_probability": np.clip(fails, 0.0, 1.0),
            "quake_injured": np.asarray(hurt),
            "quake_killed": self.portfolio.expected(probability, at["killed"]),
            "quake_trapped": self.portfolio.expected(probability, at["trapped"]),
            "quake_displaced": self.portfolio.expected(probability, at["displaced"]),
            "quake_loss": self.portfolio.expected(probability, at["loss"]),
            "quake_repair_days": (levels[:, 1:] * self.portfolio.days).sum(axis=1),
        }

    def _network_columns(self, columns: dict[str, F64]) -> dict[str, F64]:
        city = self.city
        out: dict[str, F64] = {}
        for table in ("road", "power_bus", "water_node", "facility"):
            if table in city:
                zero = np.zeros(city.size(table))
                first = "road_block_probability" if table == "road" else f"{table}_break_probability"
                out |= {first: zero, "road_blocked" if table == "road" else f"{table}_broken": zero.copy()}
        if self.stations is not None:
            self._of_stations(out)
        if "facility" in city:
            self._of_facilities(columns, out)
        if "road" in city:
            streets = Streets(city, self.params.debris_reach)
            fallen = streets.probability(columns["collapse_probability"])
            out["road_block_probability"] = 1.0 - (1.0 - out["road_block_probability"]) * (1.0 - fallen)
            out["road_blocked"] = np.maximum(out["road_blocked"], streets.blocked(columns["quake_damage_state"] == 5.0))
        if "pipe" in city:
            none = np.zeros(city.size("pipe"))
            out["pipe_repairs"] = none if self.mains is None else self.mains.repairs
            out["pipe_broken"] = none if self.mains is None else self.mains.broken.astype(np.float64)
        return out

    def _of_stations(self, out: dict[str, F64]) -> None:
        assert self.stations is not None
        outcome, order = self.stations.outcome(), np.argsort(self.stations.assets.owner)
        drawn, reached = outcome.drawn[order], outcome.reached[order]
        place = 0
        for things in self.sites.things:
            own = slice(place, place + len(things.row))
            place += len(things.row)
            limit = np.array([UNUSABLE if networks.is_building(m) else networks.BROKEN_FROM for m in things.curve])
            broken = drawn[own] >= limit
            share = np.take_along_axis(reached[own], (limit - 1)[:, None], axis=1)[:, 0]
            first = "road_block_probability" if things.table == "road" else f"{things.table}_break_probability"
            out[first][things.row] = np.clip(share, 0.0, 1.0)
            out["road_blocked" if things.table == "road" else f"{things.table}_broken"][things.row] = broken

    def _of_facilities(self, columns: dict[str, F64], out: dict[str, F64]) -> None:
        """A facility in a building fares as the building does."""
        row = self.city.rows("building", text(self.city.table("facility"), "building"))
        inside = row >= 0
        out["facility_break_probability"][inside] = columns["heavy_damage_probability"][row[inside]]
        out["facility_broken"][inside] = columns["quake_damage_state"][row[inside]] >= UNUSABLE

    def _zone_columns(self, columns: dict[str, F64], levels: F64, probability: F64, outcome: Outcome) -> dict[str, F64]:
        if not self.zones:
            return {}
        row = self.city.rows("zone", text(self.city.table("building"), "zone"))
        inside = row >= 0

        def summed(values: F64) -> F64:
            return np.asarray(np.bincount(row[inside], weights=values[inside], minlength=self.zones), dtype=np.float64)

        out: dict[str, F64] = {}
        band = bands(outcome.by_zone)[:, : self.zones]
        sources = {
            "collapses": ("collapsed", levels[:, 5] * self.portfolio.number), "injured": ("injured", columns["quake_injured"]),
            "killed": ("killed", columns["quake_killed"]), "trapped": ("trapped", columns["quake_trapped"]),
            "displaced": ("displaced", columns["quake_displaced"]),
        }  # fmt: skip
        for name, (tracked, values) in sources.items():
            k = BY_ZONE.index(tracked)
            out |= {f"zone_{name}": summed(values), f"zone_{name}_low": band[0, :, k], f"zone_{name}_high": band[2, :, k]}
        out["zone_quake_loss"] = summed(columns["quake_loss"])
        out["zone_debris"] = summed(self.portfolio.expected(probability, QUANTITIES.index("debris")))
        order = np.argsort(-out["zone_trapped"], kind="stable")
        rank = np.empty(self.zones)
        rank[order] = np.arange(1, self.zones + 1)
        out["zone_search_rank"] = rank
        return out
