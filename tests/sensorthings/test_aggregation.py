"""Aggregation of observations on the server, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

DAY = "groupby((Datastream,every(phenomenonTime,P1D)),aggregate(result with average as mean,result with min as low,result with max as high,result with p90 as p90,$count as n))"


def test_each_interval_of_each_stream_has_its_numbers(service):
    ids = service.ids("Datastreams")[:6]
    rows = service.values("Observations", apply=DAY)
    assert {r["Datastream"]["@iot.id"] for r in rows} == set(ids)
    from sensing import BEGIN

    hours = np.arange(48)
    day = ((BEGIN + hours * 3600) // 86400).astype(int)
    mine = [r for r in rows if r["Datastream"]["@iot.id"] == ids[2]]
    assert len(mine) == len(np.unique(day)) == 3
    for row, each in zip(mine, np.unique(day), strict=True):
        value = 200.0 + hours[day == each]
        assert (row["mean"], row["low"], row["high"], row["n"]) == (value.mean(), value.min(), value.max(), len(value))
        assert row["p90"] == pytest.approx(np.percentile(value, 90))
    begin, end = mine[1]["phenomenonTime"].split("/")
    assert (begin, end) == ("2026-10-15T00:00:00.000Z", "2026-10-16T00:00:00.000Z")


def test_one_stream_or_all_together_with_a_filter(service):
    id = service.ids("Datastreams")[1]
    (row,) = service.values(
        f"Datastreams({id})/Observations", apply="filter(result ge 110)/aggregate(result with median as mid,$count as n)"
    )
    assert row == {"mid": float(np.median(np.arange(110, 148))), "n": 38}
    (row,) = service.values("Observations", filter="result lt 10", apply="aggregate(result with sum as total)")
    assert row == {"total": 45.0}
    rows = service.values(
        "Observations", apply="groupby((Datastream/ObservedProperty/name),aggregate(result with max as high))"
    )
    assert max(r["high"] for r in rows) == 547.0
    assert all(isinstance(r["Datastream"]["ObservedProperty"]["name"], str) for r in rows)


def test_groups_come_by_pages(service):
    first = service.get("Observations", apply="groupby((every(phenomenonTime,PT1H)),aggregate($count as n))", top="30")
    second = service.client.get(first["@iot.nextLink"]).json()
    assert [r["n"] for r in first["value"] + second["value"]] == [6] * 48
    assert "@iot.nextLink" not in second


@pytest.mark.parametrize(
    ("apply", "words"),
    [
        ("aggregate(result with mode as m)", "p95"),
        ("groupby((every(result,PT1H)))", "phenomenonTime"),
        ("groupby((every(phenomenonTime,P0D)))", "length"),
        ("aggregate(result)", "understood"),
    ],
)
def test_mistakes_are_told(service, apply, words):
    error = service.get("Observations", status=400, apply=apply)["error"]
    assert words in error["message"] + error["hint"]
    service.get("Things", status=400, apply="aggregate($count as n)")
