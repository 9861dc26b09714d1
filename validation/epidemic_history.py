"""The epidemic against history: measles in Hagelloch 1861, and the order of policies in Imperial report 9."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.epidemic import DAY, city_of
from citytwin.city import City
from citytwin.hazards.epidemic import Epidemic, contacts
from citytwin.hazards.epidemic.arrays import HOUSEHOLD
from citytwin.hazards.epidemic.disease import read_disease
from citytwin.hazards.epidemic.law import law_of, staying
from citytwin.hazards.epidemic.mobility import mixing_of
from citytwin.hazards.epidemic.outbreak import Outbreak, no_policy
from citytwin.hazards.epidemic.parameters import EpidemicParameters
from citytwin.hazards.epidemic.people import assemble
from citytwin.sim import Planned, Setup, Streams, columns_with, intervention
from citytwin.state import State
from validation.case import Row
from validation.epidemic_spread import SHARED, Array


def hagelloch() -> Iterator[Row]:
    """Measles in Hagelloch 1861 (188 children, line list): families and classes as they were, our measles, R0 as declared.

    Nobody was fitted: the measles file, with contacts in families, classes and the village.
    """
    path = SHARED / "epi_outbreaks_small" / "measles_hagelloch_1861.csv"
    if not path.is_file():
        return
    cases = pd.read_csv(path, parse_dates=["date_of_prodrome"])
    family = pd.factorize(cases["family_ID"])[0]
    disease = read_disease("measles")
    onset = (cases["date_of_prodrome"] - cases["date_of_prodrome"].min()).dt.days.to_numpy()
    interval = onset - onset[pd.Index(cases["case_ID"]).get_indexer(cases["infector"].fillna(-1))]
    interval = interval[(cases["infector"].fillna(0) > 0).to_numpy() & (interval > 0)]
    law = law_of(disease)
    names = list(disease.states)
    latent, prodrome = staying(law, names.index("exposed"), 0), staying(law, names.index("prodrome"), 0)
    expected = (latent * np.arange(1, len(latent) + 1)).sum() + _when(latent, prodrome, law, names)
    yield Row(
        "epidemic: measles, Hagelloch 1861", "serial interval: difference from 10.4 d (d)", 1.0, abs(expected - interval.mean())
    )
    group = cases["class"].to_numpy(int) - 1
    people = assemble(cases["age"].to_numpy(int), family, np.zeros(family.max() + 1, np.int64), group, [1, 1], 1)
    mixing = mixing_of(people, np.eye(1))
    rates = contacts.rates(people, {})
    per_contact = contacts.transmission(disease, law, contacts.matrix(people, rates, mixing))
    first = np.flatnonzero(people.row == int(np.argmin(onset)))
    sizes, middles, at_home = [], [], []
    for seed in range(40):
        run = Outbreak(people, law, names, contacts.effective(rates, disease, per_contact), mixing, seed, 120)
        run.seed_people(first)
        for _ in range(110):
            run.step(no_policy(people))
        new = np.array(run.infected_by_day)
        if new.sum() > 20:
            sizes.append(new.sum())
            middles.append(float((np.arange(len(new)) * new).sum() / new.sum()) + 9.0)
            place = run.tally.place.sum(axis=(0, 2))
            at_home.append(place[HOUSEHOLD] / place[:6].sum())
    yield Row(
        "epidemic: measles, Hagelloch 1861", "share of the 188 that escapes (none did)", 0.05, 1 - float(np.mean(sizes)) / 188
    )
    observed = float(onset.mean())
    yield Row(
        "epidemic: measles, Hagelloch 1861",
        "mean day of prodrome: difference (d)",
        10.0,
        abs(float(np.mean(middles)) - observed),
    )
    yield Row("epidemic: measles, Hagelloch 1861", "share infected in the family: diff. from 0.42", 0.2,
              abs(float(np.mean(at_home)) - 77 / 184))  # fmt: skip


def _when(latent: Array, prodrome: Array, law: Any, names: list[str]) -> float:
    """Mean days from the begin of the prodrome to infecting somebody, over prodrome and rash by their infectivity."""
    strong = float(law.infectivity[names.index("prodrome"), 1]), float(law.infectivity[names.index("rash"), 1])
    stays = np.concatenate([[1.0], 1 - np.cumsum(prodrome)])
    rash = np.convolve(prodrome, np.concatenate([[1.0], 1 - np.cumsum(staying(law, names.index("rash"), 1))]))
    size = max(len(stays), len(rash) + 1)
    weight = strong[0] * np.pad(stays, (0, size - len(stays))) + strong[1] * np.pad(
        np.append(0.0, rash), (0, size - len(rash) - 1)
    )
    return float((weight * np.arange(size)).sum() / weight.sum())


def report9() -> Iterator[Row]:
    """Order and rough size of what policies do to the peak of intensive care in Imperial report 9, Table 3 (R0 2.4).

    Published: closing schools (PC) 14 %, case isolation (CI) 33 %, with household quarantine (CI_HQ) 53 %, with distancing
    (CI_SD) 53 %. A town of 30,000 is not Great Britain: beds start the policies at half of them, for 91 days.
    """
    published = {"PC": 0.14, "CI": 0.33, "CI_HQ": 0.53, "CI_SD": 0.53}
    ill = {"ill": 0.7, "ill_for": "7 d", "household_for": "14 d"}
    policies = {
        "no": (), "PC": (("school_closure", {"at_home": 1.5, "community": 1.25}),),
        "CI": (("quarantine", {**ill, "household": 0.0}),),
        "CI_HQ": (("quarantine", {**ill, "household": 0.5}),),
        "CI_SD": (("quarantine", {**ill, "household": 0.0}), ("lockdown", {"share": 0.5, "essential": 0.75, "at_home": 1.25})),
    }  # fmt: skip
    city = city_of(30_000, 5)
    peak = {name: float(np.mean([_peak(city, policy, seed) for seed in (1, 2)])) for name, policy in policies.items()}
    cut = {name: 1 - peak[name] / peak["no"] for name in published}
    wrong = sum(cut[a] >= cut[b] for a, b in (("PC", "CI"), ("CI", "CI_HQ"), ("CI", "CI_SD")))
    yield Row("epidemic: policies of Imperial report 9", "out of the published order (of 3)", 0, wrong)
    worst = max(abs(cut[name] - published[name]) for name in published)
    yield Row("epidemic: policies of Imperial report 9", "largest difference of peak reduction", 0.4, worst)


def _peak(city: City, policy: tuple[tuple[str, dict[str, Any]], ...], seed: int) -> float:
    """The most people in intensive care at a time."""
    trigger = {"duration": "91 d", "start": {"of": "intensive", "above": 0.5}}
    planned = tuple(Planned(0.0, n, intervention(n).params.model_validate({**trigger, **said})) for n, said in policy)
    beds = {"usual_occupancy": 0.0, "intensive": 0.1}
    params = EpidemicParameters.model_validate({"disease": "covid", "r0": 2.4, "seeds": [{"people": 30}], "beds": beds})
    state = State(city, columns_with(city.columns))
    run = Epidemic(Setup(city, params, 0.0, 300 * DAY, Streams(seed), planned), state)
    for _ in range(300):
        run.play_day()
    return max(run.course["intensive"])


CASES = [hagelloch, report9]
