"""Device health: a listener that writes the course of each device's status down, and answers who is well and who is not.

What people say (a judgement of readings, maintenance) is put into the log and takes effect when the reader meets it there.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np

from citytwin.errors import InputError, MissingError, OutsideError, nearest
from citytwin.io.stores.history import History
from citytwin.io.stores.readings import ReadingStore
from citytwin.io.stores.transitions import Transitions
from citytwin.state import STATUS, Arrivals, Health, Judgement, Maintenance, Notice, Quality, uptime, write_notice
from citytwin.state.checks import DOUBT_TIME, DOUBT_VALUE
from citytwin.state.notices import MOST_WORDS, checked
from citytwin.twin.devices import Devices
from citytwin.twin.notices import NOTICE
from citytwin.twin.questions import Questions
from citytwin.twin.reader import Reader

FLUSH_SECONDS = 5.0
WEEK = 7 * 86400.0
REASONS = tuple(q.word for q in Quality if q not in (Quality.GOOD, Quality.LATE, Quality.CONFIRMED))

log = logging.getLogger("citytwin.twin")


class DeviceHealth:
    """Answers about the health of devices. A listener of the twin: `tick` notes what changed since the last one.

    `append`: puts a message into the log (subject, payload), durable when it returns.
    """

    def __init__(
        self, reader: Reader, store: ReadingStore, history: History, questions: Questions, transitions: Transitions,
        append: Callable[[str, bytes], Awaitable[Any]],
    ) -> None:  # fmt: skip
        self.devices: Devices = reader.devices
        self.health: Health = reader.health
        self.problem = ""
        self._reader, self._store, self._history, self._questions = reader, store, history, questions
        self._transitions, self._append = transitions, append
        self._seen = np.zeros(len(self.devices.keys), dtype=np.uint8)
        self._flushed = time.monotonic()
        self._flushing: asyncio.Task[None] | None = None

    # -- listening ----------------------------------------------------------------------------------------------------

    def hear(self, batch: Arrivals) -> None:
        """Nothing to do: the reader tells `Health` of each batch itself."""

    def tick(self, now: float) -> None:
        """Note changes of status; hand them to the disk every few seconds."""
        self._note(now)
        if time.monotonic() - self._flushed > FLUSH_SECONDS and (self._flushing is None or self._flushing.done()):
            self._flushed = time.monotonic()
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    def _note(self, now: float) -> None:
        status = self.devices.status
        rows = np.flatnonzero(status != self._seen)
        self._transitions.note(rows, now, status[rows], self._seen[rows])
        self._seen = status.copy()

    async def _flush(self) -> None:
        try:
            await asyncio.to_thread(self._transitions.flush)
            self.problem = ""
        except OutsideError as error:
            self.problem = str(error)

    async def close(self) -> None:
        """Write what waits."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        self._note(time.time())
        await self._flush()

    # -- answers ------------------------------------------------------------------------------------------------------

    def of(self, device: str, begin: float, end: float) -> dict[str, Any]:
        """All about the health of one device between two moments. Raises MissingError, OutsideError."""
        row = self._row(device)
        kind = self.devices.kinds[self.devices.kind[row]]
        when, words = self._transitions.of(device, begin, end)
        codes = np.array([STATUS.index(w) for w in words], dtype=np.uint8)
        heard = float(self.health.first[row])
        since = max(begin, heard if math.isfinite(heard) else end)
        received = self._history.received(device, kind.name, begin, end)
        until = float(self.health.until[row])
        said = self._store.notices.maintenance(device)
        doubted = self._history.doubted(device, begin, end)
        return self._line(row) | {
            "period": kind.period, "begin": begin, "end": end,
            "expected": max(0, int((end - since) / kind.period)) if kind.period > 0 else None, "received": received,
            "uptime": uptime(codes, when, begin, end) if len(codes) else None,
            "course": [{"time": t, "status": w} for t, w in zip(when.tolist(), words, strict=True)],
            "recent": self._history.rejected(begin, end, 100, device),
            "confirmed": [each for each in doubted if each["reason"] == Quality.CONFIRMED.word][:100],
            "maintenance": {"until": until, "who": said.who, "note": said.note, "since": said.at}
            if said is not None and until > time.time() else None,
            "judgements": [_plain(j) for j in self._store.notices.judged(device).judgements],
        }  # fmt: skip

    def status_at(self, device: str, moment: float) -> str:
        """What the status of a device was at a past moment. Raises MissingError."""
        self._row(device)
        _, words = self._transitions.of(device, moment, moment)
        return words[-1] if words else STATUS[0]

    def table(self, kind: str = "", status: str = "", reason: str = "", limit: int = 100, offset: int = 0) -> dict[str, Any]:
        """The city's devices, worst first, some of them: of one kind, one status, or with readings refused for one reason.

        Sums are over all devices of the city. Raises MissingError for a name that is none.
        """
        self._reader.age()
        rows = self._chosen(kind, status, reason)
        if reason:
            counts = self.health.counts[rows, Quality[reason.upper()]]
            ordered = rows[np.lexsort((rows, -counts.astype(np.int64)))]
        else:
            ordered = self.health.worst(rows)
        page = ordered[offset : offset + limit]
        return {
            "number": len(self.devices.keys), "statuses": self._statuses(np.arange(len(self.devices.keys))),
            "reasons": {q.word: int(n) for q, n in zip(Quality, self.health.counts.sum(axis=0, dtype=np.int64), strict=True)},
            "kinds": self._kinds(), "in_doubt": int(self._reader.checks.in_doubt.sum()), "numberMatched": len(rows),
            "next": offset + limit if offset + limit < len(rows) else None, "devices": [self._line(int(r)) for r in page],
        }  # fmt: skip

    def _chosen(self, kind: str, status: str, reason: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        chosen = np.ones(len(self.devices.keys), dtype=np.bool_)
        if kind:
            names = [k.name for k in self.devices.kinds]
            chosen &= self.devices.kind == _place(kind, names, "kind")
        if status:
            chosen &= self.devices.status == _place(status, STATUS, "status")
        if reason:
            _place(reason, REASONS, "reason")
            chosen &= self.health.counts[:, Quality[reason.upper()]] > 0
        return np.flatnonzero(chosen)

    def _statuses(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, int]:
        counts = np.bincount(self.devices.status[rows], minlength=len(STATUS))
        return {word: int(n) for word, n in zip(STATUS, counts, strict=True)}

    def _kinds(self) -> list[dict[str, Any]]:
        bad = self.health.bad(np.arange(len(self.devices.keys)))
        found = []
        for code in np.unique(self.devices.kind):
            rows = np.flatnonzero(self.devices.kind == code)
            found.append({
                "kind": self.devices.kinds[code].name, "number": len(rows), "not_believed": int(bad[rows].sum()),
                "statuses": self._statuses(rows),
            })  # fmt: skip
        return sorted(found, key=lambda each: -int(each["not_believed"]))

    def _line(self, row: int) -> dict[str, Any]:
        counts = self.health.counts[row]
        known = self._reader.checks.known[row]
        doubt = bool(np.isfinite(known[DOUBT_TIME]))
        heard = float(self.health.heard[row])
        return {
            "key": self.devices.keys[row], "kind": self.devices.names[row],
            "status": STATUS[int(self.devices.status[row])],
            "heard": heard if math.isfinite(heard) else None, "counts": {q.word: int(counts[q]) for q in Quality if counts[q]},
            "not_believed": int(self.health.bad(np.array([row]))[0]), "missed": int(self.health.missed[row]),
            "silences": int(self.health.silences[row]),
            "doubted": {"time": float(known[DOUBT_TIME]), "value": float(known[DOUBT_VALUE])} if doubt else None,
        }  # fmt: skip

    # -- what people say ----------------------------------------------------------------------------------------------

    async def judge(self, judgement: Judgement) -> dict[str, Any]:
        """Confirm, overrule or withdraw: durable, and in force for questions within a second. Raises InputError, MissingError.

        Answers how many readings it speaks of, and the newest that is believed then.
        """
        judgement = checked(judgement)
        row = self._row(judgement.device)
        until = max(judgement.end, time.time(), float(self._reader.checks.last_time[row])) + 1.0
        span = (judgement.device, judgement.begin - WEEK, until)
        before = await asyncio.to_thread(self._questions.course, *span)
        course = await asyncio.to_thread(self._questions.course, *span, (judgement,))
        spoken_of = int(((course.time >= judgement.begin) & (course.time <= judgement.end)).sum())
        if not spoken_of:
            raise InputError("there is no reading of this device between begin and end", judgement.device)
        believed = np.flatnonzero(course.believed)
        if len(believed):
            last = believed[-1]
            newest = {"last_time": float(course.time[last]), "last_value": float(course.value[last])}
            judgement = msgspec.structs.replace(judgement, **newest)
        judgement = msgspec.structs.replace(judgement, changed=_changed(before.quality, course.quality[: len(before.quality)]))
        await self._say(judgement)
        return _plain(judgement) | {"readings": spoken_of}

    def judgements(self, device: str = "") -> list[dict[str, Any]]:
        """All judgements, or those on one device, in the order in which they were made."""
        if device:
            self._row(device)
            return [_plain(j) for j in self._store.notices.judged(device).judgements]
        return [_plain(n) for n in self._store.notices.since(0) if isinstance(n, Judgement)]

    async def maintain(self, device: str, until: float, who: str, note: str) -> dict[str, Any]:
        """Put a device into maintenance up to `until`; a moment that is past ends it. Raises InputError, MissingError."""
        self._row(device)
        if not who.strip():
            raise InputError("who works on the device is missing", "who")
        if len(note) > MOST_WORDS:
            raise InputError(f"a note has at most {MOST_WORDS} letters", "note")
        notice = Maintenance(device, until, who, note, time.time())
        await self._say(notice)
        return {"device": device, "until": until, "who": who, "note": note, "at": notice.at}

    async def _say(self, notice: Notice) -> None:
        await self._append(NOTICE, write_notice(notice))

    def _row(self, device: str) -> int:
        return self._questions.row(device)


def _changed(before: np.ndarray[Any, np.dtype[np.uint8]], after: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, int]:
    """How many readings more (or fewer) are of each quality."""
    more = [np.bincount(each, minlength=len(Quality)) for each in (after, before)]
    return {q.word: int(n) for q, n in zip(Quality, more[0] - more[1], strict=True) if n}


def _plain(judgement: Judgement) -> dict[str, Any]:
    names = ("device", "begin", "end", "verdict", "who", "why", "at")
    return {name: getattr(judgement, name) for name in names}


def _place(word: str, allowed: tuple[str, ...] | list[str], what: str) -> int:
    if word not in allowed:
        raise MissingError(f'no {what} "{word}"', hint=nearest(word, allowed) or ", ".join(allowed[:10]))
    return list(allowed).index(word)
