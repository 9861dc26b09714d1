"""What OGC's conformance suite asks of making, changing and deleting entities (OGC 18-088, Annex A.3)."""

from __future__ import annotations

import pytest

THING = {"name": "Test thing", "description": "This is a test thing"}
LOCATION = {
    "name": "bow river",
    "description": "bow river",
    "encodingType": "application/vnd.geo+json",
    "location": {"type": "Point", "coordinates": [-114.05, 51.05]},
}
SENSOR = {"name": "Barometer", "description": "Barometer", "encodingType": "application/pdf", "metadata": "Barometer"}
QUANTITY = {"name": "Dew point", "definition": "http://dbpedia.org/page/Dew_point", "description": "The dew point temperature"}
FEATURE = {
    "name": "A weather station.",
    "description": "A weather station.",
    "encodingType": "application/vnd.geo+json",
    "feature": {"type": "Point", "coordinates": [10, 10]},
}
UNIT = {"name": "Celsius", "symbol": "degC", "definition": "http://qudt.org/vocab/unit#DegreeCelsius"}
STREAM = {
    "name": "test datastream.",
    "description": "test datastream.",
    "unitOfMeasurement": UNIT,
    "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
}
DEEP_STREAM = {**STREAM, "ObservedProperty": QUANTITY, "Sensor": SENSOR}


def link(id):
    return {"@iot.id": id}


def made(service):
    """One of each, joined; ids by entity set."""
    ids = {
        name: service.post(name, body)
        for name, body in (
            ("Things", {**THING, "Locations": [LOCATION]}),
            ("Sensors", SENSOR),
            ("ObservedProperties", QUANTITY),
            ("FeaturesOfInterest", FEATURE),
        )
    }
    (ids["Locations"],) = service.ids(f"Things({ids['Things']})/Locations")
    (ids["HistoricalLocations"],) = service.ids(f"Things({ids['Things']})/HistoricalLocations")
    ids["Datastreams"] = service.post(
        "Datastreams",
        {
            **STREAM,
            "Thing": link(ids["Things"]),
            "Sensor": link(ids["Sensors"]),
            "ObservedProperty": link(ids["ObservedProperties"]),
        },
    )
    ids["Observations"] = service.post(
        "Observations",
        {
            "phenomenonTime": "2015-03-01T00:40:00.000Z",
            "result": 8,
            "Datastream": link(ids["Datastreams"]),
            "FeatureOfInterest": link(ids["FeaturesOfInterest"]),
        },
    )
    return ids


def test_what_is_posted_is_there(empty):
    ids = made(empty)
    for name, body in (
        ("Things", THING),
        ("Locations", LOCATION),
        ("Sensors", SENSOR),
        ("ObservedProperties", QUANTITY),
        ("FeaturesOfInterest", FEATURE),
        ("Datastreams", STREAM),
    ):
        found = empty.get(f"{name}({ids[name]})")
        assert {k: found[k] for k in body} == body
    observation = empty.get(f"Observations({ids['Observations']})")
    assert (observation["result"], observation["phenomenonTime"], observation["resultTime"]) == (
        8,
        "2015-03-01T00:40:00.000Z",
        None,
    )


def test_a_feature_is_made_of_the_things_location_once(empty):
    ids = made(empty)
    first = empty.post(
        "Observations", {"result": 100, "resultTime": "2015-03-01T01:00:00.000Z", "Datastream": link(ids["Datastreams"])}
    )
    second = empty.post(f"Datastreams({ids['Datastreams']})/Observations", {"result": 105})
    features = [empty.get(f"Observations({o})/FeatureOfInterest") for o in (first, second)]
    assert features[0] == features[1]
    assert features[0]["feature"] == LOCATION["location"]
    assert empty.get(f"Observations({first})")["resultTime"] == "2015-03-01T01:00:00.000Z"


def test_deep_inserts_make_all_or_nothing(empty):
    thing = empty.post(
        "Things",
        {
            **THING,
            "properties": {"reference": "Third floor"},
            "Locations": [LOCATION],
            "Datastreams": [{**DEEP_STREAM, "Observations": [{"result": 1.5, "FeatureOfInterest": FEATURE}]}],
        },
    )
    found = empty.get(
        f"Things({thing})", expand="Locations,Datastreams($expand=Sensor,ObservedProperty,Observations/FeatureOfInterest)"
    )
    (stream,) = found["Datastreams"]
    assert stream["Sensor"]["metadata"] == "Barometer"
    assert stream["Observations"][0]["FeatureOfInterest"]["feature"] == FEATURE["feature"]
    assert found["Locations"][0]["location"] == LOCATION["location"]
    counts = {n: len(empty.ids(n)) for n in ("Things", "Locations", "Datastreams", "Sensors", "ObservedProperties")}
    wrong = {**DEEP_STREAM, "Sensor": {k: v for k, v in SENSOR.items() if k != "encodingType"}}
    empty.post("Things", {**THING, "Locations": [LOCATION], "Datastreams": [wrong]}, status=400)
    assert counts == {n: len(empty.ids(n)) for n in counts}


