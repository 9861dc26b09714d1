"""What compaction does with files of one day: which become one, their readings sorted, and files that take others' places."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citytwin.io.stores.files import sync

SIZE_CLASS = 8  # files are merged with others at most so many times their size: each row is rewritten a few times, not hundreds
MOST_BYTES = 16 << 20  # of files that are made one
MOST_READINGS = 2_500_000  # of files that are made one, so that it fits into little memory, however well they compress


def places(path: Path) -> tuple[int, int]:
    """First and last place in the log that a file covers, from its name."""
    first, last = path.stem.split("-")
    return int(first), int(last)


def handy(files: list[Path]) -> list[list[Path]]:
    """The files in groups, in order, of at most `MOST_BYTES` and `MOST_READINGS` each."""
    groups: list[list[Path]] = [[]]
    bytes_ = readings = 0
    for path in files:
        size, rows = path.stat().st_size, pq.read_metadata(path).num_rows
        if groups[-1] and (bytes_ + size > MOST_BYTES or readings + rows > MOST_READINGS):
            groups.append([])
            bytes_ = readings = 0
        groups[-1].append(path)
        bytes_, readings = bytes_ + size, readings + rows
    return groups


def by_size(files: list[Path]) -> list[list[Path]]:
    """The files, by size class."""
    classes: dict[int, list[Path]] = {}
    for path in files:
        size = path.stat().st_size
        if size < MOST_BYTES // 2:
            classes.setdefault(int(math.log(max(size, 1 << 16), SIZE_CLASS)), []).append(path)
    return list(classes.values())


def by_kind(tables: list[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
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


def carry_out(note: Path) -> None:
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
