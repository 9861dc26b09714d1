"""The city folder: `city.toml`, one GeoParquet per table, `ground.tif` (COG), `relations.parquet`.

Written whole or not at all: a sibling folder is filled, then renamed. QGIS, DuckDB and pandas read it without us.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import rasterio
import tomli_w
from rasterio.transform import from_origin

from citytwin import columns
from citytwin.city.ground import BANDS, Ground
from citytwin.city.model import City, Facts, Source
from citytwin.errors import ConflictError, InputError, MissingError, OutsideError

FORMAT = 1
OTHERWISE = "name another folder, or say --replace"
WRITTEN = (
    "city.toml",
    "ground.tif",
    "tiles",
)  # made from a city, as its tables are: goes when another takes its place


@contextlib.contextmanager
def fresh_folder(folder: Path, replace: bool = False) -> Iterator[Path]:
    """A folder to fill, which becomes `folder` at the end of the block, or leaves no trace when the block fails.

    With `replace` it takes the place of a city folder; what people and a twin keep there beside the city stays.
    """
    folder = Path(folder).resolve()
    refuse_taken(folder, replace)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            _take_place(partial, folder)
        else:
            partial.rename(folder)
    except OSError as error:
        raise OutsideError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_taken(folder: Path, replace: bool) -> None:
    """Raise ConflictError where `folder` holds something, unless it is a city and shall be replaced."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not replace:
        raise ConflictError(f"{folder} exists", hint=OTHERWISE if (folder / "city.toml").is_file() else "name another folder")
    if not (folder / "city.toml").is_file():
        raise ConflictError(f"{folder} is not a city folder", hint="--replace takes the place of a city only")


def _take_place(partial: Path, folder: Path) -> None:
    """Put `partial` where `folder` is; files that are not the city's own are copied, folders of a twin are moved."""
    before = folder.with_name(f".{folder.name}.before-{os.getpid()}")
    kept = [item for item in folder.iterdir() if not (item.suffix == ".parquet" or item.name in WRITTEN)]
    folders = [item.name for item in kept if item.is_dir()]
    for item in kept:
        if item.name not in folders:
            shutil.copy2(item, partial / item.name)
    folder.rename(before)
    try:
        partial.rename(folder)
    except OSError:
        before.rename(folder)
        raise
    for name in folders:
        (before / name).rename(folder / name)
    shutil.rmtree(before)


def write_city(city: City, folder: Path, replace: bool = False) -> None:
    """Write `city` to `folder`. The same city gives the same bytes. Raises ConflictError, InputError, OutsideError."""
    city.check()
    with fresh_folder(Path(folder), replace) as partial:
        for name in city.tables:
            _write_table(city.table(name), partial / f"{name}.parquet")
        if len(city.relations):
            city.relations.to_parquet(partial / "relations.parquet", index=False, compression="zstd")
        if city.has_ground:
            _write_ground(city.ground, city.facts.crs, partial / "ground.tif")
        (partial / "city.toml").write_text(_toml(city.facts), encoding="utf-8")


def _write_table(table: pd.DataFrame, path: Path) -> None:
    if isinstance(table, gpd.GeoDataFrame):
        table.to_parquet(path, index=False, compression="zstd", write_covering_bbox=False)
    else:
        table.to_parquet(path, index=False, compression="zstd")


def _write_ground(ground: Ground, crs: str, path: Path) -> None:
    height, width = ground.shape
    form: dict[str, Any] = {
        "driver": "COG", "dtype": "float32", "count": len(ground.layers), "height": height, "width": width, "crs": crs,
        "nodata": float("nan"), "compress": "DEFLATE", "predictor": "YES", "blocksize": 512,
        "transform": from_origin(ground.west, ground.north, ground.cell_size, ground.cell_size),
    }  # fmt: skip
    with rasterio.open(path, "w", **form) as out:
        for number, (name, layer) in enumerate(ground.layers.items(), start=1):
            out.write(layer.astype(np.float32), number)
            out.set_band_description(number, name)
            out.update_tags(number, unit=BANDS[name][0] if name in BANDS else "")


def read_city(folder: Path | str) -> City:
    """The city kept in `folder`; tables are read when asked for. Raises MissingError, InputError."""
    folder = Path(folder)
    path = folder / "city.toml"
    if not path.is_file():
        raise MissingError(f"{folder} is not a city folder", hint="it has no city.toml; make one with: citytwin city build")
    city = City(_facts(path), {})
    city.folder = folder
    for table in sorted(folder.glob("*.parquet")):
        if table.stem == "relations":
            city._read_relations = _table_reader(table)
            continue
        city._sizes[table.stem] = _guard(table, lambda p: pq.read_metadata(p).num_rows)
        city._unread[table.stem] = _table_reader(table)
    if (folder / "ground.tif").is_file():
        city._read_ground = lambda: _guard(folder / "ground.tif", _read_ground)
    if (folder / "sensors.csv").is_file():
        city.columns.declare_kinds(columns.read_sensors(folder / "sensors.csv"), str(folder / "sensors.csv"))
    city._read_identity = lambda: _identity(folder)
    return city


def _guard(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except Exception as error:  # pyarrow, GDAL and OS errors: all say that this file cannot be read
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", str(path)) from error


def _table_reader(path: Path) -> Callable[[], pd.DataFrame]:
    def read(path: Path) -> pd.DataFrame:
        is_geo = b"geo" in (pq.read_schema(path).metadata or {})
        return gpd.read_parquet(path) if is_geo else pd.read_parquet(path)

    return lambda: _guard(path, read)


def _read_ground(path: Path) -> Ground:
    with rasterio.open(path) as source:
        names = [name or f"band_{i}" for i, name in enumerate(source.descriptions, start=1)]
        layers = {name: source.read(i).astype(np.float32) for i, name in enumerate(names, start=1)}
        return Ground(source.transform.c, source.transform.f, source.transform.a, layers)


WORKING = ("rules.toml", "channels.toml")  # how the city is watched, not what it is


def _identity(folder: Path) -> str:
    """A checksum of the whole city: of the name, size and content of each file."""
    digest = hashlib.sha256()
    kinds = (".toml", ".parquet", ".tif", ".csv")
    for path in sorted(p for p in folder.iterdir() if p.suffix in kinds and p.name not in WORKING):
        digest.update(f"{path.name}:{path.stat().st_size}:".encode())
        digest.update(hashlib.file_digest(path.open("rb"), "sha256").digest())
    return digest.hexdigest()


def _facts(path: Path) -> Facts:
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        sources = [Source(**{k: v for k, v in s.items() if k in _names(Source)}) for s in said.pop("source", [])]
        return Facts(**{k: v for k, v in said.items() if k in _names(Facts)}, sources=sources)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise InputError(f"cannot be read: {error}", str(path)) from error


def _names(kind: Any) -> set[str]:
    return {f.name for f in fields(kind)}


def _toml(facts: Facts) -> str:
    said = asdict(facts)
    sources = said.pop("sources")
    return tomli_w.dumps({"format": FORMAT, **said, "source": sources})
