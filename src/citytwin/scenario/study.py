"""Ensembles: play every member of a scenario, on this machine's cores or a Dask cluster, and sum up what they say.

The run folder of an ensemble holds the whole run of its most middling member (fields and series over time), `members/` with
each member's impact, and for every peak its 5th, 50th and 95th percentile over the members.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city import City, read_city
from citytwin.city.folder import fresh_folder
from citytwin.columns import Column
from citytwin.errors import InputError, OutsideError, SimulationError, TwinError
from citytwin.scenario.document import Scenario, parse
from citytwin.scenario.play import Progress, play, quiet, start_of, write_document
from citytwin.scenario.record import fold
from citytwin.scenario.result import Result, middle, read_result
from citytwin.sim import columns_with
from citytwin.state import State

LEVELS = {"low": 5.0, "median": 50.0, "high": 95.0}


def run(
    scenario: Scenario,
    city: City,
    out: Path,
    state: State | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = lambda: False,
    executor: str = "local",
) -> Result:
    """Play a scenario, once or as the ensemble it asks for; `executor` is "local" or "dask://HOST:PORT"."""
    _known(executor)
    if scenario.members == 1:
        return play(scenario, city, out, state, progress, stop)
    return _ensemble(scenario, city, Path(out), state, progress, stop, executor)


@dataclass(frozen=True)
class _Work:
    """What a worker needs to play one member."""

    city: Path
    said: dict[str, Any]
    folder: Path | None
    number: int
    out: Path
    time: float
    values: dict[str, npt.NDArray[np.float64]]


def _play_member(work: _Work) -> Path:
    city = _city(work.city)
    state = State(city, time=work.time)
    columns_with(state.columns)
    for name, values in work.values.items():
        state[name] = values
    scenario = parse(work.said, work.folder).member(work.number)
    return play(scenario, city, work.out / f"{work.number:04d}", state, member=work.number).folder


_opened: dict[Path, City] = {}


def _city(folder: Path) -> City:
    if folder not in _opened:
        _opened[folder] = read_city(folder)
    return _opened[folder]


def _quiet_worker(threads: int) -> None:
    os.environ["NUMBA_NUM_THREADS"] = str(threads)


def _known(executor: str) -> None:
    if executor != "local" and not executor.startswith("dask://"):
        raise InputError(f'no executor "{executor}"', hint="allowed: local, dask://HOST:PORT")


@contextmanager
def _workers(executor: str, members: int) -> Iterator[concurrent.futures.Executor]:
    if executor == "local":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = max(1, min(members, cores))
        with concurrent.futures.ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _quiet_worker, (max(1, cores // workers),)
        ) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise OutsideError("Dask is not installed", hint="install citytwin[dask]") from error
    try:
        client = Client("tcp://" + executor.removeprefix("dask://"), timeout="10s")  # type: ignore[no-untyped-call]
    except OSError as error:
        raise OutsideError(f"no Dask scheduler answers at {executor}") from error
    with client:
        yield client.get_executor()  # type: ignore[no-untyped-call]


def _ensemble(
    scenario: Scenario, city: City, out: Path, state: State | None, progress: Progress, stop: Callable[[], bool], executor: str
) -> Result:
    if city.folder is None:
        raise InputError("an ensemble needs a city that is written to a folder", city.name)
    began = dt.datetime.now(dt.UTC)
    begin = start_of(scenario, state)
    values = {name: np.array(state[name]) for name in state.written} if state is not None else {}
    with fresh_folder(out) as folder, tempfile.TemporaryDirectory(dir=folder.parent, prefix=".members-") as scratch:
        works = [
            _Work(city.folder.resolve(), scenario.said, scenario.folder, n, Path(scratch).resolve(), begin, values)
            for n in range(scenario.members)
        ]
        results = [read_result(p) for p in _played(works, executor, progress, stop)]
        _sum_up(scenario, city, results, folder, began)
    return read_result(out)


def _played(works: list[_Work], executor: str, progress: Progress, stop: Callable[[], bool]) -> list[Path]:
    progress(0.0, f"0 of {len(works)} members")
    with _workers(executor, len(works)) as pool:
        waiting = {pool.submit(_play_member, work): work.number for work in works}
        done: dict[int, Path] = {}
        try:
            while waiting:
                ready, _ = concurrent.futures.wait(waiting, timeout=0.5, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in ready:
                    done[waiting.pop(future)] = future.result()
                    progress(len(done) / len(works), f"{len(done)} of {len(works)} members")
                if stop():
                    raise SimulationError("stopped on request", "ensemble")
        except TwinError:
            for future in waiting:
                future.cancel()
            raise
        except concurrent.futures.BrokenExecutor as error:
            raise OutsideError("a worker of the ensemble ended unexpectedly", hint="not enough memory?") from error
    return [done[n] for n in sorted(done)]


def _sum_up(scenario: Scenario, city: City, results: list[Result], folder: Path, began: dt.datetime) -> None:
    chosen = _most_middling(results)
    shutil.copytree(chosen.folder, folder, dirs_exist_ok=True)
    (folder / "scenario.yaml").write_text(scenario.text(), encoding="utf-8")
    for number, result in enumerate(results):
        own = folder / "members" / f"{number:04d}"
        own.mkdir(parents=True)
        shutil.copy(result.folder / "result.json", own)
        shutil.copy(result.folder / "scenario.yaml", own)
    columns = [c for c in columns_with(city.columns) if c.name in {d["name"] for d in chosen.document["columns"]}]
    tables = [t for t in sorted({c.table for c in columns} - {"cell"}) if _sum_up_table(t, columns, city, results, folder)]
    _sum_up_fields([c for c in columns if c.table == "cell"], results, folder)
    document = {
        **chosen.document,
        "members": len(results),
        "impact": percentiles([r.impact for r in results]),
        "courses": courses([r.document["diagnostics"] for r in results]),
        "representative_member": results.index(chosen),
        "tables": tables,
        "started": began.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "duration_s": round((dt.datetime.now(dt.UTC) - began).total_seconds(), 3),
    }
    document["provenance"] = {**chosen.document["provenance"], "vary": scenario.vary}
    write_document(folder, document)


def _most_middling(results: list[Result]) -> Result:
    """The member whose loss (else people exposed, else infected) is nearest to the median; of several the first."""
    for name in ("loss", "people_exposed", "people_infected"):
        values = [middle(r.impact.get(name)) for r in results]
        if all(v is not None for v in values):
            numbers = np.array(values, dtype=float)
            return results[int(np.argmin(np.abs(numbers - np.median(numbers))))]
    return results[0]


def percentiles(documents: list[Any]) -> Any:
    """Impact entries of all members as low, median and high; None where some member has none.

    Members that give a band of their own (many realisations each) become one outer band: the 5th percentile of their low
    ends, the median of their medians, the 95th percentile of their high ends.
    """
    if all(isinstance(d, dict) and set(LEVELS) <= set(d) for d in documents):
        return {name: float(np.percentile([d[name] for d in documents], level)) for name, level in LEVELS.items()}
    if all(isinstance(d, dict) for d in documents):
        names = list(dict.fromkeys(name for d in documents for name in d))
        return {name: percentiles([d.get(name, 0.0) for d in documents]) for name in names}
    if any(d is None or isinstance(d, (str, dict, list)) for d in documents):
        return None
    levels = np.percentile(np.array(documents, dtype=float), list(LEVELS.values()))
    return dict(zip(LEVELS, map(float, levels), strict=True))


def courses(diagnostics: list[dict[str, Any]]) -> dict[str, Any]:
    """Low, median and high over the members of each simulator's `course` (numbers over time, of one length in all members)."""
    found: dict[str, Any] = {}
    for name, first in diagnostics[0].items():
        for title, values in (first.get("course", {}) if isinstance(first, dict) else {}).items():
            members = [d.get(name, {}).get("course", {}).get(title, []) for d in diagnostics]
            if len(values) and all(len(m) == len(values) for m in members):
                levels = np.percentile(np.array(members, dtype=float), list(LEVELS.values()), axis=0)
                found.setdefault(name, {})[title] = dict(zip(LEVELS, levels.tolist(), strict=True))
    return found


