"""Columns and sensor kinds: one declaration each, checked as they are declared."""

from __future__ import annotations

import pytest

from citytwin import columns
from citytwin.columns import Column, Columns
from citytwin.errors import ConflictError, InputError, MissingError

ROW = {
    "kind": "tram_weight", "column": "tram_load", "unit": "kg", "meaning": "Load of a tram", "low": "0", "high": "60000",
    "usual_low": "0",
    "usual_high": "15000", "period": "30", "rate": "", "department": "traffic", "share": "10", "model": "",
}  # fmt: skip


def test_forty_four_sensor_kinds_ship_with_the_twin() -> None:
    shipped = columns.shipped()
    assert len(shipped.kinds) >= 44
    assert {k.column.table for k in shipped.kinds.values()} == {"device"}


def test_a_new_sensor_type_is_one_line() -> None:
    found = columns.shipped()
    found.declare_kinds([ROW], "here")
    assert found.kind("tram_weight").column is found["tram_load"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": "bananas"}, "unit"),
        ({"low": "x"}, "float"),
        ({"low": "9", "high": "1"}, "bounds"),
        ({"column": "Tram Load"}, "lower-case"),
    ],
)
def test_a_wrong_sensor_line_is_told_with_its_place(change: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=f"here line 2.*{words}"):
        Columns().declare_kinds([{**ROW, **change}], "here")


def test_two_different_declarations_of_one_name_are_refused() -> None:
    found = Columns()
    found.declare([Column("a", "device", "m", "one")])
    found.declare([Column("a", "device", "m", "one")])
    with pytest.raises(ConflictError):
        found.declare([Column("a", "device", "m", "another")])


def test_an_unknown_kind_is_told_with_the_nearest() -> None:
    with pytest.raises(MissingError, match="river_stage"):
        columns.shipped().kind("river_stag")
