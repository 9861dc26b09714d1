"""OpenQuake in an environment of its own: the same city as its input files, one run watched for time and memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks._quake import SIDE, SOUTH, WEST
from citytwin.city import City
from citytwin.hazards.earthquake.fragility import Lognormal, hazus_buildings

INI = """[general]
description = bench
calculation_mode = {mode}
exposure_file = exposure.xml
{curves}
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
SHARES = (0.02, 0.1, 0.5, 1.0)
"""Loss of each state, for vulnerability functions made of the fragility curves."""
CURVES = {
    "scenario_damage": "structural_fragility_file = fragility.xml",
    "scenario_risk": "structural_vulnerability_file = vulnerability.xml",
}
LEVELS = '<imls imt="PGA" noDamageLimit="0.001" minIML="0.001" maxIML="10"/>'
FRAGILITY = """<?xml version="1.0"?><nrml xmlns="http://openquake.org/xmlns/nrml/0.5"><fragilityModel id="h"
assetCategory="buildings" lossCategory="structural"><description>h</description>
<limitStates>slight moderate extensive complete</limitStates>"""


def write_case(folder: Path, city: City, mode: str, fields: int) -> None:
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
    write_vulnerability(folder / "vulnerability.xml")
    (folder / "job.ini").write_text(INI.format(fields=fields, mode=mode, curves=CURVES[mode]))


def write_vulnerability(out: Path) -> None:
    """Loss ratios of the same buildings by PGA, without spread."""
    level = np.geomspace(0.005, 5.0, 50)
    text = " ".join(f"{v:.6g}" for v in level)
    zero = " ".join(["0"] * len(level))
    parts = [
        '<?xml version="1.0"?><nrml xmlns="http://openquake.org/xmlns/nrml/0.5"><vulnerabilityModel id="v"'
        ' assetCategory="buildings" lossCategory="structural"><description>v</description>'
    ]
    for name, curve in hazus_buildings().curves.items():
        ratio = np.diff([0.0, *SHARES]) @ curve.exceedance(np.log(level))
        means = " ".join(f"{v:.6g}" for v in np.clip(ratio, 1e-12, 1.0))
        parts.append(
            f'<vulnerabilityFunction id="{name}" dist="LN"><imls imt="PGA">{text}</imls><meanLRs>{means}</meanLRs>'
            f"<covLRs>{zero}</covLRs></vulnerabilityFunction>"
        )
    out.write_text("".join(parts) + "</vulnerabilityModel></nrml>")


@dataclass(frozen=True)
class Ran:
    """Seconds and most memory (MiB) of a run; what went wrong, if anything."""

    seconds: float
    memory: float
    wrong: str = ""


def run(program: Path, city: City, mode: str, fields: int, seconds: float, limit: float) -> Ran:
    """One calculation, ended by us after `seconds` or over `limit` MiB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_case(folder, city, mode, fields)
        (folder / "data").mkdir()
        said = {"OQ_DATADIR": str(folder / "data"), "OQ_DISTRIBUTE": "no", "OQ_DATABASE": "127.0.0.1"}
        begin = time.perf_counter()
        with (folder / "said").open("w") as log:
            process = subprocess.Popen(
                [str(program), "run", "job.ini"], cwd=folder, env={**os.environ, **said}, stdout=log, stderr=log
            )  # fmt: skip
            peak = Peak(process, limit)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                peak.end(f"not done after {seconds:.0f} s")
        took, memory = time.perf_counter() - begin, peak.stop()
        last = [line for line in (folder / "said").read_text().splitlines() if line.strip()][-1:]
        return Ran(took, memory, peak.ended or (f"failed: {''.join(last)[:70]}" if process.returncode else ""))


class Peak:
    """Peak memory (MiB) of a process and its children while it runs; ends them when they take more than `limit`."""

    def __init__(self, process: subprocess.Popen[bytes], limit: float) -> None:
        self.process, self.limit, self.most, self.ended = process, limit, 0.0, ""
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _all(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _look(self) -> None:
        while self.process.poll() is None:
            now = 0.0
            for each in self._all():
                try:
                    now += each.memory_info().rss / 2**20
                except psutil.NoSuchProcess:
                    continue
            self.most = max(self.most, now)
            if now > self.limit:
                self.end(f"took more than {self.limit:.0f} MiB")
            time.sleep(0.1)

    def end(self, why: str) -> None:
        """End the process and its children."""
        self.ended = why
        for each in reversed(self._all()):
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()

    def stop(self) -> float:
        """The peak, once the process is over."""
        self.thread.join()
        return self.most
