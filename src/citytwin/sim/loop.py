"""The loop: advance several simulators through time; they meet only in the state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from citytwin.errors import SimulationError
from citytwin.sim.spec import Simulator, Spec
from citytwin.state import State

ROOMS = ("hazard", "lifeline", "impact")


def order(specs: Sequence[Spec]) -> list[Spec]:
    """Specs in the order they advance: by room, and within a room writers before readers, then by name.

    Within a room that reads in a circle, names decide; the later one then sees values of the step before.
    """
    done: list[Spec] = []
    for room in ROOMS:
        left = sorted((s for s in specs if s.room == room), key=lambda s: s.name)
        while left:
            waiting = {c.name: s.name for s in left for c in s.writes}
            free = [s for s in left if not any(waiting.get(r, s.name) != s.name for r in (*s.reads, *s.heeds))]
            chosen = (free or left)[0]
            done.append(chosen)
            left.remove(chosen)
    return done


def advance(
    simulators: Sequence[Simulator],
    state: State,
    duration: float,
    every: float,
    seen: Callable[[float, State], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Advance `state` by `duration` seconds in steps of `every`; `seen` gets each step's time and state, the start included.

    Raises SimulationError where a simulator says that it cannot go on, or where `stop` says that nobody wants it.
    """
    begin_time = state.time
    begin = 0.0
    seen(begin, state)
    while begin < duration - 1e-9:
        end = min(begin + every, duration)
        for each in simulators:
            if stop():
                raise SimulationError("stopped on request", each.spec.name)
            status = each.advance(state, begin, end)
            if not status.ok:
                raise SimulationError(status.message, f"{each.spec.name} at {begin:.0f} s", status.advice)
        begin = end
        state.time = begin_time + begin
        seen(begin, state)
