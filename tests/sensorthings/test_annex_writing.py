"""The conformance suite's class "create, update, delete", its types of results and its data arrays, against the real server.

The bodies are the suite's; so is their order, since it goes on with what it made before.
"""

from __future__ import annotations

import pytest
from annex import BIGGEST, PROPERTIES, RELATIONS, SETS, Claims, many

GEO = "application/vnd.geo+json"
MEASURED = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
LUMEN = {"name": "Lumen", "symbol": "lm", "definition": "http://www.qudt.org/qudt/owl/1.0.0/unit/Instances.html#Lumen"}
CELSIUS = {"name": "Celsius", "symbol": "degC", "definition": "http://qudt.org/vocab/unit#DegreeCelsius"}
FLUX = {"name": "Luminous Flux", "definition": "http://www.qudt.org/qudt/owl/1.0.0/quantity/Instances.html#LuminousFlux",
        "description": "Luminous Flux or Luminous Power is the measure of the perceived power of light."}  # fmt: skip
FLUXOMATIC = {"name": "Acme Fluxomatic 1000", "description": "Acme Fluxomatic 1000", "encodingType": "application/pdf",
              "metadata": "Light flux sensor"}  # fmt: skip
ROOF = {"name": "West Roof", "description": "West Roof", "location": {"type": "Point", "coordinates": [-117.05, 51.05]},
        "encodingType": GEO}  # fmt: skip
LIGHT = {"unitOfMeasurement": LUMEN, "name": "Light exposure.", "description": "Light exposure.", "observationType": MEASURED}
WARMTH = {
    "unitOfMeasurement": CELSIUS,
    "name": "test datastream.",
    "description": "test datastream.",
    "observationType": MEASURED,
}
OFFICE = {"name": "Office Building", "description": "Office Building", "properties": {"reference": "Third Floor"}}
STATION = {"name": "A weather station.", "description": "A weather station.", "encodingType": GEO,
           "feature": {"type": "Point", "coordinates": [10, 10]}}  # fmt: skip
RIVER = {"name": "bow river", "description": "bow river", "encodingType": GEO,
         "location": {"type": "Point", "coordinates": [-114.05, 51.05]}}  # fmt: skip
TEN = {"phenomenonTime": "2015-03-01T00:10:00Z", "result": 10}


def link(id):
    return {"@iot.id": id}


def post(door, claims, name, body):
    """Make an entity and see that it is there; its id and what is there."""
    answer = door.request("POST", name, json=body)
    claims.equal(answer.status_code, 201, f"POST {name} {answer.text}")
    id = int(answer.headers["location"].split("(")[1].split(")")[0])
    found = door.request("GET", f"{name}({id})")
    claims.equal(found.status_code, 200, f"{name}({id})")
    return id, found.json()


def refused(door, claims, name, body):
    status = door.request("POST", name, json=body).status_code
    claims.that(status in (400, 409), f"POST {name} {body}: {status}")


def none_of(door, claims, *names):
    for name in names:
        claims.equal(door.get(name)["value"], [], f"there are no {name}")


def inside(door, claims, path, wanted):
    """What a deep insert made at `path`; its id."""
    answer = door.request("GET", path)
    claims.equal(answer.status_code, 200, path)
    found = answer.json()["value"][0] if many(path.rsplit("/", 1)[1]) else answer.json()
    for key, value in wanted.items():
        claims.equal(found.get(key), value, f"{path} {key}")
    return found["@iot.id"]


