"""Numbers and moments as text, read by kernels: exactly as Python reads them, or not at all.

`data` is an array of bytes (uint8); `at`, `begin` and `end` are places in it.
"""

from __future__ import annotations

import numpy as np

from citytwin.io.feeds.words import Bytes, whole
from citytwin.sim.jit import lean, lean_part

POWERS = 10.0 ** np.arange(23)  # exact in binary
MOST_DIGITS = 18  # of a number that fits into 63 bits


@lean_part
def digits_at(data: Bytes, at: int, end: int, number: int) -> tuple[int, int]:
    """Digits read onto `number`, and where they end. More than 18 in all overflow: the caller counts them."""
    while at < end:
        digit = whole(data[at]) - 48
        if digit < 0 or digit > 9:
            break
        number = number * 10 + digit
        at += 1
    return number, at


@lean_part
def _exponent_at(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The exponent behind an `e`, and where it ends (-1: there is none, or one that nobody can hold)."""
    down = at < end and data[at] == 45
    if down or (at < end and data[at] == 43):
        at += 1
    exponent, stop = digits_at(data, at, end, 0)
    if stop == at or stop > at + 4:
        return 0, -1
    return (-exponent if down else exponent), stop


@lean_part
def number_at(data: Bytes, at: int, end: int) -> tuple[float, int]:
    """A JSON number (RFC 8259, section 6) and where it ends; -1 where it is none or cannot be told exactly here.

    Whole numbers up to 2^53 and powers of ten up to 22 are exact in binary, so that one division rounds right (Clinger 1990,
    doi:10.1145/93542.93557).
    """
    negative = at < end and data[at] == 45
    if negative:
        at += 1
    digits, stop = digits_at(data, at, end, 0)
    number = stop - at
    if number == 0 or (data[at] == 48 and number > 1):
        return 0.0, -1
    at = stop
    power = 0
    if at < end and data[at] == 46:
        digits, stop = digits_at(data, at + 1, end, digits)
        power = at + 1 - stop
        if power == 0:
            return 0.0, -1
        number -= power
        at = stop
    if at < end and (data[at] == 101 or data[at] == 69):
        exponent, at = _exponent_at(data, at + 1, end)
        power += exponent
    if at < 0 or number > MOST_DIGITS or digits > 9007199254740992 or power > 22 or power < -22:
        return 0.0, -1
    value = digits * POWERS[power] if power >= 0 else digits / POWERS[-power]
    return (-value if negative else value), at


@lean_part
def _two(data: Bytes, at: int) -> int:
    """Two digits as a number, or a large negative one."""
    a, b = whole(data[at]) - 48, whole(data[at + 1]) - 48
    return a * 10 + b if 0 <= a <= 9 and 0 <= b <= 9 else -1000


@lean
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


@lean
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
        micro, stop = digits_at(data, at + 1, end, 0)
        if stop == at + 1 or stop > at + 7:
            return np.nan
        micro *= 10 ** (at + 7 - stop)
        at = stop
    ahead = _zone(data, at, end)
    if abs(ahead) >= 86400:
        return np.nan
    total = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - ahead
    return (total * 1_000_000 + micro) / 1e6


@lean
def _longest(year: int, month: int) -> int:
    """Days of a month; 0 where there is no such month."""
    if month < 1 or month > 12:
        return 0
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@lean
def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar, counting years from March (the leap day is then a year's last)."""
    if month <= 2:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1 - 719468
