"""The search for good strategies: every strategy is played with the same members, and what was tried is kept.

Where all strategies together are no more than the evaluations allowed, all are tried. Else NSGA-II (Deb et al. 2002, IEEE
Trans. Evol. Comput. 6:182; Optuna's) starts from nothing, everything, the given strategies, each measure alone and all others.
OUT/evaluations.jsonl takes one line a strategy as it is played; the same command goes on from there.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError, SimulationError, nearest
from citytwin.scenario.optimise import (
    COST,
    Constraint,
    Decision,
    Objective,
    Strategy,
    Study,
    completed,
    everything,
    nothing,
    said_value,
    span,
)  # fmt: skip

Array = npt.NDArray[np.float64]
Outcome = dict[str, float | None]
"""One member's impact: entry (nested ones with a dot) -> number."""
Play = Callable[[list[dict[str, Any]]], Iterator[tuple[int, list[Outcome]]]]
"""Plays scenario documents with all members and yields (number of the document, outcome of each member) as they end."""
Told = Callable[[float, str], None]

RESAMPLES = 500
MOST_IDLE = 25
"""Generations in a row without a new strategy after which the search ends."""


@dataclass
class Tried:
    """A strategy that was played. outcomes: of each member, the measures' own cost among them. name: of a baseline, or ""."""

    strategy: Strategy
    key: str
    outcomes: list[Outcome]
    name: str = ""
    values: Array = field(default_factory=lambda: np.empty(0))
    broken: float = 0.0
    """By how much constraints are broken, each relative to its limit; 0 where all hold."""

    def over_members(self, entry: str) -> Array:
        """An entry of impact, member by member. Raises InputError where nobody simulates it."""
        numbers = [o.get(entry) for o in self.outcomes]
        if any(n is None for n in numbers):
            known = sorted({k for o in self.outcomes for k, v in o.items() if v is not None})
            raise InputError(f'nothing in this scenario says "{entry}"', "objectives", nearest(entry, known))
        return np.array(numbers, dtype=float)


def statistic(numbers: Array, kind: str) -> float:
    """The mean, median, 5th (low) or 95th (high) percentile."""
    if kind == "mean":
        return float(numbers.mean())
    return float(np.percentile(numbers, {"low": 5.0, "median": 50.0, "high": 95.0}[kind]))


def value(tried: Tried, objective: Objective, chosen: npt.NDArray[np.intp] | None = None) -> float:
    """An objective's number, turned so that small is good; over the members `chosen`, or all."""
    numbers = tried.over_members(objective.key)
    return objective.sign * statistic(numbers if chosen is None else numbers[chosen], objective.statistic)


def _broken(tried: Tried, constraint: Constraint) -> float:
    number = statistic(tried.over_members(constraint.of), constraint.statistic)
    over = number - constraint.at_most if constraint.at_most is not None else -math.inf
    under = constraint.at_least - number if constraint.at_least is not None else -math.inf
    size = max(abs(constraint.at_most or 0.0), abs(constraint.at_least or 0.0), 1e-9)
    return max(over, under, 0.0) / size


def dominates(a: Tried, b: Tried) -> bool:
    """Whether `a` is better: it breaks constraints less, or as little and is nowhere worse and somewhere better."""
    if a.broken != b.broken:
        return a.broken < b.broken
    return bool((a.values <= b.values).all() and (a.values < b.values).any())


def front(tried: list[Tried]) -> list[Tried]:
    """Those that nobody dominates and that break nothing, one for each point, by the first objective."""
    good = [t for t in tried if not t.broken]
    best = [t for t in good if not any(dominates(other, t) for other in good)]
    points = {tuple(t.values): t for t in reversed(best)}
    return sorted(points.values(), key=lambda t: tuple(t.values))


def confidence(study: Study, of: list[Tried], tried: list[Tried], seed: int = 0) -> list[float]:
    """How often each of `of` stays undominated when the members are drawn again (bootstrap, the same draw for all)."""
    members = len(tried[0].outcomes)
    if members == 1:
        return [math.nan] * len(of)
    rng = np.random.default_rng(seed)
    good = [t for t in tried if not t.broken]
    table = {id(t): [t.over_members(o.key) for o in study.form.objectives] for t in good}
    stays = np.zeros(len(of))
    for _ in range(RESAMPLES):
        draw = rng.integers(members, size=members)
        points = np.array([
            [o.sign * statistic(n[draw], o.statistic) for o, n in zip(study.form.objectives, table[id(t)], strict=True)]
            for t in good
        ])  # fmt: skip
        for number, one in enumerate(of):
            own = points[next(i for i, t in enumerate(good) if t is one)]
            stays[number] += not ((points <= own).all(axis=1) & (points < own).any(axis=1)).any()
    return [float(s) for s in stays / RESAMPLES]


