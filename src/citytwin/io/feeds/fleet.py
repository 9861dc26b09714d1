"""The simulated fleet: a city's devices that publish over real MQTT, at their own periods or at a given rate."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from citytwin.city import City
from citytwin.columns import DeviceKind
from citytwin.errors import InputError, MissingError
from citytwin.io.feeds.mqtt import Publisher
from citytwin.io.feeds.signals import FAULT_SHARE, Signals
from citytwin.io.feeds.water import RunWater

TICK = 0.05  # seconds between looks at who is due


@dataclass
class Sent:
    """What a fleet has done: messages sent, QoS 1 messages acknowledged by the broker, and how late the last ones went out."""

    sent: int
    acked: int
    behind: float


class Fleet:
    """Some or all devices of `city`, over `connections` MQTT connections.

    `rate`: readings a second over all devices (None: each device at the period of its kind). `devices`: only the first so
    many. `qos` 0 or 1. The same seed gives the same readings at the same times.
    """

    def __init__(
        self, city: City, kinds: dict[str, DeviceKind], *, rate: float | None = None, devices: int | None = None,
        connections: int = 20, qos: int = 1, seed: int = 0, faults: float = FAULT_SHARE,
    ) -> None:  # fmt: skip
        if "device" not in city or not city.size("device"):
            raise MissingError("this city has no devices", city.name)
        if rate is not None and not rate > 0:
            raise InputError(f"a rate of {rate} readings a second sends nothing")
        table = city.table("device")
        self.number = min(devices or len(table), len(table))
        self.signals = Signals(city, kinds, seed, faults)
        self.qos = qos
        names = zip(table["kind"].tolist(), table["key"].astype(str).tolist(), strict=True)
        self._topics = [f"city/{kind}/{key}".encode() for kind, key in names][: self.number]
        period = np.array([kinds[k].period for k in table["kind"].tolist()[: self.number]], dtype=np.float64)
        self._interval = np.full(self.number, self.number / rate) if rate else period
        self._first = np.random.default_rng((seed, 5)).uniform(0, 1, self.number) * self._interval
        self._connections = min(connections, self.number)
        self.publishers: list[Publisher] = []
        self.water: RunWater | None = None  # a flood that gauges follow from the start of `run` on
        self.water_speed = 1.0

    async def run(
        self, host: str, port: int, seconds: float | None = None, stop: Callable[[], bool] = lambda: False,
        said: Callable[[Sent], None] = lambda sent: None, patience: float = 30.0,
    ) -> Sent:  # fmt: skip
        """Publish until `seconds` have passed or `stop` says so; then wait up to `patience` seconds for acknowledgements.

        Raises OutsideError where no broker answers at the start; later losses of the connection are made good.
        """
        self.publishers = [Publisher(host, port, f"fleet-{int(time.time() * 1000)}-{i}") for i in range(self._connections)]
        for publisher in self.publishers:
            await publisher.connect()
        begin = told = time.time()
        due = begin + self._first
        try:
            while not stop() and (seconds is None or time.time() - begin < seconds):
                now = time.time()
                if self.water is not None:
                    self.signals.stand_in(self.water.at((now - begin) * self.water_speed))
                rows = np.flatnonzero(due <= now)
                await self._publish(rows, now)
                due[rows] += self._interval[rows]
                if now - told >= 1:
                    told = now
                    said(self.sent(float(now - due.min()) if len(due) else 0.0))
                await asyncio.sleep(max(0.0, TICK - (time.time() - now)))
        finally:
            behind = max(0.0, time.time() - float(due.min()))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*(p.close(patience) for p in self.publishers))
        return self.sent(behind)

    def sent(self, behind: float = 0.0) -> Sent:
        """What has been done so far."""
        return Sent(sum(p.sent for p in self.publishers), sum(p.acked for p in self.publishers), max(behind, 0.0))

    async def _publish(self, rows: npt.NDArray[np.int64], now: float) -> None:
        if not len(rows):
            return
        sample = self.signals.sample(rows, now)
        for row, value, when in zip(sample.row.tolist(), sample.value.tolist(), sample.time.tolist(), strict=True):
            publisher = self.publishers[row % self._connections]
            if not publisher.free:
                await publisher.ready()
            publisher.publish(self._topics[row], b'{"value":%.10g,"time":%.3f}' % (value, when), self.qos)
