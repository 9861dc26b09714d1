"""The kernels against their slow, obvious twins, compiled and as plain Python."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from citytwin.hazards.flood import kernel
from citytwin.hazards.flood.soil import green_ampt
from citytwin.hazards.flood.water import Points, Water

G = 9.80665
SHUT = dict.fromkeys(("north", "south", "east", "west"))


def naive_step(bed, depth, q_x, q_y, manning, dt, dx):
    """One step of the method on a closed raster, face by face and cell by cell, in float64."""
    surface, rows, columns = bed + depth, *bed.shape
    moved_x, moved_y = np.zeros((rows, columns + 1)), np.zeros((rows + 1, columns))
    for moved, q, down, right in ((moved_x, q_x, 0, 1), (moved_y, q_y, 1, 0)):
        for i in range(down, rows):
            for j in range(right, columns):
                near, far = (i - down, j - right), (i, j)
                h = max(surface[near], surface[far]) - max(bed[near], bed[far])
                if h <= 1e-4:
                    continue
                fall = surface[far] - surface[near]
                away = min(abs(q[far]) / h, np.sqrt(G * h)) * dt / dx
                around = (q[near] + q[i + down, j + right]) / 2
                drive = (1 - away) * q[far] + away * around - G * h * dt * fall / dx
                friction = G * dt * manning**2 / h ** (7 / 3)
                new = (np.sqrt(1 + 4 * friction * abs(drive)) - 1) / (2 * friction) * np.sign(drive)
                fastest = max(G * h, (G * h + 2 * G * abs(fall)) / (1 + 2 * dx * G * manning**2 / h ** (4 / 3)))
                moved[far] = np.clip(new, -h * np.sqrt(fastest), h * np.sqrt(fastest)) * dt / dx
    share = np.ones(bed.shape)
    for i in range(rows):
        for j in range(columns):
            out = sum(max(v, 0) for v in (-moved_x[i, j], moved_x[i, j + 1], -moved_y[i, j], moved_y[i + 1, j]))
            share[i, j] = min(1, depth[i, j] / out) if out > 0 else 1
    for moved, down, right in ((moved_x, 0, 1), (moved_y, 1, 0)):
        for i in range(down, rows):
            for j in range(right, columns):
                moved[i, j] *= share[i - down, j - right] if moved[i, j] > 0 else share[i, j]
    depth = depth + moved_x[:, :-1] - moved_x[:, 1:] + moved_y[:-1] - moved_y[1:]
    return depth, moved_x * dx / dt, moved_y * dx / dt


def test_one_step_equals_its_naive_twin():
    rng = np.random.default_rng(11)
    bed = rng.normal(size=(20, 23)).astype(np.float32).astype(float)
    depth = np.maximum(rng.normal(size=bed.shape), 0)
    water = Water(bed, np.full(bed.shape, 0.04), 10.0, SHUT)
    water.set_depth(depth)
    q_x, q_y = np.zeros((20, 24)), np.zeros((21, 23))
    for _ in range(5):
        water.plan(1.0, np.zeros(water.deep.size))
        assert water.substeps == 1 or water.level[water.active].max() == 0
        for _ in range(water.substeps):
            depth, q_x, q_y = naive_step(bed, depth, q_x, q_y, 0.04, water.fine, 10.0)
        water.flow(Points())
    np.testing.assert_allclose(water.raster(water.depth), depth, atol=2e-5)
    np.testing.assert_allclose(water.raster(water.q_x), q_x[:, :-1], atol=2e-4)


def test_the_cube_root_is_good_to_float32():
    for x in np.logspace(-6, 2, 200).astype(np.float32):
        assert kernel.cube_root(x) == pytest.approx(np.cbrt(float(x)), rel=3e-7)


@pytest.mark.parametrize("fall", [-2.0, -0.01, 0.0, 0.01, 2.0])
def test_flux_runs_downhill_and_is_odd_in_the_fall(fall):
    f = np.float32
    flux = kernel.face_flux(f(fall), f(0.5), f(0), f(0), f(0.04**2), f(1.0), f(10.0))
    back = kernel.face_flux(f(-fall), f(0.5), f(0), f(0), f(0.04**2), f(1.0), f(10.0))
    assert flux == -back
    assert np.sign(flux) == -np.sign(fall)


def test_a_film_on_a_slope_runs_at_mannings_speed_however_long_the_step():
    f, h, slope, n = np.float32, 0.005, 0.1, 0.05
    normal = h ** (5 / 3) * np.sqrt(slope) / n
    for step in (0.1, 1.0, 30.0):
        flux = kernel.face_flux(f(-slope * 10), f(h), f(normal), f(normal), f(n * n), f(step), f(10.0))
        assert flux == pytest.approx(normal, rel=1e-5)


def test_green_ampt_solves_its_equation():
    for soaked, dt in ((0.0, 30.0), (0.001, 30.0), (0.05, 5.0), (0.3, 30.0)):
        conductivity, store = 10e-3 / 3600, 0.03
        taken = green_ampt(conductivity, store, soaked, dt)
        left = taken - store * np.log(1 + taken / (soaked + store))
        assert left == pytest.approx(conductivity * dt, rel=1e-6)
    assert green_ampt(1e-6, 0.0, 0.0, 10.0) == pytest.approx(1e-5)


PLAIN = """
import numpy as np
from citytwin.hazards.flood.water import Points, Water
rng = np.random.default_rng(12)
water = Water(rng.normal(size=(6, 6)), np.full((6, 6), 0.04), 10.0)
water.set_depth(np.maximum(rng.normal(size=(6, 6)), 0))
for _ in range(3):
    water.plan(1.0, np.zeros(water.deep.size))
    water.flow(Points())
print(water.raster(water.depth).sum().hex(), water.balance_error() < 1e-12)
"""


def test_the_kernels_run_as_plain_python_too():
    said = []
    for off in ("1", "0"):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", PLAIN], env={**os.environ, "NUMBA_DISABLE_JIT": off},
                              capture_output=True, text=True, check=True)  # fmt: skip
        said.append(done.stdout.split())
    assert said[0][1] == said[1][1] == "True"
    assert float.fromhex(said[0][0]) == pytest.approx(float.fromhex(said[1][0]), rel=1e-6)
