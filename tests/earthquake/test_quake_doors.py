"""From files to numbers on the command line: exposure, fragility, stations in; damage counts out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from citytwin.city import read_city
from citytwin.cli import main

FRAGILITY = """<nrml><fragilityModel id="m"><limitStates>slight moderate extensive complete</limitStates>
<fragilityFunction id="A" format="continuous"><imls imt="PGA"/><params ls="slight" mean="0.15" stddev="0.08"/>
<params ls="moderate" mean="0.25" stddev="0.12"/><params ls="extensive" mean="0.4" stddev="0.2"/>
<params ls="complete" mean="0.6" stddev="0.3"/></fragilityFunction>
<fragilityFunction id="B" format="discrete"><imls imt="SA(0.3)">0.1 0.5 1.0</imls><poes ls="slight">0.1 0.6 0.9</poes>
<poes ls="moderate">0.05 0.4 0.8</poes><poes ls="extensive">0.0 0.2 0.6</poes><poes ls="complete">0.0 0.1 0.4</poes>
</fragilityFunction></fragilityModel></nrml>"""

SCENARIO = """
name: From files
start: 2026-11-20T02:00:00Z
duration: 5min
hazards:
  - earthquake:
      magnitude: 6.2
      place: [13.40, 42.35]
      depth: 9 km
      mechanism: normal
      realisations: 64
      fragility: fragility.xml
      mapping: mapping.csv
      stations: stations.csv
"""


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    rows = ["id,lon,lat,taxonomy,number,structural,night,municipality"]
    rows += [f"a{i},{13.3 + 0.2 * a:.4f},{42.3 + 0.1 * b:.4f},T{i % 2},{1 + 4 * (i % 3 == 0)},1000,3,M{i % 4}"
             for i, (a, b) in enumerate(rng.uniform(size=(60, 2)))]  # fmt: skip
    (tmp_path / "exposure.csv").write_text("\n".join(rows))
    (tmp_path / "fragility.xml").write_text(FRAGILITY)
    (tmp_path / "mapping.csv").write_text("taxonomy,conversion,weight\nT0,A,1\nT1,A,0.3\nT1,B,0.7\n")
    (tmp_path / "stations.csv").write_text(
        "STATION_ID,LONGITUDE,LATITUDE,STATION_TYPE,PGA_VALUE,PGA_LN_SIGMA\nQ1,13.38,42.34,seismic,0.5,0\nQ2,13.5,42.4,seismic,0.3,0\n"
    )
    (tmp_path / "quake.yaml").write_text(SCENARIO)
    return tmp_path


def test_files_go_in_and_damage_counts_come_out(files, capsys):
    city, run = str(files / "city"), str(files / "run")
    assert main(["city", "build", city, "--exposure", str(files / "exposure.csv"), "--zone-by", "municipality"]) == 0
    capsys.readouterr()
    assert main(["run", str(files / "quake.yaml"), "--city", city, "--out", run, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    told = said["diagnostics"]["earthquake"]
    assert told["event"]["stations"] == 2
    assert told["event"]["fragility"] == "fragility.xml"
    assert set(told["event"]["measures"]) == {"PGA", "SA(0.3)"}
    states = told["triage"]["expected_buildings_by_damage_state"]
    assert sum(states.values()) == pytest.approx(60 + 4 * 20)
    assert all(z["zone"].startswith("M") for z in told["triage"]["zones"])
    assert said["impact"]["loss"]["median"] > 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "from a map or an exposure model"),
        (["--osm", "x.osm", "--exposure", "y.csv", "--zone-by", "a"], "--zone-by goes with an exposure alone"),
        (["--exposure", "y.csv", "--gtfs", "z"], "--gtfs needs a map"),
    ],
)
def test_sources_that_do_not_go_together_are_refused(tmp_path, capsys, asked, words):
    assert main(["city", "build", str(tmp_path / "city"), *asked]) == 2
    assert words in capsys.readouterr().err


def test_accelerometers_come_into_a_city_of_assets(files, capsys):
    (files / "devices.csv").write_text("key,kind,name,lon,lat\nq1,accelerometer,Town hall,13.4,42.35\n")
    city = files / "city"
    built = [
        "city",
        "build",
        str(city),
        "--exposure",
        str(files / "exposure.csv"),
        "--assets",
        f"device={files / 'devices.csv'}",
    ]
    assert main(built) == 0
    device = read_city(city).table("device")
    assert device["kind"].tolist() == ["accelerometer"]
    assert device["zone"].iloc[0] in set(read_city(city).table("zone")["key"])


def test_a_taxonomy_without_a_curve_ends_with_one_line(files, capsys):
    (files / "mapping.csv").write_text("taxonomy,conversion,weight\nT0,A,1\nT1,C,1\n")
    city = str(files / "city")
    assert main(["city", "build", city, "--exposure", str(files / "exposure.csv")]) == 0
    capsys.readouterr()
    assert main(["run", str(files / "quake.yaml"), "--city", city, "--out", str(files / "run")]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("citytwin:")]
    assert len(lines) == 1
    assert 'no function for "C"' in lines[0]
    assert not (files / "run").exists()
