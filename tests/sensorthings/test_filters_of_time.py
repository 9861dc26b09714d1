"""Spans and moments compared: what FROST's own tests expect of it, for moments and spans around seven and eight o'clock."""

from __future__ import annotations

import pytest
from test_create_update_delete import DEEP_STREAM, LOCATION, THING, link

DAY = "2016-01-01T"
MOMENTS = ["06:00", "06:59", "07:00", "07:01", "07:59", "08:00", "08:01", "09:00"]
SPANS = ["06:00/06:59", "06:00/07:00", "06:00/07:01", "07:00/08:00", "07:01/07:59", "07:59/09:00", "08:00/09:00", "08:01/09:00",
         "06:59/08:01", "07:00/07:59", "07:00/08:01", "06:59/08:00", "07:01/08:00"]  # fmt: skip
T7, T8, T9, I78 = f"{DAY}07:00:00Z", f"{DAY}08:00:00Z", f"{DAY}09:00:00Z", f"{DAY}07:00:00Z/{DAY}08:00:00Z"
EXPECTED = [  # a filter on `{}`; which moments (0 to 7, 21, 22) and which spans (8 to 20, 23, 24) it finds
    (f"{{}} lt {T7}", {0, 1, 21}, {8, 9, 23}), (f"{{}} lt {I78}", {0, 1, 21}, {8, 9, 23}),
    (f"{T7} lt {{}}", {3, 4, 5, 6, 7, 22}, {12, 13, 14, 15, 20, 24}), (f"{I78} lt {{}}", {5, 6, 7, 22}, {14, 15, 24}),
    (f"{{}} gt {T7}", {3, 4, 5, 6, 7, 22}, {12, 13, 14, 15, 20, 24}), (f"{{}} gt {I78}", {5, 6, 7, 22}, {14, 15, 24}),
    (f"{T7} gt {{}}", {0, 1, 21}, {8, 9, 23}), (f"{I78} gt {{}}", {0, 1, 21}, {8, 9, 23}),
    (f"{{}} le {T7}", {0, 1, 2, 21}, {8, 9, 23}), (f"{{}} le {I78}", {0, 1, 2, 21}, {8, 9, 10, 11, 17, 19, 23}),
    (f"{T7} le {{}}", {2, 3, 4, 5, 6, 7, 22}, {11, 12, 13, 14, 15, 17, 18, 20, 24}),
    (f"{I78} le {{}}", {5, 6, 7, 22}, {11, 13, 14, 15, 18, 20, 24}),
    (f"{{}} ge {T7}", {2, 3, 4, 5, 6, 7, 22}, {11, 12, 13, 14, 15, 17, 18, 20, 24}),
    (f"{{}} ge {I78}", {5, 6, 7, 22}, {11, 13, 14, 15, 18, 20, 24}),
    (f"{{}} eq {T7}", {2}, set()), (f"{{}} eq {I78}", set(), {11}), (f"{T7} eq {{}}", {2}, set()), (f"{I78} eq {{}}", set(), {11}),
    (f"before({{}},{T7})", {0, 1, 21}, {8, 9, 23}), (f"before({T7},{{}})", {3, 4, 5, 6, 7, 22}, {12, 13, 14, 15, 20, 24}),
    (f"before({I78},{{}})", {5, 6, 7, 22}, {14, 15, 24}), (f"after({{}},{I78})", {5, 6, 7, 22}, {14, 15, 24}),
    (f"after({T7},{{}})", {0, 1, 21}, {8, 9, 23}),
    (f"meets({{}},{T7})", {2}, {9, 11, 17, 18}), (f"meets({{}},{I78})", {2, 5}, {9, 14}), (f"meets({I78},{{}})", {2, 5}, {9, 14}),
    (f"during({{}},{I78})", {2, 3, 4}, {11, 12, 17, 20}),
    (f"overlaps({{}},{T7})", {2}, {10, 11, 16, 17, 18, 19}),
    (f"overlaps({{}},{I78})", {2, 3, 4}, {10, 11, 12, 13, 16, 17, 18, 19, 20}),
    (f"overlaps({I78},{{}})", {2, 3, 4}, {10, 11, 12, 13, 16, 17, 18, 19, 20}),
    (f"starts({{}},{T7})", {2}, {11, 17, 18}), (f"starts({{}},{I78})", {2}, {11, 17, 18}),
    (f"finishes({{}},{T7})", {2}, {9}), (f"finishes({{}},{I78})", {5}, {11, 19, 20}),
    ("year({}) eq 2015", {21}, {23}), (f"{{}} add duration'PT1H' gt {T9}", {6, 7, 22}, {15, 24}),
    (f"{{}} gt {T9} sub duration'PT1H'", {6, 7, 22}, {15, 24}), (f"{{}} sub duration'PT1H' gt {T7}", {6, 7, 22}, {15, 24}),
    (f"{{}} lt {DAY}06:00:00Z/{T7} add duration'PT1H'", {0, 1, 21}, {8, 9, 23}),
    (f"{{}} gt {T8}/{T9} sub duration'PT1H'", {5, 6, 7, 22}, {14, 15, 24}),
    (f"not {{}} lt {T7} and not {{}} ge {T8}", {2, 3, 4}, {10, 11, 12, 13, 16, 17, 18, 19, 20}),
]  # fmt: skip


