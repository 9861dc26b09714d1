"""Nothing lost, nothing twice: devices publish over MQTT while all around them breaks; counts in equal counts in history.

    make validate CASE=live                            10,000 devices, a minute, each harm once
    CITYTWIN_LIVE_ROUNDS=50 make validate CASE=live    fifty harms at random moments, seven minutes; each kind six times or more
    .venv/bin/python -m validation.live --rounds 50 --minutes 20 --seed 3

Harms (`validation.live_harm`): kill -9 of twin, broker, MQTT door, both, all; a full disk; the clock of the host or of the
devices set forward or back. Every acknowledged reading (device and time as sent) must stand in the Parquet files exactly once,
among the kept ones or among those refused for a clock that is ahead; plain DuckDB counts them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import nats
import numpy as np
import pyarrow as pa

from citytwin.city import City, Facts, write_city
from citytwin.columns import shipped
from citytwin.io.feeds.fleet import Fleet
from citytwin.io.feeds.log import STREAM
from citytwin.io.feeds.signals import Sample, Signals
from validation.case import Row
from validation.live_harm import Harms

ROUND_SECONDS = 8  # between harms, on average; one that lasts longer is followed by the next at once


def many_devices(number: int) -> City:
    """A city of nothing but devices, of every shipped kind in turn, on a grid of 20 m."""
    kinds = list(shipped().kinds)
    place = np.arange(number)
    table = gpd.GeoDataFrame(
        {"key": [f"d{i}" for i in place], "kind": [kinds[i % len(kinds)] for i in place], "name": "", "zone": ""},
        geometry=gpd.points_from_xy(500_000 + 20.0 * (place % 300), 5_000_000 + 20.0 * (place // 300)), crs="EPSG:32631",
    )  # fmt: skip
    return City(Facts("Many devices", "EPSG:32631"), {"device": table})


class Recorder(Signals):
    """Signals that remember which readings were handed over. `shift`: seconds by which the devices' clocks are wrong."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.said: list[tuple[Any, Any]] = []
        self.shift = 0.0

    def sample(self, row: Any, now: float) -> Sample:
        """As ever, and written down."""
        found = super().sample(row, now)
        if self.shift:
            found = replace(found, time=found.time + self.shift)
        self.said.append((found.row, np.round(found.time * 1000).astype(np.int64)))
        return found


async def disturb(harms: Harms, seconds: float, rounds: list[str], dice: random.Random) -> None:
    """The harms, at random moments of equal parts of the time."""
    begin, part = time.time(), seconds / max(len(rounds), 1)
    for number, harm in enumerate(rounds):
        moment = begin + part * (number + dice.uniform(0.1, 0.6))
        await asyncio.sleep(max(0.0, moment - time.time()))
        print(f"  {time.time() - begin:5.1f} s: {harm}", file=sys.stderr, flush=True)
        again = time.time()
        await harms.do(harm)
        print(f"         done after {time.time() - again:.1f} s", file=sys.stderr, flush=True)


async def caught_up(folder: Path) -> None:
    """Wait until the history has the last message of the log, no longer than five minutes."""
    client = await nats.connect(f"nats://127.0.0.1:{json.loads((folder / 'live/nats/broker.json').read_text())['port']}")
    last = json.loads((await client.request(f"$JS.API.STREAM.INFO.{STREAM}", b"{}")).data)["state"]["last_seq"]
    await client.close()
    async with asyncio.timeout(300):
        while json.loads((folder / "live/committed.json").read_text())["sequence"] < last:
            await asyncio.sleep(0.1)


