"""Vehicle positions of GTFS-realtime: where buses are, as readings of their speed with their place.

GTFS Realtime 2.0, https://gtfs.org/documentation/realtime/reference/ (FeedMessage, VehiclePosition). A vehicle is named by its
`id`, else its `label`, else the id of the entity. Where a feed gives no speed, it is the distance between two positions of the
vehicle over the time between them; of the first position there is none, and no reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import DecodeError
from google.transit import gtfs_realtime_pb2

from citytwin.errors import InputError

EARTH = 6371008.8  # m, mean radius (IUGG)
MOST_VEHICLES = 200_000  # remembered for their speed
Seen = tuple[float, float, float]  # time (s since 1970), longitude, latitude


@dataclass
class Positions:
    """n vehicles: key, time (s since 1970; NaN: the feed does not say), speed (m/s), place (longitudes, latitudes)."""

    device: list[str] = field(default_factory=list)
    time: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    place: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))


class Vehicles:
    """Reads feeds one after the other; remembers where each vehicle was."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def read(self, message: bytes) -> Positions:
        """The positions in one FeedMessage that are newer than those seen before. Raises InputError where it is none."""
        feed = gtfs_realtime_pb2.FeedMessage()
        try:
            feed.ParseFromString(message)
        except DecodeError as error:
            raise InputError("this is no GTFS-realtime message", "readings", "a FeedMessage in protobuf") from error
        found = Positions()
        for entity in feed.entity:
            if entity.HasField("vehicle") and entity.vehicle.HasField("position"):
                self._take(entity, feed.header.timestamp, found)
        return found

    def _take(self, entity: gtfs_realtime_pb2.FeedEntity, stamp: int, found: Positions) -> None:
        vehicle, position = entity.vehicle, entity.vehicle.position
        name = vehicle.vehicle.id or vehicle.vehicle.label or entity.id
        here = (float(vehicle.timestamp or stamp), position.longitude, position.latitude)
        before = self._seen.get(name)
        if before is not None and here[0] <= before[0]:
            return  # feeds repeat a position until there is a newer one
        if len(self._seen) >= MOST_VEHICLES:
            self._seen.clear()
        self._seen[name] = here
        speed = position.speed if position.HasField("speed") else None if before is None else distance(before, here)
        if speed is None:
            return
        if not position.HasField("speed") and before is not None:
            speed /= here[0] - before[0]
        found.device.append(name)
        found.time.append(here[0] or float("nan"))
        found.speed.append(speed)
        found.place[0].append(here[1])
        found.place[1].append(here[2])


def distance(a: Seen, b: Seen) -> float:
    """Metres between two places on a sphere (haversine)."""
    lon_a, lat_a, lon_b, lat_b = np.radians([a[1], a[2], b[1], b[2]])
    half = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    return float(2 * EARTH * np.arcsin(np.sqrt(half)))
