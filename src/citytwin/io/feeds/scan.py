"""What each of many small payloads says, read by kernels: JSON objects and numbers into arrays, no Python object per reading.

They know the ordinary forms only (`{"value": 1.2, "time": ..., "unit": ...}` in any order, a bare number) and are sure of
what they say; whatever else comes is left to `citytwin.io.feeds.spoken`, one by one. Devices speak alike: what stands between
the values of one payload (its shape) is first looked for in the next, so that names are hardly ever read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from citytwin.io.feeds.framing import blank
from citytwin.io.feeds.numbers import moment, number_at
from citytwin.io.feeds.words import Bytes, Words, place_of, same, whole
from citytwin.sim.jit import lean, lean_part

EARLIEST, LATEST = 31536000.0, 4e9  # s since 1970: a clock that says earlier was never set, one that says later never will be
PLAIN, SLOW = 0, 1
NAMED = -2  # in place of a row: the payload names its device
SAID_VALUE, SAID_TIME, SAID_UNIT, SAID_DEVICE = 0, 1, 2, 4  # what a payload says; of texts where they begin and end
VALUE, TIME, UNIT, DEVICE = (np.frombuffer(w, dtype=np.uint8) for w in (b'value"', b'time"', b'unit"', b'device"'))
OTHER, IS_VALUE, IS_TIME, IS_UNIT, IS_DEVICE = range(5)  # names of members
MOST_MEMBERS = 16  # of a shape


class Units(NamedTuple):
    """Known units of kinds: words, and for each the index of its kind, and factor and offset to the kind's own unit."""

    arena: Bytes
    start: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int32]
    factor: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]


@lean_part
def _text_end(data: Bytes, at: int, end: int) -> int:
    """Where the text that begins at `at`, behind its quote, ends; -1 where it is not plain ASCII."""
    while at < end:
        if data[at] == 34:
            return at
        if data[at] < 32 or data[at] > 126 or data[at] == 92:
            return -1
        at += 1
    return -1


