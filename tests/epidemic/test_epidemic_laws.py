"""What must hold of any outbreak: people are conserved, in one place, and the same seed gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from epidemic_town import OWN, epidemic, infected

from citytwin.hazards.epidemic.arrays import PARTS
from citytwin.hazards.epidemic.disease import parse_disease
from citytwin.hazards.epidemic.law import infectious_days, law_of, staying
from citytwin.sim.jit import use_threads
from validation.epidemic_spread import COMMUNITY, alone, outbreak, plain

ROOT = Path(__file__).resolve().parents[2]


def test_people_are_conserved_in_every_zone():
    made = epidemic(80)
    assert np.array_equal(made.outbreak.counts.sum(axis=1), made.people.of_zone)
    assert made.outbreak.counts.min() >= 0
    recount = np.bincount(made.outbreak.health.state, minlength=made.outbreak.counts.shape[1])
    assert np.array_equal(recount, made.outbreak.counts.sum(axis=0))
    assert infected(made) > 100


def test_nobody_is_in_two_places():
    made = epidemic(40)
    active = made.outbreak.active
    on_the_way = np.concatenate([active.person[p, : active.count[p]] for p in range(PARTS)])
    assert len(np.unique(on_the_way)) == len(on_the_way) > 0
    law = made.outbreak.law
    assert np.all(law.successors[made.outbreak.health.state[on_the_way]] > 0)
    assert np.array_equal(np.sort(on_the_way), np.flatnonzero(law.successors[made.outbreak.health.state] > 0))
    member = made.people.town.group_member
    assert len(np.unique(member)) == len(member)


def test_the_same_seed_gives_the_same_bits_on_one_thread_and_on_two():
    threads = numba.get_num_threads()
    outcomes = []
    try:
        for wanted in (1, 2):
            use_threads(wanted)
            made = epidemic(90, seed=5)
            outcomes.append((made.outbreak.persons.tobytes(), made.outbreak.tally.place.sum(axis=0).tolist()))
    finally:
        use_threads(threads)
    assert outcomes[0] == outcomes[1]


SLOW = """
import numpy as np
from validation.epidemic_spread import COMMUNITY, alone, outbreak, plain
run = outbreak(alone(600, 3), plain(days=3, more="dispersion = 0.5"), COMMUNITY, 0.9, np.arange(0, 600, 40), 12, seed=9)
print(run.infected_by_day)
"""


def test_compiled_and_plain_python_give_the_same_outbreak():
    told = []
    for off in ("0", "1"):
        surroundings = {**os.environ, "NUMBA_DISABLE_JIT": off, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", SLOW], env=surroundings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1]
    assert sum(int(n) for n in told[0].strip("[]\n").split(",")) > 100


def test_another_seed_gives_another_outbreak():
    assert epidemic(60, seed=1).outbreak.infected_by_day != epidemic(60, seed=2).outbreak.infected_by_day


def test_without_transmission_only_the_seeds_fall_ill():
    assert infected(epidemic(60, r0=0.0)) == 20


def test_a_higher_reproduction_number_infects_more():
    sizes = [infected(epidemic(120, r0=r0)) for r0 in (0.7, 1.5, 3.0)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 200 < sizes[2]


def test_every_infection_has_a_place_and_an_infector():
    made = epidemic(70)
    tally = made.outbreak.tally
    assert tally.place.sum() == infected(made)
    assert tally.offspring.sum() == infected(made) - 20
    assert tally.entered[:, made.outbreak.law.first].sum() == infected(made)


def test_a_step_that_needs_more_room_gives_the_same_as_one_that_has_it():
    disease, people = plain(days=3), alone(20_000)
    runs = [outbreak(people, disease, COMMUNITY, 1.5, np.arange(0, 20_000, 4), 12, seed=2) for _ in range(2)]
    assert runs[0].infected_by_day == runs[1].infected_by_day
    assert sum(runs[0].infected_by_day) > 15_000


def test_immunity_that_lasts_protects_and_immunity_that_wanes_does_not():
    people = alone(20_000)
    lasting = outbreak(people, plain(days=4), COMMUNITY, 0.8, np.arange(0, 20_000, 100), 300)
    assert lasting.health.past.max() == 1
    waning = plain(days=4, more='[immunity]\nprotection = 1.0\nhalf_life = "20 d"')
    again = outbreak(people, waning, COMMUNITY, 0.8, np.arange(0, 20_000, 100), 300)
    assert again.health.past.max() > 1
    assert sum(again.infected_by_day) > 1.5 * sum(lasting.infected_by_day)


def test_days_in_a_state_are_as_declared():
    disease = plain(days=6, kind="gamma", exposed=4, exposed_sd=2, latent="lognormal")
    law, names = law_of(disease), list(disease.states)
    for state, mean in (("exposed", 4.0), ("infectious", 6.0)):
        chance = staying(law, names.index(state), 0)
        assert abs(chance.sum() - 1) < 1e-6
        days = float((chance * np.arange(1, len(chance) + 1)).sum())
        assert abs(days - mean) < 0.35, state  # whole days, at least one
    assert np.allclose(
        infectious_days(law)[:, 0], float((staying(law, 2, 0) * np.arange(1, len(staying(law, 2, 0)) + 1)).sum())
    )


def test_a_variant_that_spreads_faster_takes_over():
    made = epidemic(150, seeds=[{"people": 30}, {"people": 30, "variant": "delta"}])
    first, _, delta, _ = made.outbreak.tally.variants.sum(axis=0)
    assert delta > 2 * first


def test_a_users_own_disease_spreads():
    assert infected(epidemic(100, disease=parse_disease(OWN, "own"))) > 500


def test_a_run_has_no_days_beyond_its_last():
    made = epidemic(5)
    with pytest.raises(AttributeError):
        made.outbreak.days = 60
    made.play_day()
    made.play_day()
    with pytest.raises(ValueError, match="6 days"):
        made.play_day()
