"""Payloads of devices that speak another JSON: declared in `mappings.toml` of the city folder, read without code.

Each `[[mapping]]` names topics, and where in the payload device, value, time and unit stand; docs/how-to/map-payloads.md
shows every entry.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from citytwin.errors import InputError, nearest
from citytwin.io.feeds.topics import Pattern
from citytwin.jsonable import NOT_JSON

FILE = "mappings.toml"
FIELDS = ("topic", "device", "value", "time", "time_unit", "unit", "scale", "offset", "each", "kind", "values", "base")
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
RELATIVE = 2.0**28  # SenML: times below are relative to now (RFC 8428, section 4.5.3)


class Place:
    """A place in a JSON document: names between dots, `[3]`, `[*]`; a name with dots in it stands in quotes."""

    _step = re.compile(r'\.?(?:"([^"]+)"|([^.\[\]"]+))|\[(\d+|\*)\]')

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.steps: list[str | int | None] = []  # None: all places
        at = 0
        while at < len(text):
            found = self._step.match(text, at)
            if found is None:
                raise InputError(f'"{text}" is not a path', where, 'like payload.level, readings[0].v, readings[*] or "a.b".c')
            quoted, name, place = found.groups()
            self.steps.append(quoted or name if place is None else None if place == "*" else int(place))
            at = found.end()

    def all(self, document: Any) -> Iterator[Any]:
        """Everything that stands there; nothing where it does not exist."""
        yield from _walk(document, self.steps, 0)

    def first(self, document: Any) -> Any:
        """What stands there first, or None."""
        return next(self.all(document), None)


def _walk(here: Any, steps: list[str | int | None], at: int) -> Iterator[Any]:
    if at == len(steps):
        yield here
        return
    step = steps[at]
    if step is None:
        for each in here if isinstance(here, list) else here.values() if isinstance(here, dict) else ():
            yield from _walk(each, steps, at + 1)
    elif isinstance(step, int):
        if isinstance(here, list) and step < len(here):
            yield from _walk(here[step], steps, at + 1)
    elif isinstance(here, dict) and step in here:
        yield from _walk(here[step], steps, at + 1)


@dataclass(frozen=True)
class Spoken:
    """One reading as a mapping found it; None where the payload does not say it. `time`: s since 1970 or a moment."""

    device: str | None
    value: float | None
    time: float | dt.datetime | None
    unit: str | None
    kind: str


@dataclass
class PayloadMapping:
    """One entry of `mappings.toml`."""

    pattern: Pattern
    device: str
    device_path: Place | None
    value: Place
    time: Place | None
    time_scale: float
    unit: str | None
    unit_path: Place | None
    scale: float
    offset: float
    each: Place | None
    kind: str
    base: str
    values: Mapping[str, float] = field(default_factory=dict)

    def readings(self, levels: Mapping[str, str], document: Any) -> Iterator[Spoken]:
        """The readings in one payload."""
        carried: dict[str, Any] = {}
        for item in self.each.all(document) if self.each is not None else (document,):
            if self.base == "senml" and isinstance(item, dict):
                item, carried = _resolved(item, carried)
            value = self.value.first(item)
            if self.each is not None and value is None:
                continue  # an entry about something else
            named = self.device_path.first(item) if self.device_path is not None else None
            if named is None and self.device_path is not None:
                named = self.device_path.first(document)
            words = {**levels, "device": "" if named is None else str(named)}
            device = self.device.format_map(words) if named is not None or self.device_path is None else None
            yield Spoken(device, self._number(value), self._when(item, document), self._unit(item), self.kind)

    def _number(self, value: Any) -> float | None:
        if isinstance(value, (bool, str)):
            word = str(value).lower() if isinstance(value, bool) else value
            if word in self.values:
                return self.values[word]
            try:
                value = float(value) if isinstance(value, str) else None
            except ValueError:
                return None
        return value * self.scale + self.offset if isinstance(value, (int, float)) else None

    def _when(self, item: Any, document: Any) -> float | dt.datetime | None:
        if self.time is None:
            return None
        found = self.time.first(item)
        if found is None and item is not document:
            found = self.time.first(document)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return float(found) * self.time_scale
        if isinstance(found, str):
            try:
                return dt.datetime.fromisoformat(found)
            except ValueError:
                return -1.0  # said, and unreadable
        return None if found is None else -1.0

    def _unit(self, item: Any) -> str | None:
        found = self.unit_path.first(item) if self.unit_path is not None else None
        return str(found) if found is not None else self.unit


def _resolved(record: dict[str, Any], carried: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A SenML record with its base values added (RFC 8428, section 4.6); and the base values that hold from here on."""
    carried = carried | {k: record[k] for k in ("bn", "bt", "bu", "bv") if k in record}
    found = dict(record)
    found["n"] = f"{carried.get('bn', '')}{record.get('n', '')}"
    if "u" not in found and "bu" in carried:
        found["u"] = carried["bu"]
    try:
        if "v" in record or "bv" in carried:
            found["v"] = record.get("v", 0) + carried.get("bv", 0)
        time = record.get("t", 0) + carried.get("bt", 0)
    except TypeError:  # a base that is no number
        return found | {"v": None, "t": "?"}, carried
    found.pop("t", None)
    if time >= RELATIVE:
        found["t"] = time
    return found, carried


