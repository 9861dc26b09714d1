"""What stations recorded and people felt, from files: ShakeMap's stationlist (XML, JSON), its felt reports, OpenQuake's CSV.

Of the horizontal components the geometric mean is taken, which is close to the RotD50 that ground-motion models give
(ShakeMap's own convention is the larger one). Amplitudes with a flag are left out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from citytwin.errors import InputError
from citytwin.hazards.earthquake.distances import from_rupture
from citytwin.hazards.earthquake.files import content, number, parsed_json, xml
from citytwin.hazards.earthquake.intensity import LAWS, motion_of, spread_of_reports
from citytwin.hazards.earthquake.models import measure_name
from citytwin.hazards.earthquake.shaking import Shaking, setting_of, shaking
from citytwin.hazards.earthquake.source import Rupture, ToMetres
from citytwin.hazards.earthquake.stations import Stations

Array = npt.NDArray[np.float64]
MOST_PLACES = 800
"""Places of stations beyond which felt reports near one another are put together."""
_TAGS = {"acc": "PGA", "pga": "PGA", "vel": "PGV", "pgv": "PGV", "psa03": "SA(0.3)", "psa10": "SA(1.0)", "psa30": "SA(3.0)"}
_VERTICAL = re.compile(r"(Z|UP|VERT|V)$", re.IGNORECASE)
_SPECTRAL = re.compile(r"(?:psa|sa)\(?([0-9.]+)\)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Record:
    """What one station says. values: measure -> (ln of g or cm/s, standard deviation of ln). felt: (MMI, its deviation)."""

    name: str
    lon: float
    lat: float
    values: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    felt: tuple[float, float] | None = None
    vs30: float = float("nan")


def read_records(path: Path) -> list[Record]:
    """The records of a station list, told by what is in it. Raises InputError that names the file and what is wrong."""
    start = content(path).lstrip()[:1]
    if start == b"<":
        found = [_of_element(e, path) for e in xml(path).iter("station")]
    elif start == b"{":
        found = [_of_feature(f, path) for f in _features(parsed_json(path), path)]
    else:
        found = _of_csv(path)
    kept = [r for r in found if r.values or r.felt is not None]
    if not kept:
        raise InputError("has no station with a value", str(path), "allowed: ShakeMap stationlist (XML, JSON), OpenQuake CSV")
    return kept


def _measure(name: str) -> str | None:
    """The measure that a file's name of an amplitude means, None for what is none."""
    if name.lower() in _TAGS:
        return _TAGS[name.lower()]
    spectral = _SPECTRAL.match(name)
    return measure_name(f"SA({spectral[1]})") if spectral else None


def _ln(value: float, unit: str, measure: str) -> float:
    """Ln of an amplitude, NaN where it is not above zero. Accelerations are in %g unless the unit says otherwise."""
    unit = unit.strip().lower()
    if unit.startswith("ln"):
        return value
    factor = 1.0 if measure == "PGV" or unit == "g" else 0.01
    return float(np.log(value * factor)) if value > 0 else float("nan")