def test_wrong_deep_inserts_leave_nothing_behind(emptied):
    door = emptied
    door.clear()
    with Claims() as claims:
        refused(door, claims, "Things", {**OFFICE, "Locations": [ROOF], "Datastreams": [{**LIGHT, "ObservedProperty": FLUX}]})
        none_of(door, claims, "Things", "Locations", "HistoricalLocations", "Datastreams", "ObservedProperties")
        thing, _ = post(door, claims, "Things", {"name": "Office Building", "description": "Office Building"})
        for ends in ({"Thing": link(thing), "ObservedProperty": FLUX}, {"Thing": link(thing), "Sensor": FLUXOMATIC},
                     {"ObservedProperty": FLUX, "Sensor": FLUXOMATIC}):  # fmt: skip
            refused(door, claims, "Datastreams", {**WARMTH, **ends, "Observations": [TEN]})
        none_of(door, claims, "Datastreams", "Sensors", "Observations", "FeaturesOfInterest", "ObservedProperties")
        stream, _ = post(
            door, claims, "Datastreams", {**WARMTH, "Thing": link(thing), "ObservedProperty": FLUX, "Sensor": FLUXOMATIC}
        )
        said = {"phenomenonTime": "2015-03-01T00:00:00Z", "result": 100, "Datastream": link(stream)}
        refused(door, claims, "Observations", said)
        nowhere = {k: v for k, v in STATION.items() if k != "encodingType"}
        refused(door, claims, "Observations", {**said, "FeatureOfInterest": nowhere})
        none_of(door, claims, "Observations", "FeaturesOfInterest")


@pytest.fixture(scope="module")
def made(emptied):
    """One of each, made as the suite does it, and what it expects on the way; ids by entity set, the first ones first."""
    door = emptied
    door.clear()
    with Claims() as claims:
        thing, _ = post(door, claims, "Things", {"name": "Test Thing", "description": "This is a Test Thing From TestNG"})
        place, river = post(door, claims, "Locations", RIVER)
        sensor, _ = post(door, claims, "Sensors", {"name": "Fuguro Barometer", "description": "Fuguro Barometer",
                                                   "encodingType": "application/pdf", "metadata": "Barometer"})  # fmt: skip
        quantity, _ = post(door, claims, "ObservedProperties", {
            "name": "DewPoint Temperature", "definition": "http://dbpedia.org/page/Dew_point", "description": "dew"})  # fmt: skip
        feature, _ = post(door, claims, "FeaturesOfInterest", STATION)
        ends = {"Thing": link(thing), "ObservedProperty": link(quantity), "Sensor": link(sensor)}
        stream, _ = post(door, claims, "Datastreams", {**WARMTH, **ends})
        first, _ = post(door, claims, "Observations", {
            "phenomenonTime": "2015-03-01T00:40:00.000Z", "result": 8, "Datastream": link(stream),
            "FeatureOfInterest": link(feature)})  # fmt: skip
        answer = door.request("PATCH", f"Things({thing})", json={"Locations": [link(place)]})
        claims.equal(answer.status_code, 200, "a Thing gets a Location")
        second, told = post(door, claims, "Observations", {
            "phenomenonTime": "2015-03-01T00:00:00.000Z", "resultTime": "2015-03-01T01:00:00.000Z", "result": 100,
            "Datastream": link(stream)})  # fmt: skip
        claims.equal(told["resultTime"], "2015-03-01T01:00:00.000Z", "resultTime")
        ground = door.request("GET", f"Observations({second})/FeatureOfInterest")
        claims.equal(ground.status_code, 200, "a feature is made")
        claims.equal(ground.json()["feature"], river["location"], "the feature is the Location")
        third, told = post(door, claims, "Observations", {
            "phenomenonTime": "2015-05-01T00:00:00.000Z", "result": 105, "Datastream": link(stream)})  # fmt: skip
        claims.that("resultTime" in told and told["resultTime"] is None, "resultTime is told and null")
        again = door.get(f"Observations({third})/FeatureOfInterest")
        claims.equal(again["@iot.id"], ground.json()["@iot.id"], "the same feature")
        claims.equal(again["feature"], river["location"], "the same feature")
        before, _ = post(door, claims, "HistoricalLocations", {
            "time": "2015-03-01T00:40:00.000Z", "Thing": link(thing), "Locations": [link(place)]})  # fmt: skip
    return {"Things": [thing], "Locations": [place], "Sensors": [sensor], "ObservedProperties": [quantity],
            "FeaturesOfInterest": [feature, again["@iot.id"]], "Datastreams": [stream],
            "Observations": [first, second, third], "HistoricalLocations": [before]}  # fmt: skip


