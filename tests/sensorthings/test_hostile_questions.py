"""Questions that nobody means well: each gets one clear line, none brings the server down or makes it work for long."""

from __future__ import annotations

import time
from functools import partial
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from citytwin.server.sensorthings.functions import FUNCTIONS
from citytwin.server.sensorthings.model import SETS

ROOT = "/sensorthings/v1.1"
LONG = 20_000
WORK = 5.0  # seconds of the processor that a question may take, here with a city of 150 devices


def deep(inner, times):
    return "(" * times + inner + ")" * times


def nested(times):
    text = "result gt 1"
    for n in range(times):
        text = f"Datastream/Thing/Datastreams/any(d{n}:d{n}/Observations/any(o{n}:{text.replace('result', f'o{n}/result')}))"
    return text


HOSTILE = {
    "ten thousand brackets": ("Things", {"$filter": deep("1 eq 1", 10_000)}),
    "a thousand brackets": ("Things", {"$filter": deep("1 eq 1", 1000)}),
    "brackets that do not close": ("Things", {"$filter": "(" * LONG}),
    "a thousand nots": ("Things", {"$filter": "not " * 1000 + "true"}),
    "a thousand minus signs": ("Observations", {"$filter": "-" * 1000 + "result gt 1"}),
    "a sum of a thousand": ("Observations", {"$filter": "result" + " add 1" * 1000 + " gt 1"}),
    "concat in concat": ("Things", {"$filter": "concat(" * 500 + "name" + ",name)" * 500 + " eq 'x'"}),
    "more characters than are read": ("Things", {"$filter": "name eq '" + "x" * 60_000 + "'"}),
    "any in any": ("Observations", {"$filter": nested(20)}),
    "a path without end": ("Things", {"$filter": "Datastreams/Thing/" * 900 + "name eq 'x'"}),
    "an expansion without end": ("Things", {"$expand": "/".join(["Datastreams/Thing"] * 900)}),
    "expansions in brackets without end": ("Things", {"$expand": "Datastreams($expand=Thing($expand=" * 400 + "Sensor" + "))" * 400}),
    "too many to order by": ("Things", {"$orderby": ",".join(["name"] * 3000)}),
    "a negative size": ("Things", {"$top": "-1"}),
    "a size that is no number": ("Things", {"$top": "9" * 400}),
    "pages before all pages": ("Things", {"$skip": "1e9"}),
    "a shape of too many points": ("Locations", {"$filter": f"st_within(location,geography'POLYGON(({','.join(['1 2'] * 8000)}))')"}),
    "a shape that is none": ("Locations", {"$filter": "geo.intersects(location,geography'POLYGON((1 1,2 2))')"}),
    "a pattern that is none": ("Locations", {"$filter": "st_relate(location,geography'POINT(1 2)','QQQQQQQQQ')"}),
    "a year beyond years": ("Observations", {"$filter": "phenomenonTime gt 99999-01-01T00:00:00Z"}),
    "a duration beyond time": ("Observations", {"$filter": "phenomenonTime add duration'P99999999D' gt 2016-01-01T00:00:00Z"}),
    "a function of nothing": ("Things", {"$filter": "length() gt 1"}),
    "a number beyond numbers": ("Things", {"$filter": "id eq " + "9" * 400}),
    "a text that ends in itself": ("Things", {"$filter": "name eq 'x"}),
    "a text with a zero": ("Things", {"$filter": "name eq 'a\0b'"}),
    "nothing at all": ("Things", {"$filter": ""}),
    "words of SQL": ("Things", {"$filter": "name eq 'x'; drop table own.\"Things\"; --"}),
    "a regular expression": ("Things", {"$filter": "contains(name,'(a+)+$') or startswith(name,'[^]*') or name eq '(?=(.*)*)'"}),
}  # fmt: skip
RIGHT = {"a regular expression", "a text with a zero", "a duration beyond time", "a number beyond numbers",
         "a shape of too many points"}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_question_gets_one_clear_line(service, name):
    path, options = HOSTILE[name]
    begun = time.process_time()
    answer = service.client.get(f"{ROOT}/{path}?{urlencode(options, quote_via=quote)}")
    assert time.process_time() - begun < WORK
    assert answer.status_code in ((200, 400) if name in RIGHT else (400,)), answer.text
    if answer.status_code == 400:
        error = answer.json()["error"]
        assert error["message"]
        assert "\n" not in error["message"] + error["hint"]
        assert len(answer.content) < 2000
    assert service.get("Things", top="1")["value"]


@pytest.mark.parametrize("filter", [deep("name ne 'x'", 70), "not (" * 35 + "name eq 'x'" + ")" * 35,
                                    "length(" + deep("name", 70) + ") gt 0", "length(" + "trim(" * 40 + "name" + ")" * 41 + " gt 0"])  # fmt: skip
def test_what_is_as_deep_as_may_be_is_answered(service, filter):
    assert service.get("Things", filter=filter, count="true", top="1")["@iot.count"] == 150


