"""citytwin report: a PDF of a run that a mayor can read."""

from __future__ import annotations

from pathlib import Path

import click

from citytwin.cli.show import say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="PDF file to write.")
@click.option("--city", "city_folder", type=click.Path(path_type=Path), help="City folder, if it has moved since the run.")
@click.option("--replace", is_flag=True, help="Write over an existing file.")
def report(run: Path, out: Path, city_folder: Path | None, replace: bool) -> None:
    """Write a PDF report of RUN (a run folder): map, numbers, grade, limits."""
    from citytwin.city import read_city
    from citytwin.scenario import read_result

    result = read_result(run)
    from citytwin.scenario.report import make_report  # after the run is known to be one: this loads the drawing library

    made = make_report(result, out, read_city(city_folder) if city_folder else None, replace)
    say(f"written to {made}")
