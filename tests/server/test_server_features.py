"""The city as OGC API - Features: what the standard asks for, and a real client that reads it."""

from __future__ import annotations

import re
import subprocess
import sys

import pyogrio
import pytest
import shapely

GEOJSON = "application/geo+json"
BOX = (1.5160, 42.5080, 1.5200, 42.5105)
PROGRAM = f"""
import sys
import pyogrio
source, out = sys.argv[1:]
layers = [str(name) for name, _ in pyogrio.list_layers(source)]
open(out + "/layers.txt", "w").write(" ".join(layers))
for table in ("building", "road", "device"):
    pyogrio.write_dataframe(pyogrio.read_dataframe(source, layer=table, PAGE_SIZE=7), f"{{out}}/{{table}}.gpkg")
pyogrio.write_dataframe(pyogrio.read_dataframe(source, layer="building", bbox={BOX}), out + "/some.gpkg")
"""  # in a process of its own: GDAL lets no other thread of Python work while it waits for an answer
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


def links(said, rel):
    return [link["href"] for link in said["links"] if link["rel"] == rel]


def test_from_the_landing_page_links_lead_to_every_thing(client, server):
    for path in ("/ogc", "/ogc/"):
        landing = client.get(path).json()
        assert {link["rel"] for link in landing["links"]} >= {"self", "service-desc", "conformance", "data"}
    assert "openapi" in client.get(links(landing, "service-desc")[0]).json()
    conforms = client.get(links(landing, "conformance")[0]).json()["conformsTo"]
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in conforms
    listed = client.get(links(landing, "data")[0]).json()["collections"]
    assert {c["id"] for c in listed} == set(server.twin.city.tables) - {"household"}
    for said in listed:
        assert client.get(links(said, "self")[0]).json() == said
        assert said["crs"] == [CRS84]
        west, south, east, north = said["extent"]["spatial"]["bbox"][0]
        answer = client.get(links(said, "items")[0])
        assert answer.headers["content-type"] == GEOJSON
        assert answer.json()["numberMatched"] == server.twin.city.size(said["id"])
        for each in pyogrio.read_dataframe(answer.content).total_bounds.reshape(2, 2):
            assert west - 1e-6 <= each[0] <= east + 1e-6
            assert south - 1e-6 <= each[1] <= north + 1e-6


