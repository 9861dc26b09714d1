"""Measures do what they say: on average, over the same seeds, more of them means less illness."""

from __future__ import annotations

import numpy as np
import pytest
from epidemic_town import epidemic, infected, mean_of, planned, town

from citytwin.errors import InputError
from citytwin.hazards.epidemic.arrays import CLASS, COMMUNITY


def deaths(made) -> float:
    return float(made.summary(made.state)["impact"]["people_killed"])


def test_more_vaccine_means_fewer_infections_and_deaths():
    def policy(doses):
        return [planned("vaccination", 5, doses_a_day=doses, order=["60+", "0+"], hesitancy=0.0)] if doses else []

    sizes = [mean_of(infected, days=120, measures=policy(d)) for d in (0, 30, 200)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] < 0.7 * sizes[0]
    lethal = [mean_of(deaths, days=160, measures=policy(d)) for d in (0, 200)]
    assert lethal[1] < lethal[0]


def test_vaccinating_the_old_first_saves_more_than_the_young_first():
    def policy(order):
        return [planned("vaccination", 0, doses_a_day=40, order=order, hesitancy=0.0)]

    old, young = (mean_of(deaths, seeds=8, days=120, measures=policy(o)) for o in (["70+"], ["0-29"]))
    assert old < young


def test_a_stricter_lockdown_infects_fewer():
    sizes = [
        mean_of(infected, seeds=4, days=100, measures=[planned("lockdown", 10, share=s, essential=1 - s)])
        for s in (0, 0.5, 0.9)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("measure", [
    planned("test_trace_isolate", 0, tested=0.9, delay="1 d", sensitivity=1.0),
    planned("quarantine", 0, ill=0.9, household=0.9),
    planned("masks", 0, places=["community", "transit", "class", "team"], keeps_in=0.7, keeps_out=0.5),
    planned("work_closure", 0, share=0.9), planned("school_closure", 0), planned("gathering_limit", 0, people=4),
    planned("curfew", 0, begin_hour=15.0, end_hour=5.0),
], ids=lambda m: m.name)  # fmt: skip
def test_each_measure_infects_fewer_than_none(measure):
    assert mean_of(infected, seeds=5, days=80, measures=[measure]) < 0.97 * mean_of(infected, seeds=5, days=80)


def test_a_travel_limit_keeps_it_in_its_zone():
    how = {"days": 25, "seeds": [{"people": 30, "zone": "z0"}], "r0": 4.0}

    def outside(made):
        return float((made.outbreak.health.past[made.people.zone != 0] > 0).sum())

    free = np.mean([outside(epidemic(seed=s, **how)) for s in range(6)])
    shut = [planned("travel_limit", 0, share=1.0), planned("work_closure", 0, share=1.0), planned("school_closure", 0)]
    kept = np.mean([outside(epidemic(seed=s, measures=shut, **how)) for s in range(6)])
    assert kept == 0 < free


def test_closed_schools_infect_nobody_and_cost_days():
    made = epidemic(60, measures=[planned("school_closure", 0)])
    assert made.outbreak.tally.place.sum(axis=(0, 2))[CLASS] == 0
    pupils = float((made.people.layer == CLASS).sum())
    assert made.measures.lost.school_days == pytest.approx(pupils * sum((3 + d) % 7 < 5 for d in range(60)))  # from a Thursday
    assert made.summary(made.state)["impact"]["measures_cost"] > 0


def test_a_measure_holds_in_its_zones_only_and_for_its_time():
    made = epidemic(20, measures=[planned("lockdown", 2, zones=["z3"], share=1.0, duration="10 d")])
    assert np.all(made.measures.policy.source[COMMUNITY] == 1)
    made = epidemic(8, measures=[planned("lockdown", 2, zones=["z3"], share=1.0, duration="10 d")])
    assert np.flatnonzero(made.measures.policy.source[COMMUNITY] == 0).tolist() == [3]
    assert made.state["zone_traffic_demand"][3] < 0.6 < made.state["zone_traffic_demand"][4] == 1


def test_a_trigger_begins_and_ends_a_measure():
    said = {"share": 0.95, "start": {"of": "incidence", "above": 300}, "stop": {"of": "incidence", "below": 100}}
    made = epidemic(150, measures=[planned("lockdown", 0, **said)], r0=3.0)
    free = epidemic(150, r0=3.0)
    assert infected(made) < 0.8 * infected(free)
    assert made.measures.running[0].since.max() > 1  # not from the start
    never = epidemic(60, measures=[planned("lockdown", 0, **{**said, "start": {"of": "incidence", "above": 1e6}})])
    assert never.outbreak.infected_by_day == epidemic(60).outbreak.infected_by_day


def test_tests_and_calls_keep_to_their_capacity():
    made = epidemic(60, measures=[planned("test_trace_isolate", 0, tested=1.0, capacity=3, trace_capacity=5)])
    assert 0 < made.measures.lost.tests <= 3 * 60
    assert 0 < made.measures.lost.calls <= 5 * 60
    assert made.measures.lost.home_days > 0


def test_doses_are_as_many_as_are_given():
    made = epidemic(30, measures=[planned("vaccination", 0, doses_a_day=20, hesitancy=0.0, order=["0+"])])
    assert made.measures.lost.doses == 20 * 30 == int(made.outbreak.health.dose.sum())
    assert made.state["zone_vaccinated"].sum() == 600
    twice = epidemic(60, measures=[planned("vaccination", 0, doses_a_day=20, hesitancy=0.0, order=["0+"], doses=2)])
    assert (twice.outbreak.health.dose == 2).sum() > 300
    assert twice.measures.lost.doses == int(twice.outbreak.health.dose.sum())


def test_sites_open_on_their_days():
    key = town().table("facility")["key"].iloc[0]
    site = {"facility": key, "an_hour": 5, "hours": 4, "days": ["sat", "sun"]}
    made = epidemic(7, measures=[planned("vaccination", 0, sites=[site], hesitancy=0.0, order=["0+"])])
    assert made.measures.lost.doses == 40


def test_those_who_do_not_want_it_get_none():
    made = epidemic(40, measures=[planned("vaccination", 0, doses_a_day=10_000, hesitancy=0.3, order=["0+"])])
    assert (made.outbreak.health.dose > 0).mean() == pytest.approx(0.7, abs=0.03)


def test_full_hospitals_raise_deaths():
    def killed(made):
        return deaths(made)

    roomy = mean_of(killed, seeds=4, days=150, beds={"usual_occupancy": 0.0, "intensive": 0.5})
    full = mean_of(killed, seeds=4, days=150, beds={"usual_occupancy": 1.0})
    assert full > 1.3 * roomy
    assert epidemic(150, beds={"usual_occupancy": 1.0}).outbreak.turned_away > 0


def test_patients_are_never_more_than_beds():
    made = epidemic(120, length=160)
    for day in range(121, 160):
        made.advance(made.state, (day - 1) * 86400.0, day * 86400.0)
        assert made.hospitals.patients.min() >= 0
        assert np.all(made.hospitals.patients <= made.hospitals.beds)


def test_infected_people_who_come_in_start_an_outbreak():
    made = epidemic(60, seeds=[{"people": 0}], measures=[planned("border_seeding", 5, people_a_day=2.0, variant="alpha")])
    assert made.outbreak.tally.place.sum(axis=(0, 2))[7] > 20
    assert made.outbreak.tally.variants.sum(axis=0)[0] == 0


def test_wrong_names_are_refused_with_the_nearest():
    with pytest.raises(InputError, match="z3"):
        epidemic(1, measures=[planned("lockdown", 0, zones=["z33"])])
    with pytest.raises(InputError, match="care_home"):
        epidemic(1, measures=[planned("vaccination", 0, doses_a_day=1, order=["care_hom"])])
    with pytest.raises(InputError, match="no vaccine"):
        epidemic(1, disease="heat", measures=[planned("vaccination", 0, doses_a_day=1)])


def test_a_better_vaccine_infects_fewer_and_the_scenario_may_say_how_good_it_is():
    def size(share):
        given = [planned("vaccination", 5, doses_a_day=100, order=["0+"], hesitancy=0.0)]
        vaccine = {"infection": [share], "severe": [share], "after": "7 d"}
        return mean_of(infected, seeds=4, days=100, measures=given, vaccine=vaccine)

    sizes = [size(share) for share in (0.0, 0.4, 0.95)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_running_a_measure_costs_money_on_the_days_that_it_holds():
    def cost(**said):
        made = epidemic(30, measures=[planned("masks", 10, cost_a_day="1000 EUR", **said)])
        return made.summary(made.state)["impact"]["measures_cost"]

    assert cost() == 20_000
    assert cost(duration="5 d") == 5000
    assert cost(start={"of": "intensive", "above": 1e9}) == 0
