"""FROST's own Python client (frost_sta_client) creates, asks, pages, patches and deletes at the real server."""

from __future__ import annotations

import frost_sta_client as frost
import geojson
import pytest
import requests
from frost_sta_client.model.ext.data_array_document import DataArrayDocument
from frost_sta_client.model.ext.data_array_value import DataArrayValue
from frost_sta_client.model.ext.unitofmeasurement import UnitOfMeasurement

pytestmark = pytest.mark.filterwarnings("ignore:furl.pathstr is deprecated")  # of the client's own
NAME = 'Pegel "Süd" l\'Été 水位'  # quotes of both kinds, accents, other scripts


@pytest.fixture(scope="module")
def service(emptied):
    emptied.clear()
    return frost.SensorThingsService(emptied.root)


@pytest.fixture(scope="module")
def stream(service):
    """A stream of a thing at a place, made as one deep insert."""
    place = frost.Location(name="bridge", description="under the bridge", location=geojson.Point((1.52, 42.51)),
                           encoding_type="application/geo+json")  # fmt: skip
    thing = frost.Thing(name=NAME, description="a gauge", properties={"height": 1.5, "tags": ["a", "b"]}, locations=[place])
    service.create(thing)
    unit = UnitOfMeasurement(name="metre", symbol="m", definition="ucum:m")
    made = frost.Datastream(
        name="level", description="level of the river", unit_of_measurement=unit, thing=thing,
        observation_type="http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        sensor=frost.Sensor(name="radar", description="a radar", encoding_type="text/html", metadata="https://example.org"),
        observed_property=frost.ObservedProperty(name="level", definition="https://example.org/level", description="how high"))  # fmt: skip
    service.create(made)
    return made


def test_what_is_created_is_found_again(service, stream):
    found = service.datastreams().find(stream.id)
    assert found.unit_of_measurement.symbol == "m"
    assert found.name == "level"
    (thing,) = list(
        service.things().query().filter(f"name eq '{NAME.replace(chr(39), chr(39) * 2)}'").expand("Locations").list()
    )
    assert thing.name == NAME
    assert thing.properties == {"height": 1.5, "tags": ["a", "b"]}
    (place,) = thing.locations
    assert place.location["coordinates"] == [1.52, 42.51]
    assert [t.id for t in stream.thing.get_datastreams().query().list()] == [stream.id]


def test_a_list_is_read_page_by_page(service, stream):
    said = DataArrayValue()
    said.datastream = stream
    said.components = {said.Property.PHENOMENON_TIME, said.Property.RESULT}
    for hour in range(24):
        for minute in (0, 30):
            said.add_observation(
                frost.Observation(phenomenon_time=f"2026-11-20T{hour:02}:{minute:02}:00Z", result=hour + minute / 60)
            )
    document = DataArrayDocument()
    document.add_data_array_value(said)
    assert len(service.observations().create(document)) == 48
    found = stream.get_observations().query().top(5).orderby("phenomenonTime", "desc").count().list()
    assert found.count == 48
    assert [o.result for o in found] == [h / 2 for h in reversed(range(48))]
    few = (
        stream.get_observations()
        .query()
        .filter("result gt 20 and phenomenonTime lt 2026-11-20T21:00:00Z")
        .select("result")
        .list()
    )
    assert [o.result for o in few] == [20.5]
    assert len(list(stream.get_observations().query().orderby("result").list())) == 48  # the client writes DESC


def test_json_patch_and_put_change_an_entity(service, stream):
    thing = service.things().find(stream.thing.id)
    service.patch(thing, [{"op": "replace", "path": "/properties/height", "value": 2.5},
                          {"op": "add", "path": "/properties/new", "value": {"a": [1]}},
                          {"op": "test", "path": "/description", "value": "a gauge"}])  # fmt: skip
    found = service.things().find(thing.id)
    assert found.properties == {"height": 2.5, "tags": ["a", "b"], "new": {"a": [1]}}
    found.description = "another gauge"
    service.update(found)
    assert service.things().find(thing.id).description == "another gauge"
    with pytest.raises(requests.exceptions.HTTPError, match="400"):
        service.patch(thing, [{"op": "test", "path": "/description", "value": "a gauge"}])
    with pytest.raises(requests.exceptions.HTTPError, match="400"):
        service.patch(thing, [{"op": "remove", "path": "/name"}])
    with pytest.raises(requests.exceptions.HTTPError, match="400"):
        service.patch(thing, [{"op": "copy", "from": "/properties", "path": f"/properties/n{n}"} for n in range(40)])
    assert service.things().find(thing.id).properties == found.properties


def test_an_entity_that_was_read_with_its_relations_can_be_written_back(service, stream):
    (thing,) = list(service.things().query().filter(f"id eq {stream.thing.id}").expand("Datastreams,Locations").list())
    thing.description = "read and written"
    service.update(thing)
    (one,) = list(service.datastreams().query().filter(f"id eq {stream.id}").expand("Thing,Sensor").list())
    one.description = "read and written too"
    service.update(one)
    assert service.things().find(thing.id).description == "read and written"
    assert service.datastreams().find(stream.id).description == "read and written too"
    assert [s.id for s in thing.get_datastreams().query().list()] == [stream.id]


def test_what_is_deleted_is_gone(service, stream):
    one = frost.Observation(result="a word", datastream=stream)
    service.create(one)
    assert service.observations().find(one.id).result == "a word"
    service.delete(one)
    with pytest.raises(requests.exceptions.HTTPError, match="404"):
        service.observations().find(one.id)
