"""Details that clients rely on: parts of JSON properties, nothing where nothing is, histories of places, methods and addresses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from test_create_update_delete import DEEP_STREAM, FEATURE, LOCATION, QUANTITY, SENSOR, STREAM, THING, link

ROOT = "/sensorthings/v1.1"


@pytest.fixture(scope="module")
def several(made_city, tmp_path_factory):
    """Four things of which two have properties, their places, seven streams, observations with qualities of several types."""
    from sensing import served

    for each in served(made_city, tmp_path_factory.mktemp("several") / "city", False):
        each.clear()
        field = ({}, {"properties": {"field": 2, "list": [1, [2, 3]], "o": [{"a": "b"}]}}, {"properties": {"field": 3}}, {})
        things = [each.post("Things", {**THING, "name": f"Thing {n}", **f}) for n, f in enumerate(field)]
        for name, value, thing in (("Location 1.0", 1, 0), ("Location 1.1", 1.1, 0), ("Location 2", 2, 1), ("Location 3", 3, 2),
                                   ("Location 4", 4, 3)):  # fmt: skip
            each.post("Locations", {**LOCATION, "name": name, "properties": {"field": value}, "Things": [link(things[thing])]})
        sensors = [each.post("Sensors", {**SENSOR, "name": f"Sensor {n}"}) for n in range(4)]
        quantities = [each.post("ObservedProperties", {**QUANTITY, "name": f"ObservedProperty {n}"}) for n in range(4)]
        streams = []
        for n, (thing, sensor, quantity) in enumerate(
            [(0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 0), (1, 1, 1), (1, 3, 3), (2, 1, 0)]
        ):
            ends = {
                "Thing": link(things[thing]),
                "Sensor": link(sensors[sensor]),
                "ObservedProperty": link(quantities[quantity]),
            }
            streams.append(each.post("Datastreams", {**STREAM, "name": f"Datastream {n}", **ends}))
        for n, quality in enumerate(("number-0", "number-1", 2, {"code": 3}, None)):
            each.post(f"Datastreams({streams[0]})/Observations", {"result": n, "resultQuality": quality})
        yield each


def numbers(service, name, filter):
    return [int(e["name"][-1]) for e in service.values(name, filter=filter, orderby="name")]


@pytest.mark.parametrize(
    ("name", "filter", "expected"),
    [
        ("Things", "Locations/name eq 'Location 2'", [1]),
        ("Things", "startswith(HistoricalLocations/Locations/name, 'Location 1')", [0]),
        ("Things", "HistoricalLocations/Locations/properties/field eq properties/field", [1, 2]),
        ("ObservedProperties", "Datastreams/Thing/Datastreams/ObservedProperty/name eq 'ObservedProperty 0'", [0, 1, 2, 3]),
        ("ObservedProperties", "Datastreams/Thing/Datastreams/ObservedProperty/name eq 'ObservedProperty 3'", [0, 1, 3]),
        ("Things", "properties/field eq null", [0, 3]), ("Things", "properties/field ne null", [1, 2]),
        ("Things", "Datastreams/id eq null", [3]), ("Things", "Datastreams/id ne null", [0, 1, 2]),
        ("Things", "null eq Datastreams/Sensor/name", [3]), ("Things", "not (Datastreams/id eq null)", [0, 1, 2]),
        ("Things", "Locations/any(l:l/name eq 'Location 2')", [1]),
        ("Things", "HistoricalLocations/any(hl : hl/Locations/any(l : startswith(l/name, 'Location 1')))", [0]),
        ("Things", "HistoricalLocations/any(hl : hl/Locations/any(l : l/properties/field eq properties/field))", [1, 2]),
        ("Things", "Datastreams/any(d:d/ObservedProperty/name eq 'ObservedProperty 0') and "
                   "Datastreams/any(d:d/ObservedProperty/name eq 'ObservedProperty 1')", [0, 1]),
        ("Things", "Datastreams/any(d:d/ObservedProperty/name eq 'ObservedProperty 0' and d/Sensor/name eq 'Sensor 1')", [2]),
        ("Things", "properties/list[0] eq 1", [1]), ("Things", "properties/list[1][1] eq 3", [1]),
        ("Things", "properties/list/1/0 eq 2", [1]), ("Things", "properties/o[0]/a eq 'b'", [1]),
    ],
)  # fmt: skip
def test_relations_and_properties_are_asked_as_frost_does(several, name, filter, expected):
    assert numbers(several, name, filter) == expected


@pytest.mark.parametrize(("filter", "expected"), [("resultQuality eq 'number-1'", [1]), ("resultQuality eq 2", [2]),
                                                  ("resultQuality/code eq 3", [3]), ("resultQuality eq null", [4])])  # fmt: skip
def test_the_quality_of_a_result_may_have_any_type(several, filter, expected):
    assert [o["result"] for o in several.values("Observations", filter=filter)] == expected


def test_parts_of_a_json_property_have_addresses(several):
    (one,) = several.ids("Things", filter="properties/field eq 2")
    for path, wanted in (("field", {"field": 2}), ("list", {"list": [1, [2, 3]]}), ("list[1]", {"list[1]": [2, 3]}),
                         ("list[1][0]", {"list[1][0]": 2}), ("o[0]/a", {"a": "b"})):  # fmt: skip
        assert several.get(f"Things({one})/properties/{path}") == wanted
    assert several.get(f"Things({one})/properties/o[0]/a/$value") == "b"
    for wrong in ("colour", "list[7]", "field/x", "list[x]", "name/x"):
        several.get(f"Things({one})/properties/{wrong}", status=404)
    several.get(f"Things({one})/name/x", status=404)


def test_an_optional_property_that_is_not_there_has_no_content(several):
    (one,) = several.ids("Things", filter="name eq 'Thing 0'")
    for path in (f"Things({one})/properties", f"Things({one})/properties/$value"):
        answer = several.client.get(f"{ROOT}/{path}")
        assert (answer.status_code, answer.content) == (204, b"")
    observation = several.ids("Observations")[0]
    assert several.get(f"Observations({observation})/resultTime") == {"resultTime": None}


def test_a_newer_historical_location_moves_the_thing_and_an_older_one_does_not(empty):
    thing = empty.post("Things", THING)
    places = [empty.post("Locations", {**LOCATION, "name": f"place {n}"}) for n in range(3)]
    empty.send("PATCH", f"Things({thing})", {"Locations": [link(places[0])]})
    (first,) = empty.ids(f"Things({thing})/HistoricalLocations")
    empty.send("PATCH", f"HistoricalLocations({first})", {"time": "2016-01-01T06:00:00.000Z"})
    for place, time, now in ((1, "2016-01-01T07:00:00Z", 1), (2, "2016-01-01T05:00:00Z", 1)):
        empty.post("HistoricalLocations", {"time": time, "Thing": link(thing), "Locations": [link(places[place])]})
        assert empty.ids(f"Things({thing})/Locations") == [places[now]]
    assert len(empty.ids(f"Things({thing})/HistoricalLocations")) == 3
    times = [h["time"] for h in empty.values(f"Things({thing})/HistoricalLocations", orderby="time")]
    assert times == sorted(times)


def test_the_feature_is_made_of_the_location_that_is_a_shape(empty):
    words = {"name": "address", "description": "d", "encodingType": "text/plain", "location": "9, High Street"}
    thing = empty.post("Things", {**THING, "Locations": [words, LOCATION, {**words, "name": "directions", "location": ""}]})
    stream = empty.post("Datastreams", {**DEEP_STREAM, "Thing": link(thing)})
    one = empty.post(f"Datastreams({stream})/Observations", {"result": 1})
    assert empty.get(f"Observations({one})/FeatureOfInterest")["feature"] == LOCATION["location"]


def test_an_observation_that_says_no_time_is_of_now(empty):
    thing = empty.post("Things", {**THING, "Locations": [LOCATION]})
    stream = empty.post("Datastreams", {**DEEP_STREAM, "Thing": link(thing)})
    begun = datetime.now(UTC)
    one = empty.get(f"Observations({empty.post(f'Datastreams({stream})/Observations', {'result': 1})})")
    assert begun <= datetime.fromisoformat(one["phenomenonTime"]) <= datetime.now(UTC)
    assert one["resultTime"] is None
    span = "2026-10-15T02:00:00+02:00/2026-10-15T03:30:00.250+02:00"
    other = empty.post(
        f"Datastreams({stream})/Observations", {"result": 1, "phenomenonTime": span, "resultTime": "2026-10-15T04:00:00Z"}
    )
    told = empty.get(f"Observations({other})")
    assert told["phenomenonTime"] == "2026-10-15T00:00:00.000Z/2026-10-15T01:30:00.250Z"
    assert told["resultTime"] == "2026-10-15T04:00:00.000Z"
    for wrong in ("2026-10-15T03:00:00Z/2026-10-15T02:00:00Z", "yesterday", "2026-13-01T00:00:00Z", 5):
        empty.post(f"Datastreams({stream})/Observations", {"result": 1, "phenomenonTime": wrong}, status=400)


def test_the_area_of_a_stream_grows_with_its_features_unless_it_was_told(empty):
    thing = empty.post("Things", {**THING, "Locations": [LOCATION]})
    stream = empty.post("Datastreams", {**DEEP_STREAM, "Thing": link(thing)})
    empty.post(f"Datastreams({stream})/Observations", {"result": 1})
    line = {**FEATURE, "feature": {"type": "LineString", "coordinates": [[-114, 50], [-113, 52]]}}
    empty.post(f"Datastreams({stream})/Observations", {"result": 2, "FeatureOfInterest": line})
    (ring,) = empty.get(f"Datastreams({stream})/observedArea")["observedArea"]["coordinates"]
    assert (min(p[0] for p in ring), max(p[0] for p in ring)) == (-114.05, -113)
    assert (min(p[1] for p in ring), max(p[1] for p in ring)) == (50, 52)
    told = {"type": "Point", "coordinates": [1, 2]}
    assert empty.send("PATCH", f"Datastreams({stream})", {"observedArea": told})["observedArea"] == told


def test_an_entity_changes_hands_by_a_link_from_either_end(empty):
    first, second = (empty.post("Things", {**THING, "name": n}) for n in "ab")
    stream = empty.post("Datastreams", {**DEEP_STREAM, "Thing": link(first)})
    empty.send("PATCH", f"Things({second})", {"Datastreams": [link(stream)]})
    assert (empty.ids(f"Things({first})/Datastreams"), empty.ids(f"Things({second})/Datastreams")) == ([], [stream])
    third = empty.post("Things", {**THING, "Datastreams": [link(stream)]})
    assert empty.get(f"Datastreams({stream})/Thing")["@iot.id"] == third
    empty.send("PATCH", f"Things({first})", {"Datastreams": [link(123456789)]}, status=400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("DELETE", "Things", 405), ("PATCH", "Things", 405), ("PUT", "", 404), ("POST", "Things({})", 405), ("POST", "", 404),
     ("DELETE", "Things({})/name", 405), ("POST", "Things({})/name", 405), ("POST", "$batch", 501), ("GET", "$batch", 501),
     ("GET", "Things?$search=river", 501), ("GET", "Things?$skiptoken=7", 501), ("GET", "Things?$nothing=7", 400),
     ("GET", "Things('{}')", 200), ("GET", "Things({})/", 200), ("GET", "Things({})/Datastreams/$count", 200),
     ("GET", "Things({})/Locations/name", 404), ("GET", "Things(x)", 404), ("GET", "Things?$top=3&$top=4", 400)],
)  # fmt: skip
def test_methods_and_addresses_are_answered_with_the_right_status(several, method, path, status):
    thing = several.ids("Things")[0]
    answer = several.client.request(
        method, f"{ROOT}/{path.format(thing)}", json={} if method in ("POST", "PATCH", "PUT") else None
    )
    assert answer.status_code == status, answer.text
    if status == 405:
        assert answer.headers["allow"]
    if status >= 400:
        assert answer.json()["error"]["message"]


def test_addresses_are_those_by_which_the_client_came(several):
    told = several.client.get(f"{ROOT}/Things?$top=1&$filter=name ne 'x'", headers={"host": "twin.example.org:8443"}).json()
    root = "http://twin.example.org:8443/sensorthings/v1.1"
    assert told["value"][0]["@iot.selfLink"].startswith(f"{root}/Things(")
    assert told["value"][0]["Datastreams@iot.navigationLink"].startswith(f"{root}/Things(")
    assert told["@iot.nextLink"].startswith(f"{root}/Things?")
    served = several.client.get(f"{ROOT}", headers={"host": "twin.example.org:8443"}).json()["value"]
    assert all(v["url"].startswith(root) for v in served)


@pytest.mark.parametrize(
    "text", ["l'Été", 'say "yes"', "水位", "a\\b", "50 % + more & less = ?", "#1", "new\nline", "\U0001f30a", "''", ""]
)
def test_any_text_is_kept_and_found(several, text):
    made = several.post("Things", {"name": text, "description": text, "properties": {"word": text}})
    said = text.replace("'", "''")
    try:
        for filter in (
            f"name eq '{said}'",
            f"properties/word eq '{said}'",
            f"startswith(description,'{said}') and id eq {made}",
        ):
            assert made in several.ids("Things", filter=filter)
        assert several.get(f"Things({made})")["name"] == text
        page = several.get("Things", filter=f"name ne '{said}x'", top="1")
        assert several.client.get(page["@iot.nextLink"]).status_code == 200
    finally:
        several.send("DELETE", f"Things({made})")
