"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; the test skips in a clone that has none (and fails in CI)."""
    if not SHARED.is_dir():
        if os.environ.get("CITYTWIN_NEEDS_SHARED"):
            pytest.fail(f"{SHARED} is not there, and CI needs it")
        pytest.skip("real data (../shared/data) is not beside this clone")
    return SHARED


@pytest.fixture(scope="session")
def made_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small made-up city (2,000 people, 150 devices); do not write into it."""
    from citytwin.city import write_city
    from citytwin.city.synthetic import synthesize

    folder = tmp_path_factory.mktemp("cities") / "made"
    write_city(synthesize(people=2000, devices=150, seed=1), folder)
    return folder