def test_next_links_walk_through_all_items_once(client):
    url, found = "/ogc/collections/building/items?limit=15&use=house", []
    while url:
        page = client.get(url).json()
        assert page["numberMatched"] == 10
        assert page["numberReturned"] == len(page["features"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", page["timeStamp"])
        found += [f["id"] for f in page["features"]]
        url = next(iter(links(page, "next")), None)
    assert found == [f"way/{n}" for n in range(0, 40, 4)]
    first = client.get("/ogc/collections/building/items?limit=15").json()
    second = client.get(links(first, "next")[0]).json()
    assert len(second["features"]) == 15
    assert client.get(links(second, "prev")[0]).json()["features"] == first["features"]
    assert client.get(links(second, "self")[0]).json()["features"] == second["features"]


def test_items_are_chosen_by_place_and_by_any_property(client):
    items = lambda query: [f["id"] for f in client.get(f"/ogc/collections/{query}").json()["features"]]  # noqa: E731
    everything = items("road/items")
    assert items("road/items?drivable=false") == ["r4"]
    assert items("road/items?class=residential&name=Carrer%20Major") == ["r1"]
    assert items("building/items?people=7") == ["way/7"]
    box = (1.5160, 42.5080, 1.5200, 42.5105)
    same = client.get("/api/tables/building", params={"bbox": ",".join(map(str, box))}).json()
    assert items(f"building/items?bbox={','.join(map(str, box))}") == [f["id"] for f in same["features"]] != []
    heights = f"{box[0]},{box[1]},0,{box[2]},{box[3]},900"
    assert items(f"building/items?bbox={heights}") == [f["id"] for f in same["features"]]
    assert items("road/items?bbox=-180,-90,180,90") == everything
    assert items("road/items?bbox=170,-90,-170,90") == []
    assert items("road/items?datetime=2026-11-21T18:00:00Z/..") == everything


def test_every_attribute_can_be_asked_for_under_its_own_name(client, server):
    for table in set(server.twin.city.tables) - {"household"}:
        first = client.get(f"/ogc/collections/{table}/items?limit=1").json()["features"][0]
        for name, value in first["properties"].items():
            if value is None or name not in server.twin.city[table]:
                continue
            answer = client.get(
                f"/ogc/collections/{table}/items", params={name: str(value).lower() if value in (True, False) else value}
            )
            assert answer.status_code == 200, answer.text
            assert first["id"] in {f["id"] for f in answer.json()["features"]}, (table, name)
            assert {f["properties"][name] for f in answer.json()["features"]} == {value}


def test_an_item_has_its_own_address_even_with_a_slash_in_its_key(client):
    page = client.get("/ogc/collections/building/items?limit=4").json()
    said = client.get("/ogc/collections/building/items/way/3").json()
    assert said["type"] == "Feature"
    assert said["id"] == "way/3"
    assert said["geometry"] == page["features"][3]["geometry"]
    assert client.get(links(said, "self")[0]).json() == said


def test_a_device_tells_what_it_measures_now(client, server):
    server.call(lambda: server.twin.push([4], [2.25]))
    said = client.get("/ogc/collections/device/items/dev-4").json()["properties"]
    assert (said["quantity"], said["value"], said["unit"], said["status"]) == ("river_level", 2.25, "m", "online")
    assert said["measured"].endswith("Z")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("collections/raod", 404, 'did you mean "road"?'),
        ("collections/household/items", 404, "no collection"),
        ("collections/road/items/r99", 404, "no road"),
        ("collections/road/items?nmae=x", 400, 'did you mean "name"?'),
        ("collections/road/items?limit=0", 400, "whole number from 1"),
        ("collections/road/items?limit=x", 400, "whole number"),
        ("collections/road/items?offset=-1", 400, "whole number"),
        ("collections/road/items?bbox=1,2,3", 400, "is not a box"),
        ("collections/road/items?bbox=1,9,3,2", 400, "is not a box"),
        ("collections/road/items?datetime=then", 400, "is not a time"),
        ("collections/road/items?datetime=2026-02-01/2026-01-01", 400, "is not a time"),
        ("collections/road/items?lanes=two", 400, "is not a number"),
        ("collections/road/items?name=a&name=b", 400, "given twice"),
        ("collections/road/items?crs=x", 400, "is not offered"),
        ("collections/road/items?f=html", 400, "no format"),
        ("nothing", 404, ""),
    ],
)
def test_a_wrong_request_is_one_line_with_what_is_right(client, path, status, words):
    answer = client.get(f"/ogc/{path}")
    assert answer.status_code == status, answer.text
    assert words in " ".join(answer.json()["error"].values())


def test_a_page_is_never_larger_than_the_server_allows(client):
    said = client.get("/ogc/collections/building/items?limit=1000000").json()
    assert "limit=10000" in links(said, "self")[0]


@pytest.mark.skipif("OAPIF" not in pyogrio.list_drivers(), reason="GDAL was built without its OAPIF driver")
def test_gdal_reads_the_city_layer_by_layer(server, tmp_path):
    out = tmp_path / "read"
    out.mkdir()
    subprocess.run([sys.executable, "-c", PROGRAM, f"OAPIF:{server.url}/ogc", str(out)], check=True, timeout=100)
    city = server.twin.city
    assert set((out / "layers.txt").read_text().split()) == set(city.tables) - {"household"}
    for table in ("building", "road", "device"):
        read = pyogrio.read_dataframe(out / f"{table}.gpkg").set_index("key")
        assert sorted(read.index) == sorted(city[table]["key"])
        mine = city[table].set_index("key").to_crs(4326).loc[read.index].geometry
        assert shapely.equals_exact(read.geometry.to_numpy(), mine.to_numpy(), 1e-6).all()
    some = pyogrio.read_dataframe(out / "some.gpkg")
    assert 0 < len(some) < 40
    assert some.intersects(shapely.box(*BOX)).all()
