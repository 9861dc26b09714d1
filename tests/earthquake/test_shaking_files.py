"""Files of ruptures, shaking and stations, and what is said of damaged ones."""

import gzip
import json

import numpy as np
import pytest

from citytwin.errors import InputError, MissingError
from citytwin.hazards.earthquake.records import read_records, stations_of
from citytwin.hazards.earthquake.rupture_files import read_fault, read_rupture
from citytwin.hazards.earthquake.shakemap import read_shakemap, shaking_of_map
from citytwin.hazards.earthquake.source import around

NRML = '<nrml xmlns:gml="http://www.opengis.net/gml" xmlns="http://openquake.org/xmlns/nrml/0.5">{}</nrml>'
FACTS = '<magnitude>6.5</magnitude><rake>90</rake><hypocenter lat="42.0" lon="13.0" depth="8.0"/>'
PLANE = (
    '<planarSurface strike="0" dip="90"><topLeft lon="13.0" lat="41.9" depth="2"/><topRight lon="13.0" lat="42.1" depth="2"/>'
    '<bottomLeft lon="13.0" lat="41.9" depth="12"/><bottomRight lon="13.0" lat="42.1" depth="12"/></planarSurface>'
)
SIMPLE = (
    "<simpleFaultGeometry><gml:LineString><gml:posList>13.0 41.9 13.0 42.1</gml:posList></gml:LineString>"
    "<dip>45</dip><upperSeismoDepth>0</upperSeismoDepth><lowerSeismoDepth>10</lowerSeismoDepth></simpleFaultGeometry>"
)
EDGE = "<{0}><gml:LineString><gml:posList>13.0 41.9 {1} 13.0 42.1 {1}</gml:posList></gml:LineString></{0}>"
COMPLEX = f"<complexFaultGeometry>{EDGE.format('faultTopEdge', 1)}{EDGE.format('faultBottomEdge', 9)}</complexFaultGeometry>"
POINTS = "<griddedSurface><gml:posList>13.0 41.9 2 13.0 42.1 3</gml:posList></griddedSurface>"
RUPTURES = {
    "singlePlaneRupture": (PLANE, 90.0, 2.0),
    "multiPlanesRupture": (PLANE + PLANE, 90.0, 2.0),
    "simpleFaultRupture": (SIMPLE, 45.0, 0.0),
    "complexFaultRupture": (COMPLEX, 90.0, 1.0),
    "griddedRupture": (POINTS, 90.0, 2.0),
}
GRID = """<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap">
<event magnitude="6.0" lat="42" lon="13" depth="8"/><grid_specification nlon="3" nlat="2"/>
<grid_field index="2" name="LAT" units="dd"/><grid_field index="1" name="LON" units="dd"/>
<grid_field index="4" name="PGA" units="%g"/><grid_field index="3" name="STDPGA" units="ln(%g)"/>
<grid_data>{}</grid_data></shakemap_grid>"""
ROWS = "13 43 .5 10\n14 43 .5 20\n15 43 .5 30\n13 42 .5 40\n14 42 .5 50\n15 42 .5 60"


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", RUPTURES)
def test_every_kind_of_openquake_rupture_is_read(tmp_path, kind):
    surface, dip, top = RUPTURES[kind]
    found = read_rupture(written(tmp_path, "r.xml", NRML.format(f"<{kind}>{FACTS}{surface}</{kind}>")))
    assert found.magnitude == 6.5
    assert found.hypocentre == (13.0, 42.0, 8.0)
    assert found.dip == pytest.approx(dip, abs=0.5)
    assert found.top_depth == top


HEAD = "#,,,\nseed,mag,rake,lon,lat,dep,multiplicity,trt,kind,mesh,extra\n"


@pytest.mark.parametrize(
    ("mesh", "planes"),
    [
        ("[[[13.0, 13.0, 13.1, 13.1]], [[41.9, 42.1, 41.9, 42.1]], [[2, 2, 12, 12]]]", 1),
        ("[[[13.0, 13.0, 13.0], [13.1, 13.1, 13.1]], [[41.9, 42.0, 42.1], [41.9, 42.0, 42.1]], [[2, 2, 2], [12, 12, 12]]]", 2),
    ],
)
def test_ruptures_of_openquakes_csv_are_read(tmp_path, mesh, planes):
    found = read_rupture(written(tmp_path, "r.csv", f'{HEAD}1,6.5,90,13.05,42.0,8,1,Active,Planar,"{mesh}",\n'))
    assert len(found.quads) == planes
    assert found.strike == pytest.approx(0.0, abs=0.5) or found.strike == pytest.approx(360.0, abs=0.5)
    assert found.top_depth == 2.0