def test_what_is_incomplete_is_refused(empty):
    ids = made(empty)
    links = {"Thing": link(ids["Things"]), "Sensor": link(ids["Sensors"]), "ObservedProperty": link(ids["ObservedProperties"])}
    for without in links:
        empty.post("Datastreams", {**STREAM, **{k: v for k, v in links.items() if k != without}}, status=400)
    empty.post("Datastreams", {**STREAM, **links, "Thing": link(123456)}, status=400)
    empty.post("Observations", {"result": 8, "FeatureOfInterest": link(ids["FeaturesOfInterest"])}, status=400)
    nowhere = empty.post("Datastreams", {**STREAM, **links, "Thing": link(empty.post("Things", THING))})
    empty.post("Observations", {"result": 100, "Datastream": link(nowhere)}, status=400)
    bad = {k: v for k, v in FEATURE.items() if k != "encodingType"}
    empty.post("Observations", {"result": 100, "Datastream": link(nowhere), "FeatureOfInterest": bad}, status=400)
    assert len(empty.ids("Observations")) == 1
    empty.post("Things", {"name": "x"}, status=400)
    empty.post("Things", {**THING, "colour": "red"}, status=400)
    empty.post("Locations", {**LOCATION, "location": {"type": "Point", "coordinates": "here"}}, status=400)
    assert empty.client.post("/sensorthings/v1.1/Things", content=b"{").status_code == 400


CHANGES = {
    "Things": {"description": "PATCHED"},
    "Locations": {"location": {"type": "Point", "coordinates": [114.05, -50]}},
    "HistoricalLocations": {"time": "2015-07-01T00:00:00.000Z"},
    "Sensors": {"metadata": "PATCHED"},
    "ObservedProperties": {"description": "PATCHED"},
    "FeaturesOfInterest": {"feature": {"type": "Point", "coordinates": [114.05, -51.05]}},
    "Datastreams": {
        "unitOfMeasurement": {"name": "Entropy2", "symbol": "S2", "definition": "http://qudt.org/vocab/unit#Entropy2"}
    },
    "Observations": {"phenomenonTime": "2015-07-01T00:40:00.000Z"},
}


def test_a_patch_changes_what_it_names_and_nothing_else(empty):
    ids = made(empty)
    for name, change in CHANGES.items():
        before = empty.get(f"{name}({ids[name]})")
        assert empty.send("PATCH", f"{name}({ids[name]})", change)["@iot.id"] == ids[name]
        assert empty.get(f"{name}({ids[name]})") == {**before, **change} | (
            {"phenomenonTime": "2015-03-01T00:40:00.000Z/2015-03-01T00:40:00.000Z"} if name == "Datastreams" else {}
        )


def test_a_put_changes_all_and_keeps_the_relations(empty):
    ids = made(empty)
    empty.send("PATCH", f"Things({ids['Things']})", {"properties": {"a": 1}})
    for name, body in (
        ("Things", {**THING, "name": "other"}),
        ("Sensors", {**SENSOR, "metadata": {"a": [1]}}),
        ("Locations", {**LOCATION, "name": "n"}),
        ("Datastreams", {**STREAM, "name": "s"}),
        ("Observations", {"result": "99", "phenomenonTime": "2015-08-01T00:40:00.000Z"}),
    ):
        found = empty.send("PUT", f"{name}({ids[name]})", body)
        assert {k: found[k] for k in body} == body
    assert "properties" not in empty.get(f"Things({ids['Things']})")
    assert empty.ids(f"Things({ids['Things']})/Datastreams") == [ids["Datastreams"]]
    empty.send("PUT", f"Things({ids['Things']})", {"name": "only"}, status=400)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Things", {"Locations": [LOCATION]}),
        ("Things", {"Datastreams": [{"unitOfMeasurement": UNIT}]}),
        ("Sensors", {"Datastreams": [{"unitOfMeasurement": UNIT}]}),
        ("Datastreams", {"ObservedProperty": QUANTITY}),
        ("Datastreams", {"Sensor": SENSOR}),
        ("Datastreams", {"Thing": THING}),
        ("Datastreams", {"Observations": [{"result": 1}]}),
    ],
)
def test_a_patch_with_entities_inline_is_refused(empty, name, body):
    ids = made(empty)
    empty.send("PATCH", f"{name}({ids[name]})", body, status=400)


def test_a_thing_that_moves_keeps_where_it_was(empty):
    ids = made(empty)
    there = empty.post("Locations", {**LOCATION, "name": "new", "Things": [link(ids["Things"])]})
    assert empty.ids(f"Things({ids['Things']})/Locations") == [there]
    assert len(empty.ids(f"Things({ids['Things']})/HistoricalLocations")) == 2
    empty.send("PATCH", f"Things({ids['Things']})", {"Locations": [link(ids["Locations"])]})
    assert empty.ids(f"Things({ids['Things']})/Locations") == [ids["Locations"]]
    assert len(empty.ids(f"Things({ids['Things']})/HistoricalLocations")) == 3
    assert empty.ids(f"Locations({there})/Things") == []