def compare(folder: Path, recorder: Recorder) -> dict[str, int]:
    """What was sent against what plain DuckDB finds in the files."""
    row = np.concatenate([r for r, _ in recorder.said])
    stamp = np.concatenate([t for _, t in recorder.said])
    sent = pa.table({"device": [f"d{r}" for r in row.tolist()], "ms": stamp})
    bad = list((folder / "live/rejected").rglob("*.parquet"))
    reasons: dict[str, int] = {}
    union = ""
    if bad:
        refused = f"'{folder}/live/rejected/**/*.parquet'"
        reasons = dict(duckdb.sql(f"select reason, count(*) from {refused} group by 1").fetchall())
        union = (
            " union all (select distinct on (device, ms) device, epoch_ms(time) as ms, sequence, part "
            f"from {refused} where reason = 'future')"
        )
    kept = duckdb.sql(f"select device, epoch_ms(time) as ms, sequence, part from '{folder}/live/readings/**/*.parquet'{union}")  # noqa: F841
    one = "select count(*) from "
    counts = {
        "sent": len(sent),
        "kept": duckdb.sql(one + "kept"),
        "lost": duckdb.sql(one + "(select device, ms from sent except all select distinct device, ms from kept)"),
        "twice": duckdb.sql(one + "(select 1 from kept group by device, ms having count(*) > 1)"),
        "place_twice": duckdb.sql(one + "(select 1 from kept group by sequence, part having count(*) > 1)"),
        "never_sent": duckdb.sql(one + "(select device, ms from kept except select device, ms from sent)"),
    }
    counts = {k: v if isinstance(v, int) else v.fetchall()[0][0] for k, v in counts.items()}
    return counts | {f"refused_{reason}": n for reason, n in reasons.items()}


async def story(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Publish, harm, wait until all is in the history, stop the twin, compare."""
    city = many_devices(given.devices)
    write_city(city, folder)
    seconds = given.minutes * 60
    fleet = Fleet(city, city.columns.kinds, rate=given.rate, connections=given.connections, seed=given.seed, faults=0)
    fleet.signals = recorder = Recorder(city, city.columns.kinds, given.seed, 0)
    dice = random.Random(given.seed)
    harms = Harms(folder, recorder, dice)
    possible = [h for h in harms.possible if not given.only or h in given.only]
    number = given.rounds if given.rounds > 0 else len(possible)
    rounds = [h for _ in range(0, number, len(possible)) for h in dice.sample(possible, len(possible))][:number]
    try:
        await harms.twin.start()
        begin = time.time()
        harming = asyncio.create_task(disturb(harms, seconds, rounds, dice))
        ended = lambda: harming.done() and time.time() - begin > seconds  # noqa: E731  (the load goes on until all harm is done)
        done = await fleet.run("127.0.0.1", harms.twin.port, None, stop=ended, patience=180)
        await harming
        took = time.time() - begin
        await caught_up(folder)
        await harms.twin.end(signal.SIGTERM)
        return {
            "seconds": round(took, 1), "rate": round(done.sent / took), "behind_s": round(done.behind, 1),
            "acknowledged": done.acked, "harms": rounds, **compare(folder, recorder),
        }  # fmt: skip
    finally:
        await harms.undo()


def judged(given: argparse.Namespace) -> Iterator[Row]:
    """Run the story; one row a metric, each the number of readings that went wrong."""
    folder = given.keep or Path(tempfile.mkdtemp(prefix="citytwin-live-")) / "city"
    try:
        found = asyncio.run(story(folder, given))
    finally:
        if not given.keep:
            shutil.rmtree(folder.parent, ignore_errors=True)
    print(json.dumps(found), file=sys.stderr)
    name = f"live: {given.devices} devices, {found['sent']} readings, {len(found['harms'])} harms"
    for metric in ("lost", "twice", "place_twice", "never_sent"):
        yield Row(name, f"readings {metric.replace('_', ' ')}", 0, found[metric])
    yield Row(name, "sent and not acknowledged", 0, found["sent"] - found["acknowledged"])
    yield Row(name, "kept other than acknowledged", 0, abs(found["kept"] - found["acknowledged"]))


def asked(arguments: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=0.0, help=f"0: {ROUND_SECONDS} seconds a round")
    parser.add_argument("--rate", type=float, default=1000.0, help="readings a second over all devices")
    parser.add_argument(
        "--rounds", type=int, default=int(os.environ.get("CITYTWIN_LIVE_ROUNDS", "0")), help="0: each harm once"
    )
    parser.add_argument("--only", action="append", help="only this harm, as in: --only 'full disk'; may be repeated")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the city folder here")
    given = parser.parse_args(arguments)
    given.minutes = given.minutes or (given.rounds or 8) * ROUND_SECONDS / 60
    return given


CASES = [lambda: judged(asked([]))]

if __name__ == "__main__":
    verdicts = []
    for row in judged(asked(sys.argv[1:])):
        print(row.line(), flush=True)
        verdicts.append(row.holds)
    sys.exit(0 if all(verdicts) else 1)
