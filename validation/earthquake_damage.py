"""Damage and losses against OpenQuake's published scenario results, arithmetic by hand, and the survey of L'Aquila 2009.

The files stand in ../shared/data (quake_openquake_cases: AGPL test data, used as it lies there; quake_laquila2009: BSD-3).
L'Aquila's fragility was fitted by its authors to this very survey (Bodenmann et al. 2023): the case holds the chain of
models to the event, it is no forecast.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.special import ndtr

from citytwin.hazards.earthquake import casualties, networks
from citytwin.hazards.earthquake.damage import damage_of, sorted_assets
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import Fragility, hazus_buildings, tabulate
from citytwin.hazards.earthquake.nrml import read_fragility, read_vulnerability
from citytwin.hazards.earthquake.parameters import EarthquakeParameters
from citytwin.hazards.earthquake.strike import Struck, strike
from citytwin.io.importers.exposure import exposure_city, read_exposure
from citytwin.sim import Setup, Streams
from validation.case import Row

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
CASES_OF = SHARED / "quake_openquake_cases"
LAQUILA = SHARED / "quake_laquila2009"


def fields_of(path: Path) -> np.ndarray:
    """Ground motion of a case, float32 (1, events, sites): ln of PGA."""
    rows = pd.read_csv(path)
    values = rows.pivot(index="eid", columns="sid", values="gmv_PGA").to_numpy()
    return np.log(values).astype(np.float32)[None]


def shares_of(model: Fragility, exposure: pd.DataFrame, fields: np.ndarray) -> np.ndarray:
    """Share of each asset in each state, averaged over the events, shape (assets, 6). Sites are sorted by lon, lat."""
    place = exposure[["lon", "lat"]].drop_duplicates().sort_values(["lon", "lat"]).reset_index(drop=True)
    site = [int(np.flatnonzero((place == row).all(axis=1))[0]) for row in exposure[["lon", "lat"]].to_numpy()]
    names = list(model.curves)
    curve = [names.index(t) for t in exposure["taxonomy"]]
    n = len(exposure)
    zero = np.zeros(n)
    assets = sorted_assets(np.arange(n), site, zero, curve, np.ones(n), np.ones(n), zero, n)
    table = tabulate(model, [((name, 1.0),) for name in names])
    return assets.by_building(damage_of(assets, [[fields]], table, Follows.each(np.zeros((n, 6, 1))), 1).probability)


def openquake_damage() -> Iterator[Row]:
    """case_1: the modal state; case_2: numbers that OpenQuake drew for each event, so within four standard deviations."""
    case = CASES_OF / "scenario_damage" / "case_1"
    exposure = read_exposure(case / "exposure_model.xml")
    shares = shares_of(read_fragility(case / "fragility_discrete.xml"), exposure, fields_of(case / "gmf_scenario.csv"))
    modal = dict(zip(exposure["key"], np.array(["no_damage", "LS1", "LS2"])[shares[:, :3].argmax(axis=1)], strict=True))
    expected = expected_rows(case / "expected" / "dmg_by_asset.csv")
    wrong = sum(modal[row["asset_id"]] != row["modal-ds-structural"] for row in expected)
    yield Row("OpenQuake scenario_damage case_1", "assets whose modal state differs, of 3", 0, wrong)
    case = CASES_OF / "scenario_damage" / "case_2"
    yield from _numbers(case, case / "fragility_continuous.xml", "case_2", case / "gmf_scenario.csv")
    third = CASES_OF / "scenario_damage" / "case_3"
    yield from _numbers(third, third / "fragility_discrete.xml", "case_3", case / "gmf_scenario.csv")


def _numbers(case: Path, fragility: Path, name: str, fields: Path) -> Iterator[Row]:
    exposure = read_exposure(case / "exposure_model.xml")
    motion = fields_of(fields)
    motion = motion[:, :, 2:] if len(exposure) == 1 else motion
    shares = dict(zip(exposure["key"], shares_of(read_fragility(fragility), exposure, motion), strict=True))
    count = dict(zip(exposure["key"], exposure["number"], strict=True))
    worst = 0.0
    for row in expected_rows(case / "expected" / "dmg_by_asset.csv"):
        p, n = shares[row["asset_id"]], count[row["asset_id"]]
        for k, state in enumerate(("structural-no_damage", "structural-LS1", "structural-LS2")):
            sd = np.sqrt(n * max(p[k] * (1 - p[k]), 1e-6) / motion.shape[1])
            worst = max(worst, abs(float(row[state]) - n * p[k]) / sd)
    yield Row(f"OpenQuake scenario_damage {name} (drawn numbers)", "largest difference, standard deviations", 4, worst)


def expected_rows(path: Path) -> list[dict[str, str]]:
    """A result file of OpenQuake."""
    return list(csv.DictReader(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")))


def openquake_risk() -> Iterator[Row]:
    case = CASES_OF / "scenario_risk" / "case_1"
    curve = read_vulnerability(case / "vulnerability.xml")["RC"]
    motion = pd.read_csv(case / "gmf_scenario.csv")
    loss = dict(zip(motion["eid"], 2000 * curve.mean(np.log(motion["gmv_PGA"].to_numpy())), strict=True))
    rows = expected_rows(case / "expected" / "risk_by_event.csv")
    worst = max(abs(loss[int(r["event_id"])] / float(r["loss"]) - 1) for r in rows)
    yield Row("OpenQuake scenario_risk case_1", f"largest relative error of {len(rows)} event losses", 1e-5, worst)
    mean = sum(v for v in loss.values() if v >= 200) / len(loss)  # the case leaves out losses under 200
    agg = float(expected_rows(case / "expected" / "agg.csv")[0]["loss_value"])
    yield Row("OpenQuake scenario_risk case_1", "relative error of the mean loss", 1e-5, abs(mean / agg - 1))
    case = CASES_OF / "scenario_risk" / "case_2"
    curve = read_vulnerability(case / "vulnerability.xml")["RC"]
    motion = pd.read_csv(case / "gmfs.csv")
    mean = 2000 * float(curve.mean(np.log(motion.loc[motion["sid"] == 2, "gmv_PGA"].to_numpy())).mean())
    agg = float(expected_rows(case / "expected" / "agg.csv")[0]["loss_value"])
    yield Row("OpenQuake scenario_risk case_2 (1,000 events)", "relative error of the mean loss", 1e-5, abs(mean / agg - 1))


MEDIANS_OF_MASONRY = ((0.13, 0.17, 0.26, 0.37), (0.4, 0.4, 0.4, 0.4))


def by_hand() -> Iterator[Row]:
    """Ten people in one pre-code low-rise masonry house at PGA 0.4 g, worked out on paper from the tables of Hazus 6.1.

    P(reach) = Phi(ln(0.4 g / median) / dispersion) with the numbers below; 15 % of the complete ones collapse.
    """
    medians, dispersions = MEDIANS_OF_MASONRY
    reach = ndtr(np.log(0.4 / np.array(medians)) / np.array(dispersions))
    state = np.array([reach[0] - reach[1], reach[1] - reach[2], reach[2] - reach[3], reach[3] * 0.85, reach[3] * 0.15])
    killed = 10 * float(state @ np.array([0, 0.001, 0.002, 0.02, 10]) / 100)
    injured = 10 * float(state @ np.array([0.05, 0.751, 2.202, 12.02, 65]) / 100)
    table = tabulate(hazus_buildings(), [(("URM.L.PC", 1.0),)])
    one = np.ones(1)
    amount = {"number": one, "inside": 10 * one, "residents": 10 * one, "floor": 100 * one, "value": 1e5 * one}
    masonry = casualties.Kind(casualties.casualty_rates((("URM.L.PC", 1.0),)), 0.0, 1.0, casualties.repair_shares("house"))
    follows = casualties.follows_of([masonry], [0], (1, 2, 3, 4, 5), amount)
    assets = sorted_assets([0], [0], [0], [0], [1.0], [True], [0], 1)
    fields = np.full((1, 1, 1), np.log(0.4), dtype=np.float32)
    out = damage_of(assets, [[fields]], table, follows, 1)
    q = {name: out.totals[0, k] for k, name in enumerate(casualties.QUANTITIES)}
    yield Row(
        "ten people in a masonry house by hand",
        "error of the probabilities",
        1e-4,
        float(np.abs(out.probability[0, 1:] - state).max()),
    )
    yield Row("ten people in a masonry house by hand", "relative error of the killed", 1e-3, abs(q["killed"] / killed - 1))
    total = q["injured_1"] + q["injured_2"] + q["injured_3"]
    yield Row("ten people in a masonry house by hand", "relative error of the injured", 1e-3, abs(total / injured - 1))
    loss = 1e5 * float(state @ np.array([0.02, 0.1, 0.447, 1, 1]))
    yield Row("ten people in a masonry house by hand", "relative error of the loss", 1e-3, abs(q["loss"] / loss - 1))
    repairs = float(networks.repairs(np.array([50.8]), np.array([304.8]), np.array([1.0]))[0])
    yield Row("ALA 2001, 1000 ft of cast iron at 20 in/s", "repairs less 0.0374", 1e-9, abs(repairs - 0.0374))


FRAGILITY_HEAD = """<?xml version="1.0"?><nrml xmlns="http://openquake.org/xmlns/nrml/0.5">
<fragilityModel id="aquila" assetCategory="building" lossCategory="structural"><limitStates>D1 D2 D3 D4 D5</limitStates>
"""


def laquila_fragility(out: Path) -> None:
    """The published fixed-IM fragility as NRML: P(DS >= k) = Phi(ln SA(0.3) / beta - eta_k)."""
    import netCDF4

    with netCDF4.Dataset(LAQUILA / "expected" / "FixedIM_frag_Aquila_imSAT0_300_GMMcombo1.nc") as data:
        classes = ["".join(c.decode() if isinstance(c, bytes) else str(c) for c in np.ravel(row)) for row in data["bc"][:]]
        eta = np.concatenate([data["eta"][:], data["eta"][:] + np.cumsum(data["deltas"][:], axis=1)], axis=1)
        beta = np.asarray(data["beta"][:])
    parts = [FRAGILITY_HEAD]
    for name, b, etas in zip(classes, beta, eta, strict=True):
        parts.append(f'<fragilityFunction id="{name}" format="continuous" shape="logncdf"><imls imt="SA(0.3)"/>')
        for k, e in enumerate(etas, start=1):
            mean = np.exp(b * e + b * b / 2)
            parts.append(
                f'<params ls="D{k}" mean="{mean!r}" stddev="{mean * np.sqrt(np.exp(b * b) - 1)!r}"/>'.replace(
                    "np.float64(", ""
                ).replace(")", "")
            )
        parts.append("</fragilityFunction>")
    out.write_text("".join(parts) + "</fragilityModel></nrml>", encoding="utf-8")


def laquila_stations(out: Path) -> None:
    """The 64 stations as OpenQuake's CSV."""
    rows = pd.read_csv(LAQUILA / "stations.csv")
    pd.DataFrame({
        "STATION_ID": [f"s{i}" for i in rows["id"]], "STATION_NAME": [f"s{i}" for i in rows["id"]],
        "LONGITUDE": rows["Longitude"], "LATITUDE": rows["Latitude"], "STATION_TYPE": "seismic", "VS30": rows["vs30"],
        "SA(0.3)_VALUE": np.exp(rows["rotD50_logSAT0_300"]), "SA(0.3)_LN_SIGMA": 0.0,
    }).to_csv(out, index=False)  # fmt: skip


