"""Which measures: the document of a search over strategies, and what one strategy makes of the scenario.

A study names a scenario, the decisions that are open, what is to be small or large, and what must hold:

    name: Which measures against the river
    scenario: river-flood.yaml            # or the scenario itself
    members: 5                            # the same draws of chance for every strategy
    evaluations: 60
    decisions:
      sandbags: {do: {at: 30min, wall: {along: [[1.51, 42.50], [1.53, 42.51]], height: 1 m}}, cost: 20000}
      height:   {of: sandbags, path: wall.height, between: [0.5 m, 2 m], step: 0.5 m, cost: 30000}
      start:    {of: sandbags, path: at, choose: [30min, 1h, 2h]}
    objectives: [{minimise: people_exposed}, {minimise: cost_of_measures}]
    constraints: [{of: loss, at_most: 5e6}]
    strategies: {walls first: {sandbags: yes, height: 1 m, start: 1h}}

A decision is one of: `do` (an intervention taken or not), `switch` (interventions of the scenario, by number, kept or not),
`between` (a quantity), `choose` (one of a list), `order` (a list in any order), `pick` (a part of a list).
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from citytwin import units
from citytwin.errors import InputError, nearest
from citytwin.scenario.document import Scenario, parse
from citytwin.scenario.yaml_text import at_path, read_yaml

COST = "cost_of_measures"
"""The objective that sums what the decisions themselves say they cost."""

Strategy = dict[str, Any]
"""Decision -> its value: True or False, a text with its unit, a number, an entry of a list, or a list."""

FORMS = ("do", "switch", "between", "choose", "order", "pick")


class Decision(BaseModel):
    """One thing that is open. `of` and `path` say where its value goes; a `path` without `of` is one of the scenario."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    do: dict[str, Any] | None = Field(None, description="An intervention, taken or not")
    switch: list[int] | None = Field(None, description="Numbers of interventions of the scenario, kept or not")
    between: tuple[str | float, str | float] | None = Field(None, description="Lowest and highest, with units")
    step: str | float | None = Field(None, description="Steps of `between`")
    whole: bool = Field(False, description="`between` whole numbers only")
    choose: list[Any] | None = Field(None, description="One of these")
    order: list[Any] | None = Field(None, description="All of these, in any order")
    pick: list[Any] | None = Field(None, description="Any of these, none or all")
    of: str | None = Field(None, description="The `do` decision that it is part of")
    path: str | None = Field(None, description="Where the value goes, as in wall.height")
    cost: float | list[float] = Field(0.0, description="Cost: when done, per unit of `between`, per entry; a list for `choose`")

    @property
    def form(self) -> str:
        """Which of FORMS it is."""
        return next(f for f in FORMS if getattr(self, f) is not None)


class Objective(BaseModel):
    """What is to be small or large: an entry of a result's impact, nested ones with a dot."""

    model_config = ConfigDict(extra="forbid")

    minimise: str | None = None
    maximise: str | None = None
    statistic: Literal["mean", "median", "low", "high"] = Field("mean", description="Over the members; low, high: 5th, 95th")

    @property
    def key(self) -> str:
        """The entry of impact."""
        return self.minimise or self.maximise or ""

    @property
    def sign(self) -> float:
        """1 where small is good, -1 where large is."""
        return 1.0 if self.minimise else -1.0


class Constraint(BaseModel):
    """What must hold: an entry of impact between limits, in its own unit."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    of: str
    at_most: float | None = None
    at_least: float | None = None
    statistic: Literal["mean", "median", "low", "high"] = "mean"


class Form(BaseModel):
    """The outer entries of a study."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    description: str = ""
    scenario: str | dict[str, Any] = Field(description="A scenario file beside this one, or the scenario itself")
    members: int = Field(1, ge=1, le=1000, description="Members that every strategy is played with")
    evaluations: int = Field(60, ge=2, le=100_000, description="Different strategies to try, baselines included")
    population: int = Field(16, ge=4, le=500, description="Strategies of one generation")
    seed: int = Field(0, ge=0)
    decisions: dict[str, Decision] = Field(min_length=1)
    objectives: list[Objective] = Field(min_length=1, max_length=5)
    constraints: list[Constraint] = []
    strategies: dict[str, dict[str, Any]] = Field({}, description="Strategies of people, tried too")


