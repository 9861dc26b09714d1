"""What OGC's conformance suite for SensorThings (ets-sta10) expects of every service: the facts, in words of our own.

The suite itself is a Java program. Its requests, bodies and expectations were read, and are made here again against our server:
tests/sensorthings/test_annex_*.py. `Claims` counts each expectation, so that a report can say how many there are.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

SETS = ("Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties", "Observations",
        "FeaturesOfInterest")  # fmt: skip
PROPERTIES = {
    "Things": ("name", "description"),
    "Locations": ("name", "description", "encodingType", "location"),
    "HistoricalLocations": ("time",),
    "Datastreams": ("name", "description", "unitOfMeasurement", "observationType"),
    "Sensors": ("name", "description", "encodingType", "metadata"),
    "ObservedProperties": ("name", "definition", "description"),
    "Observations": ("phenomenonTime", "result", "resultTime"),
    "FeaturesOfInterest": ("name", "description", "encodingType", "feature"),
}
RELATIONS = {
    "Things": ("Datastreams", "Locations", "HistoricalLocations"),
    "Locations": ("Things", "HistoricalLocations"),
    "HistoricalLocations": ("Thing", "Locations"),
    "Datastreams": ("Thing", "Sensor", "ObservedProperty", "Observations"),
    "Sensors": ("Datastreams",),
    "ObservedProperties": ("Datastreams",),
    "Observations": ("Datastream", "FeatureOfInterest"),
    "FeaturesOfInterest": ("Observations",),
}
ONE = {"Thing": "Things", "Sensor": "Sensors", "ObservedProperty": "ObservedProperties", "Datastream": "Datastreams",
       "FeatureOfInterest": "FeaturesOfInterest"}  # fmt: skip
BIGGEST = 9223372036854775807  # an id that no entity has


def target(relation: str) -> str:
    """The entity set that a relation leads to."""
    return ONE.get(relation, relation)


def many(relation: str) -> bool:
    return relation not in ONE


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ordered(first: Any, second: Any) -> int:
    """-1, 0 or 1: how the suite compares two values of a property in an ordered list (objects by their text)."""
    if (
        isinstance(first, bool)
        or isinstance(second, bool)
        or type(first) is not type(second)
        or isinstance(first, (dict, list))
    ):
        first, second = (
            v if isinstance(v, str) else json.dumps(v, separators=(",", ":"), sort_keys=True) for v in (first, second)
        )
    if first is None:
        return 0
    return (first > second) - (first < second)


def encoded(value: Any) -> str:
    """A literal as the suite writes it into an address: blanks as +."""
    return quote_plus(
        value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
    )


class Claims:
    """Counts expectations; the test fails at its end if any did not hold."""

    made = 0  # by all tests of this run
    broken = 0

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def that(self, holds: Any, words: str) -> bool:
        """Count one expectation."""
        Claims.made += 1
        if not holds:
            Claims.broken += 1
            self.wrong.append(words)
        return bool(holds)

    def equal(self, found: Any, wanted: Any, words: str) -> bool:
        return self.that(found == wanted, f"{words}: {found!r} is not {wanted!r}")

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is None:
            assert not self.wrong, "\n".join([f"{len(self.wrong)} expectations do not hold:", *self.wrong[:20]])
