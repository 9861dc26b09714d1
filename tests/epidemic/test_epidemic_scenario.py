"""Epidemics as scenarios: declared diseases, water, heat, and a play that leaves a result."""

from __future__ import annotations

import numpy as np
import pytest
from epidemic_town import DAY, OWN, epidemic, infected, planned, town

from citytwin.errors import InputError
from citytwin.hazards.epidemic import Epidemic, contacts
from citytwin.hazards.epidemic.disease import parse_disease, read_disease, shipped_diseases
from citytwin.hazards.epidemic.law import law_of
from citytwin.hazards.epidemic.metapopulation import Metapopulation
from citytwin.scenario import check, parse, play
from citytwin.state import State


def scenario(**said):
    return {"name": "E", "duration": "30d", "every": "1d", "start": "2027-01-04T00:00:00Z", "seed": 4,
            "hazards": [{"epidemic": {"disease": "influenza", **said}}]}  # fmt: skip


@pytest.mark.parametrize("name", shipped_diseases())
def test_a_shipped_disease_says_where_its_numbers_come_from(name):
    disease = read_disease(name)
    assert disease.sources
    assert len(disease.states) >= 4
    assert disease.summary.endswith(".")


@pytest.mark.parametrize(("change", "words"), [
    (("infected = true\n", ""), "exactly one state has infected"),
    (('to = "recovered"', 'to = "recoverd"'), 'did you mean "recovered"'),
    (("immune = true", "imune = true"), 'did you mean "immune"'), (('mean = "1.0 d"', 'mean = "1.0 m"'), "give it in s"),
    (("[states.susceptible]", "[states.sane]"), "no state"),
    (("infectivity = 1.0", "infectivity = -1"), "greater than or equal to 0"),
], ids=range(6))  # fmt: skip
def test_a_wrong_declaration_is_refused_in_one_line(change, words):
    from validation.epidemic_spread import PLAIN

    text = PLAIN.format(days="1.0", kind="fixed", exposed="2.0", exposed_sd="0", latent="fixed", more="")
    parse_disease(text, "own.toml")
    assert change[0] in text
    with pytest.raises(InputError) as raised:
        parse_disease(text.replace(change[0], change[1]), "own.toml")
    assert words in str(raised.value)
    assert str(raised.value).startswith("own.toml")
    assert "\n" not in str(raised.value)


def test_an_unknown_disease_is_refused_with_the_nearest():
    problems = check({**scenario(), "hazards": [{"epidemic": {"disease": "measels"}}]})
    assert len(problems) == 1
    assert 'did you mean "measles"' in str(problems[0])


