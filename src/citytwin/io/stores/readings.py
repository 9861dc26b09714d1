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
import threading
import time
from collections.abc import Iterable, Sequence
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
from citytwin.io.stores.compaction import by_kind, by_size, carry_out, handy, places
from citytwin.io.stores.files import ARRIVED_GROUP, sync, words_of, write_note, write_partial
from citytwin.io.stores.notices import NoticeStore
from citytwin.io.stores.spans import Newest, Spans
from citytwin.state import Arrivals, Quality

DAY = 86400.0
MOST_RECENT = 40  # recent files of one day before they are sorted into kinds
MOST_SORTED = 12  # sorted files of one day, kind and size class before they are made one
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
        self._sorting = threading.Lock()  # held while files are replaced by sorted ones; commits go on
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
            return sorted(f for f in self.readings.glob("*/*/[0-9]*.parquet") if places(f)[1] > sequence)

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
        return sorted(f for f in self.rejected.glob("*/[0-9]*.parquet") if places(f)[1] > sequence)

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
            carry_out(note)
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
            if path.name.endswith(".partial") or (path.suffix == ".parquet" and places(path)[1] > committed):
                path.unlink()
        return committed

    # -- compaction ---------------------------------------------------------------------------------------------------

    def compact(self, most_recent: int = MOST_RECENT, most_sorted: int = MOST_SORTED) -> int:
        """Sort recent files into kinds and join small sorted files, where there are more than so many; files replaced.

        Commits may go on meanwhile: a file that they add is left for the next time.
        """
        with self._sorting:
            return sum(self._compact(self.readings / name, most_recent, most_sorted) for name in sorted(self._touched.copy()))

    def _compact(self, day: Path, most_recent: int, most_sorted: int) -> int:
        replaced = 0
        self._touched.discard(day.name)  # a commit that comes from here on says it again
        try:
            recent = sorted((day / "recent").glob("[0-9]*.parquet"), key=places)
            wait = bool(recent)
            if len(recent) > most_recent:
                replaced += self._replace_all(day, handy(recent))
            for kind in sorted(p for p in day.glob("*") if p.is_dir() and p.name != "recent"):
                for files in by_size(sorted(kind.glob("[0-9]*.parquet"), key=places)):
                    if len(files) > max(most_sorted, 1):
                        young = self._too_young(files)
                        wait |= young
                        replaced += 0 if young else self._replace_all(day, [some for some in handy(files) if len(some) > 1])
        except BaseException:
            wait = True
            raise
        finally:
            if wait:
                self._touched.add(day.name)
        return replaced

    def rest(self) -> None:
        """Wait until no files are being replaced any more."""
        with self._sorting:
            return

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
        with self._sorting:
            return sum(self._drop(self.readings / day, kind) for day in self.days() if day < before)

    def _drop(self, day: Path, kind: str) -> bool:
        recent = sorted((day / "recent").glob("[0-9]*.parquet"), key=places)
        if recent:
            self._replace_all(day, handy(recent))
        gone = day / kind
        if not gone.exists():
            return False
        with self.moving:
            for path in gone.iterdir():
                path.unlink()
            gone.rmdir()
            for empty in (day / "recent", day):
                if empty.exists() and not any(empty.iterdir()):
                    empty.rmdir()
        return True

    def _replace(self, day: Path, files: list[Path]) -> None:
        """Replace `files` of one day by one sorted file a kind."""
        ends = [places(f) for f in files]
        name = f"{min(e[0] for e in ends)}-{max(e[1] for e in ends)}.parquet"
        written = []
        try:
            for kind, table in by_kind([pq.read_table(f, schema=SCHEMA) for f in files]):
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
            carry_out(day / "_compaction.json")


def _day_name(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def _words_of(words: pa.Array, index: npt.NDArray[Any]) -> pa.Array:
    """`words[index]` as a dictionary array that holds only the words used."""
    used = np.flatnonzero(np.bincount(index, minlength=len(words)))
    code = np.zeros(len(words), dtype=np.int32)
    code[used] = np.arange(len(used))
    return pa.DictionaryArray.from_arrays(pa.array(code[index]), words.take(pa.array(used)))


def _moments(seconds: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(np.round(seconds * 1e6).astype(np.int64)).cast(MOMENT)
