"""Numbers over time as a scenario says them: one quantity, a mapping of times to quantities, or a CSV file."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import GetJsonSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from citytwin import units
from citytwin.errors import InputError

HEADING = re.compile(r"^\s*(?P<name>[^(\[]+?)\s*[(\[](?P<unit>[^)\]]+)[)\]]\s*$")


@dataclass(frozen=True)
class Series:
    """A number over time. times: seconds after the scenario's start, rising; values: in the unit that was asked for.

    Before the first time it is as at the first, after the last as at the last; between, it lies on a straight line.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def largest(self) -> float:
        """The largest value."""
        return max(self.values)

    def at(self, time: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The value at one or more times."""
        return np.interp(np.asarray(time, dtype=np.float64), self.times, self.values)

    def mean(self, begin: float, end: float) -> float:
        """The mean over begin ... end, exact for the straight lines."""
        if end <= begin:
            return float(self.at(begin))
        inner = [t for t in self.times if begin < t < end]
        times = np.array([begin, *inner, end])
        return float(np.trapezoid(self.at(times), times) / (end - begin))


@dataclass(frozen=True)
class Steps:
    """A rate that holds from each time until the next, and is zero before the first and after the last (rain)."""

    times: tuple[float, ...]
    values: tuple[float, ...]

    def total(self, begin: float, end: float) -> float:
        """The rate summed over begin ... end."""
        stops = (*self.times[1:], np.inf)
        return sum(
            v * max(0.0, min(b, end) - max(a, begin)) for a, b, v in zip(self.times, stops, self.values, strict=True) if v
        )


def read_pairs(said: Any, unit: str, folder: Path | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times (s) and values (in `unit`) of a mapping {time: quantity}, or of {file: F} with a CSV of two columns."""
    if not isinstance(said, dict) or not said:
        raise InputError("a series is a mapping of times to quantities", hint=f"as in {{0h: 1 {unit}, 1h: 5 {unit}}}")
    if "file" in said:
        if set(said) != {"file"}:
            raise InputError("a series in a file has no other entries than file")
        pairs = _read_csv(str(said["file"]), unit, folder)
    else:
        pairs = [(units.to(time, "s"), units.to(value, unit)) for time, value in said.items()]
    times, values = zip(*pairs, strict=True)
    if any(b <= a for a, b in pairwise(times)):
        raise InputError("the times of a series must rise")
    return times, values


def _read_csv(name: str, unit: str, folder: Path | None) -> list[tuple[float, float]]:
    if folder is None:
        raise InputError(f'cannot read "{name}": this scenario may not name files', hint="write the series in the scenario")
    path = folder / name
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row and any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the series: {getattr(error, 'strerror', None) or error}", str(path)) from error
    headings = [HEADING.match(cell) for cell in rows[0][:2]] if rows else []
    if len(headings) < 2 or not all(headings):
        raise InputError("the first line names two columns with units", str(path), f"as in: time (min),value ({unit})")
    given = [h["unit"] for h in headings if h]
    try:
        pairs = [(float(r[0]), float(r[1])) for r in rows[1:]]
    except (ValueError, IndexError) as error:
        raise InputError(f"not two numbers a line: {error}", str(path)) from error
    if not pairs or not np.isfinite(pairs).all():
        raise InputError("the series has no lines, or numbers that are not finite", str(path))
    return [(float(units.convert(t, given[0], "s")), float(units.convert(v, given[1], unit))) for t, v in pairs]


@dataclass(frozen=True)
class SeriesOf:
    """Annotation of a pydantic field that holds a `Series` (or `Steps`) in `unit`; a single quantity stands for a constant one.

    low: the smallest value allowed. steps: whether values hold until the next time.
    """

    unit: str
    low: float = -np.inf
    steps: bool = False

    def read(self, said: Any, info: ValidationInfo) -> Series | Steps:
        """The series that a scenario says. Raises ValueError, as pydantic wants."""
        if isinstance(said, (Series, Steps)):
            return said
        folder = (info.context or {}).get("folder") if isinstance(info.context, dict) or info.context is None else None
        try:
            if isinstance(said, dict):
                times, values = read_pairs(said, self.unit, folder)
            else:
                times, values = (0.0,), (units.to(said, self.unit),)
        except InputError as error:
            raise ValueError(str(error)) from error
        if min(values) < self.low:
            raise ValueError(f"{min(values)} {self.unit} is below {self.low} {self.unit}")
        return Steps(times, values) if self.steps else Series(times, values)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        one = {"type": ["string", "number"], "format": "quantity", "unit": self.unit}
        file = {
            "type": "object",
            "properties": {"file": {"type": "string"}},
            "required": ["file"],
            "additionalProperties": False,
        }
        many = {"type": "object", "additionalProperties": one, "description": "times and quantities, as in {0h: ..., 1h: ...}"}
        return {"anyOf": [many, file] if self.steps else [one, many, file], "format": "series", "unit": self.unit}


Discharge = Annotated[Series, SeriesOf("m3/s", low=0.0)]
Level = Annotated[Series, SeriesOf("m")]
RainSteps = Annotated[Steps, SeriesOf("m/s", low=0.0, steps=True)]
