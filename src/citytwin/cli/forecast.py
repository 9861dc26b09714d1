"""citytwin forecast: what series of counts will do, how good forecasts were, and what a city's epidemic readings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from citytwin.cli.show import json_option, print_json, print_table, progress, say
from citytwin.errors import InputError


@click.group()
def forecast() -> None:
    """Forecast an epidemic: series by place, their scores, and the city's own readings."""


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise InputError(f'"{text}" is not COLUMN=VALUE', "--where")
    return {a.strip().lower(): b for a, _, b in (text.partition("=") for text in texts)}


@forecast.command()
@click.argument("vintages", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Forecasts to write: .csv, .csv.gz or .parquet.")
@click.option("--locations", type=click.Path(path_type=Path), help="Table whose places alone are forecast.")
@click.option("--reference-date", "dates", multiple=True, help="Last day of the week of horizon 0; may be given again.")
@click.option("--all", "every", is_flag=True, help="All reference dates that the releases allow.")
@click.option("--target", help="Target to choose from the file and to write; else the file's own, or wk inc flu hosp.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only rows with this value; may be given again.")
@click.option("--lag", default=3, show_default=True, type=click.IntRange(0, 28),
              help="Days that a release must be out before the reference date.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same forecast.")
@json_option
def series(
    vintages: tuple[Path, ...], out: Path, locations: Path | None, dates: tuple[str, ...], every: bool, target: str | None,
    where: tuple[str, ...], lag: int, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Forecast weekly counts four weeks ahead from VINTAGES: numbers by place and date, with the day each was known (as_of).

    Further files may add an older history. Without a date, the newest possible one is forecast.
    """
    from citytwin.forecast import Forecaster, forecasts, read_vintages
    from citytwin.forecast.hub import write_forecasts
    from citytwin.forecast.places import chosen_places, target_of

    if every and dates:
        raise InputError("either --all or --reference-date")
    name = target_of(vintages, target)
    found = read_vintages(list(vintages), _pairs(where), target=target)
    names = chosen_places(found.places, locations)
    forecaster = Forecaster(found, seed, lag)
    possible = forecaster.references()
    if not possible:
        raise InputError("fewer than six weeks are known", str(vintages[0]))
    wanted = possible if every else [_day(d) for d in dates] or possible[-1:]
    with progress("forecast") as told:
        table = forecasts(forecaster, wanted, name, told)
    table = table[table["location"].isin(names)].assign(location=lambda t: t["location"].map(names))
    write_forecasts(table, out)
    if as_json:
        print_json({"out": str(out), "reference_dates": [str(d) for d in wanted], "locations": len(names), "rows": len(table)})
    say(f"{len(wanted)} reference dates, {len(names)} places, {len(table)} rows written to {out}")


def _day(text: str) -> Any:
    import numpy as np

    try:
        return np.datetime64(text, "D")
    except ValueError as error:
        raise InputError(f'"{text}" is not a date', "--reference-date", "as in 2025-01-11") from error


@forecast.command()
@click.argument("forecasts", type=click.Path(path_type=Path))
@click.option("--truth", required=True, type=click.Path(path_type=Path), help="What came true: numbers by place and date.")
@click.option("--baseline", type=click.Path(path_type=Path), help="Forecasts to be held against, in the same form.")
@click.option("--model", help="Of several models in FORECASTS, this one.")
@click.option("--baseline-model", help="Of several models in the baseline file, this one; else the one called baseline.")
@click.option("--target", help="Of several targets, this one.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only rows of the truth with this value.")
@click.option("--by-date", is_flag=True, help="Show every reference date.")
@json_option
def score(
    forecasts: Path, truth: Path, baseline: Path | None, model: str | None, baseline_model: str | None, target: str | None,
    where: tuple[str, ...], by_date: bool, as_json: bool,
) -> None:  # fmt: skip
    """Score FORECASTS: weighted interval score, coverage, and WIS relative to a baseline's on the same forecasts."""
    from citytwin.forecast import read_vintages
    from citytwin.forecast.hub import on_common_levels, read_forecasts, scored, summary

    seen, mine = read_vintages(truth, _pairs(where), target=target), read_forecasts(forecasts, model, target)
    other = None
    if baseline:
        mine, theirs = on_common_levels(mine, read_forecasts(baseline, baseline_model, target))
        other = scored(theirs, seen)
    rows = summary(scored(mine, seen), other)
    if as_json:
        print_json([{**vars(r), "relative": r.relative} for r in rows])
        return
    shown: list[tuple[Any, ...]] = [("group", "forecasts", "WIS", "baseline", "relative", "in 50 %", "in 95 %")]
    for r in rows:
        if by_date or not r.group[0].isdigit():
            parts = (r.baseline, r.relative)
            extra = tuple("" if v is None else f"{v:.4g}" for v in parts)
            shown.append((r.group, r.forecasts, f"{r.wis:.4g}", *extra, f"{r.inside_50:.3f}", f"{r.inside_95:.3f}"))
    print_table(shown)


@forecast.command()
@click.argument("city_folder", metavar="CITY", type=click.Path(path_type=Path))
@click.option(
    "--readings", type=click.Path(path_type=Path), help="Table (zone, date, cases, admissions, wastewater), not devices."
)
@click.option("--until", help="Last day that counts, as in 2026-01-31; else the last with a reading.")
@click.option("--seen", type=click.FloatRange(0.001, 1), help="Share of infections that become reported cases.")
@click.option("--admitted", type=click.FloatRange(1e-5, 1), help="Share of infections that are admitted to hospital.")
@click.option("--generation", type=click.FloatRange(1, 20), help="Days from one infection to the next.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the whole forecast here: a table (.csv), else JSON.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Same seed, same forecast.")
@json_option
def city(
    city_folder: Path, readings: Path | None, until: str | None, seen: float | None, admitted: float | None,
    generation: float | None, out: Path | None, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """R(t), today's infections and four weeks ahead for every zone of CITY, from its case, hospital and wastewater readings."""
    import json

    from citytwin.city import read_city
    from citytwin.forecast.city import Disease, assimilate, described
    from citytwin.forecast.city_told import write_table
    from citytwin.forecast.zones import KINDS, from_devices, from_table
    from citytwin.io.stores.daily import daily
    from citytwin.jsonable import plain

    opened, last = read_city(city_folder), _day(until) if until else None
    given = {"seen": seen, "admitted": admitted, "generation": generation}
    disease = Disease(**{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    if readings is not None:
        found = from_table(opened, readings, last)
    else:
        found = from_devices(opened, daily(city_folder, list(KINDS)), last)
    made = assimilate(found, disease, seed)
    document = described(made)
    if out is not None and out.suffix.lower() == ".csv":
        write_table(made, out)
    elif out is not None:
        out.write_text(json.dumps(plain(document), allow_nan=False) + "\n", encoding="utf-8")
    if out is not None:
        say(f"written to {out}")
    if as_json:
        print_json(document)
    else:
        print_table(_zone_rows(document))


def _zone_rows(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A line for the city and each zone: R and infections today, admissions of the four weeks, each with its 95 % band."""
    rows: list[tuple[Any, ...]] = [
        (document["today"], "R", "infections today", "cases in week 1", "admissions in week 1", "in week 4")
    ]

    def band(values: dict[str, list[float]], at: int) -> str:
        return f"{values['median'][at]:.3g} ({values['low'][at]:.3g} to {values['high'][at]:.3g})"

    for name, one in {"city": document["city"], **document["zones"]}.items():
        weekly = one["weekly_admissions_ahead"]
        rows.append((name, band(one["reproduction"], -1), band(one["infections"], -1), band(one["weekly_cases_ahead"], 0),
                     band(weekly, 0), band(weekly, -1)))  # fmt: skip
    return rows
