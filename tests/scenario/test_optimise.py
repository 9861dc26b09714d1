"""The search for measures: decisions, front, words, going on after an interruption."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from citytwin.errors import ConflictError, InputError
from citytwin.scenario.optimise import applied, everything, nothing, parse_study
from citytwin.scenario.optimise_search import Search, dominates, every_strategy, front
from citytwin.scenario.optimise_words import document, summed, words, write

SCENARIO = {
    "name": "toy",
    "duration": "1h",
    "hazards": [{"flood": {"rain": {"intensity": "60 mm/h", "duration": "1h"}}}],
    "interventions": [{"at": "10min", "pump": {"place": [1.52, 42.50], "rate": "100 l/s"}}],
}
WALL = {"at": "30min", "wall": {"along": [[1.51, 42.50], [1.52, 42.51]], "height": "1 m"}}
COUNT = 9


def study(**changes):
    """Nine measures with given costs; a number is one of the toy's groups of people."""
    decisions = {f"m{n}": {"do": {**WALL, "at": f"{n + 1} min"}, "cost": COSTS[n]} for n in range(COUNT)}
    said = {"name": "Toy", "scenario": SCENARIO, "members": 3, "evaluations": 90, "decisions": decisions,
            "objectives": [{"minimise": "people_exposed"}, {"minimise": "cost_of_measures"}]}  # fmt: skip
    return parse_study({**said, **changes})


COSTS = [3.0, 5.0, 2.0, 8.0, 1.0, 6.0, 4.0, 7.0, 2.5]
SAVED = [40.0, 55.0, 10.0, 90.0, 12.0, 30.0, 44.0, 20.0, 33.0]


def toy(documents):
    """People left exposed: 400 less what each measure saves; two that help the same people help once and a half."""
    for number, said in enumerate(documents):
        taken = {int(str(e["at"]).split()[0]) - 1 for e in said["interventions"] if "wall" in e}
        saved = sum(SAVED[n] for n in taken) - sum(
            0.5 * min(SAVED[a], SAVED[b]) for a, b in ((0, 1), (3, 6)) if {a, b} <= taken
        )
        yield (
            number,
            [{"people_exposed": 400.0 - saved * (1 + 0.1 * (m - 1)), "loss": 1.0, "people_killed": None} for m in range(3)],
        )


def volume(points, corner):
    """Area that points (both to be small) dominate below `corner`."""
    area, height = 0.0, corner[1]
    for a, b in sorted(points):
        if b < height:
            area += (corner[0] - a) * (height - b)
            height = b
    return area


def exact():
    """The objectives of all 512 strategies of the toy."""
    points = []
    for mask in itertools.product([False, True], repeat=COUNT):
        taken = [{**WALL, "at": f"{n + 1} min"} for n, on in enumerate(mask) if on]
        outcome = next(toy([{"interventions": taken}]))[1]
        points.append(
            (np.mean([o["people_exposed"] for o in outcome]), sum(c for c, on in zip(COSTS, mask, strict=True) if on))
        )
    return points


def test_the_search_comes_within_a_few_percent_of_trying_everything():
    every = exact()
    corner = (401.0, sum(COSTS) + 1)
    for seed in (0, 1):
        found = Search(study(seed=seed), toy).run()
        assert len(found) <= 90
        gap = 1 - volume([tuple(t.values) for t in found], corner) / volume(every, corner)
        assert 0 <= gap < 0.05


def test_a_search_beats_as_many_strategies_drawn_at_random():
    corner = (401.0, sum(COSTS) + 1)
    found = volume([tuple(t.values) for t in Search(study(), toy).run()], corner)
    every, rng = exact(), np.random.default_rng(5)
    drawn = [volume([every[i] for i in rng.choice(len(every), 90, replace=False)], corner) for _ in range(20)]
    assert found > np.max(drawn)


