"""The result of a run, read from its folder: `result.json`, `fields.nc`, one GeoParquet per affected table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd
import pyarrow.parquet as pq

from citytwin.errors import InputError, MissingError, nearest

if TYPE_CHECKING:
    import xarray

# What every result says about people and things; None where nobody simulated it.
IMPACT: dict[str, tuple[str, str]] = {
    # name: (unit, meaning)
    "people_exposed": ("people", "People in buildings that the hazard reaches"),
    "people_displaced": ("people", "People who cannot stay in their homes"),
    "people_injured": ("people", "People injured"),
    "people_killed": ("people", "People killed"),
    "people_infected": ("people", "Infections (a person may be infected more than once)"),
    "people_hospitalised": ("people", "People who came to need a hospital bed in an epidemic"),
    "school_days_lost": ("days", "Days of school that pupils lost to closures, isolation and quarantine"),
    "work_days_lost": ("days", "Days of work lost to closures, isolation and quarantine"),
    "measures_cost": ("EUR", "Cost of measures: lost days, vaccine, tests, retrofits"),
    "buildings_exposed": ("buildings", "Buildings that the hazard reaches"),
    "buildings_by_damage_state": ("buildings", "Buildings by damage state"),
    "loss": ("EUR", "Direct loss of buildings and contents"),
    "facilities_out": ("facilities", "Facilities that cannot work"),
    "facilities_cut_off": ("facilities", "Facilities that cannot be reached"),
    "roads_closed_km": ("km", "Length of roads closed to cars"),
    "customers_without_power": ("customers", "Customers (homes and firms) without power"),
    "customers_without_water": ("customers", "Customers (homes and firms) without tap water"),
    "care_delay": ("s", "Mean extra travel time to the nearest working hospital"),
}


class Result:
    """One finished run. Notebook users get GeoDataFrames from `table` and an xarray Dataset from `fields`."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.folder = folder
        self.document = document

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.document["scenario"])

    @property
    def impact(self) -> dict[str, Any]:
        """What it does to people and things, by the names of `IMPACT` and more."""
        return dict(self.document["impact"])

    @property
    def grade(self) -> dict[str, str]:
        """How far each simulator is to be trusted."""
        return dict(self.document["grade"])

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables with affected rows."""
        return tuple(sorted(p.stem for p in self.folder.glob("*.parquet")))

    def table(self, name: str) -> pd.DataFrame:
        """The affected rows of a table with their attributes and peaks, as a GeoDataFrame where it has geometry."""
        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            raise MissingError(f'no {name} was affected by "{self.name}"', hint=nearest(name, self.tables))
        is_geo = b"geo" in (pq.read_schema(path).metadata or {})
        return gpd.read_parquet(path) if is_geo else pd.read_parquet(path)

    @property
    def fields(self) -> xarray.Dataset:
        """Rasters and series over time, opened lazily from `fields.nc`; close it or use it in a `with`."""
        import xarray

        return xarray.open_dataset(self.folder / "fields.nc", engine="netcdf4", decode_timedelta=False)

    @property
    def scenario_text(self) -> str:
        """The scenario as it was run."""
        return (self.folder / "scenario.yaml").read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"<Result {self.name!r} in {self.folder}>"


def read_result(folder: Path | str) -> Result:
    """The result kept in a run folder. Raises MissingError, InputError."""
    path = Path(folder) / "result.json"
    if not path.is_file():
        raise MissingError(f"{folder} is not a run folder", hint="it has no result.json; make one with: citytwin run")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not {"scenario", "impact", "grade"} <= set(document):
            raise InputError("is not a result of a citytwin run", str(path))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", str(path)) from error
    return Result(Path(folder), document)


def middle(value: Any) -> float | None:
    """The single number of an impact entry: the number itself, or the median of an ensemble; None where there is none."""
    if isinstance(value, dict):
        value = value.get("median")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def compare(results: Sequence[Result]) -> dict[str, Any]:
    """Runs side by side: each entry of impact (nested ones flattened with a dot), and its difference from the first run.

    Returns {"runs": [name and folder], "same_city": bool, "rows": [{"name", "unit", "meaning", "values", "differences"}]}.
    """
    entries = [flat(r.impact) for r in results]
    names = list(dict.fromkeys(name for each in entries for name in each))
    rows = []
    for name in names:
        unit, meaning = IMPACT.get(name.split(".")[0], ("", name.replace("_", " ").capitalize()))
        values = [each.get(name) for each in entries]
        first = middle(values[0])
        differences = [None if first is None or (m := middle(v)) is None else m - first for v in values]
        rows.append({"name": name, "unit": unit, "meaning": meaning, "values": values, "differences": differences})
    cities = {r.document.get("city", {}).get("identity") for r in results}
    runs = [
        {"name": r.name, "folder": r.folder.name, "grade": r.grade, "members": r.document.get("members", 1)} for r in results
    ]
    return {"runs": runs, "same_city": len(cities) == 1, "rows": rows}


def flat(impact: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Impact entries with nested ones by a dot; bands stay as they are."""
    out: dict[str, Any] = {}
    for name, value in impact.items():
        if isinstance(value, dict) and not {"low", "median", "high"} <= set(value):
            out.update(flat(value, f"{prefix}{name}."))
        else:
            out[f"{prefix}{name}"] = value
    return out
