"""Real series replayed: the history equals the files, gaps and all.

    make validate CASE=live_replay
    .venv/bin/python -m validation.live_replay --rows 500

Speeds of 207 detectors in Los Angeles (METR-LA, a week), air and weather of three stations in Beijing (four years), flows and a
level of the L-Town water network (a year of five minutes). Each file is read as somebody would who gets it, published over MQTT
to a twin by `citytwin devices replay`, and compared row by row with what plain DuckDB finds in the twin's Parquet files.
The files are read a second time here, by the `csv` module and nothing of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime as dt
import gzip
import itertools
import json
import shutil
import sys
import tempfile
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import pyarrow as pa

from citytwin.city import City, Facts, write_city
from citytwin.cli import main
from citytwin.twin import Twin
from validation.case import Row

DATA = Path(__file__).parents[2] / "shared" / "data"
Wanted = dict[tuple[str, int], float]  # device, ms since 1970 -> value
QUANTITIES = {"PM2.5": "air_pm25", "SO2": "air_so2", "NO2": "air_no2", "O3": "air_o3", "TEMP": "air_temperature",
              "WSPM": "wind_speed"}  # fmt: skip
MIB = 1609.344 / 1000.0  # miles an hour in km/h


@dataclass
class Series:
    """One file: how it is read (`settings`), what its devices are, and what must be in the history."""

    name: str
    path: Path
    settings: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=dict)


def lines_of(path: Path, separator: str, most: int) -> list[list[str]]:
    """Heading and rows of a gzipped text file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(itertools.islice(csv.reader(file, delimiter=separator), most + 1))