def test_an_expansion_that_would_hold_a_million_entities_is_refused(service, monkeypatch):
    from citytwin.server.sensorthings import routes, telling

    monkeypatch.setattr(telling, "LARGEST", 200)
    monkeypatch.setattr(routes, "Telling", partial(telling.Telling, left=200))
    expand = "Datastreams($top=10000;$expand=Observations($top=10000;$expand=Datastream))"
    error = service.get("Things", status=400, top="10000", expand=expand)["error"]
    assert "200" in error["message"]
    assert "$top" in error["hint"]
    assert service.get("Things", top="1", expand=expand)["value"]


def test_a_question_that_takes_too_long_is_ended(service):
    from citytwin.errors import InputError
    from citytwin.server.sensorthings import routes

    store = routes.service_of(service.client.app).store
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"longer than 0\.2 s"), store.reading(0.2) as cursor:
        cursor.execute("select count(*) from range(1000000) a, range(1000000) b where a.range * b.range % 7 = 3").fetchall()
    assert time.monotonic() - begun < 20
    assert service.get("Things", top="1")["value"]


NAMES = st.sampled_from(
    ["name", "id", "@iot.id", "@iot.selfLink", "properties", "properties/kind", "properties/key", "location", "location/coordinates[0]",
     "feature", "result", "phenomenonTime", "resultTime", "validTime", "resultQuality", "unitOfMeasurement/symbol", "observedArea",
     "Datastreams", "Datastreams/name", "Datastreams/Observations/result", "Thing/name", "Locations/location", "Sensor",
     "ObservedProperty/name", "FeatureOfInterest/feature", "HistoricalLocations/time", "encodingType", "metadata", "time", "nothing"]
)  # fmt: skip
LITERALS = st.one_of(
    st.sampled_from(["1", "0", "-1", "1.5", "1e400", "99999999999999999999", "true", "false", "null", "''", "'a'", "'%'", "'(a+)+$'",
                     "2026-10-15T00:00:00Z", "2026-10-15", "12:30:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
                     "2026-10-15T00:00:00Z/2026-10-16T00:00:00Z", "duration'PT1H'", "duration'P99999D'", "geography'POINT(1.5 42.5)'",
                     "geography'POINT EMPTY'", "geography'POLYGON((0 0,9 0,9 90,0 0))'", "geography'GEOMETRYCOLLECTION EMPTY'",
                     "geography'POINT(1e308 1e308)'", "geography'x'"]),
    st.text(max_size=6).map(lambda t: "'" + t.replace("'", "''") + "'"), st.integers().map(str), st.floats().map(str),
)  # fmt: skip
CALLED = st.sampled_from(
    ["substringof", "contains", "startswith", "endswith", "length", "indexof", "substring", "tolower", "trim", "concat", "year", "second",
     "fractionalseconds", "date", "time", "now", "mindatetime", "maxdatetime", "round", "floor", "ceiling", "geo.distance", "geo.metres",
     "geo.length", "geo.intersects", "st_equals", "st_disjoint", "st_relate", "st_within", "before", "during", "overlaps", "meets",
     "finishes", "totaloffsetminutes", "nothing"]
)  # fmt: skip


def joined(parts):
    return st.builds(lambda a, sign, b: f"{a} {sign} {b}", parts, st.sampled_from(
        ["eq", "ne", "lt", "ge", "add", "sub", "mul", "div", "mod", "and", "or", "in", ","]), parts)  # fmt: skip


