"""The models that there are, with the limits that their authors recommend and the names that OpenQuake gives them."""

from __future__ import annotations

import re
from functools import partial

from citytwin.errors import MissingError, nearest
from citytwin.hazards.earthquake.models import (
    ab06,
    asb14,
    ask14,
    ba08,
    bchydro16,
    bindi11,
    bindi14,
    bssa14,
    cb14,
    cy14,
    idriss14,
    pezeshk11,
)
from citytwin.hazards.earthquake.models.model import Model


def _limits(magnitude: tuple[float, float], distance: float, vs30: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {"magnitude": magnitude, "distance": (0.0, distance), "vs30": vs30}


def _bssa14() -> list[Model]:
    limits, made = _limits((3.0, 8.5), 400.0, (150.0, 1500.0)), []
    for quality, q in (("average", ""), ("high", "HighQ"), ("low", "LowQ")):
        for basin, b in (("", ""), ("california", "CaliforniaBasin"), ("japan", "JapanBasin")):
            for mechanism, n in ((True, ""), (False, "NoSOF")):
                formula = partial(bssa14.motions, quality=quality, basin=basin, mechanism=mechanism)
                title, tail = "Boore, Stewart, Seyhan and Atkinson 2014", b + q + n
                alias = (f"BooreEtAl2014{tail}", f"BooreEtAl2014{q}{b}{n}")
                made.append(Model(f"BSSA14{tail}", title, bssa14.TABLE, formula, "active", "rjb", limits, alias))
    return made


def _cb14() -> list[Model]:
    limits, made = _limits((3.3, 8.5), 300.0, (150.0, 1500.0)), []
    for quality, q in (("average", ""), ("high", "HighQ"), ("low", "LowQ")):
        for japan, j in ((False, ""), (True, "JapanSite")):
            formula = partial(cb14.motions, quality=quality, japan=japan)
            alias = (f"CampbellBozorgnia2014{q}{j}",)
            made.append(
                Model(f"CB14{q}{j}", "Campbell and Bozorgnia 2014", cb14.TABLE, formula, "active", "rrup", limits, alias)
            )
    return made


def _by_region() -> list[Model]:
    made = []
    limits = _limits((3.5, 8.5), 300.0, (180.0, 1500.0))
    for region, tail, other in (
        ("california", "", ""),
        ("japan", "Japan", ""),
        ("italy", "Italy", ""),
        ("china", "China", "Wenchuan"),
    ):
        formula = partial(cy14.motions, region=region)
        alias = (f"ChiouYoungs2014{tail}", *([f"ChiouYoungs2014{other}"] if other else []))
        made.append(Model(f"CY14{tail}", "Chiou and Youngs 2014", cy14.TABLE, formula, "active", "rrup", limits, alias))
    formula, title = partial(cy14.motions, total=0.65), "Chiou and Youngs 2014, one standard deviation"
    made.append(
        Model("CY14PEER", title, cy14.TABLE, formula, "active", "rrup", limits, ("ChiouYoungs2014PEER",), total_only=True)
    )
    limits = _limits((3.0, 8.5), 300.0, (180.0, 1500.0))
    for region, tail, other in (
        ("california", "", ""),
        ("japan", "Japan", "RegJPN"),
        ("china", "China", "RegCHN"),
        ("taiwan", "Taiwan", "RegTWN"),
    ):
        formula = partial(ask14.motions, region=region)
        title = "Abrahamson, Silva and Kamai 2014"
        made.append(
            Model(f"ASK14{tail}", title, ask14.TABLE, formula, "active", "rrup", limits, (f"AbrahamsonEtAl2014{other}",))
        )
    return made


def _european() -> list[Model]:
    made = []
    title = "Akkar, Sandikkaya and Bommer 2014"
    limits = _limits((4.0, 8.0), 200.0, (150.0, 1200.0))
    for distance, tail in (("rjb", "Rjb"), ("repi", "Repi"), ("rhypo", "Rhyp")):
        formula = partial(asb14.motions, distance=distance)
        alias = (f"AkkarEtAl{tail}2014", *(["AkkarEtAl2014"] if tail == "Rjb" else []))
        name = "ASB14" if tail == "Rjb" else f"ASB14{tail}"
        made.append(Model(name, title, asb14.TABLES[distance], formula, "active", distance, limits, alias))
    limits = _limits((4.0, 7.6), 300.0, (150.0, 1200.0))
    for distance, tail in (("rjb", "Rjb"), ("rhypo", "Rhyp")):
        formula = partial(bindi14.motions, distance=distance)
        alias = (f"BindiEtAl2014{tail}", *(["BindiEtAl2014"] if tail == "Rjb" else []))
        name = "Bindi14" if tail == "Rjb" else f"Bindi14{tail}"
        made.append(Model(name, "Bindi et al. 2014", bindi14.TABLES[distance], formula, "active", distance, limits, alias))
    limits = _limits((4.1, 6.9), 200.0, (150.0, 1500.0))
    italy = Model(
        "Bindi11", "Bindi et al. 2011", bindi11.TABLE, bindi11.motions, "active", "rjb", limits, ("BindiEtAl2011", "ITA10")
    )
    return [*made, italy]


def _others() -> list[Model]:
    limits = _limits((5.0, 8.5), 150.0, (450.0, 2000.0))
    idriss = Model("Idriss14", "Idriss 2014", idriss14.TABLE, idriss14.motions, "active", "rrup", limits, ("Idriss2014",), True)
    limits = _limits((5.0, 8.0), 200.0, (180.0, 1300.0))
    older = Model("BA08", "Boore and Atkinson 2008", ba08.TABLE, ba08.motions, "active", "rjb", limits, ("BooreAtkinson2008",))
    limits, title = _limits((3.5, 8.0), 1000.0, (150.0, 3500.0)), "Atkinson and Boore 2006"
    eastern = Model("AB06", title, ab06.TABLE, ab06.motions, "stable", "rrup", limits, ("AtkinsonBoore2006",), True)
    limits, title = _limits((5.0, 8.0), 1000.0, (2000.0, 3500.0)), "Pezeshk, Zandieh and Tavakoli 2011"
    hard = Model("Pezeshk11", title, pezeshk11.TABLE, pezeshk11.motions, "stable", "rrup", limits, ("PezeshkEtAl2011",), True)
    made = [idriss, older, eastern, hard]
    title, limits = "Abrahamson, Gregor and Addo 2016 (BC Hydro)", _limits((5.0, 9.0), 300.0, (150.0, 1500.0))
    for slab, region, distance, tail in ((False, "interface", "rrup", "SInter"), (True, "slab", "rhypo", "SSlab")):
        formula = partial(bchydro16.motions, slab=slab)
        alias = (f"AbrahamsonEtAl2015{tail}",)
        made.append(Model(f"BCHydro16{tail}", title, bchydro16.TABLE, formula, region, distance, limits, alias))
    return made


MODELS: dict[str, Model] = {m.name: m for m in [*_bssa14(), *_cb14(), *_by_region(), *_european(), *_others()]}
"""Every model by its own name."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_NAMES = {_plain(n): m for m in MODELS.values() for n in (m.name, *m.aliases)}


def model(name: str) -> Model:
    """The model called `name`, in any case, with or without "()", by its own name or OpenQuake's. Raises MissingError."""
    found = _NAMES.get(_plain(name))
    if found is None:
        known = sorted({*MODELS, *(a for m in MODELS.values() for a in m.aliases)})
        raise MissingError(f'no ground-motion model "{name}"', hint=nearest(name, known))
    return found


REGIONS: dict[str, dict[str, float]] = {
    "active": {"BSSA14": 0.25, "CB14": 0.25, "CY14": 0.25, "ASK14": 0.25},
    "europe": {"ASB14": 0.34, "Bindi14": 0.33, "BSSA14": 0.33},
    "stable": {"AB06": 1.0},
    "interface": {"BCHydro16SInter": 1.0},
    "slab": {"BCHydro16SSlab": 1.0},
}
"""Weights to begin with, by kind of crust: equal among the models named, our choice and no published logic tree."""
