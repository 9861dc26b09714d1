"""1,000 rules over 150,000 devices, looked at once a second: how long one look takes, with all values new and with some."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import geopandas as gpd
import numpy as np
import psutil

from benchmarks.row import Row
from citytwin.city import City, Facts
from citytwin.incidents.rules import Engine, rules_of
from citytwin.sim.registry import columns_with
from citytwin.state import State

DEVICES, RULES, SECONDS = 150_000, 1_000, 20


class Numbers:
    """A view of nothing but arrays."""

    def __init__(self, city: City) -> None:
        self.city, self.columns, self.began = city, columns_with(city.columns), 0.0
        self.state = State(city, self.columns)
        self.heard_at = np.zeros(DEVICES)
        self.codes = np.ones(DEVICES, dtype=np.uint8)

    def values(self, table: str, column: str) -> Any:
        """The state's."""
        return self.state[column]

    def heard(self) -> Any:
        """When each was heard."""
        return self.heard_at

    def status(self) -> Any:
        """All are online."""
        return self.codes

    def forecast(self, table: str, column: str, within: float | None, run: str, high: bool) -> None:
        """There is none."""


def made() -> tuple[Numbers, Engine]:
    """Devices of 30 kinds; for each kind thresholds with hysteresis, delay, rates, silence, in zones and over the city."""
    columns = columns_with()
    kinds = list(columns.kinds.values())[:30]
    names = [kinds[i % 30].name for i in range(DEVICES)]
    table = gpd.GeoDataFrame(
        {"key": [f"dev-{i}" for i in range(DEVICES)], "kind": names, "zone": [f"zone-{i % 97}" for i in range(DEVICES)]},
        geometry=gpd.points_from_xy(np.arange(DEVICES), np.zeros(DEVICES)), crs="EPSG:32631",
    )  # fmt: skip
    view = Numbers(City(Facts("Scale", "EPSG:32631"), {"device": table}))
    rules = {}
    for number in range(RULES):
        kind = kinds[number % 30]
        column, unit = kind.column.name, kind.column.unit
        share = 0.95 + 0.05 * (number // 30) / 34
        limit = kind.usual[0] + (kind.usual[1] - kind.usual[0]) * share
        on = {"table": "device", "kind": kind.name}
        above = {"column": column, "above": f"{limit} {unit}", "until": f"{limit * 0.98 if limit > 0 else limit * 1.02} {unit}"}
        shape = (number // 30) % 10
        rules[f"rule_{number}"] = {
            **{s: {"on": on, "when": above, "after": "30 s"} for s in range(6)},
            6: {"on": on, "when": {"all": [above, {"silent": "10 periods"}]}},
            7: {"on": on, "per": "zone", "when": {"share_of": above, "above": 0.5}},
            8: {"on": on, "when": {"column": column, "rises": f"{abs(limit) + 1} {unit}", "within": "10 min"}}
            if "Cel" not in unit else {"on": on, "when": above},
            9: {"on": on, "when": {"silent": "5 periods"}},
        }[shape]  # fmt: skip
    return view, Engine(view, rules_of({"rule": rules}))


def timed(view: Numbers, engine: Engine, share: float) -> float:
    """Median seconds of one look where a `share` of all devices has new values."""
    random = np.random.default_rng(1)
    kinds = list({str(k) for k in view.city.table("device")["kind"]})
    spent = []
    for second in range(SECONDS):
        now = 1000.0 + second
        view.heard_at[:] = now
        changed = random.random(DEVICES) < share
        for name in kinds:
            kind = view.columns.kinds[name]
            values = view.state.edit(kind.column.name)
            values[changed] = random.uniform(*kind.usual, int(changed.sum()))
        begin = time.perf_counter()
        engine.step(now, changed)
        spent.append(time.perf_counter() - begin)
    return float(np.median(spent))


def one_by_one(view: Numbers) -> float:
    """Seconds that the same work takes a plain Python loop, from one threshold rule over 5,000 things."""
    values = view.state["nitrogen_dioxide"][:5000].tolist()
    held = [False] * len(values)
    begin = time.perf_counter()
    for i, value in enumerate(values):
        held[i] = value > (70.0 if held[i] else 75.0)
    return (time.perf_counter() - begin) / len(values)


def looks() -> Iterator[Row]:
    """One look at everything."""
    view, engine = made()
    pairs = engine.subjects(engine.watched)
    engine.step(999.0)
    for share, words in ((1.0, "all"), (1 / 60, "1 in 60"), (0.0, "none")):
        ours = timed(view, engine, share)
        loop = one_by_one(view) * pairs
        peer = (f"loop over things {loop * 1e3:,.0f} ms", f"1 : {loop / ours:.1f}") if share == 1 else ("-", "-")
        memory = f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB"
        yield Row(f"rules: {RULES:,} on {DEVICES:,} devices, {words} new", f"{ours * 1e3:.0f} ms ({pairs:,})", *peer, memory)


CASES = [looks]
