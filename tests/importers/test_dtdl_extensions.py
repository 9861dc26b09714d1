"""Co-types of extensions: what each asks of the element, of the object it lies in, of the schema and of its values."""

from __future__ import annotations

from typing import Any

import pytest

from citytwin.io.importers.dtdl import ModelError, parse

MQTT = "dtmi:dtdl:extension:mqtt;4"
OPERATIONS = "dtmi:iotoperations:context;4"
REQUIREMENT = "dtmi:dtdl:extension:requirement;1"


def interface(extensions: list[str], types: Any = "Interface", **more: Any) -> dict[str, Any]:
    return {"@context": ["dtmi:dtdl:context;4", *extensions], "@id": "dtmi:x:i;1", "@type": types, **more}


def holding(types: Any, *fields: tuple[str, Any, Any]) -> dict[str, Any]:
    made = [{"name": name, "@type": kinds, "schema": schema} for name, kinds, schema in fields]
    return {"@id": "dtmi:x:o;1", "@type": types, "fields": made}


def measured(*types: str, schema: str = "double", **more: Any) -> dict[str, Any]:
    return interface([OPERATIONS], contents=[{"@type": ["Telemetry", *types], "name": "t", "schema": schema, **more}])


def grouped(**more: Any) -> dict[str, Any]:
    return interface([OPERATIONS], contents=[{"@type": ["Command", "GroupMember"], "name": "c", **more}])


ENUM = {"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": 1}]}
ERROR = {"@id": "dtmi:x:e;1", "@type": ["Object", "Error"], "fields": []}
NORMAL = ("a", ["Field", "NormalResult"], "double")


def result(*fields: tuple[str, Any, Any], more: tuple[str, ...] = ()) -> dict[str, Any]:
    return interface([MQTT, *more], schemas=[holding(["Object", "Result"], *fields), ERROR])


def error(*fields: tuple[str, Any, Any], types: Any = ("Object", "Error")) -> dict[str, Any]:
    return interface([MQTT], schemas=[holding(list(types), *fields)])


VALID = {
    "a result": result(NORMAL, ("b", ["Field", "ErrorResult"], "dtmi:x:e;1"), ("c", ["Field", "ErrorCode"], ENUM)),
    "an error": error(
        ("m", ["Field", "ErrorMessage"], "string"), ("n", "Field", "double"), ("c", ["Field", "ErrorCode"], ENUM)
    ),
    "a required field": interface([REQUIREMENT], schemas=[holding("Object", ("a", ["Field", "Required"], "double"))]),
    "a group": grouped(group="a" * 128),
    "limits of a number": measured("Limited", minimum=0.5, maximum=3),
    "limits of a whole number": measured("Limited", schema="byte", minimum=-128),
    "places": measured("Precise", decimalPlaces=2),
    "a factor": measured("ScaledStatically", scaleFactor=0.1),
    "a subject": interface([OPERATIONS], schemas=[holding(["Object", "Detail"], ("a", ["Field", "Subject"], "string"))]),
    "an ontology": interface([OPERATIONS], ["Interface", "Composite"], ontology="o"),
}
INVALID = {
    "notRequiredType": [
        result(NORMAL, ("d", "Field", "double")),
        result(NORMAL, ("b", ["Field", "ErrorResult"], "double")),
        error(("m", ["Field", "ErrorMessage"], "integer")),
        error(("c", ["Field", "ErrorCode"], "integer")),
        measured("Precise", decimalPlaces=2, schema="string"),
    ],
    "parentMissingCotype": [
        error(NORMAL, types=["Object"]),
        error(("m", ["Field", "ErrorMessage"], "string"), types=["Object"]),
        interface([OPERATIONS], schemas=[holding("Object", ("a", ["Field", "Subject"], "string"))]),
    ],
    "nonUniqueAdjunctType": [result(NORMAL, ("b", ["Field", "NormalResult"], "double"))],
    "disallowedCocotype": [
        result(("a", ["Field", "NormalResult", "Required"], "double"), more=(REQUIREMENT,)),
        interface([OPERATIONS], ["Interface", "Composite", "Event"], ontology="o"),
    ],
    "missingSupplementalLiteralProperty": [grouped(), measured("Precise"), measured("Qualified")],
    "stringInvalid": [grouped(group="##not valid")],
    "stringTooLong": [grouped(group="a" * 129)],
    "nonConformantPropertyValue": [
        measured("Limited", schema="integer", minimum=0.5),
        measured("Limited", schema="byte", maximum=128),
    ],
    "invalidCotype": [measured("Congruence", typeRef="x"), measured("Detail")],
}  # fmt: skip


