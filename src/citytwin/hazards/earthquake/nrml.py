"""Fragility, vulnerability and consequence functions in NRML (the files of OpenQuake), and mappings of taxonomies.

Form: GEM, OpenQuake engine manual, "Risk input models"; NRML 0.5, and 0.4, whose elements are renamed to those of 0.5.
Consequences and mappings are CSV files too. Any intensity measure is read; which of them the shaking gives is said at its use.
A wrong file is refused in one line.
A continuous fragility function gives mean and standard deviation of the lognormal: dispersion = sqrt(ln(1 +
(sd/mean)^2)), median = mean / sqrt(1 + (sd/mean)^2).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lxml import etree

from citytwin.errors import InputError, MissingError, nearest
from citytwin.hazards.earthquake.fragility import Curve, Fragility, Lognormal, Tabulated
from citytwin.hazards.earthquake.models import measure_name
from citytwin.hazards.earthquake.nrml_older import renewed

F64 = npt.NDArray[np.float64]
MOST_BYTES = 500_000_000
OTHERS = re.compile(r"(MMI|JMA|PGD|CAV|IA|RSD|AvgSA|Sa_avg|FIV3|EAS|FAS|DRVT|SDi|LSD|LSE|Liq|Disp|Land|ASH|LAVA|LAHAR|PYRO)")
"""How measures begin that OpenQuake knows and the shaking here does not give: secondary perils, ash, averages of spectra."""


@dataclass(frozen=True)
class Vulnerability:
    """Mean share of the value lost (`ratios`) at `levels` of a measure; `spreads` is its coefficient of variation."""

    measure: str
    levels: tuple[float, ...]
    ratios: tuple[float, ...]
    spreads: tuple[float, ...] = ()

    def mean(self, ln: npt.ArrayLike) -> F64:
        """Mean loss ratio at `ln` of the measure: straight lines between levels, zero below the first, level above."""
        x = np.exp(np.asarray(ln, dtype=np.float64))
        return np.asarray(np.interp(x, self.levels, self.ratios, left=0.0), dtype=np.float64)


@dataclass(frozen=True)
class Vulnerabilities:
    """Vulnerability functions by taxonomy, and what they tell the loss of (structural, contents, occupants, ...)."""

    category: str
    functions: dict[str, Vulnerability]
    source: str = ""

    def __getitem__(self, name: str) -> Vulnerability:
        if name not in self.functions:
            raise MissingError(f'no vulnerability of taxonomy "{name}"', self.source, nearest(name, self.functions))
        return self.functions[name]


def _local(element: Any) -> str:
    return str(etree.QName(element).localname)


def _children(element: Any, name: str) -> list[Any]:
    return [e for e in element if isinstance(e.tag, str) and _local(e) == name]


def _child(element: Any, name: str, where: str) -> Any:
    found = _children(element, name)
    if not found:
        raise InputError(f"<{_local(element)}> has no <{name}>", where)
    return found[0]


def _attribute(element: Any, name: str, where: str) -> str:
    value = element.get(name)
    if value is None:
        raise InputError(f"<{_local(element)}> has no {name}", f"{where} line {element.sourceline}")
    return str(value).strip()


def _number(element: Any, name: str, where: str, unknown: float | None = None) -> float:
    text = element.get(name)
    if text is None and unknown is not None:
        return unknown
    try:
        return float(_attribute(element, name, where))
    except ValueError:
        raise InputError(f'{name} "{text}" is not a number', f"{where} line {element.sourceline}") from None


def _numbers(element: Any, where: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in (element.text or "").split())
    except ValueError as error:
        raise InputError(str(error), f"{where} line {element.sourceline}") from None


def read_root(path: Path, wanted: str) -> Any:
    """The element `wanted` of an NRML file, safely read: no entities, no network."""
    where = str(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError("is too large", where, f"at most {MOST_BYTES // 10**6} MB")
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
        root = etree.parse(str(path), parser).getroot()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where) from error
    except etree.XMLSyntaxError as error:
        raise InputError(f"is not XML: {error.msg}", where) from error
    found = [e for e in root.iter() if isinstance(e.tag, str) and _local(e) == wanted]
    if not found:
        inside = ", ".join(sorted({_local(e) for e in root if isinstance(e.tag, str)}))
        raise InputError(f"holds no <{wanted}>", where, f"it holds: {inside or 'nothing'}")
    return renewed(found[0])


def _measure(levels: Any, where: str) -> str:
    """The measure of a function: in our spelling where we give it, as it stands where others do. Raises InputError else."""
    said = _attribute(levels, "imt", where).strip()
    return said if OTHERS.match(said) else measure_name(said)


def read_fragility(path: Path) -> Fragility:
    """The fragility model in an NRML file, of discrete and continuous functions. Raises InputError."""
    where = str(path)
    model = read_root(path, "fragilityModel")
    states = tuple((_child(model, "limitStates", where).text or "").split())
    curves: dict[str, Curve] = {}
    for function in _children(model, "fragilityFunction"):
        name = _attribute(function, "id", where)
        curves[name] = _continuous(function, states, where) if function.get("format") == "continuous" else _discrete(
            function, states, where
        )  # fmt: skip
    if not curves:
        raise InputError("holds no fragility function", where)
    return Fragility(states, curves, {}, path.name)


def _by_state(elements: list[Any], states: tuple[str, ...], where: str, name: str) -> list[Any]:
    said = {e.get("ls"): e for e in elements}
    lacking = [s for s in states if s not in said]
    if lacking:
        raise InputError(f'"{name}" says nothing of limit state "{lacking[0]}"', where)
    return [said[s] for s in states]


def _continuous(function: Any, states: tuple[str, ...], where: str) -> Lognormal:
    levels = _child(function, "imls", where)
    name = _attribute(function, "id", where)
    medians, dispersions = [], []
    for params in _by_state(_children(function, "params"), states, where, name):
        mean, deviation = _number(params, "mean", where), _number(params, "stddev", where)
        if not (mean > 0 and deviation > 0):
            raise InputError(f'"{name}" has mean {mean} and stddev {deviation}', where, "allowed: numbers above 0")
        square = 1.0 + (deviation / mean) ** 2
        medians.append(mean / math.sqrt(square))
        dispersions.append(math.sqrt(math.log(square)))
    least = max(_number(levels, "noDamageLimit", where, 0.0), _number(levels, "minIML", where, 0.0))
    most = _number(levels, "maxIML", where, math.inf)
    return Lognormal(_measure(levels, where), tuple(medians), tuple(dispersions), least, most)


def _discrete(function: Any, states: tuple[str, ...], where: str) -> Tabulated:
    levels = _child(function, "imls", where)
    name, at = _attribute(function, "id", where), _numbers(levels, where)
    rows = [_numbers(e, where) for e in _by_state(_children(function, "poes"), states, where, name)]
    if any(len(r) != len(at) for r in rows) or len(at) < 2 or any(b <= a for a, b in pairwise(at)):
        raise InputError(f'"{name}": levels must rise, with one probability each', where)
    if any(not 0 <= p <= 1 for row in rows for p in row):
        raise InputError(f'"{name}": a probability is outside 0 ... 1', where)
    least = _number(levels, "noDamageLimit", where, 0.0)
    return Tabulated(_measure(levels, where), at, tuple(rows), least)


def read_vulnerability(path: Path) -> Vulnerabilities:
    """The vulnerability model in an NRML file (mean loss ratios). Raises InputError."""
    where = str(path)
    model = read_root(path, "vulnerabilityModel")
    functions = {}
    for function in _children(model, "vulnerabilityFunction"):
        name, levels = _attribute(function, "id", where), _child(function, "imls", where)
        at = _numbers(levels, where)
        ratios, spreads = _ratios(function, at, where)
        if len(ratios) != len(at) or any(b <= a for a, b in pairwise(at)):
            raise InputError(f'"{name}": levels must rise, with one loss ratio each', where)
        functions[name] = Vulnerability(_measure(levels, where), at, ratios, spreads)
    if not functions:
        raise InputError("holds no vulnerability function", where)
    return Vulnerabilities(str(model.get("lossCategory", "structural")), functions, path.name)


def _ratios(function: Any, at: tuple[float, ...], where: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean loss ratios and their coefficients of variation; of a table of probabilities (dist "PM") its means."""
    if function.get("dist") == "PM":
        rows = [(_number(e, "lr", where), _numbers(e, where)) for e in _children(function, "probabilities")]
        table = np.array([p for _, p in rows]).reshape(len(rows), len(at))
        return tuple((np.array([lr for lr, _ in rows]) @ table).tolist()), ()
    spreads = _children(function, "covLRs")
    return _numbers(_child(function, "meanLRs", where), where), _numbers(spreads[0], where) if spreads else ()


