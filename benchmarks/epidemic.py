"""Epidemic: agent-days in a second of a whole outbreak, beside Covasim, Starsim and LASER where they are installed.

Ours: households, classes, teams, care homes, community and transit between 400 zones, severity and hospital beds,
test-trace-isolate, vaccination; a Covid-19-like disease at R0 2.5 for 180 days. Peers live in environments of their own: name a
folder that holds `peer-covasim3`, `peer-covasim4` (with Starsim) and `peer-laser` in CITYTWIN_EPIDEMIC_PEERS. They are run at
100,000 people; at a million too with CITYTWIN_EPIDEMIC_PEERS_LARGE=1 (minutes).

Ours draws only contacts that would infect a fully susceptible person, the peers walk all contacts: equal in law for contacts
without memory, not for stored contact networks. So agent-days reward the design; days of infected people (active) are given
beside. Times are of the wall clock and, after the slash, of the processor: on a busy machine the second is the fairer.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import psutil
import shapely

from benchmarks.row import Row
from citytwin.city import City, Facts
from citytwin.hazards.epidemic import Epidemic
from citytwin.hazards.epidemic.parameters import EpidemicParameters, Tracing, Vaccination
from citytwin.sim import Planned, Setup, Streams, columns_with
from citytwin.state import State

DAYS = 180
DAY = 86400.0
LONGEST = 900.0
"""Seconds that a peer may take."""

COVASIM = """
import sys, time
import covasim as cv
people = int(sys.argv[1])
sim = cv.Sim(pop_size=people, pop_type="hybrid", pop_infected=100, n_days=180, verbose=0, rand_seed=1)
getattr(sim, "init", getattr(sim, "initialize", None))()
begin, cpu = time.perf_counter(), time.process_time()
sim.run()
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
"""
STARSIM = """
import sys, time
import starsim as ss
people = int(sys.argv[1])
seir = ss.SEIR(beta=ss.perday(0.016), init_prev=0.001, dur_exp=ss.days(4.5), dur_inf=ss.days(8), p_death=0)
sim = ss.Sim(n_agents=people, diseases=seir, networks=ss.HybridNet(), dt=ss.days(1), start="2020-01-01",
             dur=ss.days(180), verbose=0, rand_seed=1)
