"""What people write into OpenStreetMap tags, as numbers: levels, heights, speeds, lanes, widths, directions.

Each reader takes one text and returns a number, or NaN where the text says nothing believable; `each` runs it over a
column, once per distinct text. The forms read are those of the OpenStreetMap wiki (Key:height, Key:maxspeed, ...).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

Numbers = npt.NDArray[np.float64]
NAN = math.nan
NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")
FOOT, INCH, MILE_PER_HOUR, KNOT = 0.3048, 0.0254, 0.44704, 1852 / 3600  # m, m, m/s, m/s: exact by definition

# Default limits (km/h) that a text such as "RO:urban" stands for: the common values of the wiki's Speed_limits page.
ZONE_SPEED = {
    "urban": 50.0, "rural": 90.0, "motorway": 120.0, "trunk": 100.0, "living_street": 20.0, "bicycle_road": 30.0,
    "nsl_single": 96.56, "nsl_dual": 112.65, "nsl_restricted": 48.28, "school": 30.0, "walk": 7.0, "pedestrian_zone": 7.0,
    "expressway": 100.0, "dual_carriageway": 110.0,
}  # fmt: skip
COUNTRY_SPEED = {  # km/h, where a country differs from ZONE_SPEED by more than 10 km/h (wiki: Speed_limits)
    "DE:rural": 100.0, "AT:rural": 100.0, "NL:rural": 80.0, "FR:rural": 80.0, "CH:rural": 80.0, "DK:rural": 80.0,
    "FI:rural": 80.0, "NO:rural": 80.0, "SE:rural": 70.0, "BE-VLG:rural": 70.0, "RU:urban": 60.0, "UA:motorway": 130.0,
    "DE:motorway": 130.0, "AT:motorway": 130.0, "FR:motorway": 130.0, "IT:motorway": 130.0, "PL:motorway": 140.0,
    "RO:motorway": 130.0, "US:rural": 88.5, "US:urban": 48.28, "IT:trunk": 110.0, "NL:motorway": 100.0,
}  # fmt: skip


def each(column: pd.Series[str], read: Callable[[str], float]) -> Numbers:
    """`read` over `column`, NaN where there is no text."""
    codes, texts = pd.factorize(column)
    values = np.array([read(str(text)) for text in texts] + [NAN])
    return values[codes]  # code -1, no text, takes the last


def first_number(text: str) -> float:
    """The first number in `text`."""
    found = NUMBER.search(text)
    return float(found.group().replace(",", ".")) if found else NAN


def levels(text: str) -> float:
    """Storeys: "3", "1.5"; of a list ("2;3", "2-3") the largest. Nothing above 170 is believed."""
    numbers = [float(n.replace(",", ".")) for n in re.findall(r"\d+(?:[.,]\d+)?", text)]
    value = max(numbers, default=NAN)
    return value if 0 < value <= 170 else NAN


def metres(text: str) -> float:
    r"""A length: "12", "12 m", "12,5m", "40'", "40'6\"", "40 ft", "0.01 km"; nothing negative."""
    text = text.strip().lower().replace("’", "'").replace("″", '"').replace("′", "'")
    feet = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:'|ft|feet)\s*(?:(\d+(?:\.\d+)?)\s*(?:\"|''|in)?)?", text)
    if feet:
        return float(feet.group(1)) * FOOT + float(feet.group(2) or 0) * INCH
    found = re.match(r"~?\s*(\d+(?:[.,]\d+)?)\s*(km|cm|mm|m|metres?|meters?|in|\"|;|-|$)", text)
    if not found:
        return NAN
    scale = {"km": 1000.0, "cm": 0.01, "mm": 0.001, "in": INCH, '"': INCH}.get(found.group(2), 1.0)
    return float(found.group(1).replace(",", ".")) * scale


def height(text: str) -> float:
    """The height of a building in metres; nothing above 1000 m is believed."""
    value = metres(text)
    return value if 0.5 <= value <= 1000 else NAN


def speed(text: str) -> float:
    """A speed limit in m/s: "50", "50 mph", "20 knots", "RO:urban", "walk"; "none" and "signals" are NaN."""
    text = text.split(";")[0].strip()
    found = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(km/?h|kph|kmh|mph|knots?|)", text.lower())
    if found:
        value = float(found.group(1).replace(",", "."))
        unit = found.group(2)
        scale = MILE_PER_HOUR if unit == "mph" else KNOT if unit.startswith("knot") else 1 / 3.6
        return value * scale if 1 <= value <= 200 else NAN
    if text in COUNTRY_SPEED:
        return COUNTRY_SPEED[text] / 3.6
    zone = text.split(":")[-1].lower()
    in_zone = re.fullmatch(r"(?:zone:?)?(\d+)", zone)
    if in_zone:
        return speed(in_zone.group(1))
    return ZONE_SPEED[zone] / 3.6 if zone in ZONE_SPEED else NAN


def lanes(text: str) -> float:
    """Lanes: of a list ("2;3") the smallest; whole numbers from 1 to 16 are believed, 1.5 is one lane."""
    numbers = [math.floor(float(n)) for n in re.findall(r"(?<![-\d.])\d+(?:\.\d+)?", text)]
    value = float(min(numbers, default=0))
    return value if 1 <= value <= 16 else NAN


def people(text: str) -> float:
    """A number of inhabitants: "24678", "24 678", "24,678", "105'"; NaN when it is no number of people."""
    digits = re.sub(r"[\s,'’.]", "", text.split(";")[0].split("(")[0])
    return float(digits) if digits.isdigit() else NAN


def direction(text: str) -> float:
    """Oneway: 1 along the way, -1 against it, 0 both ways; "reversible" and "alternating" count as both ways."""
    text = text.strip().lower()
    return 1.0 if text in ("yes", "true", "1") else -1.0 if text in ("-1", "reverse") else 0.0


def volts(text: str) -> float:
    """The highest voltage of a list such as "220000;110000", in volts; "110 kV" is read too."""
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text)]
    value = max(numbers, default=NAN) * (1000.0 if "kv" in text.lower() else 1.0)
    return value if value >= 50 else NAN
