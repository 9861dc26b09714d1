"""Units: what people write becomes SI, and what is unclear is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin import units
from citytwin.errors import InputError


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("60 mm/h", "m/s", 60e-3 / 3600), ("6h", "s", 21600), ("5min", "s", 300), ("1.5 m3/s", "m**3/s", 1.5),
        ("20 %", "1", 0.2),
        ("-3 °C", "K", 270.15), ("1e3 ft", "m", 304.8), ("50 mph", "m/s", 22.352), (0.3, "1", 0.3), ("0.3", "1", 0.3),
    ],
)  # fmt: skip
def test_a_written_quantity_becomes_a_number(text: str | float, unit: str, value: float) -> None:
    assert units.to(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["60", 60, "60 m", "", "mm", "60 bananas", "nan m/s", "inf m/s", True, None, [1], "6 0 m/s", "1_0 m/s"]
)
def test_what_is_no_speed_is_refused_in_one_line(text: object) -> None:
    with pytest.raises(InputError) as caught:
        units.to(text, "m/s")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@given(st.floats(-1e6, 1e6), st.sampled_from([("mm", "m"), ("degC", "K"), ("km/h", "m/s"), ("kWh", "J")]))
def test_conversion_there_and_back_gives_the_same(value: float, pair: tuple[str, str]) -> None:
    there = units.convert(np.array([value]), *pair)
    back = units.convert(there, pair[1], pair[0])
    assert back[0] == pytest.approx(value, rel=1e-9, abs=1e-6)
