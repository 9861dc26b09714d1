"""The epidemic as a whole: spread against theory and history, forecasts against what came; runs when named.

Each part is a module of its own, which a run of everything takes by itself.
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from validation.__main__ import judged

PARTS = ("epidemic_spread", "epidemic_contacts", "epidemic_history", "epidemic_city_forecast", "epidemic_forecast")


def main(arguments: list[str]) -> int:
    """Run the cases of every part that there is; 0 if all hold."""
    good = True
    for name in PARTS:
        if find_spec(f"validation.{name}") is not None:
            for case in importlib.import_module(f"validation.{name}").CASES:
                good &= judged(case())
    return 0 if good else 1