@dataclass(frozen=True)
class Study:
    """A checked study: its form and the scenario that it is about."""

    form: Form
    scenario: Scenario
    said: dict[str, Any]

    @property
    def identity(self) -> str:
        """Names what was asked, so that an interrupted search goes on with its own results only."""
        words = json.dumps([self.said, self.scenario.said], sort_keys=True, default=str)
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    def document(self, strategy: Strategy) -> dict[str, Any]:
        """The scenario document of a strategy, without what varies between members."""
        return applied(self.scenario.said, self.form.decisions, strategy)

    def cost(self, strategy: Strategy) -> float:
        """What the decisions of a strategy cost by their own words."""
        return sum(_cost(d, strategy[name]) for name, d in self.form.decisions.items() if _active(d, strategy))

    def key(self, strategy: Strategy) -> str:
        """The same for strategies that do the same: decisions on what is not done are left out."""
        parts = {n: v for n, v in strategy.items() if _active(self.form.decisions[n], strategy)}
        return json.dumps(parts, sort_keys=True, default=str)


def read_study(path: Path | str) -> Study:
    """The checked study in the YAML file at `path`. Raises InputError."""
    path = Path(path)
    said = read_yaml(path, "the study")
    try:
        return parse_study(said, path.parent)
    except InputError as error:
        raise at_path(error, path) from error


def parse_study(said: Any, folder: Path | None = None) -> Study:
    """The checked study of a document already read; its files are in `folder`, without one it names none."""
    if not isinstance(said, dict):
        raise InputError("a study is a mapping of entries", hint="it begins with name: ...")
    try:
        form = Form.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        inner: dict[str, type[BaseModel]] = {"decisions": Decision, "objectives": Objective, "constraints": Constraint}
        fields = (inner.get(str(first["loc"][0]), Form) if len(first["loc"]) > 2 else Form).model_fields
        hint = nearest(str(first["loc"][-1]), fields) if first["type"] == "extra_forbidden" else ""
        words = f'"{first["loc"][-1]}" is not an entry here' if hint else first["msg"].lower()
        raise InputError(words, where, hint) from error
    study = Study(form, _scenario(form.scenario, folder), said)
    _check(study)
    return study


def _scenario(said: str | dict[str, Any], folder: Path | None) -> Scenario:
    from citytwin.scenario.document import read_scenario

    if isinstance(said, str):
        if folder is None:
            raise InputError("no file may be named here", "scenario", "write the scenario itself")
        return read_scenario(folder / said)
    return parse(said, folder)


def _check(study: Study) -> None:
    for name, decision in study.form.decisions.items():
        _check_decision(study, name, decision)
    for number, objective in enumerate(study.form.objectives):
        if (objective.minimise is None) == (objective.maximise is None):
            raise InputError("either minimise or maximise", f"objectives[{number}]")
    for number, constraint in enumerate(study.form.constraints):
        if constraint.at_most is None and constraint.at_least is None:
            raise InputError("say at_most or at_least", f"constraints[{number}]")
    for strategy in (nothing(study), everything(study), *(completed(study, g) for g in study.form.strategies.values())):
        parse(study.document(strategy), study.scenario.folder)


def _check_decision(study: Study, name: str, decision: Decision) -> None:
    where = f"decisions.{name}"
    forms = [f for f in FORMS if getattr(decision, f) is not None]
    if len(forms) != 1:
        raise InputError(f"{'no form' if not forms else ' and '.join(forms)}: exactly one is needed", where, ", ".join(FORMS))
    done = {n for n, d in study.form.decisions.items() if d.form == "do"}
    if decision.of is not None and decision.of not in done:
        raise InputError(f'no decision "{decision.of}" that does something', where, nearest(decision.of, done))
    if decision.form == "switch":
        known = study.scenario.said.get("interventions", [])
        if not decision.switch or not all(0 <= n < len(known) for n in decision.switch):
            raise InputError(f"the scenario has {len(known)} interventions", where, "they are counted from 0")
    elif decision.form != "do" and not decision.path:
        raise InputError("no path says where the value goes", where, "as in path: wall.height")
    if decision.form == "between":
        low, high = (_number(v)[0] for v in _limits(decision))
        if not low < high:
            raise InputError("the lowest value is not below the highest", where)
    elif decision.form in ("choose", "order", "pick") and len(getattr(decision, decision.form)) < 1:
        raise InputError("the list is empty", where)
    if isinstance(decision.cost, list) and (decision.form != "choose" or len(decision.cost) != len(decision.choose or [])):
        raise InputError("a list of costs goes with choose, one for each entry", where)


def _number(value: str | float) -> tuple[float, str]:
    number, unit = units.split(str(value))
    return float(number), unit


def _limits(decision: Decision) -> tuple[str | float, str | float]:
    assert decision.between is not None
    low, high = decision.between
    unit = _number(low)[1]
    if isinstance(high, str) and unit and _number(high)[1] != unit:
        high = f"{units.convert(_number(high)[0], _number(high)[1], unit)!r} {unit}"
    return low, high


