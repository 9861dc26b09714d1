"""State: forks share until written, and never disturb each other."""

from __future__ import annotations

import time

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from citytwin.city import City, Facts
from citytwin.columns import Column
from citytwin.errors import MissingError
from citytwin.state import State


def city_of(rows: int) -> City:
    points = shapely.points(np.zeros((rows, 2)))
    device = gpd.GeoDataFrame({"key": np.arange(rows).astype(str)}, geometry=points, crs="EPSG:32631")
    return City(Facts("Toytown", "EPSG:32631"), {"device": device})


def state_of(rows: int) -> State:
    state = State(city_of(rows))
    state.declare(Column("a", "device", "m", "a", start=0.0), Column("b", "device", "m", "b"))
    return state


def test_a_column_starts_at_its_start_value_and_takes_no_memory() -> None:
    state = state_of(5)
    assert (state["a"] == 0).all()
    assert np.isnan(state["b"]).all()
    assert state.written == ()


def test_what_is_read_cannot_be_written_by_accident() -> None:
    state = state_of(3)
    state["a"] = [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        state["a"][0] = 9


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 4), st.floats(-5, 5)), max_size=30))
def test_forks_never_disturb_each_other(edits: list[tuple[int, str, int, float]]) -> None:
    """A naive twin of State copies everything at each fork; both must agree whatever is written where."""
    states = [state_of(5)]
    naive = [{"a": np.zeros(5), "b": np.full(5, np.nan)}]
    for which, column, row, value in edits:
        at = which % len(states)
        if which == 3:
            states.append(states[at].fork())
            naive.append({k: v.copy() for k, v in naive[at].items()})
        else:
            states[at].edit(column)[row] = value
            naive[at][column][row] = value
        for state, plain in zip(states, naive, strict=True):
            np.testing.assert_array_equal(state["a"], plain["a"])
            np.testing.assert_array_equal(state["b"], plain["b"])


def test_a_fork_shares_the_arrays_of_its_parent() -> None:
    """Sharing, not time, is what makes a fork of a million rows take microseconds."""
    state = state_of(1_000_000)
    state["a"] = 1.0
    child = state.fork()
    assert np.shares_memory(child["a"], state["a"])
    child.edit("a")[0] = 2.0
    assert not np.shares_memory(child["a"], state["a"])
    begin = time.perf_counter()
    for _ in range(100):
        state.fork()
    print(f"fork of a million rows: {(time.perf_counter() - begin) * 1e4:.1f} microseconds")


def test_an_unknown_column_is_told_with_the_nearest_name() -> None:
    with pytest.raises(MissingError, match='did you mean "river_level"'):
        state_of(1)["river_levle"]
