"""The classes of DTDL 2, 3 and 4 as tables: which properties an element has, of what kind, and their limits.

From the language specifications (DTDL.v2.md, DTDL.v3.md, DTDL.v4.md). What is checked lies here, how lies in `reader`
and `checks`: a new version of the language is rows, not code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGES = (2, 3, 4)
NAME = r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?"


@dataclass(frozen=True)
class Rule:
    """One property of one class.

    kind: "string", "language" (localizable), "integer", "boolean", "literal" (whole number or string), "dtmi", "json" (any), or
    "element" of one of `classes` (the first is meant where `@type` may be left out). least, most: how many values.
    longest: characters. low, high: bounds. unique: properties whose value differs among the values. named: `@id` needed.
    """

    kind: str
    classes: tuple[str, ...] = ()
    least: int = 0
    most: int | None = 1
    longest: int | None = None
    pattern: str | None = None
    low: int | None = None
    high: int | None = None
    unique: tuple[str, ...] = ()
    named: bool = False
    only: tuple[str, ...] = ()


COMPLEX = ("Array", "Enum", "Map", "Object")
CONTENTS = ("Command", "Component", "Property", "Relationship", "Telemetry")
UNTYPED = ("Field", "EnumValue", "MapKey", "MapValue", "CommandPayload", "CommandRequest", "CommandResponse")

PRIMITIVES: Mapping[int, tuple[str, ...]] = {
    2: ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time"),
    3: ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string", "time"),
    4: ("boolean", "byte", "bytes", "date", "dateTime", "decimal", "double", "duration", "float", "integer", "long",
        "scaledDecimal", "short", "string", "time", "unsignedByte", "unsignedInteger", "unsignedLong", "unsignedShort", "uuid"),
}  # fmt: skip
NUMERIC = {"byte", "decimal", "double", "float", "integer", "long", "scaledDecimal", "short", "unsignedByte", "unsignedInteger",
           "unsignedLong", "unsignedShort"}  # fmt: skip
GEOSPATIAL = ("lineString", "multiLineString", "multiPoint", "multiPolygon", "point", "polygon")
COMMAND_TYPES = ("synchronous", "asynchronous")

DISPLAY = {2: 64, 3: 512, 4: 512}
NAMES = {2: 64, 3: 512, 4: 512}
SCHEMA_DEPTH = {2: 5, 3: 5, 4: 8}
EXTENDS_DEPTH = {2: 10, 3: 10, 4: 12}
EXTENDS_COUNT: Mapping[int, int | None] = {2: None, 3: 1024, 4: 1024}
CONTENT_COUNT: Mapping[int, int] = {2: 300, 3: 100_000, 4: 100_000}
INTERFACE_BYTES: Mapping[int, int | None] = {2: None, 3: 1 << 20, 4: 1 << 20}
EARLIER: Mapping[int, tuple[int, ...]] = {2: (2,), 3: (3, 2), 4: (4, 3, 2)}

SCHEMA = Rule("element", ("Schema",), least=1)


def _classes(language: int) -> dict[str, dict[str, Rule]]:
    old = language == 2
    entity = {
        "comment": Rule("string", longest=512),
        "description": Rule("language", longest=512, most=None),
        "displayName": Rule("language", longest=DISPLAY[language], most=None),
    }
    named = entity | {"name": Rule("string", least=1, longest=NAMES[language], pattern=NAME)}
    typed = named | {"schema": SCHEMA}
    payload = typed if language < 4 else typed | {"nullable": Rule("boolean")}
    payloads = {"CommandPayload": payload} if old else {"CommandRequest": payload, "CommandResponse": payload}
    request, response = ("CommandPayload", "CommandPayload") if old else ("CommandRequest", "CommandResponse")
    return payloads | {
        "Interface": entity | {
            "contents": Rule("element", CONTENTS, most=300 if old else None, unique=("name",)),
            "extends": Rule("element", ("Interface",), most=2 if old else None),
            "schemas": Rule("element", COMPLEX, most=None, named=True),
        },
        "Telemetry": typed,
        "Property": typed | {"writable": Rule("boolean")},
        "Command": named | {
            "commandType": Rule("element", ("CommandType",)),
            "request": Rule("element", (request,)),
            "response": Rule("element", (response,)),
        },
        "Relationship": named | {
            "maxMultiplicity": Rule("integer", low=1, high=500 if old else None),
            "minMultiplicity": Rule("integer", low=0, high=0),
            "properties": Rule("element", ("Property",), most=300 if old else None, unique=("name",)),
            "target": Rule("dtmi", longest=2048),
            "writable": Rule("boolean"),
        },
        "Component": named | {"schema": Rule("element", ("Interface",), least=1)},
        "Array": entity | {"elementSchema": SCHEMA},
        "Enum": entity | {
            "enumValues": Rule("element", ("EnumValue",), int(old), 100 if old else None, unique=("name", "enumValue")),
            "valueSchema": Rule("element", ("Primitive",), least=1, only=("integer", "string")),
        },
        "EnumValue": named | {"enumValue": Rule("literal", least=1)},
        "Map": entity | {
            "mapKey": Rule("element", ("MapKey",), least=1),
            "mapValue": Rule("element", ("MapValue",), least=1),
        },
        "MapKey": named | {"schema": Rule("element", ("Primitive",), least=1, only=("string",))},
        "MapValue": typed,
        "Object": entity | {"fields": Rule("element", ("Field",), int(old), 30 if old else None, unique=("name",))},
        "Field": typed,
    }  # fmt: skip


CLASSES: Mapping[int, Mapping[str, Mapping[str, Rule]]] = {language: _classes(language) for language in LANGUAGES}

ABSTRACT = ("Entity", "NamedEntity", "Content", "Schema", "ComplexSchema", "PrimitiveSchema", "NumericSchema", "CommandType",
            "TemporalSchema", "SchemaField")  # fmt: skip
TERMS: Mapping[int, frozenset[str]] = {
    language: frozenset(
        [*CLASSES[language], *ABSTRACT, *PRIMITIVES[language], *GEOSPATIAL, *COMMAND_TYPES, "languageMajorVersion"]
        + [name[0].upper() + name[1:] for name in PRIMITIVES[language]]
        + [name for rules in CLASSES[language].values() for name in rules]
    )
    for language in LANGUAGES
}
"""Every term that the context of the language itself defines."""

# What becomes of a @type or a property that means nothing here. "tenable": allowed where an unknown extension is in use.
APOCRYPHA: Mapping[int, Mapping[tuple[str, str], str]] = {
    language: {
        ("type", "InvalidDtmi"): "invalid",
        ("type", "IrrelevantDtmiOrTerm"): "tenable",
        ("type", "NotDtmiNorTerm"): "valid" if language == 2 else "invalid",
        ("type", "UndefinedTerm"): "valid" if language == 2 else "tenable",
        ("property", "InvalidDtmi"): "valid" if language == 2 else "invalid",
        ("property", "IrrelevantDtmiOrTerm"): "valid" if language == 2 else "tenable",
        ("property", "NotDtmiNorTerm"): "valid" if language == 2 else "invalid",
        ("property", "UndefinedTerm"): "valid" if language == 2 else "tenable",
    }
    for language in LANGUAGES
}
