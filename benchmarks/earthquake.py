"""Earthquake: damage and loss of many assets under many fields of shaking, beside OpenQuake where it is installed.

Ours: ground motion, correlated fields, damage, casualties, loss and totals by zone, end to end. OpenQuake's
scenario_damage: as many assets and fields, the same 128 Hazus curves, a like rupture, no spatial correlation (with it
100,000 sites do not fit). Its case is smaller because it takes long: PEER_ASSETS x PEER_FIELDS of the environment, 10,000
x 100 if not said. Set CITYTWIN_PEERS to the folder of an environment that has openquake.engine 3.26 (pandas below 3). Processor
time is given too: a busy machine stretches wall time.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import psutil
import shapely

from benchmarks.row import Row
from citytwin.city import City, Facts
from citytwin.hazards.earthquake.fragility import Lognormal, hazus_buildings
from citytwin.hazards.earthquake.parameters import EarthquakeParameters
from citytwin.hazards.earthquake.strike import strike
from citytwin.sim import Setup, Streams

ASSETS, FIELDS = 100_000, 1_000
ASSETS_PEER, FIELDS_PEER = int(os.environ.get("PEER_ASSETS", 10_000)), int(os.environ.get("PEER_FIELDS", 100))
CRS, WEST, SOUTH, SIDE = "EPSG:32633", 350e3, 4_660e3, 50e3


def made_city(n: int) -> City:
    """N buildings of all Hazus types, scattered over 50 x 50 km, 625 zones."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, SIDE, (2, n))
    names = np.array(sorted(hazus_buildings().curves))
    zone = [f"{int(a)}-{int(b)}" for a, b in zip(x // 2000, y // 2000, strict=True)]
    rows = {
        "key": [f"a{i}" for i in range(n)], "taxonomy": rng.choice(names, n), "use": "apartments", "levels": 3.0, "people": 5.0,
        "floor_area": 300.0, "zone": zone,
    }  # fmt: skip
    x, y = x + WEST, y + SOUTH
    building = gpd.GeoDataFrame(rows, geometry=shapely.box(x - 5, y - 5, x + 5, y + 5), crs=CRS)
    keys = sorted(set(zone))
    zones = gpd.GeoDataFrame({"key": keys, "name": keys}, geometry=[shapely.box(0, 0, 1, 1)] * len(keys), crs=CRS)
    return City(Facts("bench", CRS), {"building": building, "zone": zones})


def said(city: City, **more: object) -> EarthquakeParameters:
    """A magnitude 6.5 earthquake under the middle."""
    lon, lat = city.to_lonlat(WEST + SIDE / 2, SOUTH + SIDE / 2)
    base = {"magnitude": 6.5, "place": [float(lon), float(lat)], "depth": "10 km", "models": {"BSSA14": 1.0}, "vs30": 760.0}
    return EarthquakeParameters.model_validate({**base, **more})


class Peak:
    """Peak memory (MiB) of a process and its children, while it runs."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self.going = pid, 0.0, True
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while self.going:
            try:
                process = psutil.Process(self.pid)
                self.most = max(
                    self.most, sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / 2**20
                )
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.1)

    def stop(self) -> float:
        """End looking; the peak."""
        self.going = False
        self.thread.join()
        return self.most


def timed(city: City, params: EarthquakeParameters) -> tuple[float, float, float]:
    """Wall seconds, processor seconds, peak MiB of one pass."""
    peak = Peak(os.getpid())
    begin, used = time.perf_counter(), time.process_time()
    strike(Setup(city, params, 0.0, 600.0, Streams(1)), 2.0, False, ())
    wall, cpu = time.perf_counter() - begin, time.process_time() - used
    return wall, cpu, peak.stop()


def growth() -> Iterator[Row]:
    """Ours, with more assets and more fields, and with stations."""
    small = made_city(2_000)
    strike(Setup(small, said(small, realisations=65), 0.0, 600.0, Streams(1)), 2.0, False, ())  # compiles
    for n, fields in ((10_000, 100), (10_000, 1_000), (50_000, 1_000), (ASSETS, FIELDS)):
        city = made_city(n)
        wall, cpu, memory = timed(city, said(city, realisations=fields))
        rate = f"{n * fields / cpu * 2 / 1e6:.0f} M/s on 2 cores"
        yield Row(
            f"earthquake: {n:,} x {fields:,}, correlated, damage and loss",
            f"{wall:.1f} s ({cpu:.1f} s cpu)",
            "-",
            rate,
            f"{memory:.0f} MiB",
        )
    city = made_city(50_000)
    rng = np.random.default_rng(3)
    lon, lat = city.to_lonlat(*(rng.uniform(0, SIDE, (2, 25)) + np.array([[WEST], [SOUTH]])))
    readings = [{"place": [float(a), float(b)], "pga": "2 m/s2"} for a, b in zip(lon, lat, strict=True)]
    wall, cpu, memory = timed(city, said(city, realisations=1_000, readings=readings))
    yield Row(
        "earthquake: 50,000 x 1,000, conditioned on 25 stations", f"{wall:.1f} s ({cpu:.1f} s cpu)", memory=f"{memory:.0f} MiB"
    )


INI = """[general]
description = bench
calculation_mode = scenario_damage
exposure_file = exposure.xml
structural_fragility_file = fragility.xml
rupture_model_file = rupture.xml
rupture_mesh_spacing = 2
gsim = BooreEtAl2014
truncation_level = 3
maximum_distance = 300
number_of_ground_motion_fields = {fields}
reference_vs30_type = measured
reference_vs30_value = 760
reference_depth_to_1pt0km_per_sec = 40
reference_depth_to_2pt5km_per_sec = 1
ground_motion_correlation_model =
"""

EXPOSURE = """<?xml version="1.0"?><nrml xmlns="http://openquake.org/xmlns/nrml/0.5"><exposureModel id="e" category="buildings">
<description>bench</description><conversions><costTypes><costType name="structural" type="aggregated" unit="EUR"/></costTypes>
</conversions><occupancyPeriods>night</occupancyPeriods><tagNames>zone</tagNames><assets>exposure.csv</assets></exposureModel></nrml>
"""

RUPTURE = """<?xml version="1.0"?><nrml xmlns="http://openquake.org/xmlns/nrml/0.5" xmlns:gml="http://www.opengis.net/gml">
<simpleFaultRupture><magnitude>6.5</magnitude><rake>-90</rake><hypocenter lat="{lat}" lon="{lon}" depth="10"/>
<simpleFaultGeometry><gml:LineString><gml:posList>{lon} {south} {lon} {north}</gml:posList></gml:LineString><dip>50</dip>
<upperSeismoDepth>3</upperSeismoDepth><lowerSeismoDepth>16</lowerSeismoDepth></simpleFaultGeometry></simpleFaultRupture></nrml>
"""


STATES = ("slight", "moderate", "extensive", "complete")
LEVELS = '<imls imt="PGA" noDamageLimit="0.001" minIML="0.001" maxIML="10"/>'
FRAGILITY = """<?xml version="1.0"?><nrml xmlns="http://openquake.org/xmlns/nrml/0.5"><fragilityModel id="h"
assetCategory="buildings" lossCategory="structural"><description>h</description>
<limitStates>slight moderate extensive complete</limitStates>"""


def write_case(folder: Path, city: City, fields: int) -> None:
    """The same city as OpenQuake's input files."""
    building = city.table("building")
    point = building.geometry.centroid.get_coordinates()
    lon, lat = city.to_lonlat(point["x"].to_numpy(), point["y"].to_numpy())
    table = building[["key", "taxonomy", "zone"]].rename(columns={"key": "id"}).assign(
        lon=lon, lat=lat, number=1, structural=100_000, night=5
    )  # fmt: skip
    table.to_csv(folder / "exposure.csv", index=False)
    (folder / "exposure.xml").write_text(EXPOSURE)
    middle = [float(v) for v in city.to_lonlat(WEST + SIDE / 2, SOUTH + SIDE / 2)]
    east, high = middle
    (folder / "rupture.xml").write_text(RUPTURE.format(lon=east, lat=high, south=high - 0.1, north=high + 0.1))
    parts = [FRAGILITY]
    for name, curve in hazus_buildings().curves.items():
        assert isinstance(curve, Lognormal)
        parts.append(f'<fragilityFunction id="{name}" format="continuous" shape="logncdf">{LEVELS}')
        for state, median, beta in zip(STATES, curve.medians, curve.dispersions, strict=True):
            mean = median * np.exp(beta**2 / 2)
            parts.append(f'<params ls="{state}" mean="{mean:.8g}" stddev="{mean * np.sqrt(np.exp(beta**2) - 1):.8g}"/>')
        parts.append("</fragilityFunction>")
    (folder / "fragility.xml").write_text("".join(parts) + "</fragilityModel></nrml>")
    (folder / "job.ini").write_text(INI.format(fields=fields))


def peer() -> Iterator[Row]:
    """OpenQuake's scenario_damage on the same assets, and ours of the same size."""
    work = f"earthquake: {ASSETS_PEER:,} x {FIELDS_PEER:,}, damage"
    program = Path(os.environ.get("CITYTWIN_PEERS", "")) / "bin" / "oq"
    city = made_city(ASSETS_PEER)
    wall, _, memory = timed(city, said(city, realisations=FIELDS_PEER))
    if not os.environ.get("CITYTWIN_PEERS") or not program.exists():
        yield Row(work, f"{wall:.1f} s", "OpenQuake not installed", memory=f"{memory:.0f} MiB")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_case(folder, city, FIELDS_PEER)
        (folder / "data").mkdir()
        environment = {**os.environ, "OQ_DATADIR": str(folder / "data"), "OQ_DISTRIBUTE": "no", "OQ_DATABASE": "127.0.0.1"}
        begin = time.perf_counter()
        command = [str(program), "run", "job.ini"]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        peak = Peak(process.pid)
        out, _ = process.communicate(timeout=1800)
        theirs, memory_peer = time.perf_counter() - begin, peak.stop()
    if process.returncode:
        yield Row(work, f"{wall:.1f} s", f"OpenQuake failed: {out.strip().splitlines()[-1][:60]}")
        return
    yield Row(
        work,
        f"{wall:.1f} s",
        f"OpenQuake {theirs:.0f} s",
        f"1 : {theirs / wall:.0f}",
        f"{memory:.0f} MiB, peer {memory_peer:.0f} MiB",
    )


CASES = [growth, peer]
