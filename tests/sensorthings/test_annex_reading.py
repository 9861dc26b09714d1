"""The conformance suite's class "sensing core", against the real server and the city's own devices."""

from __future__ import annotations

import pytest
from annex import BIGGEST, PROPERTIES, RELATIONS, SETS, Claims, many, target

DEEP = 4  # levels of a path
OBJECTS = ("location", "feature", "unitOfMeasurement")


def test_the_root_names_the_eight_sets_by_their_addresses(door):
    with Claims() as claims:
        listed = door.get("")["value"]
        for each in listed:
            claims.that(each.get("name") and each.get("url"), f"a name and an address: {each}")
            claims.equal(each["url"], f"{door.root}/{each['name']}", each["name"])
            claims.that(each["name"] in SETS, f"{each['name']} is an entity set")
        for name in SETS:
            claims.that(name in [v["name"] for v in listed], f"{name} is there")


def whole(claims, name, entity):
    """What every entity of a list and every single one must have."""
    for each in ("@iot.id", "@iot.selfLink"):
        claims.that(entity.get(each) is not None, f"{name}: {each}")
    for each in PROPERTIES[name]:
        claims.that(each in entity, f"{name}: {each}")
    for each in RELATIONS[name]:
        claims.that(entity.get(f"{each}@iot.navigationLink"), f"{name}: the link to {each}")


@pytest.mark.parametrize("name", SETS)
def test_lists_and_single_entities_are_whole(observed, name):
    with Claims() as claims:
        listed = observed.get(name)["value"]
        for each in listed[:2]:
            whole(claims, name, each)
        answer = observed.request("GET", f"{name}({listed[0]['@iot.id']})")
        claims.equal(answer.status_code, 200, name)
        whole(claims, name, answer.json())
        claims.equal(observed.request("GET", f"{name}({BIGGEST})").status_code, 404, name)


@pytest.mark.parametrize("name", SETS)
def test_each_property_is_answered_alone_and_raw(observed, name):
    with Claims() as claims:
        path = f"{name}({observed.get(name)['value'][0]['@iot.id']})"
        for each in PROPERTIES[name]:
            alone = observed.request("GET", f"{path}/{each}")
            if claims.equal(alone.status_code, 200, f"{path}/{each}"):
                claims.equal(list(alone.json()), [each], f"{path}/{each}")
            raw = observed.request("GET", f"{path}/{each}/$value")
            claims.equal(raw.status_code, 200, f"{path}/{each}/$value")
            claims.equal(raw.text.find("{"), 0 if each in OBJECTS else -1, f"{path}/{each}/$value")


def walk(door, claims, path, name, level):
    answer = door.request("GET", path)
    if not claims.equal(answer.status_code, 200, path) or not many(path.rsplit("/", 1)[-1]):
        return
    found = answer.json()["value"]
    if not claims.that(found, f"{path} is not empty"):
        return
    answer = door.request("GET", f"{path}/$ref")
    claims.equal(answer.status_code, 200, f"{path}/$ref")
    for each in answer.json()["value"][:2]:
        claims.that(each.get("@iot.selfLink", "").startswith(f"{door.root}/{name}("), f"{path}/$ref: {each}")
        claims.equal(len(each), 1, f"{path}/$ref: {each}")
    if level < DEEP:
        for relation in RELATIONS[name]:
            walk(door, claims, f"{path}({found[0]['@iot.id']})/{relation}", target(relation), level + 1)


@pytest.mark.parametrize("name", SETS)
def test_paths_lead_on_to_the_fourth_level(observed, name):
    with Claims() as claims:
        walk(observed, claims, name, name, 1)
