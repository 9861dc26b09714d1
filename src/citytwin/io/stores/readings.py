"""The history of readings: Parquet files by day, and by day and kind once compacted; written so that no crash can tell.

    committed.json            the place in the log up to which everything is here
    readings/2026-11-21/recent/*.parquet      as they came, one file a commit
    readings/2026-11-21/river_stage/*.parquet sorted by device and time, after compaction
    rejected/2026-11-21/*.parquet      what was no reading of ours, with reason and raw value
    notices/*.json                     what people said about devices and readings

A file is named by the places in the log that it covers. Commit: write all files under another name, sync, rename, then
replace `committed.json`; what is newer than that when a twin starts is removed, and read from the log again.
Compaction: write the new files under another name, sync, write down what replaces what, rename, remove, forget the note;
a note that is found at the start is carried out. pandas and DuckDB read `readings/**/*.parquet` without us.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citytwin.columns import DeviceKind
from citytwin.errors import OutsideError
from citytwin.io.stores.checkpoints import Checkpoints
from citytwin.io.stores.files import ARRIVED_GROUP, sync, words_of, write_note, write_partial
from citytwin.io.stores.notices import NoticeStore
from citytwin.io.stores.spans import Newest, Spans
from citytwin.state import Arrivals, Quality

DAY = 86400.0
MOST_RECENT = 40  # recent files of one day before they are sorted into kinds
MOST_SORTED = 12  # sorted files of one day, kind and size class before they are made one
SIZE_CLASS = 8  # files are merged with others at most so many times their size: each row is rewritten a few times, not hundreds
MOST_BYTES = 16 << 20  # of files that are made one (2 to 3 million readings), so that it fits into little memory
MOST_YOUNG = 2 << 20  # bytes of files that are made one though their readings are
YOUNG = 2700.0  # seconds old or less: what no checkpoint says yet

WORD = pa.dictionary(pa.int32(), pa.string())
MOMENT = pa.timestamp("us")  # UTC; without a zone, since DuckDB and pandas need nothing more to read that
SCHEMA = pa.schema([
    ("device", WORD), ("kind", WORD), ("time", MOMENT), ("value", pa.float64()), ("quality", WORD),
    ("arrived", MOMENT), ("sequence", pa.int64()), ("part", pa.int32()),
])  # fmt: skip
REJECTED = pa.schema([
    ("device", pa.string()), ("kind", WORD), ("time", MOMENT), ("value", pa.float64()), ("reason", WORD),
    ("raw", pa.string()), ("arrived", MOMENT), ("sequence", pa.int64()), ("part", pa.int32()),
])  # fmt: skip


class ReadingStore:
    """The files of one twin in `folder`. Only the process that holds the twin's lock may make one.

    `keys` and `kind` say for each device row its key and the index of its kind in `kinds`.
    """

    def __init__(self, folder: Path, keys: Sequence[str], kinds: Sequence[DeviceKind], kind: npt.NDArray[np.int32]) -> None:
        self.readings = folder / "readings"
        self.rejected = folder / "rejected"
        self.notices = NoticeStore(folder / "notices")
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self._note = folder / "committed.json"
        self._keys = pa.array(keys, pa.string())
        self._rows = {key: row for row, key in enumerate(keys)}
        self._kind_names = pa.array([k.name for k in kinds] or [""], pa.string())
        self._kind = kind
        self._qualities = pa.array([q.word for q in Quality], pa.string())
        for each in (self.readings, self.rejected):
            each.mkdir(parents=True, exist_ok=True)
        self.spans = Spans()
        self._committing = threading.Lock()
        self.moving = threading.Lock()  # held while files change names, and while they are listed
        self._touched = {p.name for p in self.readings.iterdir()}  # days with something new since the last compaction
        self.committed = self._recover()
        self.notices.recover(self.committed)
        self.checkpoints.recover(self.committed)

    def files(self, days: Iterable[str], kinds: Sequence[str] | None) -> list[Path]:
        """The files that may hold readings of `days`, of some `kinds` or of all."""
        found: list[Path] = []
        with self.moving:
            for day in days:
                for folder in ("recent", *(kinds if kinds is not None else ("*",))):
                    found += (self.readings / day).glob(f"{folder}/[0-9]*.parquet")
        return sorted(set(found))

    def files_since(self, sequence: int) -> list[Path]:
        """The files that may hold readings that came after place `sequence` of the log."""
        with self.moving:
            return sorted(f for f in self.readings.glob("*/*/[0-9]*.parquet") if _places(f)[1] > sequence)

    def row_of(self, device: str) -> int:
        """The row of a device; -1 where there is no such device."""
        return self._rows.get(device, -1)

    def kind_of(self, device: str) -> str:
        """The kind of a device; empty where there is no such device."""
        row = self.row_of(device)
        return str(self._kind_names[int(self._kind[row])]) if row >= 0 else ""

    def names_of(self, row: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
        """Keys and kinds of device rows."""
        kinds = self._kind_names.take(pa.array(self._kind[row]))
        return self._keys.take(pa.array(row)).to_numpy(zero_copy_only=False), kinds.to_numpy(zero_copy_only=False)

    def nothing_known(self, number: int = 1) -> Newest:
        """Of each device row the newest `number` readings, before any was looked at."""
        return Newest(self._rows, self._kind_names.to_pylist(), self._kind, number)

    def promise(self, quarter: int) -> None:
        """A checkpoint is about to be made from the files: commits that are under way end first, later ones heed it."""
        with self._committing:
            self.checkpoints.promise(quarter)

    def days(self) -> list[str]:
        """The days of which there are readings, oldest first."""
        return sorted(p.name for p in self.readings.iterdir() if p.is_dir())

    def touched(self, day: str) -> bool:
        """Whether something was added to a day since its files were last sorted."""
        return day in self._touched

    def bytes_of(self, day: str) -> int:
        """Bytes of the readings of one day."""
        return sum(p.stat().st_size for p in self.files((day,), None))

    def drop_rejected(self, before: str) -> None:
        """Remove the rejected readings that arrived on days before `before` (as 2026-11-21)."""
        for day in sorted(self.rejected.glob("????-??-??")):
            if day.name < before:
                for path in day.iterdir():
                    path.unlink()
                day.rmdir()

    def rejected_since(self, sequence: int) -> list[Path]:
        """The files that may hold rejected readings that came after place `sequence` of the log."""
        return sorted(f for f in self.rejected.glob("*/[0-9]*.parquet") if _places(f)[1] > sequence)

    # -- commit -------------------------------------------------------------------------------------------------------

    def commit(self, batch: Arrivals, last: int) -> None:
        """Make `batch`, all readings of the log after `committed` up to `last`, part of the history, whole or not at all.

        Raises OutsideError (a full disk, say); the same commit can then be tried again.
        """
        with self._committing:
            self._commit(batch, last, f"{self.committed + 1}-{last}.parquet")
            self.notices.take(batch.notices)

    def _commit(self, batch: Arrivals, last: int, name: str) -> None:
        written: list[tuple[Path, Path]] = []
        try:
            kept = batch.kept & (batch.row >= 0)
            for day, table in self._days(self._table(batch, np.flatnonzero(kept))):
                written.append(write_partial(table, self.readings / day / "recent" / name, ARRIVED_GROUP))
                self._touched.add(day)
            for day, table in self._days(self._rejected_table(batch, np.flatnonzero(~kept)), "arrived"):
                written.append(write_partial(table, self.rejected / day / name))
            self.notices.write(name, batch.notices)
            believed = np.flatnonzero(batch.believed & (batch.row >= 0))
            late = believed[self.checkpoints.concerned(batch.time[believed])]
            self.checkpoints.behind(name, self._table(batch, late))
            with self.moving:
                for partial, final in written:
                    partial.replace(final)
            for folder in {final.parent for _, final in written}:
                sync(folder)
            write_note(self._note, {"sequence": last})
        except (OSError, pa.ArrowException) as error:
            for partial, final in written:
                partial.unlink(missing_ok=True)
                final.unlink(missing_ok=True)
            self.notices.undo(name)
            self.checkpoints.undo(name)
            raise OutsideError(f"cannot write the history: {words_of(error)}", str(self.readings)) from error
        self.committed = last

    def _table(self, batch: Arrivals, chosen: npt.NDArray[np.int64]) -> pa.Table:
        row = batch.row[chosen]
        return pa.table([
            _words_of(self._keys, row), _words_of(self._kind_names, self._kind[row]), _moments(batch.time[chosen]),
            pa.array(batch.value[chosen]), _words_of(self._qualities, batch.quality[chosen]),
            _moments(batch.arrived[chosen]), pa.array(batch.sequence[chosen]), pa.array(batch.part[chosen]),
        ], schema=SCHEMA)  # fmt: skip

    def _rejected_table(self, batch: Arrivals, chosen: npt.NDArray[np.int64]) -> pa.Table:
        row = batch.row[chosen]
        device, raw = [], []
        for i, r in zip(chosen.tolist(), row.tolist(), strict=True):
            name, payload = batch.raw.get(i, ("", b""))
            device.append(self._keys[r].as_py() if r >= 0 else name)
            raw.append(payload.decode("utf-8", "replace") if payload else repr(float(batch.value[i])))
        kind = np.where(row >= 0, self._kind[np.maximum(row, 0)] if len(self._kind) else 0, 0)
        kinds = _words_of(self._kind_names, kind)
        return pa.table([
            pa.array(device, pa.string()), pc.if_else(pa.array(row >= 0), kinds, pa.scalar(None, WORD)),
            _moments(batch.time[chosen]), pa.array(batch.value[chosen]), _words_of(self._qualities, batch.quality[chosen]),
            pa.array(raw, pa.string()), _moments(batch.arrived[chosen]), pa.array(batch.sequence[chosen]),
            pa.array(batch.part[chosen]),
        ], schema=REJECTED)  # fmt: skip

    @staticmethod
    def _days(table: pa.Table, by: str = "time") -> list[tuple[str, pa.Table]]:
        """The table cut by UTC day of the column `by`."""
        if not len(table):
            return []
        day = table[by].cast(pa.int64()).to_numpy() // int(DAY * 1e6)
        return [(_day_name(int(d)), table.filter(pa.array(day == d)) if (day != d).any() else table) for d in np.unique(day)]

    # -- recovery -----------------------------------------------------------------------------------------------------

    def _recover(self) -> int:
        """Carry out or undo what a crash interrupted; the place up to which the history is whole."""
        for note in self.readings.glob("*/_compaction.json"):
            _carry_out(note)
        try:
            committed = int(json.loads((self._note).read_text(encoding="utf-8"))["sequence"])
        except FileNotFoundError:
            committed = 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutsideError(
                f"cannot be read: {error}", str(self._note),
                'write {"sequence": N} into it, N the last number in the names of the files in */recent',
            ) from error  # fmt: skip
        for path in [*self.readings.rglob("*"), *self.rejected.rglob("*")]:
            if path.name.endswith(".partial") or (path.suffix == ".parquet" and _places(path)[1] > committed):
                path.unlink()
        return committed

    # -- compaction ---------------------------------------------------------------------------------------------------

    def compact(self, most_recent: int = MOST_RECENT, most_sorted: int = MOST_SORTED) -> int:
        """Sort recent files into kinds and join small sorted files, where there are more than so many; files replaced."""
        replaced = 0
        for name in sorted(self._touched):
            day = self.readings / name
            recent = sorted((day / "recent").glob("[0-9]*.parquet"), key=_places)
            wait = bool(recent)
            if len(recent) > most_recent:
                replaced += self._replace_all(day, _by_bytes(recent))
            for kind in sorted(p for p in day.iterdir() if p.is_dir() and p.name != "recent"):
                for files in _by_size(sorted(kind.glob("[0-9]*.parquet"), key=_places)):
                    if len(files) > max(most_sorted, 1):
                        young = self._too_young(files)
                        wait |= young
                        replaced += 0 if young else self._replace_all(day, _by_bytes(files))
            if not wait:
                self._touched.discard(name)
        return replaced

    def _too_young(self, files: list[Path]) -> bool:
        """Whether a large file would be made of readings of the last while, which a question about just now has to read."""
        if sum(f.stat().st_size for f in files) < MOST_YOUNG:
            return False
        return max(self.spans.span(f)[1] for f in files) / 1e6 > time.time() - YOUNG

    def _replace_all(self, day: Path, groups: list[list[Path]]) -> int:
        for files in groups:
            self._replace(day, files)
        return sum(map(len, groups))

    def drop(self, kind: str, before: str) -> int:
        """Remove the readings of one kind of all days before `before` (as 2026-11-21), whole partitions; days touched."""
        touched = 0
        for day in self.days():
            if day >= before:
                break
            if any((self.readings / day / "recent").glob("[0-9]*.parquet")):
                for files in _by_bytes(sorted((self.readings / day / "recent").glob("[0-9]*.parquet"), key=_places)):
                    self._replace(self.readings / day, files)
            gone = self.readings / day / kind
            if gone.exists():
                touched += 1
                with self.moving:
                    for path in gone.iterdir():
                        path.unlink()
                    gone.rmdir()
                    for empty in (self.readings / day / "recent", self.readings / day):
                        if empty.exists() and not any(empty.iterdir()):
                            empty.rmdir()
        return touched

    def _replace(self, day: Path, files: list[Path]) -> None:
        """Replace `files` of one day by one sorted file a kind."""
        places = [_places(f) for f in files]
        name = f"{min(p[0] for p in places)}-{max(p[1] for p in places)}.parquet"
        written = []
        try:
            for kind, table in _sorted([pq.read_table(f, schema=SCHEMA) for f in files]):
                written.append(write_partial(table, day / kind / name))
            add = [[str(p.relative_to(day)), str(f.relative_to(day))] for p, f in written]
            final = {f for _, f in written}
            remove = [str(f.relative_to(day)) for f in files if f not in final]
            write_note(day / "_compaction.json", {"add": add, "remove": remove})
        except (OSError, pa.ArrowException) as error:
            for partial, _ in written:
                partial.unlink(missing_ok=True)
            raise OutsideError(f"cannot compact the history: {words_of(error)}", str(day)) from error
        with self.moving:
            _carry_out(day / "_compaction.json")


def _sorted(tables: list[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """The readings of one day in `tables`, kind by kind, by device and time.

    Device and time are one whole number of 64 bits, so that files that are sorted already are joined by merging them.
    """
    table = pa.concat_tables(tables).unify_dictionaries()
    device, kind = (np.concatenate([c.indices.to_numpy() for c in table[name].chunks]) for name in ("device", "kind"))
    words = table["device"].chunk(0).dictionary
    rank = np.empty(len(words), dtype=np.int64)
    rank[pc.sort_indices(words).to_numpy()] = np.arange(len(words))
    moment = table["time"].cast(pa.int64()).to_numpy()
    order = np.argsort(rank[device] << 37 | (moment - moment.min()), kind="stable")  # a day has fewer than 2^37 microseconds
    of = kind[order]
    for code, name in enumerate(table["kind"].chunk(0).dictionary.to_pylist()):
        chosen = order if (of == code).all() else order[of == code]
        if len(chosen):
            yield name, table.take(pa.array(chosen))


def _carry_out(note: Path) -> None:
    """Do, or finish, what a compaction wrote down."""
    day = note.parent
    said = json.loads(note.read_text(encoding="utf-8"))
    for partial, final in said["add"]:
        if (day / partial).exists():
            (day / partial).replace(day / final)
    for name in said["remove"]:
        (day / name).unlink(missing_ok=True)
    for folder in {day, *((day / f).parent for _, f in said["add"])}:
        sync(folder)
    note.unlink()


def _places(path: Path) -> tuple[int, int]:
    """First and last place in the log that a file covers, from its name."""
    first, last = path.stem.split("-")
    return int(first), int(last)


def _by_bytes(files: list[Path]) -> list[list[Path]]:
    """The files in groups, in order, of at most `MOST_BYTES` each."""
    groups: list[list[Path]] = [[]]
    bytes_ = 0
    for path in files:
        size = path.stat().st_size
        if groups[-1] and bytes_ + size > MOST_BYTES:
            groups.append([])
            bytes_ = 0
        groups[-1].append(path)
        bytes_ += size
    return groups


def _by_size(files: list[Path]) -> list[list[Path]]:
    """The files, by size class."""
    classes: dict[int, list[Path]] = {}
    for path in files:
        size = path.stat().st_size
        if size < MOST_BYTES // 2:
            classes.setdefault(int(math.log(max(size, 1 << 16), SIZE_CLASS)), []).append(path)
    return list(classes.values())


def _day_name(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def _words_of(words: pa.Array, index: npt.NDArray[Any]) -> pa.Array:
    """`words[index]` as a dictionary array that holds only the words used."""
    used = np.flatnonzero(np.bincount(index, minlength=len(words)))
    code = np.zeros(len(words), dtype=np.int32)
    code[used] = np.arange(len(used))
    return pa.DictionaryArray.from_arrays(pa.array(code[index]), words.take(pa.array(used)))


def _by_kind(table: pa.Table) -> list[tuple[str, pa.Table]]:
    """Readings in unified dictionaries, one table a kind, sorted by device and time."""
    if not len(table):
        return []
    kinds, kind = _ranked(table["kind"])
    _, device = _ranked(table["device"])
    whole = table.take(pa.array(np.lexsort((table["time"].cast(pa.int64()).to_numpy(), device, kind))))
    ends = np.cumsum(np.bincount(kind, minlength=len(kinds)))
    return [(word, whole.slice(end - n, n)) for word, end, n in zip(kinds, ends, np.diff(ends, prepend=0), strict=True) if n]


def _ranked(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """The words of a dictionary column in alphabetical order, and for each row the index of its word."""
    words = column.chunk(0).dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words), np.int32)
    rank[order] = np.arange(len(words))
    return [words[i] for i in order], rank[np.concatenate([chunk.indices.to_numpy() for chunk in column.chunks])]


def _moments(seconds: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(np.round(seconds * 1e6).astype(np.int64)).cast(MOMENT)
