"""The example plug-in of docs/how-to/add-a-hazard.md: five files give a hazard that all of citytwin knows."""

from __future__ import annotations

import json
import re
import runpy
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import laws
import pytest
from small_city import small_city

from citytwin.errors import InputError
from citytwin.scenario import json_schema, parse_text, play
from citytwin.sim import columns_with, registry

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "examples" / "plugin"
PAGE = ROOT / "docs" / "how-to" / "add-a-hazard.md"

SCENARIO = """
name: Spring tide
duration: 30min
every: 10min
start: 2026-11-21T18:00:00Z
hazards:
  - surge: {level: 11 m, rise: 20 min}
lifelines: [power, care]
"""


@pytest.fixture
def surge(monkeypatch):
    """The simulator class, with the plug-in on the path and its entry point registered, as after an install."""
    entry = EntryPoint("surge", "citytwin_surge.simulator:Surge", registry.GROUP)
    known = {**registry._entries(), "surge": entry}
    monkeypatch.syspath_prepend(str(PLUGIN / "src"))
    monkeypatch.setattr(registry, "_entries", lambda: known)
    for cached in (registry.simulator, registry.intervention):
        cached.cache_clear()
    yield registry.simulator("surge")
    for cached in (registry.simulator, registry.intervention):
        cached.cache_clear()
    for name in [n for n in sys.modules if n.startswith("citytwin_surge")]:
        del sys.modules[name]


def test_its_declaration_is_whole(surge):
    laws.declaration_is_whole(surge, columns_with())


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_it_keeps(surge, law):
    law(surge)


def test_its_surge_floods_buildings_roads_and_facilities_without_one_line_about_impact(surge, tmp_path):
    result = play(parse_text(SCENARIO), small_city(), tmp_path / "run")
    impact = result.impact
    assert impact["people_exposed"] == 120
    assert impact["buildings_by_damage_state"] == {"none": 0, "slight": 0, "moderate": 16, "extensive": 0, "complete": 0}
    assert impact["loss"] > 0
    assert impact["roads_closed_km"] == pytest.approx(3.9)
    assert impact["facilities_out_by_kind"] == {"hospital": 2, "school": 1}
    assert impact["care_delay"] is None
    assert impact["people_killed"] is None
    assert result.grade["surge"] == "sketch"
    assert json.loads((tmp_path / "run" / "result.json").read_text())["diagnostics"]["surge"]["cells_reached"] == 1600
    assert len(result.table("building")) == 16


def test_it_is_in_the_published_schema_and_a_misspelt_entry_is_refused(surge):
    assert "surge" in json.dumps(json_schema())
    with pytest.raises(InputError, match='did you mean "rise"'):
        parse_text(SCENARIO.replace("rise:", "rice:"))


def test_its_own_tests_pass(surge):
    own = runpy.run_path(str(PLUGIN / "tests" / "test_surge.py"))
    laws_of_its_own = [value for name, value in own.items() if name.startswith("test_")]
    assert len(laws_of_its_own) == 2
    for law in laws_of_its_own:
        law()


def test_the_page_shows_the_files_as_they_are():
    shown = dict(re.findall(r"`([\w/.]+)`:\n\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S))
    files = {str(p.relative_to(PLUGIN)) for p in PLUGIN.rglob("*") if p.suffix in (".py", ".toml") and p.stat().st_size > 200}
    assert set(shown) == files
    for name, text in shown.items():
        assert text == (PLUGIN / name).read_text(encoding="utf-8"), name
