"""What people write into tags is read as what they mean."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from citytwin.io.importers import values


@pytest.mark.parametrize(("text", "number"), [
    ("3", 3), ("1.5", 1.5), ("2;3", 3), ("2-4", 4), ("0", None), ("-1", 1), ("many", None), ("900", None), ("2,5", 2.5),
])  # fmt: skip
def test_levels_are_storeys_that_a_building_can_have(text: str, number: float | None) -> None:
    assert values.levels(text) == pytest.approx(math.nan if number is None else number, nan_ok=True)


@pytest.mark.parametrize(("text", "number"), [
    ("12", 12), ("12 m", 12), ("12m", 12), ("12,5 m", 12.5), ("40'", 12.192), ("6'4\"", 1.9304), ("40 ft", 12.192),
    ("0.05 km", 50), ("tall", None), ("", None), ("-3", None), ("150 cm", 1.5),
])  # fmt: skip
def test_lengths_are_read_in_metres_feet_and_inches(text: str, number: float | None) -> None:
    assert values.metres(text) == pytest.approx(math.nan if number is None else number, nan_ok=True)


@pytest.mark.parametrize(("text", "kilometres"), [
    ("50", 50), ("50 mph", 80.4672), ("RO:urban", 50), ("DE:rural", 100), ("none", None), ("signals", None), ("walk", 7),
    ("30;50", 30), ("20 knots", 37.04), ("zone:30", 30), ("DE:zone:30", 30), ("fast", None), ("0", None), ("50 km/h", 50),
])  # fmt: skip
def test_speed_limits_are_read_in_all_their_spellings(text: str, kilometres: float | None) -> None:
    expected = math.nan if kilometres is None else kilometres / 3.6
    assert values.speed(text) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("text", "number"), [("2", 2), ("2;3", 2), ("1.5", 1), ("99", None), ("-2", None), ("two", None)])
def test_lanes_that_no_road_has_are_not_believed(text: str, number: float | None) -> None:
    assert values.lanes(text) == pytest.approx(math.nan if number is None else number, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "number"), [("24678", 24678), ("24 678", 24678), ("105'", 105), ("12,000", 12000), ("?", None)]
)
def test_populations_are_whole_numbers_however_grouped(text: str, number: float | None) -> None:
    assert values.people(text) == pytest.approx(math.nan if number is None else number, nan_ok=True)


def test_a_way_against_its_drawing_is_minus_one() -> None:
    assert [values.direction(t) for t in ("yes", "-1", "no", "reversible", "1")] == [1, -1, 0, 0, 1]


def test_a_column_is_read_with_gaps_as_nan() -> None:
    read = values.each(pd.Series(["3", None, "x", "2;4"], dtype="str"), values.levels)
    assert read[0] == 3
    assert read[3] == 4
    assert all(math.isnan(v) for v in read[1:3])
