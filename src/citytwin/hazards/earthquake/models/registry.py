"""The models that there are, with the limits that their authors recommend and the names that OpenQuake gives them."""

from __future__ import annotations

import re
from functools import partial

from citytwin.errors import MissingError, nearest
from citytwin.hazards.earthquake.models import bssa14
from citytwin.hazards.earthquake.models.model import Model

_BSSA14 = {"magnitude": (3.0, 8.5), "distance": (0.0, 400.0), "vs30": (150.0, 1500.0)}
_BSSA = "Boore, Stewart, Seyhan and Atkinson 2014"


def _bssa14() -> list[Model]:
    kinds = []
    for quality, q in (("average", ""), ("high", "HighQ"), ("low", "LowQ")):
        for basin, b in (("", ""), ("california", "CaliforniaBasin"), ("japan", "JapanBasin")):
            for mechanism, n in ((True, ""), (False, "NoSOF")):
                tail = b + q + n
                formula = partial(bssa14.motions, quality=quality, basin=basin, mechanism=mechanism)
                name, alias = f"BSSA14{tail}", f"BooreEtAl2014{tail}"
                kinds.append(Model(name, _BSSA, bssa14.TABLE, formula, "active", "rjb", _BSSA14, (alias,)))
    return kinds


MODELS: dict[str, Model] = {m.name: m for m in [*_bssa14()]}
"""Every model by its own name."""
_NAMES = {re.sub(r"[^a-z0-9]", "", n.lower()): m for m in MODELS.values() for n in (m.name, *m.aliases)}


def model(name: str) -> Model:
    """The model called `name`, in any case, with or without "()", by its own name or OpenQuake's. Raises MissingError."""
    found = _NAMES.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if found is None:
        raise MissingError(
            f'no ground-motion model "{name}"', hint=nearest(name, [*MODELS, *(a for m in MODELS.values() for a in m.aliases)])
        )
    return found