@pytest.fixture(scope="module")
def timed(made_city, tmp_path_factory):
    """Observations with `n` in their parameters: moments 0 to 7, spans 8 to 20, 21 to 24 of other years; and a stream without any."""
    from sensing import served

    for each in served(made_city, tmp_path_factory.mktemp("timed") / "city", False):
        each.clear()
        thing = each.post("Things", {**THING, "Locations": [LOCATION]})
        stream = each.post("Datastreams", {**DEEP_STREAM, "Thing": link(thing)})
        each.post("Datastreams", {**DEEP_STREAM, "name": "without", "Thing": link(thing)})
        said = [f"{DAY}{t}:00Z" for t in MOMENTS] + ["/".join(f"{DAY}{t}:00Z" for t in s.split("/")) for s in SPANS]
        said += ["2015-01-01T06:00:00Z", "2017-01-01T09:00:00Z", "2015-01-01T06:00:00Z/2015-01-01T07:00:00Z",
                 "2017-01-01T09:00:00Z/2017-01-01T10:00:00Z"]  # fmt: skip
        for n, text in enumerate(said):
            more = {"validTime": text} if "/" in text else {"resultTime": text}
            if n > 22:
                more["resultTime"] = text.split("/")[0 if n == 23 else 1]
            each.post(
                f"Datastreams({stream})/Observations", {"result": n, "phenomenonTime": text, "parameters": {"n": n}, **more}
            )
        yield each


def found(service, filter):
    return {o["result"] for o in service.values("Observations", filter=filter, top="100")}


@pytest.mark.parametrize(("filter", "moments", "spans"), EXPECTED)
def test_times_are_compared_as_frost_does(timed, filter, moments, spans):
    assert found(timed, filter.replace("{}", "phenomenonTime")) == moments | spans
    assert found(timed, filter.replace("{}", "validTime")) == spans
    told = found(timed, filter.replace("{}", "resultTime"))
    assert told - {23, 24} == moments  # 23 and 24 have one too, at the begin and the end of their spans


@pytest.mark.parametrize("what", ["validTime", "phenomenonTime"])
def test_a_time_is_during_a_span_that_holds_its_begin_and_not_its_end(timed, what):
    assert found(timed, f"during({T7},{what})") == {10, 11, 16, 17, 18, 19}
    assert found(timed, f"during({I78},{what})") == {11, 16, 18, 19}
    assert found(timed, f"during({what},'{I78}')") == found(timed, f"during({what},{I78})")


@pytest.mark.parametrize("filter", [f"during(validTime,{T7})", f"during(phenomenonTime,{T7})", f"during({T7},resultTime)",
                                    f"during({I78},resultTime)"])  # fmt: skip
def test_nothing_is_during_a_moment(timed, filter):
    assert "span" in timed.get("Observations", status=400, filter=filter)["error"]["message"]


@pytest.mark.parametrize("what", ["phenomenonTime", "resultTime"])
@pytest.mark.parametrize(
    ("filter", "holds"),
    [
        ("{} lt 2017-01-01T10:00:00Z", True), ("{} lt 2016-01-01T07:00:00Z", False), ("{} gt 2014-01-01T06:00:00Z", True),
        ("{} gt 2015-01-01T06:00:00Z", False), ("{} le 2017-01-01T10:00:00Z", True), ("{} ge 2015-01-01T06:00:00Z", True),
        ("{} eq 2015-01-01T06:00:00Z/2017-01-01T10:00:00Z", True), ("meets({}, 2015-01-01T06:00:00Z)", True),
        ("during({}, 2014-01-01T06:00:00Z/2018-01-01T09:00:00Z)", True), ("overlaps({}, 2016-01-01T07:00:00Z)", True),
        ("overlaps({}, 2014-01-01T06:00:00Z/2015-01-01T06:00:00Z)", False), ("starts({}, 2015-01-01T06:00:00Z)", True),
        ("finishes({}, 2017-01-01T10:00:00Z)", True), ("{} eq null", False),
    ],
)  # fmt: skip
def test_datastreams_are_found_by_when_they_observed(timed, what, filter, holds):
    names = [s["name"] for s in timed.values("Datastreams", filter=filter.replace("{}", what))]
    assert ("test datastream." in names) == holds
    assert ("without" in names) == (filter == "{} eq null")


def test_a_datastream_without_observations_has_no_times(timed):
    (stream,) = timed.values("Datastreams", filter="name eq 'without'")
    assert not {"phenomenonTime", "resultTime", "observedArea"} & set(stream)
    (other,) = timed.values("Datastreams", filter="name ne 'without'")
    assert other["phenomenonTime"] == other["resultTime"] == "2015-01-01T06:00:00.000Z/2017-01-01T10:00:00.000Z"
    assert other["observedArea"] == {"type": "Point", "coordinates": [-114.05, 51.05]}
