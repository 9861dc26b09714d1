"""Laws of reading DTDL models: what the language demands, and what a model means for a city."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from citytwin.cli.city import city
from citytwin.errors import InputError
from citytwin.io.importers.dtdl import ModelError, columns_of, declared, options, parse, read_models


def _model(*contents: Any, language: Any = 3, name: Any = "A", also: Any = (), **more: Any) -> dict[str, Any]:
    context = [f"dtmi:dtdl:context;{language}", *(f"dtmi:dtdl:extension:{extension}" for extension in also)]
    return {"@context": context, "@id": f"dtmi:town:{name};1", "@type": "Interface", "contents": list(contents), **more}


def _telemetry(name: Any = "level", schema: Any = "double", **more: Any) -> dict[str, Any]:
    return {"@type": "Telemetry", "name": name, "schema": schema, **more}


def _nested(depth: int) -> Any:
    schema: Any = "double"
    for _ in range(depth):
        schema = {"@type": "Array", "elementSchema": schema}
    return schema


def _warm(**more: Any) -> dict[str, Any]:
    return _telemetry("heat", **{"@type": ["Telemetry", "Temperature"], "unit": "degreeCelsius"} | more)


QUANTITIES = ("quantitativeTypes;1",)
MQTT = ("mqtt;1",)
WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "a name of 65 letters in DTDL 2": ("stringTooLong", _model(_telemetry("a" * 65), language=2)),
    "a name that ends with _": ("stringInvalid", _model(_telemetry("level_"))),
    "no name": ("missingLiteralProperty", _model({"@type": "Telemetry", "schema": "double"})),
    "no schema": ("missingObjectProperty", _model({"@type": "Telemetry", "name": "level"})),
    "a schema nobody defines": ("badDtmiOrTerm", _model(_telemetry(schema="doubel"))),
    "a class where a schema belongs": ("badType", _model(_telemetry(schema="Telemetry"))),
    "two contents of one name": ("nonUniquePropertyValue", _model(_telemetry(), _telemetry())),
    "a property that no type allows": ("noTypeThatAllows", _model(_telemetry(colour="red"))),
    "a unit without a semantic type": ("noTypeThatAllows", _model(_telemetry(unit="metre"), language=2)),
    "a semantic type without a unit": ("missingSupplementalObjectProperty",
                                       _model({"@type": ["Telemetry", "Length"], "name": "a", "schema": "double"}, language=2)),
    "a unit of another quantity": ("badType", _model(_warm(unit="metre"), also=QUANTITIES)),
    "a semantic type on a string": ("notRequiredType", _model(_warm(schema="string"), also=QUANTITIES)),
    "a semantic type without its extension": ("typeUndefinedTerm", _model(_warm())),
    "a context nobody knows": ("unresolvableContextSpecifier", _model(also=("nothing;1",))),
    "a version nobody knows": ("unresolvableContextVersion", _model(also=("mqtt;99",))),
    "an array in a property of DTDL 2": ("excludedType", _model(
        {"@type": "Property", "name": "a", "schema": {"@type": "Array", "elementSchema": "double"}}, language=2)),
    "schemas six deep": ("excessiveDepthWide", _model(_telemetry(schema=_nested(6)))),
    "an enum whose values are of another kind": ("nonConformantDatatype", _model(_telemetry(
        schema={"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "on", "enumValue": "1"}]}))),
    "an enum of doubles": ("notRequiredValue", _model(_telemetry(schema={"@type": "Enum", "valueSchema": "double"}))),
    "a map with numbers as keys": ("notRequiredValue", _model(_telemetry(schema={
        "@type": "Map", "mapKey": {"name": "k", "schema": "integer"}, "mapValue": {"name": "v", "schema": "double"}}))),
    "a relation to at least one": ("valueAboveMax", _model({"@type": "Relationship", "name": "a", "minMultiplicity": 1})),
    "an interface that extends itself": ("recursiveStructureNarrow", _model(extends="dtmi:town:A;1")),
    "an identifier with a system segment": ("invalidId", _model(**{"@id": "dtmi:town:_a;1"})),
    "an identifier without version in DTDL 2": ("invalidId", _model(language=2, **{"@id": "dtmi:town:a"})),
    "an identifier of 129 letters": ("idTooLong", _model(**{"@id": "dtmi:" + "a" * 122 + ";1"})),
    "terms of its own": ("disallowedLocalContext", _model(**{"@context": ["dtmi:dtdl:context;3", {"a": "dtmi:b;1"}]})),
    "the extension before the language": ("missingDtdlContext", _model(**{"@context": ["dtmi:dtdl:extension:mqtt;1"]})),
    "a language tag in words": ("langStringInvalidCode", _model(displayName={"english": "A"})),
    "two classes at once": ("multipleMaterialTypes", _model(
        {"@type": ["Telemetry", "Property"], "name": "a", "schema": "double"})),
    "a wildcard in a topic": ("stringInvalid", _model(also=MQTT, payloadFormat="x", telemetryTopic="a/#",
                                                      **{"@type": ["Interface", "Mqtt"]})),
    "an annotation of nothing": ("notSiblingRequiredType", _model(
        _telemetry(annotates="other", **{"@type": ["Telemetry", "ValueAnnotation"]}), also=("annotation;1",))),
    "a stream that can be written": ("notRequiredBooleanValue", _model(
        {"@type": ["Property", "Streaming"], "name": "a", "schema": "double", "writable": True}, also=("streaming;1",))),
    "an override of what is not there": ("noMatchingSupplementalProperty", _model(_telemetry(), {
        "@type": ["Property", "ValueAnnotation", "Override"], "name": "a", "schema": "double", "annotates": "level",
        "overrides": "unit"}, also=("annotation;1", "overriding;1"))),
    "a model older than DTDL 2": ("unrecognizedContextVersion", _model(language=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_is_refused_in_one_line_with_the_parsers_word(name: str) -> None:
    word, model = WRONG[name]
    with pytest.raises(ModelError) as caught:
        parse([model])
    assert caught.value.validation == word
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "model",
    [
        _model(_telemetry("a" * 512)),
        _model(_telemetry(schema=_nested(5))),
        _model(_telemetry(schema="point"), displayName=[{"@value": "Ort", "@language": "de"}]),
        _model(_warm(), also=QUANTITIES),
        _model(_warm(), language=2),
        _model({"@type": ["Property", "Commercial"], "name": "a", "schema": "double", "brand": "x"}, language=2),
        _model({"@type": "dtmi:dtdl:class:Telemetry;3", "name": "a", "dtmi:dtdl:property:schema;3": "double"}),
        _model(**{"@id": "dtmi:town:a;1.2"}),
    ],
)
def test_a_model_at_the_limits_is_accepted(model: dict[str, Any]) -> None:
    assert len(parse([model])) == 1


def test_an_unknown_extension_is_accepted_only_on_request() -> None:
    model = _model({"@type": ["Property", "Flavour"], "name": "a", "schema": "double", "taste": "sour"}, also=("kitchen;1",))
    with pytest.raises(ModelError):
        parse([model])
    assert parse([model], options(["AllowUndefinedExtensions"]))["dtmi:town:A;1"].contents[0].cotypes == ("Flavour",)


def test_a_diamond_of_interfaces_inherits_each_content_once() -> None:
    top = _model(_telemetry(), name="Top")
    sides = [_model(name=name, extends="dtmi:town:Top;1") for name in ("Left", "Right")]
    bottom = _model(name="Bottom", extends=["dtmi:town:Left;1", "dtmi:town:Right;1"])
    contents = parse([bottom, *sides, top])["dtmi:town:Bottom;1"].contents
    assert [(content.name, content.inherited) for content in contents] == [("level", "dtmi:town:Top;1")]


def test_a_name_inherited_from_two_interfaces_is_refused() -> None:
    sides = [_model(_telemetry(), name=name) for name in ("Left", "Right")]
    with pytest.raises(ModelError, match="nonUniqueImportedPropertyValue"):
        parse([_model(name="Bottom", extends=["dtmi:town:Left;1", "dtmi:town:Right;1"]), *sides])


def test_a_schema_of_another_interface_is_out_of_reach() -> None:
    point = {"@id": "dtmi:town:Point;1", "@type": "Object", "fields": [{"name": "x", "schema": "double"}]}
    with pytest.raises(ModelError, match="crossPartitionReference"):
        parse([_model(schemas=[point]), _model(_telemetry(schema="dtmi:town:Point;1"), name="B")])


def test_what_is_named_and_not_defined_is_said_by_name() -> None:
    with pytest.raises(ModelError, match="dtmi:town:Pump;1"):
        parse([_model({"@type": "Component", "name": "pump", "schema": "dtmi:town:Pump;1"})])


def test_the_smart_city_interfaces_load_and_resolve(shared: Path) -> None:
    interfaces = parse(read_models([shared / "dtdl" / "smartcities"]))
    assert len(interfaces) == 63
    said = declared(interfaces)
    assert len({kind["kind"] for kind in said["kinds"]}) == 63
    assert {column.unit for column in columns_of(interfaces) if column.name == "air_quality_observed_temperature"} == {"degC"}


def test_telemetry_becomes_columns_and_relationships_become_relations() -> None:
    contents = (_warm(), _telemetry("state", "string"), {"@type": "Property", "name": "maker", "schema": "string"},
                {"@type": "Relationship", "name": "isFedBy", "target": "dtmi:town:A;1"})  # fmt: skip
    kind = declared([_model(*contents, also=QUANTITIES, name="A")])["kinds"][0]
    assert [(column["name"], column["unit"]) for column in kind["columns"]] == [("a_heat", "degC")]
    assert [attribute["name"] for attribute in kind["attributes"]] == ["maker"]
    assert [event["name"] for event in kind["events"]] == ["state"]
    assert [(relation["kind"], relation["target"]) for relation in kind["relations"]] == [("is_fed_by", "a")]


def test_the_command_lists_the_kinds_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(_model(_telemetry())), encoding="utf-8-sig")
    result = CliRunner().invoke(city, ["models", str(file), "--json"], catch_exceptions=False)
    assert json.loads(result.stdout)["kinds"][0]["columns"][0]["property"] == "level"


def test_a_file_with_a_property_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"@context": "dtmi:dtdl:context;3", "@id": "dtmi:a;1", "@id": "dtmi:b;1"}', encoding="utf-8")
    with pytest.raises(InputError, match="duplicatePropertyName"):
        read_models([file])


def test_a_schema_too_deep_to_read_is_refused_as_too_deep() -> None:
    with pytest.raises(ModelError, match="excessiveDepthWide"):
        parse([_model(_telemetry(schema=_nested(3000)))])


def test_interfaces_whose_names_end_alike_become_kinds_of_different_names() -> None:
    models = [_model(**{"@id": identifier}) for identifier in ("dtmi:a:Pump;1", "dtmi:b:Pump;1", "dtmi:b:Pump;2")]
    assert [kind["kind"] for kind in declared(models)["kinds"]] == ["a_pump", "b_pump", "b_pump_2"]
