"""Units: quantities with units come in at the border, SI numbers go on inside.

`to("60 mm/h", "m/s")` reads what a person writes. `Quantity("m/s")` makes a pydantic field that does the same, publishes
itself in the JSON Schema (`"unit"`), and refuses a bare number where a unit is needed. The units are Pint's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pint
from pydantic import GetJsonSchemaHandler
from pydantic_core import core_schema

from citytwin.errors import InputError

# Written forms that are common in cities' data and are not Pint's own names (UCUM codes among them).
ALIASES = {
    "Cel": "degC", "°C": "degC", "%": "percent", "dB[A]": "decibel_a", "[ppm]": "ppm", "[NTU]": "ntu", "[pH]": "pH_unit",
    "%RH": "percent", "m3/s": "m**3/s", "m3": "m**3", "m2": "m**2", "W/m2": "W/m**2", "ug/m3": "ug/m**3", "mg/m3": "mg/m**3",
    "m/s2": "m/s**2", "km2": "km**2", "enum": "dimensionless", "1": "dimensionless", "": "dimensionless",
    "m³/s": "m**3/s", "m²": "m**2", "m³": "m**3", "µg/m³": "ug/m**3", "L/s": "liter/s", "l/s": "liter/s",
    "EUR/m2": "EUR/m**2", "EUR/m²": "EUR/m**2", "people": "dimensionless", "veh/h": "1/hour",
}  # fmt: skip


POWER = re.compile(r"([A-Za-zµ])([23])(?![0-9.])")


@cache
def registry() -> pint.UnitRegistry[Any]:
    """The one unit registry of the process."""
    ureg: pint.UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
    ureg.define("decibel_a = [sound_level]")
    ureg.define("ntu = [turbidity]")
    ureg.define("pH_unit = [acidity]")
    for currency in ("EUR", "USD", "GBP", "CHF", "JPY"):
        ureg.define(f"{currency} = [currency_{currency}]")
    return ureg


def _spelled(unit: str) -> str:
    """The unit as Pint writes it; powers may be written as in UCUM (`m3/h`) or raised (`m³/h`)."""
    unit = unit.strip()
    return ALIASES.get(unit) or POWER.sub(r"\1**\2", unit.replace("²", "2").replace("³", "3"))


@cache
def _factor(given: str, wanted: str) -> tuple[float, float]:
    """Scale and offset that turn a number in `given` into one in `wanted`."""
    ureg = registry()
    try:
        source, target = ureg.Unit(_spelled(given)), ureg.Unit(_spelled(wanted))
        zero = ureg.Quantity(0.0, source).to(target).magnitude
        one = ureg.Quantity(1.0, source).to(target).magnitude
    except pint.DimensionalityError as error:
        raise InputError(f'unit "{given}" does not measure what is asked for', hint=f"give it in {wanted}") from error
    except Exception as error:  # Pint raises many kinds, tokenizer errors among them
        raise InputError(f'"{given}" is not a unit', hint=f"give it in {wanted}") from error
    return float(one - zero), float(zero)


def convert(value: Any, given: str, wanted: str) -> Any:
    """`value` (number or array) in unit `given`, as a number or array in unit `wanted`."""
    scale, offset = _factor(given, wanted)
    return value * scale + offset


def compatible(given: str, wanted: str) -> bool:
    """Whether numbers in `given` can be turned into `wanted`."""
    try:
        _factor(given, wanted)
    except InputError:
        return False
    return True


def to(text: str | float, unit: str) -> float:
    """The number in `unit` that `text` says, as in `to("60 mm/h", "m/s")`.

    A bare number is accepted only where `unit` is dimensionless. Raises InputError.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise InputError(f"{text!r} is not a quantity", hint=f"write a number and a unit, as in 1 {unit}")
    if isinstance(text, (int, float)):
        if not compatible("dimensionless", unit):
            raise InputError(f"{text} has no unit", hint=f"write a number and a unit, as in {text} {unit}")
        return _finite(float(text), text)
    number, given = split(text)
    if not given and not compatible("dimensionless", unit):
        raise InputError(f'"{text}" has no unit', hint=f"write a number and a unit, as in {text} {unit}")
    return _finite(convert(number, given or "dimensionless", unit), text)


def split(text: str) -> tuple[float, str]:
    """The number and the unit of a written quantity: `split("60 mm/h")` is `(60.0, "mm/h")`."""
    text = text.strip()
    for end in range(len(text), 0, -1):
        try:
            number = float(text[:end].replace("_", "x"))
        except ValueError:
            continue
        return number, text[end:].strip()
    raise InputError(f'"{text}" does not begin with a number', hint="write a number and a unit, as in 60 mm/h")


def _finite(value: float, given: object) -> float:
    if not math.isfinite(value):
        raise InputError(f"{given!r} is not a finite number")
    return value


@dataclass(frozen=True)
class Quantity:
    """Annotation of a pydantic field that holds a number in `unit` and is written with any compatible unit.

    `Annotated[float, Quantity("m/s")]`; put bounds beside it with `pydantic.Field(ge=0)`, in `unit`.
    A mapping that gives a time series (`{0h: 10 m3/s, 1h: 50 m3/s}`) is the business of the model that wants one.
    """

    unit: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> core_schema.CoreSchema:
        def read(value: Any) -> float:
            try:
                return to(value, self.unit)
            except InputError as error:
                raise ValueError(str(error)) from error

        return core_schema.no_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = handler(schema)
        bounds = {k: v for k, v in number.items() if k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")}
        written = {"type": ["string", "number"], "format": "quantity", "unit": self.unit, "bounds": bounds}
        return written | {k: v for k, v in number.items() if k not in bounds and k not in ("type", "format")}


def seconds(text: str | float) -> float:
    """A duration in seconds: `seconds("6h")`, `seconds("5min")`."""
    return to(text, "s")


__all__ = ["Quantity", "compatible", "convert", "seconds", "split", "to"]