def test_the_surfaces_of_a_csv_may_be_several_and_of_different_shapes(tmp_path):
    plane = [[[13.0, 13.0, 13.0, 13.0]], [[41.9, 42.1, 41.9, 42.1]], [[2, 2, 12, 12]]]
    rows = [[[13.0, 13.1], [13.0, 13.1], [13.0, 13.1]], [[42.1, 42.2]] * 3, [[2, 2], [7, 7], [12, 12]]]
    said = json.dumps([plane, rows]).replace('"', "")
    text = f'{HEAD}1,6.5,90,13.0,42.0,8,1,Active,MultiSurface,"{said}",""\n'
    found = read_rupture(written(tmp_path, "r.csv", text))
    assert len(found.quads) == 3
    assert found.width == pytest.approx(10, abs=0.01)


PROFILE = "<profile><gml:LineString><gml:posList>{0} 41.9 0 {0} 42.0 6 {0} 42.1 15</gml:posList></gml:LineString></profile>"


def test_a_kite_surface_is_drawn_between_its_profiles_and_its_middle_is_the_hypocentre_unless_said(tmp_path):
    surface = f"<kiteSurface>{PROFILE.format(13.0)}{PROFILE.format(13.2)}</kiteSurface>"
    facts = "<magnitude>6.5</magnitude><rake>90</rake>"
    text = NRML.format(f"<multiPlanesRupture>{facts}{surface}</multiPlanesRupture>")
    found = read_rupture(written(tmp_path, "r.xml", text))
    assert found.hypocentre == pytest.approx((13.1, 42.0, 7.2), abs=0.3)
    assert (found.top_depth, found.quads[:, :, 2].max()) == (0, 15)
    assert found.width == pytest.approx(np.hypot(11.1, 6) + np.hypot(11.1, 9), abs=0.3)
    assert found.strike == pytest.approx(90, abs=0.2)


def test_the_width_of_a_fault_of_several_rows_is_that_of_all_rows(tmp_path):
    edges = "".join(EDGE.format(tag, depth) for tag, depth in
                    (("faultTopEdge", 1), ("intermediateEdge", 6), ("faultBottomEdge", 13)))  # fmt: skip
    text = f"<complexFaultRupture>{FACTS}<complexFaultGeometry>{edges}</complexFaultGeometry></complexFaultRupture>"
    assert read_rupture(written(tmp_path, "r.xml", NRML.format(text))).width == pytest.approx(12, abs=0.01)


def test_a_rupture_whose_sections_stand_elsewhere_is_told_so(tmp_path):
    text = '<multiPlanesRupture><magnitude>7</magnitude><sectionIndexes indexes="1"/><rake>180</rake></multiPlanesRupture>'
    with pytest.raises(InputError, match="sections stand in another file"):
        read_rupture(written(tmp_path, "r.xml", NRML.format(text)))


def test_a_simple_fault_dips_to_the_right_of_its_strike(tmp_path):
    text = NRML.format(f"<simpleFaultRupture>{FACTS}{SIMPLE}</simpleFaultRupture>")
    quads = read_rupture(written(tmp_path, "r.xml", text)).quads
    assert quads[0, 2, 0] > quads[0, 1, 0]
    assert quads[0, 2, 2] == 10.0


