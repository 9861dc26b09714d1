"""What a search found, for people: the front as JSON and Parquet, words, one chart, and the recommended scenario.

The recommended strategy lies nearest to the point that is best in everything, each objective measured from its best to its
worst on the front.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from citytwin.city import City
from citytwin.errors import ConflictError, InputError
from citytwin.jsonable import plain
from citytwin.scenario.optimise import COST, Objective, Strategy, Study, parse_study
from citytwin.scenario.optimise_play import players
from citytwin.scenario.optimise_search import Search, Told, Tried, confidence, front, statistic
from citytwin.scenario.result import IMPACT
from citytwin.state import State

FILES = ("front.json", "strategies.parquet", "explanation.md", "front.svg", "front.png", "recommended.yaml")


@dataclass(frozen=True)
class Found:
    """What a search found: all `tried`, the undominated ones (`best`) with their confidence, and which of them is advised."""

    study: Study
    tried: list[Tried]
    best: list[Tried]
    sure: list[float]
    whole: bool

    @property
    def advised(self) -> int:
        """Position in `best` of the recommended strategy."""
        return int(np.argmin(np.linalg.norm(_relative(self.best), axis=1)))

    def baseline(self, name: str) -> Tried:
        """The strategy called `name`."""
        return next(t for t in self.tried if t.name == name)


def optimise(
    study: Study, city: City, out: Path, workers: int | None = None, state: State | None = None,
    told: Told = lambda share, words: None, stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:  # fmt: skip
    """Search, and write what was found to the folder `out`; goes on where an earlier search there stopped.

    Returns the document of front.json. Raises InputError, ConflictError, SimulationError, OutsideError.
    """
    out.mkdir(parents=True, exist_ok=True)
    mark = out / "study.yaml"
    text = yaml.safe_dump({**study.said, "scenario": study.scenario.said}, sort_keys=False, allow_unicode=True)
    if any(out.iterdir()) and (not mark.is_file() or mark.read_text(encoding="utf-8") != text):
        raise ConflictError(f"{out} holds something else", hint="name another folder; the same study goes on in its own")
    mark.write_text(text, encoding="utf-8")
    with players(study, city, workers, state, stop) as play:
        search = Search(study, play, out / "evaluations.jsonl", told, stop)
        tried = search.run()
    found = summed(study, tried, search.whole)
    write(found, out)
    return document(found)


def summed(study: Study, tried: list[Tried], whole: bool) -> Found:
    """The front of what was tried. Raises InputError where no strategy keeps the constraints."""
    best = front(tried)
    if not best:
        nearest_one = min(tried, key=lambda t: t.broken)
        limits = ", ".join(
            f"{c.of} {statistic(nearest_one.over_members(c.of), c.statistic):.4g}" for c in study.form.constraints
        )
        raise InputError(f"no strategy of {len(tried)} keeps the constraints", "constraints", f"the nearest has {limits}")
    return Found(study, tried, best, confidence(study, best, tried, study.form.seed), whole)


def _relative(best: list[Tried]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Objectives of each strategy, 0 the best of the front and 1 its worst."""
    points = np.array([t.values for t in best])
    low, high = points.min(axis=0), points.max(axis=0)
    return np.asarray((points - low) / np.where(high > low, high - low, 1.0))


def document(found: Found) -> dict[str, Any]:
    """The document of front.json."""
    study = found.study
    baselines = [t for t in found.tried if t.name and not any(t is b for b in found.best)]
    return {
        "study": study.form.name,
        "scenario": study.scenario.name,
        "members": study.form.members,
        "evaluations": len(found.tried),
        "all_strategies_tried": found.whole,
        "objectives": [
            {"key": o.key, "goal": "minimise" if o.minimise else "maximise", "statistic": o.statistic, "title": title(o.key),
             "unit": unit(o.key)}
            for o in study.form.objectives
        ],
        "constraints": [c.model_dump(exclude_none=True) for c in study.form.constraints],
        "front": [_said(found, t, sure) for t, sure in zip(found.best, found.sure, strict=True)],
        "baselines": [_said(found, t, None) for t in baselines],
        "recommended": found.advised,
        "explanation": words(found),
    }  # fmt: skip


