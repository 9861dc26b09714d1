"""One story through everything that needs no server: a made city, a flood, an ensemble, comparison, report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import citytwin
from citytwin.cli import main

SCENARIO = """
name: cloudburst
start: 2026-11-21T18:00:00Z
duration: 40 min
every: 10 min
seed: 1
hazards:
  - flood: {rain: {intensity: 90 mm/h, duration: 30 min}}
lifelines: [traffic, power, water, care]
"""


@pytest.fixture(scope="module")
def runs(made_city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with scenario.yaml and the run `plain`."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "scenario.yaml").write_text(SCENARIO)
    assert main(["run", str(folder / "scenario.yaml"), "--city", str(made_city), "--out", str(folder / "plain")]) == 0
    return folder


def test_the_water_is_conserved_and_the_impact_adds_up(runs: Path) -> None:
    run = citytwin.open(runs / "plain")
    impact = run.impact
    assert abs(run.document["diagnostics"]["flood"]["mass_balance_error"]) < 1e-6
    assert impact["people_exposed"] > 0
    assert sum(impact["people_exposed_by_hazard_class"].values()) == pytest.approx(impact["people_exposed"])
    assert sum(impact["people_exposed_by_age"].values()) == pytest.approx(impact["people_exposed"])
    assert sum(impact["loss_by_use"].values()) == pytest.approx(impact["loss"])
    assert run.table("building")["loss"].sum() == pytest.approx(impact["loss"], rel=1e-4)
    assert run.table("building")["people_exposed"].sum() == pytest.approx(impact["people_exposed"], rel=1e-4)
    assert run.table("zone")["zone_loss"].sum() == pytest.approx(impact["loss"], rel=1e-4)
    assert impact["people_killed"] is None


def test_water_stands_in_the_hollows_and_not_on_the_slopes(runs: Path, made_city: Path) -> None:
    run = citytwin.open(runs / "plain")
    ground = citytwin.open(made_city).ground
    with run.fields as fields:
        depth = fields["water_depth"][-1].to_numpy()
    rise = np.hypot(*np.gradient(ground.elevation.astype(float))) / ground.cell_size
    dry_before = ground.layer("water") < 0.5
    steep, flat = (rise > 0.08) & dry_before, (rise < 0.02) & dry_before
    assert steep.sum() > 50
    assert np.nanmean(depth[steep]) < 0.5 * np.nanmean(depth[flat])


def test_the_same_scenario_and_seed_give_the_same_result(runs: Path, made_city: Path) -> None:
    assert main(["run", str(runs / "scenario.yaml"), "--city", str(made_city), "--out", str(runs / "again")]) == 0
    first, again = citytwin.open(runs / "plain"), citytwin.open(runs / "again")
    assert first.impact == again.impact
    assert (first.folder / "building.parquet").read_bytes() == (again.folder / "building.parquet").read_bytes()


def test_an_ensemble_runs_on_worker_processes_and_has_bands(runs: Path, made_city: Path, tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(SCENARIO + "members: 3\nvary:\n  flood.rain.intensity: {uniform: {low: 20 mm/h, high: 120 mm/h}}\n")
    assert main(["run", str(path), "--city", str(made_city), "--out", str(tmp_path / "many")]) == 0
    loss = citytwin.open(tmp_path / "many").impact["loss"]
    assert loss["low"] < loss["median"] < loss["high"]


def test_compare_and_report_read_what_a_run_left(runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    capsys.readouterr()
    assert main(["compare", str(runs / "plain"), str(runs / "plain"), "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["people_exposed"]["differences"] == [0, 0]
    assert main(["report", str(runs / "plain"), "--out", str(tmp_path / "r.pdf")]) == 0
    pdf = (tmp_path / "r.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/StructTreeRoot" in pdf or len(pdf) > 50_000


def test_importing_citytwin_is_quick_because_nothing_heavy_comes_with_it() -> None:
    heavy = ("numba", "geopandas", "fastapi", "xarray", "matplotlib")
    code = f"import sys, citytwin; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")
def test_members_run_on_a_dask_cluster_and_say_the_same(made_city: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    path = tmp_path / "two.yaml"
    many = "members: 2\nvary:\n  flood.rain.intensity: {uniform: {low: 20 mm/h, high: 120 mm/h}}\n"
    path.write_text(SCENARIO.replace("40 min", "10 min") + many)
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address=None,
        worker_dashboard_address=None,
    ) as cluster:
        there = cluster.scheduler_address.replace("tcp://", "dask://")
        assert main(["run", str(path), "--city", str(made_city), "--out", str(tmp_path / "a"), "--executor", there]) == 0
    assert main(["run", str(path), "--city", str(made_city), "--out", str(tmp_path / "b")]) == 0
    assert citytwin.open(tmp_path / "a").impact == citytwin.open(tmp_path / "b").impact
