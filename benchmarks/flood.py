"""Flood: how many cells advance in a second, beside landlab's OverlandFlow (the same equations) where it is installed.

A peer lives in its own environment: set CITYTWIN_PEERS to the folder of one that has landlab.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from benchmarks.row import Row
from citytwin.hazards.flood.water import Points, Water

SIZE, SECONDS, DX, MANNING = 512, 900.0, 10.0, 0.05
BED = f"""
import numpy as np
rng = np.random.default_rng(1)
y, x = np.mgrid[0:{SIZE}, 0:{SIZE}]
bed = ((x - {SIZE / 2}) ** 2 + (y - {SIZE / 2}) ** 2) * (20 / {SIZE / 2} ** 2) + np.sin(x / 9.0) * np.cos(y / 7.0)
"""
PEER = (
    BED
    + f"""
import time
from landlab import RasterModelGrid
from landlab.components import OverlandFlow
grid = RasterModelGrid(bed.shape, xy_spacing={DX})
grid.add_field("topographic__elevation", bed.ravel().copy(), at="node")
grid.add_full("surface_water__depth", 0.06, at="node")
grid.set_closed_boundaries_at_grid_edges(True, True, True, True)
flow = OverlandFlow(grid, mannings_n={MANNING}, steep_slopes=True)
begin, now, steps = time.perf_counter(), 0.0, 0
while now < {SECONDS} and time.perf_counter() - begin < 120:
    step = min(flow.calc_time_step(), {SECONDS} - now)
    flow.run_one_step(step)
    now, steps = now + step, steps + 1
print(time.perf_counter() - begin, now, steps)
"""
)


def bowl() -> Iterator[Row]:
    """6 cm of water run together in a rough bowl of 512 x 512 cells for 15 minutes."""
    names: dict[str, np.ndarray] = {}
    exec(BED, names)
    water = Water(names["bed"], np.full((SIZE, SIZE), MANNING), DX, dict.fromkeys(("north", "south", "east", "west")))
    water.set_depth(np.full((SIZE, SIZE), 0.06))
    none = np.zeros(water.deep.size)
    water.plan(1e-3, none)
    water.flow(Points())  # compiles
    begin, now = time.perf_counter(), 0.0
    while now < SECONDS - 1e-9:
        now += water.plan(SECONDS - now, none)
        water.flow(Points())
    ours = time.perf_counter() - begin
    memory = f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB"
    work = f"flood: bowl of {SIZE} x {SIZE} cells, {SECONDS / 60:g} min"
    yield Row("flood: cells advanced in a second", f"{water.cell_steps / ours / 1e6:.0f} million", memory=memory)
    python = Path(os.environ.get("CITYTWIN_PEERS", "")) / "bin" / "python"
    if not os.environ.get("CITYTWIN_PEERS") or not python.exists():
        yield Row(work, f"{ours:.1f} s", "landlab not installed", memory=memory)
        return
    done = subprocess.run([str(python), "-W", "ignore", "-c", PEER], capture_output=True, text=True, check=True)
    wall, reached, _ = (float(v) for v in done.stdout.split()[-3:])
    peer = wall * SECONDS / reached
    whole = "" if reached >= SECONDS else f" (from {reached:.0f} s)"
    yield Row(work, f"{ours:.1f} s", f"landlab {peer:.0f} s{whole}", f"1 : {peer / ours:.1f}", memory)


CASES = [bowl]
