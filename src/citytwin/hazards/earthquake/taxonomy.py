"""Which curve a building takes: from its taxonomy if it has one, else from use, storeys, material, year, with probabilities.

Hazus has 36 types (material and system, L low 1-3, M middle 4-7, H high from 8 storeys; wood, tilt-up and light steel have no
height class; unreinforced masonry L 1-2, M from 3) at four code levels: HC high, MC moderate, LC low, PC none. GEM building
taxonomy strings as in `CR/LFINF+CDL/H:3/RES` (Brzev et al. 2013, GEM Building Taxonomy 2.0; Silva et al. 2022, Building
classification system for multi-hazard risk assessment) are read for material, lateral system, ductility or code, height.

Where material and age are not known, `data/building_types.csv` and `CODES` say how likely each is. Those two tables are this
project's estimate for a southern European city; no survey stands behind them, and a scenario may say others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city.roads import number, text
from citytwin.errors import InputError, nearest
from citytwin.hazards.earthquake.fragility import Fragility, Mixture, hazus_buildings, shipped

Whole = npt.NDArray[np.int64]

CODES: dict[str, float] = {"PC": 0.45, "LC": 0.30, "MC": 0.20, "HC": 0.05}
"""How likely each code level is where the year is not known: an estimate."""

CODE_FROM = ((1998, "MC"), (1975, "LC"))
"""Code level by year of construction (from that year on; PC before): an estimate, codes differ by country."""

NO_HEIGHT = ("W1", "W2", "S3", "PC1", "MH")
ESSENTIAL = {"education": "public", "health": "public"}
"""Uses whose row in `building_types.csv` is that of another."""

# Material and lateral system of a GEM string, first match counts: Hazus type without height.
GEM_TYPES: tuple[tuple[str, str], ...] = (
    (r"^(CR|C99|CU|SRC)\b.*PC", "PC2"), (r"^(CR|C99|CU|SRC)\b.*(LWAL|LDUAL)", "C2"), (r"^(CR|C99|CU|SRC)\b.*LFINF", "C3"),
    (r"^(CR|C99|CU|SRC)\b", "C1"), (r"^(S|ME|MIX\(S)\b.*LFINF", "S5"), (r"^S\b.*(LWAL|LDUAL)", "S4"), (r"^S\b.*LFBR", "S2"),
    (r"^(S|ME)\b", "S1"), (r"^(MR|MCF)\b", "RM1"), (r"^W\b.*LFM", "W2"), (r"^W\b", "W1"),
    (r"^(MUR|ADO|STRUB|STDRE|M99|M|E99|EU|ER|MATO|INF|UNK|MIX)\b", "URM"),
)  # fmt: skip

GEM_CODES: tuple[tuple[str, str], ...] = (
    (r"(CDH|DUH)", "HC"), (r"(CDM|DUM)", "MC"), (r"(CDL|DUL)", "LC"), (r"(CDN|DNO)", "PC"),
)  # fmt: skip

# Material as a city's table may say it (OpenStreetMap's building:material among them): Hazus type without height.
MATERIALS = {
    "concrete": "C1", "reinforced_concrete": "C1", "steel": "S1", "metal": "S3", "wood": "W1", "timber_framing": "W1",
    "brick": "URM", "masonry": "URM", "stone": "URM", "adobe": "URM", "reinforced_masonry": "RM1", "concrete_block": "RM1",
}  # fmt: skip


def height_class(kind: str, levels: float) -> str:
    """The Hazus type of `kind` (as in C1, URM) for a building of `levels` storeys, as in C1.M."""
    if kind in NO_HEIGHT:
        return kind
    if kind == "URM":
        return "URM.L" if levels <= 2 else "URM.M"
    if kind == "RM1":
        return "RM1.L" if levels <= 3 else "RM1.M"
    return f"{kind}.{'L' if levels <= 3 else 'M' if levels <= 7 else 'H'}"


def coded(kind: str, codes: Mapping[str, float]) -> Mixture:
    """Curves of the Hazus type `kind` for the probabilities of code levels; a level that it lacks gives to the next weaker."""
    known = hazus_buildings().curves
    total: dict[str, float] = {}
    for code, share in codes.items():
        order = ("HC", "MC", "LC", "PC")
        name = next(f"{kind}.{c}" for c in (*order[order.index(code) :], *order) if f"{kind}.{c}" in known)
        total[name] = total.get(name, 0.0) + share
    return tuple((n, s) for n, s in total.items() if s > 0)


def levels_of_gem(taxonomy: str) -> float:
    """Storeys that a GEM string says: H:3, HEX:3, H:3+..., HBET:4-6 (the mean), HBET:6+; NaN where it says none."""
    between = re.search(r"HBET:(\d+)[-,](\d+)", taxonomy)
    if between:
        return (float(between[1]) + float(between[2])) / 2
    found = re.search(r"(?:H|HEX|HBET|HAPP):(\d+)", taxonomy)
    return float(found[1]) if found else float("nan")


def mixture_of_gem(taxonomy: str, levels: float = float("nan"), codes: Mapping[str, float] = CODES) -> Mixture | None:
    """The Hazus curves that stand for a GEM taxonomy string; None where it names no material that is known here."""
    first = taxonomy.strip().upper()
    kind = next((k for pattern, k in GEM_TYPES if re.search(pattern, first)), None)
    if kind is None:
        return None
    said = levels_of_gem(first)
    storeys = said if np.isfinite(said) else levels if np.isfinite(levels) else 2.0
    code = next((c for pattern, c in GEM_CODES if re.search(pattern, first)), None)
    return coded(height_class(kind, storeys), {code: 1.0} if code else codes)


@cache
def _types() -> dict[str, tuple[tuple[float, float, str, float], ...]]:
    rows: dict[str, list[tuple[float, float, str, float]]] = {}
    for r in shipped("building_types.csv"):
        said = (float(r["levels_from"]), float(r["levels_to"]), r["type"], float(r["share"]))
        rows.setdefault(r["use"], []).append(said)
    return {use: tuple(parts) for use, parts in rows.items()}


def mixture_of_use(use: str, levels: float, codes: Mapping[str, float]) -> Mixture:
    """The Hazus curves of a building of which only use and storeys are known."""
    table = _types().get(ESSENTIAL.get(use, use)) or _types()["other"]
    total: dict[str, float] = {}
    for low, high, kind, share in table:
        if low <= max(levels, 1.0) <= high:
            for name, weight in coded(kind, codes):
                total[name] = total.get(name, 0.0) + share * weight
    whole = sum(total.values())
    return tuple((name, weight / whole) for name, weight in total.items())


def code_of(year: float, codes: Mapping[str, float]) -> Mapping[str, float]:
    """Probabilities of code levels for a year of construction (NaN: unknown)."""
    if not np.isfinite(year):
        return codes
    return {next((c for begin, c in CODE_FROM if year >= begin), "PC"): 1.0}


def _hazus_mixture(taxonomy: str, use: str, levels: float, material: str, codes: Mapping[str, float]) -> Mixture:
    if taxonomy in hazus_buildings().curves:
        return ((taxonomy, 1.0),)
    found = mixture_of_gem(taxonomy, levels, codes) if taxonomy else None
    if found is not None:
        return found
    if material in MATERIALS:
        return coded(height_class(MATERIALS[material], levels), codes)
    return mixture_of_use(use, levels, codes)


def hazus_classes(building: pd.DataFrame, codes: Mapping[str, float] | None = None) -> tuple[list[Mixture], Whole]:
    """The distinct mixtures of Hazus curves of a building table, and each row's."""
    levels = np.where(np.isfinite(number(building, "levels")), number(building, "levels"), 2.0)
    parts = pd.DataFrame({
        "taxonomy": text(building, "taxonomy"), "use": text(building, "use"), "levels": np.clip(np.rint(levels), 1, 60),
        "material": np.char.lower(text(building, "material").astype(str)), "year": number(building, "year"),
    })  # fmt: skip
    known = codes or CODES
    index = parts.groupby(list(parts), sort=False, dropna=False).ngroup().to_numpy()
    first = parts.iloc[np.unique(index, return_index=True)[1]]
    mixtures = [
        _hazus_mixture(taxonomy, use, storeys, material, code_of(year, known))
        for taxonomy, use, storeys, material, year in first.itertuples(index=False, name=None)
    ]
    return _merged(mixtures, index.astype(np.int64))


def _merged(mixtures: list[Mixture], index: Whole) -> tuple[list[Mixture], Whole]:
    """The same with equal mixtures made one."""
    place = {m: n for n, m in enumerate(dict.fromkeys(mixtures))}
    return list(place), np.array([place[m] for m in mixtures], dtype=np.int64)[index]


def file_classes(
    building: pd.DataFrame, fragility: Fragility, mapping: Mapping[str, Mixture] | None
) -> tuple[list[Mixture], Whole]:
    """The distinct mixtures of the curves of a file, and each row's, by the column `taxonomy` and a mapping of taxonomies."""
    names = text(building, "taxonomy").astype(str)
    index, distinct = pd.factorize(names)
    mixtures: list[Mixture] = []
    for name in distinct:
        mixture = (mapping or {}).get(name, ((name, 1.0),))
        for curve, _ in mixture:
            if curve not in fragility.curves:
                what = f'taxonomy "{name}"' if curve == name else f'"{curve}", which stands for taxonomy "{name}",'
                hint = nearest(curve, fragility.curves)
                raise InputError(f"no function for {what}", fragility.source, f"{hint}; a taxonomy mapping may name another")
        mixtures.append(mixture)
    return _merged(mixtures, index.astype(np.int64))
