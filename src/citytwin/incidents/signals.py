"""Traffic signals: groups, which of them conflict, stages and plans; two conflicting groups are never green together.

Declared in `signals.toml` in the city folder: `[default]` for all controllers, `[controller."KEY"]` for one. A file in which
any stage gives green to conflicting groups is refused, so that no plan that a controller can be told to run does.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from citytwin.errors import InputError, nearest
from citytwin.units import Quantity

FILE = "signals.toml"
ALL_RED, FLASHING = 0, 31


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Part):
    """Groups that are green together."""

    number: int = Field(ge=1, le=15)
    green: tuple[str, ...]


class Turn(_Part):
    """A stage within a plan, for so long (s)."""

    stage: int
    green_for: Annotated[float, Quantity("s"), Field(gt=0, le=600)]


class Plan(_Part):
    """A plan: stages in turn within a cycle (s)."""

    number: int = Field(ge=1, le=30)
    name: str = ""
    cycle: Annotated[float, Quantity("s"), Field(gt=0, le=900)]
    stages: tuple[Turn, ...] = Field(min_length=1)


class Signals(_Part):
    """The signals of one crossing."""

    groups: tuple[str, ...] = Field(min_length=1)
    conflicts: tuple[tuple[str, str], ...] = ()
    least_green: Annotated[float, Quantity("s"), Field(ge=0)] = 5.0
    stage: tuple[Stage, ...]
    plan: tuple[Plan, ...] = ()

    def problem(self, green: tuple[str, ...]) -> str:
        """Which two of `green` groups conflict, in words; empty: none."""
        for one, other in self.conflicts:
            if one in green and other in green:
                return f'groups "{one}" and "{other}" conflict and would both be green'
        return ""

    def check(self, where: str) -> None:
        """Raise InputError where a stage or plan is impossible."""
        for group in (g for pair in (*self.conflicts, *(s.green for s in self.stage)) for g in pair):
            if group not in self.groups:
                raise InputError(f'no signal group "{group}"', where, nearest(group, self.groups))
        for stage in self.stage:
            if self.problem(stage.green):
                raise InputError(f"stage {stage.number}: {self.problem(stage.green)}", where)
        stages = {s.number for s in self.stage}
        for plan in self.plan:
            for turn in plan.stages:
                if turn.stage not in stages:
                    raise InputError(f"plan {plan.number} runs stage {turn.stage}, which is not declared", where)
                if turn.green_for < self.least_green:
                    raise InputError(f"plan {plan.number}: {turn.green_for:g} s of green, at least {self.least_green:g}", where)
            total = sum(t.green_for for t in plan.stages)
            if total > plan.cycle:
                raise InputError(f"plan {plan.number}: {total:g} s of green in a cycle of {plan.cycle:g} s", where)

    def plans(self) -> dict[int, str]:
        """The plans that a controller may be told to run, with their names."""
        return {ALL_RED: "all red"} | {p.number: p.name for p in self.plan} | {FLASHING: "flashing amber"}

    def stages(self) -> dict[int, str]:
        """The stages that may be held, with their green groups."""
        return {ALL_RED: "all red"} | {s.number: " + ".join(s.green) for s in self.stage}


class Declared(_Part):
    """The whole file."""

    default: Signals
    controller: dict[str, Signals] = Field(default_factory=dict)

    def of(self, device: str) -> Signals:
        """The signals that a controller drives."""
        return self.controller.get(device, self.default)


def read_signals(folder: Path | None) -> Declared:
    """The declared signals of a city folder, or the shipped ones. Raises InputError with the place."""
    path = folder / FILE if folder is not None else None
    if path is not None and path.exists():
        where, text = str(path), path.read_text(encoding="utf-8")
    else:
        where, text = FILE, resources.files("citytwin.incidents").joinpath(FILE).read_text(encoding="utf-8")
    try:
        found = Declared.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", where) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['msg']} at {'.'.join(str(p) for p in first['loc'])}", where) from error
    found.default.check(f"{where}: default")
    for key, signals in found.controller.items():
        signals.check(f'{where}: controller "{key}"')
    return found
