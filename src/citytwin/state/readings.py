"""Readings: a batch of measurements as arrays, columnar from the first byte."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError


class Quality(enum.IntEnum):
    """What the checks, or a person after them, found about one reading. What is not believed is kept with its reason."""

    GOOD = 0
    UNKNOWN_DEVICE = 1
    UNREADABLE = 2
    WRONG_UNIT = 3
    OUTSIDE_BOUNDS = 4
    TOO_FAST = 5
    STUCK = 6
    FUTURE = 7
    LATE = 8
    DOUBLED = 9
    CONFIRMED = 10
    OVERRULED = 11

    @property
    def word(self) -> str:
        """The name as it stands in files and answers: `outside_bounds`."""
        return self.name.lower()


BELIEVED = (Quality.GOOD, Quality.LATE, Quality.CONFIRMED)
DOUBTED = (Quality.TOO_FAST, Quality.STUCK)  # possible, and not believed unless a person confirms them
KEPT = (
    *BELIEVED,
    *DOUBTED,
    Quality.OVERRULED,
)  # in the history of readings, with their quality; all others are kept as rejected
IS_BELIEVED = np.isin(np.arange(len(Quality)), BELIEVED)  # by quality code
IS_KEPT = np.isin(np.arange(len(Quality)), KEPT)


@dataclass
class Readings:
    """n measurements: `device` (text keys as sent), `column` (declared names), `time` (s since 1970, UTC), `value` (in the
    column's unit), `quality` (`Quality` codes), `sequence` (place in the log, -1 before it has one). Arrays of length n.
    """

    device: npt.NDArray[np.object_]
    column: npt.NDArray[np.object_]
    time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint8]
    sequence: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) != 1:
            raise InputError(f"arrays differ in length: {lengths}", "readings")

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, device: npt.ArrayLike, column: npt.ArrayLike, time: npt.ArrayLike, value: npt.ArrayLike) -> Readings:
        """Readings from plain lists, unchecked (quality GOOD) and without a place in the log."""
        times = np.atleast_1d(np.asarray(time, dtype=np.float64))
        n = len(times)
        return cls(
            np.broadcast_to(np.asarray(device, dtype=object), n).copy(),
            np.broadcast_to(np.asarray(column, dtype=object), n).copy(),
            times,
            np.broadcast_to(np.asarray(value, dtype=np.float64), n).copy(),
            np.zeros(n, dtype=np.uint8),
            np.full(n, -1, dtype=np.int64),
        )

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Readings:
        """The readings at `chosen` (mask or positions)."""
        return Readings(*(getattr(self, f.name)[chosen] for f in fields(self)))


@dataclass
class Arrivals:
    """n readings on their way from the log into state and history: the lean form, where a device is its row.

    `row`: row of table `device` (-1 unknown). `time`, `arrived`: s since 1970 (UTC). `value`: in the unit of the kind's column.
    `quality`: `Quality` codes. `sequence`: place of its message in the log; `part`: place within that message; the two
    together name a reading. `raw`: for readings that could not be understood, position -> (device as sent, payload).
    `notices`: what people said in between (`citytwin.state.notices`), as (place in the log, JSON). `place`: of moving devices
    where they were, position -> (longitude, latitude).
    """

    row: npt.NDArray[np.int32]
    time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    arrived: npt.NDArray[np.float64]
    quality: npt.NDArray[np.uint8]
    sequence: npt.NDArray[np.int64]
    part: npt.NDArray[np.int32]
    raw: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    notices: list[tuple[int, bytes]] = field(default_factory=list)
    place: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def empty(cls) -> Arrivals:
        """No readings."""
        floats, bytes_ = np.empty(0), np.empty(0, dtype=np.uint8)
        whole = np.empty(0, dtype=np.int32)
        return cls(whole, floats, floats, floats, bytes_, np.empty(0, dtype=np.int64), whole)

    @classmethod
    def joined(cls, batches: list[Arrivals]) -> Arrivals:
        """All `batches` one after the other."""
        starts = np.cumsum([0, *(len(b) for b in batches)])
        raw = {int(start) + i: r for start, b in zip(starts, batches, strict=False) for i, r in b.raw.items()}
        place = {int(start) + i: p for start, b in zip(starts, batches, strict=False) for i, p in b.place.items()}
        names = [f.name for f in fields(cls) if f.name not in ("raw", "notices", "place")]
        arrays = {name: np.concatenate([getattr(b, name) for b in batches]) for name in names}
        return cls(**arrays, raw=raw, notices=[n for b in batches for n in b.notices], place=place)

    @property
    def believed(self) -> npt.NDArray[np.bool_]:
        """Mask of the readings that are taken for true."""
        return IS_BELIEVED[self.quality]

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Mask of the readings that stand in the history of readings, believed or doubted."""
        return IS_KEPT[self.quality]