def test_deep_inserts_make_all_that_is_in_them(emptied, made):
    door = emptied
    with Claims() as claims:
        thing, _ = post(door, claims, "Things", {
            **OFFICE, "Locations": [ROOF], "Datastreams": [{**LIGHT, "ObservedProperty": FLUX, "Sensor": FLUXOMATIC}]})  # fmt: skip
        stream = inside(door, claims, f"Things({thing})/Datastreams", LIGHT)
        inside(door, claims, f"Things({thing})/Locations", ROOF)
        inside(door, claims, f"Datastreams({stream})/Sensor", FLUXOMATIC)
        inside(door, claims, f"Datastreams({stream})/ObservedProperty", FLUX)
        stream, _ = post(door, claims, "Datastreams", {
            **WARMTH, "Thing": link(thing), "ObservedProperty": FLUX, "Sensor": FLUXOMATIC, "Observations": [TEN]})  # fmt: skip
        inside(door, claims, f"Datastreams({stream})/Sensor", FLUXOMATIC)
        inside(door, claims, f"Datastreams({stream})/ObservedProperty", FLUX)
        inside(door, claims, f"Datastreams({stream})/Observations", {**TEN, "phenomenonTime": "2015-03-01T00:10:00.000Z"})
        there = {**STATION, "feature": {"type": "Point", "coordinates": [-114.05, 51.05]}}
        one, _ = post(door, claims, "Observations", {
            "phenomenonTime": "2015-03-01T00:00:00Z", "result": 100, "FeatureOfInterest": there, "Datastream": link(stream)})  # fmt: skip
        inside(door, claims, f"Observations({one})/FeatureOfInterest", there)


def test_what_lacks_a_relation_it_needs_is_refused(emptied, made):
    door = emptied
    ends = {"Thing": link(made["Things"][0]), "ObservedProperty": link(made["ObservedProperties"][0]),
            "Sensor": link(made["Sensors"][0])}  # fmt: skip
    with Claims() as claims:
        for lacking in ("Sensor", "ObservedProperty", "Thing"):
            refused(door, claims, "Datastreams", {**WARMTH, **{k: v for k, v in ends.items() if k != lacking}})
        thing, _ = post(door, claims, "Things", {"name": "nowhere", "description": "nowhere"})
        stream, _ = post(door, claims, "Datastreams", {**WARMTH, **ends, "Thing": link(thing)})
        refused(door, claims, "Observations", {
            "phenomenonTime": "2015-03-01T00:40:00.000Z", "result": 8, "FeatureOfInterest": link(made["FeaturesOfInterest"][0])})  # fmt: skip
        refused(door, claims, "Observations", {
            "phenomenonTime": "2015-03-01T00:00:00.000Z", "result": 100, "Datastream": link(stream)})  # fmt: skip


