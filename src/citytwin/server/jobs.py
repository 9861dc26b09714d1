"""Runs as jobs: a queue, a record of each that outlives the server, one warm worker process for each place at work.

CITY/live/runs/ID is the run folder, CITY/live/jobs/ID.json the record of the job, CITY/live/frames/ID what was made from the
run for the map.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from citytwin.errors import ConflictError, InputError, MissingError, TwinError, nearest
from citytwin.jsonable import plain
from citytwin.scenario import Scenario, read_result
from citytwin.server.encoding import dumps
from citytwin.server.packing import pack
from citytwin.server.process import PATIENCE, Process
from citytwin.state import State

log = logging.getLogger("citytwin.server")

ENDED = ("done", "failed", "stopped")
MOST_WAITING = 100
MOST_STEPS = 20_000
IDENTITY = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")

Told = Callable[[str, dict[str, Any]], None]


@dataclass
class Job:
    """One run: `status` is queued, running, done, failed or stopped; `progress` a share; `wall_s` seconds at work."""

    id: str
    name: str
    status: str
    progress: float
    words: str
    started: str
    wall_s: float
    members: int
    hazards: list[str]
    error: str | None = None
    kind: str | None = None
    scenario: dict[str, Any] = field(default_factory=dict)
    folder: str | None = None  # where files that the scenario names lie

    def summary(self) -> dict[str, Any]:
        """What a list of runs shows."""
        said = asdict(self)
        del said["scenario"], said["folder"]
        return said


class Jobs:
    """All runs of one twin, oldest first. Call its methods from the event loop only."""

    def __init__(self, city: Path, places: int = 1) -> None:
        self.city = city
        self.runs = city / "live" / "runs"
        self.records = city / "live" / "jobs"
        self.frames = city / "live" / "frames"
        self.jobs: dict[str, Job] = {}
        self.told: Told = lambda sort, message: None
        self._queue: asyncio.Queue[tuple[Job, Path | None]] = asyncio.Queue()
        self._processes = [Process(city) for _ in range(places)]
        self._at_work: dict[str, tuple[Process, float]] = {}
        self._stopping: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Read what there is, then wait for work."""
        for folder in (self.runs, self.records, self.frames):
            folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._read)
        for process in self._processes:
            self._spawn(self._work(process))

    async def stop(self) -> None:
        """End all work; what was at work is a failed run after the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._processes:
            await process.close()

    def __getitem__(self, id: str) -> Job:
        if id not in self.jobs:
            raise MissingError(f'no run "{id}"', hint=nearest(id, self.jobs) if self.jobs else "there are no runs yet")
        return self.jobs[id]

    def listed(self) -> list[dict[str, Any]]:
        """All runs, newest first."""
        return [self._now(job).summary() for job in sorted(self.jobs.values(), key=lambda j: (j.started, j.id), reverse=True)]

    def one(self, id: str) -> dict[str, Any]:
        """One run as the list shows it. Raises MissingError."""
        return self._now(self[id]).summary()

    def folder(self, id: str) -> Path:
        """The run folder of a run that is done. Raises MissingError, ConflictError."""
        job = self[id]
        if job.status != "done":
            raise ConflictError(f'run "{id}" is {job.status}', hint=job.error or "only a run that is done has results")
        return self.runs / id

    def words(self) -> Iterable[tuple[str, str]]:
        """What a page that just came should hear about runs at work."""
        for job in self.jobs.values():
            if job.status in ("queued", "running"):
                yield f"run {job.id}", dumps(self._message(job)).decode()

    async def add(self, scenario: Scenario, state: State | None) -> Job:
        """Queue a scenario; it starts from `state`, a fork that nobody else writes. Raises ConflictError, InputError."""
        if self._queue.qsize() >= MOST_WAITING:
            raise ConflictError(f"{MOST_WAITING} runs are waiting", hint="wait until some are done, or delete them")
        if scenario.duration / scenario.every > MOST_STEPS:
            steps = f"{scenario.duration / scenario.every:.0f}"
            raise InputError(f"{steps} steps are too many", "every", f"at most {MOST_STEPS}: make every longer")
        now = dt.datetime.now(dt.UTC)
        word = re.sub(r"[^a-z0-9]+", "-", scenario.name.lower()).strip("-")[:40].strip("-") or "run"
        job = Job(
            f"{now:%Y%m%d-%H%M%S}-{word}-{secrets.token_hex(2)}", scenario.name, "queued", 0.0, "waiting",
            f"{now:%Y-%m-%dT%H:%M:%SZ}", 0.0, scenario.members, hazards_of(scenario.said), scenario=plain(scenario.said),
            folder=str(scenario.folder) if scenario.folder else None,
        )  # fmt: skip
        path = self.records / f"{job.id}.state" if state is not None else None
        if state is not None and path is not None:
            await asyncio.to_thread(pack, state, path)
        self.jobs[job.id] = job
        await asyncio.to_thread(self._keep, job)
        self._queue.put_nowait((job, path))
        self._tell(job)
        return job

    async def remove(self, id: str) -> str:
        """Stop a run that waits or works ("stopped"), or delete one that has ended ("deleted")."""
        job = self[id]
        if job.status == "queued":
            self._set(job, status="stopped", words="stopped before it began")
            await asyncio.to_thread(self._keep, job)
            return "stopped"
        if job.status == "running":
            await self._stop(job)
            return "stopped"
        del self.jobs[id]
        await asyncio.to_thread(self._delete, id)
        self.told(f"run {id}", {"type": "run", "id": id, "status": "deleted", "progress": 0.0, "words": "deleted"})
        return "deleted"

    async def _stop(self, job: Job) -> None:
        self._stopping.add(job.id)
        process, _ = self._at_work[job.id]
        await process.stop_order()
        end = time.monotonic() + PATIENCE
        while job.id in self._at_work and time.monotonic() < end:
            await asyncio.sleep(0.05)
        if job.id in self._at_work:
            process.kill()
        while job.id in self._at_work:
            await asyncio.sleep(0.02)

    async def _work(self, process: Process) -> None:
        while True:
            job, state = await self._queue.get()
            try:
                if job.status == "queued":
                    await self._play(process, job, state)
            finally:
                if state is not None:
                    state.unlink(missing_ok=True)

    async def _play(self, process: Process, job: Job, state: Path | None) -> None:
        began = time.monotonic()
        self._at_work[job.id] = process, began
        self._set(job, status="running", words="starting")
        order = {"do": "run", "scenario": job.scenario, "state": str(state) if state else None, "out": str(self.runs / job.id),
                 "folder": job.folder}  # fmt: skip

        def progress(share: float, words: str) -> None:
            self._set(job, progress=share, words=words)

        try:
            news = await process.order(order, progress)
        except TwinError as error:
            news = {"news": "failed", "kind": "outside", "message": error.message, "where": error.where, "hint": error.hint}
        job.wall_s = round(time.monotonic() - began, 2)
        await asyncio.to_thread(self._sweep, job.id)
        self._end(job, news)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._keep, job)
        self._stopping.discard(job.id)
        del self._at_work[job.id]

    def _end(self, job: Job, news: dict[str, Any]) -> None:
        if news["news"] == "done":
            self._set(job, status="done", progress=1.0, words="done")
        elif news["news"] == "stopped" or job.id in self._stopping:
            self._set(job, status="stopped", words="stopped on request")
        else:
            line = str(TwinError(news["message"], news["where"], news["hint"]))
            self._set(job, status="failed", words="failed", error=line, kind=news["kind"])
            log.warning("run %s failed: %s", job.id, line)

    def _set(self, job: Job, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(job, name, value)
        self._tell(job)

    def _tell(self, job: Job) -> None:
        self.told(f"run {job.id}", self._message(job))

    def _message(self, job: Job) -> dict[str, Any]:
        said = {"type": "run", "id": job.id, "status": job.status, "progress": job.progress, "words": job.words}
        return {**said, "error": job.error} if job.error else said

    def _now(self, job: Job) -> Job:
        if job.id in self._at_work:
            job.wall_s = round(time.monotonic() - self._at_work[job.id][1], 2)
        return job

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep(self, job: Job) -> None:
        """Write the record of a job, whole or not at all."""
        path = self.records / f"{job.id}.json"
        partial = path.with_suffix(".partial")
        partial.write_bytes(dumps(asdict(job)))
        partial.replace(path)

    def _delete(self, id: str) -> None:
        (self.records / f"{id}.json").unlink(missing_ok=True)
        shutil.rmtree(self.runs / id, ignore_errors=True)
        shutil.rmtree(self.frames / id, ignore_errors=True)

    def _sweep(self, id: str) -> None:
        """Remove what a killed worker left half-written."""
        for left in self.runs.glob(f".{id}.partial-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _read(self) -> None:
        """The records of earlier servers; and runs that somebody put into the folder."""
        for left in (*self.runs.glob(".*.partial-*"), *self.records.glob("*.state"), *self.records.glob("*.partial")):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        for path in sorted(self.records.glob("*.json")):
            job = _record(path)
            if job is None:
                continue
            self.jobs[job.id] = job
            if job.status not in ENDED:
                job.status, job.words = "failed", "failed"
                job.error, job.kind = "the server stopped before this run was done", "outside"
                self._keep(job)
        for folder in sorted(self.runs.iterdir()):
            if folder.name not in self.jobs and IDENTITY.fullmatch(folder.name):
                found = _found(folder)
                if found is not None:
                    self.jobs[found.id] = found


def _record(path: Path) -> Job | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        job = Job(**{k: v for k, v in said.items() if k in {f.name for f in fields(Job)}})
    except (OSError, ValueError, TypeError, AttributeError):
        log.warning("%s cannot be read and is left out", path)
        return None
    return job if job.id == path.stem and IDENTITY.fullmatch(job.id) else None


def _found(folder: Path) -> Job | None:
    """The job of a run folder that has no record."""
    try:
        said = read_result(folder).document
        return Job(folder.name, str(said["scenario"]), "done", 1.0, "done", str(said.get("started", "")),
                   float(said.get("duration_s", 0.0)), int(said.get("members", 1)), list(said.get("grade", {})))  # fmt: skip
    except (TwinError, OSError, ValueError, TypeError):
        return None


def hazards_of(said: dict[str, Any]) -> list[str]:
    """Names of the hazards in a scenario document."""
    entries = said.get("hazards") or []
    return [str(e if isinstance(e, str) else next(iter(e), "")) for e in entries if isinstance(e, (str, dict))]
