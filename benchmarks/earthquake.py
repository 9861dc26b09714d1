"""Earthquake: damage and loss of many assets under many fields of shaking, beside OpenQuake where it is installed.

Ours: ground motion, correlated fields, damage, casualties, loss and totals by zone, end to end, each size in a process of its
own. OpenQuake: the same assets and curves, a like rupture, no spatial correlation (with it 100,000 sites do not fit), on one
core. Of the environment: CITYTWIN_PEERS, the folder of an environment that has openquake.engine 3.26 (pandas below 3);
PEER_ASSETS and PEER_FIELDS, the size of its smaller cases (10,000 x 100); PEER_FULL=1 for its scenario_risk at 100,000 x 1,000,
which takes minutes and 20 GB: it is ended after PEER_SECONDS (600) or over PEER_MEMORY (22,000 MiB). Its scenario_damage at
that size would take half an hour: it is extrapolated from two smaller runs, and said to be. Processor time is given too: a busy
machine stretches wall time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks import _openquake
from benchmarks._quake import made_city
from benchmarks.row import Row

ASSETS, FIELDS, STATIONS = 100_000, 1_000, 25
PEER = int(os.environ.get("PEER_ASSETS", 10_000)), int(os.environ.get("PEER_FIELDS", 100))
SECONDS, MEMORY = float(os.environ.get("PEER_SECONDS", 600)), float(os.environ.get("PEER_MEMORY", 22_000))


@cache
def ours(assets: int, fields: int, stations: int = 0, sites: int = 0) -> dict[str, float]:
    """One pass in a process of its own: see `_quake`."""
    command = [sys.executable, "-m", "benchmarks._quake", *map(str, (assets, fields, stations, sites))]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent).stdout
    return {k: float(v) for k, v in json.loads(out).items()}


def _row(work: str, assets: int, fields: int, stations: int = 0, sites: int = 0) -> Row:
    got = ours(assets, fields, stations, sites)
    rate = f"{assets * fields / got['wall'] / 1e6:.0f} M/s"
    memory = f"{got['peak']:.0f} MiB (bare {got['bare']:.0f}, with the city {got['before']:.0f})"
    return Row(f"earthquake: {work}", f"{got['wall']:.1f} s ({got['cpu']:.1f} s cpu)", "-", rate, memory)


def growth() -> Iterator[Row]:
    """Ours, with more fields, more assets (each at a place of its own), at fewer places, and with stations."""
    ours(2_000, 65)  # compiles
    for fields in (100, 1_000, 4_000):
        yield _row(f"10,000 x {fields:,}, correlated, damage and loss", 10_000, fields)
    for assets in (50_000, ASSETS, 200_000):
        yield _row(f"{assets:,} x {FIELDS:,}, correlated, damage and loss", assets, FIELDS)
    for sites in (1_000, 10_000):
        yield _row(f"{ASSETS:,} at {sites:,} places x {FIELDS:,}", ASSETS, FIELDS, sites=sites)
    yield _row(f"50,000 x {FIELDS:,}, conditioned on {STATIONS} stations", 50_000, FIELDS, STATIONS)


def peer() -> Iterator[Row]:
    """OpenQuake's scenario_damage and scenario_risk on the same assets, and ours of the same size."""
    assets, fields = PEER
    program = Path(os.environ.get("CITYTWIN_PEERS", "")) / "bin" / "oq"
    if not os.environ.get("CITYTWIN_PEERS") or not program.exists():
        mine = ours(assets, fields)
        size = f"earthquake: {assets:,} x {fields:,}, damage"
        yield Row(size, f"{mine['wall']:.1f} s", "OpenQuake not installed", memory=f"{mine['peak']:.0f} MiB")
        return
    city = made_city(assets)
    few = max(fields // 4, 1)
    short, long = (_openquake.run(program, city, "scenario_damage", n, SECONDS, MEMORY) for n in (few, fields))
    yield _beside("scenario_damage", assets, fields, long)
    yield _beside("scenario_risk", assets, fields, _openquake.run(program, city, "scenario_risk", fields, SECONDS, MEMORY))
    if not short.wrong and not long.wrong and fields > few:
        each = (long.seconds - short.seconds) / (assets * (fields - few))
        whole = long.seconds + each * (ASSETS * FIELDS - assets * fields)
        mine = ours(ASSETS, FIELDS)
        work = f"earthquake: {ASSETS:,} x {FIELDS:,}, scenario_damage EXTRAPOLATED"
        from_sizes = f"from {assets:,} x {few} in {short.seconds:.1f} s and x {fields} in {long.seconds:.1f} s"
        yield Row(work, f"{mine['wall']:.1f} s", f"about {whole:,.0f} s", f"1 : {whole / mine['wall']:.0f}", from_sizes)
    if os.environ.get("PEER_FULL") == "1":
        del city
        found = _openquake.run(program, made_city(ASSETS), "scenario_risk", FIELDS, SECONDS, MEMORY)
        yield _beside("scenario_risk", ASSETS, FIELDS, found)


def _beside(mode: str, assets: int, fields: int, found: _openquake.Ran) -> Row:
    mine, work = ours(assets, fields), f"earthquake: {assets:,} x {fields:,}, {mode}"
    memory = f"{mine['peak']:.0f} MiB, peer {found.memory:,.0f} MiB"
    if found.wrong:
        return Row(work, f"{mine['wall']:.1f} s", f"OpenQuake {found.wrong}", "-", memory)
    ratio = f"1 : {found.seconds / mine['wall']:.0f}"
    return Row(work, f"{mine['wall']:.1f} s", f"OpenQuake {found.seconds:.0f} s", ratio, memory)


CASES = [growth, peer]
