"""Notices: what people say about devices and their readings. They go through the log like readings, and
take effect in its order.

A judgement says that the readings of a device in a span of time are right (`confirm`) or wrong (`overrule`), or takes back what
was said of them (`withdraw`). Of several judgements on one reading the last one counts. Maintenance says until when a device is
being worked on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError, nearest
from citytwin.jsonable import NOT_JSON
from citytwin.state.readings import DOUBTED, IS_BELIEVED, Quality

VERDICTS = ("confirm", "overrule", "withdraw")
MOST_WORDS = 1000  # letters of a reason


class Judgement(msgspec.Struct, tag="judgement", frozen=True):
    """What `who` says about the readings of `device` from `begin` to `end` (s since 1970, both included), at `at`.

    `last_time`, `last_value`: the newest reading of the device that is believed with this judgement in force, from which
    following ones are judged; None where there is none. `changed`: of which quality there are how many readings more with it.
    """

    device: str
    begin: float
    end: float
    verdict: str
    who: str
    why: str
    at: float
    last_time: float | None = None
    last_value: float | None = None
    changed: dict[str, int] = msgspec.field(default_factory=dict)


class Maintenance(msgspec.Struct, tag="maintenance", frozen=True):
    """What `who` says at `at`: `device` is being worked on up to `until` (s since 1970; not after `at`: it is over)."""

    device: str
    until: float
    who: str
    note: str
    at: float


Notice = Judgement | Maintenance
_reader = msgspec.json.Decoder(Notice)


def read_notice(said: bytes) -> Notice | None:
    """The notice in a message of the log; None where it is none."""
    try:
        found: Notice = _reader.decode(said)
        return found
    except NOT_JSON:
        return None


def write_notice(notice: Notice) -> bytes:
    """The notice as a message."""
    return msgspec.json.encode(notice)


def checked(judgement: Judgement) -> Judgement:
    """The judgement, if it can be one. Raises InputError."""
    if judgement.verdict not in VERDICTS:
        raise InputError(
            f'no verdict "{judgement.verdict}"', "verdict", nearest(judgement.verdict, VERDICTS) or ", ".join(VERDICTS)
        )
    if not judgement.begin <= judgement.end:
        raise InputError("begin is not before end", "begin")
    if not judgement.who.strip():
        raise InputError("who judges is missing", "who")
    if not judgement.why.strip() or len(judgement.why) > MOST_WORDS:
        raise InputError(f"say why, in at most {MOST_WORDS} letters", "why")
    return judgement


@dataclass(frozen=True)
class Judged:
    """The judgements of one place in the log, in order, as rules for qualities."""

    judgements: Sequence[Judgement] = ()

    def quality(self, time: npt.NDArray[np.float64], found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The final quality of readings of one device, of which `judgements` speak: `found` where nobody said anything."""
        final = found.copy()
        doubted = np.isin(found, DOUBTED)
        for each in self.judgements:
            inside = (time >= each.begin) & (time <= each.end)
            if each.verdict == "confirm":
                final[inside & (doubted | ~IS_BELIEVED[final])] = Quality.CONFIRMED
            elif each.verdict == "overrule":
                final[inside] = Quality.OVERRULED
            else:
                final[inside] = found[inside]
        return final
