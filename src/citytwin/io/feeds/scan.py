"""Kernels that read many small payloads at once: MQTT packets and JSON lines into arrays, no Python object per reading.

They know the ordinary forms only (`{"value": 1.2, "time": ..., "unit": ...}` in any order, a bare number) and are sure of
what they say; whatever else comes is left to `citytwin.io.feeds.spoken`, one by one. `data` is an array of bytes (uint8),
`begin` and `end` are places in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from citytwin.sim.jit import kernel

Bytes = Any  # an array of uint8; kernels have types of their own, which mypy does not know
whole: Any = np.int64
EARLIEST, LATEST = 31536000.0, 4e9  # s since 1970: a clock that says earlier was never set, one that says later never will be
PLAIN, SLOW = 0, 1
MOST_SHIFT = 27  # a length has at most four digits of seven bits (MQTT 3.1.1, section 2.2.3)
SAID_VALUE, SAID_TIME, SAID_UNIT, SAID_DEVICE = 0, 1, 2, 4  # what a payload says; of texts where they begin and end
NOTHING = np.array([np.nan, np.nan, -1.0, -1.0, -1.0, -1.0])
POWERS = 10.0 ** np.arange(23)  # exact in binary
VALUE, TIME, UNIT, DEVICE = (np.frombuffer(w, dtype=np.uint8) for w in (b"value", b"time", b"unit", b"device"))


class Words(NamedTuple):
    """n words to be looked up by their bytes: `arena` holds word i from `start[i]` to `start[i + 1]`; `slot` is the table."""

    arena: Bytes
    start: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int32]


class Units(NamedTuple):
    """Known units of kinds: words, and for each the index of its kind, and factor and offset to the kind's own unit."""

    arena: Bytes
    start: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int32]
    factor: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]


def words_of(words: Sequence[bytes]) -> Words:
    """The table of `words`; of equal words the last counts."""
    arena = np.frombuffer(b"".join(words), dtype=np.uint8)
    start = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum([len(w) for w in words], out=start[1:])
    slot = np.full(1 << max(3, (2 * len(words)).bit_length()), -1, dtype=np.int32)
    _fill(arena, start, slot)
    return Words(arena, start, slot)


def find(words: Words, word: bytes) -> int:
    """Place of `word`, or -1."""
    data = np.frombuffer(word, dtype=np.uint8)
    return int(place_of(data, 0, len(data), words.arena, words.start, words.slot))


@kernel
def _hash(data: Bytes, begin: int, end: int) -> int:
    """FNV-1a of 32 bits (Fowler, Noll and Vo, draft-eastlake-fnv)."""
    found = 2166136261
    for at in range(begin, end):
        found = ((found ^ whole(data[at])) * 16777619) & 0xFFFFFFFF
    return found


@kernel
def _same(data: Bytes, begin: int, end: int, other: Bytes, start: int, stop: int) -> bool:
    if end - begin != stop - start:
        return False
    for i in range(end - begin):  # noqa: SIM110
        if data[begin + i] != other[start + i]:
            return False
    return True


@kernel
def place_of(data: Bytes, begin: int, end: int, arena: Bytes, start: Any, slot: Any) -> int:
    """Place of the word `data[begin:end]` in the table, or -1."""
    mask = len(slot) - 1
    at = _hash(data, begin, end) & mask
    while slot[at] >= 0:
        found = slot[at]
        if _same(data, begin, end, arena, start[found], start[found + 1]):
            return int(found)
        at = (at + 1) & mask
    return -1


@kernel
def places_of(data: Bytes, offset: Any, arena: Bytes, start: Any, slot: Any, place: Any) -> None:
    """Place of each of n words, word i from `offset[i]` to `offset[i + 1]`, or -1."""
    for i in range(len(place)):
        place[i] = place_of(data, offset[i], offset[i + 1], arena, start, slot)


@kernel
def _fill(arena: Bytes, start: Any, slot: Any) -> None:
    mask = len(slot) - 1
    for i in range(len(start) - 1):
        at = _hash(arena, start[i], start[i + 1]) & mask
        while slot[at] >= 0 and not _same(arena, start[i], start[i + 1], arena, start[slot[at]], start[slot[at] + 1]):
            at = (at + 1) & mask
        slot[at] = i


