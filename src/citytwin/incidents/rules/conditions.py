"""Conditions at work: each looks at the things of a rule, all or some of them, and says what is true of each.

A condition that has hysteresis or a window keeps one number or more for each thing; everything else is asked from the view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.incidents.rules import truth
from citytwin.incidents.rules.truth import TRUE, UNKNOWN, Truth

Values = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
At = Rows | slice  # positions among the things (or groups) of a rule
EVERYWHERE = slice(None)
SNAPSHOTS = 12  # of a window in which a change is looked for
Read = Callable[[At], Values]


class Condition(Protocol):
    """clocked: its truth may change although no value does, so that it is looked at every second."""

    @property
    def clocked(self) -> bool:
        """See above."""

    def look(self, at: At, now: float) -> Truth:
        """The truth for the things at positions `at`, at `now` (s since 1970)."""

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """For a message: the value of each, its unit, and the limit in words."""


@dataclass
class Threshold:
    """A value above a limit (`sign` 1) or below it (-1); once it is, until it is back behind `until`."""

    read: Read
    sign: int
    limit: float
    until: float
    size: int
    unit: str
    clocked: bool = False
    held: Marks | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.until != self.limit:
            self.held = np.zeros(self.size, dtype=np.bool_)

    def look(self, at: At, now: float) -> Truth:
        """True beyond the limit; unknown where the value is."""
        value = self.read(at) * self.sign
        if self.held is None:
            return _compared(value, self.limit * self.sign)
        held = self.held[at]
        found = _compared(value, np.where(held, self.until * self.sign, self.limit * self.sign))
        self.held[at] = np.where(found == UNKNOWN, held, found == TRUE)
        return found

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """The value and the limit."""
        return self.read(at), self.unit, said(self.limit, self.unit)


def _compared(value: Values, limit: Values | float) -> Truth:
    found: Truth = (value > limit).view(np.uint8) * np.uint8(TRUE)
    missing = np.isnan(value)
    if missing.any():
        found[missing] = UNKNOWN
    return found


@dataclass
class Change:
    """A value that has risen (`sign` 1) or fallen (-1) by more than `limit` since its lowest (highest) in `window` seconds.

    The window is kept as `SNAPSHOTS` values of each thing, evenly in time; its length is right to a twelfth.
    """

    read: Read
    sign: int
    limit: float
    until: float
    size: int
    unit: str
    window: float
    clocked: bool = True

    def __post_init__(self) -> None:
        self.ring = np.full((SNAPSHOTS + 1, self.size), np.inf)
        self.least = np.full(self.size, np.inf)
        self.place = 0
        self.due = -np.inf
        self.held = np.zeros(self.size, dtype=np.bool_)

    def look(self, at: At, now: float) -> Truth:
        """True where it has changed by so much; unknown before there is something to compare with."""
        change = self._change(at, now)
        limit = np.where(self.held[at], self.until, self.limit) if self.until != self.limit else self.limit
        found = _compared(change, limit)
        if self.until != self.limit:
            self.held[at] = np.where(found == UNKNOWN, self.held[at], found == TRUE)
        return found

    def _change(self, at: At, now: float) -> Values:
        if now >= self.due:
            value = self.read(EVERYWHERE) * self.sign
            missed = 1 if not np.isfinite(self.due) else int(min((now - self.due) // (self.window / SNAPSHOTS), SNAPSHOTS)) + 1
            for _ in range(missed):
                self.ring[self.place] = np.where(np.isnan(value), np.inf, value)
                self.place = (self.place + 1) % len(self.ring)
            self.least = self.ring.min(axis=0)
            self.due = now + self.window / SNAPSHOTS
        least = self.least[at]
        value = self.read(at) * self.sign
        return np.where(np.isfinite(least), value - np.minimum(least, value), np.nan)

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """How much it has changed, and the limit."""
        limit = f"{said(self.limit, self.unit)} within {self.window:g} s"
        return self._change(at, now) * self.sign, self.unit, limit


@dataclass
class Equals:
    """A value that is one of some."""

    read: Read
    among: Values
    unit: str
    words: str
    clocked: bool = False

    def look(self, at: At, now: float) -> Truth:
        """True where it is; unknown where the value is."""
        value = self.read(at)
        return truth.of(np.isin(value, self.among), ~np.isnan(value))

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """The value, and what it is compared with."""
        return self.read(at), self.unit, self.words


@dataclass
class Silent:
    """A device of which nothing was heard for longer than `limit` seconds (one for each thing)."""

    heard: Read
    limit: Values
    began: float  # when the twin did
    words: str  # the limit as it was declared
    clocked: bool = True

    def look(self, at: At, now: float) -> Truth:
        """Time without a twin is nobody's silence; who was not heard since it began is unknown until the limit is over."""
        heard = self.heard(at)
        silent = now - np.maximum(heard, self.began) > self.limit[at]
        return truth.of(silent, silent | (heard >= self.began))

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """Seconds of silence, and the limit as declared."""
        return np.round(now - np.maximum(self.heard(at), self.began)), "s", self.words


@dataclass
class Status:
    """A device whose status is one of some."""

    read: Callable[[At], npt.NDArray[np.uint8]]
    codes: npt.NDArray[np.uint8]
    words: str
    clocked: bool = True

    def look(self, at: At, now: float) -> Truth:
        """Never unknown: that is a status of its own."""
        found: Truth = np.isin(self.read(at), self.codes).view(np.uint8) * np.uint8(TRUE)
        return found

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """The code of the status."""
        return self.read(at).astype(np.float64), "status", self.words


@dataclass
class Several:
    """Conditions on the same things, put together."""

    parts: Sequence[Condition]
    join: Callable[[Sequence[Truth]], Truth]

    @property
    def clocked(self) -> bool:
        """Whether any of them is."""
        return any(part.clocked for part in self.parts)

    def look(self, at: At, now: float) -> Truth:
        """All parts are looked at, so that those with a memory keep it."""
        return self.join([part.look(at, now) for part in self.parts])

    def shown(self, at: At, now: float) -> tuple[Values, str, str]:
        """Those of the first."""
        return self.parts[0].shown(at, now)


@dataclass
class Groups:
    """Things in groups: `code` of each thing (0 ... number - 1)."""

    code: Rows
    number: int

    def taken(self, value: Values, take: str) -> Values:
        """One number for each group from those of its things that are known; NaN where none is."""
        known = ~np.isnan(value)
        code = self.code[known]
        count = np.bincount(code, minlength=self.number)
        if take in ("mean", "sum"):
            total = np.bincount(code, weights=value[known], minlength=self.number)
            return np.where(count > 0, total / np.maximum(count, 1) if take == "mean" else total, np.nan)
        out = np.full(self.number, np.nan)
        found = getattr(pd.Series(value[known]).groupby(code), take)()
        out[found.index.to_numpy()] = found.to_numpy()
        return out

    def counted(self, found: Truth, share: bool) -> Values:
        """How many things of each group a condition holds for, or what share of those of which it is known."""
        number = np.bincount(self.code[found == TRUE], minlength=self.number).astype(np.float64)
        if not share:
            return number
        known = np.bincount(self.code[found != UNKNOWN], minlength=self.number)
        return np.where(known > 0, number / np.maximum(known, 1), np.nan)


def said(value: float, unit: str) -> str:
    """A number with its unit as a person reads it; four digits."""
    if np.isnan(value):
        return "not known"
    unit = "" if unit in ("1", "enum", "dimensionless", "", "status") else unit
    return f"{float(f'{value:.4g}'):,g}".replace(",", " ") + (f" {unit}" if unit else "")
