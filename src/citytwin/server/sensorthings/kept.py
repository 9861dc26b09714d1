"""The readings of the city's own devices as rows for SQL: Parquet files of the history, and what waits for them.

The id of such an Observation is made of its reading's place in the log (OGC 18-088 wants it to stay what it is): odd numbers;
those of Observations that clients made are even.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from citytwin.state import Arrivals, Quality
from citytwin.state.readings import BELIEVED

if TYPE_CHECKING:
    from citytwin.twin import Twin

PARTS = 1 << 20  # readings of one message
FEW = 200  # devices that are named one by one
EMPTY = (
    "select null::varchar as device, null::timestamp as time, null::double as value, null::varchar as quality, "
    "null::bigint as sequence, null::integer as part where false"
)


@dataclass(frozen=True)
class Wanted:
    """Which readings a question is about: `devices` by key (None: any), from `begin` to `end`, or `one` by its place."""

    devices: tuple[str, ...] | None = None
    begin: dt.datetime | None = None
    end: dt.datetime | None = None
    one: tuple[int, int] | None = None


def place_of(id: int) -> tuple[int, int] | None:
    """The place in the log (message, part) of the reading whose Observation has this id; None for one that a client made."""
    return divmod((id - 1) // 2, PARTS) if id % 2 else None


ID = f"((r.sequence * {PARTS} + r.part) * 2 + 1)"


class Kept:
    """What `twin` keeps of its devices' readings."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        names = list(twin.columns.kinds)
        self._kind = {key: name for key, name in zip(twin.devices.keys, twin.devices.names, strict=True)}
        self._kinds = names

    def days(self) -> list[str]:
        """Days of which there are readings, in order; of those that wait too."""
        store, waiting = self._twin.kept()
        found = {p.name for p in store.readings.iterdir() if p.is_dir()}
        for batch in waiting:
            found |= {_day(float(t)) for t in np.unique(batch.time[batch.believed] // 86400.0) * 86400.0}
        return sorted(found)

    def rows(
        self, cursor: duckdb.DuckDBPyConnection, wanted: Wanted, words: dict[str, Any], days: list[str] | None = None
    ) -> str:
        """A query for device, time, value, quality, sequence, part of the believed readings that are `wanted`."""
        if wanted.devices is not None and not wanted.devices:
            return EMPTY
        store, waiting = self._twin.kept()
        chosen = [d for d in (self.days() if days is None else days) if _within(d, wanted)]
        kinds = None if wanted.devices is None else sorted({self._kind[d] for d in wanted.devices if d in self._kind})
        files = store.files(chosen, kinds)
        if wanted.one is not None:
            files = [f for f in files if _covers(f, wanted.one[0])]
        committed = max((_covered(f)[1] for f in files), default=0)
        parts = []
        if files:
            words["files"] = [str(f) for f in files]
            parts.append("select device, time, value, quality, sequence, part from read_parquet($files)")
        late = self._waiting(waiting, committed)
        if late is not None:
            cursor.register("waiting", late)
            parts.append("select device, time, value, quality, sequence, part from waiting")
        if not parts:
            return EMPTY
        return f"select * from ({' union all '.join(parts)}) where {' and '.join(_conditions(wanted, words, days))}"

    def _waiting(self, waiting: list[Arrivals], committed: int) -> pa.Table | None:
        if not waiting:
            return None
        batch = Arrivals.joined(waiting)
        new = np.flatnonzero(batch.believed & (batch.sequence > committed) & (batch.row >= 0))
        if not len(new):
            return None
        keys = np.asarray(self._twin.devices.keys, dtype=object)
        words = np.array([q.word for q in Quality], dtype=object)
        return pa.table(
            {
                "device": pa.array(keys[batch.row[new]], pa.string()),
                "time": pa.array(np.round(batch.time[new] * 1e6).astype(np.int64)).cast(pa.timestamp("us")),
                "value": batch.value[new], "quality": pa.array(words[batch.quality[new]], pa.string()),
                "sequence": batch.sequence[new], "part": pa.array(batch.part[new], pa.int32()),
            }
        )  # fmt: skip

    def last(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """When each device row was last heard (s since 1970; NaN never)."""
        return self._twin.device_values()[2]


def _conditions(wanted: Wanted, words: dict[str, Any], days: list[str] | None) -> list[str]:
    believed = ", ".join(f"'{q.word}'" for q in BELIEVED)
    out = [f"quality in ({believed})"]
    if wanted.devices is not None and len(wanted.devices) <= FEW:
        names = [f"device{i}" for i in range(len(wanted.devices))]
        words |= dict(zip(names, wanted.devices, strict=True))
        out.append(f"device in ({', '.join('$' + n for n in names)})")
    elif wanted.devices is not None:
        words["devices"] = list(wanted.devices)
        out.append("device in (select unnest($devices))")
    if wanted.begin is not None:
        words["since"] = wanted.begin
        out.append("time >= cast($since as timestamp)")
    if wanted.end is not None:
        words["until"] = wanted.end
        out.append("time <= cast($until as timestamp)")
    if wanted.one is not None:
        words |= {"message": wanted.one[0], "part": wanted.one[1]}
        out.append("sequence = $message and part = $part")
    if days:
        words |= {"first_day": days[0], "last_day": days[-1]}
        out.append("time >= cast($first_day as date) and time < cast($last_day as date) + interval 1 day")
    return out


def _day(seconds: float) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=int(seconds // 86400.0))).isoformat()


def _within(day: str, wanted: Wanted) -> bool:
    after = wanted.begin is None or day >= wanted.begin.date().isoformat()
    return after and (wanted.end is None or day <= wanted.end.date().isoformat())


def _covered(file: Path) -> tuple[int, int]:
    first, last = file.stem.split("-")
    return int(first), int(last)


def _covers(file: Path, sequence: int) -> bool:
    first, last = _covered(file)
    return first <= sequence <= last
