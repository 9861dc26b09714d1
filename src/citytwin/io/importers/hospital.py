"""Which objects that OpenStreetMap calls a hospital will take the injured of a crisis: a rule for any city.

A site tagged as a hospital is left out when nothing but the tag speaks for it (no name, no contact, no beds, no
building's worth of ground): such nodes are first-aid posts or mistakes. A site that says something of itself, but none
of `_evidence`, is kept as a `clinic`. Evidence is: emergency=yes, a number of beds, an entry in Wikidata or Wikipedia,
a name that says hospital in one of the languages below, or grounds of a hectare. Alternative medicine, and
emergency=no without amenity=hospital, speak against it.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd

from citytwin.io.importers.osm import CONTACT

GROUNDS = 10_000.0  # m2
NAMES = (
    "hospital", "hôpital", "hopital", "ospedal", "policlinico gemelli", "krankenhaus", "klinikum", "klinikken", "spital",
    "ziekenhuis", "medisch centrum", "umc", "hastane", "szpital", "nemocnic", "bolni", "kórház", "korhaz", "больниц", "лікарн",
    "госпитал", "госпіталь", "болница", "νοσοκομ", "sjukhus", "sygehus", "sykehus", "sairaala", "sjúkrahús", "haigla",
    "slimnīc", "ligonin", "病院", "医院", "醫院", "병원",
    "bệnh viện", "rumah sakit", "โรงพยาบาล", "مستشفى", "بیمارستان", "בית חולים",
    "अस्पताल", "হাসপাতাল", "infirmary", "charité", "chru", "chu ", "medical center", "medical centre", "health sciences cent",
    "ospitale", "spitalul", "ysbyty", "sanatorio", "centro médico nacional", "santa casa",
)  # fmt: skip
ALTERNATIVE = (
    "reiki",
    "homeopathy",
    "acupuncture",
    "osteopathy",
    "naturopathy",
    "hypnosis",
    "herbalism",
    "reflexology",
    "veterinary",
)


def judge(sites: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, list[str]]:
    """The sites without doubtful hospitals, lesser ones as `clinic` (`demoted` is true there), and notes that say so."""
    hospital = sites["kind"] == "hospital"
    speaks = sites[list(CONTACT)].notna().any(axis=1) | sites[["emergency", "beds", "capacity:beds"]].notna().any(axis=1)
    bare = hospital & ~speaks & (sites["area"] < GROUNDS)
    evident = _evidence(sites) & ~_against(sites)
    lesser = hospital & ~bare & ~evident
    sites = sites.assign(kind=sites["kind"].mask(lesser, "clinic"), demoted=lesser.to_numpy())
    notes = [
        f"{int(bare.sum())} objects tagged as hospital were left out: nothing but the tag speaks for them",
        f"{int(lesser.sum())} objects tagged as hospital are kept as clinic: no emergency, beds, encyclopedia entry, "
        "name or grounds of a hospital",
    ]
    return sites[~bare].reset_index(drop=True), notes


def _evidence(sites: gpd.GeoDataFrame) -> pd.Series:
    name = sites["name"].fillna("").str.casefold() + " "
    says = pd.Series(np.logical_or.reduce([name.str.contains(word, regex=False) for word in NAMES]), index=sites.index)
    known = sites[["beds", "capacity:beds", "wikidata", "wikipedia"]].notna().any(axis=1)
    evident: pd.Series[bool] = (sites["emergency"] == "yes") | known | says | (sites["area"] >= GROUNDS)
    return evident


def _against(sites: gpd.GeoDataFrame) -> pd.Series:
    special = sites["healthcare:speciality"].fillna("").str.casefold()
    odd = pd.Series(np.logical_or.reduce([special.str.contains(word, regex=False) for word in ALTERNATIVE]), index=sites.index)
    against: pd.Series[bool] = odd | ((sites["emergency"] == "no") & (sites["amenity"] != "hospital"))
    return against
