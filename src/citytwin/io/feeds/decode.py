"""From messages to arrays: the payloads that devices send, read in bulk.

`city/<kind>/<device>` carries `{"value": 1.2, "time": ..., "unit": ...}`, a bare number, or a list of those objects;
`readings.lines` carries JSON lines with `device` beside them. What cannot be understood keeps its payload and a reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from citytwin import units
from citytwin.columns import DeviceKind
from citytwin.errors import InputError
from citytwin.io.feeds.wire import Messages
from citytwin.state import Arrivals, Quality

MQTT = b"$MQTT.msgs."
BATCH = b"readings."
EARLIEST = 31536000.0  # 1971: a clock that says earlier was never set
MOST_RAW = 1000  # bytes kept of a payload that was not understood

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


Said = tuple[int, float, Time, str | None, int, int, int]  # row, value, time, unit, sequence, part, stamp


def subject_of(kind: str, key: str) -> bytes:
    """The NATS subject under which the broker's MQTT door delivers topic `city/<kind>/<key>`."""
    return f"city/{kind}/{key}".replace(".", "\0").replace("/", ".").replace("\0", "//").encode()


class Decoder:
    """Turns messages into `Arrivals` for the devices `keys`, each of kind `kinds[kind[row]]`."""

    def __init__(self, keys: Sequence[str], kinds: Sequence[DeviceKind], kind: npt.NDArray[np.int32]) -> None:
        self.keys = keys
        self.kinds = kinds
        self.kind = kind
        self._rows = {subject_of(kinds[k].name, key): row for row, (k, key) in enumerate(zip(kind, keys, strict=True))}
        self._by_key = {key: row for row, key in enumerate(keys)}
        self._one = msgspec.json.Decoder(Payload | float | list[Payload])
        self._line = msgspec.json.Decoder(Line)
        self._factors: dict[tuple[int, str], tuple[float, float] | None] = {}

    def decode(self, messages: Messages) -> Arrivals:
        """All readings in `messages`, those not understood among them."""
        said: list[Said] = []
        bad: list[tuple[int, Quality, str, bytes]] = []
        payloads = self._understood(messages)
        for i, subject in enumerate(messages.subject):
            topic = subject[11:] if subject[:11] == MQTT else subject
            if topic[:9] == BATCH:
                self._batch(messages, i, said, bad)
                continue
            if topic[:5] != b"city.":
                continue
            row = self._rows.get(topic, -1)
            self._single(messages, i, row, payloads[i] if payloads else None, said, bad)
        return self._arrays(said, bad)

    def _understood(self, messages: Messages) -> list[Payload | float | list[Payload]] | None:
        """All payloads decoded in one call; None where that cannot be done and each is to be looked at by itself."""
        joined = b"\n".join(messages.payload)
        if joined.count(b"\n") != len(messages) - 1:
            return None  # a payload of several lines would be taken for several payloads
        try:
            found = self._one.decode_lines(joined)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return found if len(found) == len(messages) else None

    def _single(
        self, messages: Messages, i: int, row: int, found: Payload | float | list[Payload] | None,
        said: list[Said], bad: list[tuple[int, Quality, str, bytes]],
    ) -> None:  # fmt: skip
        sequence, stamp = messages.sequence[i], messages.stamp[i]
        if row < 0:
            self._bad(Quality.UNKNOWN_DEVICE, messages, i, 0, -1, said, bad)
            return
        if found is None:
            try:
                found = self._one.decode(messages.payload[i])
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._bad(Quality.UNREADABLE, messages, i, 0, row, said, bad)
                return
        if isinstance(found, Payload):
            said.append((row, found.value, found.time, found.unit, sequence, 0, stamp))
        elif isinstance(found, list):
            said += [(row, p.value, p.time, p.unit, sequence, part, stamp) for part, p in enumerate(found)]
        else:
            said.append((row, found, None, None, sequence, 0, stamp))

    def _batch(self, messages: Messages, i: int, said: list[Said], bad: list[tuple[int, Quality, str, bytes]]) -> None:
        sequence, stamp = messages.sequence[i], messages.stamp[i]
        for part, line in enumerate(messages.payload[i].splitlines()):
            if not line.strip():
                continue
            try:
                found = self._line.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._bad(Quality.UNREADABLE, messages, i, part, -1, said, bad, line)
                continue
            row = self._by_key.get(found.device, -1)
            if row < 0:
                self._bad(Quality.UNKNOWN_DEVICE, messages, i, part, -1, said, bad, line)
            else:
                said.append((row, found.value, found.time, found.unit, sequence, part, stamp))

    def look(self, lines: bytes) -> dict[str, int]:
        """How many readings of a batch can be understood, by reason: {"good": n, "unreadable": n, "unknown_device": n}."""
        messages = Messages([BATCH + b"lines"], [lines], [0], [0])
        found = self.decode(messages)
        counts = np.bincount(found.quality, minlength=len(Quality))
        return {Quality(code).word: int(count) for code, count in enumerate(counts) if count}

    @staticmethod
    def _bad(
        quality: Quality, messages: Messages, i: int, part: int, row: int,
        said: list[Said], bad: list[tuple[int, Quality, str, bytes]], line: bytes | None = None,
    ) -> None:  # fmt: skip
        payload = messages.payload[i] if line is None else line
        name = messages.subject[i].removeprefix(MQTT).decode("utf-8", "replace")
        bad.append((len(said), quality, name, payload[:MOST_RAW]))
        said.append((row, np.nan, None, None, messages.sequence[i], part, messages.stamp[i]))

    def _arrays(self, said: list[Said], bad: list[tuple[int, Quality, str, bytes]]) -> Arrivals:
        if not said:
            said_rows: tuple[tuple[object, ...], ...] = ((),) * 7
        else:
            said_rows = tuple(zip(*said, strict=True))
        row, value, time, unit, sequence, part, stamp = said_rows
        arrived = np.array(stamp, dtype=np.float64) / 1e9
        batch = Arrivals(
            np.array(row, dtype=np.int32), arrived.copy(), np.array(value, dtype=np.float64), arrived,
            np.zeros(len(row), dtype=np.uint8), np.array(sequence, dtype=np.int64), np.array(part, dtype=np.int32),
        )  # fmt: skip
        self._times(batch, time)
        for i, quality, name, payload in bad:
            batch.quality[i] = quality
            batch.raw[i] = (name, payload)
        if any(u is not None for u in unit):
            self._convert(batch, unit)
        return batch

    @staticmethod
    def _times(batch: Arrivals, time: Sequence[object]) -> None:
        for i, said in enumerate(time):
            if said is None:
                continue
            if isinstance(said, dt.datetime):
                said = (said if said.tzinfo else said.replace(tzinfo=dt.UTC)).timestamp()
            if said < EARLIEST or said > 4e9:  # type: ignore[operator]
                batch.quality[i] = Quality.UNREADABLE if said < EARLIEST else Quality.FUTURE  # type: ignore[operator]
                continue
            batch.time[i] = said  # type: ignore[call-overload]

    def _convert(self, batch: Arrivals, unit: Sequence[object]) -> None:
        for i, said in enumerate(unit):
            if said is None or batch.row[i] < 0:
                continue
            factor = self._factor(int(self.kind[batch.row[i]]), str(said))
            if factor is None:
                batch.quality[i] = Quality.WRONG_UNIT
                batch.raw[i] = (self.keys[batch.row[i]], f"{float(batch.value[i])!r} {said}".encode()[:MOST_RAW])
            else:
                batch.value[i] = batch.value[i] * factor[0] + factor[1]

    def _factor(self, kind: int, unit: str) -> tuple[float, float] | None:
        """Scale and offset from `unit` to the unit of the kind's column; None where they do not measure the same."""
        if (kind, unit) not in self._factors:
            if len(self._factors) > 10_000:  # units made up by a hostile sender must not fill the memory
                self._factors.clear()
            wanted = self.kinds[kind].column.unit
            try:
                zero, one = (units.convert(v, unit, wanted) for v in (0.0, 1.0)) if unit != wanted else (0.0, 1.0)
                self._factors[kind, unit] = (float(one - zero), float(zero))
            except InputError:
                self._factors[kind, unit] = None
        return self._factors[kind, unit]
