"""From messages of the log to arrays: batches of MQTT packets, JSON lines, Arrow streams, single messages.

Kernels find the payloads of all messages at once (`citytwin.io.feeds.framing`) and read the plain ones, nearly all
(`citytwin.io.feeds.scan`); each other one is read by itself (`citytwin.io.feeds.spoken`). What cannot be understood keeps its
payload and a reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from citytwin.columns import DeviceKind
from citytwin.errors import InputError
from citytwin.io.feeds.arrow import Columns, read_arrow
from citytwin.io.feeds.framing import count_payloads, find_payloads, find_readings
from citytwin.io.feeds.mapping import Mappings
from citytwin.io.feeds.scan import EARLIEST, LATEST, NAMED, Units, room, understand
from citytwin.io.feeds.spoken import MOST_RAW, Listener, Said
from citytwin.io.feeds.subjects import ARROW, LINES, MQTT, SINGLE
from citytwin.io.feeds.wire import Messages
from citytwin.io.feeds.words import joined
from citytwin.state import Arrivals, Quality

Index = npt.NDArray[np.int64]
MOST_UNITS = 64  # of which kernels know the factors
TEXTS = (MQTT.encode(), LINES.encode())
MOST_LOOKED = 8  # batches looked at and not met in the log yet


def topic_of(subject: bytes) -> bytes:
    """The MQTT topic that stands in a NATS subject (`.` separates levels there, `//` is a point)."""
    return subject.replace(b"//", b"\0").replace(b".", b"/").replace(b"\0", b".")


def subject_of(kind: str, key: str) -> bytes:
    """The NATS subject of the topic `city/<kind>/<key>`."""
    return f"city/{kind}/{key}".replace(".", "\0").replace("/", ".").replace("\0", "//").encode()


class Decoder:
    """Turns messages into `Arrivals` for the devices `keys`, each of kind `kinds[kind[row]]`."""

    def __init__(
        self, keys: Sequence[str], kinds: Sequence[DeviceKind], kind: npt.NDArray[np.int32], mappings: Mappings | None = None
    ) -> None:
        self.kind = kind
        self.spoken = Listener(keys, kinds, kind, mappings)
        self._units = _known_units({})
        self._number_of_units = 0
        self._looked: dict[tuple[bytes, bytes], Arrivals] = {}

    def decode(self, messages: Messages) -> Arrivals:
        """All readings in `messages`, those not understood among them."""
        found: list[Arrivals] = []
        texts: list[int] = []
        for i, subject in enumerate(messages.subject):
            batch = self._looked.pop((subject, messages.payload[i]), None) if self._looked else None
            if batch is None and subject == ARROW.encode():
                batch = self._arrow(messages.payload[i])
            if batch is not None:
                found += [self._texts(messages, texts), _in_the_log(batch, messages, np.array([i]))]
                texts = []
            elif subject in TEXTS or subject.startswith(SINGLE.encode()):
                texts.append(i)
        found.append(self._texts(messages, texts))
        return _one_after_the_other(found)

    def look(self, lines: bytes) -> dict[str, int]:
        """How many readings of a batch of JSON lines can be understood, by reason: {"good": n, "unreadable": n, ...}."""
        place, row = np.array([[0, 0, 0, len(lines)]]), np.array([len(self.spoken.keys)], np.int32)
        return self._kept(LINES, lines, self._together(lines, place, row)[0])

    def look_arrow(self, stream: bytes) -> dict[str, int]:
        """The same of an Arrow stream. Raises InputError where it is none."""
        return self._kept(ARROW, stream, self._from_columns(read_arrow(stream, self.spoken.names)))

    def _kept(self, subject: str, payload: bytes, batch: Arrivals) -> dict[str, int]:
        """What a batch counts. It is kept a while: it soon comes out of the log, and need not be read again then."""
        self._looked[subject.encode(), payload] = batch
        with contextlib.suppress(StopIteration, RuntimeError, KeyError):  # others take theirs out at the same time
            while len(self._looked) > MOST_LOOKED:
                self._looked.pop(next(iter(self._looked)))
        return _counted(batch)

    # -- the forms ----------------------------------------------------------------------------------------------------

    def _texts(self, messages: Messages, chosen: list[int]) -> Arrivals:
        """Readings of the messages `chosen`: MQTT PUBLISH packets, JSON lines, single readings."""
        if not chosen:
            return Arrivals.empty()
        packets = np.array([messages.subject[i] == MQTT.encode() for i in chosen])
        words = [w for i in chosen for w in (topic_of(messages.subject[i]), messages.payload[i])]
        text, start = joined(words)
        data = np.frombuffer(text, np.uint8)
        n = count_payloads(data, start, packets)
        row, place, of = np.empty(n, np.int32), np.empty((n, 4), np.int64), np.empty(n, np.int64)
        find_payloads(data, start, packets, self.spoken.topics, row, place, of)
        found, come, begin = [], [], 0
        for i in [*np.flatnonzero(row > len(self.spoken.keys)).tolist(), n]:  # between packets that are Arrow streams
            batch, payload = self._together(text, place[begin:i], row[begin:i])
            found.append(batch)
            come.append(of[begin:i][payload])
            if i < n:
                found.append(self._arrow(text[place[i, 2] : place[i, 3]]))
                come.append(np.full(len(found[-1]), of[i]))
            begin = i + 1
        return _in_the_log(_one_after_the_other(found), messages, np.array(chosen)[np.concatenate(come)])

    def _arrow(self, payload: bytes) -> Arrivals:
        """Readings of an Arrow stream."""
        try:
            return self._from_columns(read_arrow(payload, self.spoken.names))
        except InputError:
            return _arrivals([Said(-1, np.nan, np.nan, Quality.UNREADABLE, ARROW, payload[:MOST_RAW])])

    def _from_columns(self, columns: Columns) -> Arrivals:
        batch = _plain(columns.device, np.array(columns.time), np.array(columns.value))
        batch.quality[batch.row < 0] = Quality.UNKNOWN_DEVICE
        for i in np.flatnonzero(batch.row < 0).tolist():
            batch.raw[i] = (columns.name(i), repr(float(batch.value[i])).encode())
        known = batch.row >= 0
        batch.quality[known & (batch.time < EARLIEST)] = Quality.UNREADABLE
        batch.quality[known & (batch.time > LATEST)] = Quality.FUTURE
        batch.time[(batch.time < EARLIEST) | (batch.time > LATEST)] = np.nan
        self._convert(batch, columns)
        batch.place = columns.place
        return batch

    def _convert(self, batch: Arrivals, columns: Columns) -> None:
        """Values into the units of their kinds, one pair of kind and unit at a time."""
        said = (columns.unit >= 0) & (batch.quality == Quality.GOOD)
        if not said.any():
            return
        kind = np.where(said, self.kind[np.maximum(batch.row, 0)], -1)
        pairs = kind * len(columns.units) + columns.unit
        for pair in np.unique(pairs[said]).tolist():
            chosen = said & (pairs == pair)
            unit = columns.units[pair % len(columns.units)]
            factor = self.spoken.factor(pair // len(columns.units), unit)
            if factor is not None:
                batch.value[chosen] = batch.value[chosen] * factor[0] + factor[1]
                continue
            batch.quality[chosen] = Quality.WRONG_UNIT
            for i in np.flatnonzero(chosen).tolist():
                batch.raw[i] = (self.spoken.keys[batch.row[i]], f"{float(batch.value[i])!r} {unit}".encode()[:MOST_RAW])

    # -- plain and other payloads together ----------------------------------------------------------------------------

    def _together(self, text: bytes, place: Index, row: npt.NDArray[np.int32]) -> tuple[Arrivals, Index]:
        """Readings of n payloads in their order, and for each the number of its payload, as `find_payloads` gave them."""
        if len(self.spoken.factors) != self._number_of_units:
            self._number_of_units = len(self.spoken.factors)
            self._units = _known_units(self.spoken.factors)
        data, lines = np.frombuffer(text, np.uint8), row == len(self.spoken.keys)
        begin, end, of, head = np.empty((4, len(row) + text.count(b"\n") + text.count(b"{")), np.int64)
        n = find_readings(data, place, lines, begin, end, of, head)
        begin, end, of, head = begin[:n], end[:n], of[:n], head[:n]
        who = np.where(lines, np.int32(NAMED), row)[of]
        value, time, slow = np.empty(n), np.empty(n), np.empty(n, np.uint8)
        understand(data, begin, end, who, self.spoken.names, self.kind, self._units, value, time, slow, *room())
        others = np.unique(head[slow != 0])
        if not len(others):
            return _plain(who, time, value), of

        def one(k: int) -> list[Said]:
            """The readings that begin with reading k, by themselves: a line, or a whole payload."""
            if lines[of[k]]:
                line = text[begin[k] : end[k]]
                return [self.spoken.line(line)] if line.strip() else []
            a, b, c, d = place[of[k]].tolist()
            return self.spoken.message(text[a:b], text[c:d])

        known = np.flatnonzero(~np.isin(head, others))  # a list with one member that is not plain is read whole, by itself
        said = [(k, s) for k in others.tolist() for s in one(k)]
        both = Arrivals.joined([_plain(who[known], time[known], value[known]), _arrivals([s for _, s in said])])
        number = np.concatenate((known, np.array([k for k, _ in said], dtype=np.int64)))
        order = np.argsort(number, kind="stable")
        return _sorted(both, order), of[number[order]]


def _known_units(factors: dict[tuple[int, str], tuple[float, float] | None]) -> Units:
    """The units that kernels convert."""
    known = [(k, u, f) for (k, u), f in factors.items() if f is not None][:MOST_UNITS]
    text, start = joined([u.encode("utf-8", "replace") for _, u, _ in known])
    return Units(
        np.frombuffer(text, np.uint8), start, np.array([k for k, _, _ in known], dtype=np.int32),
        np.array([f[0] for _, _, f in known], dtype=np.float64), np.array([f[1] for _, _, f in known], dtype=np.float64),
    )  # fmt: skip


def _one_after_the_other(batches: list[Arrivals]) -> Arrivals:
    some = [b for b in batches if len(b)]
    return some[0] if len(some) == 1 else Arrivals.joined(some) if some else Arrivals.empty()


def _plain(row: npt.NDArray[np.int32], time: npt.NDArray[np.float64], value: npt.NDArray[np.float64]) -> Arrivals:
    """Readings without a fault so far, which have no place in the log yet."""
    n = len(row)
    return Arrivals(row, time, value, np.zeros(n), np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int32))


def _arrivals(said: list[Said]) -> Arrivals:
    row, value = np.array([s.row for s in said], dtype=np.int32), np.array([s.value for s in said], dtype=np.float64)
    batch = _plain(row, np.array([s.time for s in said], dtype=np.float64), value)
    batch.quality[:] = [s.quality for s in said]
    batch.raw = {i: (s.name, s.raw) for i, s in enumerate(said) if s.raw or s.name}
    return batch


def _sorted(batch: Arrivals, order: Index) -> Arrivals:
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    raw = {int(back[i]): r for i, r in batch.raw.items()}
    found = _plain(batch.row[order], batch.time[order], batch.value[order])
    found.quality, found.raw = batch.quality[order], raw
    return found


def _in_the_log(batch: Arrivals, messages: Messages, of: Index) -> Arrivals:
    """`batch` with its place in the log; `of`: from which of the messages each reading is, rising, or one for all.

    Readings that say no time are of when they came. Those of one message are then a microsecond apart: they are several
    readings, not one that came twice.
    """
    n = len(batch)
    batch.arrived = np.broadcast_to(np.array(messages.stamp, dtype=np.float64)[of] / 1e9, n).copy()
    batch.sequence = np.broadcast_to(np.array(messages.sequence, dtype=np.int64)[of], n).copy()
    batch.part = (np.arange(n) - np.searchsorted(batch.sequence, batch.sequence)).astype(np.int32)
    batch.time = np.where(np.isnan(batch.time), batch.arrived + batch.part * 1e-6, batch.time)
    return batch


def _counted(batch: Arrivals) -> dict[str, int]:
    counts = np.bincount(batch.quality, minlength=len(Quality))
    return {q.word: int(counts[q]) for q in Quality if counts[q]}
