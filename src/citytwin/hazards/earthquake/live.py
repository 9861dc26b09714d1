"""What the twin's own devices say of an earthquake: peaks of accelerometers, intensities that people felt.

Only readings after the origin time count, and of accelerometers only those of the time in which strong shaking passes them: up
to the distance over `SLOWEST`, the length of the rupture in time, and some. An aftershock an hour later is not this earthquake.
An instrument that read nothing counts too, once that time is over: if all are quiet, there was little shaking, whatever was
announced. Saturated instruments (at `full_scale`), those that are known to be faulty and those in maintenance are left out, and
so is every reading that the checks doubt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.intensity import spread_of_reports

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MOTION = "peak_ground_acceleration"
"""Column of accelerometers, m/s2."""

FELT_COLUMN = "felt_intensity"
"""Column of devices that hand on what people felt (a collector of reports of an app, a call centre): MMI, one report each."""

FELT = 0.02
"""m/s2 from which a reading is surely of an earthquake; below it an instrument was quiet."""

QUIET, QUIET_NOISE = 0.002, 0.3
"""m/s2 that a quiet instrument is at least taken to have read, and how sure that is (deviation of ln): estimates."""

LEAST_FELT = 2.0
"""Intensity from which an earthquake was felt."""

SLOWEST, MARGIN = 2.5, 30.0
"""km/s of the last strong waves; s that are added for clocks and coda: estimates on the safe side."""

SATURATED = 0.98
"""Share of the full scale from which an instrument is taken as saturated."""

PEOPLE_LASTING = 1800.0
"""s after the origin in which what people report is taken to be of this earthquake."""

GROWN, MOVED = 1.1, 0.25
"""News: a peak this many times (or this part of) what it was; an intensity moved by so much."""

EARTH = 6371.0


@dataclass(frozen=True)
class Instruments:
    """n devices that may tell of shaking, by row of the device table.

    row, key, lon, lat. felt: whether people speak through it. scale: m/s2 at which it saturates. period: s
    between readings. vs30: m/s (NaN). out: why it is not to be heeded, empty where it is.
    """

    row: I64
    key: Sequence[str]
    lon: F64
    lat: F64
    felt: npt.NDArray[np.bool_]
    scale: F64
    period: F64
    vs30: F64
    out: Sequence[str]


@dataclass(frozen=True)
class Told:
    """What one device says of the earthquake: m/s2 or MMI, noise (of ln) of an instrument, number of reports of people."""

    value: float
    place: tuple[float, float]
    felt: bool
    noise: float = 0.0
    reports: int = 0
    vs30: float = math.nan

    def reading(self, name: str) -> dict[str, Any]:
        """As a reading of a scenario."""
        said: dict[str, Any] = {"name": name, "place": list(self.place)}
        if self.felt:
            return said | {"intensity": round(self.value, 2), "responses": self.reports}
        said["pga"] = f"{self.value:.5g} m/s2"
        if self.noise:
            said["noise"] = self.noise
        if math.isfinite(self.vs30):
            said["vs30"] = self.vs30
        return said

    def differs(self, other: Told) -> bool:
        """Whether this is news against what was known."""
        if self.felt:
            far = abs(self.value - other.value) >= MOVED
            return far or bool(spread_of_reports(self.reports) < 0.8 * spread_of_reports(other.reports))
        return not other.value / GROWN <= self.value <= other.value * GROWN


def distance(lon: F64, lat: F64, place: tuple[float, float]) -> F64:
    """Kilometres on the sphere from places to one place, all in degrees."""
    a, b = np.radians(lat), math.radians(place[1])
    part = np.sin((a - b) / 2) ** 2 + np.cos(a) * math.cos(b) * np.sin(np.radians(lon - place[0]) / 2) ** 2
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(part)), dtype=np.float64)


def lasting(magnitude: float, km: npt.ArrayLike) -> F64:
    """Seconds after the origin until strong shaking has passed a place so far away.

    The rupture takes about 10^(M / 2 - 2) s: seismic moment grows with its cube; 10 s at magnitude 6 (from knowledge).
    """
    return np.asarray(np.asarray(km, dtype=np.float64) / SLOWEST + 10 ** (0.5 * magnitude - 2.0) + MARGIN)


def told_by(
    devices: Instruments, row: I64, time: F64, value: F64, origin: float, magnitude: float, place: tuple[float, float],
    timed: bool = True,
) -> tuple[dict[str, Told], dict[str, str]]:  # fmt: skip
    """What devices say of an earthquake at `origin` (s since 1970) and `place` (degrees), by key; and who is left out, and why.

    row, time, value: believed readings, in any order; row: of the device table. timed: whether the origin is known; if not,
    nobody can say when an instrument was quiet, and only what was surely felt counts.
    """
    until = origin + np.where(devices.felt, PEOPLE_LASTING, lasting(magnitude, distance(devices.lon, devices.lat, place)))
    where = {int(r): n for n, r in enumerate(devices.row)}
    n = np.array([where.get(int(r), -1) for r in row], dtype=np.int64)
    known = n >= 0
    n, time, value = n[known], time[known], value[known]
    covered = np.zeros(len(devices.row), dtype=np.bool_)  # has spoken of the end of the shaking
    covered[n[time >= until[n]]] = True
    inside = (time > origin) & (time <= until[n] + devices.period[n] * ~devices.felt[n])
    n, value = n[inside], value[inside]
    peak = np.full(len(devices.row), -np.inf)
    np.maximum.at(peak, n, value)
    count = np.bincount(n, minlength=len(devices.row))
    total = np.bincount(n, weights=value, minlength=len(devices.row))
    told: dict[str, Told] = {}
    out: dict[str, str] = {}
    for d in np.flatnonzero(count).tolist():
        key, here = str(devices.key[d]), (float(devices.lon[d]), float(devices.lat[d]))
        if devices.out[d]:
            out[key] = devices.out[d]
        elif devices.felt[d]:
            if timed or total[d] >= LEAST_FELT * count[d]:
                told[key] = Told(float(np.clip(total[d] / count[d], 1.0, 10.0)), here, True, reports=int(count[d]))
        elif peak[d] >= SATURATED * devices.scale[d]:
            out[key] = f"saturated: {peak[d]:.3g} m/s2 of {devices.scale[d]:.3g}"
        elif peak[d] >= FELT:
            told[key] = Told(float(peak[d]), here, False, vs30=float(devices.vs30[d]))
        elif timed and covered[d]:
            told[key] = Told(float(max(peak[d], QUIET)), here, False, QUIET_NOISE, vs30=float(devices.vs30[d]))
    return told, out


def is_news(before: Mapping[str, Told], now: Mapping[str, Told]) -> bool:
    """Whether devices say something else than they did."""
    return before.keys() != now.keys() or any(now[key].differs(before[key]) for key in now)