def test_ruptures_of_shakemap_are_read(tmp_path):
    ring = [[13.4, 42.42, 0.5], [13.55, 42.28, 0.5], [13.46, 42.22, 12.0], [13.31, 42.36, 12.0], [13.4, 42.42, 0.5]]
    shape = {"type": "Feature", "properties": {}, "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]}}
    facts = {"mag": 6.1, "lon": 13.38, "lat": 42.34, "depth": 8.3, "mech": "ALL", "rake": 0.0}
    document = {"type": "FeatureCollection", "metadata": facts, "features": [shape]}
    found = read_rupture(written(tmp_path, "rupture.json", json.dumps(document)))
    assert found.quads.shape == (1, 4, 3)
    assert np.isnan(found.rake)
    point = read_rupture(written(tmp_path, "e.xml", '<earthquake lat="38.2" lon="-122.3" depth="11.1" mag="6.0"/>'))
    assert point.derived
    lines = "# fault\n-122.31 38.22 2\n-122.33 38.31 2\n-122.33 38.31 11\n-122.31 38.22 11\n>\n"
    assert len(read_fault(written(tmp_path, "fault.txt", lines), point).quads) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no rupture"),
        ("<nrml>", "well-formed"),
        ("<nrml/>", "no rupture"),
        (NRML.format(f"<simpleFaultRupture>{FACTS}</simpleFaultRupture>"), "no surface"),
        (NRML.format("<simpleFaultRupture><magnitude>big</magnitude></simpleFaultRupture>"), "not a number"),
        ('{"mag": 6}', "no lon"),
        ('{"mag": 60, "lon": 1, "lat": 2, "depth": 3}', "magnitude 60"),
        ('{"mag": 6, "lon": 1, "lat": 200, "depth": 3}', "not longitude, latitude"),
        ("{", "not JSON"),
        ("mag,mesh\n6,[]\n", "not a number"),
    ],
)
def test_a_damaged_rupture_is_refused_in_one_line_that_names_the_file(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        read_rupture(written(tmp_path, "bad.file", text))
    assert said in str(error.value)
    assert "bad.file" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_grid_is_read_by_the_index_of_its_fields(tmp_path):
    grid = read_shakemap(written(tmp_path, "grid.xml", GRID.format(ROWS)))
    assert grid.measures == ("PGA",)
    value, spread = grid.at([13.0, 15.0, 14.5, 20.0], [43.0, 42.0, 42.0, 42.0], "PGA")
    assert np.exp(value[:2]) == pytest.approx([0.1, 0.6])
    assert value[2] == pytest.approx((np.log(0.5) + np.log(0.6)) / 2)
    assert np.isnan(value[3])
    assert spread[0] == 0.5
    assert grid.magnitude == 6.0


def test_a_packed_grid_with_its_uncertainty_becomes_shaking(tmp_path):
    path = tmp_path / "grid.xml.gz"
    path.write_bytes(gzip.compress(GRID.format(ROWS).encode()))
    other = written(tmp_path, "uncertainty.xml", GRID.format(ROWS).replace(".5 ", ".3 "))
    found = shaking_of_map(read_shakemap(path, other), [0.0], [0.0], [14.0], [42.5], ("PGA",))
    assert found.total[0, 0] == pytest.approx(0.3)
    with pytest.raises(InputError, match="1 of 1 places lie outside"):
        shaking_of_map(read_shakemap(path), [0.0], [0.0], [4.0], [42.5], ("PGA",))
    with pytest.raises(MissingError, match="it has PGA"):
        shaking_of_map(read_shakemap(path), [0.0], [0.0], [14.0], [42.5], ("PGV",))


@pytest.mark.parametrize(
    "rows", ["", "1 2 3", "a b c d", "13 43 .5 10\n13 43 .5 20\n13 43 .5 30\n13 42 1 1\n14 42 1 1\n15 42 1 1"]
)
def test_a_damaged_grid_is_refused(tmp_path, rows):
    with pytest.raises(InputError, match=r"bad\.xml"):
        read_shakemap(written(tmp_path, "bad.xml", GRID.format(rows)))


STATIONS_XML = """<stationlist><station code="A" lat="42" lon="13"><comp name="HNE"><pga value="10" flag="0"/></comp>
<comp name="HNN"><pga value="40" flag="0"/></comp><comp name="HNZ"><pga value="90" flag="0"/></comp></station>
<station code="B" lat="42" lon="13.2"><comp name="HNE"><pga value="10" flag="M"/><pgv value="3" flag="0"/></comp></station>
<station code="C" lat="42.1" lon="13.2" intensity="6.1" nresp="20"/></stationlist>"""
STATIONS_CSV = """STATION_ID,LONGITUDE,LATITUDE,STATION_TYPE,VS30,PGA_VALUE,PGA_LN_SIGMA,SA(0.3)_VALUE,MMI_VALUE
A,13,42,seismic,500,0.2,0,0.5,
B,13.2,42,macroseismic,,,,,6
"""


def channel(value, flag="0"):
    return {"name": "HNE", "amplitudes": [{"name": "pga", "value": value, "units": "%g", "flag": flag, "ln_sigma": 0.1}]}


def test_station_lists_of_all_kinds_say_the_same(tmp_path):
    first, second, third = read_records(written(tmp_path, "s.xml", STATIONS_XML))
    assert np.exp(first.values["PGA"][0]) == pytest.approx(0.2)
    assert set(second.values) == {"PGV"}
    assert third.felt[0] == 6.1
    feature = {"geometry": {"coordinates": [13, 42]}, "properties": {"code": "A", "vs30": 500, "channels": [channel(20.0)]}}
    felt = {
        "geometry": {"coordinates": [13, 42]},
        "properties": {"station_type": "macroseismic", "intensity": 6.0, "channels": []},
    }
    cell = [[13.0, 42.0], [13.2, 42.0], [13.2, 42.2], [13.0, 42.2]]
    by_cell = {"geometry": {"type": "Polygon", "coordinates": [cell]}, "properties": {"cdi": 5.1, "nresp": 9, "name": "cell"}}
    flagged = {"geometry": {"coordinates": [13, 42]}, "properties": {"channels": [channel(20.0, "T")]}}
    document = json.dumps({"features": [feature, felt, flagged, by_cell]})
    from_json = read_records(written(tmp_path, "s.json", document))
    assert len(from_json) == 3
    assert (from_json[2].lon, from_json[2].lat) == pytest.approx((13.1, 42.1))
    assert from_json[0].values["PGA"] == pytest.approx((np.log(0.2), 0.1))
    from_csv = read_records(written(tmp_path, "s.csv", STATIONS_CSV))
    assert np.exp(from_csv[0].values["SA(0.3)"][0]) == pytest.approx(0.5)
    assert from_csv[0].vs30 == 500
    assert from_csv[1].felt == (6.0, 0.0)


def test_felt_reports_count_with_more_noise_than_instruments(tmp_path):
    records = read_records(written(tmp_path, "s.csv", STATIONS_CSV))
    rupture = read_rupture(written(tmp_path, "e.xml", '<earthquake lat="42.05" lon="13.1" depth="8" mag="6.0"/>'))
    found = stations_of(records, rupture, {"BSSA14": 1.0}, around(13.1, 42.05), ["PGA"])
    assert found.size == 2
    assert found.noise[0, 0] == 0
    assert found.noise[0, 1] > 0.5
    assert np.isfinite(found.observed).all()
    with pytest.raises(InputError, match="no station within 1 km"):
        stations_of(records, rupture, {"BSSA14": 1.0}, around(13.1, 42.05), ["PGA"], within=1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<stationlist/>", "no station"),
        ('{"features": [{"geometry": null}]}', "no station"),
        ("{}", "no features"),
        ("A,B\n1,2\n", "no columns LONGITUDE"),
        ("STATION_ID,LONGITUDE,LATITUDE,PGA_VALUE\nA,x,42,0.1\n", "not a number"),
        ("STATION_ID,LONGITUDE,LATITUDE,PGX_VALUE\nA,1,42,0.1\n", "no intensity measure"),
    ],
)
def test_a_damaged_station_list_is_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_records(written(tmp_path, "bad", text))


def test_files_that_are_not_there_or_not_packed_are_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_shakemap(tmp_path / "none.xml")
    with pytest.raises(InputError, match="cannot be read"):
        read_shakemap(written(tmp_path, "grid.xml.gz", "not packed"))


def test_real_files_are_read(shared):
    grid = read_shakemap(shared / "quake_shakemap_grid" / "us1000dyad_grid.xml.gz")
    assert grid.values["SA(0.3)"].shape == (211, 271)
    assert len(read_records(shared / "quake_napa2014" / "stationlist.xml")) == 333
    assert len(read_records(shared / "quake_napa2014" / "dyfi_dat.xml")) == 1641
    assert read_rupture(shared / "quake_laquila2009" / "rupture.json").dip == pytest.approx(50, abs=1)
