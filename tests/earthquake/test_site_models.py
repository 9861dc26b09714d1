"""Site models of OpenQuake, and what real lists of stations leave out."""

import numpy as np
import pytest

from citytwin.errors import InputError
from citytwin.hazards.earthquake.records import read_records
from citytwin.hazards.earthquake.site_models import is_site_model, vs30_of_sites

CSV = "custom_site_id,lon,lat,vs30,vs30measured,z1pt0\na,13.0,42.0,300,0,400\nb,13.1,42.0,700,1,50\n"
NRML = """<nrml xmlns="http://openquake.org/xmlns/nrml/0.5"><siteModel><site lon="13.0" lat="42.0" vs30=" 300 "/>
<site lon="13.1" lat="42.0" vs30="700" vs30Type="measured"/></siteModel></nrml>"""


@pytest.mark.parametrize(("name", "text"), [("s.csv", CSV), ("s.xml", NRML)])
def test_a_place_takes_the_nearest_point_and_none_from_far_away(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert is_site_model(path)
    found = vs30_of_sites(path, [13.01, 13.09, 14.0], [42.0, 42.01, 42.0])
    assert np.array_equal(found, [300, 700, np.nan], equal_nan=True)
    with pytest.raises(InputError, match=r"within 10 km.*13\.00 \.\.\. 13\.10 east"):
        vs30_of_sites(path, [20.0], [42.0])
    assert np.isnan(vs30_of_sites(path, [20.0], [42.0], needed=False)).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lon,lat\n13,42\n", 'no column "vs30"'), ("lon,lat,vs30\n", "holds no site"),
        ("lon,lat,vs30\n13,42,B\n", "not a number"),
        ("lon,lat,vs30\n13,42,0.3\n", "0.3 is no Vs30"),
    ],
)  # fmt: skip
def test_a_wrong_site_model_is_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        vs30_of_sites(tmp_path / "s.csv", [13.0], [42.0])


def test_stations_without_a_number_for_the_ground_are_read(tmp_path):
    path = tmp_path / "stations.csv"
    path.write_text(
        "STATION_ID,STATION_NAME,LATITUDE,LONGITUDE,STATION_TYPE,SOIL_TYPE,PGA_VALUE,PGA_LN_SIGMA,SA(0.3)_VALUE,VS30\n"
        "A,First,42.0,13.0,seismic,B (inferred),0.1,0,,B\nB,,42.1,13.1,seismic,,0.2,0,0.3,\nC,No,42,13,seismic,A,0,0,,800\n"
    )
    first, second = read_records(path)
    assert (first.lon, first.lat, set(first.values)) == (13.0, 42.0, {"PGA"})
    assert (set(second.values), np.isnan(second.vs30)) == ({"PGA", "SA(0.3)"}, True)
