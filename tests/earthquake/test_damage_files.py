"""Files of fragility, vulnerability, taxonomies and exposure: what they say is what is used, and wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import dlml
import numpy as np
import pandas as pd
import pytest

from citytwin.city.roads import number
from citytwin.errors import InputError, MissingError
from citytwin.hazards.earthquake import fragility, nrml, taxonomy
from citytwin.io.importers.exposure import exposure_city, read_exposure

DLML = Path(dlml.__file__).parent / "data" / "seismic"
SOURCES = {
    "hazus_buildings.csv": ["building/portfolio/Hazus v6.1/fragility.csv"],
    "hazus_networks.csv": [f"{n}_network/portfolio/Hazus v5.1/fragility.csv" for n in ("transportation", "power")],
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_the_shipped_curves_are_those_of_the_library(name):
    theirs = {r["ID"]: r for s in SOURCES[name] for r in pd.read_csv(DLML / s, dtype=str).fillna("").to_dict("records")}
    rows = fragility.shipped(name)
    assert len(rows) >= 45
    for row in rows:
        their = theirs[row["id"]]
        assert row["measure"] == their["Demand-Type"]
        for k in range(1, 5):
            assert row[f"median_{k}"] == their.get(f"LS{k}-Theta_0", ""), row["id"]
            assert row[f"dispersion_{k}"] == their.get(f"LS{k}-Theta_1", ""), row["id"]


def test_the_shipped_repair_shares_are_those_of_the_library():
    sources = ("building/portfolio/Hazus v6.1", "transportation_network/portfolio/Hazus v5.1")
    theirs = {
        r["ID"]: r
        for s in sources
        for r in pd.read_csv(DLML / s / "consequence_repair.csv", dtype=str).fillna("").to_dict("records")
    }
    for row in fragility.shipped("hazus_repair.csv"):
        assert [row[f"state_{k}"] for k in range(1, 6)] == [theirs[row["id"]].get(f"DS{k}-Theta_0", "") for k in range(1, 6)]


def test_every_hazus_type_has_a_code_level_for_every_share():
    for kind in {name.rsplit(".", 1)[0] for name in fragility.hazus_buildings().curves}:
        mixture = taxonomy.coded(kind, taxonomy.CODES)
        assert sum(w for _, w in mixture) == pytest.approx(1.0)
        assert all(name in fragility.hazus_buildings().curves for name, _ in mixture)


@pytest.mark.parametrize(
    "use", ["house", "apartments", "commercial", "industrial", "public", "education", "health", "farm", "other", "?"]
)
@pytest.mark.parametrize("levels", [1, 3, 5, 12, 40])
def test_a_building_of_any_use_and_height_has_curves_whose_shares_sum_to_one(use, levels):
    assert sum(w for _, w in taxonomy.mixture_of_use(use, levels, taxonomy.CODES)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("said", "curve"),
    [
        ("CR/LFINF+CDL+LFC:0.0/H:1/RES", "C3.L.LC"), ("CR/LWAL+CDH/HBET:8+/RES", "C2.H.HC"),
        ("MUR+CLBRS/LWAL+CDN/H:2/RES", "URM.L.PC"),
        ("W/LWAL+CDM/H:1", "W1.MC"), ("S/LFM+DUH/H:5", "S1.M.HC"), ("MCF/LWAL+CDL/H:4/RES", "RM1.M.LC"),
    ],
)  # fmt: skip
def test_a_gem_taxonomy_is_read(said, curve):
    assert taxonomy.mixture_of_gem(said) == ((curve, 1.0),)


def nrml_file(tmp_path, body):
    path = tmp_path / "model.xml"
    path.write_text(f'<nrml xmlns="http://openquake.org/xmlns/nrml/0.5">{body}</nrml>')
    return path


CONTINUOUS = """<fragilityModel id="m"><limitStates>slight complete</limitStates>
<fragilityFunction id="RC" format="continuous" shape="logncdf"><imls imt="PGA" minIML="0.05" maxIML="2" noDamageLimit="0.02"/>
<params ls="slight" mean="0.2" stddev="0.05"/>
<params ls="complete" mean="0.35" stddev="0.1"/></fragilityFunction></fragilityModel>"""


def test_mean_and_deviation_of_a_lognormal_give_median_and_dispersion(tmp_path):
    curve = nrml.read_fragility(nrml_file(tmp_path, CONTINUOUS))["RC"]
    draws = np.exp(np.log(curve.medians[0]) + curve.dispersions[0] * np.random.default_rng(1).standard_normal(400_000))
    assert draws.mean() == pytest.approx(0.2, rel=2e-3)
    assert draws.std() == pytest.approx(0.05, rel=1e-2)


def test_below_the_least_level_nothing_is_damaged_and_above_the_most_no_more(tmp_path):
    curve = nrml.read_fragility(nrml_file(tmp_path, CONTINUOUS))["RC"]
    assert np.all(curve.exceedance(np.log(0.049)) == 0)
    assert np.all(curve.exceedance(np.log(5.0)) == curve.exceedance(np.log(2.0)))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<exposureModel/>", "holds no <fragilityModel>"),
        (CONTINUOUS.replace('ls="complete"', 'ls="full"'), 'nothing of limit state "complete"'),
        (CONTINUOUS.replace('mean="0.2"', 'mean="much"'), 'mean "much" is not a number'),
        (CONTINUOUS.replace('imt="PGA"', 'imt="PGX"'), 'no intensity measure "PGX"'),
        (CONTINUOUS.replace("slight complete", "a b c d e f"), "nothing of limit state|6 damage states"),
        ("<fragilityModel><", "is not XML"),
    ],
)
def test_a_wrong_fragility_file_is_refused_in_one_line(tmp_path, body, words):
    with pytest.raises(InputError, match=words):
        nrml.read_fragility(nrml_file(tmp_path, body))


def test_an_entity_in_a_file_is_not_resolved(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("slight complete")
    path = tmp_path / "bad.xml"
    body = CONTINUOUS.replace("slight complete", "&x;")
    path.write_text(f'<!DOCTYPE nrml [<!ENTITY x SYSTEM "{secret}">]><nrml>{body}</nrml>')
    with pytest.raises(InputError):
        nrml.read_fragility(path)


def test_a_mapping_whose_weights_do_not_sum_to_one_is_refused(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("taxonomy,conversion,weight\nA,x,0.5\nA,y,0.4\n")
    with pytest.raises(InputError, match=r'weights of "A" sum to 0\.9'):
        nrml.read_mapping(path)


def test_a_taxonomy_without_a_curve_is_refused_with_the_nearest_name():
    model = fragility.Fragility(("a",), {"CR-low": fragility.Lognormal("PGA", (0.3,), (0.5,))})
    with pytest.raises(InputError, match=r'did you mean "CR-low"'):
        taxonomy.file_classes(pd.DataFrame({"taxonomy": ["CR-lo"]}), model, None)
    with pytest.raises(MissingError):
        model["nothing"]


CSV = "id,lon,lat,taxonomy,number,structural,night,OCCUPANCY\nx1,13.1,42.1,CR,3,300,9,RES\nx2,13.2,42.2,W,1,100,2,COM\n"


def test_an_exposure_csv_becomes_a_city(tmp_path):
    path = tmp_path / "exposure.csv"
    path.write_text(CSV)
    city = exposure_city([path], "Assets")
    building = city.table("building")
    assert list(building["taxonomy"]) == ["CR", "W"]
    assert list(building["use"]) == ["apartments", "commercial"]
    assert number(building, "value").tolist() == [300, 100]
    assert city.to_lonlat(*np.array(building.geometry.centroid.get_coordinates()).T)[0] == pytest.approx([13.1, 13.2], abs=1e-6)
    assert set(building["zone"]) <= set(city.table("zone")["key"])
    assert city.table("zone")["people"].sum() == 11


def test_costs_per_building_and_per_area_are_those_of_the_whole_row(tmp_path):
    path = tmp_path / "exposure.xml"
    path.write_text("""<nrml xmlns="http://openquake.org/xmlns/nrml/0.5"><exposureModel id="e" category="buildings">
    <conversions><area type="per_asset" unit="SQM"/><costTypes><costType name="structural" type="per_area" unit="EUR"/>
    <costType name="contents" type="per_asset" unit="EUR"/></costTypes></conversions><assets>
    <asset id="a" number="4" area="100" taxonomy="T"><location lon="1" lat="2"/><costs><cost type="structural" value="10"/>
    <cost type="contents" value="7"/></costs><occupancies><occupancy occupants="12" period="night"/></occupancies></asset>
    </assets></exposureModel></nrml>""")
    row = read_exposure(path).iloc[0]
    assert row["value_structural"] == 4000
    assert row["value_contents"] == 28
    assert row["floor_area"] == 400
    assert row["people_night"] == 12


def test_an_exposure_xml_may_name_csv_files(tmp_path):
    (tmp_path / "assets.csv").write_text("ID,X_,Y_,TAX,N\nq,5,50,T,2\n")
    path = tmp_path / "exposure.xml"
    path.write_text("""<nrml><exposureModel id="e"><exposureFields><field oq="lon" input="X_"/><field oq="lat" input="Y_"/>
    <field oq="taxonomy" input="TAX"/><field oq="number" input="N"/></exposureFields>
    <assets>assets.csv</assets></exposureModel></nrml>""")
    row = read_exposure(path).iloc[0]
    assert (row["key"], row["lon"], row["number"]) == ("q", 5.0, 2.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CSV.replace("lon,lat", "LO,LA"), r"no place \(lon, lat\)"),
        (CSV.replace(",3,300", ",many,300"), 'number "many" is not a number'),
        (CSV.replace("taxonomy", "kind"), "no column of taxonomies"),
        ("id,lon,lat,taxonomy\n", "holds no assets"),
    ],
)
def test_a_wrong_exposure_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "exposure.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_exposure(path)