# -- where each payload is --------------------------------------------------------------------------------------------


@kernel
def count_packets(data: Bytes) -> int:
    """Number of PUBLISH packets one after the other."""
    at = found = 0
    while at + 1 < len(data):
        length, shift = 0, 0
        at += 1
        while True:
            digit = whole(data[at])
            at += 1
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80 or at >= len(data) or shift > MOST_SHIFT:
                break
        at += length
        found += 1
    return found


@kernel
def split_packets(data: Bytes, arena: Bytes, start: Any, slot: Any, row: Any, again: Any, place: Any) -> None:
    """Row of the device whose topic each PUBLISH names (-1: none), whether it is sent again, and where all is.

    `place`: (n, 4) begin and end of topic and payload.
    """
    at = 0
    for i in range(len(row)):
        first, length, shift = data[at], 0, 0
        at += 1
        while True:
            digit = whole(data[at])
            at += 1
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80 or at >= len(data) or shift > MOST_SHIFT:
                break
        end = min(at + length, len(data))
        size = whole(data[at]) << 8 | whole(data[at + 1]) if at + 2 <= end else 0
        topic = min(at + 2, end)
        payload = min(topic + size, end)
        place[i, 0], place[i, 1] = topic, payload
        place[i, 2], place[i, 3] = min(payload + (2 if first & 6 else 0), end), end
        row[i] = place_of(data, topic, payload, arena, start, slot)
        again[i] = first & 8 != 0
        at = end


@kernel
def split_lines(data: Bytes, place: Any) -> int:
    """Begin and end of each line, `place`: (n, 2); their number."""
    found = begin = 0
    for at in range(len(data)):
        if data[at] == 10:
            place[found, 0], place[found, 1] = begin, at
            found += 1
            begin = at + 1
    if begin < len(data):
        place[found, 0], place[found, 1] = begin, len(data)
        found += 1
    return found


@kernel
def count_members(data: Bytes, begin: Any, end: Any, number: Any) -> None:
    """How many objects each payload holds: of a list of plain objects so many, of anything else 1."""
    for i in range(len(begin)):
        number[i] = 1
        at = _blank(data, begin[i], end[i])
        if at < end[i] and data[at] == 91:
            found = 0
            for place in range(at, end[i]):
                if data[place] == 123:
                    found += 1
            number[i] = max(found, 1)


@kernel
def split_members(data: Bytes, begin: Any, end: Any, number: Any, first: Any, last: Any, of: Any) -> None:
    """Where each member of each payload begins and ends, and `of` which payload it is.

    A list that is not objects between single commas gives members that nobody can read.
    """
    k = 0
    for i in range(len(begin)):
        at = _blank(data, begin[i], end[i])
        if at >= end[i] or data[at] != 91:
            first[k], last[k], of[k] = begin[i], end[i], i
            k += 1
            continue
        for member in range(number[i]):
            at = _blank(data, at + 1, end[i])  # behind the bracket, or behind the comma
            first[k], of[k] = at, i
            while at < end[i] and data[at] != 125:
                at += 1
            last[k] = min(at + 1, end[i])
            at = _blank(data, at + 1, end[i])
            closing = member + 1 == number[i]
            right = first[k] < at < end[i] and data[first[k]] == 123 and data[at] == (93 if closing else 44)
            if not right or (closing and _blank(data, at + 1, end[i]) != end[i]):
                last[k] = first[k]
            k += 1


# -- what each payload says -------------------------------------------------------------------------------------------


@kernel
def _blank(data: Bytes, at: int, end: int) -> int:
    while at < end and (data[at] == 32 or data[at] == 9 or data[at] == 13 or data[at] == 10):
        at += 1
    return at


@kernel
def _digits(data: Bytes, at: int, end: int, number: int) -> tuple[int, int]:
    """Digits read onto `number`, and where they end. More than 18 digits in all give what the caller must refuse."""
    while at < end and 48 <= data[at] <= 57:
        if number < 100_000_000_000_000_000:
            number = number * 10 + (whole(data[at]) - 48)
        else:
            number = whole(1) << 62
        at += 1
    return number, at