EXPRESSIONS = st.recursive(
    st.one_of(NAMES, LITERALS),
    lambda parts: st.one_of(
        joined(parts), parts.map(lambda p: f"({p})"), parts.map(lambda p: f"not {p}"), parts.map(lambda p: f"-{p}"),
        st.builds(lambda f, p: f"{f}({','.join(p)})", CALLED, st.lists(parts, max_size=3)),
        parts.map(lambda p: f"Datastreams/any(d:{p})"), parts.map(lambda p: f"Locations/all(name:{p})"),
    ),
    max_leaves=8,
)  # fmt: skip
COUNTS = st.one_of(st.integers(-2, 200).map(str), st.sampled_from(["", "1e3", "99999999999999", "x", "٣"]))
EXPANSIONS = st.recursive(
    st.sampled_from(["Datastreams", "Thing", "Locations", "Observations", "Sensor", "ObservedProperty", "FeatureOfInterest", "Things",
                     "HistoricalLocations", "Datastreams/Thing", "nothing"]),
    lambda parts: st.one_of(
        st.builds(lambda a, b: f"{a},{b}", parts, parts), st.builds(lambda a, b: f"{a}/{b}", parts, parts),
        st.builds(lambda a, b, n: f"{a}($expand={b};$top={n};$count=true;$select=id)", parts, parts, COUNTS),
        st.builds(lambda a, f, o: f"{a}($filter={f};$orderby={o} desc;$skip=1)", parts, EXPRESSIONS, NAMES),
    ),
    max_leaves=5,
)  # fmt: skip
OPTIONS = st.fixed_dictionaries({}, optional={
    "$filter": st.one_of(EXPRESSIONS, joined(EXPRESSIONS)), "$orderby": st.one_of(NAMES, EXPRESSIONS), "$expand": EXPANSIONS,
    "$select": st.lists(NAMES, max_size=3).map(",".join), "$top": COUNTS, "$skip": COUNTS, "$count": st.sampled_from(["true", "FALSE", "1"]),
    "$resultFormat": st.sampled_from(["dataArray", "csv"]),
    "$apply": st.builds(lambda k, p, f, m: f"filter({f})/groupby(({k}),aggregate({p} with {m} as a,$count as n))", NAMES, NAMES, EXPRESSIONS,
                        st.sampled_from(["mean", "p95", "p100", "last", "countdistinct", "x"])),
})  # fmt: skip
PATHS = st.sampled_from(
    ["Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties", "Observations", "FeaturesOfInterest",
     "Things(1)", "Things(1)/Datastreams", "Datastreams(2)/Observations", "Locations(1)/location/$value", "Observations/$count",
     "Things/$ref", "Datastreams(3)/Thing/$ref", "Things(1)/properties/kind", "Things(1)/Locations(1)/Things", "Nothing", "Things(1)(2)",
     "Observations(3)", "Datastreams(1)/observedArea", "$value", "Things(-1)", "Things()", "/", "Things(1)/Datastreams(1)/Sensor/name/$value"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=PATHS, options=OPTIONS)
@example(path="Observations", options={"$filter": "during(result,result)"})
def test_no_question_is_answered_with_an_error_of_the_server(service, path, options):
    answer = service.client.get(f"{ROOT}/{path}?{urlencode(options, quote_via=quote)}")
    event(f"{answer.status_code}")
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"]


PLAIN = {name: [p.name for p in each.properties] for name, each in SETS.items()}
ENDS = {
    name: [*PLAIN[name], "id", *(f"{r.name}/{p}" for r in each.relations for p in ("id", *PLAIN[r.target])),
           *(f"{r.name}/{s.name}/id" for r in each.relations for s in SETS[r.target].relations), "properties/kind"]
    for name, each in SETS.items()
}  # fmt: skip


@st.composite
def expressions(draw, name, depth=3):
    """An expression that the grammar takes and whose names are there; its types may not fit."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.one_of(st.sampled_from(ENDS[name]), LITERALS))
    inner = expressions(name, depth - 1)
    match draw(st.integers(0, 3)):
        case 0:
            return f"({draw(inner)} {draw(st.sampled_from(['add', 'sub', 'mul', 'div', 'mod']))} {draw(inner)})"
        case 1:
            return f"({draw(inner)} {draw(st.sampled_from(['eq', 'ne', 'lt', 'ge']))} {draw(inner)})"
        case _:
            function = draw(st.sampled_from(sorted(FUNCTIONS)))
            return f"{function}({','.join(draw(inner) for _ in draw(st.sampled_from(FUNCTIONS[function])).takes)})"


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(sorted(SETS)))
def test_no_well_formed_question_is_answered_with_an_error_of_the_server(service, data, name):
    filter = data.draw(expressions(name))
    sign = data.draw(st.sampled_from(["eq", "ne", "gt", "le", "in"]))
    other = data.draw(expressions(name))
    options = {"$filter": f"{filter} in ({other},{other})" if sign == "in" else f"{filter} {sign} {other}",
               "$orderby": data.draw(st.sampled_from(["id", "id desc", other])), "$top": "20"}  # fmt: skip
    answer = service.client.get(f"{ROOT}/{name}?{urlencode(options, quote_via=quote)}")
    event(f"{answer.status_code}")
    assert answer.status_code in (200, 400), answer.text


BODIES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8),
              st.sampled_from(["2026-10-15T00:00:00Z", "a/b", "application/geo+json"])),
    lambda parts: st.one_of(st.lists(parts, max_size=3), st.dictionaries(st.sampled_from(
        ["name", "description", "properties", "location", "feature", "encodingType", "metadata", "definition", "result", "phenomenonTime",
         "resultTime", "validTime", "Thing", "Things", "Locations", "Datastream", "Datastreams", "Sensor", "ObservedProperty", "Observations",
         "FeatureOfInterest", "unitOfMeasurement", "observationType", "@iot.id", "time", "type", "coordinates", "op", "path", "value",
         "components", "dataArray"]), parts, max_size=8)),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    method=st.sampled_from(["POST", "PATCH", "PUT"]), path=PATHS | st.just("CreateObservations"), body=BODIES,
    kind=st.sampled_from(["application/json", "application/json-patch+json"]),
)  # fmt: skip
def test_no_body_is_answered_with_an_error_of_the_server(changing_once, method, path, body, kind):
    import json

    answer = changing_once.client.request(
        method, f"{ROOT}/{path}", content=json.dumps(body).encode(), headers={"content-type": kind}
    )
    assert answer.status_code < 500 or answer.status_code == 501, answer.text


@pytest.fixture(scope="module")
def changing_once(made_city, tmp_path_factory):
    from sensing import served

    yield from served(made_city, tmp_path_factory.mktemp("changed") / "city", False)