def _said(found: Found, tried: Tried, sure: float | None) -> dict[str, Any]:
    objectives = {}
    for o in found.study.form.objectives:
        numbers = tried.over_members(o.key)
        low, high = np.percentile(numbers, [5, 95])
        objectives[o.key] = {"value": statistic(numbers, o.statistic), "low": float(low), "high": float(high)}
    said: dict[str, Any] = {"name": tried.name, "strategy": tried.strategy, "words": in_words(found.study, tried.strategy),
                            "objectives": objectives, "keeps_constraints": tried.broken == 0}  # fmt: skip
    if sure is not None:
        said["confidence"] = None if math.isnan(sure) else sure
    return said


def title(key: str) -> str:
    """What an objective is called."""
    if key == COST:
        return "Cost of the measures"
    return re.split(r" \(|: ", IMPACT[key][1])[0] if key in IMPACT else key.replace("_", " ").replace(".", ": ").capitalize()


def unit(key: str) -> str:
    """Its unit, where it is known."""
    return IMPACT[key][0] if key in IMPACT else ""


def in_words(study: Study, strategy: Strategy) -> str:
    """A strategy as a person says it."""
    parts = []
    for name, decision in study.form.decisions.items():
        value, label = strategy[name], name.replace("_", " ")
        if decision.of is not None and not strategy[decision.of]:
            continue
        if decision.form in ("do", "switch"):
            parts += [label] if value else []
        else:
            shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
            parts.append(f"{label} {shown}")
    return "; ".join(parts) or "nothing"


