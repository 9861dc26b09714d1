"""Who meets whom: contacts by age of a made city against those inferred and surveyed for Germany. Nothing is fitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from citytwin.city.synthetic import synthesize
from citytwin.hazards.epidemic import contacts
from citytwin.hazards.epidemic.arrays import AGE_GROUPS
from citytwin.hazards.epidemic.mobility import leisure, mixing_of
from citytwin.hazards.epidemic.people import read_persons, settle
from validation.case import Row
from validation.epidemic_spread import SHARED, Array


def germany() -> Iterator[Row]:
    """Contacts by age of a made city with Germany's ages against those that Mistry et al. (2021) infer for Germany."""
    folder = SHARED / "epi_contact_matrices_mistry2021"
    if not folder.is_dir():
        return
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
        yield Row(
            "epidemic: contacts by age, POLYMOD Germany", "1 - correlation of log contacts", 0.35, 1 - _likeness(ours, diary)
        )
        shares = [_children_with_children(m) for m in (ours, diary)]
        yield Row("epidemic: contacts by age, POLYMOD Germany", "share of pupils' contacts with pupils: diff.", 0.15,
                  abs(shares[0] - shares[1]))  # fmt: skip


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


CASES = [germany]
