"""The epidemic against theory: final size, growth, households, threshold, small populations, extinction, contacts, history.

Contacts are declared so that theory applies: one community that mixes evenly, or households alone. Bounds are about three
standard errors of the number of people that a case has, or the width of what was published.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from benchmarks.epidemic import DAY, city_of
from citytwin.city import City
from citytwin.hazards.epidemic import Epidemic, contacts
from citytwin.hazards.epidemic.arrays import AGE_GROUPS, COMMUNITY, HOUSEHOLD
from citytwin.hazards.epidemic.disease import Disease, parse_disease, read_disease
from citytwin.hazards.epidemic.law import law_of, staying
from citytwin.hazards.epidemic.metapopulation import Metapopulation
from citytwin.hazards.epidemic.mobility import mixing_of
from citytwin.hazards.epidemic.outbreak import Outbreak, no_policy
from citytwin.hazards.epidemic.parameters import EpidemicParameters
from citytwin.hazards.epidemic.people import People, assemble
from citytwin.sim import Planned, Setup, Streams, columns_with, intervention
from citytwin.state import State
from validation.case import Row

Array = npt.NDArray[np.float64]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

PLAIN = """
name = "Plain"
[spread]
per_contact = 1.0
{more}
[states.susceptible]
[states.exposed]
infected = true
[states.infectious]
infectivity = 1.0
[states.recovered]
immune = true
[[transitions]]
from = "exposed"
to = "infectious"
after = {{distribution = "{latent}", mean = "{exposed} d", sd = "{exposed_sd} d"}}
[[transitions]]
from = "infectious"
to = "recovered"
after = {{distribution = "{kind}", mean = "{days} d", sd = "{days} d"}}
"""


def plain(days: float = 1, kind: str = "fixed", exposed: float = 1, exposed_sd: float = 0, latent: str = "fixed",
          more: str = "") -> Disease:  # fmt: skip
    """Susceptible, exposed, infectious, recovered."""
    text = PLAIN.format(days=days, kind=kind, exposed=exposed, exposed_sd=exposed_sd, latent=latent, more=more)
    return parse_disease(text, "validation")


def alone(people: int, zones: int = 1) -> People:
    """People who live alone, do nothing, and meet in the community of their zone."""
    zone = np.arange(people) * zones // people
    return assemble(np.full(people, 30), np.arange(people), zone, np.full(people, -1), np.zeros(0, np.int64), zones)


def together(size: int, households: int) -> People:
    """Households of one size, and nothing else."""
    household = np.repeat(np.arange(households), size)
    none = np.full(len(household), -1)
    return assemble(np.full(len(household), 30), household, np.zeros(households, np.int64), none, np.zeros(0, np.int64), 1)


def infectious_time(disease: Disease) -> Array:
    """Probability to be infectious on each day after infection (SEIR), with the kernel's rounding to days."""
    law, names = law_of(disease), list(disease.states)
    latent = staying(law, names.index("exposed"), 0)
    infectious = staying(law, names.index("infectious"), 0)
    stays = np.concatenate([[1.0], 1 - np.cumsum(infectious)])
    return np.concatenate([[0.0], np.convolve(latent, stays)])


def outbreak(
    people: People, disease: Disease, layer: int, rate: float, seeds: npt.ArrayLike, days: int, seed: int = 1
) -> Outbreak:
    """An outbreak with contacts in one layer only, run for `days` or until nobody is infected."""
    rates = np.zeros(6, np.float32)
    rates[layer] = rate
    mixing = mixing_of(people, np.eye(people.zones))
    run = Outbreak(people, law_of(disease), list(disease.states), rates, mixing, seed, days)
    run.seed_people(np.asarray(seeds))
    policy = no_policy(people)
    for _ in range(days):
        run.step(policy)
        if not run.active.count.any():
            break
    return run


def final_sizes() -> Iterator[Row]:
    """Final size z = 1 - exp(-R0 z) (Kermack and McKendrick 1927, Proc. R. Soc. A 115, 700-721), 400,000 people, 200 seeds."""
    disease = plain(days=4, kind="gamma")
    total = float(infectious_time(disease).sum())
    people = alone(400_000)
    for r0, theory in ((1.5, 0.58281), (2.0, 0.79681), (2.5, 0.89264), (4.0, 0.98017)):
        run = outbreak(people, disease, COMMUNITY, r0 / total, np.arange(0, 400_000, 2000), 1000, seed=3)
        share = sum(run.infected_by_day) / len(people)
        yield Row(f"epidemic: final size at R0 {r0:g}", "difference from theory (share)", 0.006, abs(share - theory))


