"""Devices of a made city: so many of each kind as its share in `sensors.csv` says, on the things that they observe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from citytwin import columns
from citytwin.city.synthetic.people import whole_parts
from citytwin.city.synthetic.plan import Floats, Plan, Whole


@dataclass
class Spots:
    """Places where devices of a kind may be: `place` (k, 2), the observed `table` and its `keys`."""

    place: Floats
    table: str
    keys: npt.NDArray[np.object_]


@dataclass
class Devices:
    """Devices: `kind`, `place` (k, 2), and the thing each observes: `table`, `key`."""

    kind: npt.NDArray[np.object_]
    place: Floats
    table: npt.NDArray[np.object_]
    key: npt.NDArray[np.object_]


# Where each kind of device belongs: the name of a set of spots, tried in turn until one has any.
PLACES: dict[str, tuple[str, ...]] = {
    "air_no2": ("main_road",), "air_pm25": ("main_road",), "air_pm10": ("main_road",), "air_o3": ("park", "zone"),
    "air_so2": ("industry", "zone"), "air_co": ("main_road",), "noise": ("main_road",), "emf": ("mast", "zone"),
    "indoor_co2": ("public_building",), "river_stage": ("river",), "river_discharge": ("river",),
    "groundwater": ("valley", "zone"), "rain_gauge": ("zone",),
    "air_temperature": ("zone",), "humidity": ("zone",), "wind_speed": ("zone",), "pressure": ("zone",),
    "solar": ("roof",), "sea_wave": ("sea",), "sewer_level": ("street_node",), "sluice_gate": ("pump_site", "river"),
    "water_quality_turbidity": ("water_node",), "water_quality_ph": ("water_node",), "water_meter": ("home",),
    "traffic_intensity": ("drive",), "traffic_speed": ("main_road",), "traffic_occupancy": ("signal_road", "main_road"),
    "crowd_count": ("busy",), "parking_spot": ("kerb",), "parking_garage": ("shop",), "bike_station": ("busy",),
    "ev_charger": ("kerb",), "bus_position": ("stop", "main_road"), "emergency_vehicle": ("emergency",),
    "streetlight": ("kerb",), "light_cabinet": ("street_node",), "waste_container": ("kerb",), "feeder_power": ("feeder",),
    "grid_frequency": ("substation",), "pv_power": ("roof",), "electricity_meter": ("home",), "building_vibration": ("tall",),
    "soil_moisture": ("park", "zone"), "snow_depth": ("zone",),
    "signal_controller": ("signal",), "signal_stage": ("signal",), "signal_faults": ("signal",), "message_sign": ("main_road",),
    "bicycle_counter": ("busy",), "transformer_temperature": ("feeder",), "feeder_voltage": ("feeder",),
    "main_pressure": ("water_node",), "main_flow": ("water_node",), "reservoir_level": ("reservoir", "water_node"),
    "pump_state": ("water_pump", "pump_site"), "strain_gauge": ("bridge", "tall"), "tilt_meter": ("tall",),
    "crack_meter": ("bridge", "tall"), "building_occupancy": ("public_building",), "hospital_beds": ("hospital",),
    "ambulance": ("emergency",), "drone": ("emergency",), "phone_density": ("mast", "zone"), "citizen_report": ("home",),
    "wearable": ("home",), "smoke_detector": ("home",), "fire_alarm": ("public_building",), "radiation": ("zone",),
    "accelerometer": ("zone",), "felt_report": ("home",),
    "case_reports": ("zone",), "hospital_admissions": ("zone",), "wastewater_virus": ("zone",),
}  # fmt: skip
FIRST = ("river_stage", "rain_gauge", "traffic_intensity", "air_temperature", "sewer_level", "streetlight", "signal_controller",
         "sluice_gate", "water_meter")  # fmt: skip


def make_devices(plan: Plan, spots: Callable[[str], Spots]) -> Devices:
    """Exactly as many devices as planned. `spots` gives the places of one name."""
    kinds = {name: kind for name, kind in columns.shipped().kinds.items() if kind.share > 0}
    counts = dict(zip(kinds, _counts(plan.devices, [k.share for k in kinds.values()], list(kinds)), strict=True))
    made: list[Devices] = []
    for kind, count in counts.items():
        if not count:
            continue
        options = (spots(name) for name in (*PLACES.get(kind, ("zone",)), "zone"))
        spot = next(s for s in options if len(s.place))
        pick = _pick(len(spot.place), count, plan.stream(f"devices {kind}"))
        made.append(Devices(np.full(count, kind, dtype=object), spot.place[pick],
                            np.full(count, spot.table, dtype=object), spot.keys[pick]))  # fmt: skip
    if not made:
        none = np.empty(0, dtype=object)
        return Devices(none, np.empty((0, 2)), none, none)
    return Devices(*(np.concatenate([getattr(m, f) for m in made]) for f in ("kind", "place", "table", "key")))


def _counts(total: int, shares: list[float], names: list[str]) -> Whole:
    """How many of each kind: one of each as far as they go, the most needed first, and the rest by share."""
    weight = np.array(shares)
    if total < len(weight):
        order = sorted(range(len(names)), key=lambda k: (names[k] not in FIRST, -weight[k]))
        counts = np.zeros(len(weight), dtype=np.int64)
        counts[order[:total]] = 1
        return counts
    return 1 + whole_parts(weight, total - len(weight))


def _pick(available: int, count: int, rng: np.random.Generator) -> Whole:
    """`count` rows, each used as often as the others, give or take one."""
    rounds = [rng.permutation(available) for _ in range(-(-count // available))]
    return np.sort(np.concatenate(rounds)[:count])


def along(lines: npt.NDArray[np.object_], spacing: float, aside: Floats) -> tuple[Floats, Whole]:
    """Points every `spacing` metres along lines, `aside` metres to one side or the other in turn; and the line of each."""
    length = shapely.length(lines)
    count = np.maximum((length / spacing).astype(np.int64), 1)
    row = np.repeat(np.arange(len(lines)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    at = (step + 0.5) * (length / count)[row]
    here = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], at))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], np.minimum(at + 1.0, length[row])))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(lines[row], np.maximum(at - 1.0, 0.0)))
    way = ahead - behind
    way = way / np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    side = np.where(step % 2, 1.0, -1.0)[:, None] * aside[row][:, None]
    return here + side * np.stack([-way[:, 1], way[:, 0]], axis=1), row