sim.init()
begin, cpu = time.perf_counter(), time.process_time()
sim.run()
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
"""
LASER = """
import sys, time
import numpy as np
from laser.core import PropertySet
from laser.core.distributions import normal
from laser.generic import SEIR, Model
from laser.generic.utils import ValuesMap
from laser.core.utils import grid
people = int(sys.argv[1])
scenario = grid(M=20, N=20, node_size_degs=0.05, population_fn=lambda r, c: people // 400, origin_x=0, origin_y=0)
scenario["E"] = 0
scenario["I"] = 1
scenario["R"] = 0
scenario["S"] = scenario["population"] - 1
model = Model(scenario, PropertySet({"nticks": 180, "beta": 2.5 / 7.0, "prng_seed": 1}))
from laser.core.distributions import constant_int
exposed, infectious = constant_int(4), constant_int(7)
model.components = [SEIR.Susceptible(model), SEIR.Exposed(model, exposed, infectious), SEIR.Infectious(model, infectious),
                    SEIR.Recovered(model), SEIR.Transmission(model, exposed)]
begin, cpu = time.perf_counter(), time.process_time()
model.run("") if model.run.__code__.co_argcount > 1 else model.run()
wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
"""
PEERS = (
    ("Covasim 3.1.9 hybrid", "peer-covasim3", COVASIM),
    ("Covasim 4 hybrid", "peer-covasim4", COVASIM),
    ("Starsim 3.7 SEIR hybrid", "peer-covasim4", STARSIM),
    ("LASER SEIR 400 nodes", "peer-laser", LASER),
)
REPORT = """
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print("WALL", wall, cpu, float((peak or [0])[0]) / 1024)
"""
TWICE = """
import sys
wanted = sys.argv[1]
for people in ("4000", wanted):  # the first compiles
    sys.argv[1] = people
    exec(BODY)
"""


def city_of(people: int, side: int = 20, seed: int = 1) -> City:
    """A city of square zones with scattered buildings and schools, care homes and hospitals: only what an epidemic reads."""
    rng = np.random.default_rng(seed)
    zx, zy = (v.ravel() * 1000.0 for v in np.meshgrid(np.arange(side), np.arange(side)))
    count = max(400, people // 12)
    at = rng.uniform(0, side * 1000.0, (count, 2))
    use = rng.choice(["apartments", "house", "commercial", "public", "education"], count, p=[0.4, 0.35, 0.15, 0.05, 0.05])
    share = np.where(use == "apartments", 20.0, np.where(use == "house", 6.0, 0.0))
    living = np.diff(np.rint(np.cumsum(share) * people / share.sum()), prepend=0.0)
    sites = max(20, people // 2000)
    kind = rng.choice(["school", "kindergarten", "university", "care_home", "hospital"], sites, p=[0.4, 0.35, 0.05, 0.15, 0.05])
    kind[:4] = ["school", "kindergarten", "care_home", "hospital"]
    places = {"care_home": 60.0, "hospital": 6e-3 * people / max((kind == "hospital").sum(), 1)}
    school = np.flatnonzero(use == "education")

    def table(columns: dict[str, object], shapes: object) -> gpd.GeoDataFrame:
        return gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32631")

    return City(Facts("Benchmark", "EPSG:32631"), {
        "zone": table({"key": [f"z{i}" for i in range(side**2)]}, shapely.box(zx, zy, zx + 1000, zy + 1000)),
        "building": table(
            {"key": [f"b{i}" for i in range(count)], "use": use, "levels": 2.0, "people": living, "floor_area": 600.0,
             "zone": [f"z{int(y // 1000) * side + int(x // 1000)}" for x, y in at]},
            shapely.box(at[:, 0], at[:, 1], at[:, 0] + 20, at[:, 1] + 20)),
        "facility": table(
            {"key": [f"f{i}" for i in range(sites)], "kind": kind, "capacity": [places.get(str(k), 400.0) for k in kind],
             "building": [f"b{i}" for i in rng.choice(school, sites)]},
            shapely.points(rng.uniform(0, side * 1000.0, (sites, 2)))),
    })  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """One outbreak: seconds of wall clock and processor, share infected, infected person-days, bytes a person, making."""

    wall: float
    cpu: float
    attack: float
    active: float
    bytes_each: float
    making: float


def ran(city: City, r0: float = 2.5, days: int = DAYS, measures: bool = True, seed: int = 1) -> Ran:
    """Run an outbreak on `city` day by day, as a scenario does, without writing its columns."""
    params = EpidemicParameters.model_validate({"disease": "covid", "r0": r0, "seeds": [{"people": 100}]})
    people = int(city.table("building")["people"].sum())
    planned = (
        Planned(0.0, "test_trace_isolate", Tracing(tested=0.3, sensitivity=1.0)),
        Planned(30 * DAY, "vaccination", Vaccination(doses_a_day=people // 500)),
    )
    state = State(city, columns_with(city.columns))
    begin = time.perf_counter()
    run = Epidemic(Setup(city, params, 0.0, days * DAY, Streams(seed), planned if measures else ()), state)
    making = time.perf_counter() - begin
    active = 0.0
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(days):
        run.play_day()
        active += float(run.outbreak.active.count.sum())
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    infected = sum(run.outbreak.infected_by_day) / people
    return Ran(wall, cpu, infected, active, run.outbreak.bytes_each + run.people.bytes_each, making)


def best(city: City, times: int = 4, **how: float) -> tuple[Ran, float]:
    """The fastest of several runs, and the median time: the machine is shared."""
    runs = [ran(city, seed=n, **how) for n in range(times)]  # type: ignore[arg-type]
    return min(runs, key=lambda r: r.wall), float(np.median([r.wall for r in runs]))


def said(run: Ran, people: int, days: int = DAYS) -> str:
    """Millions of agent-days a second."""
    return f"{people * days / run.wall / 1e6:.0f} M/s"


def memory() -> str:
    """Resident memory of this process."""
    return f"{psutil.Process().memory_info().rss / 2**20:.0f} MiB"


def peers(people: int) -> Iterator[tuple[str, float, float, float]]:
    """Name, seconds of wall clock and processor, and MiB of each peer that is installed."""
    folder = os.environ.get("CITYTWIN_EPIDEMIC_PEERS", "")
    for name, place, script in PEERS:
        python = Path(folder) / place / "bin" / "python"
        if not folder or not python.exists():
            continue
        whole = f"BODY = {script!r}\n{TWICE}{REPORT}"
        command = [str(python), "-W", "ignore", "-c", whole, str(people)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            yield f"{name} not done in {LONGEST:.0f} s", np.nan, np.nan, np.nan
            continue
        found = [line.split() for line in done.stdout.splitlines() if line.startswith("WALL")]
        if found:
            yield name, float(found[0][1]), float(found[0][2]), float(found[0][3])
        else:
            yield f"{name} failed: {(done.stderr.strip().splitlines() or ['nothing said'])[-1][:60]}", np.nan, np.nan, np.nan


def sizes() -> Iterator[Row]:
    """100,000 and a million people: speed, memory, peers."""
    ran(city_of(20_000, 5), days=20)  # compiles
    for people in (100_000, 1_000_000):
        city = city_of(people)
        run, median = best(city)
        name = f"epidemic: {people:,} people, 180 d, R0 2.5, measures"
        took = f"{run.wall:.2f} / {run.cpu:.2f} s"
        yield Row(f"{name} ({run.attack:.0%})", f"{took}, median {median:.2f}", memory=f"{run.bytes_each:.0f} B each")
        yield Row(f"epidemic: {people:,} people: agent-days a second", said(run, people), memory=memory())
        yield Row(f"epidemic: {people:,} people: active agent-days a second", f"{run.active / run.wall / 1e6:.1f} M/s")
        yield Row(f"epidemic: {people:,} people: people made", f"{run.making:.1f} s")
        if people == 100_000 or os.environ.get("CITYTWIN_EPIDEMIC_PEERS_LARGE"):
            for peer, wall, cpu, mebibytes in peers(people):
                ratio = f"1 : {wall / run.wall:.0f} / {cpu / run.cpu:.0f}"
                yield Row(name, took, f"{peer} {wall:.1f} / {cpu:.1f} s", ratio, f"peer {mebibytes:.0f} MiB")
        if people == 1_000_000:
            yield from extremes(city, people)


def extremes(city: City, people: int) -> Iterator[Row]:
    """No spread, low and high R0, without measures, half the days."""
    for words, how in (
        ("no spread", {"r0": 0.0}), ("R0 1.2", {"r0": 1.2}), ("R0 6", {"r0": 6.0}),
        ("R0 2.5 without measures", {"measures": False}),
        ("R0 2.5, 90 d", {"days": 90}),
    ):  # fmt: skip
        run, _ = best(city, 2, **how)  # type: ignore[arg-type]
        days = int(how.get("days", DAYS))
        yield Row(f"epidemic: {people:,} people, {words} ({run.attack:.0%})", f"{run.wall:.2f} s, {said(run, people, days)}",
                  memory=f"{run.active / run.wall / 1e6:.1f} M active/s")  # fmt: skip


def ten_million() -> Iterator[Row]:
    """Ten million people, where asked for (CITYTWIN_EPIDEMIC_TEN_MILLION=1): the memory that it takes."""
    if os.environ.get("CITYTWIN_EPIDEMIC_TEN_MILLION"):
        run = ran(city_of(10_000_000))
        yield Row(f"epidemic: 10,000,000 people, 180 d (attack {run.attack:.0%})", f"{run.wall:.1f} s, {said(run, 10_000_000)}",
                  memory=f"{memory()}, {run.bytes_each:.0f} B each")  # fmt: skip
        yield Row("epidemic: 10,000,000 people made", f"{run.making:.0f} s")


CASES = [sizes, ten_million]
