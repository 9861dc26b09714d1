"""The scenario document: what is accepted, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from citytwin.errors import InputError
from citytwin.scenario import check, json_schema, parse, parse_text, read_scenario

GOOD = {"name": "x", "duration": "6h", "hazards": [{"flood": {"rain": {"intensity": "60 mm/h", "duration": "1h"}}}]}


def test_the_scenario_of_the_design_page_is_understood() -> None:
    scenario = parse_text(
        "name: cloudburst\nstart: 2026-11-21T18:00:00Z\nduration: 6h\nevery: 5min\nseed: 1\n"
        "hazards:\n  - flood: {rain: {intensity: 60 mm/h, duration: 1h}}\n"
        "lifelines: [traffic, power, water, care]\n"
        "interventions:\n  - {at: 30min, wall: {along: [[1.520, 42.506], [1.524, 42.507]], height: 1 m}}\n"
        "members: 20\nvary:\n  flood.rain.intensity: {lognormal: {median: 60 mm/h, sigma: 0.2}}\n"
    )
    assert scenario.duration == 21600
    assert scenario.every == 300
    assert scenario.start.isoformat() == "2026-11-21T18:00:00+00:00"
    assert set(scenario.params) == {"flood", "traffic", "power", "water", "care"}
    assert scenario.interventions[0].at == 1800
    assert scenario.members == 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"durations": "6h"}, 'did you mean "duration"?'),
        ({"duration": "6 m"}, "give it in s"),
        ({"duration": 6}, "has no unit"),
        ({"duration": "-1h"}, "greater than 0"),
        ({"hazards": [{"flod": {}}]}, 'did you mean "flood"?'),
        ({"hazards": []}, "hazards"),
        ({"hazards": [{"flood": {"rain": {"intensty": "60 mm/h", "duration": "1h"}}}]}, 'did you mean "intensity"?'),
        ({"hazards": [{"flood": {"rain": {"intensity": "60 furlongs", "duration": "1h"}}}]}, "intensity"),
        ({"lifelines": ["trafic"]}, 'did you mean "traffic"?'),
        ({"interventions": [{"at": "1h", "wal": {}}]}, 'did you mean "wall"?'),
        ({"vary": {"flood.rain.intensty": {"uniform": {"low": "1 mm/h", "high": "2 mm/h"}}}}, 'did you mean "intensity"?'),
        ({"vary": {"flood.rain.intensity": {"unifrm": {}}}}, 'did you mean "uniform"?'),
        ({"members": 0}, "members"),
        ({"start": "yesterday"}, "start"),
    ],
)
def test_a_mistake_is_one_line_with_the_way_out(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse({**GOOD, **change})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_found_at_once() -> None:
    problems = check({**GOOD, "durations": 1, "members": 0})
    assert len(problems) == 2


@pytest.mark.parametrize("text", ["", "- a\n- b", "name: [", "just words", "\x00"])
def test_what_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_scenario(path)
    assert "s.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_published_schema_knows_every_installed_simulator() -> None:
    schema = json_schema()
    assert "flood" in str(schema["properties"]["hazards"])
    assert "wall" in str(schema["properties"]["interventions"])
    assert schema["additionalProperties"] is False


def test_what_is_reckoned_anyhow_can_be_told_how() -> None:
    scenario = parse({**GOOD, "impact": [{"loss": {"price_factor": 1.3}}]})
    assert scenario.params["loss"].model_dump()["price_factor"] == 1.3
    with pytest.raises(InputError, match="price_factor"):
        parse({**GOOD, "impact": [{"loss": {"price_facter": 1.3}}]})