ENTROPY = {"name": "Entropy2", "symbol": "S2", "definition": "http://qudt.org/vocab/unit#Entropy2"}
PATCHES = [
    ("Things", {"description": "This is a PATCHED Test Thing From TestNG"}),
    ("Locations", {"location": {"type": "Point", "coordinates": [114.05, -50]}}),
    ("HistoricalLocations", {"time": "2015-07-01T00:00:00.000Z"}),
    ("Sensors", {"metadata": "PATCHED"}),
    ("ObservedProperties", {"description": "PATCHED"}),
    ("FeaturesOfInterest", {"feature": {"type": "Point", "coordinates": [114.05, -51.05]}}),
    ("Datastreams", {"description": "Patched Description"}),
    ("Datastreams", {"unitOfMeasurement": ENTROPY}),
    ("Observations", {"phenomenonTime": "2015-07-01T00:40:00.000Z"}),
]
UPDATED = {"name": "UPDATED", "description": "UPDATED", "encodingType": "application/pdf", "metadata": "UPDATED"}
PUTS = [
    ("Things", {"name": "This is a Updated Test Thing From TestNG", "description": "This is a Updated Test Thing From TestNG"}),
    ("Locations", {"encodingType": GEO, "name": "UPDATED NAME", "description": "UPDATED DESCRIPTION",
                   "location": {"type": "Point", "coordinates": [-114.05, 50]}}),
    ("HistoricalLocations", {"time": "2015-08-01T00:00:00.000Z"}),
    ("Sensors", UPDATED),
    ("ObservedProperties", {"name": "POIUYTREW", "definition": "ZXCVB", "description": "POIUYTREW"}),
    ("FeaturesOfInterest", {"encodingType": GEO, "feature": {"type": "Point", "coordinates": [-114.05, 51.05]},
                            "description": "POIUYTREW", "name": "POIUYTREW"}),
    ("Datastreams", {"name": "Data coming from sensor on ISS.", "description": "Data coming from sensor on ISS.",
                     "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Observation",
                     "unitOfMeasurement": {"name": "Entropy", "symbol": "S", "definition": "http://qudt.org/vocab/unit#Entropy"}}),
    ("Observations", {"result": "99", "phenomenonTime": "2015-08-01T00:40:00.000Z"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), PATCHES)
def test_a_patch_leaves_the_rest_alone(emptied, made, name, change):
    path = f"{name}({made[name][0]})"
    with Claims() as claims:
        before = emptied.get(path)
        claims.equal(emptied.request("PATCH", path, json=change).status_code, 200, path)
        after = emptied.get(path)
        for each in PROPERTIES[name]:
            claims.equal(after[each], change.get(each, before[each]), f"{path} {each}")


@pytest.mark.parametrize(("name", "body"), PUTS)
def test_a_put_says_all_of_it(emptied, made, name, body):
    path = f"{name}({made[name][0]})"
    with Claims() as claims:
        claims.equal(emptied.request("PUT", path, json=body).status_code, 200, path)
        after = emptied.get(path)
        for each, value in body.items():
            claims.equal(after[each], value, f"{path} {each}")


COUNT = {"name": "Count is a dimensionless property.", "definition": "http://qudt.org/vocab/unit#Dimensionless",
         "description": "Count is a dimensionless property."}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Things", {"Locations": [ROOF]}),
        ("Things", {"Datastreams": [{"unitOfMeasurement": LUMEN}]}),
        ("Sensors", {"Datastreams": [{"unitOfMeasurement": LUMEN, "Thing": link(1)}]}),
        ("ObservedProperties", {"Datastreams": [{"unitOfMeasurement": LUMEN, "Thing": link(1)}]}),
        ("Datastreams", {"ObservedProperty": COUNT}),
        ("Datastreams", {"Sensor": FLUXOMATIC}),
        ("Datastreams", {"Thing": {"name": "test", "description": "test"}}),
        (
            "Datastreams",
            {"Observations": [{"phenomenonTime": "2015-03-01T00:00:00Z", "result": 92122, "resultQuality": "High"}]},
        ),
    ],
)
def test_a_patch_holds_no_entities(emptied, made, name, body):
    with Claims() as claims:
        claims.equal(emptied.request("PATCH", f"{name}({made[name][0]})", json=body).status_code, 400, f"{name} {body}")


@pytest.mark.parametrize(
    "result",
    [True, False, "fourty two", 1, 1.23, {"number": 1.23, "string": "One comma twentythree", "boolean": True},
     [1.23, "One comma twentythree", True]],
    ids=str,
)  # fmt: skip
def test_a_result_keeps_its_type(emptied, made, result):
    with Claims() as claims:
        _, told = post(emptied, claims, "Observations", {"result": result, "Datastream": link(made["Datastreams"][0])})
        claims.that(told["result"] == result and type(told["result"]) is type(result), f"{told['result']} is {result}")