GOES = {
    "Things": ("Datastreams", "HistoricalLocations", "Observations"),
    "Datastreams": ("Observations",),
    "Locations": ("HistoricalLocations",),
    "HistoricalLocations": (),
    "Sensors": ("Datastreams", "Observations"),
    "ObservedProperties": ("Datastreams", "Observations"),
    "FeaturesOfInterest": ("Observations",),
    "Observations": (),
}


@pytest.mark.parametrize("name", GOES)
def test_a_delete_takes_with_it_what_cannot_be_without(empty, name):
    ids = made(empty)
    empty.send("DELETE", f"{name}({ids[name]})")
    empty.get(f"{name}({ids[name]})", status=404)
    for other, id in ids.items():
        empty.get(f"{other}({id})", status=404 if other in (name, *GOES[name]) else 200)
    empty.send("DELETE", f"{name}({ids[name]})", status=404)
    empty.send("DELETE", f"{name}(9223372036854775807)", status=404)


@pytest.mark.parametrize(
    "result", [True, False, "fourty two", 1, 1.23, {"number": 1.23, "b": True}, [1.23, "x", True], None, 2**60]
)
def test_a_result_comes_back_as_it_was_sent(empty, result):
    ids = made(empty)
    id = empty.post(
        "Observations",
        {"result": result, "Datastream": link(ids["Datastreams"]), "FeatureOfInterest": link(ids["FeaturesOfInterest"])},
    )
    found = empty.get(f"Observations({id})")["result"]
    assert (found, type(found)) == (result, type(result))


def test_data_arrays_are_answered_one_by_one(empty):
    ids = made(empty)
    said = [
        {
            "Datastream": link(ids["Datastreams"]),
            "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
            "dataArray@iot.count": 2,
            "dataArray": [
                ["2010-12-23T10:20:00-0700", 20, ids["FeaturesOfInterest"]],
                ["2010-12-23T10:21:00-0700", 30, "probablyNotAValidId"],
            ],
        },
        {
            "Datastream": link(ids["Datastreams"]),
            "components": ["phenomenonTime", "result"],
            "dataArray": [["2010-12-23T10:20:00-0700", 65], ["2010-12-23T10:21:00-0700", "sixty"]],
        },
    ]
    answer = empty.client.post("/sensorthings/v1.1/CreateObservations", json=said)
    assert answer.status_code == 201
    lines = answer.json()
    assert [line.startswith("error") for line in lines] == [False, True, False, False]
    assert [empty.client.get(line).json()["result"] for line in lines if not line.startswith("error")] == [20, 65, "sixty"]
    assert empty.client.get(lines[0]).json()["phenomenonTime"] == "2010-12-23T17:20:00.000Z"
    arrays = empty.get("Observations", count="true", top="3", resultFormat="dataArray")
    assert arrays["@iot.count"] == 4
    assert "@iot.nextLink" in arrays
    (part,) = arrays["value"]
    assert {"id", "phenomenonTime", "result", "resultTime", "resultQuality", "validTime", "parameters"} == set(
        part["components"]
    )
    assert part["dataArray@iot.count"] == len(part["dataArray"]) == 3


def test_the_citys_own_devices_can_be_annotated_and_hidden_but_stay_in_the_city(changing):
    thing = changing.ids("Things")[0]
    before = changing.get(f"Things({thing})")
    changing.send("PATCH", f"Things({thing})", {"description": "the one by the bridge"})
    assert changing.get(f"Things({thing})") == {**before, "description": "the one by the bridge"}
    (stream,) = changing.ids(f"Things({thing})/Datastreams")
    observation = changing.ids(f"Datastreams({stream})/Observations")[0]
    changing.send("PATCH", f"Observations({observation})", {"result": 7.25})
    assert changing.get(f"Observations({observation})")["result"] == 7.25
    assert len(changing.ids(f"Datastreams({stream})/Observations")) == 48
    changing.send("DELETE", f"Observations({observation})")
    assert len(changing.ids(f"Datastreams({stream})/Observations")) == 47
    other = changing.ids("Things")[1]
    changing.send("DELETE", f"Things({other})")
    changing.get(f"Things({other})", status=404)
    assert changing.get("Things", count="true", top="0")["@iot.count"] == 149
    assert changing.get("Observations", count="true", top="0")["@iot.count"] == 47 + 4 * 48
    assert len(changing.twin.devices.keys) == 150


def test_all_that_is_there_can_be_deleted(changing):
    for name in ("Things", "Sensors", "ObservedProperties", "Locations", "FeaturesOfInterest"):
        for id in changing.ids(name, top="1000"):
            changing.send("DELETE", f"{name}({id})")
    assert all(changing.get(v["name"])["value"] == [] for v in changing.get("")["value"])