def read_consequences(path: Path) -> tuple[tuple[str, ...], dict[str, tuple[float, ...]]]:
    """Names of the states, and by taxonomy the mean share of the value lost in each, of a consequence model: NRML or CSV."""
    where = str(path)
    if not _is_xml(path):
        return _consequence_rows(path)
    model = read_root(path, "consequenceModel")
    states = tuple((_child(model, "limitStates", where).text or "").split())
    shares = {}
    for function in _children(model, "consequenceFunction"):
        name = _attribute(function, "id", where)
        rows = _by_state(_children(function, "params"), states, where, name)
        shares[name] = tuple(_number(row, "mean", where) for row in rows)
    return states, shares


def _is_xml(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", str(path)) from error


def _consequence_rows(path: Path) -> tuple[tuple[str, ...], dict[str, tuple[float, ...]]]:
    """A CSV of taxonomy (or risk_id), consequence, peril or loss_type, and a column a state: its rows of structural losses."""
    keys = ("taxonomy", "risk_id", "consequence", "peril", "loss_type")
    states: tuple[str, ...] = ()
    shares: dict[str, tuple[float, ...]] = {}
    for number, row in _csv(path):
        states = tuple(name for name in row if name and name not in keys)
        name = row.get("taxonomy") or row.get("risk_id")
        if not name or "consequence" not in row or not states:
            raise InputError("a row needs taxonomy, consequence and states", f"{path} line {number}",
                             "columns: taxonomy,consequence,loss_type,slight,moderate,...")  # fmt: skip
        if row["consequence"] != "losses" or not _of_shaking(row) or row.get("loss_type", "structural") != "structural":
            continue
        try:
            shares[name] = tuple(float(row[state]) for state in states)
        except (TypeError, ValueError) as error:
            raise InputError(str(error), f"{path} line {number}") from None
    if not shares:
        raise InputError("has no row of structural losses", str(path), "consequence losses, loss_type structural")
    return states, shares


def _of_shaking(row: dict[str, str]) -> bool:
    return row.get("peril") in (None, "", "*", "groundshaking", "earthquake", "structural")


def read_mapping(path: Path) -> dict[str, tuple[tuple[str, float], ...]]:
    """A taxonomy mapping: CSV with taxonomy, conversion (or risk_id), weight. Weights of a taxonomy sum to one."""
    found: dict[str, list[tuple[str, float]]] = {}
    for number, row in _csv(path):
        if not _of_shaking(row):
            continue
        risk = row.get("conversion") or row.get("risk_id")
        try:
            weight = float(row.get("weight") or 1.0)
        except ValueError:
            raise InputError(f'weight "{row.get("weight")}" is not a number', f"{path} line {number}") from None
        if not row.get("taxonomy") or not risk:
            raise InputError(
                "a row needs taxonomy and conversion", f"{path} line {number}", "columns: taxonomy,conversion,weight"
            )
        found.setdefault(row["taxonomy"], []).append((risk, weight))
    for name, parts in found.items():
        total = sum(w for _, w in parts)
        if not math.isclose(total, 1.0, abs_tol=1e-3):
            raise InputError(f'weights of "{name}" sum to {total:g}', str(path), "they sum to 1")
    return {name: tuple((risk, w / sum(w for _, w in parts)) for risk, w in parts) for name, parts in found.items()}


def _csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from error
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    for number, row in enumerate(rows, start=2):
        yield number, {str(k).strip(): str(v or "").strip() for k, v in row.items() if k is not None}