def test_data_arrays_go_in_and_out(emptied, made):
    door, stream, feature = emptied, made["Datastreams"][0], made["FeaturesOfInterest"][0]
    with Claims() as claims:
        said = [
            {"Datastream": link(stream), "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
             "dataArray@iot.count": 2, "dataArray": [["2010-12-23T10:20:00-0700", 20, feature],
                                                     ["2010-12-23T10:21:00-0700", 30, "probablyNotAValidId"]]},
            {"Datastream": link(stream), "components": ["phenomenonTime", "result"], "dataArray@iot.count": 2,
             "dataArray": [["2010-12-23T10:20:00-0700", 65], ["2010-12-23T10:21:00-0700", 60]]},
        ]  # fmt: skip
        answer = door.request("POST", "CreateObservations", json=said)
        claims.equal(answer.status_code, 201, answer.text)
        lines = answer.json()
        claims.equal([line.lower().startswith("error") for line in lines], [False, True, False, False], str(lines))
        for line, result in zip([lines[0], *lines[2:]], (20, 65, 60), strict=True):
            claims.equal(door.get(line)["result"], result, line)
        told = door.get("Observations?$count=true&$top=3&$resultFormat=dataArray")
        claims.that("@iot.count" in told and "@iot.nextLink" in told, "count and next link")
        for each in told["value"]:
            claims.that("Datastream@iot.navigationLink" in each, "the Datastream is named")
            names = each["components"]
            claims.equal(len(set(names)), len(names), "each component once")
            for name in ("phenomenonTime", "result", "resultTime", "resultQuality", "validTime", "parameters"):
                claims.that(name in names, f"{name} is a component")
            claims.that({"id", "@iot.id"} & set(names), "the id is a component")
            claims.equal(each["dataArray@iot.count"], len(each["dataArray"]), "its count")
            for row in each["dataArray"]:
                claims.equal(len(row), len(names), "a value for each component")


GOES = {  # what is gone with an entity of each set; the rest stays
    "Things": ("Datastreams", "HistoricalLocations", "Observations"), "Datastreams": ("Observations",),
    "Locations": ("HistoricalLocations",), "HistoricalLocations": (), "Sensors": ("Datastreams", "Observations"),
    "ObservedProperties": ("Datastreams", "Observations"), "FeaturesOfInterest": ("Observations",), "Observations": (),
}  # fmt: skip


@pytest.mark.parametrize("name", GOES)
def test_a_delete_goes_as_far_as_the_standard_says(emptied, made, name):
    door = emptied
    door.clear()
    with Claims() as claims:
        thing = door.post("Things", {
            "name": "thing 1", "description": "thing 1", "properties": {"reference": "first"}, "Locations": [ROOF],
            "Datastreams": [{**LIGHT, "ObservedProperty": FLUX, "Sensor": FLUXOMATIC}]})  # fmt: skip
        stream = door.get(f"Things({thing})/Datastreams")["value"][0]["@iot.id"]
        door.post(f"Datastreams({stream})/Observations", {"phenomenonTime": "2015-03-01T00:00:00Z", "result": 1})
        path = f"{name}({door.get(name)['value'][0]['@iot.id']})"
        claims.equal(
            door.request("DELETE", path, headers={"content-type": "application/x-www-form-urlencoded"}).status_code, 200, path
        )
        claims.equal(door.request("GET", path).status_code, 404, path)
        for other in SETS:
            there = len(door.get(other)["value"])
            claims.equal(bool(there), other != name and other not in GOES[name], f"{other} after {name}")
        claims.equal(door.request("DELETE", f"{name}({BIGGEST})").status_code, 404, f"{name}({BIGGEST})")


def test_the_relations_of_this_list_are_those_of_the_model():
    assert set(RELATIONS) == set(SETS) == set(GOES)
