"""Words looked up by their bytes, in kernels: device keys and topics as they stand in packets, lines and Arrow buffers.

`data` is an array of bytes (uint8); `begin` and `end` are places in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from citytwin.sim.jit import lean, lean_part

Bytes = Any  # an array of uint8; kernels have types of their own, which mypy does not know
whole: Any = np.int64


class Words(NamedTuple):
    """n words to be looked up by their bytes: `arena` holds word i from `start[i]` to `start[i + 1]`; `slot` is the table."""

    arena: Bytes
    start: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int32]


def words_of(words: Sequence[bytes]) -> Words:
    """The table of `words`; of equal words the last counts."""
    text, start = joined(words)
    arena = np.frombuffer(text, dtype=np.uint8)
    slot = np.full(1 << max(3, (2 * len(words)).bit_length()), -1, dtype=np.int32)
    _fill(arena, start, slot)
    return Words(arena, start, slot)


def joined(words: Sequence[bytes]) -> tuple[bytes, npt.NDArray[np.int64]]:
    """All bytes of `words`, and where each begins; the last number is where they end."""
    start = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum([len(w) for w in words], out=start[1:])
    return b"".join(words), start


def find(words: Words, word: bytes) -> int:
    """Place of `word`, or -1."""
    data = np.frombuffer(word, dtype=np.uint8)
    return int(place_of(data, 0, len(data), words))


@lean_part
def _hash(data: Bytes, begin: int, end: int) -> int:
    """FNV-1a of 32 bits (Fowler, Noll and Vo, draft-eastlake-fnv)."""
    found = 2166136261
    for at in range(begin, end):
        found = ((found ^ whole(data[at])) * 16777619) & 0xFFFFFFFF
    return found


@lean_part
def same(data: Bytes, begin: int, end: int, other: Bytes, start: int, stop: int) -> bool:
    """Whether two words are equal."""
    if end - begin != stop - start:
        return False
    for i in range(end - begin):  # noqa: SIM110
        if data[begin + i] != other[start + i]:
            return False
    return True


@lean
def place_of(data: Bytes, begin: int, end: int, words: Words) -> int:
    """Place of the word `data[begin:end]` in the table, or -1."""
    mask = len(words.slot) - 1
    at = _hash(data, begin, end) & mask
    while words.slot[at] >= 0:
        found = words.slot[at]
        if same(data, begin, end, words.arena, words.start[found], words.start[found + 1]):
            return int(found)
        at = (at + 1) & mask
    return -1


@lean
def places_of(data: Bytes, offset: Any, words: Words, place: Any) -> None:
    """Place of each of n words, word i from `offset[i]` to `offset[i + 1]`, or -1."""
    for i in range(len(place)):
        place[i] = place_of(data, offset[i], offset[i + 1], words)


@lean
def _fill(arena: Bytes, start: Any, slot: Any) -> None:
    mask = len(slot) - 1
    for i in range(len(start) - 1):
        at = _hash(arena, start[i], start[i + 1]) & mask
        while slot[at] >= 0 and not same(arena, start[i], start[i + 1], arena, start[slot[at]], start[slot[at] + 1]):
            at = (at + 1) & mask
        slot[at] = i