def number(value: float) -> str:
    """A number for reading."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.3g}"


def words(found: Found) -> str:
    """The trade, in a few sentences of Markdown."""
    study, best, objectives = found.study, found.best, found.study.form.objectives
    chosen = best[found.advised]
    every = "all that there are" if found.whole else "a search; better ones may exist"
    lines = [
        f"# {study.form.name}",
        "",
        f"{len(found.tried)} strategies were played ({every}), each with the same {study.form.members} "
        f"member{'s' if study.form.members > 1 else ''}. {len(best)} of them cannot be "
        "bettered in one thing without loss in another.",
        "",
        f"**Recommended: {in_words(study, chosen.strategy)}.** {_reason(found)}",
        "",
    ]  # fmt: skip
    lines += [f"- {_extreme(study, best, o, i)}" for i, o in enumerate(objectives)]
    if len(objectives) > 1 and len(best) > 1:
        lines += ["", _trade(found)]
    lines += ["", *_table(found)]
    weak = [in_words(study, t.strategy) for t, s in zip(best, found.sure, strict=True) if s < 0.5]
    if weak:
        lines += [
            "",
            f"Chance decides more than half of the place on the front of: {'; '.join(weak)}. More members would tell.",
        ]
    return "\n".join(lines) + "\n"


def _number(tried: Tried, objective: Objective) -> float:
    return statistic(tried.over_members(objective.key), objective.statistic)


def _reason(found: Found) -> str:
    chosen, none = found.best[found.advised], found.baseline("nothing")
    parts = []
    for i, objective in enumerate(found.study.form.objectives):
        now, before = _number(chosen, objective), _number(none, objective)
        reach = min(t.values[i] for t in found.best) * objective.sign
        gained = (before - now) / (before - reach) if before != reach else math.nan
        told = f"{title(objective.key).lower()} {number(now)} {unit(objective.key)}".strip()
        if objective.key == COST or now == before:
            parts.append(told)
        elif math.isnan(gained):
            parts.append(f"{told} instead of {number(before)}")
        else:
            parts.append(f"{told} instead of {number(before)}, {100 * gained:.0f} % of what any strategy reaches")
    return f"It lies nearest to being best in everything: {'; '.join(parts)}."


def _extreme(study: Study, best: list[Tried], objective: Objective, place: int) -> str:
    one = min(best, key=lambda t: t.values[place])
    goal = "lowest" if objective.minimise else "highest"
    told = f"{number(_number(one, objective))} {unit(objective.key)}".strip()
    return f"{title(objective.key)}: {goal} {told}, with {in_words(study, one.strategy)}."


def _trade(found: Found) -> str:
    """What the last step along the front costs in the second objective for each unit of the first."""
    first, second = found.study.form.objectives[:2]
    points = [(_number(t, first), _number(t, second)) for t in found.best]
    (a0, b0), (a1, b1) = points[0], points[-1]
    if a0 == a1:
        return f"All strategies of the front are equal in {title(first.key).lower()}."
    rate = abs((b1 - b0) / (a1 - a0))
    steps = [abs((d[1] - c[1]) / (d[0] - c[0])) for c, d in itertools.pairwise(points) if d[0] != c[0]]
    return (
        f"Along the front one unit of {title(first.key).lower()} costs {number(rate)} of {title(second.key).lower()} "
        f"on average; the cheapest step {number(min(steps))}, the dearest {number(max(steps))}."
    )


def _table(found: Found) -> list[str]:
    objectives = found.study.form.objectives
    lines = [
        "| strategy | " + " | ".join(title(o.key) for o in objectives) + " | stays |",
        "| --- |" + " ---: |" * (len(objectives) + 1),
    ]
    rows = [(t, s) for t, s in zip(found.best, found.sure, strict=True)]
    rows += [(t, math.nan) for t in found.tried if t.name and not any(t is b for b in found.best)]
    for tried, sure in rows:
        name = f"{tried.name}: " if tried.name else ""
        cells = []
        for o in objectives:
            low, high = np.percentile(tried.over_members(o.key), [5, 95])
            band = f" ({number(float(low))} to {number(float(high))})" if high > low else ""
            cells.append(number(_number(tried, o)) + band)
        shown = "" if math.isnan(sure) else f"{100 * sure:.0f} %"
        lines.append(f"| {name}{in_words(found.study, tried.strategy)} | {' | '.join(cells)} | {shown} |")
    return [
        *lines,
        "",
        'Bands: 5th to 95th percentile of the members. "stays": share of redraws of the members that leave it on the front.',
    ]


def write(found: Found, out: Path) -> None:
    """Write front.json, strategies.parquet, explanation.md, front.svg, front.png and recommended.yaml."""
    said = json.dumps(plain(document(found)), indent=2, ensure_ascii=False, allow_nan=False)
    (out / "front.json").write_text(said + "\n", encoding="utf-8")
    (out / "explanation.md").write_text(words(found), encoding="utf-8")
    _table_of(found).to_parquet(out / "strategies.parquet", index=False)
    chosen = found.best[found.advised]
    recommended = found.study.document(chosen.strategy)
    recommended["name"] = f"{found.study.scenario.name}: recommended"
    recommended["description"] = f"{in_words(found.study, chosen.strategy)}. {_reason(found)}"
    text = yaml.safe_dump(recommended, sort_keys=False, allow_unicode=True)
    (out / "recommended.yaml").write_text(text, encoding="utf-8")
    from citytwin.scenario.optimise_chart import chart

    chart(found, out)


def _table_of(found: Found) -> pd.DataFrame:
    """One row a strategy: its decisions, objectives with bands, whether it is on the front."""
    rows = []
    for tried in found.tried:
        row: dict[str, Any] = {"name": tried.name, "on_front": any(tried is b for b in found.best), "broken": tried.broken}
        row |= {f"decision.{k}": v if isinstance(v, (bool, int, float)) else json.dumps(v) if isinstance(v, list) else str(v)
                for k, v in tried.strategy.items()}  # fmt: skip
        for o in found.study.form.objectives:
            numbers = tried.over_members(o.key)
            row[o.key] = statistic(numbers, o.statistic)
            row[f"{o.key}_low"], row[f"{o.key}_high"] = np.percentile(numbers, [5, 95])
        rows.append(row)
    return pd.DataFrame(rows)


__all__ = ["FILES", "Found", "document", "in_words", "optimise", "parse_study", "summed", "words", "write"]
