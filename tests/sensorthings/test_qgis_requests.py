"""The requests of QGIS's SensorThings provider, as its source makes them (qgis/QGIS, src/core/providers/sensorthings), replayed."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

import pytest

SETS = {"Locations": "location", "FeaturesOfInterest": "feature"}  # those that have places, and in which property
EXTENT = "Polygon (({0} {1}, {2} {1}, {2} {3}, {0} {3}, {0} {1}))"


def of_type(shape, kind):
    return f"{shape}/type eq '{kind}' or {shape}/geometry/type eq '{kind}'"


def asked(*filters):
    """Several filters as QGIS joins them; it leaves brackets and quotes in the address as they are and encodes blanks."""
    said = [f for f in filters if f]
    text = said[0] if len(said) == 1 else f"({') and ('.join(said)})"
    return f"&$filter={quote(text, safe=chr(39) + '(),/')}" if said else ""


def count(door, url, *filters):
    told = door.get(f"{url}?$top=0&$count=true{asked(*filters)}")
    assert told["value"] == []
    assert "@iot.nextLink" not in told
    return told["@iot.count"]


@pytest.fixture(scope="module")
def urls(observed):
    """The address of each set, as the root tells it."""
    return {v["name"]: v["url"] for v in observed.get("")["value"]}


@pytest.mark.parametrize(("name", "shape"), SETS.items())
def test_a_layer_says_which_shapes_it_has(observed, urls, name, shape):
    found = {kind: count(observed, urls[name], of_type(shape, kind)) for kind in ("Point", "LineString", "Polygon")}
    assert found == {"Point": count(observed, urls[name]), "LineString": 0, "Polygon": 0}


@pytest.mark.parametrize(("name", "shape"), SETS.items())
def test_a_map_reads_its_extent_page_by_page(observed, urls, name, shape):
    places = [e[shape]["coordinates"] for e in observed.get(f"{name}?$top=1000&$select={shape}")["value"]]
    west, east = sorted(p[0] for p in places)[10], sorted(p[0] for p in places)[-10]
    south, north = min(p[1] for p in places), max(p[1] for p in places)
    inside = f"geo.intersects({shape}, geography'{EXTENT.format(west, south, east, north)}')"
    filters = (of_type(shape, "Point"), inside, "startswith(name, 'W') or length(name) gt 1")
    wanted = sum(west <= x <= east for x, _ in (p[:2] for p in places))
    assert count(observed, urls[name], *filters) == wanted
    page, seen = f"{urls[name]}?$top=40&$count=false{asked(*filters)}", []
    while page:  # QGIS puts another size into $top of the links it gets: they must have it
        assert re.search(r"\$top=\d+", page)
        told = observed.get(page)
        assert "@iot.count" not in told
        seen += [e["@iot.id"] for e in told["value"]]
        page = told.get("@iot.nextLink")
    assert len(set(seen)) == len(seen) == wanted


def text_or_number(value):
    return value is None or isinstance(value, (str, int, float, bool))


@pytest.mark.parametrize("name", ["Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties",
                                  "Observations", "FeaturesOfInterest"])  # fmt: skip
def test_attributes_have_the_types_that_its_reader_takes(observed, urls, name):
    """Its JSON reader stops at a text that is an object: these must be texts or numbers; spans have two ends."""
    for entity in observed.get(f"{urls[name]}?$top=200&$count=false")["value"]:
        for text in ("@iot.id", "@iot.selfLink", "name", "description", "definition", "metadata", "observationType", "result"):
            assert text_or_number(entity.get(text)), (text, entity)
        assert isinstance(entity.get("properties", {}), dict)
        if name == "Datastreams" and "phenomenonTime" in entity:
            begin, end = (datetime.fromisoformat(t) for t in entity["phenomenonTime"].split("/"))
            assert begin <= end


def test_a_layer_of_places_can_hold_their_things_and_newest_observations(observed, urls):
    """The form of a layer with expansions: each level with its order and size, the next one in brackets."""
    inner = "Observations($orderby=phenomenonTime desc;$top=3)"
    middle = f"Datastreams($orderby=id;$top=100;$expand={inner})"
    expand = f"Things($orderby=id;$top=100;$filter=name ne '';$expand={middle})"
    told = observed.get(
        f"{urls['Locations']}?$top=50&$count=false&$expand={quote(expand)}{asked(of_type('location', 'Point'))}"
    )
    assert len(told["value"]) == 50
    for place in told["value"]:
        (thing,) = place["Things"]
        (stream,) = thing["Datastreams"]
        assert len(stream["Observations"]) <= 3
    assert any(p["Things"][0]["Datastreams"][0]["Observations"] for p in told["value"])
