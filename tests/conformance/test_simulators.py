"""Every installed simulator keeps the laws: a new one is tested here without new lines."""

from __future__ import annotations

import jsonschema_rs
import laws
import pytest
from small_city import small_city

from citytwin.city import City
from citytwin.scenario import json_schema, parse, play
from citytwin.sim import all_simulators, columns_with, order

KINDS = {kind.spec.name: kind for kind in all_simulators()}


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    return KINDS[request.param]


def test_its_declaration_is_whole(kind):
    laws.declaration_is_whole(kind, columns_with())


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_simulator(kind, law):
    law(kind)


def test_all_of_them_play_together_on_a_city_that_has_little_else_than_buildings(tmp_path):
    city = small_city()
    bare = City(city.facts, {"building": city.table("building")[["key", "geometry"]]}, city.ground)
    said = {"name": "Bare", "duration": "10min", "every": "5min", "start": "2026-11-21T18:00:00Z"}
    hazards = [{"flood": {"rain": {"intensity": "500 mm/h"}}}]
    result = play(parse({**said, "hazards": hazards, "lifelines": ["power", "water"]}), bare, tmp_path / "run")
    assert result.impact["buildings_exposed"] >= 0
    assert result.impact["customers_without_power"] is None
    assert "road" in result.document["diagnostics"]["access"]["left_out"]


def test_the_published_schema_of_scenarios_is_valid_with_all_of_them():
    jsonschema_rs.meta.validate(json_schema())


def test_every_column_has_one_writer():
    writers: dict[str, list[str]] = {}
    for kind in KINDS.values():
        for column in kind.spec.writes:
            writers.setdefault(column.name, []).append(kind.spec.name)
    assert {name: who for name, who in writers.items() if len(who) > 1} == {}


def test_all_of_them_can_be_put_in_an_order_where_writers_go_first():
    specs = order([kind.spec for kind in KINDS.values()])
    place = {spec.name: number for number, spec in enumerate(specs)}
    written = {c.name: s.name for s in specs for c in s.writes}
    for spec in specs:
        for name in (*spec.reads, *spec.heeds):
            writer = written.get(name, spec.name)
            assert place[writer] <= place[spec.name], f"{spec.name} reads {name} before {writer} writes it"
