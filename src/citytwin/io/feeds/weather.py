"""Made-up weather over a made-up day, for simulated devices: smooth in time, coherent in space, the same for the same seed.

Believable, not a forecast: amplitudes are engineering judgement. Times are s since 1970 (UTC), places metres.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DAY, HOUR = 86400.0, 3600.0
CELL_WINDOW = 3 * HOUR  # rain cells are drawn anew for each such window
CELLS_MEAN = 0.6  # rain cells that are born in a window, on average


def daily(now: float, peak_hour: float) -> float:
    """A wave between -1 and 1 that is highest at `peak_hour` (UTC) each day."""
    return float(np.cos(2 * np.pi * ((now % DAY) / HOUR - peak_hour) / 24))


def rush(now: float) -> float:
    """How much of its daytime traffic a city has, 0 ... 1: low at night, peaks near 8 and 17:30 on any day."""
    hour = (now % DAY) / HOUR
    peaks = np.exp(-(((hour - 8) / 1.5) ** 2)) + np.exp(-(((hour - 17.5) / 2) ** 2))
    plateau = 0.45 / (1 + np.exp(-(hour - 6.5) * 2)) / (1 + np.exp((hour - 21) * 1.2))
    return float(np.clip(0.05 + 0.55 * peaks + plateau, 0, 1))


class Weather:
    """The weather of one seed over an area given by its bounds (west, south, east, north)."""

    def __init__(self, seed: int, bounds: tuple[float, float, float, float]) -> None:
        self.seed = seed
        self._low = np.array(bounds[:2])
        self._size = np.maximum(np.array(bounds[2:]) - self._low, 1000.0)
        self._cells: dict[int, Floats] = {}

    def slow(self, now: float, name: int, period: float) -> float:
        """A smooth wandering between about -1 and 1, of its own for each `name`, that takes `period` seconds to turn."""
        phase = np.random.default_rng((self.seed, name)).uniform(0, 2 * np.pi, 3)
        turns = 2 * np.pi * now / period * np.array([1.0, 0.61803, 2.2360])
        return float(np.sin(turns + phase) @ np.array([0.55, 0.3, 0.15]))

    def temperature(self, now: float) -> float:
        """Air temperature of the area, °C: season, day, weather."""
        season = -np.cos(2 * np.pi * (now / DAY - 15) / 365.25)
        return 11 + 9 * float(season) + 4 * daily(now, 14) + 3 * self.slow(now, 1, 4 * DAY)

    def sun(self, now: float) -> float:
        """Global radiation, W/m2, under a wandering cloud cover."""
        return 850.0 * float(max(0.0, daily(now, 12)) ** 1.3) * (0.65 + 0.35 * self.slow(now, 2, 2 * HOUR))

    def wind(self, now: float) -> float:
        """Wind speed, m/s."""
        return 4 + 3 * self.slow(now, 3, DAY) + 0.8 * self.slow(now, 4, 600)

    def pressure(self, now: float) -> float:
        """Air pressure, hPa."""
        return 1013 + 12 * self.slow(now, 5, 5 * DAY)

    def humidity(self, now: float) -> float:
        """Relative humidity, %."""
        return 70 - 15 * daily(now, 14) + 10 * self.slow(now, 6, DAY)

    def rain(self, x: Floats, y: Floats, now: float) -> Floats:
        """Rain intensity at places, mm/h: cells that are born, drift over the area, grow and fade."""
        total = np.zeros(np.shape(x))
        window = int(now // CELL_WINDOW)
        for born, length, cx, cy, vx, vy, radius, peak in np.vstack([self._drawn(window - 1), self._drawn(window)]):
            age = now - born
            if 0 <= age <= length:
                distance = np.hypot(x - cx - vx * (age - length / 2), y - cy - vy * (age - length / 2)) / radius
                total += peak * np.sin(np.pi * age / length) * np.exp(-(distance**2))
        return np.where(total > 0.1, total, 0.0)

    def _drawn(self, window: int) -> Floats:
        """Rain cells born in a window: birth, length (s), centre at half its life (m), speed (m/s), radius (m), peak (mm/h)."""
        if window not in self._cells:
            if len(self._cells) > 50:
                self._cells.clear()
            rng = np.random.default_rng((self.seed, 77, max(window, 0)))
            n = rng.poisson(CELLS_MEAN)
            place = self._low + rng.uniform(0, 1, (n, 2)) * self._size
            self._cells[window] = np.column_stack([
                window * CELL_WINDOW + rng.uniform(0, CELL_WINDOW, n), rng.uniform(0.3, 1, n) * CELL_WINDOW, place,
                rng.normal(3, 2, n), rng.normal(0, 2, n), rng.uniform(2000, 8000, n), rng.gamma(2, 4, n),
            ])  # fmt: skip
        return self._cells[window]