@kernel
def number_at(data: Bytes, at: int, end: int) -> tuple[float, int]:
    """A JSON number (RFC 8259, section 6) and where it ends; -1 where it is none or cannot be told exactly here.

    Whole numbers up to 2^53 and powers of ten up to 22 are exact in binary, so that one division rounds right (Clinger 1990,
    doi:10.1145/93542.93557).
    """
    negative = at < end and data[at] == 45
    if negative:
        at += 1
    digits, stop = _digits(data, at, end, 0)
    if stop == at or (data[at] == 48 and stop > at + 1):
        return 0.0, -1
    at = stop
    power = 0
    if at < end and data[at] == 46:
        digits, stop = _digits(data, at + 1, end, digits)
        if stop == at + 1:
            return 0.0, -1
        power = at + 1 - stop
        at = stop
    if at < end and (data[at] == 101 or data[at] == 69):
        down = at + 1 < end and data[at + 1] == 45
        at += 2 if at + 1 < end and (data[at + 1] == 45 or data[at + 1] == 43) else 1
        exponent, stop = _digits(data, at, end, 0)
        if stop == at or exponent > 400:
            return 0.0, -1
        power += -exponent if down else exponent
        at = stop
    if digits > 9007199254740992 or power > 22 or power < -22:
        return 0.0, -1
    value = digits * POWERS[power] if power >= 0 else digits / POWERS[-power]
    return (-value if negative else value), at


@kernel
def text_end(data: Bytes, at: int, end: int) -> int:
    """Where the text that begins at `at`, behind its quote, ends; -1 where it is not plain ASCII."""
    while at < end:
        if data[at] == 34:
            return at
        if data[at] < 32 or data[at] > 126 or data[at] == 92:
            return -1
        at += 1
    return -1


@kernel
def _two(data: Bytes, at: int) -> int:
    """Two digits as a number, or a large negative one."""
    a, b = whole(data[at]) - 48, whole(data[at + 1]) - 48
    return a * 10 + b if 0 <= a <= 9 and 0 <= b <= 9 else -1000


@kernel
def _zone(data: Bytes, at: int, end: int) -> int:
    """Seconds that a zone (`Z`, `+01:00` or nothing) is ahead of UTC, the text ending with it; a day or more: it is none."""
    if at == end or (data[at] == 90 and at + 1 == end):
        return 0
    if at + 6 != end or data[at + 3] != 58 or (data[at] != 43 and data[at] != 45):
        return 86400
    hours, minutes = _two(data, at + 1), _two(data, at + 4)
    if not (0 <= hours <= 23 and 0 <= minutes <= 59):
        return 86400
    return (hours * 60 + minutes) * (60 if data[at] == 43 else -60)


