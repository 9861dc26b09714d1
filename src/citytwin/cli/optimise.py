"""citytwin optimise: which measures, when and where; the strategies that cannot be bettered."""

from __future__ import annotations

from pathlib import Path

import click

from citytwin.cli.show import json_option, print_json, progress, say


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--city", "city_folder", required=True, type=click.Path(path_type=Path), help="City folder.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for what is found; a search goes on there.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that play at the same time; else one a core.")
@json_option
def optimise(study: Path, city_folder: Path, out: Path, workers: int | None, as_json: bool) -> None:
    """Search the best measures: STUDY (a YAML file) names a scenario, the decisions that are open and the objectives."""
    from citytwin.city import read_city
    from citytwin.scenario.optimise import read_study
    from citytwin.scenario.optimise_words import optimise as search

    wanted = read_study(study)
    city = read_city(city_folder)
    with progress(wanted.form.name) as told:
        found = search(wanted, city, out, workers, told=told)
    if as_json:
        print_json(found)
    else:
        click.echo(found["explanation"], nl=False)
    say(f"written to {out}")