def every_strategy(study: Study, most: int) -> list[Strategy] | None:
    """All different strategies, or None where they are more than `most` or not to be counted."""
    lists = [_values(d) for d in study.form.decisions.values()]
    if any(v is None for v in lists) or math.prod(len(v or []) for v in lists) > 50 * most + 10_000:
        return None
    names = list(study.form.decisions)
    found: dict[str, Strategy] = {}
    for combination in itertools.product(*(v or [] for v in lists)):
        strategy = dict(zip(names, combination, strict=True))
        found.setdefault(study.key(strategy), strategy)
        if len(found) > most:
            return None
    return list(found.values())


def _values(decision: Decision) -> list[Any] | None:
    if decision.form in ("do", "switch"):
        return [False, True]
    if decision.form == "choose":
        return list(decision.choose or [])
    if decision.form == "between":
        low, high, step, _ = span(decision)
        return None if step is None else [said_value(n, decision) for n in np.arange(low, high + step * 1e-6, step)]
    items = decision.order if decision.form == "order" else decision.pick
    items = items or []
    if len(items) > 7:
        return None
    if decision.form == "order":
        return [list(p) for p in itertools.permutations(items)]
    return [
        [i for i, keep in zip(items, mask, strict=True) if keep] for mask in itertools.product([False, True], repeat=len(items))
    ]


def starts(study: Study) -> list[tuple[str, Strategy]]:
    """Strategies that are tried first: nothing, everything, the given ones, each measure alone, everything but it."""
    none, full = nothing(study), everything(study)
    given = [(name, completed(study, said)) for name, said in study.form.strategies.items()]
    out = [("nothing", none), ("everything", full), *given]
    for name, decision in study.form.decisions.items():
        if decision.form in ("do", "switch"):
            parts = {n: full[n] for n, d in study.form.decisions.items() if d.of == name}
            out.append(("", {**none, **parts, name: True}))
            out.append(("", {**full, name: False}))
    return out


