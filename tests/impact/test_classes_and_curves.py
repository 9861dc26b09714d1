"""Hazard classes and depth-damage functions say what their publications say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citytwin.impact import curves
from citytwin.impact.classes import hazard_class
from citytwin.impact.loss import damage_state

amount = st.floats(0, 20, allow_nan=False)


def one(depth: float, speed: float) -> int:
    d, v = np.array([depth]), np.array([speed])
    return int(hazard_class(d, v, d * v)[0])


@pytest.mark.parametrize(
    ("depth", "speed", "expected"),
    [(0.3, 0, 1), (0.31, 0, 2), (0.5, 0, 2), (0.51, 0, 3), (1.2, 0, 3), (1.21, 0, 4), (2.0, 0, 4), (2.01, 0, 5), (4.0, 0, 5),
     (4.01, 0, 6), (0.1, 2.0, 1), (0.1, 2.01, 5), (0.1, 4.01, 6), (0.2, 1.4, 1), (0.2, 1.9, 2), (0.5, 1.2, 2), (0.5, 1.3, 4),
     (1.0, 0.6, 3), (1.0, 0.9, 4), (1.0, 1.1, 5), (2.0, 2.0, 5), (2.1, 2.0, 6)],
)  # fmt: skip
def test_each_limit_of_the_published_hazard_curves_separates_two_classes(depth, speed, expected):
    assert one(depth, speed) == expected


@given(amount, amount, amount, amount)
def test_deeper_or_faster_water_is_never_less_dangerous(depth, speed, more_depth, more_speed):
    assert one(depth + more_depth, speed + more_speed) >= one(depth, speed)


@pytest.mark.parametrize(
    ("sector", "depth", "share"),
    [("residential", 0.5, 0.25), ("residential", 2, 0.60), ("residential", 6, 1.0), ("commercial", 1, 0.30),
     ("commercial", 4, 0.90), ("industrial", 1.5, 0.40), ("industrial", 3, 0.70), ("industrial", 5, 1.0)],
)  # fmt: skip
def test_the_curves_pass_through_the_published_points(sector, depth, share):
    assert curves.damage_share(sector, np.array([depth]))[0] == pytest.approx(share, abs=1e-12)


@given(st.sampled_from(curves.SECTORS), amount, amount)
def test_deeper_water_never_does_less_damage(sector, depth, more):
    low, high = curves.damage_share(sector, np.array([depth, depth + more]))
    assert 0 <= low <= high <= 1
    assert damage_state(np.array([low]))[0] <= damage_state(np.array([high]))[0]


def test_a_home_is_completely_damaged_when_repairs_pass_half_of_its_value():
    depth = np.array([0.05, 0.3, 0.4, 1.4, 1.6, 3.8, 3.9])  # m; 60 % of a structure can be damaged at all
    states = damage_state(curves.damage_share("residential", depth))
    assert states.tolist() == [1, 1, 2, 2, 3, 3, 4]


def test_no_water_does_no_damage():
    for sector in curves.SECTORS:
        assert curves.damage_share(sector, np.array([0.0]))[0] == 0
    assert damage_state(np.array([0.0]))[0] == 0


@pytest.mark.parametrize(
    ("gdp", "costs"),
    [(50338.25483, (1558.804244, 1611.907838, 1038.809007)), (30736.00228, (1289.027494, 1351.347305, 884.9640521)),
     (6580.813875, (711.9044621, 778.995481, 536.3496982))],
)  # fmt: skip
def test_construction_costs_follow_from_the_gdp_as_in_the_published_table(gdp, costs):
    for sector, cost in zip(curves.SECTORS, costs, strict=True):
        assert curves.construction_cost(sector, gdp) == pytest.approx(cost, rel=2e-4)


def test_contents_add_half_to_homes_and_double_offices():
    structure = curves.construction_cost("residential", 40_000) * 0.36
    assert curves.maximum_damage("residential", 40_000) == pytest.approx(1.5 * structure)
    assert curves.maximum_damage("commercial", 40_000) == pytest.approx(
        2 * 0.36 * curves.construction_cost("commercial", 40_000)
    )