@kernel
def moment(data: Bytes, begin: int, end: int) -> float:
    """Seconds since 1970 of `2026-11-21T10:00:00`, with up to six digits of a fraction, and a zone or none (UTC); or NaN."""
    if end - begin < 19:
        return np.nan
    for place, sign in ((4, 45), (7, 45), (10, 84), (13, 58), (16, 58)):
        if data[begin + place] != sign:
            return np.nan
    year = _two(data, begin) * 100 + _two(data, begin + 2)
    month, day = _two(data, begin + 5), _two(data, begin + 8)
    hour, minute, second = _two(data, begin + 11), _two(data, begin + 14), _two(data, begin + 17)
    right = year >= 1970 and 1 <= day <= _longest(year, month)
    if not (right and 0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return np.nan
    at, micro = begin + 19, 0
    if at < end and data[at] == 46:
        micro, stop = _digits(data, at + 1, end, 0)
        if stop == at + 1 or stop > at + 7:
            return np.nan
        micro *= 10 ** (at + 7 - stop)
        at = stop
    ahead = _zone(data, at, end)
    if abs(ahead) >= 86400:
        return np.nan
    total = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - ahead
    return (total * 1_000_000 + micro) / 1e6


@kernel
def _longest(year: int, month: int) -> int:
    """Days of a month; 0 where there is no such month."""
    if month < 1 or month > 12:
        return 0
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel
def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar, counting years from March (the leap day is then a year's last)."""
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - 719468


@kernel
def _value_at(data: Bytes, name: int, name_end: int, at: int, stop: int, said: Any, named: bool) -> int:
    """Take the value at `at` of the member whose name is `data[name:name_end]`; where it ends, or -1."""
    is_value, is_time = _same(data, name, name_end, VALUE, 0, 5), _same(data, name, name_end, TIME, 0, 4)
    is_unit, is_device = _same(data, name, name_end, UNIT, 0, 4), named and _same(data, name, name_end, DEVICE, 0, 6)
    if data[at] != 34:
        number, end = number_at(data, at, stop)
        if is_unit or is_device:
            return -1
        if is_value:
            said[SAID_VALUE] = number
        elif is_time:
            said[SAID_TIME] = number
        return end
    begin, end = at + 1, text_end(data, at + 1, stop)
    if end < 0 or is_value:
        return -1
    if is_time:
        said[SAID_TIME] = moment(data, begin, end)
        if np.isnan(said[SAID_TIME]):
            return -1
    elif is_unit or is_device:
        place = SAID_UNIT if is_unit else SAID_DEVICE
        said[place], said[place + 1] = begin, end
    return end + 1


@kernel
def _object_at(data: Bytes, at: int, stop: int, said: Any, named: bool) -> int:
    """Read an object of plain members, its brace at `at`; where it ends, or -1."""
    while True:
        name = _blank(data, at + 1, stop) + 1
        name_end = text_end(data, name, stop) if name <= stop and data[name - 1] == 34 else -1
        if name_end < 0:
            return -1
        at = _blank(data, name_end + 1, stop)
        if at >= stop or data[at] != 58:
            return -1
        at = _blank(data, at + 1, stop)
        if at >= stop:
            return -1
        at = _value_at(data, name, name_end, at, stop, said, named)
        if at < 0:
            return -1
        at = _blank(data, at, stop)
        if at >= stop or data[at] != 44:
            return at + 1 if at < stop and data[at] == 125 else -1


@kernel
def _converted(data: Bytes, said: Any, kind: int, units: Units) -> float:
    """The value in the kind's unit; NaN where the unit is not among those known."""
    begin, end = whole(said[SAID_UNIT]), whole(said[SAID_UNIT + 1])
    if begin < 0:
        return float(said[SAID_VALUE])
    for u in range(len(units.kind)):
        if units.kind[u] == kind and _same(data, begin, end, units.arena, units.start[u], units.start[u + 1]):
            return float(said[SAID_VALUE] * units.factor[u] + units.offset[u])
    return np.nan


@kernel
def understand(
    data: Bytes, begin: Any, end: Any, row: Any, named: bool, keys: Words, kind: Any, units: Units,
    value: Any, time: Any, slow: Any,
) -> None:  # fmt: skip
    """Value (in the kind's unit) and time (NaN: none said) of each payload; `slow` where it is not a plain one.

    `named`: each payload names its device, whose row is then written to `row`.
    """
    said = np.empty(6)
    for i in range(len(begin)):
        slow[i] = SLOW
        said[:] = NOTHING
        at, stop = _blank(data, begin[i], end[i]), end[i]
        if at < stop and data[at] == 123:
            at = _object_at(data, at, stop, said, named)
        else:
            said[SAID_VALUE], at = number_at(data, at, stop)
        if at < 0 or _blank(data, at, stop) != stop:
            continue
        if named:
            device, device_end = whole(said[SAID_DEVICE]), whole(said[SAID_DEVICE + 1])
            row[i] = place_of(data, device, device_end, keys.arena, keys.start, keys.slot) if device >= 0 else -1
        when = said[SAID_TIME]
        if row[i] < 0 or not (np.isnan(when) or EARLIEST <= when <= LATEST):
            continue
        found = _converted(data, said, kind[row[i]], units)
        if not np.isnan(found):
            value[i], time[i], slow[i] = found, when, PLAIN
