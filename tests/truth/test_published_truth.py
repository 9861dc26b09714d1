"""Every case of `make validate` that takes seconds, in every test run: each bound against published truth holds."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from validation.case import Row

FOLDER = Path(__file__).resolve().parents[2] / "validation"
MODULES = [
    importlib.import_module(f"validation.{p.stem}")
    for p in sorted(FOLDER.glob("[a-z]*.py"))
    if p.stem not in ("case", "live", "live_fuzz")
]  # live and live_fuzz take minutes; tests/live has a slice of each
CASES = [(module.__name__, number, case) for module in MODULES for number, case in enumerate(getattr(module, "CASES", []))]


@pytest.mark.parametrize("case", [c for *_, c in CASES], ids=[f"{name}-{number}" for name, number, _ in CASES])
def test_the_published_solution_is_met(case: Callable[[], Iterable[Row]]) -> None:
    rows = list(case())
    assert rows
    assert [row.line() for row in rows if not row.holds] == []