def span(decision: Decision) -> tuple[float, float, float | None, str]:
    """Lowest, highest and step (or None) of a `between`, in the unit of its lowest value, and that unit."""
    low, high = _limits(decision)
    unit = _number(low)[1]
    step = None
    if decision.step is not None:
        size, own = _number(decision.step)
        step = units.convert(size, own, unit) if own and own != unit else size
    return _number(low)[0], _number(high)[0], 1.0 if decision.whole and step is None else step, unit


def said_value(number: float, decision: Decision) -> str | float | int:
    """A number of a `between` as the scenario says it, with its unit."""
    unit = span(decision)[3]
    if unit:
        return f"{number:.6g} {unit}"
    return round(number) if decision.whole else float(f"{number:.6g}")


def _active(decision: Decision, strategy: Strategy) -> bool:
    return decision.of is None or bool(strategy[decision.of])


def _cost(decision: Decision, value: Any) -> float:
    if isinstance(decision.cost, list):
        return decision.cost[(decision.choose or []).index(value)]
    if decision.form in ("do", "switch"):
        return decision.cost if value else 0.0
    if decision.form == "between":
        return decision.cost * _number(value)[0]
    return decision.cost * len(value) if decision.form == "pick" else decision.cost


def nothing(study: Study) -> Strategy:
    """The strategy that does nothing: no measure taken, nothing picked, other values at their first."""
    return {name: _plain(d, False) for name, d in study.form.decisions.items()}


def everything(study: Study) -> Strategy:
    """The strategy that does all that can be done, quantities at their highest, choices at their first."""
    return {name: _plain(d, True) for name, d in study.form.decisions.items()}


def _plain(decision: Decision, full: bool) -> Any:
    if decision.form in ("do", "switch"):
        return full
    if decision.form == "between":
        low, high, _, _ = span(decision)
        return said_value(high if full else low, decision)
    if decision.form == "pick":
        return list(decision.pick or []) if full else []
    return list(decision.order) if decision.order is not None else (decision.choose or [None])[0]


def completed(study: Study, given: dict[str, Any]) -> Strategy:
    """A strategy of which only some decisions are given; the others do nothing. Raises InputError."""
    for name, value in given.items():
        if name not in study.form.decisions:
            raise InputError(f'no decision "{name}"', "strategies", nearest(name, study.form.decisions))
        decision = study.form.decisions[name]
        allowed = {"do": [True, False], "switch": [True, False], "choose": decision.choose}.get(decision.form)
        if allowed is not None and value not in allowed:
            raise InputError(f'"{value}" is not one of {name}', "strategies", f"allowed: {', '.join(map(str, allowed))}")
    return {**nothing(study), **given}


def applied(said: dict[str, Any], decisions: dict[str, Decision], strategy: Strategy) -> dict[str, Any]:
    """The scenario document with a strategy put into it."""
    own = copy.deepcopy(said)
    kept = list(own.get("interventions", []))
    dropped: set[int] = set()
    done = {name: copy.deepcopy(d.do) for name, d in decisions.items() if d.do is not None and strategy[name]}
    for name, decision in decisions.items():
        if decision.form == "switch" and not strategy[name]:
            dropped |= set(decision.switch or [])
        if decision.form in ("do", "switch") or not _active(decision, strategy):
            continue
        value = strategy[name]
        _put(done[decision.of] if decision.of else own, str(decision.path), value, f"decisions.{name}")
    own["interventions"] = [e for n, e in enumerate(kept) if n not in dropped] + [d for d in done.values() if d is not None]
    return own


def _put(document: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Set the place at `path`, as in interventions[0].wall.height or flood.rain.intensity; its last part may be new."""
    parts: list[str | int] = [int(p) if p.isdigit() else p for p in re.findall(r"[^.\[\]]+", path)]
    rooms = [e for room in ("hazards", "lifelines", "impact") for e in document.get(room, []) if isinstance(e, dict)]
    here: Any = next((e for e in rooms if parts[0] in e), document) if parts and parts[0] not in document else document
    for part in parts[:-1]:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            allowed = here if isinstance(here, dict) else []
            raise InputError(f'the scenario has no "{part}" here', f"{where}.path", nearest(str(part), allowed)) from None
    if not parts or not isinstance(here, (dict, list)) or (isinstance(here, list) and not _fits(here, parts[-1])):
        raise InputError(f'"{path}" leads nowhere', f"{where}.path", "as in wall.height")
    here[parts[-1]] = value  # type: ignore[index]


def _fits(here: list[Any], part: str | int) -> bool:
    return isinstance(part, int) and part < len(here)