def laquila(realisations: int = 500) -> Iterator[Row]:
    """Conditioned on 64 stations, and not: numbers of buildings that reach D1 ... D5 against the survey."""
    with gzip.open(LAQUILA / "survey.csv.gz", "rt", encoding="utf-8") as file:
        surveyed = pd.read_csv(file)["DamageState"].to_numpy()
    observed = np.array([(surveyed >= k).sum() for k in range(1, 6)])
    city = exposure_city([LAQUILA / "survey.csv.gz"], "L'Aquila", {"taxonomy": "BuildingClass"})
    with TemporaryDirectory() as name:
        folder = Path(name)
        laquila_fragility(folder / "fragility.xml")
        laquila_stations(folder / "stations.csv")
        said = {
            "rupture": str(LAQUILA / "rupture.json"), "fragility": "fragility.xml", "realisations": realisations,
            "models": {"BSSA14": 1.0}, "correlation": "JB2009", "networks": False,
        }  # fmt: skip
        context = {"folder": folder}
        with_stations = EarthquakeParameters.model_validate(said | {"stations": "stations.csv"}, context=context)
        without = EarthquakeParameters.model_validate(said, context=context)
        runs = [strike(Setup(city, p, 0.0, 600.0, Streams(1)), 2.0, False, ()) for p in (with_stations, without)]
    reached = [counts(run) for run in runs]
    for k in range(5):
        low, high = np.percentile(reached[0][:, k], (5, 95))
        outside = max(low - observed[k], observed[k] - high, 0.0)
        case = f"L'Aquila 2009, {observed[k]:,} buildings reach D{k + 1}"
        yield Row(case, f"outside the 5-95 % band {low:,.0f}-{high:,.0f}", 0, outside)
    error = [np.abs(np.median(r, axis=0) / observed - 1).mean() for r in reached]
    yield Row("L'Aquila 2009, conditioned on stations", "mean relative error of the medians", 0.2, float(error[0]))
    yield Row("L'Aquila 2009, conditioned on stations", "that error over the unconditioned one", 1, float(error[0] / error[1]))


def counts(run: Struck) -> np.ndarray:
    """Buildings that reach each state, by field: (fields, 5)."""
    return run.outcome.totals[:, :5][:, ::-1].cumsum(axis=1)[:, ::-1]


CASES = (openquake_damage, openquake_risk, by_hand, laquila)
