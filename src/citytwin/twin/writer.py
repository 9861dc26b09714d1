"""The writer: commits what waits to the history, then lets the log forget it, and beside that keeps the files few."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from citytwin.errors import OutsideError
from citytwin.io.feeds.log import Log
from citytwin.io.stores.readings import ReadingStore
from citytwin.state import Arrivals

COMMIT_SECONDS = 1.0  # readings wait at most this long for the history
COMMIT_READINGS = 200_000  # or until so many wait
FORGET_SECONDS = 5.0
COMPACT_SECONDS = 20.0  # between looks at the number of files; the memory is set down then too


class Writer:
    """Writes to `store`. `read_to`: the place in the log up to which everything waits here or is in the history."""

    def __init__(self, store: ReadingStore) -> None:
        self.store = store
        self.read_to = store.committed
        self.problem = ""  # what keeps readings from the history just now, in words
        self.waiting: list[Arrivals] = []
        self._one_at_a_time = threading.Lock()

    def put(self, batch: Arrivals, last: int) -> None:
        """Take over all readings of the log up to place `last`."""
        if len(batch) or batch.notices:
            self.waiting.append(batch)
        self.read_to = last

    @property
    def number_waiting(self) -> int:
        """Readings that are not in the history yet."""
        return sum(map(len, self.waiting))

    async def run(self, log: Log, now_and_then: Callable[[], Awaitable[None]]) -> None:
        """For ever: commit about once a second. `now_and_then` is called every `COMPACT_SECONDS`, before files are joined."""
        forgot = compacted = begun = time.monotonic()
        compacting: asyncio.Task[int] | None = None
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            if self.read_to == self.store.committed or (now - begun < COMMIT_SECONDS and self.number_waiting < COMMIT_READINGS):
                continue
            begun = now
            try:
                await asyncio.to_thread(self.commit)
                if now - forgot > FORGET_SECONDS:
                    forgot = now
                    await log.forget(self.store.committed)
                if now - compacted > COMPACT_SECONDS and (compacting is None or compacting.done()):
                    last, compacting, compacted = compacting, None, now
                    if last is not None:
                        last.result()  # a full disk, say, is told and tried again
                    await now_and_then()
                    compacting = asyncio.create_task(asyncio.to_thread(self.store.compact))
                self.problem = ""
            except OutsideError as error:
                self.problem = str(error)
                await asyncio.sleep(1.0)

    def commit(self) -> None:
        """Everything that waits, into the history. Called in a thread; one at a time."""
        with self._one_at_a_time:
            waiting, last = list(self.waiting), self.read_to
            if last > self.store.committed:
                self.store.commit(Arrivals.joined(waiting) if waiting else Arrivals.empty(), last)
                del self.waiting[: len(waiting)]
