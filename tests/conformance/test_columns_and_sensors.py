"""Every declared column and kind of device keeps the laws: a new row of sensors.csv is tested here without new lines."""

from __future__ import annotations

import json

import numpy as np
import pytest

from citytwin import units
from citytwin.city import FORMS
from citytwin.columns import RAMPS, shipped
from citytwin.sim import columns_with

COLUMNS = {column.name: column for column in columns_with()}
DEVICE_KINDS = shipped().kinds


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_column(name):
    column = COLUMNS[name]
    told = json.loads(json.dumps(column.describe(), allow_nan=False))
    assert told["name"] == name
    assert column.table in {*FORMS, "cell"}
    assert len(column.meaning) > 3
    assert column.ramp in RAMPS
    assert units.compatible(column.unit, column.unit)
    assert list(column.steps) == sorted(set(column.steps))
    assert all(column.low <= step <= column.high for step in column.steps)
    if column.categories:
        assert (column.low, column.high) == (0, len(column.categories) - 1)


@pytest.mark.parametrize("name", sorted(DEVICE_KINDS))
def test_device_kind(name):
    kind = DEVICE_KINDS[name]
    column = kind.column
    json.dumps(kind.describe(), allow_nan=False)
    low, high = kind.usual
    assert column.low <= low < high <= column.high, "the usual range lies within the physical one"
    assert np.isfinite([column.low, column.high]).all(), "a reading outside is not believed, so there is an outside"
    assert kind.period > 0
    assert kind.rate > 0
    assert kind.share > 0
    assert kind.department


def test_no_two_kinds_share_a_column_with_other_bounds():
    for kind in DEVICE_KINDS.values():
        assert shipped()[kind.column.name].describe() == kind.column.describe()
