"""Where in many bytes each payload is: messages of the log, MQTT packets, JSON lines, members of JSON lists. By kernels.

A place is a begin and an end in `data`, an array of bytes (uint8).
"""

from __future__ import annotations

from typing import Any

from citytwin.io.feeds.words import Bytes, Words, place_of, whole
from citytwin.sim.jit import lean, lean_part

MOST_SHIFT = 27  # a length has at most four digits of seven bits (MQTT 3.1.1, section 2.2.3)


@lean_part
def blank(data: Bytes, at: int, end: int) -> int:
    """Where something other than JSON's blanks begins."""
    while at < end and data[at] <= 32 and (data[at] == 32 or data[at] == 9 or data[at] == 13 or data[at] == 10):
        at += 1
    return at


@lean_part
def _body(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Begin and end of the body of the packet at `at`, none of them behind `end`."""
    length, shift = 0, 0
    at += 1
    while at < end:
        digit = whole(data[at])
        at += 1
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80 or shift > MOST_SHIFT:
            break
    return at, min(at + length, end)


@lean
def count_payloads(data: Bytes, start: Any, packets: Any) -> int:
    """Number of payloads in messages of the log, each of them one payload, or `packets` (see `find_payloads`)."""
    found = 0
    for i in range(len(packets)):
        if not packets[i]:
            found += 1
            continue
        at, stop = start[2 * i + 1], start[2 * i + 2]
        while at + 1 < stop:
            _, at = _body(data, at, stop)
            found += 1
    return found


@lean
def find_payloads(data: Bytes, start: Any, packets: Any, topics: Words, row: Any, place: Any, of: Any) -> None:
    """Each payload: `row`, the place of its topic in `topics` (-1: none); `of` which message; `place`.

    Message i is `data[start[2 i]:start[2 i + 1]]`, its topic, and from there to `start[2 i + 2]` its payload, or MQTT PUBLISH
    `packets` with topics of their own. `place`: (n, 4) begin and end of topic and payload.
    """
    k = 0
    for i in range(len(packets)):
        at, stop = start[2 * i + 1], start[2 * i + 2]
        if not packets[i]:
            place[k, 0], place[k, 1], place[k, 2], place[k, 3], of[k] = start[2 * i], at, at, stop, i
            k += 1
        while packets[i] and at + 1 < stop:
            named = data[at] & 6  # packets of QoS 1 and 2 have a number
            body, at = _body(data, at, stop)
            size = whole(data[body]) << 8 | whole(data[body + 1]) if body + 2 <= at else 0
            topic = min(body + 2, at)
            payload = min(topic + size, at)
            place[k, 0], place[k, 1], place[k, 2], place[k, 3] = topic, payload, min(payload + (2 if named else 0), at), at
            of[k] = i
            k += 1
    for i in range(k):
        row[i] = place_of(data, place[i, 0], place[i, 1], topics)


@lean
def find_readings(data: Bytes, place: Any, lines: Any, begin: Any, end: Any, of: Any, head: Any) -> int:
    """Each reading in n payloads: where it begins and ends, `of` which payload it is, and the first reading (`head`) of those
    that are read together; their number.

    A payload is JSON `lines`, or a list, or one reading. A list that is not objects between single commas gives readings that
    nobody can read.
    """
    k = 0
    for i in range(len(place)):
        at, stop = place[i, 2], place[i, 3]
        before = k
        if lines[i]:
            k = _lines(data, at, stop, begin, end, k)
        else:
            at = blank(data, at, stop)
            if at < stop and data[at] == 91:
                k = _members(data, at, stop, begin, end, k)
            else:
                begin[k], end[k] = at, stop
                k += 1
        for each in range(before, k):
            of[each] = i
            head[each] = each if lines[i] else before
    return k


@lean_part
def _lines(data: Bytes, at: int, stop: int, begin: Any, end: Any, k: int) -> int:
    """Lines from `at` to `stop`, written from `k` on; the next `k`."""
    first = at
    for at in range(first, stop):
        if data[at] == 10:
            begin[k], end[k] = first, at
            k += 1
            first = at + 1
    if first < stop:
        begin[k], end[k] = first, stop
        k += 1
    return k


@lean_part
def _members(data: Bytes, at: int, stop: int, begin: Any, end: Any, k: int) -> int:
    """Objects of the list whose bracket is at `at`, written from `k` on; the next `k`."""
    while True:
        at = blank(data, at + 1, stop)  # behind the bracket, or behind the comma
        begin[k] = at
        while at < stop and data[at] != 125:
            at += 1
        end[k] = min(at + 1, stop)
        at = blank(data, at + 1, stop)
        right = at < stop and data[begin[k]] == 123
        k += 1
        if right and data[at] == 93 and blank(data, at + 1, stop) == stop:
            return k
        if not right or data[at] != 44:
            end[k - 1] = begin[k - 1]
            return k
