"""citytwin run, check, compare: play a scenario on a city, check one without playing it, hold runs against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from citytwin.cli.show import json_option, print_json, print_table, progress, say
from citytwin.errors import InputError


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--city", "city_folder", required=True, type=click.Path(path_type=Path), help="City folder.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder to make.")
@click.option("--members", type=click.IntRange(1, 10_000), help="Ensemble members, instead of the scenario's own number.")
@click.option("--seed", type=click.IntRange(0), help="Seed, instead of the scenario's own.")
@click.option("--executor", default="local", show_default=True, help="Where members run: local or dask://HOST:PORT.")
@json_option
def run(
    scenario: Path, city_folder: Path, out: Path, members: int | None, seed: int | None, executor: str, as_json: bool
) -> None:
    """Play SCENARIO (a YAML file) on a city and write what it does to a run folder."""
    from citytwin.city import read_city
    from citytwin.scenario import parse, read_scenario
    from citytwin.scenario import run as play_all

    document = read_scenario(scenario)
    changed = {k: v for k, v in (("members", members), ("seed", seed)) if v is not None}
    if changed:
        document = parse({**document.said, **changed}, scenario.parent)
    city = read_city(city_folder)
    with progress(document.name) as told:
        result = play_all(document, city, out, progress=told, executor=executor)
    if as_json:
        print_json(result.document)
        return
    print_table(summary_rows(result.impact))
    print_table([("grade", ", ".join(f"{n}: {g}" for n, g in result.grade.items()))])
    say(f"written to {result.folder}")


def summary_rows(impact: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Rows (meaning, value, unit) of the headline numbers of an impact."""
    from citytwin.scenario.result import IMPACT

    return [(meaning, said(impact.get(name)), unit) for name, (unit, meaning) in IMPACT.items()]


def said(value: Any) -> str:
    """A number of a result as a person reads it: its band for ensembles, words where nobody simulated it."""
    if value is None:
        return "not simulated"
    if isinstance(value, dict):
        if {"low", "median", "high"} <= set(value):
            return f"{said(value['median'])} ({said(value['low'])} to {said(value['high'])})"
        return ", ".join(f"{k} {said(v)}" for k, v in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@json_option
def check(scenario: Path, as_json: bool) -> None:
    """Check SCENARIO without playing it: every problem is one line."""
    from citytwin.scenario import check as problems_of
    from citytwin.scenario import read_scenario
    from citytwin.scenario.yaml_text import read_yaml

    written = read_yaml(scenario, "the scenario")
    try:
        document = read_scenario(scenario)
    except InputError:
        problems = problems_of(written, scenario.parent)
        if as_json:
            print_json({"ok": False, "problems": [{"where": p.where, "message": p.message, "hint": p.hint} for p in problems]})
        for problem in problems[1:]:
            say(f"citytwin: {scenario}: {problem}")
        raise
    if as_json:
        print_json({"ok": True, "problems": [], "name": document.name})
    else:
        print_table([(f"{document.name}: good; simulates {', '.join(document.params)} for {document.duration / 3600:g} h",)])


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Hold RUNs against the first of them."""
    from citytwin.scenario import compare as held
    from citytwin.scenario import read_result

    if len(runs) < 2:
        raise InputError("one run alone cannot be compared", hint="name two run folders or more")
    table = held([read_result(folder) for folder in runs])
    if as_json:
        print_json(table)
        return
    if not table["same_city"]:
        say("citytwin: these runs are of different cities")
    rows: list[tuple[Any, ...]] = [("", *(r["name"] for r in table["runs"]), "difference to the first")]
    for row in table["rows"]:
        if any(v is not None for v in row["values"]):
            differences = ", ".join(said(d) for d in row["differences"][1:])
            rows.append((row["name"], *(said(v) for v in row["values"]), f"{differences} {row['unit']}"))
    print_table(rows)
