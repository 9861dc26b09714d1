"""The city as NGSI-LD and GeoJSON: what a context broker and any map program need."""

from __future__ import annotations

import json
import re
from datetime import datetime

import geopandas as gpd
import numpy as np
import pytest
from click.testing import CliRunner
from sensing import BEGIN

from citytwin.cli.city import city as command
from citytwin.io.exporters.ngsi import UNIT_CODES, Exporter, Reading, measured_name

URI = re.compile(r"urn:ngsi-ld:[A-Za-z0-9]+:[A-Za-z0-9%._~-]+")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def check(entity):
    """The rules of ETSI GS CIM 009 for an entity in its normalised form (clauses 4.5 and 4.6)."""
    assert URI.fullmatch(entity["id"])
    assert entity["id"].split(":")[2] == entity["type"]
    assert entity["@context"][-1].startswith("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context")
    for name, each in entity.items():
        if name in ("id", "type", "@context"):
            continue
        assert NAME.fullmatch(name)
        for instance in each if isinstance(each, list) else [each]:
            if instance["type"] == "Relationship":
                assert URI.fullmatch(instance["object"])
            elif instance["type"] == "GeoProperty":
                assert instance["value"]["coordinates"]
            else:
                assert instance["type"] == "Property"
                assert instance["value"] is not None
        if isinstance(each, list):
            assert len({i["datasetId"] for i in each}) == len(each)


@pytest.fixture(scope="module")
def city(made_city):
    from citytwin.city import read_city

    return read_city(made_city)


def test_every_thing_of_every_table_is_a_right_entity(city):
    keys = city.table("device")["key"].tolist()
    told = json.loads(b"".join(Exporter(city, city.columns, {keys[0]: Reading(1.5, BEGIN)}).lines()))
    assert len(told) == sum(city.size(t) for t in city.tables)
    for entity in told:
        check(entity)
    ids = [e["id"] for e in told]
    assert len(set(ids)) == len(ids)
    related = {
        r["object"]
        for e in told
        for v in e.values()
        for r in (v if isinstance(v, list) else [v])
        if isinstance(r, dict) and r.get("type") == "Relationship"
    }
    assert related
    assert related <= set(ids)


def test_a_device_is_typed_by_its_smart_data_model_and_says_what_it_measures(city):
    devices = city.table("device")
    readings = {k: Reading(2.5, BEGIN) for k in devices["key"]}
    entities = json.loads(b"".join(Exporter(city, city.columns, readings).lines(["device"])))
    for kind, entity in zip(devices["kind"], entities, strict=True):
        declared = city.columns.kinds[kind]
        if "/" in declared.model:
            assert entity["type"] == declared.model.split("/")[1].split(".")[0]
        measured = entity[measured_name(declared)]
        assert measured["value"] == 2.5
        assert datetime.fromisoformat(measured["observedAt"]).timestamp() == BEGIN
        if UNIT_CODES.get(declared.column.unit):
            assert measured["unitCode"] == UNIT_CODES[declared.column.unit]
        assert entity["location"]["value"]["type"] == "Point"


def test_the_command_writes_files_that_others_open(made_city, tmp_path):
    answer = CliRunner().invoke(
        command,
        [
            "export",
            str(made_city),
            "--ngsi-ld",
            str(tmp_path / "city.jsonld"),
            "--geojson",
            str(tmp_path / "tables"),
            "--table",
            "facility",
            "--json",
        ],
    )
    assert answer.exit_code == 0, answer.output
    assert {e["type"] for e in json.loads((tmp_path / "city.jsonld").read_text())} == {"PointOfInterest"}
    roads = gpd.read_file(tmp_path / "tables" / "road.geojson")
    from citytwin.city import read_city

    ours = read_city(made_city).table("road")
    assert roads["key"].tolist() == ours["key"].tolist()
    assert np.abs(roads.to_crs(ours.crs).length - ours.length).max() < 0.1


def test_a_command_without_a_format_says_what_is_needed(made_city):
    from citytwin.errors import InputError

    answer = CliRunner().invoke(command, ["export", str(made_city)])
    assert isinstance(answer.exception, InputError)
    assert "--ngsi-ld" in answer.exception.hint


def test_the_newest_reading_of_each_device_is_exported(service):
    from citytwin.io.stores.newest import newest

    found = newest(service.twin.folder)
    assert found[service.twin.devices.keys[4]] == (447.0, BEGIN + 47 * 3600.0)
    assert len(found) == 6
