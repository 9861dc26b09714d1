"""Time and memory to make up a city, against its people: each size in a process of its own, made and written to disk.

Seen on 2 cores of a server that other work kept busy as well (process time in brackets), 2026-11-21, see the table in
docs/how-to/make-up-a-city.md. The promise: 100,000 people in about a minute, a million in about ten, well under 8 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.row import Row

SIZES = ((1_000, 500), (10_000, 2_000), (100_000, 20_000), (1_000_000, 100_000))
CODE = """
import json, resource, sys, tempfile, time
from pathlib import Path
from citytwin.city import write_city
from citytwin.city.synthetic import synthesize
begin = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    city = synthesize({people}, {devices}, 1)
    made = time.perf_counter() - begin
    write_city(city, Path(folder) / "city")
use = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({{"made": made, "all": time.perf_counter() - begin, "cpu": use.ru_utime + use.ru_stime,
    "mib": use.ru_maxrss / 1024, "buildings": city.size("building"), "cells": city.ground.size}}))
"""


def made() -> Iterator[Row]:
    """One row for each size."""
    for people, devices in SIZES:
        code = CODE.format(people=people, devices=devices)
        said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        seen = json.loads(said)
        work = f"city of {people:,} people, {devices:,} devices, {seen['buildings']:,} buildings"
        yield Row(work, f"{seen['all']:.1f} s ({seen['cpu']:.1f} s CPU)", memory=f"{seen['mib']:.0f} MiB")


CASES = [made]