def ms(moment: dt.datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def los_angeles(most: int) -> Series:
    """Mean speeds of detectors, in miles an hour, without times: a week from 1 March 2012 in steps of five minutes."""
    path = DATA / "bench_la_traffic" / "los_speed.csv.gz"
    heading, *rows = lines_of(path, ",", most)
    begin = dt.datetime(2012, 3, 1, tzinfo=zoneinfo.ZoneInfo("America/Los_Angeles"))
    made = Series("la", path, ["begin=2012-03-01T00:00", "every=300", "zone=America/Los_Angeles", "unit=mi/h"])
    made.kinds = dict.fromkeys(heading, "traffic_speed")
    for number, row in enumerate(rows):
        for key, word in zip(heading, row, strict=True):
            made.wanted[key, ms(begin) + 300_000 * number] = float(word) * MIB
    return made


def beijing(station: str, most: int) -> Series:
    """Hourly air quality and weather of one station, with gaps (NA)."""
    path = next((DATA / "bench_beijing_air").glob(f"PRSA_Data_{station}_*.csv.gz"))
    heading, *rows = lines_of(path, ",", most)
    zone = zoneinfo.ZoneInfo("Asia/Shanghai")
    made = Series(station.lower(), path, ["zone=Asia/Shanghai", "device={station}-{column}", "columns=" + ";".join(QUANTITIES)])
    made.kinds = {f"{station}-{quantity}": kind for quantity, kind in QUANTITIES.items()}
    for row in rows:
        said = dict(zip(heading, row, strict=True))
        moment = dt.datetime(*(int(said[p]) for p in ("year", "month", "day", "hour")), tzinfo=zone)  # type: ignore[arg-type]
        for quantity in QUANTITIES:
            if said[quantity] != "NA":
                made.wanted[f"{station}-{quantity}", ms(moment)] = float(said[quantity])
    return made


def l_town(part: str, kind: str, most: int) -> Series:
    """A year of a water network's flows (m3/h) or its tank's level (m), with semicolons and decimal commas."""
    path = DATA / "bench_ltown" / f"2019_SCADA_{part}.csv.gz"
    heading, *rows = lines_of(path, ";", most)
    unit, factor = ("m3/h", 1 / 3.6) if part == "Flows" else ("m", 1.0)
    made = Series(f"ltown-{part.lower()}", path, [f"unit={unit}"], dict.fromkeys(heading[1:], kind))
    for row in rows:
        moment = dt.datetime.fromisoformat(row[0]).replace(tzinfo=dt.UTC)
        for key, word in zip(heading[1:], row[1:], strict=True):
            if word:
                made.wanted[key, ms(moment)] = float(word.replace(",", ".")) * factor
    return made


def all_series(most: int) -> list[Series]:
    """The files, at most so many rows of each."""
    stations = [beijing(s, most) for s in ("Changping", "Dongsi", "Huairou")]
    return [los_angeles(most), *stations, l_town("Flows", "main_flow", most), l_town("Levels", "reservoir_level", most)]


def city_of(kinds: dict[str, str]) -> City:
    """A city of these devices (key: kind) and nothing else."""
    keys = list(kinds)
    table = gpd.GeoDataFrame(
        {"key": keys, "kind": [kinds[k] for k in keys], "name": "", "zone": ""},
        geometry=gpd.points_from_xy([500_000.0 + i for i in range(len(keys))], [5e6] * len(keys)), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Replayed", "EPSG:32631"), {"device": table})


def cut(series: Series, folder: Path, most: int) -> Path:
    """The file itself, or its first rows."""
    if most >= 1_000_000:
        return series.path
    path = folder / series.path.name
    with gzip.open(series.path, "rt", encoding="utf-8") as file, gzip.open(path, "wt", encoding="utf-8") as out:
        out.writelines(itertools.islice(file, most + 1))
    return path


async def replayed(folder: Path, several: list[Series], most: int) -> None:
    """Publish all files to a twin and wait until the history has them."""
    twin = Twin.open(folder)
    await twin.start(0)
    try:
        for series in several:
            settings = [word for setting in series.settings for word in ("--with", setting)]
            words = [str(folder), str(cut(series, folder, most)), "--mqtt", f"127.0.0.1:{twin.mqtt_port}", *settings]
            if await asyncio.to_thread(main, ["devices", "replay", *words]) != 0:
                raise RuntimeError(f"the replay of {series.path.name} failed")
    finally:
        await twin.stop()


def compared(folder: Path, series: Series) -> dict[str, int]:
    """The history against the file."""
    device, stamp = zip(*series.wanted, strict=True)
    wanted = pa.table({"device": device, "ms": pa.array(stamp, pa.int64()), "value": list(series.wanted.values())})
    mine = "kept semi join wanted using (device)"
    asked = {
        "in the file": "wanted",
        "missing": "wanted anti join kept using (device, ms)",
        "invented": f"(select * from {mine}) anti join wanted using (device, ms)",
        "twice": f"(select 1 from {mine} group by device, ms having count(*) > 1)",
        "other value": "wanted join kept using (device, ms) where abs(wanted.value - kept.value) > 1e-12 * abs(wanted.value)",
    }
    with duckdb.connect() as database:
        database.register("wanted", wanted)
        files = f"'{folder}/live/readings/**/*.parquet'"
        database.execute(f"create view kept as select device, epoch_ms(time) as ms, value from {files}")
        return {name: int(database.execute(f"select count(*) from {q}").fetchall()[0][0]) for name, q in asked.items()}


def judged(most: int) -> Iterator[Row]:
    """Replay all; one row a file and metric."""
    if not DATA.exists():
        print(f"live_replay: no data at {DATA}", file=sys.stderr)
        return
    several = all_series(most)
    folder = Path(tempfile.mkdtemp(prefix="citytwin-replay-"))
    try:
        write_city(city_of({k: kind for series in several for k, kind in series.kinds.items()}), folder)
        asyncio.run(replayed(folder, several, most))
        for series in several:
            found = compared(folder, series)
            print(json.dumps({series.name: found}), file=sys.stderr)
            for metric in ("missing", "invented", "twice", "other value"):
                yield Row(f"replay {series.name}: {found['in the file']:,} readings", f"readings {metric}", 0, found[metric])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def asked(arguments: list[str]) -> Any:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="at most so many rows of each file")
    return parser.parse_args(arguments)


CASES = [lambda: judged(asked([]).rows)]

if __name__ == "__main__":
    verdicts = [(print(row.line(), flush=True), row.holds)[1] for row in judged(asked(sys.argv[1:]).rows)]
    sys.exit(0 if all(verdicts) else 1)
