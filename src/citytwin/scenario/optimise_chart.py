"""One chart of a search: two objectives against each other, the front, the baselines, the recommended strategy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from citytwin.scenario.optimise_search import Tried, statistic

if TYPE_CHECKING:
    from citytwin.scenario.optimise_words import Found


def chart(found: Found, out: Path) -> None:
    """Draw front.svg and front.png: the first objective up, the second (or the members' spread of the first) across."""
    from citytwin.scenario.optimise_words import in_words, title, unit

    objectives = found.study.form.objectives
    first, second = objectives[0], objectives[min(1, len(objectives) - 1)]

    def point(tried: Tried) -> tuple[float, float]:
        across, up = ((statistic(tried.over_members(o.key), o.statistic)) for o in (second, first))
        return across, up

    with mpl.rc_context({"svg.hashsalt": "citytwin", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        others = [t for t in found.tried if not any(t is b for b in found.best)]
        if others:
            axes.scatter([point(t)[0] for t in others], [point(t)[1] for t in others], s=18, color="0.75", label="tried")
        best = sorted(found.best, key=point)
        axes.plot(*zip(*map(point, best), strict=True), color="#1f6f8b", lw=1.2, zorder=2)
        for tried in best:
            across = point(tried)[0]
            low, high = np.percentile(tried.over_members(first.key), [5, 95])
            axes.plot([across, across], [low, high], color="#1f6f8b", lw=3, alpha=0.25, solid_capstyle="butt")
        axes.scatter(
            [point(t)[0] for t in best],
            [point(t)[1] for t in best],
            s=36,
            color="#1f6f8b",
            zorder=3,
            label="cannot be bettered",
        )
        for tried in found.tried:
            if tried.name:
                axes.annotate(tried.name, point(tried), xytext=(6, 6), textcoords="offset points", fontsize=8, color="0.3")
        chosen = found.best[found.advised]
        words = in_words(found.study, chosen.strategy)
        axes.scatter([point(chosen)[0]], [point(chosen)[1]], s=150, facecolor="none", edgecolor="#c1440e", lw=2, zorder=4,
                     label=f"recommended: {words if len(words) < 60 else words[:57] + '...'}")  # fmt: skip
        axes.set_xlabel(_label(title(second.key), unit(second.key)))
        axes.set_ylabel(_label(title(first.key), unit(first.key)))
        axes.set_title(found.study.form.name, fontsize=10)
        axes.legend(fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(out / "front.svg", metadata={"Date": None})
        figure.savefig(out / "front.png", dpi=150)


def _label(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit and unit.lower() not in name.lower() else name
