"""The city's buildings as assets of the damage kernel: which curves, how many people, what they are worth."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from citytwin.city import City
from citytwin.city.roads import number, text
from citytwin.errors import InputError
from citytwin.hazards.earthquake import casualties, nrml, taxonomy
from citytwin.hazards.earthquake.damage import Assets, sorted_assets
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import Fragility, Mixture, hazus_buildings, measures_of, retrofitted, tabulate
from citytwin.hazards.earthquake.kernel_damage import STATES
from citytwin.hazards.earthquake.parameters import EarthquakeParameters, Retrofit

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PART = 8192
"""Shapes whose centroids are worked out at a time."""


@dataclass
class Portfolio:
    """Buildings ready for damage.

    assets, table, follows: of the kernel (see `damage`, `fragility`, `casualties`). severity: damage level (1 ... 5) of each
    state of the tables. measures: those that the fields must have, in their order. number, inside: buildings that each row
    stands for, people in it. days (buildings, 5): repair time by level. classes: mixture of each table row.
    """

    assets: Assets
    table: F32
    follows: Follows
    severity: tuple[int, ...]
    measures: tuple[str, ...]
    number: F64
    inside: F64
    days: F64
    classes: list[Mixture]
    fragility: Fragility

    def expected(self, probability: F64, column: int) -> F64:
        """Expected value of one quantity for each building, from the probabilities (entries, 6) of its states."""
        return self.assets.by_building(self.follows.expected(probability, column))

    def by_level(self, probability: F64) -> F64:
        """Probability of each damage level none, slight ... collapsed, shape (buildings, 6), from those of the states."""
        out = np.zeros((len(probability), 6))
        for state, level in enumerate((0, *self.severity)):
            out[:, level] += probability[:, state]
        return self.assets.by_building(out)

    def level_drawn(self, drawn: npt.NDArray[np.uint8]) -> F64:
        """Damage level of each building in one field; of a row for many buildings, that of its draw."""
        out = np.zeros(self.assets.buildings)
        heaviest = np.argsort(self.assets.weight, kind="stable")
        out[self.assets.owner[heaviest]] = np.array((0, *self.severity), dtype=np.float64)[drawn[heaviest]]
        return out


def places(table: pd.DataFrame) -> tuple[F64, F64]:
    """Coordinates (m) of the things of a table: centroids. On all threads; a part of them at a time, for they are objects."""
    shapes = np.asarray(table.geometry.to_numpy(), dtype=object)
    parts = [shapes[first : first + PART] for first in range(0, len(shapes), PART)]
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        found = list(pool.map(lambda part: shapely.get_coordinates(shapely.centroid(part)), parts))
    point = np.concatenate(found) if found else np.empty((0, 2))
    return point[:, 0], point[:, 1]


def model_of(params: EarthquakeParameters) -> tuple[Fragility, Mapping[str, Mixture] | None]:
    """The fragility model and the taxonomy mapping of a scenario."""
    mapping = nrml.read_mapping(params.mapping) if params.mapping else None
    if params.fragility is None:
        if mapping is not None:
            raise InputError("a mapping of taxonomies needs a fragility model", "earthquake.mapping", "name it as fragility")
        return hazus_buildings(), None
    model = nrml.read_fragility(params.fragility)
    return replace(model, collapse={name: casualties.collapse_share(((name, 1.0),)) for name in model.curves}), mapping


def build(
    city: City, params: EarthquakeParameters, hour: float, weekend: bool, retrofits: tuple[Retrofit, ...] = ()
) -> Portfolio:
    """The portfolio of a city at a local hour. Site of an entry: row of its building."""
    building = city.table("building")
    fragility, mapping = model_of(params)
    if params.fragility is None:
        mixtures, index = taxonomy.hazus_classes(building, {str(c): s for c, s in params.codes.items()} or None)
    else:
        mixtures, index = taxonomy.file_classes(building, fragility, mapping)
    fragility, mixtures, index = _strengthened(city, building, fragility, mixtures, index, retrofits)
    measures = measures_of(fragility, {name for mixture in mixtures for name, _ in mixture})
    classes, entry_class, owner, weight = _entries(fragility, mixtures, index)
    of = np.array([measures.index(fragility[c[0][0]].measure) for c in classes])
    count = np.maximum(np.where(np.isfinite(number(building, "number")), number(building, "number"), 1.0), 0.0)
    zone = city.rows("zone", text(building, "zone")) if "zone" in city else np.full(len(building), -1)
    shared = (count[owner] != 1.0) | (weight != 1.0)
    assets = sorted_assets(owner, owner, of[entry_class], entry_class, weight, shared, zone[owner], len(building))
    inside = casualties.occupants(city, hour, weekend)
    severity = casualties.severity_of(fragility, params.states)
    follows, days = _follows(building, params, assets, classes, fragility, severity, count, inside)
    return Portfolio(
        assets, tabulate(fragility, classes), follows, severity, measures, count, inside, days, classes, fragility
    )  # fmt: skip


def _entries(fragility: Fragility, mixtures: list[Mixture], index: I64) -> tuple[list[Mixture], I64, I64, F64]:
    """Mixtures of one measure each, and for each entry its class, its building and its share of it."""
    classes: list[Mixture] = []
    parts: list[list[tuple[int, float]]] = []
    for mixture in mixtures:
        by_measure: dict[str, list[tuple[str, float]]] = {}
        for name, weight in mixture:
            by_measure.setdefault(fragility[name].measure, []).append((name, weight))
        own = []
        for same in by_measure.values():
            total = sum(w for _, w in same)
            own.append((len(classes), total))
            classes.append(tuple((n, w / total) for n, w in same))
        parts.append(own)
    most = max((len(p) for p in parts), default=1)
    which = np.full((len(parts), most), -1, dtype=np.int64)
    share = np.zeros((len(parts), most))
    for row, own in enumerate(parts):
        for column, (number_, weight) in enumerate(own):
            which[row, column], share[row, column] = number_, weight
    entry_class, shares = which[index].ravel(), share[index].ravel()
    owner = np.repeat(np.arange(len(index)), most)
    there = entry_class >= 0
    whole = shares[there] > 1 - 1e-9
    return classes, entry_class[there], owner[there], np.where(whole, 1.0, shares[there])


def _strengthened(
    city: City,
    building: pd.DataFrame,
    fragility: Fragility,
    mixtures: list[Mixture],
    index: I64,
    retrofits: tuple[Retrofit, ...],
) -> tuple[Fragility, list[Mixture], I64]:
    """The same with the curves of retrofitted buildings moved."""
    if not retrofits:
        return fragility, mixtures, index
    curves, collapse = dict(fragility.curves), dict(fragility.collapse)
    factor = np.ones(len(building))
    for measure in retrofits:
        factor[_chosen(city, building, measure)] *= measure.factor
    pairs = list(zip(index.tolist(), factor.tolist(), strict=True))
    distinct = {pair: n for n, pair in enumerate(dict.fromkeys(pairs))}
    stronger: list[Mixture] = []
    for row, by in distinct:
        names = []
        for name, weight in mixtures[row]:
            new = name if by == 1.0 else f"{name}*{by:g}"
            curves.setdefault(new, retrofitted(curves[name], by))
            collapse.setdefault(new, collapse.get(name, 0.0))
            names.append((new, weight))
        stronger.append(tuple(names))
    return replace(fragility, curves=curves, collapse=collapse), stronger, np.array([distinct[p] for p in pairs])


def _chosen(city: City, building: pd.DataFrame, measure: Retrofit) -> npt.NDArray[np.bool_]:
    chosen = np.ones(len(building), dtype=np.bool_)
    if measure.use:
        chosen &= np.isin(text(building, "use").astype(str), measure.use)
    if measure.buildings:
        rows = np.array([city.row("building", key) for key in measure.buildings])
        chosen &= np.isin(np.arange(len(building)), rows)
    if measure.where is not None:
        x, y = city.from_lonlat(*np.array(measure.where).T)
        inside = shapely.contains_xy(shapely.Polygon(np.column_stack([x, y])), *places(building))
        chosen &= inside
    if not chosen.any():
        raise InputError("no building is chosen", "retrofit", "look at use, where and buildings")
    return chosen


def _follows(
    building: pd.DataFrame, params: EarthquakeParameters, assets: Assets, classes: list[Mixture], fragility: Fragility,
    severity: tuple[int, ...], count: F64, inside: F64,
) -> tuple[Follows, F64]:  # fmt: skip
    """What follows from each state of each entry, and days of repair by building and level."""
    of_use, uses = pd.factorize(text(building, "use"))
    residents = np.maximum(number(building, "people", 0.0), 0.0)
    homes = number(building, "dwellings")
    many = np.where(np.isfinite(homes), homes > 1, (uses == "apartments")[of_use] | (residents / np.maximum(count, 1) > 6))
    own = assets.owner
    code, kind = np.unique((assets.curve.astype(np.int64) * len(uses) + of_use[own]) * 2 + many[own], return_inverse=True)
    told = _consequences(params, classes, fragility)
    rates = [casualties.Kind(*_of_class(c), np.zeros(STATES)) for c in classes]
    kinds = []
    for curve, use, flats in zip(code // 2 // max(len(uses), 1), code // 2 % max(len(uses), 1), code % 2, strict=True):
        shares = casualties.repair_shares(str(uses[use]))
        loss = [shares[level - 1] for level in severity] if told is None else told[curve]
        kinds.append(rates[curve]._replace(homes=0.9 if flats else 0.0, loss=loss))
    amount = {
        "number": count[own], "inside": inside[own], "residents": residents[own], "floor": casualties.floors(building)[own],
        "value": np.nan_to_num(casualties.values_of(building))[own],
    }  # fmt: skip
    days = np.array([casualties.repair_days(str(u)) for u in uses]).reshape(-1, STATES)[of_use]
    return casualties.follows_of(kinds, kind, severity, amount), days


def _of_class(mixture: Mixture) -> tuple[F64, float, float]:
    """Casualty rates, share of homes (none) and mass of a mixture of curves; of retrofitted ones as of what they were."""
    bare = tuple((name.split("*")[0], weight) for name, weight in mixture)
    mass = sum(casualties.MASS[group] * share for group, share in casualties.groups(bare).items())
    return casualties.casualty_rates(bare), 0.0, mass


def _consequences(params: EarthquakeParameters, classes: list[Mixture], fragility: Fragility) -> F64 | None:
    """The loss of each class in each state by a consequence model, in the place of the shipped shares."""
    if params.consequences is None:
        return None
    states, shares = nrml.read_consequences(params.consequences)
    if states != fragility.states:
        raise InputError(
            f"limit states {', '.join(states)} are not those of the fragility model", params.consequences.name,
            f"allowed: {', '.join(fragility.states)}",
        )  # fmt: skip
    by_class = np.zeros((len(classes), STATES))
    for row, mixture in enumerate(classes):
        for name, weight in mixture:
            known = shares.get(name.split("*")[0])
            if known is None:
                raise InputError(f'no consequences of taxonomy "{name}"', params.consequences.name)
            by_class[row] += weight * np.array([*known, *(known[-1:]) * (STATES - len(known))])
    return by_class
