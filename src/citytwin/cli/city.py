"""citytwin city: build a city folder from files or services, make one up, and say what one holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from citytwin.cli import show
from citytwin.errors import InputError

FILE = click.Path(path_type=Path)
replace_option = click.option("--replace", is_flag=True, help="Take the place of a city folder that is there.")


@click.group()
def city() -> None:
    """Make and inspect city folders."""


def _box(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    return _numbers(text, 4, "--bbox", "give west,south,east,north in degrees, as in 1.47,42.48,1.57,42.54")


def _ages(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    return _numbers(text, 2, "--ages", "give the shares under 15 and over 64, as in 0.15,0.21")


def _numbers(text: str | None, count: int, where: str, hint: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise InputError(f'"{text}" is not {count} numbers', where, hint)
    return numbers


@city.command()
@click.argument("out", type=FILE)
@click.option("--osm", type=FILE, required=True, help="OpenStreetMap file: .osm.pbf, .osm, .osm.gz or .osm.bz2.")
@click.option("--dem", type=FILE, multiple=True, help="Terrain: GeoTIFF, HGT, zipped, or a folder of them; may be repeated.")
@click.option("--population", type=FILE, help="Residents: GeoTIFF raster, or table with polygons or points.")
@click.option("--population-column", default="", help="The column of the table that holds the residents.")
@click.option("--population-density", is_flag=True, help="The values are residents per square kilometre.")
@click.option("--gtfs", type=FILE, help="Public transport: GTFS zip file or folder.")
@click.option("--assets", "assets", multiple=True, metavar="TABLE=FILE", help="Rows for a table of the city; may be repeated.")
@click.option(
    "--map", "maps", multiple=True, metavar="OURS=THEIRS,...", help="Columns of the assets, in the order of --assets."
)
@click.option("--cell-size", type=float, default=10.0, show_default=True, help="Side of a ground cell in metres.")
@click.option("--bbox", callback=_box, metavar="W,S,E,N", help="Only what lies in this box, in degrees.")
@click.option("--name", default="", help="What people call the city; the folder's name if not given.")
@click.option("--crs", type=int, metavar="EPSG", help="Metric coordinate system; the local UTM zone if not given.")
@click.option("--household", type=float, help="Residents of a home, where no population is given.")
@click.option("--ages", callback=_ages, metavar="UNDER15,OVER64", help="Shares of residents, as in 0.15,0.21.")
@replace_option
@show.json_option
def build(
    out: Path, osm: Path, dem: tuple[Path, ...], assets: tuple[str, ...], maps: tuple[str, ...], name: str, replace: bool,
    as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Build the city folder OUT from files."""
    from citytwin.io.importers.build import Plan, build_city

    _refuse_existing(out, replace)
    chosen = {key: value for key, value in given.items() if value is not None}
    plan = Plan(osm=osm, dem=dem, name=name or out.resolve().name, assets=_assets(assets, maps), **chosen)
    with show.progress(f"building {out.name}") as told:
        made = build_city(plan, told)
        _write(made, out, replace)
    _tell(out, as_json)


def _refuse_existing(out: Path, replace: bool) -> None:
    """Say at once, not after minutes of work, that the folder is taken."""
    from citytwin.errors import ConflictError

    if out.exists() and not replace and (not out.is_dir() or any(out.iterdir())):
        raise ConflictError(f"{out} exists", hint="name another folder, or say --replace")


def _write(made: Any, out: Path, replace: bool) -> None:
    from citytwin.city import write_city

    write_city(made, out, replace)


def _assets(assets: tuple[str, ...], maps: tuple[str, ...]) -> list[Any]:
    from citytwin.io.importers.assets import read_mapping
    from citytwin.io.importers.build import Assets

    if len(maps) > len(assets):
        raise InputError(
            f"{len(maps)} mappings for {len(assets)} --assets", "--map", "give one --map for each --assets, in order"
        )
    found = []
    for number, text in enumerate(assets):
        table, sign, file = text.partition("=")
        if not sign or not file:
            raise InputError(f'"{text}" is not TABLE=FILE', "--assets", "as in device=sensors.csv")
        found.append(Assets(table, Path(file), read_mapping(maps[number]) if number < len(maps) else {}))
    return found


def _tell(folder: Path, as_json: bool) -> None:
    from citytwin.city import read_city
    from citytwin.city.info import describe_city, in_words

    said = describe_city(read_city(folder))
    if as_json:
        show.print_json(said)
    else:
        show.print_table(in_words(said))


@city.command()
@click.argument("folder", type=FILE)
@show.json_option
def info(folder: Path, as_json: bool) -> None:
    """Say what the city folder FOLDER holds: what is known, estimated and missing, and where it is from."""
    _tell(folder, as_json)