def test_where_all_strategies_fit_all_are_tried_and_the_front_is_exact():
    decisions = {f"m{n}": {"do": {**WALL, "at": f"{n + 1} min"}, "cost": COSTS[n]} for n in range(4)}
    search = Search(study(decisions=decisions), toy)
    found = search.run()
    assert search.whole
    assert len(found) == 16
    best = front(found)
    assert all(not any(dominates(other, one) for other in found) for one in best)
    assert [t.name for t in best if t.name] == ["everything", "nothing"]


def test_a_strategy_that_breaks_a_constraint_is_never_on_the_front():
    limited = study(constraints=[{"of": "cost_of_measures", "at_most": 10}])
    found = Search(limited, toy).run()
    best = front(found)
    assert best
    assert all(limited.cost(t.strategy) <= 10 for t in best)
    assert any(limited.cost(t.strategy) > 10 for t in found)
    optimum = min(a for a, b in exact() if b <= 10)
    assert min(t.values[0] for t in best) <= optimum * 1.03


def test_no_strategy_within_the_constraints_is_said_in_one_line():
    impossible = study(constraints=[{"of": "people_exposed", "at_most": 1}])
    with pytest.raises(InputError, match=r"no strategy of \d+ keeps the constraints"):
        summed(impossible, Search(impossible, toy).run(), False)


def test_an_interrupted_search_goes_on_and_finds_the_same(tmp_path):
    journal, played = tmp_path / "evaluations.jsonl", []

    def counted(documents):
        for number, outcomes in toy(documents):
            played.append(number)
            yield number, outcomes

    whole = Search(study(), toy).run()
    interrupted = Search(study(), counted, journal, stop=lambda: len(played) >= 30)
    with pytest.raises(Exception, match="stopped"):
        interrupted.run()
    with journal.open("a") as file:
        file.write('{"study": "half a li')
    before = len(played)
    again = Search(study(), counted, journal).run()
    assert [t.key for t in again] == [t.key for t in whole]
    assert len(played) - before == len(whole) - before
    assert len(Search(study(seed=3), counted, journal).run()) == len(played) - len(whole)


def test_decisions_on_a_measure_not_taken_make_no_new_strategy():
    decisions = {
        "wall": {"do": WALL, "cost": 10},
        "height": {"of": "wall", "path": "wall.height", "between": ["0.5 m", "2 m"], "step": "50 cm", "cost": 4},
        "start": {"of": "wall", "path": "at", "choose": ["10min", "20min"]},
    }
    small = study(decisions=decisions)
    strategies = every_strategy(small, 90)
    assert len(strategies) == 1 + 4 * 2
    taken = next(s for s in strategies if s["wall"] and s["height"] == "1.5 m" and s["start"] == "20min")
    assert small.cost(taken) == pytest.approx(10 + 4 * 1.5)
    assert small.cost(nothing(small)) == 0
    document = small.document(taken)
    assert document["interventions"][1] == {**WALL, "at": "20min", "wall": {**WALL["wall"], "height": "1.5 m"}}
    assert SCENARIO["interventions"] == small.document(nothing(small))["interventions"]


def test_every_form_of_decision_reaches_its_place():
    decisions = {
        "pump kept": {"switch": [0]},
        "rain": {"path": "flood.rain.intensity", "between": ["20 mm/h", "80 mm/h"]},
        "hours": {"path": "duration", "choose": ["1h", "2h"]},
        "place": {"path": "interventions[0].pump.place", "order": [1.52, 42.50]},
    }
    formed = {n: d for n, d in study(decisions=decisions).form.decisions.items()}
    strategy = {"pump kept": True, "rain": "33 mm/h", "hours": "2h", "place": [42.50, 1.52]}
    said = applied(SCENARIO, formed, strategy)
    assert said["hazards"][0]["flood"]["rain"]["intensity"] == "33 mm/h"
    assert said["duration"] == "2h"
    assert said["interventions"][0]["pump"]["place"] == [42.50, 1.52]
    assert applied(SCENARIO, formed, {**strategy, "pump kept": False})["interventions"] == []


