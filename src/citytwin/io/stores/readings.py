"""The history of readings: Parquet files by day, and by day and kind once compacted; written so that no crash can tell.

    committed.json            the place in the log up to which everything is here
    readings/2026-11-21/recent/*.parquet      as they came, one file a commit
    readings/2026-11-21/river_stage/*.parquet sorted by device and time, after compaction
    rejected/2026-11-21/*.parquet      what was not believed, with reason and raw value

A file is named by the places in the log that it covers. Commit: write all files under another name, sync, rename, then
replace `committed.json`; what is newer than that when a twin starts is removed, and read from the log again.
Compaction: write the new files under another name, sync, write down what replaces what, rename, remove, forget the note;
a note that is found at the start is carried out. pandas and DuckDB read `readings/**/*.parquet` without us.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import threading
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
from citytwin.state import Arrivals, Quality

DAY = 86400.0
MOST_RECENT = 40  # recent files of one day before they are sorted into kinds
MOST_SORTED = 12  # sorted files of one day, kind and size class before they are made one
SIZE_CLASS = 8  # files are merged with others at most so many times their size: each row is rewritten a few times, not hundreds

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
        self._note = folder / "committed.json"
        self._keys = pa.array(keys, pa.string())
        self._kind_names = pa.array([k.name for k in kinds] or [""], pa.string())
        self._kind = kind
        self._qualities = pa.array([q.word for q in Quality], pa.string())
        for each in (self.readings, self.rejected):
            each.mkdir(parents=True, exist_ok=True)
        self._moving = threading.Lock()  # held while files change names, and while they are listed
        self.committed = self._recover()

    def files(self, days: Iterable[str], kinds: Sequence[str] | None) -> list[Path]:
        """The files that may hold readings of `days`, of some `kinds` or of all."""
        found: list[Path] = []
        with self._moving:
            for day in days:
                for folder in ("recent", *(kinds if kinds is not None else ("*",))):
                    found += (self.readings / day).glob(f"{folder}/[0-9]*.parquet")
        return sorted(set(found))

    def files_since(self, sequence: int) -> list[Path]:
        """The files that may hold readings that came after place `sequence` of the log."""
        with self._moving:
            return sorted(f for f in self.readings.glob("*/*/[0-9]*.parquet") if _places(f)[1] > sequence)

    def rejected_since(self, sequence: int) -> list[Path]:
        """The files that may hold rejected readings that came after place `sequence` of the log."""
        return sorted(f for f in self.rejected.glob("*/[0-9]*.parquet") if _places(f)[1] > sequence)

    # -- commit -------------------------------------------------------------------------------------------------------

    def commit(self, batch: Arrivals, last: int) -> None:
        """Make `batch`, all readings of the log after `committed` up to `last`, part of the history, whole or not at all.

        Raises OutsideError (a full disk, say); the same commit can then be tried again.
        """
        name = f"{self.committed + 1}-{last}.parquet"
        written: list[tuple[Path, Path]] = []
        try:
            believed = batch.believed
            for day, table in self._days(self._table(batch, np.flatnonzero(believed))):
                written.append(_write_partial(table, self.readings / day / "recent" / name))
            for day, table in self._days(self._rejected_table(batch, np.flatnonzero(~believed)), "arrived"):
                written.append(_write_partial(table, self.rejected / day / name))
            with self._moving:
                for partial, final in written:
                    partial.replace(final)
            for folder in {final.parent for _, final in written}:
                _sync(folder)
            _write_note(self._note, {"sequence": last})
        except (OSError, pa.ArrowException) as error:
            for partial, final in written:
                partial.unlink(missing_ok=True)
                final.unlink(missing_ok=True)
            raise OutsideError(f"cannot write the history: {_words(error)}", str(self.readings)) from error
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
        for day in sorted(p for p in self.readings.iterdir() if p.is_dir()):
            recent = sorted((day / "recent").glob("*.parquet"), key=_places)
            if len(recent) > most_recent:
                self._replace(day, recent)
                replaced += len(recent)
            for kind in sorted(p for p in day.iterdir() if p.is_dir() and p.name != "recent"):
                for files in _by_size(sorted(kind.glob("*.parquet"), key=_places)):
                    if len(files) > max(most_sorted, 1):
                        self._replace(day, files)
                        replaced += len(files)
        return replaced

    def _replace(self, day: Path, files: list[Path]) -> None:
        """Replace `files` of one day by one sorted file a kind."""
        places = [_places(f) for f in files]
        name = f"{min(p[0] for p in places)}-{max(p[1] for p in places)}.parquet"
        table = pa.concat_tables([pq.read_table(f, schema=SCHEMA) for f in files]).unify_dictionaries()
        kinds = table["kind"].combine_chunks().cast(pa.string())
        written = []
        try:
            for kind in pc.unique(kinds).to_pylist():
                chosen = table.filter(pc.equal(kinds, kind))
                device = chosen["device"].cast(pa.string())
                order = pc.sort_indices(
                    pa.table({"device": device, "time": chosen["time"]}),
                    sort_keys=[("device", "ascending"), ("time", "ascending")],
                )
                written.append(_write_partial(chosen.take(order), day / kind / name))
            add = [[str(p.relative_to(day)), str(f.relative_to(day))] for p, f in written]
            final = {f for _, f in written}
            remove = [str(f.relative_to(day)) for f in files if f not in final]
            _write_note(day / "_compaction.json", {"add": add, "remove": remove})
        except (OSError, pa.ArrowException) as error:
            for partial, _ in written:
                partial.unlink(missing_ok=True)
            raise OutsideError(f"cannot compact the history: {_words(error)}", str(day)) from error
        with self._moving:
            _carry_out(day / "_compaction.json")


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
        _sync(folder)
    note.unlink()


def _write_partial(table: pa.Table, path: Path) -> tuple[Path, Path]:
    """Write and sync `table` under another name beside `path`; both names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            pq.write_table(table, out, compression="zstd", compression_level=1, write_statistics=True, row_group_size=1 << 17)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return partial, path


def _write_note(path: Path, said: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as out:
        json.dump(said, out)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _places(path: Path) -> tuple[int, int]:
    """First and last place in the log that a file covers, from its name."""
    first, last = path.stem.split("-")
    return int(first), int(last)


def _by_size(files: list[Path]) -> list[list[Path]]:
    """The files, by size class."""
    classes: dict[int, list[Path]] = {}
    for path in files:
        classes.setdefault(int(math.log(max(path.stat().st_size, 1 << 16), SIZE_CLASS)), []).append(path)
    return list(classes.values())


def _day_name(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def _words_of(words: pa.Array, index: npt.NDArray[Any]) -> pa.Array:
    """`words[index]` as a dictionary array that holds only the words used."""
    used, codes = np.unique(index, return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), words.take(pa.array(used)))


def _moments(seconds: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(np.round(seconds * 1e6).astype(np.int64)).cast(MOMENT)


def _words(error: BaseException) -> str:
    return "the disk is full" if getattr(error, "errno", None) == 28 else str(error).splitlines()[0]
