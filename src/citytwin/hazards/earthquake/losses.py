"""Loss straight from the shaking: vulnerability functions of a file, in the place of damage states and repair shares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from citytwin.city.roads import number, text
from citytwin.errors import InputError, nearest
from citytwin.hazards.earthquake.casualties import values_of
from citytwin.hazards.earthquake.damage import Ledger, sorted_assets
from citytwin.hazards.earthquake.follows import Follows
from citytwin.hazards.earthquake.fragility import POINTS, Mixture, axis
from citytwin.hazards.earthquake.kernel_lanes import WIDTH
from citytwin.hazards.earthquake.nrml import Vulnerabilities

F64 = npt.NDArray[np.float64]


def value_of(building: pd.DataFrame, category: str) -> F64:
    """Value (EUR) of each row that a vulnerability model of `category` tells the loss of: its own column, else the value."""
    own = number(building, f"value_{category}")
    return np.where(np.isfinite(own), own, np.nan_to_num(values_of(building)))


class Losses:
    """Loss ratios of each building, read off the tables by the same kernel: the ratio is the only curve, nobody is drawn."""

    def __init__(self, building: pd.DataFrame, model: Vulnerabilities, mapping: Mapping[str, Mixture] | None) -> None:
        names = text(building, "taxonomy").astype(str)
        taxonomies, index = np.unique(names, return_inverse=True)
        self.value = value_of(building, model.category)
        parts = [(n, name, weight) for n, t in enumerate(taxonomies) for name, weight in (mapping or {}).get(t, ((t, 1.0),))]
        for n, name, _ in parts:
            if name not in model.functions:
                hint = f"{nearest(name, model.functions)}; a taxonomy mapping may name another"
                raise InputError(f'no vulnerability of taxonomy "{taxonomies[n]}"', model.source, hint)
        self.curves = list(dict.fromkeys(name for _, name, _ in parts))
        self.measures = tuple(sorted({model[name].measure for name in self.curves}))
        self._model = model
        rows = pd.DataFrame({"taxonomy": index, "row": np.arange(len(index))})
        self._entries = rows.merge(pd.DataFrame(parts, columns=["taxonomy", "curve", "weight"]), on="taxonomy")

    def ledger(self, measures: tuple[str, ...], seed: int) -> Ledger:
        """The ledger of the losses, for fields of `measures`."""
        table = np.zeros((len(self.curves), POINTS, WIDTH), dtype=np.float32)
        for row, name in enumerate(self.curves):
            table[row, :, 0] = self._model[name].mean(axis())
        curve = self._entries["curve"].map({name: n for n, name in enumerate(self.curves)}).to_numpy()
        measure = np.array([measures.index(self._model[name].measure) for name in self.curves])[curve]
        owner = self._entries["row"].to_numpy()
        n = len(owner)
        assets = sorted_assets(
            owner, owner, measure, curve, self._entries["weight"].to_numpy(), np.ones(n), np.zeros(n), len(self.value)
        )
        return Ledger(assets, table, Follows.of_first(self.value[assets.owner]), seed)