class Mappings:
    """All mappings of a city, the first that matches a topic counts."""

    def __init__(self, mappings: list[PayloadMapping] | None = None) -> None:
        self.mappings = mappings or []
        self._decode = msgspec.json.Decoder().decode

    @property
    def filters(self) -> list[str]:
        """The topic filters under which devices with mappings publish."""
        return [m.pattern.plain for m in self.mappings]

    def spoken(self, topic: str, payload: bytes) -> list[Spoken] | None:
        """The readings in `payload`; None where no mapping is meant. Empty: nothing in it could be read."""
        for mapping in self.mappings:
            levels = mapping.pattern.matches(topic)
            if levels is None:
                continue
            try:
                document = self._decode(payload)
            except NOT_JSON:
                return []
            try:
                return list(mapping.readings(levels, document))
            except RecursionError:
                return []
        return None


def read_mappings(folder: Path) -> Mappings:
    """The mappings of the city in `folder`; none where it has no `mappings.toml`. Raises InputError."""
    path = folder / FILE
    if not path.is_file():
        return Mappings()
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", str(path)) from error
    entries = said.get("mapping", [])
    if set(said) - {"mapping"} or not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError("holds something other than [[mapping]] entries", str(path))
    return Mappings([_mapping(entry, f"{path}, mapping {n}") for n, entry in enumerate(entries, 1)])


def _mapping(entry: dict[str, Any], where: str) -> PayloadMapping:
    for name in entry:
        if name not in FIELDS:
            raise InputError(f'"{name}" is not known', where, f"{nearest(name, FIELDS) or ''}; known: {', '.join(FIELDS)}")
    for name in ("topic", "value", "device"):
        if name not in entry:
            raise InputError(f"{name} is missing", where)
    pattern = Pattern(_text(entry, "topic", where))
    device, device_path = _either(entry, "device", where)
    unit, unit_path = _either(entry, "unit", where)
    levels = {*re.findall(r"\{(\w+)\}", pattern.text), *(("device",) if device_path else ())}
    for name in re.findall(r"\{(\w*)\}", device or ""):
        if name not in levels:
            there = ", ".join(sorted(levels)) or "no named level"
            raise InputError(f"device speaks of {{{name}}}", where, f"the topic has: {there}")
    time_unit = entry.get("time_unit", "s")
    if time_unit not in TIME_UNITS:
        raise InputError(f'time_unit "{time_unit}"', where, f"allowed: {', '.join(TIME_UNITS)}")
    if entry.get("base", "") not in ("", "senml"):
        raise InputError(f'base "{entry["base"]}"', where, "allowed: senml")
    values = entry.get("values", {})
    if not isinstance(values, dict) or not all(isinstance(v, (int, float)) for v in values.values()):
        raise InputError("values must be numbers by word", where, "like {occupied = 1, free = 0}")
    return PayloadMapping(
        pattern, device or "{device}", device_path, Place(_text(entry, "value", where), where),
        Place(_text(entry, "time", where), where) if "time" in entry else None, TIME_UNITS[time_unit], unit, unit_path,
        _number(entry, "scale", 1.0, where), _number(entry, "offset", 0.0, where),
        Place(_text(entry, "each", where), where) if "each" in entry else None,
        _text(entry, "kind", where) if "kind" in entry else "", entry.get("base", ""), {k: float(v) for k, v in values.items()},
    )  # fmt: skip


def _text(entry: dict[str, Any], name: str, where: str) -> str:
    if not isinstance(entry[name], str) or not entry[name]:
        raise InputError(f"{name} must be text", where)
    return str(entry[name])


def _number(entry: dict[str, Any], name: str, default: float, where: str) -> float:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{name} must be a number", where)
    return float(value)


def _either(entry: dict[str, Any], name: str, where: str) -> tuple[str | None, Place | None]:
    """`name = "text"`, or `name = {path = "...", as = "prefix-{device}"}`."""
    said = entry.get(name)
    if said is None:
        return None, None
    if isinstance(said, dict) and isinstance(said.get("path"), str) and not set(said) - {"path", "as"}:
        text = said.get("as")
        return (str(text) if text is not None else None), Place(said["path"], where)
    return _text(entry, name, where), None
