"""citytwin city: build a city folder from files or services, make one up, and say what one holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from citytwin.cli import show
from citytwin.errors import InputError

FILE = click.Path(path_type=Path)
replace_option = click.option("--replace", is_flag=True, help="Take the place of the city there; your files and a twin's stay.")


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
@click.option("--osm", type=FILE, help="OpenStreetMap file: .osm.pbf, .osm, .osm.gz or .osm.bz2.")
@click.option("--exposure", type=FILE, multiple=True, help="Exposure model (OpenQuake or GEM, XML or CSV).")
@click.option("--exposure-map", default="", metavar="OURS=THEIRS,...", help="Columns of the exposure, as in taxonomy=CLASS.")
@click.option("--zone-by", default="", metavar="COLUMN", help="Column of the exposure that names the zone of an asset.")
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
@click.option("--licence", "licences", multiple=True, metavar="FILENAME=TEXT", help="The licence of a source, for the record.")
@click.option("--household", type=float, help="Residents of a home, where no population is given.")
@click.option("--ages", callback=_ages, metavar="UNDER15,OVER64", help="Shares of residents, as in 0.15,0.21.")
@replace_option
@show.json_option
def build(
    out: Path, osm: Path | None, dem: tuple[Path, ...], assets: tuple[str, ...], maps: tuple[str, ...],
    licences: tuple[str, ...], name: str, replace: bool, as_json: bool, exposure: tuple[Path, ...], exposure_map: str,
    zone_by: str, **given: Any,
) -> None:  # fmt: skip
    """Build the city folder OUT from files: a map (--osm), an exposure model (--exposure), or one laid over the other."""
    from citytwin.io.importers.assets import read_mapping
    from citytwin.io.importers.build import Plan, build_city

    _refuse_existing(out, replace)
    if osm is None and not exposure:
        raise InputError("a city is built from a map or an exposure model", hint="give --osm, --exposure or both")
    if osm is not None and zone_by:
        raise InputError("--zone-by goes with an exposure alone", "--zone-by", "with --osm the zones are the map's")
    if osm is None:
        needs_map = next((o for o in ("population", "gtfs", "bbox") if given.get(o)), None)
        if needs_map:
            raise InputError(f"--{needs_map} needs a map", f"--{needs_map}", "give --osm too")
        made = _of_exposure(exposure, exposure_map, zone_by, dem, name or out.resolve().name, given)
        _write(_with_assets(made, _assets(assets, maps)), out, replace)
        _tell(out, as_json)
        return
    chosen = {key: value for key, value in given.items() if value is not None}
    rights = dict(_pair(text, "--licence", "as in terrain.tif=CC BY 4.0") for text in licences)
    plan = Plan(
        osm=osm, dem=dem, name=name or out.resolve().name, assets=_assets(assets, maps), licences=rights, exposure=exposure,
        exposure_map=read_mapping(exposure_map), **chosen,
    )  # fmt: skip
    with show.progress(f"building {out.name}") as told:
        _write(build_city(plan, told), out, replace)  # not kept: a large city does not fit beside the one read below
    _tell(out, as_json)


def _of_exposure(
    exposure: tuple[Path, ...], mapping: str, zone_by: str, dem: tuple[Path, ...], name: str, given: dict[str, Any]
) -> Any:
    """A city of the assets of an exposure model, with ground where terrain is given."""
    from citytwin.city import Ground
    from citytwin.io.importers.assets import read_mapping
    from citytwin.io.importers.exposure import exposure_city
    from citytwin.io.importers.terrain import make_frame, read_terrain

    def ground(crs: Any, bounds: Any) -> Ground:
        frame = make_frame(tuple(bounds), given["cell_size"], crs)
        return Ground(frame.west, frame.north, frame.cell_size, {"elevation": read_terrain(dem, frame).elevation})

    made = ground if dem else None
    return exposure_city(exposure, name, read_mapping(mapping), zone_by, given.get("crs"), made)


def _with_assets(made: Any, assets: list[Any]) -> Any:
    """A city with the rows of files of assets beside its own."""
    from pyproj import CRS

    from citytwin.city import City
    from citytwin.io.importers.build import add_assets
    from citytwin.io.importers.zones import zone_keys

    if not assets:
        return made
    tables = {name: made.table(name) for name in made.tables}
    add_assets(assets, tables, CRS.from_user_input(made.facts.crs), made.facts)
    for table in tables.values():
        if "zone" in table and "geometry" in table:
            keys = zone_keys(tables["zone"], table.geometry.representative_point().to_numpy())
            told = table["zone"].fillna("").astype("str")
            table["zone"] = told.where(told.isin(tables["zone"]["key"]), keys)
    return City(made.facts, tables, made.ground if made.has_ground else None, made.relations)


def _refuse_existing(out: Path, replace: bool) -> None:
    """Say at once, not after minutes of work, that the folder is taken, or that a twin runs on it."""
    from citytwin.city.folder import refuse_taken

    refuse_taken(out, replace)
    with _no_twin_on(out):
        pass


@contextmanager
def _no_twin_on(out: Path) -> Iterator[None]:
    """Keep twins away from the folder; ConflictError where one is there."""
    from citytwin.io.stores.lock import FolderLock

    lock = FolderLock(out / "live" / "lock") if (out / "live").is_dir() else None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _write(made: Any, out: Path, replace: bool) -> None:
    from citytwin.city import write_city

    with _no_twin_on(out):
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
        table, file = _pair(text, "--assets", "as in device=sensors.csv")
        found.append(Assets(table, Path(file), read_mapping(maps[number]) if number < len(maps) else {}))
    return found


def _pair(text: str, where: str, hint: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not left or not sign or not right:
        raise InputError(f'"{text}" is not two things joined by =', where, hint)
    return left, right


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


@city.command()
@click.argument("place")
@click.argument("out", type=FILE)
@click.option("--bbox", "box", callback=_box, metavar="W,S,E,N", help="This box, in degrees, instead of the place's own.")
@click.option("--no-population", is_flag=True, help="Estimate the residents instead of fetching them.")
@click.option("--keep", type=FILE, help="Keep the fetched files in this folder.")
@click.option("--cell-size", type=float, default=10.0, show_default=True, help="Side of a ground cell in metres.")
@replace_option
@show.json_option
def fetch(
    place: str, out: Path, box: tuple[float, float, float, float] | None, no_population: bool, keep: Path | None,
    cell_size: float, replace: bool, as_json: bool,
) -> None:  # fmt: skip
    """Build the city folder OUT of PLACE from public services (needs the internet)."""
    from tempfile import TemporaryDirectory

    from citytwin.io.importers.build import Plan, build_city
    from citytwin.io.importers.fetch import fetch_place

    _refuse_existing(out, replace)
    with TemporaryDirectory(prefix="citytwin-") as folder, show.progress(f"fetching {place}") as told:
        got = fetch_place(place, keep or Path(folder), box, not no_population, lambda share, words: told(share / 2, words))
        plan = Plan(
            got.osm, got.name, got.dem, got.population, cell_size=cell_size, bbox=got.box, licences=got.licences,
        )  # fmt: skip
        _write(build_city(plan, lambda share, words: told(0.5 + share / 2, words)), out, replace)
    _tell(out, as_json)


@city.command()
@click.argument("out", type=FILE)
@click.option("--people", type=click.IntRange(min=100), default=20_000, show_default=True, help="Inhabitants.")
@click.option("--devices", type=click.IntRange(min=0), default=1_000, show_default=True, help="Devices that measure or act.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another city; the same, the same bytes.")
@click.option("--name", default="", help="What people call the city.")
@replace_option
@show.json_option
def synthesize(out: Path, people: int, devices: int, seed: int, name: str, replace: bool, as_json: bool) -> None:
    """Make up the city folder OUT: believable, and the same for the same seed."""
    from citytwin.city.synthetic import synthesize as make
    from citytwin.cli.rules import write_made_rules

    _refuse_existing(out, replace)
    with show.progress(f"making up {out.name}") as told:
        made = make(people, devices, seed, name or None, told)
        _write(made, out, replace)
    write_made_rules(out)
    _tell(out, as_json)


@city.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--allow-unknown", is_flag=True, help="Accept extensions of DTDL that citytwin does not know.")
@show.json_option
def models(files: tuple[Path, ...], allow_unknown: bool, as_json: bool) -> None:
    """Check the DTDL models in FILES (or folders of them), and say what they declare in the words of a city."""
    from citytwin.io.importers.dtdl import Options, declared, in_words, read_models

    said = declared(read_models(files), Options(undefined=True if allow_unknown else None))
    if as_json:
        show.print_json(said)
    else:
        show.print_table(in_words(said))


@city.command()
@click.argument("folder", metavar="CITY", type=FILE)
@click.option("--ngsi-ld", "ngsi", type=FILE, help="Write all things as NGSI-LD entities into this file.")
@click.option("--geojson", type=FILE, help="Write a GeoJSON file of each table into this folder.")
@click.option("--table", "tables", multiple=True, help="Only this table, in NGSI-LD; may be repeated.")
@show.json_option
def export(folder: Path, ngsi: Path | None, geojson: Path | None, tables: tuple[str, ...], as_json: bool) -> None:
    """Write the city in FOLDER in the formats of other platforms, with what its devices said last."""
    from citytwin.city import read_city
    from citytwin.io.exporters.features import write_geojson
    from citytwin.io.exporters.ngsi import Exporter, Reading
    from citytwin.io.stores.newest import newest

    if ngsi is None and geojson is None:
        raise InputError("nothing to write", "city export", "give --ngsi-ld FILE, --geojson FOLDER or both")
    made = read_city(folder)
    for table in tables:
        made.table(table)
    written: list[Path] = []
    if ngsi is not None:
        readings = {key: Reading(*last) for key, last in newest(folder).items()}
        written.append(Exporter(made, made.columns, readings).write(ngsi, list(tables) or None))
    if geojson is not None:
        written += write_geojson(made, geojson)
    if as_json:
        show.print_json({"written": [str(p) for p in written]})
    else:
        show.print_table([(str(p), f"{p.stat().st_size:,} bytes") for p in written])
