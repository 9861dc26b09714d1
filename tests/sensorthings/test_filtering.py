"""What OGC's conformance suite asks of filters, order, selection and expansion (OGC 18-088, Annex A.2), and its shapes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sensing import BEGIN
from test_create_update_delete import QUANTITY, SENSOR, STREAM, link

from citytwin.server.sensorthings import routes

SHAPES = [
    {"type": "Point", "coordinates": [8, 51]},
    {"type": "Point", "coordinates": [8, 52]},
    {"type": "Point", "coordinates": [8, 53]},
    {"type": "Point", "coordinates": [8, 54]},
    {"type": "Polygon", "coordinates": [[[8, 53], [7, 52], [7, 53], [8, 53]]]},
    {"type": "LineString", "coordinates": [[5, 52], [5, 53]]},
    {"type": "LineString", "coordinates": [[5, 52], [6, 53]]},
    {"type": "LineString", "coordinates": [[4, 52], [8, 52]]},
]


@pytest.fixture(scope="module")
def filled(made_city, tmp_path_factory):
    """Four things, eight places, three streams and twelve observations, and nothing of the city."""
    from sensing import served

    for each in served(made_city, tmp_path_factory.mktemp("filled") / "city", False):
        each.clear()
        things = [
            each.post(
                "Things",
                {
                    "name": f"thing {i}",
                    "description": f"the {i}. thing",
                    "properties": {"n": i, "even": i % 2 == 0, "deep": {"a": [i]}},
                },
            )
            for i in range(1, 5)
        ]
        sensor, quantity = each.post("Sensors", SENSOR), each.post("ObservedProperties", QUANTITY)
        links = {"Sensor": link(sensor), "ObservedProperty": link(quantity)}
        streams = [
            each.post("Datastreams", {**STREAM, "name": f"datastream {i}", "Thing": link(things[i]), **links}) for i in range(3)
        ]
        features = []
        for i, shape in enumerate(SHAPES):
            near = {"Things": [link(things[max(0, min(i - 1, 3))])]} if i < 5 else {}
            each.post(
                "Locations",
                {
                    "name": f"location {i}",
                    "description": "d",
                    "encodingType": "application/geo+json",
                    "location": shape,
                    **near,
                },
            )
            features.append(
                each.post(
                    "FeaturesOfInterest",
                    {"name": f"feature {i}", "description": "d", "encodingType": "application/geo+json", "feature": shape},
                )
            )
        for i in range(12):
            when = datetime(2016, 1, 1 + i, 1, 1, 1, tzinfo=UTC)
            each.post(
                "Observations",
                {
                    "result": i + 1,
                    "phenomenonTime": when.isoformat(),
                    "Datastream": link(streams[i % 3]),
                    "FeatureOfInterest": link(features[i % 4]),
                    "validTime": f"{when.isoformat()}/{(when + timedelta(hours=12)).isoformat()}",
                    "parameters": {"tilt": i / 2},
                },
            )
        yield each


def results(service, filter, **more):
    return [o["result"] for o in service.values("Observations", filter=filter, orderby="id", **more)]


def shapes(service, filter, name="Locations"):
    return [int(e["name"].split()[-1]) for e in service.values(name, filter=filter, orderby="name")]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("result eq 3", [3]),
        ("result ne 3 and result le 4", [1, 2, 4]),
        ("result gt 11 or result lt 2", [1, 12]),
        ("not (result lt 11)", [11, 12]),
        ("result add 2 eq 5", [3]),
        ("result sub 1.5 gt 10", [12]),
        ("result mul 2 eq 8", [4]),
        ("result div 2 eq 2.5", [5]),
        ("result mod 5 eq 0", [5, 10]),
        ("(result add 1) mul 2 eq 8", [3]),
        ("-result eq -3", [3]),
        ("result in (2,4,99)", [2, 4]),
        ("result add 2 mul 3 eq 7", [1]),
        ("(result add 2) mul 3 eq 9", [1]),
        ("12 sub 2 sub result eq 5", [5]),
        ("result div 2 mul 2 eq 3", [3]),
        ("-result add 5 eq 2", [3]),
        ("result eq 1 or result eq 2 and result gt 5", [1]),
        ("(result eq 1 or result eq 2) and result lt 2", [1]),
        ("not result gt 2 and not (result eq 1 or false)", [2]),
        ("not (result lt 11 or result gt 11) eq true", [11]),
        ("2 eq result", [2]),
        ("result eq null", []),
        ("result gt '3'", [4, 5, 6, 7, 8, 9]),
        ("year(phenomenonTime) eq 2016 and day(phenomenonTime) le 2", [1, 2]),
        ("month(phenomenonTime) eq 2", []),
        (
            "hour(phenomenonTime) eq 1 and minute(phenomenonTime) eq 1 and second(phenomenonTime) eq 1 and fractionalseconds(phenomenonTime) eq 0 and result eq 9",
            [9],
        ),
        ("date(phenomenonTime) eq 2016-01-03", [3]),
        ("time(phenomenonTime) gt 01:01:00 and result lt 2", [1]),
        ("phenomenonTime lt now() and result eq 6", [6]),
        ("totaloffsetminutes(phenomenonTime) eq 0 and result eq 6", [6]),
        ("phenomenonTime gt mindatetime() and phenomenonTime lt maxdatetime() and result eq 1", [1]),
        ("phenomenonTime ge 2016-01-11T01:01:01Z", [11, 12]),
        ("phenomenonTime gt 2016-01-11T01:01:01+00:00", [12]),
        ("phenomenonTime eq '2016-01-04T01:01:01.000Z'", [4]),
        ("phenomenonTime lt 2016-01-01T01:01:01Z add duration'P1D'", [1]),
        ("phenomenonTime sub 2016-01-01T01:01:01Z lt duration'P1DT1H'", [1, 2]),
        ("during(phenomenonTime, 2016-01-02T00:00:00Z/2016-01-04T00:00:00Z)", [2, 3]),
        ("before(phenomenonTime, 2016-01-02T00:00:00Z)", [1]),
        ("after(phenomenonTime, 2016-01-11T12:00:00Z)", [12]),
        ("overlaps(validTime, 2016-01-03T02:00:00Z/2016-01-03T03:00:00Z)", [3]),
        ("starts(validTime, 2016-01-05T01:01:01Z)", [5]),
        ("finishes(validTime, 2016-01-05T13:01:01Z)", [5]),
        ("meets(validTime, 2016-01-05T13:01:01Z)", [5]),
        ("validTime gt 2016-01-11T12:00:00Z", [12]),
        ("round(result div 4) eq 3 and result lt 12", [10, 11]),
        ("floor(result div 4) eq 3", [12]),
        ("ceiling(result div 4) eq 1", [1, 2, 3, 4]),
        ("parameters/tilt gt 5", [12]),
        ("Datastream/name eq 'datastream 2' and result lt 7", [3, 6]),
        ("Datastream/Thing/name eq 'thing 1' and result lt 5", [1, 4]),
        ("Datastream/Thing/properties/n eq 2", [2, 5, 8, 11]),
        ("Datastream/ObservedProperty/name eq 'Dew point' and result eq 1", [1]),
        ("geo.distance(FeatureOfInterest/feature, geography'POINT(8 54.1)') lt 1", [4, 8, 12]),
        ("Datastream/Thing/Locations/name eq 'location 1' and result lt 5", [1, 4]),
        ("resultTime eq null and result eq 2", [2]),
        ("Datastream/Thing/Locations/any(l:geo.distance(l/location, geography'POINT(8 53)') lt 0.5) and result lt 6", [2, 5]),
    ],
)
def test_observations_are_filtered(filled, filter, expected):
    assert results(filled, filter) == expected


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("substringof('hing 1', name)", [1]),
        ("contains(name,'2')", [2]),
        ("startswith(description,'the 3')", [3]),
        ("endswith(description,'4. thing')", [4]),
        ("length(name) eq 7 and indexof(name,'3') eq 6", [3]),
        ("substring(name,6) eq '2'", [2]),
        ("substring(name,0,5) eq 'thing' and name gt 'thing 3'", [4]),
        ("toupper(name) eq 'THING 1'", [1]),
        ("tolower('THING 2') eq name", [2]),
        ("trim(concat(name,'  ')) eq 'thing 3'", [3]),
        ("properties/n ge 3", [3, 4]),
        ("properties/even eq true", [2, 4]),
        ("properties/deep/a/0 eq 2", [2]),
        ("properties/nothing eq null and properties/n lt 2", [1]),
        ("name eq 'it''s'", []),
        ("Datastreams/name eq 'datastream 1'", [2]),
        ("Datastreams/Observations/result gt 11", [3]),
        ("Datastreams/any(d:d/name eq 'datastream 0' or d/name eq 'datastream 2')", [1, 3]),
        ("Datastreams/all(d:d/name eq 'datastream 0')", [1, 4]),
        ("not Datastreams/any(d:d/id gt 0)", [4]),
        ("st_within(Locations/location, geography'POLYGON((7.9 52.5,8.1 52.5,8.1 53.5,7.9 53.5,7.9 52.5))')", [2]),
    ],
)
def test_things_are_filtered(filled, filter, expected):
    assert [int(t["name"][-1]) for t in filled.values("Things", filter=filter, orderby="name")] == expected


ALL = list(range(8))


@pytest.mark.parametrize(("name", "shape"), [("Locations", "location"), ("FeaturesOfInterest", "feature")])
@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("geo.distance(X, geography'POINT(8 54.1)') lt 1", [3]),
        ("geo.distance(X, geography'POINT(8 54.1)') gt 1", [0, 1, 2, 4, 5, 6, 7]),
        ("geo.intersects(X, geography'LINESTRING(7.5 51, 7.5 54)')", [4, 7]),
        ("geo.length(X) gt 1", [6, 7]),
        ("geo.length(X) ge 1", [5, 6, 7]),
        ("geo.length(X) eq 1", [5]),
        ("geo.length(X) ne 1", [0, 1, 2, 3, 4, 6, 7]),
        ("geo.length(X) lt 4", [0, 1, 2, 3, 4, 5, 6]),
        ("geo.length(X) le 4", ALL),
        ("st_contains(geography'POLYGON((7.5 51.5, 7.5 53.5, 8.5 53.5, 8.5 51.5, 7.5 51.5))', X)", [1, 2]),
        ("st_crosses(geography'LINESTRING(7.5 51.5, 7.5 53.5)', X)", [4, 7]),
        ("st_disjoint(geography'POLYGON((7.5 51.5, 7.5 53.5, 8.5 53.5, 8.5 51.5, 7.5 51.5))', X)", [0, 3, 5, 6]),
        ("st_equals(X, geography'POINT(8 53)')", [2]),
        ("st_intersects(X, geography'LINESTRING(7.5 51, 7.5 54)')", [4, 7]),
        ("st_overlaps(geography'POLYGON((7.5 51.5, 7.5 53.5, 8.5 53.5, 8.5 51.5, 7.5 51.5))', X)", [4]),
        ("st_relate(geography'POLYGON((7.5 51.5, 7.5 53.5, 8.5 53.5, 8.5 51.5, 7.5 51.5))', X, 'T********')", [1, 2, 4, 7]),
        ("st_touches(geography'POLYGON((8 53, 7.5 54.5, 8.5 54.5, 8 53))', X)", [2, 4]),
        ("st_within(geography'POINT(7.5 52.75)', X)", [4]),
        ("geo.metres(X, geography'POINT(8 51)') lt 1000", [0]),
    ],
)
def test_shapes_are_compared(filled, name, shape, filter, expected):
    assert shapes(filled, filter.replace("X", shape), name) == expected


def test_options_are_applied_in_the_order_of_the_standard(filled):
    found = filled.get("Observations", count="true", top="1", skip="2", orderby="phenomenonTime asc", filter="result gt 3")
    assert (found["@iot.count"], [o["result"] for o in found["value"]]) == (9, [6])
    assert "@iot.nextLink" in found


@pytest.mark.parametrize(
    "order", ["result desc", "phenomenonTime desc", "Datastream/name desc,result asc", "result mod 5,result"]
)
def test_order_follows_each_expression(filled, order):
    value = [o["result"] for o in filled.values("Observations", orderby=order)]
    keys = {
        "result desc": lambda r: -r,
        "phenomenonTime desc": lambda r: -r,
        "Datastream/name desc,result asc": lambda r: (-((r - 1) % 3), r),
        "result mod 5,result": lambda r: (r % 5, r),
    }
    assert value == sorted(range(1, 13), key=keys[order])


def test_selection_gives_what_is_named_only(filled):
    assert all(set(t) == {"name"} for t in filled.values("Things", select="name"))
    assert all(
        set(t) == {"@iot.id", "@iot.selfLink", "Datastreams@iot.navigationLink"}
        for t in filled.values("Things", select="id,Datastreams")
    )
    found = filled.values("Things", select="name", expand="Datastreams($select=name,unitOfMeasurement)")
    assert set(found[0]) == {"name", "Datastreams"}
    assert set(found[0]["Datastreams"][0]) == {"name", "unitOfMeasurement"}


def test_expansion_nests_with_options_of_its_own(filled):
    expand = "Datastreams($expand=Observations($top=2;$orderby=result desc;$filter=result lt 11;$count=true;$select=result)),Locations/HistoricalLocations/Thing"
    first = filled.values("Things", expand=expand, orderby="name")[0]
    stream = first["Datastreams"][0]
    assert [o["result"] for o in stream["Observations"]] == [10, 7]
    assert stream["Observations@iot.count"] == 4
    assert "Datastreams@iot.navigationLink" not in first
    following = filled.client.get(stream["Observations@iot.nextLink"]).json()
    assert [o["result"] for o in following["value"]] == [4, 1]
    assert first["Locations"][0]["HistoricalLocations"][0]["Thing"]["@iot.id"] == first["@iot.id"]
    one = filled.get(f"Observations({filled.ids('Observations')[0]})", expand="Datastream/Thing,FeatureOfInterest")
    assert one["Datastream"]["Thing"]["name"] == "thing 1"
    assert one["FeatureOfInterest"]["name"] == "feature 0"


def test_a_datastream_says_from_when_to_when_it_has_observations(filled, service):
    (stream,) = filled.values("Datastreams", filter="name eq 'datastream 0'")
    assert stream["phenomenonTime"] == "2016-01-01T01:01:01.000Z/2016-01-10T01:01:01.000Z"
    assert filled.values("Datastreams", filter="phenomenonTime gt 2015-01-01T00:00:00Z", count="true")
    assert filled.client.get("/sensorthings/v1.1/Observations/$count").text == "12"


def test_newest_first_is_right_over_days(service):
    id = service.ids("Datastreams")[3]
    value = [o["result"] for o in service.values(f"Datastreams({id})/Observations", orderby="phenomenonTime desc", top="5")]
    assert value == [347.0, 346.0, 345.0, 344.0, 343.0]
    things = service.values("Things", top="6", expand="Datastreams($expand=Observations($top=1;$orderby=phenomenonTime desc))")
    assert [t["Datastreams"][0]["Observations"][0]["result"] for t in things] == [r * 100 + 47.0 for r in range(6)]
    window = "phenomenonTime ge 2026-10-15T00:00:00Z and phenomenonTime lt 2026-10-15T06:00:00Z"
    assert len(service.values(f"Datastreams({id})/Observations", filter=window)) == 6


def test_streams_of_the_city_are_found_by_when_they_observed(service, monkeypatch):
    """The first six devices told something from 2026-10-14T17:46:40Z on, for 48 hours; the others nothing."""
    heard = np.full(150, np.nan)
    heard[:6] = BEGIN + 47 * 3600
    monkeypatch.setattr(routes.service_of(service.client.app).asking.kept, "last", lambda: heard)
    streams = service.ids("Datastreams", top="1000", orderby="id")
    begin, end = "2026-10-14T17:46:40Z", "2026-10-16T16:46:40Z"
    for filter, expected in (
        (f"phenomenonTime ge {begin}", streams[:6]), (f"phenomenonTime gt {begin}", []), (f"phenomenonTime eq {begin}/{end}", streams[:6]),
        ("overlaps(phenomenonTime,2026-10-15T00:00:00Z)", streams[:6]), ("overlaps(phenomenonTime,2026-10-17T00:00:00Z)", []),
        ("phenomenonTime ne null", streams[:6]), ("phenomenonTime eq null", streams[6:]),
    ):  # fmt: skip
        assert service.ids("Datastreams", filter=filter, top="1000", orderby="id") == expected, filter
    assert service.ids("Datastreams", orderby="phenomenonTime,id", top="6") == streams[:6]
    assert service.get("Things", filter="Datastreams/phenomenonTime ne null", count="true")["@iot.count"] == 6
