"""Exposure models as people write them: columns under many names, separators, gaps, values meant in several ways."""

import pytest

from citytwin.io.importers.exposure import read_exposure

HEADING = "ORIGINAL_ID,LONGITUDE,LATITUDE,TAXONOMY,BUILDINGS,NUM_FLOORS,DWELLINGS,AREA_PER_DWELLING_SQM,OCCUPANTS_PER_ASSET"
GEM = f"""{HEADING},COST_STRUCTURAL_USD
a,13.1,42.1,MUR/H:1,4,1-Mar,8,60,20,1000
b,13.2,42.1,CR/H:5,1,5,10,80,30,9000
"""


def read(tmp_path, text, name="exposure.csv"):
    path = tmp_path / name
    path.write_text(text)
    return read_exposure(path)


def test_columns_with_value_before_their_name_are_those_columns(tmp_path):
    text = "id,lon,lat,taxonomy,value-structural,value-number,value-area,occupants_avg\na,13,42,T,300,3,120,7\n"
    row = read(tmp_path, text).iloc[0]
    assert (row["number"], row["value_structural"], row["floor_area"], row["people"]) == (3, 300, 120, 7)


def test_area_by_dwelling_counts_for_all_dwellings_and_a_spoilt_storey_is_unknown(tmp_path):
    table = read(tmp_path, GEM)
    assert table["floor_area"].tolist() == [480, 800]
    assert table["levels"].isna().tolist() == [True, False]
    assert table["people"].tolist() == [20, 30]
    assert table["key"].tolist() == ["a", "b"]


def test_people_of_one_part_of_the_day_are_people(tmp_path):
    assert read(tmp_path, "id,lon,lat,taxonomy,day\na,13,42,T,5\n").iloc[0]["people"] == 5


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_and_empty_lines_are_read(tmp_path, separator):
    text = "id,lon,lat,taxonomy,number\na,13,42,T,5\n,,,,\nb,13,42,T,6\n".replace(",", separator)
    assert read(tmp_path, text)["number"].tolist() == [5, 6]


def test_a_file_may_name_its_columns_in_openquakes_words_and_say_area_as_a_cost(tmp_path):
    (tmp_path / "assets.csv").write_text("OBJECT,X_,Y_,TAX,N,M2,EUR,PERSONS\nq,5,50,T,2,100,7,11\n")
    names = {"id": "OBJECT", "lon": "X_", "lat": "Y_", "taxonomy": "TAX", "number": "N", "area": "M2", "structural": "EUR",
             "residents": "PERSONS"}  # fmt: skip
    fields = "".join(f'<field oq="{theirs}" input="{ours}"/>' for theirs, ours in names.items())
    text = f"""<nrml><exposureModel id="e"><conversions><costTypes><costType name="area" type="per_asset"/>
    <costType name="structural" type="per_area"/></costTypes></conversions><exposureFields>{fields}</exposureFields>
    <assets>assets.csv</assets></exposureModel></nrml>"""
    row = read(tmp_path, text, "exposure.xml").iloc[0]
    assert (row["key"], row["people"], row["floor_area"], row["value_structural"]) == ("q", 11, 200, 1400)