def growth() -> Iterator[Row]:
    """Growth rate r that solves sum R w(day) exp(-r day) = 1 (Wallinga and Lipsitch 2007, Proc. R. Soc. B 274, 599-604)."""
    for name, disease in (
        ("fixed times", plain(days=4, exposed=3)),
        ("gamma times", plain(days=4, kind="gamma", exposed=3, exposed_sd=1.5, latent="gamma")),
    ):
        weight = infectious_time(disease)
        r0 = 2.0
        rate = r0 / weight.sum()
        days = np.arange(len(weight))
        theory = optimize.brentq(lambda r: float((rate * weight * np.exp(-r * days)).sum()) - 1, 0.0, 2.0)  # noqa: B023
        run = outbreak(alone(1_000_000), disease, COMMUNITY, rate, np.arange(0, 1_000_000, 10_000), 60, seed=5)
        new = np.array(run.infected_by_day, dtype=float)
        begin = int(np.argmax(new > 300)) if (new[15:] > 300).any() else 15
        begin = max(begin, 15)
        end = int(np.argmax(np.cumsum(new) > 30_000))
        slope = np.polyfit(np.arange(begin, end), np.log(new[begin:end]), 1)[0]
        yield Row(f"epidemic: growth rate, {name}", "relative difference from theory", 0.05, abs(slope / theory - 1))


def reed_frost(size: int, escape: float) -> Array:
    """Distribution of the final size of a Reed-Frost epidemic among `size` with one index case, by recursion over generations.

    Abbey (1952), Hum. Biol. 24, 201-233; Bailey (1975), The Mathematical Theory of Infectious Diseases, chapter 14.
    """
    from scipy.stats import binom

    out = np.zeros(size)
    now = {(size - 1, 1): 1.0}
    while now:
        following: dict[tuple[int, int], float] = {}
        for (left, ill), chance in now.items():
            for new in range(left + 1):
                p = chance * float(binom.pmf(new, left, 1 - escape**ill))
                if new == 0:
                    out[size - left - 1] += p
                else:
                    following[left - new, new] = following.get((left - new, new), 0.0) + p
        now = following
    return out


def ball(size: int, transform: Any) -> Array:
    """Distribution of the final size with one index case and random infectious periods.

    Ball (1986), Adv. Appl. Probab. 18, 289-310: for k, sum over j <= k of C(n - j, k - j) p_j / phi(n - k)^(j + 1) = C(n, k).
    transform(m): expected chance that one case infects none of m others. n: the others at the start.
    """
    from math import comb

    n = size - 1
    p = np.zeros(n + 1)
    for k in range(n + 1):
        done = sum(comb(n - j, k - j) * p[j] / transform(n - k) ** (j + 1) for j in range(k))
        p[k] = (comb(n, k) - done) * transform(n - k) ** (k + 1)
    return p


def households() -> Iterator[Row]:
    """Final sizes in households against Reed-Frost (fixed infectious day) and Ball (exponential infectious time)."""
    for size, p in ((3, 0.45), (5, 0.25), (10, 0.12)):
        count = 200_000
        people = together(size, count)
        run = outbreak(people, plain(days=1), HOUSEHOLD, -np.log1p(-p), np.arange(0, size * count, size), 60)
        yield _distribution(f"epidemic: Reed-Frost in households of {size}", run, people, reed_frost(size, 1 - p), count)
    disease, size, count, rate = plain(days=3, kind="exponential"), 4, 200_000, 0.15
    stays = staying(law_of(disease), 2, 0)
    days = np.arange(1, len(stays) + 1)
    people = together(size, count)
    run = outbreak(people, disease, HOUSEHOLD, rate, np.arange(0, size * count, size), 200)
    theory = ball(size, lambda m: float((stays * np.exp(-rate * m * days)).sum()))
    yield _distribution("epidemic: random infectious time, households of 4", run, people, theory, count)


def _distribution(case: str, run: Outbreak, people: People, theory: Array, count: int) -> Row:
    ill = np.add.reduceat((run.health.past > 0).astype(int), people.town.household_start[:-1])
    share = np.bincount(ill, minlength=len(theory) + 1)[1:] / count
    error = np.sqrt(np.maximum(theory * (1 - theory), 1e-12) / count)
    return Row(case, "largest difference in standard errors", 4.0, float((np.abs(share - theory) / error)[theory > 1e-4].max()))


