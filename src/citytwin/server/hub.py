"""From the twin to every open page: a snapshot on connect, then at most one delta a second, in binary frames.

A page that falls behind never makes a queue grow: its deltas are thrown away and it gets a fresh snapshot when it can
take one. Of each sort of message (clock, quality, one run's progress) only the newest waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from citytwin.server import encoding

if TYPE_CHECKING:
    from citytwin.state import State
    from citytwin.twin import Twin

log = logging.getLogger("citytwin.server")

WAITING = 4  # deltas that may wait for one page before it is given a snapshot instead


class Mailbox:
    """What waits for one page: bounded, the newest wins."""

    def __init__(self) -> None:
        self.behind = True
        self.deltas: deque[bytes] = deque()
        self.words: dict[str, str] = {}
        self.filled = asyncio.Event()

    def put_delta(self, frame: bytes) -> None:
        """Add a delta, or remember that a snapshot has to be sent."""
        if self.behind or len(self.deltas) >= WAITING:
            self.behind = True
            self.deltas.clear()
        else:
            self.deltas.append(frame)
        self.filled.set()

    def put_words(self, sort: str, words: str) -> None:
        """Set the newest message of one sort."""
        self.words[sort] = words
        self.filled.set()

    def take(self) -> tuple[bool, list[bytes], list[str]]:
        """Empty the box: whether a snapshot is due, the deltas, the messages."""
        taken = self.behind, list(self.deltas), list(self.words.values())
        self.behind = False
        self.deltas.clear()
        self.words.clear()
        self.filled.clear()
        return taken


class Hub:
    """The devices of one twin as frames, and the pages that want them."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.sequence = 0
        self.pages: set[Mailbox] = set()
        self.counts: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        city = twin.city
        has = "device" in city.tables and city.size("device") > 0
        self.count = city.size("device") if has else 0
        self.keys: list[str] = []
        self.names: list[str] = []
        self.kinds: list[str] = []
        self.kind = np.zeros(self.count, dtype=np.uint8)
        self.place = (np.zeros(self.count, dtype=np.uint32), np.zeros(self.count, dtype=np.uint32))
        self._placed = self._pushed = 0  # numbers of the batches up to which moves are taken over, and told to pages
        self._moved = np.zeros(self.count, dtype=np.int64)
        if has:
            self._read_devices()

    def _read_devices(self) -> None:
        city = self.twin.city
        device = city.table("device")
        self.keys = device["key"].astype(str).tolist()
        self.names = device["name"].fillna("").astype(str).tolist() if "name" in device else [""] * self.count
        self.kinds, codes = _codes(device["kind"].fillna("").astype(str).to_numpy(dtype=object))
        self.kind = codes.astype(np.uint8)
        points = device.geometry.representative_point()  # a Point stays itself
        self.place = encoding.mercator(city, points.x.to_numpy(), points.y.to_numpy())

    async def start(self) -> None:
        """Follow the twin."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._tick())]

    async def stop(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def snapshot(self) -> bytes:
        """All devices now."""
        value, status, _ = self.twin.device_values()
        self._move()
        return encoding.snapshot(self.sequence, time.time(), self.place, self.kind, value, status)

    def snapshot_of(self, state: State) -> bytes:
        """All devices as a past state has them; a device is online (1) where its value is known, else unknown (0)."""
        value = np.full(self.count, np.nan)
        for code, name in enumerate(self.kinds):
            kind = self.twin.columns.kinds.get(name)
            if kind is not None:
                rows = self.kind == code
                value[rows] = state[kind.column.name][rows]
        return encoding.snapshot(0, state.time, self.place, self.kind, value, np.isfinite(value).astype(np.uint8))

    def tell(self, sort: str, message: dict[str, Any]) -> None:
        """Send a message to every page; it replaces a waiting one of its sort."""
        words = encoding.dumps(message).decode()
        for page in self.pages:
            page.put_words(sort, words)

    def quality(self) -> tuple[str, dict[str, Any]]:
        """The message that says how many readings were good and how many were not."""
        return "quality", {"type": "quality", "counts": self.counts}

    def come(self) -> Mailbox:
        """The box of a page that has just come."""
        box = Mailbox()
        sort, message = self.quality()
        box.put_words(sort, encoding.dumps(message).decode())
        self.pages.add(box)
        return box

    async def _follow(self) -> None:
        async for rows in self.twin.changes():
            self.sequence += 1
            if self.pages:
                self._push(np.asarray(rows))

    def _push(self, rows: npt.NDArray[np.integer]) -> None:
        value, status, _ = self.twin.device_values()
        self._move()
        moved = rows[self._moved[rows] > self._pushed] if len(self._moved) else rows[:0]
        self._pushed = self._placed
        places = (moved, self.place[0][moved], self.place[1][moved])
        frame = encoding.delta(self.sequence, time.time(), rows, value[rows], status[rows], places)
        for page in self.pages:
            page.put_delta(frame)

    def _move(self) -> None:
        """Take over where moving devices are now."""
        rows, longitude, latitude, newest = self.twin.moved_since(self._placed)
        self._placed = newest
        if len(rows):
            self._moved[rows] = newest
            self.place[0][rows], self.place[1][rows] = encoding.web_mercator(longitude, latitude)

    async def _tick(self) -> None:
        while True:
            self.tell("clock", {"type": "clock", "now": encoding.iso(time.time())})
            try:
                newest = dict(self.twin.quality()["counts"])
            except Exception:  # the clock goes on whatever the checks say
                log.exception("quality of readings")
                newest = self.counts
            if newest != self.counts:
                self.counts = newest
                self.tell(*self.quality())
            await asyncio.sleep(1.0)


def _codes(kinds: npt.NDArray[np.object_]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The kinds that occur (at most 255 fit a byte; more share the last), and the place of each device's kind in them."""
    names, codes = np.unique(kinds.astype(str), return_inverse=True)
    return [str(n) for n in names[:255]], np.minimum(codes, 254)
