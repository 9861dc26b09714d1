"""A ground-motion model by name: its formula, what it gives, where it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from citytwin.hazards.earthquake.models.setting import Motion, Setting
from citytwin.hazards.earthquake.models.table import Table

Formula = Callable[[Sequence[SimpleNamespace], Setting], list[Motion]]
BETWEEN_SHARE = 0.25
"""Share of the variance that is between events where a model gives only the total: about that of the NGA-West2 models."""


@dataclass(frozen=True)
class Model:
    """One ground-motion model.

    name: as people write it; region: active, stable, interface or slab. distance: the distance that `limits` speaks of.
    limits: lowest and highest magnitude, distance (km) and vs30 (m/s) that its authors recommend. source: the publication.
    total_only: it gives one standard deviation, split here by `BETWEEN_SHARE`.
    """

    name: str
    title: str
    table: Table
    formula: Formula
    region: str
    distance: str
    limits: dict[str, tuple[float, float]]
    aliases: tuple[str, ...] = ()
    total_only: bool = False
    needs: tuple[str, ...] = field(default=())

    def motions(self, measures: Sequence[str], setting: Setting) -> list[Motion]:
        """Ln of each measure (g; cm/s for PGV) at the n places of `setting`; log-period mixes between tabulated periods."""
        mixes = [self.table.around(m) for m in measures]
        wanted = list(dict.fromkeys(seconds for mix in mixes for seconds, _ in mix))
        found = dict(zip(wanted, self.formula([self.table.row(s) for s in wanted], setting), strict=True))
        return [self._split(_mixed([(found[s], w) for s, w in mix], setting.size)) for mix in mixes]

    def total(self, measure: str, setting: Setting) -> Motion:
        """As `motions` for one measure, but with the whole standard deviation as `within` where the model gives only that."""
        (mix,) = [self.table.around(measure)]
        found = self.formula([self.table.row(s) for s, _ in mix], setting)
        return _mixed([(f, w) for f, (_, w) in zip(found, mix, strict=True)], setting.size)

    def _split(self, motion: Motion) -> Motion:
        if not self.total_only:
            return motion
        return Motion(motion.mean, motion.within * BETWEEN_SHARE**0.5, motion.within * (1 - BETWEEN_SHARE) ** 0.5)

    def warnings(self, setting: Setting) -> list[str]:
        """One line for each of magnitude, distance and Vs30 that lies outside the model's limits somewhere."""
        units = {"magnitude": "", "distance": " km", "vs30": " m/s"}
        said = []
        for what, (low, high) in self.limits.items():
            values = np.atleast_1d(np.asarray(getattr(setting, self.distance if what == "distance" else what), dtype=float))
            values = values[np.isfinite(values)]
            if values.size and (values.min() < low or values.max() > high):
                far = values.min() if values.min() < low else values.max()
                said.append(f"{self.name}: {what} {far:g}{units[what]} lies outside {low:g} to {high:g}{units[what]}")
        return said


def _mixed(parts: list[tuple[Motion, float]], size: int) -> Motion:
    return Motion(*(np.broadcast_to(sum(w * getattr(m, n) for m, w in parts), (size,)) for n in Motion._fields))
