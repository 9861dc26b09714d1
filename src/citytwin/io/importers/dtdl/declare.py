"""DTDL interfaces in the words of a city: kinds with attributes, columns, relations and parts.

A numeric Telemetry is a column, and so is a numeric Property that has a unit (many models give measurements as properties);
every other Property is an attribute. A Relationship is a kind of relation, a Component a part. A kind with columns is a kind
of device. Nothing is written into a city by this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from citytwin import units
from citytwin.columns import Column
from citytwin.io.importers.dtdl.dtmi import last_name
from citytwin.io.importers.dtdl.grammar import NUMERIC
from citytwin.io.importers.dtdl.model import Content, Interface, Options, Schema, parse
from citytwin.io.importers.dtdl.quantities import UNIT_NAMES

ATTRIBUTE_TYPES: Mapping[str, str] = {
    "boolean": "bool", "string": "text", "date": "date", "dateTime": "time", "time": "text", "duration": "text",
    "Enum": "category", "uuid": "text", "bytes": "text", "Array": "json", "Map": "json", "Object": "json",
} | {kind: "number" for kind in NUMERIC}  # fmt: skip


def snake(name: str) -> str:
    """A name as columns and kinds are written: `AirQualityObserved` is `air_quality_observed`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"_+", "_", parts).lower()


def declared(models: Iterable[Any] | Mapping[str, Interface], settings: Options | None = None) -> dict[str, Any]:
    """What DTDL models declare, as plain JSON values: {"kinds": [...], "relations": [...]}.

    models: JSON models, or interfaces that `parse` gave. Raises as `parse` does.
    """
    interfaces = models if isinstance(models, Mapping) else parse(models, settings)
    names = _names(interfaces)
    kinds = [_kind(interface, names) for interface in interfaces.values()]
    relations: dict[str, set[tuple[str, str]]] = {}
    for kind in kinds:
        for relation in kind["relations"]:
            relations.setdefault(relation["kind"], set()).add((kind["kind"], relation["target"]))
    return {
        "kinds": kinds,
        "relations": [
            {"kind": name, "between": [{"from": begin, "to": end} for begin, end in sorted(ends)]}
            for name, ends in sorted(relations.items())
        ],
    }


def columns_of(interfaces: Mapping[str, Interface]) -> list[Column]:
    """The columns of table `device` that the interfaces declare: those whose unit is given and known."""
    kinds: list[dict[str, Any]] = declared(interfaces)["kinds"]
    return [
        Column(column["name"], "device", column["unit"], column["meaning"], source=kind["id"])
        for kind in kinds
        for column in kind["columns"]
        if column["unit"] is not None
    ]


def in_words(said: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What `declared` says as rows of words for a person: kind, sort of content, name, what it is."""
    rows: list[tuple[str, ...]] = []
    for kind in said["kinds"]:
        rows.append((kind["kind"], "", kind["id"], "extends " + ", ".join(kind["extends"]) if kind["extends"] else ""))
        rows += [("", "column", c["name"], c["unit"] or "no known unit") for c in kind["columns"]]
        rows += [("", "attribute", a["name"], a["type"]) for a in kind["attributes"]]
        rows += [("", "event", e["name"], e["type"]) for e in kind["events"]]
        rows += [("", "relation", r["kind"], "to " + r["target"]) for r in kind["relations"]]
        rows += [("", "part", p["name"], p["kind"]) for p in kind["parts"]]
        rows += [("", "command", c, "") for c in kind["commands"]]
    return rows


def _names(interfaces: Iterable[str]) -> dict[str, str]:
    """A kind's name for each interface: the last segment, with as many before it as make it unique."""
    listed = list(interfaces)
    often = Counter(snake(last_name(identifier)) for identifier in listed)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for identifier in listed:
        segments = identifier.partition(";")[0].split(":")[1:]
        name = snake(segments[-1])
        name = name if often[name] == 1 else snake("_".join(segments[-2:]))
        if name in taken:
            name = snake("_".join(segments)) + "_" + re.sub(r"\D", "_", identifier.partition(";")[2])
        found[identifier] = name
        taken.add(name)
    return found


def _kind(interface: Interface, names: Mapping[str, str]) -> dict[str, Any]:
    columns = [c for c in interface.contents if _is_column(c)]
    return {
        "kind": names[interface.id], "table": "device" if columns else None, "id": interface.id,
        "title": interface.title, "meaning": interface.description,
        "language": interface.language, "extends": [names.get(parent, parent) for parent in interface.extends],
        "attributes": [_attribute(c) for c in interface.of("Property") if c not in columns],
        "columns": [_column(c, names[interface.id]) for c in columns],
        "events": [_attribute(c) for c in interface.of("Telemetry") if c not in columns],
        "relations": [_relation(c, names) for c in interface.of("Relationship")],
        "parts": [{"name": snake(c.name), "kind": names.get(c.target, c.target)} for c in interface.of("Component")],
        "commands": [snake(c.name) for c in interface.of("Command")],
    }  # fmt: skip


def _is_column(content: Content) -> bool:
    numeric = content.schema is not None and content.schema.kind in NUMERIC
    return numeric and (content.kind == "Telemetry" or (content.kind == "Property" and bool(content.unit)))


def _column(content: Content, kind: str) -> dict[str, Any]:
    return {
        "name": f"{kind}_{snake(content.name)}", "property": content.name, "unit": unit_of(content.unit),
        "unit_given": content.unit, "meaning": content.description or content.title, "semantic": list(content.cotypes),
    }  # fmt: skip


def unit_of(given: str) -> str | None:
    """The unit that `citytwin.units` reads for a DTDL unit: "m/s" for metrePerSecond; None if none is known or given."""
    unit = UNIT_NAMES.get(given)
    return unit if unit is not None and units.compatible(unit, unit) else None


def _attribute(content: Content) -> dict[str, Any]:
    schema = content.schema or Schema("string")
    found: dict[str, Any] = {
        "name": snake(content.name), "property": content.name, "type": ATTRIBUTE_TYPES.get(schema.kind, "geometry"),
        "writable": content.writable, "meaning": content.description or content.title,
    }  # fmt: skip
    if schema.values:
        found["categories"] = [name for name, _ in schema.values]
    return found


def _relation(content: Content, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kind": snake(content.name), "target": names.get(content.target, content.target) or "any",
        "meaning": content.description or content.title, "attributes": [_attribute(part) for part in content.properties],
    }  # fmt: skip
