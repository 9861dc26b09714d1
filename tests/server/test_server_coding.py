"""Numbers on their way: codes of frames, pooling, states between processes, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from citytwin.city import read_city
from citytwin.server import encoding
from citytwin.server.packing import pack, unpack
from citytwin.server.results import Coding, pooled
from citytwin.sim import columns_with
from citytwin.state import State

NUMBERS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@given(arrays(np.float32, (5, 7), elements=NUMBERS))
def test_a_code_says_its_number_to_half_a_step(values):
    coding = Coding.of(float(values.min()), float(values.max()), {})
    codes = coding.codes(values)
    told = coding.offset + coding.scale * codes.astype(float)
    assert np.abs(told - values).max() <= coding.scale * 0.501 + 1e-3
    if values.min() < 0:
        assert codes.min() >= 1


def test_code_zero_is_nothing():
    assert Coding.of(0.0, 2.0, {}).codes(np.array([0.0, np.nan, 2.0], np.float32)).tolist() == [0, 0, 255]
    assert Coding.of(-1.0, 1.0, {}).codes(np.array([-1.0, np.nan, 1.0], np.float32)).tolist() == [1, 0, 255]
    assert Coding.of(0.0, 0.0, {}).codes(np.zeros(3, np.float32)).tolist() == [0, 0, 0]


def test_classes_keep_their_numbers():
    coding = Coding.of(0.0, 6.0, {"categories": ["dry", "H1"]})
    assert coding.codes(np.array([0, 1, 6], np.float32)).tolist() == [0, 1, 6]


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=NUMBERS), st.integers(1, 5))
def test_pooling_is_the_worst_of_each_block(values, factor):
    small = pooled(values, factor, np.fmax)
    height, width = values.shape
    assert small.shape == (-(-height // factor), -(-width // factor))
    for iy, ix in np.ndindex(*small.shape):
        assert small[iy, ix] == values[iy * factor : (iy + 1) * factor, ix * factor : (ix + 1) * factor].max()


def test_a_state_survives_the_way_to_another_process(city_folder, tmp_path):
    city = read_city(city_folder)
    state = State(city, columns_with(city.columns), 1234.5)
    state.edit("river_level")[[0, 8]] = [1.5, 2.5]
    state.edit("water_depth")[100:110] = 0.25
    pack(state, tmp_path / "state")
    again = unpack(tmp_path / "state", city)
    assert again.time == 1234.5
    assert again.written == state.written
    for name in state.written:
        np.testing.assert_array_equal(again[name], state[name])
    assert (tmp_path / "state").stat().st_size < 20_000


SINGLE = st.none() | st.booleans() | st.floats() | st.text() | st.integers(-(2**60), 2**60)
ANYTHING = st.recursive(SINGLE, lambda v: st.lists(v) | st.dictionaries(st.text() | st.integers(0, 9), v), max_leaves=10)


@given(ANYTHING)
def test_whatever_is_answered_is_json(value):
    json.loads(encoding.dumps(value), parse_constant=pytest.fail)


def test_numpy_and_missing_values_become_plain():
    import pandas as pd

    said = {
        "a": np.float32(1.5),
        "b": np.int64(2),
        "c": np.array([1, 2]),
        "d": float("nan"),
        "e": pd.NA,
        "f": pd.NaT,
        "g": np.True_,
    }
    assert json.loads(encoding.dumps(said)) == {"a": 1.5, "b": 2, "c": [1, 2], "d": None, "e": None, "f": None, "g": True}


@given(st.floats(0, 253402300799))
def test_a_moment_survives_being_written(seconds):
    assert encoding.moment(encoding.iso(seconds)) == pytest.approx(seconds, abs=1.1e-3)  # it is cut to milliseconds
