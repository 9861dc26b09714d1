"""Which simulators there are: entry points of the group `citytwin.simulators`, ours and those of other packages."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from citytwin.columns import Columns, shipped
from citytwin.errors import InputError, nearest
from citytwin.sim.spec import InterventionKind, Simulator, Spec

GROUP = "citytwin.simulators"


@cache
def _entries() -> dict[str, object]:
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


def names() -> tuple[str, ...]:
    """Names of all installed simulators."""
    return tuple(_entries())


@cache
def simulator(name: str) -> type[Simulator]:
    """The simulator called `name`. Raises InputError with the nearest name."""
    entry = _entries().get(name)
    if entry is None:
        raise InputError(f'no simulator "{name}"', hint=nearest(name, _entries()))
    found: type[Simulator] = entry.load()  # type: ignore[attr-defined]
    if not isinstance(getattr(found, "spec", None), Spec) or found.spec.name != name:
        raise InputError(f'entry point "{name}" is not a simulator of that name', GROUP)
    return found


def all_simulators() -> tuple[type[Simulator], ...]:
    """All installed simulators, hazards first, impact last."""
    rooms = ("hazard", "lifeline", "impact")
    return tuple(sorted((simulator(n) for n in names()), key=lambda s: (rooms.index(s.spec.room), s.spec.name)))


@cache
def intervention(name: str) -> InterventionKind:
    """The kind of intervention called `name`. Raises InputError with the nearest name."""
    kinds = {kind.name: kind for found in all_simulators() for kind in found.spec.interventions}
    if name not in kinds:
        raise InputError(f'no intervention "{name}"', hint=nearest(name, kinds))
    return kinds[name]


def columns_with(columns: Columns | None = None) -> Columns:
    """`columns` (or the shipped ones) and those that the installed simulators write."""
    found = columns if columns is not None else shipped()
    for each in all_simulators():
        found.declare(each.spec.writes)
    return found
