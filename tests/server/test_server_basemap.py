"""The base map: its layers, its zooms, and how it is served."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyogrio
import pytest
from pmtiles.reader import MemorySource, Reader, all_tiles

from citytwin.city import read_city
from citytwin.server.basemap import LAYERS, STAGES, Basemap, make


@pytest.fixture(scope="module")
def archive(client) -> bytes:
    return client.get("/api/basemap.pmtiles").content


def test_the_archive_covers_the_city_at_every_zoom(archive, server):
    source = MemorySource(archive)
    header = Reader(source).header()
    west, south, east, north = server.twin.city.lonlat_bounds
    assert header["min_lon_e7"] == pytest.approx(west * 1e7, abs=1)
    assert header["max_lat_e7"] == pytest.approx(north * 1e7, abs=1)
    assert (header["min_lat_e7"], header["max_lon_e7"]) == pytest.approx((south * 1e7, east * 1e7), abs=1)
    zooms = {place[0] for place, _ in all_tiles(source)}
    assert zooms == set(range(STAGES[0].low, STAGES[-1].high + 1))
    assert (header["min_zoom"], header["max_zoom"]) == (min(zooms), max(zooms))


def test_each_layer_has_its_own_properties(archive):
    layers = {layer["id"]: layer for layer in Reader(MemorySource(archive)).metadata()["vector_layers"]}
    assert set(layers) == {"land", "waterway", "zone", "road", "building", "facility"}
    for name, layer in layers.items():
        assert set(layer["fields"]) == set(LAYERS[name])
    assert layers["building"]["minzoom"] == 13
    assert layers["road"]["minzoom"] == 6


def drawn(archive: bytes, tmp_path: Path, layer: str, zoom: int) -> set[str]:
    path = tmp_path / "map.pmtiles"
    path.write_bytes(archive)
    try:
        found = pyogrio.read_dataframe(path, layer=layer, ZOOM_LEVEL=zoom)
    except pyogrio.errors.DataLayerError:
        return set()
    return set(found["key"])


def test_small_things_appear_as_one_comes_nearer(archive, tmp_path):
    assert drawn(archive, tmp_path, "road", 10) == {"r0", "r2"}
    assert drawn(archive, tmp_path, "road", 12) == {"r0", "r1", "r2", "r3"}
    assert drawn(archive, tmp_path, "road", 15) == {f"r{n}" for n in range(5)}
    assert drawn(archive, tmp_path, "building", 12) == set()
    assert drawn(archive, tmp_path, "building", 13) == {f"way/{n}" for n in range(40)}


def test_shapes_lie_where_the_city_has_them(archive, tmp_path, server):
    path = tmp_path / "map.pmtiles"
    path.write_bytes(archive)
    tiles = pyogrio.read_dataframe(path, layer="building", ZOOM_LEVEL=15).dissolve("key").to_crs(server.twin.city.crs)
    truth = server.twin.city.table("building").set_index("key")
    assert (tiles.geometry.centroid.distance(truth.geometry.loc[tiles.index].centroid) < 1.0).all()
    assert tiles.loc["way/3", "use"] == "health"
    assert tiles.loc["way/3", "height"] == 6.0


def test_a_range_is_answered_with_just_those_bytes(client, archive):
    answer = client.get("/api/basemap.pmtiles", headers={"range": "bytes=0-126"})
    assert answer.status_code == 206
    assert answer.content == archive[:127]
    assert answer.headers["content-range"] == f"bytes 0-126/{len(archive)}"
    assert client.get("/api/basemap.pmtiles", headers={"range": f"bytes={len(archive)}-"}).status_code == 416


def test_a_browser_that_has_it_is_told_so(client):
    tag = client.get("/api/basemap.pmtiles", headers={"range": "bytes=0-0"}).headers["etag"]
    assert client.get("/api/basemap.pmtiles", headers={"if-none-match": tag}).status_code == 304


def test_it_is_kept_for_this_very_city(client, server):
    client.get("/api/basemap.pmtiles", headers={"range": "bytes=0-0"})
    kept = server.folder / "tiles" / "basemap.json"
    tag = json.loads(kept.read_text())["tag"]
    assert read_city(server.folder).identity[:24] in tag
    again = Basemap(server.twin.city, server.folder)
    again.tag = tag
    assert again._is_kept(kept)
    again.tag = '"another city"'
    assert not again._is_kept(kept)


def test_a_city_without_things_to_draw_gives_an_empty_map(tmp_path, server):
    from citytwin.city import City, Facts

    city = server.twin.city
    bare = City(Facts("Bare", city.facts.crs), {}, city.ground)
    make(bare, tmp_path / "bare.pmtiles")
    source = MemorySource((tmp_path / "bare.pmtiles").read_bytes())
    assert Reader(source).metadata()["vector_layers"] == []
    assert [gzip.decompress(tile) for _, tile in all_tiles(source)] == [b""]
