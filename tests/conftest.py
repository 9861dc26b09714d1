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
