"""Readings of a span of time, from whichever files hold some; and of each device the newest of them.

Only files and row groups whose statistics say that they reach into the span are read, and of those the four columns that are
needed; a sorted file of a whole day is read whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from citytwin.sim.jit import kernel
from citytwin.state import BELIEVED

WORD = pa.dictionary(pa.int32(), pa.string())
READING = pa.schema([("device", WORD), ("kind", WORD), ("time", pa.timestamp("us")), ("value", pa.float64())])
NEVER = np.iinfo(np.int64).min
TOGETHER = 4_000_000  # readings that are held at once
LARGE = 300_000  # readings of a file that is worth reading on more than one core
_BELIEVED = [q.word for q in BELIEVED]
_Key = tuple[int, int, int]


class Spans:
    """Remembers of what span of time the readings in a file are, so that most files need not be opened."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[_Key, int, int]] = {}

    def span(self, path: Path) -> tuple[int, int]:
        """First and last moment (µs since 1970) in a file; (1, 0) where it is empty. Raises OSError, pa.ArrowException."""
        said = path.stat()
        key = (said.st_ino, said.st_size, said.st_mtime_ns)
        found = self._known.get(path)
        if found is None or found[0] != key:
            groups = _groups(pq.read_metadata(path))
            found = (key, min((g[0] for g in groups), default=1), max((g[1] for g in groups), default=0))
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[path] = found
        return found[1:]

    def believed(self, files: Iterable[Path], after: int, until: int) -> Iterator[pa.Table]:
        """Readings that the checks believed, measured after `after` and not after `until` (µs since 1970), file by file.

        Columns device, kind, time, value. Raises OSError where a file is gone, pa.ArrowException where it is none.
        """
        for path in files:
            first, last = self.span(path)
            if first <= until and last > after and first <= last:
                yield _read(path, after, until)


def _groups(metadata: Any) -> list[tuple[int, int]]:
    """First and last moment of each row group; of one without statistics all moments."""
    column = metadata.schema.to_arrow_schema().get_field_index("time")
    found = []
    for number in range(metadata.num_row_groups):
        said = metadata.row_group(number).column(column).statistics
        whole = (NEVER, np.iinfo(np.int64).max)
        found.append((said.min_raw, said.max_raw) if said is not None and said.has_min_max else whole)
    return found


def _read(path: Path, after: int, until: int) -> pa.Table:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        large = file.metadata.num_rows > LARGE
        groups = [n for n, (first, last) in enumerate(_groups(file.metadata)) if first <= until and last > after]
        table = file.read_row_groups(groups, columns=[*READING.names, "quality"], use_threads=large)
    moment = table["time"].cast(pa.int64()).to_numpy()
    chosen = (moment > after) & (moment <= until)
    quality = table["quality"].unify_dictionaries()
    if quality.num_chunks:
        true = np.array([w in _BELIEVED for w in quality.chunk(0).dictionary.to_pylist()])
        if not true.all():
            chosen &= np.concatenate([true[c.indices.to_numpy()] for c in quality.chunks])
    table = table.select(READING.names)
    return table if chosen.all() else table.filter(pa.array(chosen))


class Newest:
    """Of each device row the newest of many readings: `times` (µs since 1970, `NEVER`: none), `values`; n x `number`, rising.

    `rows`: row by device key; `kinds`: names of kinds, `kind`: index of the kind of each row. A reading of another kind than
    its device has now is not of it.
    """

    def __init__(self, rows: dict[str, int], kinds: Sequence[str], kind: npt.NDArray[np.int32], number: int = 1) -> None:
        self.times = np.full((len(kind), number), NEVER)
        self.values = np.full((len(kind), number), np.nan)
        self._rows, self._kinds, self._kind = rows, {name: i for i, name in enumerate(kinds)}, kind

    def put(self, row: int, moments: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        """Let these readings (rising) be all that is known of one device."""
        self.times[row], self.values[row] = NEVER, np.nan
        last = min(len(moments), self.times.shape[1])
        if last:
            self.times[row, -last:], self.values[row, -last:] = moments[-last:], values[-last:]

    def take(self, tables: Iterable[pa.Table], after: int, until: int) -> None:
        """Look at the readings in tables (`READING`) after `after` and not after `until` (µs)."""
        held: list[pa.Table] = []
        for table in tables:
            held.append(table)
            if sum(map(len, held)) > TOGETHER:
                self._take(pa.concat_tables(held), after, until)
                held = []
        if held:
            self._take(pa.concat_tables(held), after, until)

    def _take(self, table: pa.Table, after: int, until: int) -> None:
        table = table.unify_dictionaries()  # looked up once then, however many files a device is in
        row = of = np.empty(0, dtype=np.int64)
        for batch in table.to_batches():
            device, kind = batch["device"], batch["kind"]
            if not len(row):
                row, of = self._places(device.dictionary, self._rows), self._places(kind.dictionary, self._kinds)
            fold(
                device.indices.to_numpy(), kind.indices.to_numpy(), batch["time"].cast(pa.int64()).to_numpy(),
                batch["value"].to_numpy(), row, of, self._kind, after, until, self.times, self.values,
            )  # fmt: skip

    @staticmethod
    def _places(words: pa.Array, known: dict[str, int]) -> npt.NDArray[np.int64]:
        return np.array([known.get(word, -1) for word in words.to_pylist()], dtype=np.int64)


@kernel
def fold(
    device: Any, kind: Any, moment: Any, value: Any, row: Any, of: Any, kind_of: Any, after: int, until: int,
    times: Any, values: Any,
) -> None:  # fmt: skip
    """Enter what is newer into `times` and `values` by device row; the oldest goes, of two at one moment the last counts."""
    newest = times.shape[1] - 1
    for i in range(len(device)):
        r = row[device[i]]
        if r < 0 or of[kind[i]] != kind_of[r] or moment[i] <= after or moment[i] > until or moment[i] < times[r, 0]:
            continue
        place = newest
        while times[r, place] > moment[i]:
            place -= 1
        if times[r, place] != moment[i]:
            for k in range(place):
                times[r, k] = times[r, k + 1]
                values[r, k] = values[r, k + 1]
        times[r, place] = moment[i]
        values[r, place] = value[i]