def test_orders_and_parts_are_searched():
    decisions = {
        "first": {"path": "description", "choose": ["a", "b"]},
        "order": {"path": "vary", "order": ["x", "y", "z"]},
        "zones": {"path": "name", "pick": ["n", "s", "e", "w"], "cost": 2},
    }
    from citytwin.scenario.optimise import Decision
    from citytwin.scenario.optimise_search import _decoded, _encoded

    formed = {n: Decision.model_validate(d) for n, d in decisions.items()}
    strategy = {"first": "b", "order": ["z", "x", "y"], "zones": ["s", "w"]}
    parameters = _encoded(formed, strategy)

    class Trial:
        def suggest_categorical(self, name, choices):
            return parameters[name]

        def suggest_float(self, name, low, high, step=None):
            return parameters[name]

    assert _decoded(formed, Trial()) == strategy


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"decisions": {"a": {"do": WALL, "choose": [1]}}}, "exactly one"),
        ({"decisions": {"a": {"do": {"wal": {}}}}}, "wall"),
        ({"decisions": {"a": {"switch": [4]}}}, "counted from 0"),
        ({"decisions": {"a": {"choose": [1, 2]}}}, "path"),
        ({"decisions": {"a": {"path": "flood.rian.intensity", "choose": ["1 mm/h"]}}}, "rain"),
        ({"decisions": {"a": {"of": "b", "path": "at", "choose": ["1h"]}}}, "no decision"),
        ({"decisions": {"a": {"path": "flood.rain.intensity", "between": ["9 mm/h", "1 mm/h"]}}}, "not below"),
        ({"objectives": [{"minimise": "loss", "maximise": "loss"}]}, "either"),
        ({"constraints": [{"of": "loss"}]}, "at_most"),
        ({"strategies": {"mine": {"m99": True}}}, "no decision"),
        ({"evaluation": 3}, "evaluations"),
    ],
)
def test_a_wrong_study_is_refused_with_a_way_out(change, hint):
    with pytest.raises(InputError) as caught:
        study(**change)
    assert hint in str(caught.value)


def test_an_objective_that_nobody_simulates_is_named():
    with pytest.raises(InputError, match="people_killed"):
        Search(study(objectives=[{"minimise": "people_killed"}]), toy).run()


def test_what_was_found_is_written_for_programs_and_for_people(tmp_path):
    small = study(strategies={"our plan": {"m3": True, "m0": True}})
    search = Search(small, toy)
    found = summed(small, search.run(), search.whole)
    write(found, tmp_path)
    said = json.loads((tmp_path / "front.json").read_text())
    assert said["front"][said["recommended"]]["keeps_constraints"]
    assert {t["name"] for t in [*said["front"], *said["baselines"]]} >= {"nothing", "everything", "our plan"}
    bands = said["front"][0]["objectives"]["people_exposed"]
    assert bands["low"] <= bands["value"] <= bands["high"]
    assert all(0 <= t["confidence"] <= 1 for t in said["front"])
    table = pd.read_parquet(tmp_path / "strategies.parquet")
    assert len(table) == said["evaluations"]
    recommended = yaml.safe_load((tmp_path / "recommended.yaml").read_text())
    from citytwin.scenario import parse

    assert parse(recommended).duration == 3600
    assert "instead of 400" in recommended["description"]
    assert (tmp_path / "front.svg").read_text().count("<svg") == 1
    told = (tmp_path / "explanation.md").read_text()
    assert "**Recommended:" in told
    assert "cannot be bettered" in told
    assert told == words(found)
    assert document(found)["explanation"] == told


def test_maximised_objectives_count_the_other_way_round():
    turned = study(objectives=[{"maximise": "people_exposed"}, {"minimise": "cost_of_measures"}])
    best = front(Search(turned, toy).run())
    assert [t.name for t in best] == ["nothing"]
    assert everything(turned)["m0"] is True


def test_a_folder_with_another_study_is_left_alone(tmp_path, made_city):
    from citytwin.scenario.optimise_words import optimise

    (tmp_path / "study.yaml").write_text("other")
    with pytest.raises(ConflictError, match="holds something else"):
        optimise(study(), made_city, tmp_path)