def threshold() -> Iterator[Row]:
    """Below the threshold outbreaks stay small: mean size 1 / (1 - R0); and vaccine for 1 - 1/R0 of people stops one."""
    disease = plain(days=2)
    total = float(infectious_time(disease).sum())
    people = alone(2_000_000)
    run = outbreak(people, disease, COMMUNITY, 0.8 / total, np.arange(0, 2_000_000, 1000), 500)
    mean = sum(run.infected_by_day) / 2000
    yield Row("epidemic: mean outbreak at R0 0.8", "relative difference from 1 / (1 - R0)", 0.12, abs(mean / 5 - 1))
    rates = np.zeros(6, np.float32)
    rates[COMMUNITY] = 2.5 / total
    for share, metric, sign in (
        (0.66, "share infected, 66 % immune", 1),
        (0.5, "1 - share of susceptible infected, 50 % immune", -1),
    ):
        run = Outbreak(people, law_of(disease), list(disease.states), rates, mixing_of(people, np.eye(1)), 4, 800)
        immune = np.arange(2_000_000)[np.arange(2_000_000) % 100 < share * 100]
        run.make_immune(immune)
        run.seed_people(np.arange(99, 2_000_000, 20_000))
        while run.active.count.any() and run.day < 800:
            run.step(no_policy(people))
        infected = sum(run.infected_by_day) / (2_000_000 - len(immune))
        # with half immune R is 1.25: 1 - exp(-1.25 z) = z gives z = 0.3714
        value = infected if sign > 0 else abs(infected - 0.37145)
        bound = 0.01 if sign > 0 else 0.03
        yield Row("epidemic: critical immunity at R0 2.5 is 60 %", metric, bound, value)


def extinction() -> Iterator[Row]:
    """Chance that one case starts nothing, with uneven infectivity: q = (1 + R0 (1 - q) / k)^-k (Lloyd-Smith et al. 2005)."""
    zones, each, r0 = 3000, 500, 1.5
    people = alone(zones * each, zones)
    for k, more in ((0.3, "dispersion = 0.3"), (np.inf, "")):
        disease = plain(days=1, more=more)
        total = float(infectious_time(disease).sum())
        run = outbreak(people, disease, COMMUNITY, r0 / total, np.arange(0, zones * each, each), 30, seed=8)
        ever = np.bincount(people.zone, weights=run.health.past > 0, minlength=zones)
        share = float((ever < 40).mean())
        q = optimize.brentq(lambda q: _pgf(q, r0, k) - q, 0.0, 0.999)  # noqa: B023
        yield Row(
            f"epidemic: outbreaks that die out, R0 1.5, k {k:g}", "difference from branching process", 0.035, abs(share - q)
        )


def _pgf(q: float, r0: float, k: float) -> float:
    return float(np.exp(r0 * (q - 1))) if np.isinf(k) else float((1 + r0 * (1 - q) / k) ** -k)


def two_forms() -> Iterator[Row]:
    """The individual-based and the metapopulation form of one disease agree where everybody mixes evenly."""
    disease = plain(days=4, kind="gamma", exposed=3, exposed_sd=1.5, latent="gamma")
    total = float(infectious_time(disease).sum())
    people = alone(400_000, 4)
    rates = np.zeros(6)
    rates[COMMUNITY] = 1.8 / total
    shares = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    mixing, law = mixing_of(people, shares), law_of(disease)
    run = Outbreak(people, law, list(disease.states), rates.astype(np.float32), mixing, 11, 250)
    run.seed_people(np.arange(0, 400_000, 1000))
    meta = Metapopulation.of(people, disease, law, contacts.matrix(people, rates, mixing), mixing, 1.0, seed=11)
    meta.seed(np.bincount(people.zone[np.arange(0, 400_000, 1000)], minlength=4))
    policy = no_policy(people)
    for _ in range(250):
        run.step(policy)
        meta.step()
    ours, theirs = np.array(run.infected_by_day[1:251], float), np.array(meta.infected_by_day[1:251], float)
    yield Row("epidemic: individuals against metapopulation", "difference of final size (share)", 0.006,
              abs(ours.sum() - theirs.sum()) / 400_000)  # fmt: skip
    yield Row("epidemic: individuals against metapopulation", "difference of peak day (days)", 4.0,
              float(abs(np.argmax(_smooth(ours)) - np.argmax(_smooth(theirs)))))  # fmt: skip
    yield Row("epidemic: individuals against metapopulation", "relative difference of peak", 0.05,
              float(abs(_smooth(ours).max() / _smooth(theirs).max() - 1)))  # fmt: skip