def test_a_disease_in_a_file_beside_the_scenario_is_read_and_kept_in_the_result(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    said = scenario(disease="own.toml")
    result = play(parse(said, tmp_path), town(), tmp_path / "run")
    assert result.impact["people_infected"] > 10
    assert result.document["diagnostics"]["epidemic"]["disease"] == "Own"
    assert result.document["provenance"]["parameters"]["epidemic"]["disease"]["name"] == "Own"
    assert "may not name files" in str(check(said)[0])


def test_a_play_leaves_courses_totals_and_a_map_by_zone(tmp_path):
    measures = [{"at": "5d", "school_closure": {}}, {"at": "5d", "test_trace_isolate": {}}]
    result = play(parse({**scenario(seeds=[{"people": 40}]), "interventions": measures}), town(), tmp_path / "run")
    assert {"zone", "facility"} <= set(result.tables)
    with result.fields as fields:
        course = fields["zone_infected"].values
        assert course.shape[0] == 31
        assert course.sum(axis=1).max() > course.sum(axis=1)[0] == 40
    told = result.document["diagnostics"]["epidemic"]
    assert len(told["course"]["infections"]) == 30
    assert sum(told["infected_by_place"].values()) == result.impact["people_infected"]
    assert sum(told["infected_by_age"].values()) == result.impact["people_infected"]
    assert result.impact["school_days_lost"] > 0


def test_steps_shorter_than_a_day_change_nothing():
    outcomes = []
    for every in (DAY, DAY / 4, 2.5 * DAY):
        made = epidemic(0, length=20)
        now = 0.0
        while now < 10 * DAY - 1:
            made.advance(made.state, now, min(now + every, 10 * DAY))
            now += every
        outcomes.append(made.outbreak.infected_by_day[:11])
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_immune_children_are_spared_measles():
    shielded = epidemic(80, disease="measles", immune={"0-19": 1.0, "20+": 0.5})
    open_ = epidemic(80, disease="measles", immune={"0-19": 0.0, "20+": 0.5})
    young = [m.outbreak.tally.place.sum(axis=(0, 1))[:4].sum() for m in (shielded, open_)]
    assert young[0] <= 20 < young[1]


def test_contaminated_water_starts_cholera_where_it_flows():
    none = epidemic(15, disease="cholera", seeds=[{"people": 0}])
    assert infected(none) == 0
    made = epidemic(
        15, disease="cholera", seeds=[{"people": 0}], contamination=[{"zone": "z6", "level": 2.0, "duration": "4 d"}]
    )
    ever = np.bincount(made.people.zone, weights=made.outbreak.health.past > 0, minlength=16)
    assert ever[6] > 10
    assert ever[6] > 3 * np.delete(ever, 6).max()
    assert made.state["zone_water_contamination"].argmax() == 6


def test_dry_taps_raise_contamination():
    city = town()
    made = epidemic(0, length=20, disease="cholera", seeds=[{"people": 0}])
    state: State = made.state
    state["building_without_water"] = 1.0
    made.advance(state, 0.0, 5 * DAY)
    assert state["zone_water_contamination"].max() > 0.1
    assert infected(made) > 0
    assert isinstance(made, Epidemic)
    assert city.size("zone") == 16


def test_heat_makes_the_old_ill_on_hot_days_only():
    cool = epidemic(10, disease="heat", temperature="29 degC")
    hot = epidemic(10, disease="heat", temperature={"0d": "29 degC", "4d": "60 degC"})
    assert infected(cool) == 0
    new = hot.outbreak.infected_by_day
    assert sum(new[:5]) == 0 < sum(new[5:])
    ill = hot.outbreak.tally.place.sum(axis=(0, 1)) / np.maximum(np.bincount(hot.people.town.age_group, minlength=18), 1)
    assert ill[15:].mean() > 3 * ill[1:10].mean()


def test_both_forms_of_a_disease_agree_on_the_whole():
    """Households repeat contacts, so the individual form is slower and smaller, and not by much."""
    made = epidemic(180, seeds=[{"people": 60}])
    law = law_of(made.disease)
    meta = Metapopulation.of(made.people, made.disease, law, made.contacts, made.outbreak.mixing, made.per_contact, seed=3)
    meta.seed(np.bincount(made.people.zone[: 60 * 60 : 60], minlength=16))
    for _ in range(180):
        meta.step()
    assert meta.counts.sum() == len(made.people)
    assert meta.counts.min() >= 0
    attack = sum(meta.infected_by_day) / len(made.people)
    assert infected(made) / len(made.people) < attack < infected(made) / len(made.people) + 0.3


def test_the_next_generation_has_the_declared_reproduction_number():
    made = epidemic(0, r0=2.2)
    table = contacts.next_generation(made.disease, law_of(made.disease), made.contacts) * made.per_contact
    assert np.abs(np.linalg.eigvals(table)).max() == pytest.approx(2.2, rel=1e-6)


def test_measures_without_an_epidemic_are_refused(tmp_path):
    said = {"name": "F", "duration": "1h", "hazards": [{"flood": {"rain": {"intensity": "1 mm/h"}}}],
            "interventions": [{"lockdown": {}}]}  # fmt: skip
    with pytest.raises(InputError, match=r"needs cell|nothing in this scenario heeds"):
        play(parse(said), town(), tmp_path / "run")
    assert planned("lockdown").name == "lockdown"
