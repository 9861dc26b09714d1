"""The DTDL parser's own cases: what is valid is accepted, what is not is refused with the parser's word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from citytwin.errors import InputError
from citytwin.io.importers.dtdl import ModelError, check_dtmi, options, parse

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