@lean_part
def _name_at(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """Which name begins at `at`, behind its quote, and where the quote behind it is (-1: it is not plain)."""
    end = _text_end(data, at, stop)
    if end == at + 5 and same(data, at, at + 6, VALUE, 0, 6):
        return IS_VALUE, end
    if end == at + 4 and same(data, at, at + 5, TIME, 0, 5):
        return IS_TIME, end
    if end == at + 4 and same(data, at, at + 5, UNIT, 0, 5):
        return IS_UNIT, end
    if end == at + 6 and same(data, at, at + 7, DEVICE, 0, 7):
        return IS_DEVICE, end
    return OTHER, end


@lean_part
def _take(data: Bytes, name: int, text: bool, at: int, stop: int, said: Any) -> int:
    """Take the value at `at` of the member `name`: a number, or a text behind its quote. Where it ends, or -1."""
    if not text:
        number, end = number_at(data, at, stop)
        if name == IS_VALUE:
            said[SAID_VALUE] = number
        elif name == IS_TIME:
            said[SAID_TIME] = number
        elif name != OTHER:
            return -1
        return end
    end = _text_end(data, at, stop)
    if name == IS_DEVICE:
        said[SAID_DEVICE], said[SAID_DEVICE + 1] = at, end
    elif name == IS_UNIT:
        said[SAID_UNIT], said[SAID_UNIT + 1] = at, end
    elif name == IS_TIME and end >= 0:
        said[SAID_TIME] = moment(data, at, end)
        return end if said[SAID_TIME] == said[SAID_TIME] else -1  # NaN is no moment
    elif name == IS_VALUE:
        return -1
    return end


@lean
def _object_at(data: Bytes, at: int, stop: int, said: Any, shape: Any) -> tuple[int, int]:
    """Read an object of plain members, its brace at `at`, and note its shape; where it ends, or -1, and its number of members.

    `shape`: (MOST_MEMBERS + 1, 4), of each member begin and end of what stands before its value, its name, whether it is text.
    """
    member = 0
    mark = at
    while member < MOST_MEMBERS:
        at = blank(data, at + 1, stop)
        if at >= stop or data[at] != 34:
            return -1, 0
        name, at = _name_at(data, at + 1, stop)
        at = blank(data, at + 1, stop) if at >= 0 else stop
        at = blank(data, at + 1, stop) if at < stop and data[at] == 58 else stop
        if at >= stop:
            return -1, 0
        text = data[at] == 34
        at += text
        shape[member, 0], shape[member, 1], shape[member, 2], shape[member, 3] = mark, at, name, text
        member += 1
        mark = at = _take(data, name, text, at, stop, said)
        if at < 0:
            return -1, 0
        at = blank(data, at + text, stop)
        if at >= stop or data[at] != 44:
            shape[member, 0] = mark
            return (at + 1, member) if at < stop and data[at] == 125 else (-1, 0)
    return -1, 0


@lean_part
def _alike(data: Bytes, at: int, stop: int, said: Any, shape: Any, members: int) -> bool:
    """Whether the payload has the shape of an earlier one; what it says then."""
    for member in range(members):
        begin, size = shape[member, 0], shape[member, 1] - shape[member, 0]
        if at + size > stop or not same(data, at, at + size, data, begin, begin + size):
            return False
        at = _take(data, shape[member, 2], shape[member, 3] != 0, at + size, stop, said)
        if at < 0:
            return False
    return members > 0 and same(data, at, stop, data, shape[members, 0], shape[members, 1])


@lean_part
def _forget(said: Any) -> None:
    said[SAID_VALUE] = said[SAID_TIME] = np.nan
    said[SAID_UNIT] = said[SAID_UNIT + 1] = said[SAID_DEVICE] = said[SAID_DEVICE + 1] = -1.0


@lean_part
def _converted(data: Bytes, said: Any, kind: int, units: Units) -> float:
    """The value in the kind's unit; NaN where the unit is not among those known."""
    begin, end = whole(said[SAID_UNIT]), whole(said[SAID_UNIT + 1])
    if begin < 0:
        return float(said[SAID_VALUE])
    for u in range(len(units.kind)):
        if units.kind[u] == kind and same(data, begin, end, units.arena, units.start[u], units.start[u + 1]):
            return float(said[SAID_VALUE] * units.factor[u] + units.offset[u])
    return np.nan


def room() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Room for what a payload says, and for a shape."""
    return np.empty(6), np.zeros((MOST_MEMBERS + 1, 4), np.int64)


@lean
def understand(
    data: Bytes,
    begin: Any,
    end: Any,
    row: Any,
    keys: Words,
    kind: Any,
    units: Units,
    value: Any,
    time: Any,
    slow: Any,
    said: Any,
    shape: Any,
) -> None:
    """Value (in the kind's unit) and time (NaN: none said) of each payload; `slow` where it is not a plain one.

    A `row` that is NAMED is written: the payload names its device, one of `keys`. `said`, `shape`: room (`room`).
    """
    members = 0
    for i in range(len(begin)):
        slow[i] = SLOW
        _forget(said)
        at, stop = begin[i], end[i]
        if not _alike(data, at, stop, said, shape, members):
            _forget(said)
            at = blank(data, at, stop)
            if at < stop and data[at] == 123:
                at, members = _object_at(data, at, stop, said, shape)
                shape[members, 1] = stop
                shape[0, 0] = begin[i]
            else:
                said[SAID_VALUE], at = number_at(data, at, stop)
            if at < 0 or blank(data, at, stop) != stop:
                members = 0
                continue
        if row[i] == NAMED:
            device, device_end = whole(said[SAID_DEVICE]), whole(said[SAID_DEVICE + 1])
            row[i] = place_of(data, device, device_end, keys) if device >= 0 else -1
        when = said[SAID_TIME]
        if row[i] < 0 or not (np.isnan(when) or EARLIEST <= when <= LATEST):
            continue
        found = _converted(data, said, kind[row[i]], units)
        if not np.isnan(found):
            value[i], time[i], slow[i] = found, when, PLAIN