def _smooth(values: Array) -> Array:
    return np.convolve(values, np.full(7, 1 / 7), "same")


def germany() -> Iterator[Row]:
    """Contacts by age of a made city with Germany's ages against those that Mistry et al. (2021) infer for Germany."""
    folder = SHARED / "epi_contact_matrices_mistry2021"
    if not folder.is_dir():
        return
    from citytwin.city.synthetic import synthesize
    from citytwin.hazards.epidemic.mobility import leisure
    from citytwin.hazards.epidemic.people import read_persons, settle

    city = synthesize(30_000, 0, 3)
    people = settle(city, read_persons(city), np.random.default_rng(1), [])
    mixing = mixing_of(people, leisure(city, people, "gravity", 2000.0))
    ours = contacts.matrix(people, contacts.rates(people, {}), mixing).sum(axis=0)
    theirs = pd.read_csv(folder / "Germany_country_level_M_overall_contact_matrix_18.csv", header=None).to_numpy()
    ages = pd.read_csv(folder / "Germany_country_level_age_distribution_18.csv", header=None)[1].to_numpy()
    count = np.bincount(people.town.age_group, minlength=AGE_GROUPS)
    eigen = [float(np.abs(np.linalg.eigvals(m)).max()) for m in (ours, theirs)]
    mean = [float((m.sum(axis=1) * w).sum() / w.sum()) for m, w in ((ours, count), (theirs, ages))]
    yield Row(
        "epidemic: contacts by age, Germany (Mistry 2021)",
        "relative difference of mean contacts",
        0.15,
        abs(mean[0] / mean[1] - 1),
    )
    yield Row(
        "epidemic: contacts by age, Germany (Mistry 2021)",
        "relative difference of eigenvalue",
        0.15,
        abs(eigen[0] / eigen[1] - 1),
    )
    yield Row(
        "epidemic: contacts by age, Germany (Mistry 2021)", "1 - correlation of log contacts", 0.25, 1 - _likeness(ours, theirs)
    )
    diary = _polymod()
    if diary is not None:
        total = [m.sum(axis=1) for m in (ours, diary)]
        yield Row(
            "epidemic: contacts by age, POLYMOD Germany", "1 - correlation of log contacts", 0.35, 1 - _likeness(ours, diary)
        )
        shares = [_children_with_children(m) for m in (ours, diary)]
        yield Row("epidemic: contacts by age, POLYMOD Germany", "share of pupils' contacts with pupils: diff.", 0.15,
                  abs(shares[0] - shares[1]))  # fmt: skip
        assert len(total) == 2


def _likeness(a: Array, b: Array) -> float:
    low = 0.02
    return float(np.corrcoef(np.log(a[:15, :15] + low).ravel(), np.log(b[:15, :15] + low).ravel())[0, 1])


def _children_with_children(m: Array) -> float:
    return float(m[1:4, 1:4].sum() / m[1:4].sum())


def _polymod() -> Array | None:
    """Mean contacts a day by five-year groups of participants and contacts, of Germany's diaries."""
    folder = SHARED / "epi_polymod"
    if not folder.is_dir():
        return None
    who = pd.read_csv(folder / "participants.csv.gz", low_memory=False)
    met = pd.read_csv(folder / "contacts.csv.gz", low_memory=False)
    who = who[(who["country"] == "Germany") & who["part_age_exact"].notna()]
    met = met.merge(who[["part_id", "part_age_exact"]], on="part_id")
    age = met["cnt_age_exact"].fillna((met["cnt_age_est_min"] + met["cnt_age_est_max"]) / 2)
    met = met[age.notna()].assign(age=age[age.notna()])
    row = np.minimum(met["part_age_exact"] // 5, AGE_GROUPS - 1).astype(int)
    column = np.minimum(met["age"] // 5, AGE_GROUPS - 1).astype(int)
    out = np.zeros((AGE_GROUPS, AGE_GROUPS))
    np.add.at(out, (row, column), 1.0)
    people = np.bincount(np.minimum(who["part_age_exact"] // 5, AGE_GROUPS - 1).astype(int), minlength=AGE_GROUPS)
    return np.asarray(out / np.maximum(people, 1)[:, None])


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


CASES = [final_sizes, growth, households, threshold, extinction, two_forms, germany, hagelloch, report9]
