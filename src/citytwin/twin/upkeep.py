"""Upkeep of the history: hourly checkpoints, days that are too old. In the background, one thing at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from citytwin.errors import OutsideError
from citytwin.io.stores.checkpoints import HOUR
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import DAY, ReadingStore
from citytwin.io.stores.retention import drop_old, read_retention
from citytwin.io.stores.transitions import Transitions

GRACE = 120.0  # seconds after a full hour before its checkpoint is made
PAUSE = 5.0
CATCH_UP_SECONDS = 60.0
WORTH_IT = 8 << 20  # bytes of a day below which a question is quick without checkpoints

log = logging.getLogger("citytwin.twin")


class Upkeep:
    """Looks after the history of one twin. Raises InputError where `retention.csv` in the city folder is wrong."""

    def __init__(self, folder: Path, kinds: list[str], store: ReadingStore, history: History, transitions: Transitions) -> None:
        self.retention = read_retention(folder, kinds)
        self._store, self._history, self._transitions = store, history, transitions
        self._dropped_on: dt.date | None = None

    async def run(self) -> None:
        """For ever."""
        caught_up = time.monotonic()
        while True:
            await asyncio.sleep(PAUSE)
            try:
                if time.monotonic() - caught_up > CATCH_UP_SECONDS:
                    await asyncio.to_thread(self._store.checkpoints.catch_up)
                    caught_up = time.monotonic()
                await asyncio.to_thread(self.make_next, time.time())
                await asyncio.to_thread(self.drop, time.time())
            except (OutsideError, OSError) as error:
                log.warning("upkeep of the history: %s", error)
                await asyncio.sleep(12 * PAUSE)

    def make_next(self, now: float) -> bool:
        """Make the newest checkpoint that is missing, if one is worth it."""
        for hour in self._missing(now):
            return self._history.make_checkpoint(hour)
        return False

    def make_all(self, now: float) -> int:
        """Make all checkpoints that are missing, oldest first; how many."""
        return sum(self._history.make_checkpoint(hour) for hour in sorted(self._missing(now)))

    def _missing(self, now: float) -> Iterator[int]:
        """Hours that lack a checkpoint, newest first."""
        there = set(self._store.checkpoints.hours)
        for day in reversed(self._store.days()):
            begin = dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
            hours = [h for h in range(int(begin // HOUR), int((begin + DAY) // HOUR)) if h * HOUR + GRACE < now]
            hours = [h for h in hours if h not in there]
            if hours and self._store.bytes_of(day) > WORTH_IT:
                yield from reversed(hours)

    def drop(self, now: float) -> None:
        """Once a day: drop what is too old."""
        today = dt.datetime.fromtimestamp(now, dt.UTC).date()
        if today != self._dropped_on:
            drop_old(self._store, self._transitions, self.retention, today)
            self._dropped_on = today
