"""OWSLib, a client of OGC API - Features written by others, reads the city's tables from the real server."""

from __future__ import annotations

import pytest
from owslib.ogcapi.features import Features


@pytest.fixture(scope="module")
def client(door):
    return Features(door.root.replace("/sensorthings/v1.1", "/ogc"))


def test_collections_their_extents_and_their_things_are_read(client):
    assert any(c.endswith("/conf/core") for c in client.conformance()["conformsTo"])
    names = client.feature_collections()
    assert "device" in names
    west, south, east, north = client.collection("device")["extent"]["spatial"]["bbox"][0]
    assert (west, south) < (east, north)
    page = client.collection_items("device", limit=40)
    assert (page["numberMatched"], page["numberReturned"], len(page["features"])) == (150, 40, 40)
    everything = client.collection_items("device", limit=1000)["features"]
    half = client.collection_items("device", bbox=[west, south, (west + east) / 2, north], limit=1000)["features"]
    inside = {f["id"] for f in everything if f["geometry"]["coordinates"][0] <= (west + east) / 2}
    assert {f["id"] for f in half} == inside
    assert 0 < len(half) < 150
    kind = everything[0]["properties"]["kind"]
    same = client.collection_items("device", kind=kind, limit=1000)["features"]
    assert {f["id"] for f in same} == {f["id"] for f in everything if f["properties"]["kind"] == kind}
    one = client.collection_item("device", everything[0]["id"])
    assert one["properties"]["kind"] == kind


def test_what_is_not_there_is_an_error_of_the_client(client):
    with pytest.raises(RuntimeError, match="no collection"):
        client.collection("devise")
    with pytest.raises(RuntimeError, match="no parameter"):
        client.collection_items("device", colour="red")


def test_links_follow_the_proxy_that_the_client_came_through(door):
    for path, links in (
        ("Things?$top=1", ["@iot.nextLink"]),
        ("Datastreams(1)", ["@iot.selfLink", "Thing@iot.navigationLink"]),
    ):
        told = door.request("GET", path, headers={"x-forwarded-proto": "https", "host": "localhost"}).json()
        assert all(told[name].startswith("https://localhost/sensorthings/v1.1/") for name in links)
    landing = door.request(
        "GET", door.root.replace("/sensorthings/v1.1", "/ogc/"), headers={"x-forwarded-proto": "https"}
    ).json()
    assert all(link["href"].startswith("https://127.0.0.1:") for link in landing["links"])
    assert door.request("GET", "Things", headers={"host": "other.example.org"}).status_code == 403
