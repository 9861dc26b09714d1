"""The reader: takes messages from the log, makes arrays of them, has them checked and applies what is good.

log -> decode -> checks -> state, health, counts -> listeners -> writer
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np

from citytwin.errors import OutsideError
from citytwin.io.feeds.arrow import write_arrow
from citytwin.io.feeds.decode import Decoder
from citytwin.io.feeds.log import Log
from citytwin.io.feeds.mapping import Mappings
from citytwin.io.feeds.subjects import ARROW, LINES, MQTT
from citytwin.io.feeds.wire import Messages
from citytwin.state import Arrivals, Checks, Health, Quality, State
from citytwin.twin.devices import Devices
from citytwin.twin.listeners import Listeners
from citytwin.twin.notices import Heeding, around_notices
from citytwin.twin.recent import Recent
from citytwin.twin.writer import Writer

MOST_WAITING = 1_000_000  # more than this are not read from the log until the history has taken some
RECENT_REJECTED = 100


class Reader:
    """Keeps `state` and `devices` current. `read_to`: the place in the log up to which everything was taken.

    `counts`: number of readings by `Quality`. `rejected`: the newest that were not believed, as plain values.
    """

    def __init__(self, devices: Devices, state: State, writer: Writer, listeners: Listeners, mappings: Mappings) -> None:
        self.devices = devices
        self.state = state
        self.decoder = Decoder(devices.keys, devices.kinds, devices.kind, mappings)
        self.checks = Checks(devices.kinds, devices.kind)
        self.health = Health(devices.period)
        self.counts = np.zeros(len(Quality), dtype=np.int64)
        self.rejected: list[dict[str, Any]] = []
        self.listeners = listeners
        self.problem = ""
        self.recent = Recent()
        self.heeding = Heeding(devices, state, self.checks, self.health)
        self._writer = writer

    def warm(self) -> None:
        """Compile, or load, what is needed for the first reading, before there is one: on a fresh machine it takes seconds."""
        samples = {MQTT: b"\x30\x03\x00\x01x1", LINES: b'{"device":"","value":1}', ARROW: write_arrow([""], [0], [0])[0]}
        subjects, payloads = [s.encode() for s in samples], list(samples.values())
        batch = self.decoder.decode(Messages(subjects, payloads, [0, 0, 0], [0, 0, 0]))
        Checks(self.devices.kinds, self.devices.kind).check(batch)
        Recent(kept=8).judge(batch)

    @property
    def read_to(self) -> int:
        """The place in the log up to which everything was taken."""
        return self._writer.read_to

    async def run(self, log: Log) -> None:
        """For ever: take messages from the log into the state and to the writer."""
        while True:
            if self._writer.number_waiting > MOST_WAITING:
                await asyncio.sleep(0.05)
                continue
            try:
                messages = await log.read(self.read_to)
                self.problem = ""
            except OutsideError as error:
                self.problem = str(error)
                await asyncio.sleep(0.2)
                continue
            if messages.last:
                for part, notices in around_notices(messages):
                    batch = self.decoder.decode(part)
                    batch.notices = notices
                    self.take(batch, part.last)

    def take(self, batch: Arrivals, last: int) -> None:
        """Check and apply all readings of the log after `read_to` up to place `last`, then what people said."""
        if len(batch):
            self.checks.check(batch)
            self.recent.judge(batch)
            self._apply(batch)
        for _, said in batch.notices:
            self.heeding.heed(said)
        self._writer.put(batch, last)

    def _apply(self, batch: Arrivals) -> None:
        """Good readings into the state; all into counts and health, and to who listens."""
        self.counts += np.bincount(batch.quality, minlength=len(Quality))
        self.health.hear(batch)
        self._show_rejected(batch)
        good = np.flatnonzero(batch.quality == Quality.GOOD)
        self.devices.set(self.state, batch.row[good], batch.time[good], batch.value[good])
        for i, (longitude, latitude) in batch.place.items():
            if batch.quality[i] == Quality.GOOD:
                self.devices.move(int(batch.row[i]), longitude, latitude)
        self.state.time = time.time()
        self.listeners.hear(batch)

    def _show_rejected(self, batch: Arrivals) -> None:
        for i in np.flatnonzero(~batch.believed)[-RECENT_REJECTED:].tolist():
            name, payload = batch.raw.get(i, ("", b""))
            device = self.devices.keys[batch.row[i]] if batch.row[i] >= 0 else name
            raw = payload.decode("utf-8", "replace") if payload else repr(float(batch.value[i]))
            reason = Quality(batch.quality[i]).word
            self.rejected.append({"device": device, "reason": reason, "raw": raw[:200], "time": float(batch.arrived[i])})
        del self.rejected[:-RECENT_REJECTED]

    def age(self) -> None:
        """Notice devices that fell silent by now."""
        self.devices.age(self.health.status(time.time()))

    async def tick(self) -> None:
        """For ever, once a second: notice silence, and tell who listens."""
        while True:
            self.age()
            self.listeners.tick(time.time())
            await asyncio.sleep(1.0)
