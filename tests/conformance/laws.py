"""The laws that every simulator keeps, as functions of its class: installed ones and the example plug-in are held to them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import numpy as np
from small_city import pond, small_city

from citytwin.city import FORMS, City
from citytwin.columns import Columns
from citytwin.jsonable import plain
from citytwin.scenario.result import IMPACT
from citytwin.sim import Parameters, Setup, Simulator, Streams, columns_with
from citytwin.state import State

STEP = 120.0
DIALECT = "https://json-schema.org/draft/2020-12/schema"
KNOWN_TABLES = {*FORMS, "cell"}


def sample(model: type[Parameters]) -> Parameters:
    """Parameters to try a simulator with: the first of the `examples` in its JSON Schema, or its defaults."""
    examples = model.model_json_schema().get("examples")
    if not examples and not any(field.is_required() for field in model.model_fields.values()):
        return model()
    assert examples, f'{model.__name__} has required entries: give it model_config json_schema_extra={{"examples": [...]}}'
    return model.model_validate(examples[0])


def cities() -> dict[str, City]:
    """Cities of different wealth: with everything, and with no networks but places on the map."""
    full = small_city()
    poor = {t: full.table(t) for t in full.tables if t not in ("power_bus", "power_line", "water_node", "pipe")}
    return {"full": full, "poor": City(full.facts, poor, full.ground)}


class Watched(State):
    """A state that notes which columns are asked for and which are written."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self.read: set[str] = set()
        self.wrote: set[str] = set()
        super().__init__(*args, **more)

    def __getitem__(self, name: str):
        self.read.add(name)
        return super().__getitem__(name)

    def edit(self, name: str):
        self.wrote.add(name)
        return super().edit(name)

    def __setitem__(self, name: str, values) -> None:
        self.wrote.add(name)
        super().__setitem__(name, values)


def wet_state(city: City, kind: type[Simulator], depth: float = 1.6) -> Watched:
    """A state with every column that `kind` reads set to something, and a pond over half the city."""
    state = Watched(city)
    columns_with(state.columns)
    rng = np.random.default_rng(5)
    for name in (
        *kind.spec.reads,
        *kind.spec.heeds,
        *kind.spec.recalls,
        *(c.name for c in kind.spec.writes if c.table == "cell"),
    ):
        column = state.columns[name]
        if column.table not in city and column.table != "cell":
            continue
        if column.table == "cell":
            state[name] = np.clip(pond(depth, 150, 50, 390, 350).ravel(), 0, column.high)
        elif depth:
            top = min(column.high, 3.0)
            state[name] = np.floor(rng.uniform(0, top + 1, city.size(column.table))) if column.categories else top / 2
    state.read.clear()
    state.wrote.clear()
    return state


def run(kind: type[Simulator], city: City, state: State, steps: int = 2, seed: int = 1) -> Simulator:
    made = kind(Setup(city, sample(kind.spec.params), 0.0, steps * STEP, Streams(seed)), state)
    for number in range(steps):
        status = made.advance(state, number * STEP, (number + 1) * STEP)
        assert status.ok, status
    return made


def declaration_is_whole(kind: type[Simulator], known: Columns) -> None:
    """`describe` is plain JSON with valid schemas; words are there; tables and read columns exist."""
    spec, told = kind.spec, json.loads(json.dumps(kind.spec.describe(), allow_nan=False))
    assert spec.room in ("hazard", "lifeline", "impact")
    assert isinstance(kind, type)
    for schema in (told["params"], *(i["params"] for i in told["interventions"])):
        assert jsonschema_rs.meta.is_valid({"$schema": DIALECT, **schema})
    assert len(spec.title) > 3
    assert len(spec.source.split()) > 3
    assert spec.limits.rstrip().endswith(".")
    assert {*spec.needs, *spec.optional} <= KNOWN_TABLES
    assert not set(spec.needs) & set(spec.optional)
    used = (*spec.reads, *spec.heeds, *spec.recalls)
    assert all(name in known for name in used), [n for n in used if n not in known]
    for column in spec.writes:
        assert column.table in {*spec.needs, *spec.optional}, f"{column.name} is on {column.table}, neither needed nor optional"
    if spec.always:
        spec.params()


