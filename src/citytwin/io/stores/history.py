"""Questions to the history: a device's window, the city at a past moment, what was last known. Asked by DuckDB.

What people judged counts: a confirmed reading is believed, an overruled one is not, whatever stands in the files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from citytwin.errors import OutsideError
from citytwin.io.stores.checkpoints import MOST_ROWS, QUARTER, REACH, whole
from citytwin.io.stores.files import words_of
from citytwin.io.stores.readings import DAY, ReadingStore
from citytwin.io.stores.spans import NEVER, READING, Newest
from citytwin.state import BELIEVED, IS_BELIEVED, Judgement, Quality

Floats = npt.NDArray[np.float64]
Files = Callable[[], Sequence[Path]]  # lists files, again where they were joined meanwhile
Answer = TypeVar("Answer")
TRIES = 5

BELIEVED_WORDS = ", ".join(f"'{q.word}'" for q in BELIEVED)
CODES = {q.word: int(q) for q in Quality}
SPAN = "time >= make_timestamp($begin) and time <= make_timestamp($end)"
AFTER = "from read_parquet($files) where sequence > $after"
SINCE = f"""
    select device, kind, epoch(time) as time, value from read_parquet($files)
    where sequence > $after and quality in ({BELIEVED_WORDS}) order by sequence, part"""  # noqa: S608
EXPORT = f"""
    select device, kind, time, value, quality from read_parquet($files) where {SPAN}
    and (len($devices) = 0 or list_contains($devices, device)) and (len($kinds) = 0 or list_contains($kinds, kind))
    order by kind, device, time"""  # noqa: S608


@dataclass
class Known:
    """n readings as arrays: device key, kind, time (s since 1970, UTC), value."""

    device: npt.NDArray[np.object_]
    kind: npt.NDArray[np.object_]
    time: Floats
    value: Floats


@dataclass
class Course:
    """n readings of one device, oldest first: time (s since 1970, UTC), value, final `Quality` codes, those of the checks."""

    time: Floats
    value: Floats
    quality: npt.NDArray[np.uint8]
    found: npt.NDArray[np.uint8]

    def take(self, chosen: npt.NDArray[Any]) -> Course:
        """The readings at `chosen` (mask or positions)."""
        return Course(self.time[chosen], self.value[chosen], self.quality[chosen], self.found[chosen])

    @property
    def believed(self) -> npt.NDArray[np.bool_]:
        """Mask of the readings that are taken for true."""
        return IS_BELIEVED[self.quality]


class History:
    """Reads what a `ReadingStore` has written."""

    def __init__(self, store: ReadingStore) -> None:
        self._store = store
        self._spans = store.spans
        self._database = duckdb.connect(config={"threads": 2})
        self._database.execute("set parquet_metadata_cache = true")

    def readings(self, device: str, kind: str, begin: float, end: float) -> Course:
        """All kept readings of one device between `begin` and `end` (s since 1970, both included), doubted ones too."""
        found = self._ask(
            f"select epoch(time) as time, value, quality from read_parquet($files) where device = $device "  # noqa: S608
            f"and kind = $kind and {SPAN} order by time",
            lambda: self._store.files(_days(begin, end), (kind,)),
            {"device": device, "kind": kind, "begin": _micro(begin), "end": _micro(end)},
        )
        if not found:
            none = np.empty(0, dtype=np.uint8)
            return Course(np.empty(0), np.empty(0), none, none)
        codes = _codes(found["quality"])
        final = self._store.notices.judged(device).quality(found["time"], codes)
        return Course(found["time"], found["value"], final, codes)

    def window(self, device: str, kind: str, begin: float, end: float) -> tuple[Floats, Floats]:
        """Times and values of the believed readings of one device between two moments (both included), oldest first."""
        found = self.readings(device, kind, begin, end)
        found = found.take(found.believed)
        return found.time, found.value

    def last_before(self, moment: float, lookback: float, number: int = 1) -> Known:
        """The last believed readings of every device up to `moment`, none older than `lookback` s; oldest first.

        At most `number`, and of devices that speak seldom fewer where a checkpoint does not hold them.
        """
        newest = self._known(moment, lookback, number)
        row, place = np.nonzero(newest.times != NEVER)
        order = np.argsort(newest.times[row, place], kind="stable")
        row, place = row[order], place[order]
        keys, kinds = self._store.names_of(row)
        return Known(keys, kinds, newest.times[row, place] / 1e6, newest.values[row, place])

    def known_at(self, moment: float, lookback: float) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
        """Of every device the newest believed reading up to `moment`, none older than `lookback` s: rows, times, values.

        `lookback` is at most `REACH`. Read from the checkpoint of the quarter; where there is none, from the last one before it
        and the readings since. Readings of a kind that the device has no more are left out.
        """
        newest = self._known(moment, lookback, 1)
        rows = np.flatnonzero(newest.times[:, 0] != NEVER)
        return rows, newest.times[rows, 0] / 1e6, newest.values[rows, 0]

    def _known(self, moment: float, lookback: float, number: int) -> Newest:
        begin, end = _micro(moment - lookback) - 1, _micro(moment)
        newest = self._tried(lambda: self._newest(begin, end, number))
        for device, judgements in self._store.notices.judged_devices.items():
            row = self._store.row_of(device)
            if row >= 0 and _touch(judgements, moment - lookback, moment):
                course = self._judged_course(device, moment - lookback, moment)
                newest.put(row, np.round(course.time * 1e6).astype(np.int64), course.value)
        return newest

    def _newest(self, begin: int, end: int, number: int) -> Newest:
        """Of every device the newest readings that the checks believed, after `begin` and not after `end` (µs)."""
        newest = self._store.nothing_known(number)
        start, since = self._store.checkpoints.at(end), begin
        if start is not None and start.until >= begin:
            since = start.until
            newest.take(start.tables, begin, end)
        if since < end:
            files = self._store.files(_days(since / 1e6, end / 1e6), None)
            newest.take(self._spans.believed(files, since, end), since, end)
        return newest

    def make_checkpoint(self, quarter: int) -> bool:
        """Make the checkpoint of a quarter of an hour (since 1970); False where readings of the past made it void meanwhile."""
        self._store.promise(quarter)
        begin = _micro(quarter * QUARTER)
        until = begin + _micro(QUARTER)
        return self._store.checkpoints.write(quarter, *self._tried(lambda: self._gathered(quarter, begin, until)))

    def _gathered(self, quarter: int, begin: int, until: int) -> tuple[pa.Table, int]:
        """What the checkpoint of a quarter holds, and up to where it is whole."""
        since, start = begin - _micro(REACH), self._store.checkpoints.at(begin)
        held: list[pa.Table] = []
        if start is not None and start.until >= since:
            held, since = [whole(start.tables, quarter, begin)], start.until
        number = 0
        for table in self._spans.believed(self._store.files(_days(since / 1e6, until / 1e6), None), since, until):
            held.append(table)
            number += len(table)
            if number > MOST_ROWS // 2:
                held, number = [whole(held, quarter, until)], 0
                if len(held[0]) > MOST_ROWS:
                    held, until = [whole(held, quarter, begin)], begin
        return whole(held, quarter, until) if held else READING.empty_table(), until

    def _judged_course(self, device: str, begin: float, end: float) -> Course:
        kind = self._store.kind_of(device)
        found = self.readings(device, kind, begin, end) if kind else Course(*(np.empty(0),) * 2, *(np.empty(0, np.uint8),) * 2)
        return found.take(found.believed)

    def since(self, sequence: int) -> Known:
        """All believed readings that came after place `sequence` of the log, in the order they came."""
        return _known(self._ask(SINCE, lambda: self._store.files_since(sequence), {"after": sequence}))

    def rejected(self, begin: float, end: float, most: int = 100, device: str = "") -> list[dict[str, Any]]:
        """The newest readings that arrived between two moments and were not believed, as plain values with reason and raw text.

        Doubted ones are among them only where one `device` is asked for.
        """
        days = _days(begin, end)
        files = lambda: [f for day in days for f in sorted((self._store.rejected / day).glob("[0-9]*.parquet"))]  # noqa: E731
        query = (
            "select device, kind, epoch(time) as time, value, reason, raw, epoch(arrived) as arrived from read_parquet($files) "
            "where ($device = '' or device = $device) order by arrived desc limit $most"
        )
        listed = _rows(self._ask(query, files, {"most": most, "device": device}))
        if device:
            doubted = [each for each in self.doubted(device, begin, end) if each["reason"] != Quality.CONFIRMED.word]
            listed = sorted([*listed, *doubted], key=lambda r: -r["arrived"])[:most]
        return listed

    def doubted(self, device: str, begin: float, end: float) -> list[dict[str, Any]]:
        """The kept readings of a device between two moments that the checks doubted or a person judged, the last to come first.

        As `rejected` gives them: `reason` is what holds now, `found` what the checks said.
        """
        judged = self._store.notices.judged(device)
        query = (
            f"select device, kind, epoch(time) as time, value, quality as found, value::varchar as raw, "  # noqa: S608
            f"epoch(arrived) as arrived from read_parquet($files) where device = $device and {SPAN} "
            f"and ($all or quality not in ({BELIEVED_WORDS})) order by arrived desc, time desc"
        )
        words = {"device": device, "begin": _micro(begin), "end": _micro(end), "all": bool(judged.judgements)}
        kind = self._store.kind_of(device)
        found = self._ask(query, lambda: self._store.files(_days(begin, end), (kind,)), words)
        if not found:
            return []
        codes = _codes(found["found"])
        final = judged.quality(found["time"], codes)
        listed = [row | {"reason": Quality(q).word} for row, q in zip(_rows(found), final, strict=True)]
        return [row for row, before, q in zip(listed, codes, final, strict=True) if before != q or not IS_BELIEVED[q]]

    def counts(self, after: int = 0) -> dict[str, int]:
        """Number of readings that came after place `after` of the log, by quality, rejected ones by reason."""
        total: dict[str, int] = {}
        for _, word, number in self.device_counts(after):
            total[word] = total.get(word, 0) + number
        return total

    def device_counts(self, after: int = 0) -> list[tuple[str, str, int]]:
        """Number of readings of each device that came after place `after` of the log, by quality or reason."""
        listed: list[tuple[str, str, int]] = []
        for files, word in ((self._store.files_since, "quality"), (self._store.rejected_since, "reason")):
            query = f"select device, {word} as word, count(*) as n {AFTER} group by all"
            found = self._ask(query, lambda files=files: files(after), {"after": after})  # type: ignore[misc]
            if found:
                listed += zip(found["device"].tolist(), found["word"].tolist(), found["n"].tolist(), strict=True)
        return listed

    def received(self, device: str, kind: str, begin: float, end: float) -> int:
        """Number of readings of one device that were measured between two moments."""
        query = f"select count(*) as n from read_parquet($files) where device = $device and kind = $kind and {SPAN}"  # noqa: S608
        words = {"device": device, "kind": kind, "begin": _micro(begin), "end": _micro(end)}
        found = self._ask(query, lambda: self._store.files(_days(begin, end), (kind,)), words)
        return int(found["n"][0]) if found else 0

    def export(
        self, begin: float, end: float, kinds: Sequence[str] = (), devices: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        """Readings between two moments by kind, device and time, with their final quality: one day at a time."""
        for day in _days(begin, end):
            words = {"begin": _micro(begin), "end": _micro(end), "devices": list(devices), "kinds": list(kinds)}
            table = self._table(EXPORT, lambda day=day: self._store.files((day,), kinds or None), words)  # type: ignore[misc]
            if table is not None and len(table):
                yield from self._judged_table(table).to_batches(1 << 16)

    def _judged_table(self, table: pa.Table) -> pa.Table:
        """The table with qualities as people judged them."""
        plain = pa.schema([("device", pa.string()), ("kind", pa.string()), ("time", pa.timestamp("us")),
                           ("value", pa.float64()), ("quality", pa.string())])  # fmt: skip
        table = table.cast(plain)
        device = table["device"].to_numpy() if self._store.notices.judged_devices else np.empty(0)
        for name in self._store.notices.judged_devices:
            rows = np.flatnonzero(device == name)
            if len(rows):
                quality = table["quality"].to_numpy().copy()
                moments = table["time"].cast(pa.int64()).to_numpy()[rows] / 1e6
                final = self._store.notices.judged(name).quality(moments, _codes(quality[rows]))
                quality[rows] = [Quality(q).word for q in final]
                table = table.set_column(4, "quality", pa.array(quality, pa.string()))
        return table

    def _tried(self, question: Callable[[], Answer]) -> Answer:
        """The answer of `question`, asked again where files that it listed were joined meanwhile. Raises OutsideError."""
        for left in reversed(range(TRIES)):
            try:
                return question()
            except (OSError, duckdb.Error, pa.ArrowException) as error:
                if not left or not isinstance(error, (FileNotFoundError, duckdb.IOException)):
                    raise OutsideError(f"cannot read the history: {words_of(error)}", str(self._store.readings)) from error
        raise AssertionError("unreachable")

    def _ask(self, query: str, files: Files, words: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
        def asked() -> dict[str, Any]:
            listed = files()
            if not listed:
                return {}
            with self._database.cursor() as cursor:
                found: dict[str, Any] = cursor.execute(query, _words(query, listed, words)).fetchnumpy()
                return found

        return {n: np.ma.filled(c) if isinstance(c, np.ma.MaskedArray) else c for n, c in self._tried(asked).items()}

    def _table(self, query: str, files: Files, words: dict[str, Any]) -> pa.Table | None:
        def asked() -> pa.Table | None:
            listed = files()
            if not listed:
                return None
            with self._database.cursor() as cursor:
                return cursor.sql(query, params=_words(query, listed, words)).to_arrow_table()

        return self._tried(asked)


def _words(query: str, files: Sequence[Path], words: dict[str, Any]) -> dict[str, Any]:
    return {"files": [str(f) for f in files], **{name: word for name, word in words.items() if f"${name}" in query}}


def _known(found: dict[str, npt.NDArray[Any]]) -> Known:
    if not found:
        none = np.empty(0)
        return Known(none.astype(object), none.astype(object), none, none)
    return Known(found["device"], found["kind"], found["time"], found["value"])


def _rows(found: dict[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(found, row, strict=True)) for row in zip(*(v.tolist() for v in found.values()), strict=True)]


def _codes(words: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    used, place = np.unique(np.asarray(words, dtype=str), return_inverse=True)
    return np.array([CODES[str(w)] for w in used], dtype=np.uint8)[place]


def _touch(judgements: Sequence[Judgement], begin: float, end: float) -> bool:
    """Whether any of them speaks of readings between two moments."""
    return any(each.begin <= end and each.end >= begin for each in judgements)


def _days(begin: float, end: float) -> list[str]:
    """UTC days from `begin` to `end`."""
    first, last = int(begin // DAY), int(end // DAY)
    return [(dt.date(1970, 1, 1) + dt.timedelta(days=d)).isoformat() for d in range(max(first, 0), max(last, 0) + 1)]


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)
