"""From messages of the log to arrays: batches of MQTT packets, JSON lines, Arrow streams, single messages.

The plain ones, nearly all, are read by kernels over the whole batch (`citytwin.io.feeds.scan`); each other one by itself
(`citytwin.io.feeds.spoken`). What cannot be understood keeps its payload and a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from citytwin.columns import DeviceKind
from citytwin.errors import InputError
from citytwin.io.feeds.arrow import Columns, read_arrow
from citytwin.io.feeds.mapping import Mappings
from citytwin.io.feeds.scan import (
    EARLIEST,
    LATEST,
    Bytes,
    Units,
    Words,
    count_members,
    count_packets,
    find,
    split_lines,
    split_members,
    split_packets,
    understand,
)  # fmt: skip
from citytwin.io.feeds.spoken import MOST_RAW, Listener, Said
from citytwin.io.feeds.subjects import ARROW, LINES, MQTT, SINGLE
from citytwin.io.feeds.wire import Messages
from citytwin.state import Arrivals, Quality

Index = npt.NDArray[np.int64]
MOST_UNITS = 64  # of which kernels know the factors


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

    def decode(self, messages: Messages) -> Arrivals:
        """All readings in `messages`, those not understood among them."""
        found: list[Arrivals] = []
        singles: list[int] = []
        ways: dict[bytes, Callable[[bytes], tuple[Arrivals, Index]]] = {
            MQTT.encode(): self._packets, LINES.encode(): self._lines, ARROW.encode(): self._arrow,
        }  # fmt: skip
        for i, subject in enumerate(messages.subject):
            way = ways.get(subject)
            if way is not None:
                found += self._singles(messages, singles)
                singles = []
                batch, part = way(messages.payload[i])
                found.append(_in_the_log(batch, messages.sequence[i], messages.stamp[i], part))
            elif subject.startswith(SINGLE.encode()):
                singles.append(i)
        found += self._singles(messages, singles)
        return found[0] if len(found) == 1 else Arrivals.joined(found) if found else Arrivals.empty()

    def look(self, lines: bytes) -> dict[str, int]:
        """How many readings of a batch of JSON lines can be understood, by reason: {"good": n, "unreadable": n, ...}."""
        return _counted(self._lines(lines)[0])

    def look_arrow(self, stream: bytes) -> dict[str, int]:
        """The same of an Arrow stream. Raises InputError where it is none."""
        return _counted(self._from_columns(read_arrow(stream, self.spoken.names)))

    # -- the forms ----------------------------------------------------------------------------------------------------

    def _packets(self, payload: bytes) -> tuple[Arrivals, Index]:
        """Readings of MQTT PUBLISH packets, and their numbers."""
        data = np.frombuffer(payload, dtype=np.uint8)
        n = count_packets(data)
        row, again, place = np.empty(n, np.int32), np.empty(n, np.bool_), np.empty((n, 4), np.int64)
        split_packets(data, *self.spoken.topics, row, again, place)
        whole = np.flatnonzero(row >= len(self.spoken.keys)).tolist()  # packets that are batches themselves
        found, begin = [], 0
        for i in [*whole, n]:
            if begin < i:
                found.append(self._some_packets(payload, data, row[begin:i], place[begin:i]))
            if i < n:
                way = self._lines if row[i] == len(self.spoken.keys) else self._arrow
                found.append(way(payload[place[i, 2] : place[i, 3]])[0])
            begin = i + 1
        batch = found[0] if len(found) == 1 else Arrivals.joined(found) if found else Arrivals.empty()
        return batch, np.arange(len(batch))

    def _some_packets(self, payload: bytes, data: Bytes, row: npt.NDArray[np.int32], place: Index) -> Arrivals:
        def one(i: int) -> list[Said]:
            a, b, c, d = place[i].tolist()
            return self.spoken.message(payload[a:b], payload[c:d])

        return self._together(data, place[:, 2], place[:, 3], row, None, one)[0]

    def _lines(self, payload: bytes) -> tuple[Arrivals, Index]:
        """Readings of JSON lines, and the numbers of their lines."""
        data = np.frombuffer(payload, dtype=np.uint8)
        place = np.empty((payload.count(b"\n") + 1, 2), np.int64)
        place = place[: split_lines(data, place)]

        def one(i: int) -> list[Said]:
            a, b = place[i].tolist()
            line = payload[a:b]
            return [self.spoken.line(line)] if line.strip() else []

        row = np.full(len(place), -1, np.int32)
        return self._together(data, place[:, 0], place[:, 1], row, self.spoken.names, one)

    def _singles(self, messages: Messages, chosen: list[int]) -> list[Arrivals]:
        """Messages of one payload each."""
        if not chosen:
            return []
        payloads = [messages.payload[i] for i in chosen]
        topics = [topic_of(messages.subject[i]) for i in chosen]
        end = np.cumsum([len(p) for p in payloads])
        begin = np.concatenate(([0], end[:-1]))
        row = np.array([find(self.spoken.topics, t) for t in topics], dtype=np.int32)
        data = np.frombuffer(b"".join(payloads), dtype=np.uint8)
        batch, of = self._together(data, begin, end, row, None, lambda i: self.spoken.message(topics[i], payloads[i]))
        place = np.array(chosen)[of] if len(of) else of
        sequence = np.array(messages.sequence, dtype=np.int64)[place]
        part = np.arange(len(of)) - np.searchsorted(of, of)  # several readings of one message count on
        return [_in_the_log(batch, sequence, np.array(messages.stamp, dtype=np.int64)[place], part)]

    def _arrow(self, payload: bytes) -> tuple[Arrivals, Index]:
        """Readings of an Arrow stream, and their numbers."""
        try:
            columns = read_arrow(payload, self.spoken.names)
        except InputError:
            return _arrivals([Said(-1, np.nan, np.nan, Quality.UNREADABLE, ARROW, payload[:MOST_RAW])]), np.zeros(1, np.int64)
        return self._from_columns(columns), np.arange(len(columns))

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

    def _together(
        self, data: Bytes, begin: Index, end: Index, row: npt.NDArray[np.int32], names: Words | None,
        one: Callable[[int], list[Said]],
    ) -> tuple[Arrivals, Index]:  # fmt: skip
        """Readings of n payloads in their order, and for each the number of its payload; `one` reads payload i by itself."""
        if len(self.spoken.factors) != self._number_of_units:
            self._number_of_units = len(self.spoken.factors)
            self._units = _known_units(self.spoken.factors)
        begin, end, row, of = _members(data, begin, end, row) if names is None else (begin, end, row, np.arange(len(begin)))
        n = len(begin)
        value, time, slow = np.empty(n), np.empty(n), np.empty(n, np.uint8)
        table = names or self.spoken.names
        understand(data, begin, end, row, names is not None, table, self.kind, self._units, value, time, slow)
        others = np.unique(of[slow != 0])
        if not len(others):
            return _plain(row, time, value), of
        known = ~np.isin(of, others)  # a list with one member that is not plain is read whole, by itself
        of = of[known]
        plain = _plain(row[known], time[known], value[known])
        said = [(i, s) for i in others.tolist() for s in one(i)]
        rest = _arrivals([s for _, s in said])
        numbers = np.concatenate((of, np.array([i for i, _ in said], dtype=np.int64)))
        order = np.argsort(numbers, kind="stable")
        return _sorted(Arrivals.joined([plain, rest]), order), numbers[order]


def _members(
    data: Bytes, begin: Index, end: Index, row: npt.NDArray[np.int32]
) -> tuple[Index, Index, npt.NDArray[np.int32], Index]:
    """Begin, end and row of each object, those in lists by themselves, and the number of its payload."""
    number = np.empty(len(begin), np.int64)
    count_members(data, begin, end, number)
    total = int(number.sum())
    if total == len(begin):
        return begin, end, row, np.arange(total)
    first, last, of = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    split_members(data, begin, end, number, first, last, of)
    return first, last, row[of], of


def _known_units(factors: dict[tuple[int, str], tuple[float, float] | None]) -> Units:
    """The units that kernels convert."""
    known = [(k, u, f) for (k, u), f in factors.items() if f is not None][:MOST_UNITS]
    words = [u.encode("utf-8", "replace") for _, u, _ in known]
    start = np.zeros(len(known) + 1, dtype=np.int64)
    np.cumsum([len(w) for w in words], out=start[1:])
    return Units(
        np.frombuffer(b"".join(words), dtype=np.uint8), start, np.array([k for k, _, _ in known], dtype=np.int32),
        np.array([f[0] for _, _, f in known], dtype=np.float64), np.array([f[1] for _, _, f in known], dtype=np.float64),
    )  # fmt: skip


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


def _in_the_log(batch: Arrivals, sequence: int | Index, stamp: int | Index, part: Index) -> Arrivals:
    """`batch` with its place in the log; readings that say no time are of when they came (`stamp`, ns since 1970).

    Those of one message are then a microsecond apart: they are several readings, not one that came twice.
    """
    n = len(batch)
    batch.arrived = np.broadcast_to(np.asarray(stamp, dtype=np.float64) / 1e9, n).copy()
    batch.sequence = np.broadcast_to(np.asarray(sequence, dtype=np.int64), n).copy()
    batch.part = part.astype(np.int32)
    batch.time = np.where(np.isnan(batch.time), batch.arrived + part * 1e-6, batch.time)
    return batch


def _counted(batch: Arrivals) -> dict[str, int]:
    counts = np.bincount(batch.quality, minlength=len(Quality))
    return {q.word: int(counts[q]) for q in Quality if counts[q]}
