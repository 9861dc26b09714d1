"""Whether a JSON value is a value of a schema: for the initial and default values, limits and factors that models may state.

From the tables of schemas in DTDL.v3.md and DTDL.v4.md: numbers by their bits, times as ISO 8601 writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from citytwin.io.importers.dtdl.reader import Element

Children = Callable[[Element, str], list[Element]]
BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_DAY, _ZONE = r"\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", r"(Z|[+-]\d{2}:\d{2})"
_CLOCK = rf"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?{_ZONE}"
WRITTEN: Mapping[str, str] = {
    "date": f"{_DAY}{_ZONE}?",
    "dateTime": f"{_DAY}T{_CLOCK}",
    "time": _CLOCK,
    "duration": r"-?P(?=[0-9T])(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?",
    "uuid": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "string": r"(?s).*",
}


def conforms(value: Any, schema: Element, children: Children) -> bool:
    """Whether `value` is one of `schema`; `children` gives the elements of a property of an element, references followed.

    What is not known here (geospatial schemas, bytes) counts as conforming.
    """
    check = _PARTS.get(schema.kind)
    return check(value, schema, children) if check is not None else _primitive(value, schema.kind)


def _primitive(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in WRITTEN:
        return isinstance(value, str) and re.fullmatch(WRITTEN[kind], value, re.ASCII) is not None
    if kind in ("double", "float"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    unsigned = kind.startswith("unsigned")
    bits = BITS.get(kind.removeprefix("unsigned").lower())
    if bits is None:
        return True
    low, high = (0, 2**bits) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < high


def _array(value: Any, schema: Element, children: Children) -> bool:
    return isinstance(value, list) and all(conforms(v, s, children) for s in children(schema, "elementSchema") for v in value)


def _map(value: Any, schema: Element, children: Children) -> bool:
    inner = [s for part in children(schema, "mapValue") for s in children(part, "schema")]
    return isinstance(value, dict) and all(conforms(v, s, children) for s in inner for v in value.values())


def _object(value: Any, schema: Element, children: Children) -> bool:
    known = {str(f.one("name")): f for f in children(schema, "fields")}
    if not isinstance(value, dict) or not set(value) <= set(known):
        return False
    return all(conforms(v, s, children) for name, v in value.items() for s in children(known[name], "schema"))


def _enum(value: Any, schema: Element, children: Children) -> bool:
    return any(type(value) is type(v.one("enumValue")) and value == v.one("enumValue") for v in children(schema, "enumValues"))


_PARTS: Mapping[str, Callable[[Any, Element, Children], bool]] = {
    "Array": _array, "Map": _map, "Object": _object, "Enum": _enum,
}  # fmt: skip
