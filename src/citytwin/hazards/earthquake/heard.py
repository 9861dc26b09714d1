"""Reports of single buildings brought to the run: whom they are of, and what stations stand for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.hazards.earthquake import reports
from citytwin.hazards.earthquake.casualties import LEVELS
from citytwin.hazards.earthquake.correlation import correlation
from citytwin.hazards.earthquake.damage import Assets
from citytwin.hazards.earthquake.kernel_damage import STATES
from citytwin.hazards.earthquake.parameters import EarthquakeParameters
from citytwin.hazards.earthquake.portfolio import Portfolio
from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.hazards.earthquake.stations import Stations

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass
class Heard:
    """Reports as the run uses them: rows of buildings, their entries, level said, reliability, and what follows from them."""

    row: I64
    entry: I64
    said: I64
    reliability: F64
    told: reports.Reported


def heard_of(city: City, params: EarthquakeParameters, portfolio: Portfolio, shaken: Shaking) -> Heard:
    """What the reports of single buildings say."""
    last = {r.building: r for r in params.reports}
    row = np.array([city.row("building", key) for key in last], dtype=np.int64)
    assets = portfolio.assets
    first = np.full(assets.buildings, -1, dtype=np.int64)
    order = np.argsort(assets.weight, kind="stable")
    first[assets.owner[order]] = order
    entry = first[row]
    of_level = {level: state for state, level in reversed(list(enumerate((0, *portfolio.severity))))}
    said = np.array([_nearest_state(of_level, LEVELS.index(r.state)) for r in last.values()], dtype=np.int64)
    sure = np.array([r.reliability for r in last.values()])
    m = assets.measure[entry]
    site = assets.site[entry]
    decay = correlation(params.correlation, (shaken.measures[int(m[0])],)).decays[0]
    told = reports.heed(
        shaken.median[m, site], shaken.between[m, site], shaken.within[m, site], shaken.x[site], shaken.y[site],
        assets.curve[entry].astype(np.int64), said, sure, portfolio.table, decay,
    )  # fmt: skip
    return Heard(row, entry, said, sure, told)


def _nearest_state(of_level: dict[int, int], level: int) -> int:
    """The state of the tables that stands for a damage level: its own, else the next lower one's."""
    return of_level[max(known for known in of_level if known <= level)]


def with_reports(stations: Stations | None, heard: Heard, shaken: Shaking, portfolio: Portfolio) -> Stations:
    """The stations with the reported buildings beside them, as felt reports with their own noise."""
    used = heard.told.used
    site = portfolio.assets.site[heard.entry[used]]
    here = shaken.at(site)
    observed = np.full(here.median.shape, np.nan)
    noise = np.ones(here.median.shape)
    m = portfolio.assets.measure[heard.entry[used]]
    observed[m, np.arange(len(used))] = heard.told.observed
    noise[m, np.arange(len(used))] = heard.told.noise
    own = Stations(here, observed, noise, [f"report {n}" for n in range(len(used))])
    return own if stations is None else joined(stations, own)


def joined(first: Stations, second: Stations) -> Stations:
    """Two sets of stations as one; a measure that one of them lacks is unknown there."""
    a, b = first.expected, second.expected
    names = tuple(dict.fromkeys((*a.measures, *b.measures)))
    sizes = (len(a.x), len(b.x))

    def spread(part: Shaking, values: F64, fill: float) -> F64:
        out = np.full((len(names), values.shape[1]), fill)
        out[[names.index(m) for m in part.measures]] = values
        return out

    def both(name: str, fill: float) -> F64:
        return np.hstack([spread(a, getattr(a, name), fill), spread(b, getattr(b, name), fill)])

    expected = Shaking(names, both("median", 0.0), both("between", 0.3), both("within", 0.5), np.concatenate([a.x, b.x]),
                       np.concatenate([a.y, b.y]))  # fmt: skip
    observed = np.hstack([spread(a, first.observed, np.nan), spread(b, second.observed, np.nan)])
    noise = np.hstack([spread(a, first.noise, 1.0), spread(b, second.noise, 1.0)])
    said = [*(first.names or [""] * sizes[0]), *second.names]
    return Stations(expected, observed, noise, said)


def observed(heard: Heard, assets: Assets, table: F32, shaken: Shaking) -> tuple[Assets, F32]:
    """Assets and tables with the classes as weak as reports say, and the reported buildings as they were seen.

    A reported building gets a class of its own whose curves do not depend on the shaking: its posterior.
    """
    tables = [reports.shifted(table, heard.told.shift)]
    curve = assets.curve.copy()
    for entry, said, sure in zip(heard.entry, heard.said, heard.reliability, strict=True):
        m, site = assets.measure[entry], assets.site[entry]
        spread = float(np.hypot(shaken.between[m, site], shaken.within[m, site]))
        states = reports.state_given(
            tables[0], int(assets.curve[entry]), int(said), float(sure), float(shaken.median[m, site]), spread
        )
        own = np.zeros((1, *table.shape[1:]), dtype=np.float32)
        own[0, :, :STATES] = np.cumsum(states[::-1])[::-1][1:]
        curve[assets.owner == assets.owner[entry]] = len(table) + len(tables) - 1
        tables.append(own)
    return replace(assets, curve=curve), np.concatenate(tables)
