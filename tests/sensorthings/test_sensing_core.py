"""What OGC's conformance suite asks of the sensing core (OGC 18-088, Annex A.1), of a city's own devices."""

from __future__ import annotations

import pytest

RELATIONS = {
    "Things": ["Locations", "HistoricalLocations", "Datastreams"],
    "Locations": ["Things", "HistoricalLocations"],
    "HistoricalLocations": ["Thing", "Locations"],
    "Datastreams": ["Thing", "Sensor", "ObservedProperty", "Observations"],
    "Sensors": ["Datastreams"],
    "ObservedProperties": ["Datastreams"],
    "Observations": ["Datastream", "FeatureOfInterest"],
    "FeaturesOfInterest": ["Observations"],
}
PROPERTIES = {
    "Things": ["name", "description"],
    "Locations": ["name", "description", "encodingType", "location"],
    "HistoricalLocations": ["time"],
    "Datastreams": ["name", "description", "unitOfMeasurement", "observationType"],
    "Sensors": ["name", "description", "encodingType", "metadata"],
    "ObservedProperties": ["name", "definition", "description"],
    "Observations": ["phenomenonTime", "result", "resultTime"],
    "FeaturesOfInterest": ["name", "description", "encodingType", "feature"],
}


def test_the_root_lists_all_entity_sets_and_what_is_conformed_to(service):
    root = service.get("")
    assert [v["name"] for v in root["value"]] == list(RELATIONS) or {v["name"] for v in root["value"]} == set(RELATIONS)
    assert all(v["url"].endswith(v["name"]) for v in root["value"])
    assert "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel" in root["serverSettings"]["conformance"]


@pytest.mark.parametrize("name", RELATIONS)
def test_every_entity_has_control_information_properties_and_links(service, name):
    listed = service.values(name)
    assert listed
    one = service.get(f"{name}({listed[0]['@iot.id']})")
    for entity in (listed[0], one):
        assert entity["@iot.selfLink"].endswith(f"{name}({entity['@iot.id']})")
        assert all(p in entity for p in PROPERTIES[name])
        assert all(entity[f"{r}@iot.navigationLink"] for r in RELATIONS[name])
    assert one == listed[0]


@pytest.mark.parametrize("name", RELATIONS)
def test_what_does_not_exist_is_not_found(service, name):
    service.get(f"{name}(9223372036854775807)", status=404)
    service.get(f"{name}(99999999999999999999)", status=404)


@pytest.mark.parametrize("name", RELATIONS)
def test_a_property_can_be_read_alone_and_as_a_plain_value(service, name):
    id = service.ids(name)[0]
    for each in PROPERTIES[name]:
        alone = service.get(f"{name}({id})/{each}")
        assert list(alone) == [each]
        value = service.client.get(f"/sensorthings/v1.1/{name}({id})/{each}/$value")
        assert value.status_code == 200
        assert value.text.startswith("{") == (each in ("location", "feature", "unitOfMeasurement"))


def _walk(service, path, name, level):
    found = service.get(path)
    if "value" not in found:
        assert "@iot.id" in found
        return
    assert found["value"], path
    references = service.values(f"{path}/$ref")
    assert [list(r) for r in references] == [["@iot.selfLink"]] * len(references)
    assert [r["@iot.selfLink"] for r in references] == [e["@iot.selfLink"] for e in found["value"]]
    if level < 4:
        for relation in RELATIONS[name]:
            target = {
                "Thing": "Things",
                "Sensor": "Sensors",
                "ObservedProperty": "ObservedProperties",
                "Datastream": "Datastreams",
                "FeatureOfInterest": "FeaturesOfInterest",
            }.get(relation, relation)
            _walk(service, f"{path}({found['value'][0]['@iot.id']})/{relation}", target, level + 1)


@pytest.mark.parametrize("name", ["Observations", "Datastreams", "Locations"])
def test_paths_lead_from_entity_to_entity_four_levels_deep(service, name):
    _walk(service, name, name, 1)


def test_a_device_of_the_city_is_a_thing_with_all_that_it_measured(service):
    (thing,) = service.values("Things", filter=f"properties/key eq '{service.twin.devices.keys[2]}'")
    stream = service.get(f"Things({thing['@iot.id']})/Datastreams", expand="Sensor,ObservedProperty")["value"][0]
    kind = service.twin.columns.kinds[service.twin.devices.names[2]]
    assert stream["unitOfMeasurement"]["symbol"] == kind.column.unit
    assert stream["ObservedProperty"]["name"] == kind.column.title
    assert stream["Sensor"]["properties"]["kind"] == kind.name
    observations = service.values(f"Datastreams({stream['@iot.id']})/Observations", orderby="phenomenonTime", top="100")
    assert [o["result"] for o in observations] == [200.0 + h for h in range(48)]
    one = service.get(f"Observations({observations[7]['@iot.id']})")
    assert one == observations[7]


def test_pages_together_are_the_whole(service):
    everything = service.ids("Things", top="1000")
    assert len(everything) == 150
    page, seen = service.get("Things", top="40", count="true"), []
    assert page["@iot.count"] == 150
    while True:
        seen += [e["@iot.id"] for e in page["value"]]
        if "@iot.nextLink" not in page:
            break
        page = service.client.get(page["@iot.nextLink"]).json()
    assert seen == everything


@pytest.mark.parametrize(
    ("path", "options", "status", "words"),
    [
        ("Thinks", {}, 404, "Things"),
        ("Things", {"filter": "nam eq 'x'"}, 400, "name"),
        ("Things", {"filter": "name eq"}, 400, "understood"),
        ("Things", {"filtr": "name"}, 400, "$filter"),
        ("Things", {"top": "-1"}, 400, "whole"),
        ("Things", {"expand": "Datastream"}, 400, "Datastreams"),
        ("Things", {"filter": "startwith(name,'x')"}, 400, "startswith"),
        ("Things", {"orderby": "colour"}, 400, "colour"),
        ("Things", {"select": "nmae"}, 400, "name"),
        ("Locations", {"filter": "geo.distance(location, geography'POINT(x)') lt 1"}, 400, "shape"),
        ("Things(1", {}, 404, "entity"),
        ("Things(1)/Datastreams/name", {}, 404, ""),
    ],
)
def test_a_mistake_is_answered_in_one_line(service, path, options, status, words):
    error = service.get(path, status=status, **options)["error"]
    assert words in error["message"] + error["hint"]
    assert "\n" not in error["message"]