class Search:
    """One search: what was tried so far, and how to go on."""

    def __init__(self, study: Study, play: Play, journal: Path | None = None, told: Told = lambda s, w: None,
                 stop: Callable[[], bool] = lambda: False) -> None:  # fmt: skip
        self.study = study
        self.play = play
        self.journal = journal
        self.told = told
        self.stop = stop
        self.tried: dict[str, Tried] = {}
        self.whole = False
        """Whether all strategies that there are were tried."""
        self._kept = _kept(journal, study.identity) if journal else {}

    def run(self) -> list[Tried]:
        """Search until the evaluations are used up. Returns all that was tried, baselines first."""
        limit = self.study.form.evaluations
        first = starts(self.study)
        self._try([s for _, s in first][:limit])
        for name, strategy in reversed(first):
            found = self.tried.get(self.study.key(strategy))
            if name and found is not None:
                found.name = name
        all_of_them = every_strategy(self.study, limit)
        if all_of_them is not None:
            self.whole = True
            self._try(all_of_them)
        else:
            self._evolve(limit, [s for _, s in first])
        return list(self.tried.values())

    def _try(self, strategies: list[Strategy]) -> None:
        """Play what is new among `strategies`."""
        wanted: dict[str, Strategy] = {}
        for strategy in strategies:
            key = self.study.key(strategy)
            if key not in self.tried:
                wanted.setdefault(key, strategy)
        known = {k: s for k, s in wanted.items() if k in self._kept}
        for key, strategy in known.items():
            self._take(strategy, key, self._kept[key])
        new = [(k, s) for k, s in wanted.items() if k not in known]
        for number, outcomes in self.play([self.study.document(s) for _, s in new]) if new else ():
            key, strategy = new[number]
            self._take(strategy, key, outcomes)
            self._keep(key, strategy, outcomes)
            self.told(min(1.0, len(self.tried) / self.study.form.evaluations), f"{len(self.tried)} strategies")
            if self.stop():
                raise SimulationError("stopped on request", "search")

    def _take(self, strategy: Strategy, key: str, outcomes: list[Outcome]) -> None:
        cost = self.study.cost(strategy)
        one = Tried(strategy, key, [{**o, COST: cost} for o in outcomes])
        one.values = np.array([value(one, o) for o in self.study.form.objectives])
        one.broken = sum(_broken(one, c) for c in self.study.form.constraints)
        self.tried[key] = one

    def _keep(self, key: str, strategy: Strategy, outcomes: list[Outcome]) -> None:
        if self.journal is not None:
            line = {"study": self.study.identity, "key": key, "strategy": strategy, "outcomes": outcomes}
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, default=str) + "\n")

    def _evolve(self, limit: int, first: list[Strategy]) -> None:
        optuna = _optuna()
        form = self.study.form

        def constraints(trial: Any) -> list[float]:
            return [float(trial.user_attrs["broken"])]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna calls its constraints experimental
            sampler = optuna.samplers.NSGAIISampler(
                population_size=form.population, seed=form.seed, constraints_func=constraints if form.constraints else None
            )
        search = optuna.create_study(directions=["minimize"] * len(form.objectives), sampler=sampler)
        for strategy in first:
            search.enqueue_trial(_encoded(form.decisions, strategy))
        idle, size = 0, max(form.population, len(first))
        while len(self.tried) < limit and idle < MOST_IDLE:
            before = len(self.tried)
            trials = [search.ask() for _ in range(size)]
            size = form.population
            asked = [_decoded(form.decisions, trial) for trial in trials]
            fresh: dict[str, Strategy] = {}
            for strategy in asked:
                key = self.study.key(strategy)
                if key not in self.tried and len(self.tried) + len(fresh) < limit:
                    fresh.setdefault(key, strategy)
            self._try(list(fresh.values()))
            for trial, strategy in zip(trials, asked, strict=True):
                self._tell(search, optuna, trial, self.tried.get(self.study.key(strategy)))
            idle = idle + 1 if len(self.tried) == before else 0

    @staticmethod
    def _tell(search: Any, optuna: Any, trial: Any, found: Tried | None) -> None:
        if found is None:
            search.tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        trial.set_user_attr("broken", found.broken)
        search.tell(trial, [float(v) for v in found.values])


def _optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _decoded(decisions: dict[str, Decision], trial: Any) -> Strategy:
    """The strategy that the sampler asks for."""
    return {name: _asked(name, decision, trial) for name, decision in decisions.items()}


def _asked(name: str, decision: Decision, trial: Any) -> Any:
    if decision.form in ("do", "switch"):
        return trial.suggest_categorical(name, [False, True])
    if decision.form == "choose":
        options = decision.choose or []
        return options[trial.suggest_categorical(name, list(range(len(options))))]
    if decision.form == "between":
        low, high, step, _ = span(decision)
        return said_value(trial.suggest_float(name, low, high, step=step), decision)
    items = (decision.order if decision.form == "order" else decision.pick) or []
    if decision.form == "order":
        keys = [trial.suggest_float(f"{name} {i}", 0.0, 1.0) for i in range(len(items))]
        return [items[i] for i in np.argsort(keys, kind="stable")]
    return [item for i, item in enumerate(items) if trial.suggest_categorical(f"{name} {i}", [False, True])]


def _encoded(decisions: dict[str, Decision], strategy: Strategy) -> dict[str, Any]:
    """A strategy as the sampler's parameters; what cannot be said exactly is left to it."""
    out: dict[str, Any] = {}
    for name, decision in decisions.items():
        chosen = strategy[name]
        if decision.form in ("do", "switch"):
            out[name] = bool(chosen)
        elif decision.form == "choose":
            out[name] = (decision.choose or []).index(chosen)
        elif decision.form == "between":
            low, high, _, _ = span(decision)
            out[name] = min(max(float(str(chosen).split()[0]), low), high)
        else:
            items = (decision.order if decision.form == "order" else decision.pick) or []
            for i, item in enumerate(items):
                place = list(chosen).index(item) / max(len(items) - 1, 1) if item in chosen else 1.0
                out[f"{name} {i}"] = place if decision.form == "order" else item in chosen
    return out


def _kept(journal: Path, identity: str) -> dict[str, list[Outcome]]:
    """What an earlier, interrupted search of the same study has played."""
    if not journal.is_file():
        return {}
    kept: dict[str, list[Outcome]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            continue  # the line that was being written when it was interrupted
        if said.get("study") == identity:
            kept[said["key"]] = said["outcomes"]
    return kept
