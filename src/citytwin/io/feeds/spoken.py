"""What a payload says that is not of the plainest form: one at a time, by typed JSON, and by the mappings of the city.

Whatever cannot be understood keeps its payload and a reason; nothing is raised.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from citytwin import units
from citytwin.columns import DeviceKind
from citytwin.errors import InputError
from citytwin.io.feeds.mapping import Mappings, Spoken
from citytwin.io.feeds.scan import EARLIEST, LATEST
from citytwin.io.feeds.subjects import BATCHES
from citytwin.io.feeds.words import find, words_of
from citytwin.jsonable import NOT_JSON
from citytwin.state import Quality

MOST_RAW = 1000  # bytes kept of a payload that was not understood
MOST_UNITS = 10_000  # units made up by a hostile sender must not fill the memory

Time = float | dt.datetime | None


class Payload(msgspec.Struct):
    """What one device says of itself."""

    value: float
    time: Time = None
    unit: str | None = None


class Line(msgspec.Struct):
    """One reading of a batch."""

    device: str
    value: float
    time: Time = None
    unit: str | None = None


class Said(NamedTuple):
    """One reading: row (-1 unknown), value in the kind's unit, time (NaN: none said), quality; what to keep of it if bad."""

    row: int
    value: float
    time: float
    quality: Quality
    name: str = ""
    raw: bytes = b""


class Listener:
    """Understands payloads for the devices `keys`, each of kind `kinds[kind[row]]`."""

    def __init__(
        self, keys: Sequence[str], kinds: Sequence[DeviceKind], kind: npt.NDArray[np.int32], mappings: Mappings | None = None
    ) -> None:
        self.keys = keys
        self.kinds = kinds
        self.kind = kind
        topics = [f"city/{kinds[k].name}/{key}".encode() for k, key in zip(kind, keys, strict=True)]
        self.topics = words_of([*topics, *BATCHES])  # batches come behind the devices
        self.names = words_of([key.encode() for key in keys])
        self._mappings = mappings or Mappings()
        self._one = msgspec.json.Decoder(Payload | float | list[Payload])
        self._line = msgspec.json.Decoder(Line)
        self.factors: dict[tuple[int, str], tuple[float, float] | None] = {}

    def message(self, topic: bytes, payload: bytes) -> list[Said]:
        """The readings of one message under an MQTT `topic`."""
        name = topic.decode("utf-8", "replace")
        mapped = self._mappings.spoken(name, payload)
        if mapped is not None:
            return [self._mapped(s, name, payload) for s in mapped] or [self._bad(Quality.UNREADABLE, name, payload)]
        row = find(self.topics, topic)
        if row < 0:
            return [self._bad(Quality.UNKNOWN_DEVICE, name, payload)]
        try:
            found = self._one.decode(payload)
        except NOT_JSON:
            return [self._bad(Quality.UNREADABLE, name, payload, row)]
        if isinstance(found, Payload):
            return [self._reading(row, found.value, found.time, found.unit)]
        if isinstance(found, list):
            return [self._reading(row, p.value, p.time, p.unit) for p in found]
        return [self._reading(row, found, None, None)]

    def line(self, line: bytes) -> Said:
        """The reading of one JSON line."""
        try:
            found = self._line.decode(line)
        except NOT_JSON:
            return self._bad(Quality.UNREADABLE, "", line)
        row = find(self.names, found.device.encode("utf-8", "replace"))
        if row < 0:
            return self._bad(Quality.UNKNOWN_DEVICE, found.device, line)
        return self._reading(row, found.value, found.time, found.unit)

    def _mapped(self, said: Spoken, topic: str, payload: bytes) -> Said:
        if said.device is None or said.value is None:
            return self._bad(Quality.UNREADABLE, said.device or topic, payload)
        row = find(self.names, said.device.encode("utf-8", "replace"))
        if row < 0:
            return self._bad(Quality.UNKNOWN_DEVICE, said.device, payload)
        if said.kind and self.kinds[self.kind[row]].name != said.kind:
            return self._bad(Quality.UNKNOWN_DEVICE, f"{said.kind}/{said.device}", payload)
        return self._reading(row, said.value, said.time, said.unit)

    @staticmethod
    def _bad(quality: Quality, name: str, payload: bytes, row: int = -1) -> Said:
        return Said(row, np.nan, np.nan, quality, name, payload[:MOST_RAW])

    def _reading(self, row: int, value: float, time: Time, unit: str | None) -> Said:
        when = np.nan
        if time is not None:
            if isinstance(time, dt.datetime):
                time = (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).timestamp()
            if not EARLIEST <= time <= LATEST:
                return Said(row, value, np.nan, Quality.FUTURE if time > LATEST else Quality.UNREADABLE)
            when = time
        if unit is not None:
            factor = self.factor(int(self.kind[row]), unit)
            if factor is None:
                return Said(row, value, when, Quality.WRONG_UNIT, self.keys[row], f"{value!r} {unit}".encode()[:MOST_RAW])
            value = value * factor[0] + factor[1]
        return Said(row, value, when, Quality.GOOD)

    def factor(self, kind: int, unit: str) -> tuple[float, float] | None:
        """Scale and offset from `unit` to the unit of the kind's column; None where they do not measure the same."""
        if (kind, unit) not in self.factors:
            if len(self.factors) > MOST_UNITS:
                self.factors.clear()
            wanted = self.kinds[kind].column.unit
            try:
                zero, one = (units.convert(v, unit, wanted) for v in (0.0, 1.0)) if unit != wanted else (0.0, 1.0)
                self.factors[kind, unit] = (float(one - zero), float(zero))
            except InputError:
                self.factors[kind, unit] = None
        return self.factors[kind, unit]