@pytest.mark.parametrize("name", VALID)
def test_what_an_extension_allows_is_read(name: str) -> None:
    assert "dtmi:x:i;1" in parse([VALID[name]])


@pytest.mark.parametrize(("word", "model"), [(word, model) for word, models in INVALID.items() for model in models])
def test_what_an_extension_forbids_is_refused_with_its_word(word: str, model: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        parse([model])
    assert caught.value.validation == word


FIELDS = [{"name": "a", "schema": ENUM}, {"name": "b", "schema": "boolean"}]
LIST, MAP = {"@type": "Array", "elementSchema": "string"}, {"@type": "Map", "mapKey": {"name": "k", "schema": "string"}}
VALUES: list[tuple[Any, Any, bool]] = [
    ("double", 3.14, True), ("double", "3.14", False), ("integer", 2**31 - 1, True), ("integer", 2**31, False),
    ("long", 2**40, True), ("boolean", 1, False), ("dateTime", "1985-10-26T01:24:00-07:00", True), ("string", "", True),
    ("dateTime", "1985-10-26", False), ("date", "2024-13-01", False), ("duration", "P1DT2H", True), ("duration", "P", False),
    (LIST, ["a", "b"], True), (LIST, ["a", 1], False), ({"@type": "Object", "fields": FIELDS}, {"a": 1, "b": True}, True),
    ({"@type": "Object", "fields": FIELDS}, {"a": 2}, False), ({"@type": "Object", "fields": FIELDS}, {"c": 1}, False),
    (ENUM, 1, True), (ENUM, True, False), (MAP | {"mapValue": {"name": "v", "schema": "double"}}, {"x": 1.5}, True),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "valid"), VALUES)
def test_an_initial_or_default_value_is_a_value_of_its_schema(schema: Any, value: Any, valid: bool) -> None:
    first = {"@type": ["Property", "Initialized"], "name": "p", "schema": schema, "initialValue": value}
    request = {"@type": ["CommandRequest", "Optional"], "name": "r", "schema": schema, "defaultValue": value}
    for content in (first, {"@type": "Command", "name": "c", "request": request}):
        model = interface([], contents=[content])
        model["@context"] = ["dtmi:dtdl:context;3", *(f"dtmi:dtdl:extension:{n};1" for n in ("initialization", "optionality"))]
        if valid:
            parse([model])
            continue
        with pytest.raises(ModelError) as caught:
            parse([model])
        assert caught.value.validation == "nonConformantPropertyValue"


@pytest.mark.parametrize(("schema", "valid"), [("Array", False), ("Map", False), ("Object", True)])
def test_in_dtdl_4_a_schema_may_hold_itself_only_by_way_of_an_object(schema: str, valid: bool) -> None:
    inner = {
        "Array": {"elementSchema": "dtmi:x:o;1"},
        "Map": {"mapKey": {"name": "k", "schema": "string"}, "mapValue": {"name": "v", "schema": "dtmi:x:o;1"}},
        "Object": {"fields": [{"name": "f", "schema": {"@type": "Array", "elementSchema": "dtmi:x:o;1"}}]},
    }[schema]
    model = interface([], schemas=[{"@id": "dtmi:x:o;1", "@type": schema, **inner}])
    if valid:
        parse([model])
        return
    with pytest.raises(ModelError) as caught:
        parse([model])
    assert caught.value.validation == "recursiveStructureWide"


@pytest.mark.parametrize(
    ("kind", "unit", "valid"),
    [
        ("Temperature", "kelvin", True),
        ("Temperature", "metre", False),
        ("Throttle", "percent", True),
        ("GasLeakageRate", "u", True),
    ],
)
def test_the_newest_quantities_refuse_units_of_another_one(kind: str, unit: str, valid: bool) -> None:
    content = {"@type": ["Telemetry", kind], "name": "t", "schema": "double", "unit": unit}
    model = interface(["dtmi:dtdl:extension:quantitativeTypes;3"], contents=[content])
    if valid:
        parse([model])
        return
    with pytest.raises(ModelError):
        parse([model])