def _sum_up_table(table: str, columns: list[Column], city: City, results: list[Result], folder: Path) -> bool:
    """Write a table with the percentiles over the members of each peak, for rows that any member affected."""
    own = [c for c in columns if c.table == table]
    frames = [r.table(table) for r in results if table in r.tables]
    if not frames:
        return False
    keys = pd.Index(sorted({k for f in frames for k in f["key"]}))
    rows = city.rows(table, keys)
    added: dict[str, npt.NDArray[np.float32]] = {}
    for column in own:
        stacked = np.full((len(results), len(keys)), np.float32(column.start))
        for number, result in enumerate(results):
            if table in result.tables:
                frame = result.table(table)
                stacked[number, keys.get_indexer(frame["key"])] = frame[column.name].to_numpy(dtype=np.float32)
        low, median, high = np.percentile(stacked, list(LEVELS.values()), axis=0).astype(np.float32)
        added |= {column.name: median, f"{column.name}_low": low, f"{column.name}_high": high}
    static = city.table(table).iloc[rows].reset_index(drop=True)
    static.assign(**added).to_parquet(folder / f"{table}.parquet", index=False, compression="zstd")
    return True


def _sum_up_fields(columns: list[Column], results: list[Result], folder: Path) -> None:
    """Add to `fields.nc` each cell column's peak percentiles and the share of members that pass its legend's first step.

    A column whose peak is a column of its own (`water_depth` and `water_depth_peak`) is left to that one.
    """
    names = {c.name for c in columns}
    with netCDF4.Dataset(folder / "fields.nc", "a") as file:
        for column in columns:
            if f"{column.name}_peak" in names:
                continue
            parts = _parts(column, np.stack([_peak(result, column) for result in results]))
            base = column.name if column.name.endswith("_peak") else f"{column.name}_peak"
            for part, values in parts.items():
                variable = file.createVariable(
                    f"{base}_{part}", "f4", ("y", "x"), zlib=True, complevel=1, fill_value=np.float32(np.nan)
                )
                variable.units = "1" if part == "probability" else column.unit
                variable.long_name = f"{column.meaning}: {part} of the peak over {len(results)} members"
                variable.grid_mapping = "crs"
                variable[:] = values


def _parts(column: Column, peaks: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float64]]:
    """Percentiles over the members (first axis) of a peak, and the share of members that pass the legend's first step.

    What never happened (NaN) lies beyond all values of a column whose peak is its smallest value, as a time of arrival.
    """
    if column.peak == "min":
        late = np.percentile(np.where(np.isnan(peaks), np.inf, peaks), list(LEVELS.values()), axis=0, method="nearest")
        return dict(zip(LEVELS, np.where(np.isinf(late), np.nan, late), strict=True))
    parts = dict(zip(LEVELS, np.percentile(peaks, list(LEVELS.values()), axis=0), strict=True))
    if column.steps:
        parts["probability"] = (peaks >= column.steps[0]).mean(axis=0)
    return parts


def _peak(result: Result, column: Column) -> npt.NDArray[np.float32]:
    with netCDF4.Dataset(result.folder / "fields.nc") as file:
        variable = file.variables[column.name]
        if not column.course:
            return np.ma.filled(variable[:], np.nan).astype(np.float32)
        peak = np.ma.filled(variable[0], np.nan).astype(np.float32)
        for step in range(1, variable.shape[0]):
            peak = fold(column.peak, peak, np.ma.filled(variable[step], np.nan).astype(np.float32))
        return peak