def _together(found: Mapping[str, list[tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    """Geometric mean of the components of each measure, and the mean of their deviations."""
    kept = {m: [(v, s) for v, s in pairs if np.isfinite(v)] for m, pairs in found.items()}
    return {m: (float(np.mean([v for v, _ in p])), float(np.mean([s for _, s in p]))) for m, p in kept.items() if p}


def _of_element(station: Any, path: Path) -> Record:
    found: dict[str, list[tuple[float, float]]] = {}
    for component in station.iter("comp"):
        if _VERTICAL.search(component.get("name") or ""):
            continue
        for amplitude in component:
            measure = _measure(str(amplitude.tag))
            if measure is None or (amplitude.get("flag") or "0") not in ("0", ""):
                continue
            value = number(amplitude.get("value"), f"a value of {measure}", path)
            spread = number(amplitude.get("ln_sigma") or 0, "ln_sigma", path)
            found.setdefault(measure, []).append((_ln(value, amplitude.get("units") or "", measure), spread))
    lon, lat = (number(station.get(k), f"{k} of a station", path) for k in ("lon", "lat"))
    felt = None
    if len(station) == 0 and station.get("intensity"):
        felt = _felt(station.get("intensity"), station.get("intensity_stddev"), station.get("nresp"), path)
    return Record(station.get("code") or station.get("name") or "", lon, lat, _together(found), felt)


def _felt(intensity: object, spread: object, count: object, path: Path) -> tuple[float, float]:
    """A felt intensity and its deviation: as given, else by the number of reports, else that of one report."""
    value = number(intensity, "intensity", path)
    if spread not in (None, "", "null"):
        return value, number(spread, "intensity_stddev", path)
    return value, float(spread_of_reports(number(count, "nresp", path) if count not in (None, "", "null") else 1))


def _features(found: Any, path: Path) -> list[dict[str, Any]]:
    features = found.get("features") if isinstance(found, dict) else None
    if not isinstance(features, list):
        raise InputError("has no features", str(path), "allowed: a ShakeMap stationlist.json")
    return features


def _of_feature(feature: dict[str, Any], path: Path) -> Record:
    try:
        facts, shape = feature["properties"], feature["geometry"]
        ring = [shape["coordinates"]] if shape.get("type", "Point") == "Point" else shape["coordinates"][0]
        lon, lat = (float(np.mean([point[i] for point in ring])) for i in (0, 1))  # felt reports may come by cells
        found: dict[str, list[tuple[float, float]]] = {}
        for channel in facts.get("channels") or []:
            if _VERTICAL.search(str(channel.get("name", ""))):
                continue
            for amplitude in channel.get("amplitudes") or []:
                measure = _measure(str(amplitude.get("name", "")))
                if (
                    measure is None
                    or str(amplitude.get("flag", "0")) not in ("0", "")
                    or amplitude.get("value") in (None, "null")
                ):
                    continue
                value, spread = (
                    number(amplitude["value"], measure, path),
                    number(amplitude.get("ln_sigma") or 0, "ln_sigma", path),
                )
                found.setdefault(measure, []).append((_ln(value, str(amplitude.get("units", "")), measure), spread))
        felt, intensity = None, facts.get("intensity", facts.get("cdi"))
        reported = facts.get("station_type") == "macroseismic" or "cdi" in facts
        if reported and intensity not in (None, "", "null"):
            felt = _felt(intensity, facts.get("intensity_stddev", facts.get("stddev")), facts.get("nresp"), path)
        vs30 = facts.get("vs30")
        ground = number(vs30, "vs30", path) if vs30 not in (None, "", "null") else float("nan")
        return Record(str(facts.get("code", facts.get("name", ""))), lon, lat, _together(found), felt, ground)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"a feature is no station: {error!r}", str(path)) from None


def _of_csv(path: Path) -> list[Record]:
    text = content(path).decode("utf-8-sig", "replace")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    names = {str(n).strip().upper(): n for n in (rows[0] if rows else {})}
    if not {"LONGITUDE", "LATITUDE"} <= set(names):
        raise InputError("has no columns LONGITUDE and LATITUDE", str(path), "allowed: a station list as OpenQuake reads it")
    return [_of_row({u: row[n] for u, n in names.items()}, place, path) for place, row in enumerate(rows)]


def _of_row(row: Mapping[str, str | None], place: int, path: Path) -> Record:
    def value(name: str) -> float:
        text = (row.get(name) or "").strip()
        return number(text, f"{name} of row {place + 1}", path) if text and text.lower() != "nan" else float("nan")

    values: dict[str, tuple[float, float]] = {}
    felt = None
    for column in row:
        if not column.endswith("_VALUE") or not np.isfinite(amount := value(column)):
            continue
        stem = column.removesuffix("_VALUE")
        spread = value(f"{stem}_LN_SIGMA")
        spread = value(f"{stem}_STDDEV") if np.isnan(spread) else spread
        if stem == "MMI":
            felt = (amount, 0.0 if np.isnan(spread) else spread)
        elif amount > 0:
            values[measure_name(stem)] = (float(np.log(amount)), 0.0 if np.isnan(spread) else spread)
    name = (row.get("STATION_ID") or row.get("STATION_NAME") or str(place)).strip()
    try:  # said by the way: a class of soil in its place is no reason to refuse what was recorded
        ground = float(row.get("VS30") or "nan")
    except ValueError:
        ground = float("nan")
    return Record(name, value("LONGITUDE"), value("LATITUDE"), values, felt, ground)


def stations_of(
    records: Sequence[Record],
    rupture: Rupture,
    tree: Mapping[str, float],
    to_metres: ToMetres,
    measures: Sequence[str],
    vs30: float | npt.ArrayLike = 760.0,
    felt_as: str | None = None,
    within: float = 200.0,
) -> Stations:
    """The stations of an earthquake: records beside what the weighted models of `tree` say there.

    measures: those to heed of what was recorded. vs30: m/s, a number or one a record, where the record has none. A felt
    intensity counts as an observation of one measure, `felt_as` (else the first of `measures` that intensity can be told
    from), with the spread of that relation. within: km from the rupture beyond which records are left out.
    """
    wanted = tuple(dict.fromkeys(measure_name(m) for m in measures))
    felt_as = felt_as or next((m for m in wanted if m in LAWS), "PGV")
    if any(r.felt is not None and not r.values for r in records):
        wanted = tuple(dict.fromkeys((*wanted, felt_as)))
    expected = _expected(records, rupture, tree, to_metres, wanted, vs30)
    observed, noise = (np.full(expected.median.shape, value) for value in (np.nan, 0.0))
    for s, record in enumerate(records):
        for o, measure in enumerate(wanted):
            if measure in record.values:
                observed[o, s], noise[o, s] = record.values[measure]
            elif record.felt is not None and not record.values and measure == felt_as:
                ln, spread = motion_of(measure, *record.felt)
                observed[o, s], noise[o, s] = float(ln), float(spread)
    distance = from_rupture(rupture, expected.x, expected.y, to_metres).rrup
    keep = np.flatnonzero(np.isfinite(observed).any(axis=0) & (distance <= within))
    if not keep.size:
        raise InputError(f"no station within {within:g} km of the rupture has {', '.join(wanted)}")
    return Stations(expected, observed, noise, [r.name for r in records]).at(keep).thinned(MOST_PLACES)


def _expected(
    records: Sequence[Record],
    rupture: Rupture,
    tree: Mapping[str, float],
    to_metres: ToMetres,
    measures: Sequence[str],
    vs30: float | npt.ArrayLike,
) -> Shaking:
    x, y = to_metres([r.lon for r in records], [r.lat for r in records])
    own = np.array([r.vs30 for r in records], dtype=float)
    ground = np.where(own > 0, own, np.broadcast_to(np.asarray(vs30, dtype=float), own.shape))
    setting = setting_of(rupture, from_rupture(rupture, x, y, to_metres), ground, (own > 0).astype(float))
    return shaking(setting, tree, measures, x, y)
