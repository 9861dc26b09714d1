"""What people say about devices and readings takes effect where it stands in the log."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from citytwin.io.feeds.wire import Messages
from citytwin.state import Checks, Health, Judgement, Maintenance, Notice, Quality, State, read_notice
from citytwin.state.checks import DOUBT_TIME, DOUBT_VALUE
from citytwin.twin.devices import Devices

NOTICE = "readings.notice"  # subject in the log
_SUBJECT = NOTICE.encode()


def around_notices(messages: Messages) -> Iterator[tuple[Messages, list[tuple[int, bytes]]]]:
    """The messages, cut behind each notice: a part, and the notice (place in the log, JSON) that ends it."""
    if _SUBJECT not in messages.subject:
        yield messages, []
        return
    begin = 0
    for i, subject in enumerate(messages.subject):
        if subject == _SUBJECT:
            place = messages.sequence[i]
            yield _part(messages, begin, i, place), [(place, messages.payload[i])]
            begin = i + 1
    yield _part(messages, begin, len(messages), messages.last), []


def _part(messages: Messages, begin: int, end: int, last: int) -> Messages:
    return Messages(
        messages.subject[begin:end], messages.payload[begin:end], messages.sequence[begin:end], messages.stamp[begin:end], last
    )  # fmt: skip


class Heeding:
    """Lets notices take effect on checks, health and state."""

    def __init__(self, devices: Devices, state: State, checks: Checks, health: Health) -> None:
        self._devices, self._state, self._checks, self._health = devices, state, checks, health
        self._rows = {key: row for row, key in enumerate(devices.keys)}

    def heed(self, said: bytes) -> None:
        """A notice as it stands in the log; what is none is passed over."""
        notice = read_notice(said)
        if notice is not None:
            self.take(notice)

    def take(self, notice: Notice) -> None:
        """A notice."""
        row = self._rows.get(notice.device)
        if row is None:
            return
        if isinstance(notice, Maintenance):
            self._health.maintain(row, notice.until if notice.until > notice.at else -math.inf)
            if notice.until <= notice.at:  # whatever was done to it, it starts afresh
                self._checks.believe(row, -math.inf, math.nan)
        else:
            self._judge(row, notice)

    def _judge(self, row: int, judgement: Judgement) -> None:
        counts = self._health.counts[row]
        for word, more in judgement.changed.items():
            if word.upper() in Quality.__members__:
                quality = Quality[word.upper()]
                counts[quality] = max(0, int(counts[quality]) + more)
        known = self._checks.known[row]
        last, doubted = float(self._checks.last_time[row]), float(known[DOUBT_TIME])
        if judgement.verdict == "confirm" and judgement.begin <= doubted <= judgement.end:
            self._believe(row, doubted, float(known[DOUBT_VALUE]))
        elif judgement.last_time is not None and judgement.last_value is not None and judgement.last_time > last:
            self._believe(row, judgement.last_time, judgement.last_value)
        elif judgement.verdict != "confirm" and judgement.begin <= last <= judgement.end:
            if judgement.last_time is None or judgement.last_value is None:
                self._believe(row, -math.inf, math.nan)
            elif judgement.last_time != last:
                self._believe(row, judgement.last_time, judgement.last_value)

    def _believe(self, row: int, time: float, value: float) -> None:
        self._checks.believe(row, time, value)
        when = np.array([time if math.isfinite(time) else math.nan])
        self._devices.set(self._state, np.array([row], dtype=np.int32), when, np.array([value]))
