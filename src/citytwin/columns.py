"""Columns: every number that changes in a city is declared once, here or beside the simulator that writes it.

A `Column` gives name, table, unit, meaning, physical bounds and start value. From the declaration follow the check of
readings, storage, API schema, map layer and legend. A sensor type, an output of a simulator and a map layer are the
same thing: a column. What devices measure is declared as rows of `sensors.csv` beside this file (one line a kind);
a city adds its own kinds in a `sensors.csv` of the same form in its folder.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from citytwin import units
from citytwin.errors import ConflictError, InputError, MissingError, nearest

RAMPS = ("depth", "speed", "hazard", "damage", "heat", "people", "share", "money", "level", "change", "category")
PEAKS = ("max", "min", "last", "sum")


@dataclass(frozen=True)
class Column:
    """One declared number (or category) of one table.

    name: full words without units; unique over all tables. table: the table whose rows carry it.
    unit: a unit that `citytwin.units` reads, SI for whatever simulators read or write.
    low, high: physical bounds; a reading outside is not believed. start: the value before anything is known.
    peak: how a value over time is summed up in a result: "max", "min", "last" or "sum".
    ramp: the colour ramp of its map layer; steps: the legend's class limits, if it has fixed ones.
    categories: names of the whole numbers 0, 1, 2, ... where the column is a class.
    course: whether a result keeps its course over time, or (for running peaks, static results) only how it ends.
    """

    name: str
    table: str
    unit: str
    meaning: str
    low: float = -math.inf
    high: float = math.inf
    start: float = math.nan
    peak: str = "max"
    ramp: str = "level"
    steps: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    source: str = ""
    course: bool = True

    def __post_init__(self) -> None:
        where = f'column "{self.name}"'
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise InputError("a column name is lower-case words joined by _", where)
        if not units.compatible(self.unit, self.unit):
            raise InputError(f'"{self.unit}" is not a unit', where)
        if not self.low < self.high:
            raise InputError(f"bounds {self.low} ... {self.high} hold no value", where)
        if not math.isnan(self.start) and not self.low <= self.start <= self.high:
            raise InputError(f"start value {self.start} is outside {self.low} ... {self.high}", where)
        if self.ramp not in RAMPS:
            raise InputError(f'no colour ramp "{self.ramp}"', where, nearest(self.ramp, RAMPS))
        if self.peak not in PEAKS:
            raise InputError(f'no peak "{self.peak}"', where, nearest(self.peak, PEAKS))

    @property
    def title(self) -> str:
        """The name as a person reads it."""
        return self.name.replace("_", " ").capitalize()

    def describe(self) -> dict[str, object]:
        """The declaration as plain JSON values; unbounded sides and an unknown start are None."""

        def number(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "name": self.name, "title": self.title, "table": self.table, "unit": self.unit, "meaning": self.meaning,
            "low": number(self.low), "high": number(self.high), "start": number(self.start), "peak": self.peak,
            "ramp": self.ramp, "steps": list(self.steps), "categories": list(self.categories), "source": self.source,
            "course": self.course,
        }  # fmt: skip


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device: one declared row of `sensors.csv`.

    It measures `column` (on table `device`), in `column.unit`, every `period` seconds; `usual` is the normal range, used
    by simulated fleets and by charts; `rate` is the largest believable change per second (inf: anything goes); `still` is
    the longest believable time of exactly equal values, in seconds (inf: it may rest).
    """

    name: str
    column: Column
    period: float
    usual: tuple[float, float]
    department: str
    model: str
    share: float
    rate: float = math.inf
    still: float = math.inf

    def describe(self) -> dict[str, object]:
        """The declaration as plain JSON values."""
        return {
            "name": self.name, "column": self.column.name, "unit": self.column.unit, "meaning": self.column.meaning,
            "period": self.period, "usual": list(self.usual), "department": self.department, "model": self.model,
            "rate": self.rate if math.isfinite(self.rate) else None,
            "still": self.still if math.isfinite(self.still) else None,
        }  # fmt: skip


@dataclass
class Columns:
    """A set of declared columns and device kinds, looked up by name."""

    by_name: dict[str, Column] = field(default_factory=dict)
    kinds: dict[str, DeviceKind] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        try:
            return self.by_name[name]
        except KeyError:
            raise MissingError(f'no column "{name}"', hint=nearest(name, self.by_name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[Column]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    def of(self, table: str) -> list[Column]:
        """The columns of one table, in the order they were declared."""
        return [c for c in self if c.table == table]

    def kind(self, name: str) -> DeviceKind:
        """The device kind called `name`. Raises MissingError with the nearest name."""
        try:
            return self.kinds[name]
        except KeyError:
            raise MissingError(f'no device kind "{name}"', hint=nearest(name, self.kinds)) from None

    def declare(self, columns: Iterable[Column]) -> None:
        """Add columns. The same declaration twice is fine, two different ones of one name are a ConflictError."""
        for column in columns:
            known = self.by_name.get(column.name)
            if known is not None and known.describe() != column.describe():
                raise ConflictError(f'column "{column.name}" is declared twice, differently')
            self.by_name.setdefault(column.name, column)

    def declare_kinds(self, rows: Iterable[Mapping[str, str]], where: str) -> None:
        """Add device kinds and their columns from rows of a `sensors.csv`."""
        for number, row in enumerate(rows, start=2):
            kind = _device_kind(row, f"{where} line {number}")
            self.declare([kind.column])
            if self.kinds.setdefault(kind.name, kind) != kind:
                raise ConflictError(f'device kind "{kind.name}" is declared twice, differently', f"{where} line {number}")


SENSOR_FIELDS = ("kind", "column", "unit", "meaning", "low", "high", "usual_low", "usual_high", "period", "rate",
                 "department", "share", "model")  # fmt: skip


def _device_kind(row: Mapping[str, str], where: str) -> DeviceKind:
    missing = [f for f in SENSOR_FIELDS if row.get(f) is None]
    if missing:
        raise InputError(f"field {missing[0]} is missing", where, "fields: " + ",".join(SENSOR_FIELDS))
    try:
        low, high, usual_low, usual_high, period, share = (
            float(row[f]) for f in ("low", "high", "usual_low", "usual_high", "period", "share")
        )
        rate = float(row["rate"] or "inf")
        still = float(row.get("still") or "inf")
    except ValueError as error:
        raise InputError(str(error), where) from error
    try:
        column = Column(row["column"], "device", row["unit"], row["meaning"], low, high, source=row["model"])
    except InputError as error:
        raise InputError(str(error), where) from error
    return DeviceKind(row["kind"], column, period, (usual_low, usual_high), row["department"], row["model"], share, rate, still)


def read_sensors(path: Path | None = None) -> list[dict[str, str]]:
    """The rows of a `sensors.csv`: of the shipped one, or of the one at `path`."""
    if path is None:
        text = resources.files("citytwin").joinpath("sensors.csv").read_text(encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def shipped() -> Columns:
    """The columns and device kinds that ship with citytwin (simulators declare theirs beside themselves)."""
    columns = Columns()
    columns.declare_kinds(read_sensors(), "sensors.csv")
    return columns