def it_touches_what_it_declares(kind: type[Simulator]) -> None:
    """Over all cities: nothing undeclared is read or written, and everything declared is."""
    read, wrote, there = set(), set(), set()
    own = {c.name for c in kind.spec.writes}
    heard = {*kind.spec.reads, *kind.spec.heeds, *kind.spec.recalls}
    for city in cities().values():
        state = wet_state(city, kind)
        run(kind, city, state).summary(state)
        assert state.read <= own | heard, f"reads {state.read - own - heard} undeclared"
        assert state.wrote <= own, f"writes {state.wrote - own} undeclared"
        read, wrote = read | state.read, wrote | state.wrote
        there |= {c.name for c in kind.spec.writes if c.table == "cell" or c.table in city}
    assert set(kind.spec.reads) <= read, f"declares to read {set(kind.spec.reads) - read} and does not"
    assert there <= wrote, f"declares to write {there - wrote} and does not"


def it_keeps_values_within_declared_bounds(kind: type[Simulator]) -> None:
    for city in cities().values():
        state = wet_state(city, kind)
        run(kind, city, state)
        for column in kind.spec.writes:
            if column.table != "cell" and column.table not in city:
                continue
            values = state[column.name]
            known = values[~np.isnan(values)]
            assert np.all((known >= column.low) & (known <= column.high)), column.name
            if column.categories:
                assert np.all(known == np.floor(known)), column.name
                assert known.max(initial=0) < len(column.categories), column.name


def it_leaves_a_forked_state_alone(kind: type[Simulator]) -> None:
    city = cities()["full"]
    parent = wet_state(city, kind)
    before = {name: parent[name].copy() for name in parent.written}
    child = parent.fork()
    run(kind, city, child)
    assert set(parent.written) == set(before)
    for name, values in before.items():
        assert np.array_equal(parent[name], values, equal_nan=True), name


def it_repeats_itself(kind: type[Simulator]) -> None:
    outcomes = []
    for _ in range(2):
        city = cities()["full"]
        state = wet_state(city, kind)
        made = run(kind, city, state, seed=3)
        outcomes.append(({c.name: state[c.name].copy() for c in kind.spec.writes}, plain(made.summary(state))))
    first, second = outcomes
    for name in first[0]:
        assert np.array_equal(first[0][name], second[0][name], equal_nan=True), name
    assert first[1] == second[1]


def its_summary_is_json(kind: type[Simulator]) -> None:
    for city in cities().values():
        state = wet_state(city, kind)
        summary = run(kind, city, state).summary(state)
        json.dumps(plain(summary), allow_nan=False)
        assert {name.split("_by_")[0] for name in summary.get("impact", {})} <= {name.split("_by_")[0] for name in IMPACT}


def numbers(value: Any, path: str = "") -> dict[str, float]:
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in numbers(inner, f"{path}.{key}").items()}
    return {} if value is None else {path: float(value)}


def no_hazard_no_impact(kind: type[Simulator]) -> None:
    """On dry ground (and with the default parameters of a hazard) every number under "impact" is 0, but undamaged buildings."""
    if kind.spec.params.model_json_schema().get("examples"):
        return
    for city in cities().values():
        state = wet_state(city, kind, depth=0.0)
        impact = run(kind, city, state).summary(state).get("impact", {})
        wrong = {k: v for k, v in numbers(impact).items() if v and not k.endswith(".none")}
        assert not wrong, wrong


def it_runs_with_no_more_than_it_needs(kind: type[Simulator]) -> None:
    city = small_city()
    bare = City(city.facts, {t: city.table(t) for t in kind.spec.needs if t != "cell"}, city.ground)
    state = wet_state(bare, kind)
    made = run(kind, bare, state)
    json.dumps(plain(made.summary(state)), allow_nan=False)


LAWS = (
    it_touches_what_it_declares, it_keeps_values_within_declared_bounds, it_leaves_a_forked_state_alone, it_repeats_itself,
    its_summary_is_json, no_hazard_no_impact, it_runs_with_no_more_than_it_needs,
)  # fmt: skip
