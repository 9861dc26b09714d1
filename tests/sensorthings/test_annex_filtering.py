"""The conformance suite's class "filtering", and its tests of shapes, against the real server."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest
from annex import PROPERTIES, RELATIONS, SETS, Claims, encoded, many, ordered, target, when

GEO = "application/vnd.geo+json"
MEASURED = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
QUDT = "http://www.qudt.org/qudt/owl/1.0.0"
LUMEN = {"name": "Lumen", "symbol": "lm", "definition": f"{QUDT}/unit/Instances.html/Lumen"}
CENTIGRADE = {"name": "Centigrade", "symbol": "C", "definition": f"{QUDT}/unit/Instances.html/Lumen"}
FLUX = f"{QUDT}/quantity/Instances.html/LuminousFlux"


def link(id):
    return {"@iot.id": id}


def stream(name, unit, quantity, sensor, metadata):
    return {"unitOfMeasurement": unit, "name": name, "description": name, "observationType": MEASURED, "ObservedProperty": quantity,
            "Sensor": {"name": sensor, "description": sensor, "encodingType": "application/pdf", "metadata": metadata}}  # fmt: skip


def thing(n, coordinates, streams):
    place = {"name": f"location {n}", "description": f"location {n}", "location": {"type": "Point", "coordinates": coordinates},
             "encodingType": GEO}  # fmt: skip
    return {"name": f"thing {n}", "description": f"thing {n}", "properties": {"reference": "first" if n == 1 else "second"},
            "Locations": [place], "Datastreams": streams}  # fmt: skip


@pytest.fixture(scope="module")
def filled(emptied):
    """Two things that changed places, four streams, twelve observations."""
    door = emptied
    door.clear()
    first = door.post("Things", thing(1, [-117.05, 51.05], [
        stream("datastream 1", LUMEN, {"name": "Luminous Flux", "definition": FLUX, "description": "observedProperty 1"},
               "sensor 1", "Light flux sensor"),
        stream("datastream 2", CENTIGRADE, {"name": "Tempretaure", "definition": f"{QUDT}/quantity/Instances.html/Tempreture",
                                            "description": "observedProperty 2"}, "sensor 2", "Tempreture sensor")]))  # fmt: skip
    streams = [s["@iot.id"] for s in door.get(f"Things({first})/Datastreams")["value"]]
    warmth = door.get(f"Datastreams({streams[1]})/ObservedProperty")["@iot.id"]
    second = door.post("Things", thing(2, [-100.05, 50.05], [
        stream("datastream 3", LUMEN, {"name": "Second Luminous Flux", "definition": FLUX, "description": "observedProperty 3"},
               "sensor 3", "Second Light flux sensor"),
        stream("datastream 2", CENTIGRADE, link(warmth), "sensor 4 ", "Second Tempreture sensor")]))  # fmt: skip
    streams += [s["@iot.id"] for s in door.get(f"Things({second})/Datastreams")["value"]]
    places = [door.get(f"Things({t})/Locations")["value"][0]["@iot.id"] for t in (first, second)]
    for one, place in ((first, places[1]), (second, places[0])):
        assert door.request("PATCH", f"Things({one})", json={"Locations": [link(place)]}).status_code == 200
    for i in range(12):
        door.post(
            f"Datastreams({streams[i // 3]})/Observations", {"phenomenonTime": f"2015-03-{i + 1:02}T00:00:00Z", "result": i + 1}
        )
    return door


NUMBER = {"Things": 2, "Locations": 2, "FeaturesOfInterest": 2, "ObservedProperties": 3, "HistoricalLocations": 4, "Sensors": 4,
          "Datastreams": 4, "Observations": 12}  # fmt: skip
RELATED = {("Things", "Locations"): 1, ("Things", "HistoricalLocations"): 2, ("Things", "Datastreams"): 2, ("Locations", "Things"): 1,
           ("Locations", "HistoricalLocations"): 2, ("HistoricalLocations", "Locations"): 1, ("Datastreams", "Observations"): 3,
           ("Sensors", "Datastreams"): 1, ("FeaturesOfInterest", "Observations"): 6}  # fmt: skip


def paths(door):
    """Each entity set, and each relation of its first entity; with how many there must be (None: one or two)."""
    for name in SETS:
        yield name, name, NUMBER[name]
        id = door.get(name)["value"][0]["@iot.id"]
        for relation in RELATIONS[name]:
            yield f"{name}({id})/{relation}", target(relation), RELATED.get((name, relation)) if many(relation) else 0


def lists(door):
    return [(path, name, number) for path, name, number in paths(door) if number != 0]


def test_selection_gives_what_is_asked_for_and_nothing_else(filled):
    with Claims() as claims:
        for path, name, _ in paths(filled):
            choices = [(p,) for p in PROPERTIES[name]] + [PROPERTIES[name][: n + 1] for n in range(len(PROPERTIES[name]))]
            for chosen in choices:
                asked = f"{path}?$select={','.join(chosen)}"
                answer = filled.request("GET", asked)
                if not claims.equal(answer.status_code, 200, asked):
                    continue
                listed = answer.json()["value"] if "value" in answer.text else [answer.json()]
                for entity in listed[:2]:
                    for each in PROPERTIES[name]:
                        claims.equal(each in entity, each in chosen, f"{asked}: {each}")
                    for each in RELATIONS[name]:
                        claims.that(f"{each}@iot.navigationLink" not in entity and each not in entity, f"{asked}: {each}")


def expanded(claims, asked, name, entity, wanted):
    """`wanted`: the relations that must be inline, each with those that must be inline in it."""
    for relation in RELATIONS[name]:
        if relation not in wanted:
            claims.that(entity.get(f"{relation}@iot.navigationLink"), f"{asked}: a link to {relation}")
            continue
        inline = entity.get(relation)
        if not claims.that(isinstance(inline, list if many(relation) else dict), f"{asked}: {relation} is inline"):
            continue
        inline = inline if many(relation) else [inline]
        for each in inline[:2]:
            for prop in PROPERTIES[target(relation)]:
                claims.that(prop in each, f"{asked}: {relation} has {prop}")
        if wanted[relation] and claims.that(inline, f"{asked}: {relation} is not empty"):
            for second in wanted[relation]:
                claims.that(isinstance(inline[0].get(second), list if many(second) else dict), f"{asked}: {relation}/{second}")
                there = inline[0].get(second) or []
                for each in (there if many(second) else [there])[:2]:
                    for prop in PROPERTIES[target(second)]:
                        claims.that(prop in each, f"{asked}: {relation}/{second} has {prop}")


def expansions(name):
    """Each relation alone and one more each time; the same with a second level."""
    yield from ([r] for r in RELATIONS[name])
    yield from (list(RELATIONS[name][: n + 1]) for n in range(len(RELATIONS[name])))
    deep = [f"{r}/{s}" for r in RELATIONS[name] for s in RELATIONS[target(r)]]
    yield from ([d] for d in deep)
    yield from (deep[: n + 1] for n in range(len(deep)))


@pytest.mark.parametrize("half", [0, 1])
def test_expansion_puts_entities_inline_on_two_levels(filled, half):
    with Claims() as claims:
        for path, name, _ in list(paths(filled))[half::2]:
            for chosen in expansions(name):
                asked = f"{path}?$expand={','.join(chosen)}"
                answer = filled.request("GET", asked)
                if not claims.equal(answer.status_code, 200, asked):
                    continue
                wanted = {}
                for each in chosen:
                    first, _, second = each.partition("/")
                    wanted.setdefault(first, []).extend([second] if second else [])
                for entity in (answer.json()["value"] if "value" in answer.text else [answer.json()])[:2]:
                    expanded(claims, asked, name, entity, wanted)


def test_pages_have_the_size_that_is_asked_for_and_a_link_to_the_next(filled):
    with Claims() as claims:
        for path, _, number in lists(filled):
            for top in (1, 2, 3, 4, 5, 12, 13) if "/" not in path else (3,):
                told = filled.get(f"{path}?$top={top}")
                if number is None:
                    claims.that(len(told["value"]) in (1, 2), path)
                    continue
                claims.equal(len(told["value"]), min(top, number), f"{path} $top={top}")
                claims.equal("@iot.nextLink" in told, top < number, f"{path} $top={top}: a link to the next page")
            for skip in (1, 2, 3, 4, 12) if "/" not in path else (1,):
                told = filled.get(f"{path}?$skip={skip}")
                claims.that("@iot.nextLink" not in told, f"{path} $skip={skip}: no next page")
                wanted = (0, 1) if number is None else (max(0, number - skip),)
                claims.that(len(told["value"]) in wanted, f"{path} $skip={skip}")


def test_a_count_is_told_where_it_is_asked_for(filled):
    with Claims() as claims:
        for path, _, number in lists(filled):
            count = filled.get(f"{path}?$count=true").get("@iot.count")
            claims.that(count == number or (number is None and count in (1, 2)), f"{path}: {count}")
            claims.that("@iot.count" not in filled.get(f"{path}?$count=false"), f"{path} without")


def test_lists_are_ordered_by_what_is_asked_for(filled):
    with Claims() as claims:
        for path, name, _ in lists(filled):
            props = [p for p in PROPERTIES[name] if p != "unitOfMeasurement"]
            for chosen in [[p] for p in props] + [props[: n + 1] for n in range(len(props))]:
                for way in ("", " asc", " desc"):
                    asked = f"{path}?$orderby={quote(','.join(p + way for p in chosen))}"
                    listed = filled.get(asked)["value"]
                    for one, other in itertools.pairwise(listed):
                        for prop in chosen:
                            order = ordered(one[prop], other[prop])
                            claims.that(order >= 0 if way == " desc" else order <= 0, f"{asked}: {one[prop]}, {other[prop]}")
                            if order:
                                break


SAMPLES = {
    "Things": ("thing 1", "thing 1"),
    "Locations": ("location 2", "location 2", GEO, None),
    "HistoricalLocations": (when("2015-10-14T21:30:00.104Z"),),
    "Datastreams": ("datastream 1", "datastream 1", None, MEASURED),
    "Sensors": ("sensor 1", "sensor 1", "http://schema.org/description", "Light flux sensor"),
    "ObservedProperties": ("Luminous Flux", FLUX, "observedProperty 1"),
    "Observations": (when("2015-03-02T00:00:00.000Z"), 2, when("2015-03-02T00:00:00.000Z")),
    "FeaturesOfInterest": ("Generated using location details: location 1",) * 2 + (GEO, None),
}
HOLDS = {"lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "eq": lambda a, b: a == b, "ne": lambda a, b: a != b,
         "ge": lambda a, b: a >= b, "gt": lambda a, b: a > b}  # fmt: skip


def test_filters_compare_each_property(filled):
    with Claims() as claims:
        for path, name, _ in lists(filled):
            everything = filled.get(path)["value"]
            for prop, sample in zip(PROPERTIES[name], SAMPLES[name], strict=True):
                if sample is None:
                    continue
                for sign, holds in HOLDS.items():
                    literal = f"'{sample}'" if isinstance(sample, str) else sample
                    found = filled.get(f"{path}?$filter={prop}%20{sign}%20{encoded(literal)}")["value"]
                    for entity in found:
                        value = (
                            when(entity[prop])
                            if isinstance(entity[prop], str) and not isinstance(sample, str)
                            else entity[prop]
                        )
                        if sign == "ne" and value is None:
                            continue
                        claims.that(holds(value, sample), f"{path} {prop} {sign} {literal}: {value}")
                    right = [e for e in everything if e[prop] is not None and holds(
                        when(e[prop]) if isinstance(e[prop], str) and not isinstance(sample, str) else e[prop], sample)]  # fmt: skip
                    shown = [e for e in found if e[prop] is not None]
                    claims.equal(
                        len(shown), len(right), f"{path} {prop} {sign} {literal}: all that hold"
                    )  # ours: none left out


def test_options_are_evaluated_in_the_order_of_the_standard(filled):
    with Claims() as claims:
        asked = "Observations?$count=true&$top=1&$skip=2&$orderby=phenomenonTime%20asc&$filter=result%20gt%20'3'"
        told = filled.request("GET", asked)
        claims.equal(told.status_code, 200, asked)
        claims.equal(told.json()["@iot.count"], 6, "a number is compared with a text as it is written")
        claims.equal(len(told.json()["value"]), 1, asked)
        claims.equal(str(told.json()["value"][0]["result"]), "6", asked)


SHAPES = [("Point", [8, 51]), ("Point", [8, 52]), ("Point", [8, 53]), ("Point", [8, 54]),
          ("Polygon", [[[8, 53], [7, 52], [7, 53], [8, 53]]]), ("LineString", [[5, 52], [5, 53]]),
          ("LineString", [[5, 52], [6, 53]]), ("LineString", [[4, 52], [8, 52]])]  # fmt: skip
SQUARE = "geography'POLYGON((7.5 51.5, 7.5 53.5, 8.5 53.5, 8.5 51.5, 7.5 51.5))'"
ABOUT = [
    ("geo.distance({}, geography'POINT(8 54.1)') lt 1", (3,)), ("geo.distance({}, geography'POINT(8 54.1)') gt 1", (0, 1, 2, 4, 5, 6, 7)),
    ("geo.intersects({}, geography'LINESTRING(7.5 51, 7.5 54)')", (4, 7)), ("geo.length({}) gt 1", (6, 7)),
    ("geo.length({}) ge 1", (5, 6, 7)), ("geo.length({}) eq 1", (5,)), ("geo.length({}) ne 1", (0, 1, 2, 3, 4, 6, 7)),
    ("geo.length({}) le 4", tuple(range(8))), ("geo.length({}) lt 4", tuple(range(7))), (f"st_contains({SQUARE}, {{}})", (1, 2)),
    ("st_crosses(geography'LINESTRING(7.5 51.5, 7.5 53.5)', {})", (4, 7)), (f"st_disjoint({SQUARE}, {{}})", (0, 3, 5, 6)),
    ("st_equals({}, geography'POINT(8 53)')", (2,)), ("st_intersects({}, geography'LINESTRING(7.5 51, 7.5 54)')", (4, 7)),
    (f"st_overlaps({SQUARE}, {{}})", (4,)), (f"st_relate({SQUARE}, {{}}, 'T********')", (1, 2, 4, 7)),
    ("st_touches(geography'POLYGON((8 53, 7.5 54.5, 8.5 54.5, 8 53))', {})", (2, 4)),
    ("st_within(geography'POINT(7.5 52.75)', {})", (4,)),
]  # fmt: skip


def test_shapes_are_asked_for_in_places_features_and_observations(filled):
    door = filled
    marks = {"Locations": [], "FeaturesOfInterest": [], "Observations": []}
    stream = door.get("Datastreams")["value"][0]["@iot.id"]
    for n, (kind, coordinates) in enumerate(SHAPES):
        shape = {"type": kind, "coordinates": coordinates}
        marks["Locations"].append(door.post("Locations", {
            "name": f"shape {n}", "description": "d", "encodingType": GEO, "location": shape}))  # fmt: skip
        marks["FeaturesOfInterest"].append(door.post("FeaturesOfInterest", {
            "name": f"shape {n}", "description": "d", "encodingType": "application/geo+json", "feature": shape}))  # fmt: skip
        if n < 4:
            marks["Observations"].append(door.post("Observations", {
                "result": n, "phenomenonTime": f"2016-01-0{n + 1}T01:01:01Z", "Datastream": link(stream),
                "validTime": f"2016-01-0{n + 1}T01:01:01Z/2016-01-0{n + 1}T23:59:59.999Z",
                "FeatureOfInterest": link(marks["FeaturesOfInterest"][n])}))  # fmt: skip
    try:
        with Claims() as claims:
            for filter, wanted in ABOUT:
                for name, shape in (
                    ("Locations", "location"),
                    ("FeaturesOfInterest", "feature"),
                    ("Observations", "FeatureOfInterest/feature"),
                ):
                    told = door.get(f"{name}?$top=1000&$select=id&$filter={quote(filter.format(shape))}")["value"]
                    found = [marks[name].index(e["@iot.id"]) for e in told if e["@iot.id"] in marks[name]]
                    claims.equal(sorted(found), [w for w in wanted if w < len(marks[name])], f"{name}: {filter}")
    finally:
        for name in ("Observations", "FeaturesOfInterest", "Locations"):
            for id in marks[name]:
                door.request("DELETE", f"{name}({id})")
