"""Who wants to know of each batch of readings: rules, alerts, device health. One line is enough.

`twin.listeners.append(alerts)`, where `alerts` has the methods `hear(batch)` and `tick(now)` of `Listener`.
"""

from __future__ import annotations

import logging
from typing import Protocol

from citytwin.state import Arrivals

log = logging.getLogger("citytwin.twin")


class Listener(Protocol):
    """What the twin calls, in its event loop: be quick, and hand long work to a task or a thread.

    After a crash, readings that were not in the history yet are heard a second time: sums that must be exact are to be asked
    from the history.
    """

    def hear(self, batch: Arrivals) -> None:
        """A batch of readings after its checks (`quality` is filled in) and after the good ones are in the state."""

    def tick(self, now: float) -> None:
        """Once a second; `now` in s since 1970."""


class Listeners(list[Listener]):
    """The listeners of one twin, told in order. One that fails is noted and does not stop the others, nor the reader."""

    def hear(self, batch: Arrivals) -> None:
        """Tell all of them of a batch."""
        for each in self:
            try:
                each.hear(batch)
            except Exception:
                log.exception("a listener failed at a batch of %d readings: %r", len(batch), each)

    def tick(self, now: float) -> None:
        """Tell all of them the time."""
        for each in self:
            try:
                each.tick(now)
            except Exception:
                log.exception("a listener failed at its tick: %r", each)
