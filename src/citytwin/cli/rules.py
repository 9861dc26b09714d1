"""citytwin rules: check a city's rules, try them on its history, print their JSON Schema."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from citytwin.cli import show
from citytwin.errors import InputError, MissingError, nearest

MOST_SHOWN = 100
CITY = click.argument("city", type=click.Path(path_type=Path))


@click.group()
def rules() -> None:
    """Work with a city's rules: when an alert opens."""


@rules.command()
@CITY
@show.json_option
def check(city: Path, as_json: bool) -> None:
    """Check rules.toml of CITY: what each rule looks at, or what is wrong with it."""
    from citytwin.city import read_city
    from citytwin.incidents.rules import Engine
    from citytwin.sim.registry import columns_with
    from citytwin.state import State
    from citytwin.twin.rulebook import Rulebook
    from citytwin.twin.view import LiveView, Sources

    known = read_city(city)
    columns = columns_with(known.columns)
    number = known.size("device") if "device" in known else 0
    sources = Sources(lambda: np.zeros(number), lambda: np.zeros(number, dtype=np.uint8), dict)
    engine = Engine(LiveView(known, columns, lambda: State(known, columns), sources), {})
    book = Rulebook(city)
    problems = dict(book.problems)
    listed: list[dict[str, Any]] = []
    for name, rule in book.rules.items():
        found = engine.problems({name: rule})
        if found:
            problems[name] = found[0]
        else:
            things = engine.made(name, rule).selection.size
            listed.append({"name": name, "severity": rule.severity, "enabled": rule.enabled, "things": things,
                           "of_every_twin": name in book.own, "title": rule.title})  # fmt: skip
    if as_json:
        show.print_json({"rules": listed, "problems": {name: str(error) for name, error in problems.items()}})
    else:
        head = ("rule", "severity", "things", "works", "title")
        rows = [(r["name"], r["severity"], r["things"], "yes" if r["enabled"] else "rests", r["title"]) for r in listed]
        show.print_table([head, *rows])
        for error in list(problems.values())[1:]:
            show.say(str(error))
    if problems:
        raise next(iter(problems.values()))


@rules.command(name="try")
@CITY
@click.option("--from", "begin", required=True, metavar="TIME", help="As in 2026-11-20T18:00:00Z, or 6h (before now).")
@click.option("--to", "end", default="0s", metavar="TIME", help="The same; without it now.")
@click.option("--rule", "chosen", multiple=True, metavar="NAME", help="Only this rule (again for more).")
@click.option("--every", default="", metavar="TIME", help="Time between looks; without it as fine as 20,000 looks allow.")
@show.json_option
def try_(city: Path, begin: str, end: str, chosen: tuple[str, ...], every: str, as_json: bool) -> None:
    """Play the history of CITY again, and list the alerts that its rules would have opened. The twin must not be running."""
    from citytwin import units
    from citytwin.twin import Twin

    span = _moment(begin, "--from"), _moment(end, "--to")
    step = units.seconds(every) if every else 0.0
    if step < 0:
        raise InputError(f'"{every}" is no time between looks', "--every", "as in 10s")
    twin = Twin.open(city)
    try:
        known = twin.alerts.rulebook.rules
        for name in chosen:
            if name not in known:
                raise MissingError(f'no rule "{name}"', str(city), nearest(name, known))
        tried = {name: known[name] for name in chosen} or {n: rule for n, rule in known.items() if rule.enabled}
        found = twin.try_rules(tried, *span, step)
    finally:
        asyncio.run(twin.stop())
    if as_json:
        show.print_json(found)
        return
    rows = [(_when(a["opened"]), _when(a["closed"]) if a["closed"] else "-", a["severity"], a["rule"], a["key"], a["message"])
            for a in found["alerts"][:MOST_SHOWN]]  # fmt: skip
    show.print_table([("opened", "closed", "severity", "rule", "key", "message"), *rows])
    if len(found["alerts"]) > MOST_SHOWN:
        show.say(f"and {len(found['alerts']) - MOST_SHOWN} more")
    counts = ", ".join(f"{name} {number}" for name, number in found["counts"].items() if number) or "none"
    show.say(f"{found['readings']} readings, looked at every {found['every']:g} s; alerts: {counts}")


def _when(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(said: str, where: str) -> float:
    """A time as it is written, or so long before now."""
    from citytwin import units

    try:
        when = dt.datetime.fromisoformat(said)
        return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
    except ValueError:
        try:
            return time.time() - units.seconds(said)
        except InputError as error:
            raise InputError(f'"{said}" is not a time', where, "as in 2026-11-20T18:00:00Z, or 6h") from error


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rules.toml, for an editor to complete and check it."""
    from citytwin.incidents.rules import json_schema

    show.print_json(json_schema())


def write_made_rules(city: Path) -> None:
    """Give a made city that has devices the rules that show what rules can do, where nobody has written any."""
    from importlib import resources

    from citytwin.twin.rulebook import FILE

    if (city / "device.parquet").is_file() and not (city / FILE).exists():
        text = resources.files("citytwin.cli").joinpath("made_city_rules.toml").read_text(encoding="utf-8")
        (city / FILE).write_text(text, encoding="utf-8")
