"""Playing strategies: each with the same members, by worker processes that stay warm over the whole search."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.city import City, read_city
from citytwin.errors import InputError, OutsideError, SimulationError
from citytwin.scenario.document import parse
from citytwin.scenario.optimise import Study
from citytwin.scenario.optimise_search import Outcome, Play
from citytwin.scenario.play import play, start_of
from citytwin.scenario.result import flat
from citytwin.sim import columns_with
from citytwin.state import State


@dataclass(frozen=True)
class Work:
    """What a worker needs to play one member of one strategy."""

    city: Path
    said: dict[str, Any]
    folder: Path | None
    number: int
    members: int
    time: float
    values: dict[str, npt.NDArray[np.float64]]


_opened: dict[Path, City] = {}


def outcome(work: Work) -> Outcome:
    """The impact of one member of one strategy, flattened; its run folder is thrown away."""
    city = _opened.setdefault(work.city, read_city(work.city)) if work.city not in _opened else _opened[work.city]
    state = State(city, time=work.time)
    columns_with(state.columns)
    for name, values in work.values.items():
        state[name] = values
    scenario = parse({**work.said, "members": max(work.members, 2)}, work.folder).member(work.number)
    scratch = Path(tempfile.mkdtemp(prefix="citytwin-strategy-"))
    try:
        impact = play(scenario, city, scratch / "run", state, member=work.number).impact
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    numbers: Outcome = {}
    for name, value in flat(impact).items():
        numbers[name] = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    return numbers


def _ready(threads: int) -> None:
    os.environ["NUMBA_NUM_THREADS"] = str(threads)


@contextmanager
def players(
    study: Study, city: City, workers: int | None = None, state: State | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[Play]:
    """A call that plays strategies of `study` on `city`, from the values of `state`; workers end with the block."""
    if city.folder is None:
        raise InputError("a search needs a city that is written to a folder", city.name)
    folder, members = city.folder.resolve(), study.form.members
    begin = start_of(study.scenario, state)
    values = {name: np.array(state[name]) for name in state.written} if state is not None else {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(1, workers or cores)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(count, context, _ready, (max(1, cores // count),)) as pool:

        def play_all(documents: list[dict[str, Any]]) -> Iterator[tuple[int, list[Outcome]]]:
            found: dict[int, dict[int, Outcome]] = {}
            waiting = {
                pool.submit(outcome, Work(folder, said, study.scenario.folder, member, members, begin, values)): (
                    number,
                    member,
                )
                for number, said in enumerate(documents)
                for member in range(members)
            }
            try:
                while waiting:
                    ready, _ = concurrent.futures.wait(waiting, 0.5, return_when=concurrent.futures.FIRST_COMPLETED)
                    for future in ready:
                        number, member = waiting.pop(future)
                        found.setdefault(number, {})[member] = future.result()
                        if len(found[number]) == members:
                            yield number, [found[number][m] for m in range(members)]
                    if stop():
                        raise SimulationError("stopped on request", "search")
            except concurrent.futures.BrokenExecutor as error:
                raise OutsideError("a worker of the search ended unexpectedly", hint="not enough memory?") from error
            finally:
                for future in waiting:
                    future.cancel()

        yield play_all
