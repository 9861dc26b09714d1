"""The DTDL parser's own cases: what is valid is accepted, what is not is refused with the parser's word."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from citytwin.errors import InputError
from citytwin.io.importers.dtdl import ModelError, check_dtmi, declared, options, parse

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "dtdl"


def _files(*folders: str) -> list[str]:
    return [f"{folder}/{path.name}" for folder in folders for path in sorted((CASES / folder).glob("*.json"))]


def _read(case: dict[str, Any]) -> None:
    quirks = case.get("quirks") or []
    settings = options(case["options"], case.get("acceptableLimits", ()), "TolerateSolecismsInParse" in quirks)
    answers = [model for step in case.get("resolution", []) for model in step["response"]]
    parse(case["input"], settings, lambda names: answers, "TolerateSolecismsInResolve" in quirks)


@pytest.mark.parametrize("file", _files("doc-examples", "solecisms"))
def test_a_model_is_accepted_or_refused_as_its_case_says(file: str, shared: Path) -> None:
    case = json.loads((shared / "dtdl" / file).read_text(encoding="utf-8-sig"))
    if case["valid"]:
        _read(case)
        return
    with pytest.raises(ModelError) as caught:
        _read(case)
    expected = [error["ValidationID"] for error in case.get("expect", {}).get("parsingErrors", [])]
    assert not expected or f"dtmi:dtdl:parsingError:{caught.value.validation}" in expected


@pytest.mark.parametrize("file", _files("dtmis"))
def test_an_identifier_is_accepted_or_refused_as_its_case_says(file: str, shared: Path) -> None:
    case = json.loads((shared / "dtdl" / file).read_text(encoding="utf-8-sig"))
    if case["valid"]:
        assert check_dtmi(case["idText"]) == case["idText"]
        return
    with pytest.raises(InputError):
        check_dtmi(case["idText"])


def test_every_case_is_there(shared: Path) -> None:
    assert len(_files("doc-examples", "solecisms", "dtmis")) == 278


STRANGE: list[Any] = [
    None, True, -1, 1.5, 10**30, "", "x", "dtmi:", "dtmi:a:b;1", "dtmi:dtdl:context;2", "double", "Telemetry", [], [[]], {},
    {"@id": "dtmi:a:b;1"}, {"@value": 3}, {"@type": "Object"}, {"a": {}}, ["double", "integer"],
]  # fmt: skip


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


def test_a_damaged_model_is_accepted_or_refused_and_never_breaks_the_reader(shared: Path) -> None:
    dice = random.Random(7)
    whole = [json.loads((shared / "dtdl" / f).read_text(encoding="utf-8-sig"))["input"] for f in _files("doc-examples")]
    refused = 0
    for _ in range(3000):
        models = copy.deepcopy(dice.choice(whole))
        holder, key = dice.choice(_places(models))
        holder[key] = copy.deepcopy(dice.choice(STRANGE))
        try:
            declared(parse(models))
        except InputError:
            refused += 1
    assert refused > 1000
