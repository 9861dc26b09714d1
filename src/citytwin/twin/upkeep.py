"""Upkeep of the history: checkpoints, days that are too old. In the background, one thing at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from citytwin.errors import OutsideError
from citytwin.io.stores.checkpoints import QUARTER
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import DAY, ReadingStore
from citytwin.io.stores.retention import drop_old, read_retention
from citytwin.io.stores.transitions import Transitions

GRACE = 120.0  # seconds after a quarter of an hour before its checkpoint is made
PAUSE = 5.0
SHARE = 0.2  # of the time at most that is spent on checkpoints that are missing
CATCH_UP_SECONDS = 900.0  # late readings wait so long at most for the checkpoints that should know them
CATCH_UP_NUMBER = 100_000  # or until there are so many
WORTH_IT = 8 << 20  # bytes of a day below which a question is quick without checkpoints

log = logging.getLogger("citytwin.twin")


class Upkeep:
    """Looks after the history of one twin. Raises InputError where `retention.csv` in the city folder is wrong."""

    def __init__(self, folder: Path, kinds: list[str], store: ReadingStore, history: History, transitions: Transitions) -> None:
        self.retention = read_retention(folder, kinds)
        self._store, self._history, self._transitions = store, history, transitions
        self._dropped_on: dt.date | None = None
        self._bytes: dict[str, int] = {}  # of days to which nothing was added since

    async def run(self) -> None:
        """For ever."""
        caught_up, pause = time.monotonic(), PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = PAUSE
            try:
                checkpoints = self._store.checkpoints
                if time.monotonic() - caught_up > CATCH_UP_SECONDS or checkpoints.number_late > CATCH_UP_NUMBER:
                    await asyncio.to_thread(checkpoints.catch_up)
                    caught_up = time.monotonic()
                begun = time.monotonic()
                if await asyncio.to_thread(self.make_next, time.time()):
                    pause = max(PAUSE, (time.monotonic() - begun) / SHARE)
                await asyncio.to_thread(self.drop, time.time())
            except (OutsideError, OSError) as error:
                log.warning("upkeep of the history: %s", error)
                pause = 12 * PAUSE

    def make_next(self, now: float) -> bool:
        """Make one checkpoint that is missing, if one is worth it."""
        for quarter in self._missing(now):
            return self._history.make_checkpoint(quarter)
        return False

    def make_all(self, now: float) -> int:
        """Make all checkpoints that are missing; how many."""
        return sum(self._history.make_checkpoint(quarter) for quarter in sorted(self._missing(now)))

    def _missing(self, now: float) -> Iterator[int]:
        """Quarters that lack a checkpoint: newest day first, a day from its begin, since each is made from the one before."""
        there = set(self._store.checkpoints.quarters)
        for day in reversed(self._store.days()):
            begin = dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
            quarters = range(int(begin // QUARTER), int((begin + DAY) // QUARTER))
            missing = [q for q in quarters if q not in there and (q + 1) * QUARTER + GRACE < now]
            if missing and self._bytes_of(day) > WORTH_IT:
                yield from missing

    def _bytes_of(self, day: str) -> int:
        if day not in self._bytes or self._store.touched(day):
            self._bytes[day] = self._store.bytes_of(day)
        return self._bytes[day]

    def drop(self, now: float) -> None:
        """Once a day: drop what is too old."""
        today = dt.datetime.fromtimestamp(now, dt.UTC).date()
        if today != self._dropped_on:
            drop_old(self._store, self._transitions, self.retention, today)
            self._dropped_on = today
