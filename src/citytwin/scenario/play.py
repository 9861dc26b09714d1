"""Play one scenario on one city: choose the simulators, advance them together, leave a run folder behind."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from citytwin.city import City
from citytwin.city.folder import fresh_folder
from citytwin.columns import Column
from citytwin.errors import InputError, OutsideError, nearest
from citytwin.jsonable import plain
from citytwin.scenario.document import Scenario
from citytwin.scenario.own_values import OwnValues
from citytwin.scenario.record import Recorder
from citytwin.scenario.result import IMPACT, Result, read_result
from citytwin.sim import Parameters, Setup, Simulator, Spec, Streams, advance, all_simulators, columns_with, order, simulator
from citytwin.state import State

Progress = Callable[[float, str], None]

VERSIONS = ("citytwin", "numpy", "numba", "scipy", "pandas", "shapely")


def quiet(share: float, words: str) -> None:
    """Progress that nobody wants to hear."""


def start_of(scenario: Scenario, state: State | None) -> float:
    """When the scenario begins, in seconds since 1970: its own start, or the given state's time, or this moment."""
    if isinstance(scenario.start, dt.datetime):
        return scenario.start.timestamp()
    return state.time if state is not None and state.time else float(int(time.time()))


def chosen(scenario: Scenario, city: City, written: Sequence[str] = ()) -> tuple[list[Spec], dict[str, str]]:
    """The specs that a scenario runs, in order, and why an impact simulator that usually runs does not.

    Raises InputError where a named simulator needs a table that the city lacks.
    """
    named = [simulator(name).spec for name in scenario.params]
    for spec in named:
        lacking = [t for t in spec.needs if t not in city]
        if lacking:
            raise InputError(f"{spec.name} needs {' and '.join(lacking)}, which {city.name} has not", f'"{scenario.name}"')
    left_out: dict[str, str] = {}
    automatic = [s.spec for s in all_simulators() if s.spec.always and s.spec.name not in scenario.params]
    while True:
        known = {c.name for spec in (*named, *automatic) for c in spec.writes} | set(written)
        unfit = [(s, _lacking(s, city, known)) for s in automatic if _lacking(s, city, known)]
        if not unfit:
            return order([*named, *automatic]), left_out
        for spec, reason in unfit:
            left_out[spec.name] = reason
            automatic.remove(spec)


def _lacking(spec: Spec, city: City, known: set[str]) -> str:
    tables = [t for t in spec.needs if t not in city]
    columns = [c for c in spec.reads if c not in known]
    if spec.heeds and not spec.reads and not known.intersection(spec.heeds):
        columns = list(spec.heeds)
    if tables:
        return f"the city has no {' and no '.join(tables)}"
    return f"nothing in the scenario writes {', '.join(columns)}" if columns else ""


def play(
    scenario: Scenario,
    city: City,
    out: Path,
    state: State | None = None,
    progress: Progress = quiet,
    stop: Callable[[], bool] = lambda: False,
    member: int = 0,
) -> Result:
    """Play `scenario` (one member) on a fork of `state`, or on the city at its start values; fill the run folder `out`.

    The folder appears whole at the end or not at all. Raises InputError, ConflictError, SimulationError, OutsideError.
    """
    began = dt.datetime.now(dt.UTC)
    with fresh_folder(Path(out)) as folder:
        (folder / "scenario.yaml").write_text(scenario.text(), encoding="utf-8")
        document = {
            "scenario": scenario.name,
            "description": scenario.description,
            "city": _said_of(city),
            "started": began.isoformat(timespec="seconds").replace("+00:00", "Z"),
            **_advanced(scenario, city, folder, state, progress, stop, member),
        }
        document["duration_s"] = round((dt.datetime.now(dt.UTC) - began).total_seconds(), 3)
        write_document(folder, document)
    return read_result(Path(out))


def _said_of(city: City) -> dict[str, Any]:
    folder = str(city.folder.resolve()) if city.folder else None
    return {"name": city.name, "identity": city.identity, "synthetic": city.facts.synthetic, "folder": folder}


def write_document(folder: Path, document: dict[str, Any]) -> None:
    """Write `result.json`."""
    words = json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "result.json").write_text(words + "\n", encoding="utf-8")


