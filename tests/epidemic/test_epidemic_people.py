"""The people that an epidemic meets: households, classes, teams and care homes that could be, and margins that hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from epidemic_town import epidemic, town

from citytwin.city import read_city
from citytwin.errors import InputError, MissingError
from citytwin.hazards.epidemic.arrays import CARE_HOME, CLASS, TEAM
from citytwin.hazards.epidemic.contacts import matrix, rates
from citytwin.hazards.epidemic.fitting import by_columns, by_rows, fitted, gravity, radiation, whole
from citytwin.hazards.epidemic.mobility import alias_table, brought_together, commutes, leisure, mixing_of, read_trips
from citytwin.hazards.epidemic.people import cut, read_persons, settle
from citytwin.hazards.epidemic.peopling import Margins, ages_by_zone, make_persons, read_margins, sizes_of


def made(margins=None, jobs=None, seed=1):
    rng = np.random.default_rng(seed)
    return settle(town(), make_persons(town(), margins or Margins(), rng, [], jobs), rng, [])


def test_everybody_who_lives_in_a_building_is_there():
    people = made()
    assert len(people) == int(town().table("building")["people"].sum())
    assert np.array_equal(np.bincount(people.zone, minlength=16).sum(), len(people))


def test_people_of_the_tables_keep_their_households_and_places(made_city):
    city = read_city(made_city)
    people = settle(city, read_persons(city), np.random.default_rng(1), [])
    assert len(people) == city.size("person")
    assert len(people.town.household_start) - 1 == city.size("household")
    age = city.table("person")["age"].to_numpy()
    assert np.array_equal(people.age, age[people.row])
    pupils = city.table("person")["occupation"].to_numpy()[people.row] == "pupil"
    assert np.mean(people.layer[pupils] == CLASS) > 0.9


def test_classes_hold_twenty_to_thirty_and_teams_at_most_twenty():
    people = made()
    size = np.diff(people.town.group_start)
    layer = people.town.group_layer
    assert size[layer == CLASS].max() <= 27  # 25 and a teacher or two
    assert np.median(size[layer == CLASS]) >= 18
    assert 0 < size[layer == TEAM].max() <= 20
    assert (layer == CARE_HOME).any()
    assert size.min() >= 1


def test_children_live_with_adults():
    people = made()
    household = people.household
    grown = np.bincount(household, weights=people.age >= 18)
    minors = np.bincount(household, weights=people.age < 18)
    assert np.mean(grown[minors > 0] > 0) > 0.98


def test_household_sizes_follow_the_census():
    people = made()
    size = np.diff(people.town.household_start)
    share = np.bincount(size, minlength=4)[1:4] / len(size)
    assert np.allclose(share, [0.42, 0.34, 0.12], atol=0.03)


def test_rounding_keeps_both_margins():
    rng = np.random.default_rng(3)
    table = rng.gamma(0.4, 5.0, (40, 18))
    rows = np.floor(table.sum(axis=1)).astype(int)
    rows[0] += round(table.sum()) - rows.sum()
    out = whole(table, rows)
    assert np.array_equal(out.sum(axis=1), rows)
    assert np.abs(out.sum(axis=0) - table.sum(axis=0)).max() <= 1.0
    assert out.min() >= 0


def test_fitting_reaches_the_margins():
    rng = np.random.default_rng(4)
    table = rng.uniform(0.5, 2.0, (5, 7))
    rows, columns = np.arange(1, 6) * 10.0, np.full(7, 150 / 7)
    out = fitted(table, [(by_rows(table.shape), rows), (by_columns(table.shape), columns)])
    assert np.allclose(out.sum(axis=1), rows, rtol=1e-4)
    assert np.allclose(out.sum(axis=0), columns, rtol=1e-4)


def test_ages_of_a_zone_follow_its_census():
    old = np.zeros(18)
    old[14:] = 100.0
    table = ages_by_zone(Margins(zone_age={1: old}), np.array([500, 300]))
    assert table[1, :14].sum() == 0
    assert table.sum(axis=1).tolist() == [500, 300]


def test_census_margins_are_read_and_wrong_ones_refused(tmp_path):
    good = tmp_path / "census.csv"
    good.write_text("zone,margin,class,people\n,age,0-64,900\n,age,65+,100\nz1,household_size,1,10\nz1,sex,f,60\nz1,sex,m,40\n")
    margins = read_margins(good, town())
    assert margins.age[:13].sum() == pytest.approx(900)
    assert margins.women[1] == pytest.approx(0.6)
    people = made(margins)
    assert np.mean(people.age >= 65) == pytest.approx(0.1, abs=0.01)
    assert np.mean(people.female[people.zone == 1]) == pytest.approx(0.6, abs=0.02)
    bad = tmp_path / "bad.csv"
    bad.write_text("zone,margin,class,people\nzz1,age,0-64,900\n")
    with pytest.raises(InputError, match='no zone "zz1"'):
        read_margins(bad, town())
    with pytest.raises(MissingError, match="no such file"):
        read_margins(tmp_path / "none.csv", town())


@pytest.mark.parametrize("people", [1, 2, 7, 100, 999])
def test_sizes_of_households_add_up(people):
    sizes = sizes_of(people, Margins().size, np.random.default_rng(1))
    assert sizes.sum() == people
    assert sizes.min() >= 1


def test_groups_are_never_over_two_places():
    place = np.sort(np.random.default_rng(2).integers(0, 30, 700))
    number = cut(place, 20)
    frame = pd.DataFrame({"place": place, "number": number})
    assert frame.groupby("number")["place"].nunique().max() == 1
    assert frame.groupby("number").size().max() <= 20
    assert np.array_equal(np.unique(number), np.arange(number.max() + 1))


def test_gravity_meets_its_sums_and_its_mean_length():
    rng = np.random.default_rng(5)
    at = rng.uniform(0, 10_000, (12, 2))
    distance = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1)) + 300
    leaving, jobs = rng.uniform(50, 500, 12), rng.uniform(50, 500, 12)
    trips = gravity(distance, leaving, jobs, mean=3500.0)
    assert np.allclose(trips.sum(axis=1), leaving, rtol=1e-3)
    assert np.allclose(trips.sum(axis=0), jobs * leaving.sum() / jobs.sum(), rtol=1e-3)
    assert (trips * distance).sum() / trips.sum() == pytest.approx(3500, rel=0.02)
    assert np.allclose(radiation(distance, jobs, leaving).sum(axis=1), leaving)


def test_trips_of_a_file_decide_where_people_work(tmp_path):
    path = tmp_path / "trips.csv"
    path.write_text("origin,destination,count,period\n" + "".join(f"z{i},z5,100,am\n" for i in range(16)))
    trips = read_trips(path, town())
    people = made(jobs=trips)
    who = people.layer == TEAM
    assert np.mean(people.group_zone[people.town.group[who]] == 5) == 1.0
    assert commutes(people)[:, 5].sum() >= who.sum()
    path.write_text("origin,destination,count\nz1,nowhere,3\n")
    with pytest.raises(InputError, match='no zone "nowhere"'):
        read_trips(path, town())


def test_meetings_between_zones_are_mutual():
    rng = np.random.default_rng(6)
    shares = rng.dirichlet(np.ones(9), 9)
    people = rng.uniform(100, 1000, 9)
    met = brought_together(shares, people)
    assert np.allclose(met.sum(axis=1), 1)
    assert np.allclose(people[:, None] * met, (people[:, None] * met).T)


def test_alias_tables_stand_for_their_weights():
    weight = np.random.default_rng(7).gamma(0.3, 1.0, (6, 11))
    weight = np.pad(weight, ((0, 5), (0, 0)))[:11]
    threshold, alias = alias_table(weight)
    back = threshold / 11
    np.add.at(back, (np.repeat(np.arange(11), 11), alias.reshape(-1)), ((1 - threshold) / 11).reshape(-1))
    assert np.allclose(back[:6], weight[:6] / weight[:6].sum(axis=1, keepdims=True), atol=1e-6)


def test_contacts_by_age_are_mutual_and_as_many_as_declared():
    people = made()
    mixing = mixing_of(people, leisure(town(), people, "gravity", 2000.0))
    each = rates(people, {})
    contacts = matrix(people, each, mixing)
    count = np.bincount(people.town.age_group, minlength=18)
    total = contacts * count[None, :, None]
    for layer in range(5):
        assert np.allclose(total[layer], total[layer].T, rtol=0.02, atol=0.5), layer
    shared = np.diff(people.town.household_start)
    alone = (shared == 1).sum() / len(people)
    assert total[0].sum() / len(people) == pytest.approx(4.11 * (1 - alone), rel=1e-5)


def test_the_people_of_a_run_take_little_memory():
    run = epidemic(1)
    assert run.people.bytes_each < 32
    assert run.outbreak.persons.itemsize == 24
