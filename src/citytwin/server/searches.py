"""Searches for the best measures as jobs: one works at a time, in a process of its own; records outlive the server.

CITY/live/optimisations/ID holds `record.json` and, in `found`, what `citytwin optimise` writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from citytwin.errors import ConflictError, MissingError, TwinError, nearest
from citytwin.server.encoding import dumps
from citytwin.server.packing import pack
from citytwin.server.process import Process, failure
from citytwin.state import State

ENDED = ("done", "failed", "stopped")
MOST_WAITING = 20
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


@dataclass
class Record:
    """One search: `status` is queued, running, done, failed or stopped; `progress` a share."""

    id: str
    name: str
    status: str
    progress: float
    words: str
    started: str
    error: str | None = None


class Optimisations:
    """All searches of one twin. Call its methods from the event loop only."""

    def __init__(self, city: Path) -> None:
        self.city = city
        self.folder = city / "live" / "optimisations"
        self.records: dict[str, Record] = {}
        self.told: Callable[[str, dict[str, Any]], None] = lambda sort, message: None
        self._turn = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Read what earlier servers left; what was at work then has failed."""
        for path in sorted(self.folder.glob("*/record.json")):
            with contextlib.suppress(OSError, ValueError, TypeError):
                record = Record(**json.loads(path.read_text(encoding="utf-8")))
                if record.status not in ENDED:
                    record.status, record.error = "failed", "the server stopped before this search was done"
                if NAME.fullmatch(record.id) and record.id == path.parent.name:
                    self.records[record.id] = record

    async def stop(self) -> None:
        """End all searches."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def __getitem__(self, id: str) -> Record:
        if id not in self.records:
            raise MissingError(f'no search "{id}"', hint=nearest(id, self.records) if self.records else "there are none yet")
        return self.records[id]

    def file(self, id: str, name: str) -> Path:
        """A file of a search that is done. Raises MissingError, ConflictError."""
        if self[id].status != "done":
            raise ConflictError(
                f'search "{id}" is {self[id].status}', hint=self[id].error or "only one that is done has results"
            )
        return self.folder / id / name

    def add(self, study: Any, state: State) -> Record:
        """Queue a checked study (`scenario.optimise.Study`) that starts from `state`. Raises ConflictError."""
        if len(self._tasks) >= MOST_WAITING:
            raise ConflictError(f"{MOST_WAITING} searches are waiting", hint="wait until some are done, or delete them")
        now = dt.datetime.now(dt.UTC)
        word = re.sub(r"[^a-z0-9]+", "-", study.form.name.lower()).strip("-")[:40].strip("-") or "search"
        id = f"{now:%Y%m%d-%H%M%S}-{word}-{secrets.token_hex(2)}"
        record = Record(id, study.form.name, "queued", 0.0, "waiting", f"{now:%Y-%m-%dT%H:%M:%SZ}")
        self.records[id] = record
        self._set(record)
        self._tasks[id] = asyncio.create_task(self._work(record, study.said, state))
        return record

    async def remove(self, id: str) -> str:
        """Stop a search that waits or works ("stopped"), or delete one that has ended ("deleted")."""
        record = self[id]
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._set(record, status="stopped", words="stopped on request")
            return "stopped"
        del self.records[id]
        await asyncio.to_thread(shutil.rmtree, self.folder / id, True)
        return "deleted"

    async def _work(self, record: Record, said: dict[str, Any], state: State) -> None:
        out = self.folder / record.id
        process = Process(self.city)
        packed = out.with_suffix(".state")
        try:
            async with self._turn:
                self.folder.mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(pack, state, packed)
                self._set(record, status="running", words="starting")
                order = {"do": "optimise", "study": said, "state": str(packed), "out": str(out / "found")}
                news = await process.order(order, lambda share, words: self._set(record, progress=share, words=words))
            if news["news"] == "done":
                self._set(record, status="done", progress=1.0, words="done")
            else:
                self._set(record, status="failed", words="failed", error=str(failure(news)))
        except (TwinError, OSError) as error:
            self._set(record, status="failed", words="failed", error=str(error))
        finally:
            self._tasks.pop(record.id, None)
            await process.close()
            packed.unlink(missing_ok=True)

    def _set(self, record: Record, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(record, name, value)
        self.told(f"optimisation {record.id}", {"type": "optimisation", **asdict(record)})
        if "progress" not in changes or record.status in ENDED:
            folder = self.folder / record.id
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "record.json").write_bytes(dumps(asdict(record)))
