"""What differs between the members of an ensemble: a path in the document and a distribution to draw from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from citytwin import units
from citytwin.errors import InputError, nearest
from citytwin.sim.streams import Streams

# Each distribution: the entries it needs, and how its unit-bearing numbers and its bare ones make one draw.
DISTRIBUTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[..., float]]] = {
    "lognormal": (("median",), ("sigma",), lambda rng, median, sigma: median * float(np.exp(sigma * rng.standard_normal()))),
    "normal": (("mean", "sd"), (), lambda rng, mean, sd: float(rng.normal(mean, sd))),
    "uniform": (("low", "high"), (), lambda rng, low, high: float(rng.uniform(low, high))),
}


def _parts(path: str) -> list[str]:
    return [p for p in path.split(".") if p]


def _place(said: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The mapping in `said` that holds the last part of `path`, as in flood.rain.intensity."""
    where = f"vary.{path}"
    name, *rest = _parts(path) or [""]
    entries = [e for room in ("hazards", "lifelines", "impact") for e in said.get(room, []) if isinstance(e, dict)]
    here: Any = next((e for e in entries if name in e), None)
    if here is None:
        raise InputError(f'the scenario has no "{name}"', where, nearest(name, [k for e in entries for k in e]))
    for part in [name, *rest[:-1]]:
        if not isinstance(here, dict) or part not in here:
            raise InputError(f'the scenario has no "{part}" here', where, nearest(part, here if isinstance(here, dict) else []))
        here = here[part]
    last = rest[-1] if rest else ""
    if not isinstance(here, dict) or last not in here:
        raise InputError(f'the scenario has no "{last}" here', where, nearest(last, here if isinstance(here, dict) else []))
    return here, last


def check(said: dict[str, Any], path: str, distribution: Any) -> None:
    """Refuse a path that the document lacks, or a distribution that is not one. Raises InputError."""
    _place(said, path)
    draw(distribution, Streams(0).named("check"), f"vary.{path}")


def draw(distribution: Any, rng: np.random.Generator, where: str) -> Any:
    """One draw: a text with the unit of the distribution's own numbers, a bare number, or one of a choice."""
    if not isinstance(distribution, dict) or len(distribution) != 1:
        raise InputError("a distribution is one name with its entries", where, "as in {uniform: {low: 1 m, high: 2 m}}")
    name, entries = next(iter(distribution.items()))
    if name == "choice" and isinstance(entries, list) and entries:
        return entries[int(rng.integers(len(entries)))]
    if name not in DISTRIBUTIONS:
        raise InputError(f'no distribution "{name}"', where, nearest(str(name), [*DISTRIBUTIONS, "choice"]))
    with_unit, bare, one = DISTRIBUTIONS[name]
    if not isinstance(entries, dict) or set(entries) != {*with_unit, *bare}:
        raise InputError(f"{name} needs {' and '.join((*with_unit, *bare))}", where)
    parts = [units.split(str(entries[k])) for k in with_unit]
    unit = parts[0][1]
    numbers = [n if u == unit else units.convert(n, u or "dimensionless", unit or "dimensionless") for n, u in parts]
    value = one(rng, *numbers, *(float(entries[k]) for k in bare))
    return f"{value!r} {unit}".strip() if unit else value


def drawn(said: dict[str, Any], distributions: dict[str, Any], seed: int, member: int) -> dict[str, Any]:
    """The document of one member: each varied place holds that member's own draw."""
    own = copy.deepcopy(said)
    for path, distribution in distributions.items():
        here, last = _place(own, path)
        here[last] = draw(distribution, Streams(seed, member).named(f"vary.{path}"), f"vary.{path}")
    return own
