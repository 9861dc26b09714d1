"""Chiou and Youngs 2014 (CY14), Earthquake Spectra 30(3), 1117-1153: active shallow crust, Rrup.

Coefficients: the NGA-West2 spreadsheet 5.7, by way of pygmm (MIT licence). Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Array, Motion, Setting, normal, reverse
from citytwin.hazards.earthquake.models.table import Table

TABLE = Table.read("cy14")


def motions(
    rows: Sequence[SimpleNamespace], setting: Setting, *, region: str = "california", total: float | None = None
) -> list[Motion]:
    """The motion for each row of coefficients. `region`: california (and elsewhere), japan, italy or china.

    total: one standard deviation for all, instead of the model's own (as in the tests of the Pacific Earthquake Engineering
    Research Center). Short periods are not held at or above peak acceleration (page 1144): the published tables are not either.
    """
    found = [_motion(c, setting, region) for c in rows]
    if total is not None:
        found = [Motion(f.mean, np.zeros(setting.size), np.full(setting.size, total)) for f in found]
    return found


def _motion(c: SimpleNamespace, setting: Setting, region: str) -> Motion:
    """The motion for one row of coefficients: eq. 12."""
    rock = _rock(c, setting, region)
    vs30 = np.asarray(setting.vs30)
    softness = c.phi_2 * (np.exp(c.phi_3 * (np.minimum(vs30, 1130) - 360)) - np.exp(c.phi_3 * (1130 - 360)))
    linear = (c.phi_1jp if region == "japan" else c.phi_1) * np.minimum(np.log(vs30 / 1130), 0)
    mean = rock + linear + softness * np.log((np.exp(rock) + c.phi_4) / c.phi_4) + _basin(c, setting, region)
    passed = softness * np.exp(rock) / (np.exp(rock) + c.phi_4)
    return Motion(mean, *_deviations(c, setting, passed, region))


def _rock(c: SimpleNamespace, s: Setting, region: str) -> Array:
    """Ln of the motion at Vs30 1130 m/s: eq. 11, without directivity (mean of its predictor)."""
    m, r, top = np.asarray(s.magnitude), np.asarray(s.rrup), np.asarray(s.top_depth)
    small = np.cosh(2 * np.maximum(m - 4.5, 0))
    rv, nm = reverse(s.rake, 60.000001), normal(s.rake, 30.000001)  # the ends count (page 1121)
    style = (c.c_1a + c.c_1c / small) * rv + (c.c_1b + c.c_1d / small) * nm
    deeper = top - _usual_top(m, rv)
    dip = np.cos(np.radians(s.dip))
    source = c.c_1 + style + (c.c_7 + c.c_7b / small) * deeper + (c.c_11 + c.c_11b / small) * dip**2
    size = c.c_2 * (m - 6) + (c.c_2 - c.c_3) / c.c_n * np.log(1 + np.exp(c.c_n * (c.c_m - m)))
    spreading = c.c_4 * np.log(r + c.c_5 * np.cosh(c.c_6 * np.maximum(m - c.c_hm, 0)))
    far = (c.c_4a - c.c_4) * np.log(np.sqrt(r**2 + c.c_rb**2))
    absorbed = (c.c_gamma1 + c.c_gamma2 / np.cosh(np.maximum(m - c.c_gamma3, 0))) * r * _absorption(c, m, region)
    hanging = np.asarray(s.rx) >= 0
    tanh = np.tanh(np.asarray(s.rx) / c.c_9b)
    reach = 1 - np.sqrt(np.asarray(s.rjb) ** 2 + top**2) / (r + 1)
    wall = np.where(hanging, c.c_9 * dip * (c.c_9a + (1 - c.c_9a) * tanh) * reach, 0.0)
    return np.asarray(source + size + spreading + far + absorbed + wall)


def _usual_top(m: Array, rv: Array) -> Array:
    """Depth to the top of rupture that magnitude and style make likely: eqs 4 and 5; km."""
    other = np.maximum(2.673 - 1.136 * np.maximum(m - 4.970, 0), 0) ** 2
    return np.where(rv > 0, np.maximum(2.704 - 1.226 * np.maximum(m - 5.849, 0), 0) ** 2, other)


def _absorption(c: SimpleNamespace, m: Array, region: str) -> Array:
    """Regional factor of the anelastic term (table 4): Japan and Italy from magnitude 6 to 6.9, China (Wenchuan)."""
    if region in ("japan", "italy"):
        return np.where((m > 6) & (m < 6.9), c.gamma_ji, 1.0)
    return np.full(np.shape(m), c.gamma_c if region == "china" else 1.0)


def _basin(c: SimpleNamespace, s: Setting, region: str) -> Array:
    """Eqs 1, 2 and 12: depth to 1 km/s against what Vs30 makes likely; m."""
    vs30, z1 = np.asarray(s.vs30), np.asarray(s.z1)
    if region == "japan":
        usual = np.exp(-5.23 / 2 * np.log((vs30**2 + 412.39**2) / (1360.0**2 + 412.39**2)))
        height, scale = c.phi_5jp, c.phi_6jp
    else:
        usual = np.exp(-7.15 / 4 * np.log((vs30**4 + 570.94**4) / (1360.0**4 + 570.94**4)))
        height, scale = c.phi_5, c.phi_6
    return np.asarray(height * (1 - np.exp(-np.where(np.isnan(z1), 0.0, z1 - usual) / scale)))


def _deviations(c: SimpleNamespace, s: Setting, passed: Array, region: str) -> tuple[Array, Array]:
    """Eq. 13."""
    size = (np.clip(np.asarray(s.magnitude), 5, 6.5) - 5) / 1.5
    tau = c.tau_1 + (c.tau_2 - c.tau_1) * size
    large = c.sigma_2jp if region == "japan" else c.sigma_2
    known = np.asarray(s.measured)
    sigma = (c.sigma_1 + (large - c.sigma_1) * size) * np.sqrt(c.sigma_3 * (1 - known) + 0.7 * known + (1 + passed) ** 2)
    return tau * (1 + passed), sigma
