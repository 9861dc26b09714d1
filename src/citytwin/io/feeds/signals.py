"""What simulated devices measure: readings that follow from the time of day, the weather, their place and the city's state.

Neighbours agree because they feel the same weather; each device has its own offset and noise. Where a state with a flood is
given, gauges and water sensors follow `water_depth` at their place. The same seed and times give the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.columns import DeviceKind
from citytwin.io.feeds.weather import DAY, HOUR, Floats, Weather, daily, rush
from citytwin.state import State

Rows = npt.NDArray[np.int64]

FAULT_SHARE = 0.004  # share of devices that have a fault in any one hour
NO_FAULT, STUCK, DROPOUT, SPIKES, WRONG_CLOCK = range(5)
FOLLOWS_DEPTH = ("river_stage", "sewer_level")  # kinds whose reading rises with the water over their place
CLOCK_AHEAD = 2 * HOUR


@dataclass
class Sample:
    """n readings to be sent: device rows, values in the column's unit, times (s since 1970)."""

    row: Rows
    value: Floats
    time: Floats


class Signals:
    """The readings that a city's devices give. `share` 0 turns faults off."""

    def __init__(self, city: City, kinds: dict[str, DeviceKind], seed: int = 0, share: float = FAULT_SHARE) -> None:
        devices = city.table("device")
        self._kinds = list(kinds.values())
        index = {k.name: i for i, k in enumerate(self._kinds)}
        self.kind = np.array([index[name] for name in devices["kind"]], dtype=np.int64)
        self.x = devices.geometry.x.to_numpy(dtype=float)
        self.y = devices.geometry.y.to_numpy(dtype=float)
        self._cell = city.ground.rows(self.x, self.y) if city.has_ground else np.full(len(devices), -1)
        self._seed, self._share = seed, share
        rng = np.random.default_rng((seed, 1))
        self._own = rng.uniform(-1, 1, len(devices))  # each device's place within the usual range
        self._phase = rng.uniform(0, 2 * np.pi, len(devices))
        box = (self.x.min(), self.y.min(), self.x.max(), self.y.max()) if len(devices) else (0.0, 0.0, 1.0, 1.0)
        self.weather = Weather(seed, box)
        self.commanded: dict[int, float] = {}  # device row -> the value that it was told to be at
        self._depth: Floats | None = None
        self._faults: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, dtype=np.int64))

    def follow(self, state: State | None) -> None:
        """From now on gauges and water sensors rise with `water_depth` of `state`; None: there is no flood."""
        if state is None or "water_depth" not in state:
            self.stand_in(None)
        else:
            self.stand_in(np.where(self._cell >= 0, state["water_depth"][np.maximum(self._cell, 0)], 0.0))

    def stand_in(self, depth: Floats | None) -> None:
        """The same, for the depth of the water (m) at each device."""
        self._depth = depth

    def sample(self, row: Rows, now: float) -> Sample:
        """What the devices at `row` say at `now`; those that drop out say nothing."""
        value = self.truth(row, now)
        hour = int(now // HOUR)
        fault = self.faults(hour)[row]
        held = np.flatnonzero(fault == STUCK)
        value[held] = self.truth(row[held], hour * HOUR)
        spiked = np.flatnonzero(fault == SPIKES)
        rng = np.random.default_rng((self._seed, 3, int(now * 1000)))
        spiked = spiked[rng.random(len(spiked)) < 0.2]
        value[spiked] = self._limit(row[spiked], "high") * 1.5
        when = np.full(len(row), now)
        when[fault == WRONG_CLOCK] += CLOCK_AHEAD
        there = fault != DROPOUT
        return Sample(row[there], value[there], when[there])

    def faults(self, hour: int) -> npt.NDArray[np.int64]:
        """The fault of every device in one hour since 1970."""
        if self._faults[0] != hour:
            rng = np.random.default_rng((self._seed, 2, hour))
            struck = rng.random(len(self.kind)) < self._share
            self._faults = hour, np.where(struck, rng.integers(STUCK, WRONG_CLOCK + 1, len(self.kind)), NO_FAULT)
        return self._faults[1]

    def truth(self, row: Rows, now: float) -> Floats:
        """What the devices at `row` would measure at `now` without faults."""
        value = np.empty(len(row))
        kinds = self.kind[row]
        for k in np.unique(kinds):
            at = np.flatnonzero(kinds == k)
            value[at] = self._of_kind(self._kinds[k], row[at], now)
        for told, there in self.commanded.items():
            value[row == told] = there
        return np.asarray(np.round(np.clip(value, self._limit(row, "low"), self._limit(row, "high")), 4), dtype=np.float64)

    def _limit(self, row: Rows, side: str) -> Floats:
        limits: Floats = np.array([getattr(k.column, side) for k in self._kinds], dtype=np.float64)
        return limits[self.kind[row]]

    def _of_kind(self, kind: DeviceKind, row: Rows, now: float) -> Floats:
        low, high = kind.usual
        noise = np.sin(self._phase[row] + now * 2 * np.pi / (kind.period * 37)) * 0.7
        noise += np.random.default_rng((self._seed, 4, int(now * 1000), int(row[0]))).normal(0, 0.3, len(row))
        place = Place(self.x[row], self.y[row], self._own[row], noise, now, kind)
        found = MODELS.get(kind.name, _ordinary)(self.weather, place)
        if self._depth is not None and kind.name in FOLLOWS_DEPTH:
            found = found + self._depth[row]
        elif self._depth is not None and kind.department == "traffic":
            found = found * np.exp(-self._depth[row] / 0.15)  # at 0.3 m of water nearly nothing moves
        return np.asarray(found) if np.isfinite([low, high]).all() else np.nan_to_num(found)


@dataclass
class Place:
    """What a model may know of its devices: places (m), own offsets and noise (-1 ... 1, about), the time, the kind."""

    x: Floats
    y: Floats
    own: Floats
    noise: Floats
    now: float
    kind: DeviceKind


Model = Callable[[Weather, Place], Floats]


def _within(p: Place, share: float | Floats) -> Floats:
    """A value at `share` (0 ... 1) of the kind's usual range."""
    low, high = p.kind.usual
    return np.asarray(low + (high - low) * np.clip(share, 0, 1))


def _ordinary(_: Weather, p: Place) -> Floats:
    """Any kind: somewhere in its usual range, a little more by day, a little noise."""
    return _within(p, 0.4 + 0.25 * p.own + 0.1 * daily(p.now, 14) + 0.02 * p.noise)


def _busy(_: Weather, p: Place) -> Floats:
    """What grows with traffic: counts, occupancy, noise, exhaust."""
    return _within(p, rush(p.now) * (0.55 + 0.35 * p.own) + 0.04 * p.noise)


def _counted(w: Weather, p: Place) -> Floats:
    return np.round(_busy(w, p))


def _speed(_: Weather, p: Place) -> Floats:
    return _within(p, 0.55 + 0.2 * p.own - 0.25 * rush(p.now) + 0.05 * p.noise)


def _rain(w: Weather, p: Place) -> Floats:
    """A weighing gauge of 0.01 mm: what fell within the period."""
    return np.round(w.rain(p.x, p.y, p.now) * p.kind.period / HOUR, 2)


def _river(w: Weather, p: Place) -> Floats:
    """A stage that remembers the rain of the last six hours, with a recession of two hours."""
    ages = np.arange(0, 6 * HOUR, 1200.0)
    centre = np.array([p.x.mean()]), np.array([p.y.mean()])
    wet = sum(float(w.rain(*centre, p.now - a)[0]) * np.exp(-a / (2 * HOUR)) for a in ages)
    return np.asarray(1.0 + 0.4 * p.own + 0.15 * w.slow(p.now, 11, 2 * DAY) + 0.02 * wet + 0.01 * p.noise)


def _sewer(w: Weather, p: Place) -> Floats:
    return np.asarray(0.25 + 0.08 * p.own + 0.05 * rush(p.now) + 0.04 * w.rain(p.x, p.y, p.now - 600) + 0.01 * p.noise)


def _total(_: Weather, p: Place) -> Floats:
    """A meter that only rises: its usual range is passed in about thirty years."""
    low, high = p.kind.usual
    years = p.now / (365.25 * DAY) - 50
    return np.asarray(low + (high - low) * np.clip((years + 5 * (1 + p.own)) / 30, 0, 1))


def _filling(_: Weather, p: Place) -> Floats:
    """A container that is emptied every few days."""
    return np.asarray(((p.now / DAY) / (3 + p.own) + p.own) % 1.0)


def _switched(_: Weather, p: Place) -> Floats:
    """Free or taken: more often taken by day."""
    spell = np.sin(p.now / 2400 + 50 * p.own)
    return np.asarray(np.where(spell + 0.5 * daily(p.now, 13) > 0, 1.0, 0.0))


def _night(_: Weather, p: Place) -> Floats:
    return _within(p, (0.7 + 0.2 * p.own + 0.02 * p.noise) * (daily(p.now, 0) > 0.2))


def _stage(_: Weather, p: Place) -> Floats:
    """Two stages of 45 s in turn, each signal in its own time."""
    return np.asarray(1.0 + (p.now / 45 + 2 * (1 + p.own)) // 1 % 2)


def _plan(_: Weather, p: Place) -> Floats:
    """By night plan 1, by day 2, in the rush 3."""
    return np.where(rush(p.now) > 0.6, 3.0, np.where(daily(p.now, 14) > -0.3, 2.0, 1.0)) + 0 * p.own


def _seldom(_: Weather, p: Place) -> Floats:
    """Nearly always 0; one in some hundred devices is at 1 for an hour."""
    return np.asarray((np.sin(p.now / 3600 // 1 * 12.9898 + 7e4 * p.own) > 0.99998) * 1.0)


def _whole(model: Model) -> Model:
    return lambda w, p: np.round(model(w, p))


def _fill(w: Weather, p: Place) -> Floats:
    """A reservoir filled by night and drawn down by day."""
    return _within(p, 0.6 + 0.15 * p.own + 0.2 * daily(p.now, 5) + 0.01 * p.noise)


def _power(_: Weather, p: Place) -> Floats:
    return _within(p, 0.35 + 0.2 * p.own + 0.15 * daily(p.now, 18) + 0.1 * rush(p.now) + 0.01 * p.noise)


MODELS: dict[str, Model] = {
    "air_temperature": lambda w, p: w.temperature(p.now) + 0.8 * p.own + 0.1 * p.noise,
    "humidity": lambda w, p: w.humidity(p.now) + 4 * p.own + 0.5 * p.noise,
    "pressure": lambda w, p: w.pressure(p.now) + 2 * p.own + 0.05 * p.noise,
    "wind_speed": lambda w, p: np.maximum(w.wind(p.now) * (1 + 0.3 * p.own) + 0.4 * p.noise, 0),
    "solar": lambda w, p: np.maximum(w.sun(p.now) * (1 + 0.05 * p.own) + 2 * p.noise * (w.sun(p.now) > 0), 0),
    "pv_power": lambda w, p: _within(p, w.sun(p.now) / 1000 * (0.6 + 0.3 * p.own)),
    "grid_frequency": lambda w, p: 50 + 0.02 * w.slow(p.now, 12, 60) + 0.002 * p.noise,
    "rain_gauge": _rain, "river_stage": _river, "sewer_level": _sewer,
    "river_discharge": lambda w, p: 40 * np.maximum(_river(w, p), 0.05) ** 1.6,
    "snow_depth": lambda w, p: np.maximum(-w.temperature(p.now), 0) * 4 + 0 * p.own,
    "noise": _busy, "air_no2": _busy, "air_pm25": _busy, "air_pm10": _busy, "air_co": _busy,
    "traffic_occupancy": _busy, "traffic_intensity": _counted, "crowd_count": _counted, "traffic_speed": _speed,
    "bus_position": _speed, "emergency_vehicle": _speed, "water_meter": _total, "electricity_meter": _total,
    "waste_container": _filling, "parking_spot": _switched, "streetlight": _night, "light_cabinet": _night,
    "feeder_power": _power, "ev_charger": _power,
    "parking_garage": lambda w, p: np.round(_within(p, 0.8 - 0.6 * rush(p.now) + 0.15 * p.own + 0.01 * p.noise)),
    "bike_station": lambda w, p: np.round(_within(p, 0.5 + 0.3 * p.own - 0.3 * rush(p.now) + 0.05 * p.noise)),
    "signal_controller": _plan, "signal_stage": _stage, "signal_faults": _seldom, "fire_alarm": _seldom,
    "citizen_report": _seldom, "message_sign": lambda w, p: np.round(2 + 2 * p.own), "pump_state": _switched,
    "bicycle_counter": _counted, "building_occupancy": _counted, "phone_density": _counted, "drone": _counted,
    "hospital_beds": _whole(_ordinary), "ambulance": lambda w, p: 1.0 + np.floor((p.now / 900 + 9 * (1 + p.own)) % 4),
    "reservoir_level": _fill, "smoke_detector": lambda w, p: 0.2 + 0.1 * p.own + 0.02 * np.abs(p.noise),
    "crack_meter": lambda w, p: 1.5 + 1.2 * p.own + 0.05 * daily(p.now, 15) + 0.01 * p.noise,
    "accelerometer": lambda w, p: 0.001 + 0.0008 * np.abs(p.noise) * (0.3 + rush(p.now)),
    "felt_report": lambda w, p: np.ones(len(p.noise)),
    "building_vibration": lambda w, p: 0.002 + 0.001 * p.own + 0.0008 * np.abs(p.noise) * (0.2 + rush(p.now)),
}  # fmt: skip


def modelled() -> Sequence[str]:
    """Kinds with a model of their own; all others are ordinary."""
    return tuple(MODELS)