def _advanced(
    scenario: Scenario, city: City, folder: Path, state: State | None, progress: Progress, stop: Callable[[], bool], member: int
) -> dict[str, Any]:
    """Advance the scenario and record it in `folder`; the part of the result document that comes from it."""
    begin = start_of(scenario, state)
    now = state.fork() if state is not None else State(city)
    columns_with(now.columns)
    specs, left_out = chosen(scenario, city, now.written)
    now.time = begin
    of_city = OwnValues(city.folder)
    params: dict[str, Parameters] = {s.name: of_city.under(s, scenario.params.get(s.name)) for s in specs}
    streams = Streams(scenario.seed, member)
    progress(0.0, "preparing")
    made: list[Simulator] = []
    for spec in specs:
        kinds = {k.name for k in spec.interventions}
        own = tuple(p for p in scenario.interventions if p.name in kinds)
        setup = Setup(city, params[spec.name], begin, scenario.duration, streams, own)
        made.append(simulator(spec.name)(setup, now))
    _refuse_idle_interventions(scenario, specs)
    recorder = Recorder(folder, city, _recorded(specs, city), begin)

    def seen(seconds: float, current: State) -> None:
        recorder(seconds, current)
        progress(seconds / scenario.duration, f"{seconds / 60:.0f} of {scenario.duration / 60:.0f} min")

    try:
        advance(made, now, scenario.duration, scenario.every, seen, stop)
        progress(1.0, "writing the results")
        tables = recorder.close()
    except RuntimeError as error:  # the netCDF library's word for a full or failing disk
        raise OutsideError(f"cannot write the results: {error}") from error
    finally:
        recorder.abandon()
    return {
        "start": dt.datetime.fromtimestamp(begin, dt.UTC).isoformat().replace("+00:00", "Z"),
        "simulated_s": scenario.duration,
        "every_s": scenario.every,
        "seed": scenario.seed,
        "members": 1,
        "grade": {s.name: str(s.grade) for s in specs},
        **_summed(made, now, left_out),
        "columns": [c.describe() for c in _recorded(specs, city)],
        "tables": tables,
        "limits": {s.name: s.limits for s in specs},
        "provenance": {
            "versions": _versions(),
            "parameters": {n: p.model_dump(mode="json") for n, p in params.items()},
            "sources": {s.name: s.source for s in specs},
            "city_sources": [vars(s) for s in city.facts.sources],
        },
    }


def _recorded(specs: Sequence[Spec], city: City) -> list[Column]:
    return list({c.name: c for spec in specs for c in spec.writes if c.table in city}.values())


def _refuse_idle_interventions(scenario: Scenario, specs: Sequence[Spec]) -> None:
    kinds = {k.name for s in specs for k in s.interventions}
    for planned in scenario.interventions:
        if planned.name not in kinds:
            raise InputError(f'nothing in this scenario heeds "{planned.name}"', "interventions", nearest(planned.name, kinds))
        if planned.at > scenario.duration:
            raise InputError(f'"{planned.name}" comes at {planned.at:.0f} s, after the end', "interventions")


def _summed(made: Sequence[Simulator], state: State, left_out: dict[str, str]) -> dict[str, Any]:
    impact: dict[str, Any] = dict.fromkeys(IMPACT)
    diagnostics: dict[str, Any] = {}
    for each in made:
        summary = dict(each.summary(state))
        for name, value in summary.pop("impact", {}).items():
            impact[name] = joined(name, impact.get(name), value)
        diagnostics[each.spec.name] = summary
    for name, reason in left_out.items():
        diagnostics[name] = {"left_out": reason}
    return {"impact": impact, "diagnostics": diagnostics}


ADDED = ("people_displaced", "people_injured", "people_killed", "loss")
"""Entries of impact that two hazards add to; people whom both reach are then counted twice."""


def joined(name: str, before: Any, value: Any) -> Any:
    """An entry of impact that two simulators give: people hurt and money add up, of anything else the later one counts."""
    if before is None or value is None or name not in ADDED:
        return value if value is not None else before
    if isinstance(before, dict) or isinstance(value, dict):
        first, second = (v if isinstance(v, dict) else dict.fromkeys(("low", "median", "high"), v) for v in (before, value))
        return {end: first[end] + second[end] for end in ("low", "median", "high")}
    return before + value


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in VERSIONS}
    return {**found, "python": platform.python_version(), "machine": platform.machine()}
