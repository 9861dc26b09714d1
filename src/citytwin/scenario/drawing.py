"""Pictures of a result for its report: the peak of the hazard on a map, and bars of what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.figure import Figure

from citytwin.city import City
from citytwin.scenario.record import fold
from citytwin.scenario.result import Result, middle

# Colour-blind-safe ramps of Matplotlib for the ramps that columns declare.
RAMPS = {"depth": "GnBu", "speed": "PuRd", "hazard": "inferno_r", "damage": "cividis_r", "people": "PuBu", "money": "viridis_r"}
PIXELS = 1400
MAJOR = ("motorway", "trunk", "primary", "secondary", "tertiary")


def draw_map(result: Result, city: City | None, path: Path) -> dict[str, Any] | None:
    """Draw the peak of the first cell column of `result`; its file, words for its legend and for who cannot see it."""
    cells = [c for c in result.document["columns"] if c["table"] == "cell"]
    if not cells:
        return None
    column = cells[0]
    peak, x, y = _peak(result, column)
    shown = _shown(column, peak)
    figure = Figure(figsize=(7.2, 5.6), dpi=200, layout="constrained")
    axes = figure.add_subplot()
    half = (x[1] - x[0]) / 2 if len(x) > 1 else 1.0
    extent = (x[0] - half, x[-1] + half, y[-1] - half, y[0] + half)
    if city is not None:
        _draw_city(axes, city)
    colours, norm = _scale(column, shown)
    image = axes.imshow(shown, extent=extent, cmap=colours, norm=norm, interpolation="nearest", zorder=5, alpha=0.9)
    axes.set(xlim=extent[:2], ylim=extent[2:], aspect="equal", xticks=[], yticks=[], xlabel="", ylabel="")
    _scale_bar(axes)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, label=f"{column['meaning']} ({column['unit']})", spacing="uniform")
    if len(column["steps"]) > 1:
        bar.set_ticks(column["steps"], labels=[f"{s:g}" for s in column["steps"]])
    figure.savefig(path)
    share = float((~np.ma.getmaskarray(shown)).mean())
    alt = f"Map of the highest {column['title'].lower()} during the run: {share:.1%} of the area shown is affected."
    return {"file": path.name, "title": f"Highest {column['title'].lower()}", "alt": alt}


def _peak(result: Result, column: dict[str, Any]) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any], npt.NDArray[Any]]:
    with netCDF4.Dataset(result.folder / "fields.nc") as file:
        x, y = np.asarray(file.variables["x"][:]), np.asarray(file.variables["y"][:])
        variable = file.variables[column["name"]]
        if variable.ndim == 2:
            return np.ma.filled(variable[:], np.nan).astype(np.float32), x, y
        peak = np.ma.filled(variable[0], np.nan).astype(np.float32)
        for step in range(1, variable.shape[0]):
            peak = fold(column["peak"], peak, np.ma.filled(variable[step], np.nan).astype(np.float32))
        return peak, x, y


def _shown(column: dict[str, Any], peak: npt.NDArray[np.float32]) -> Any:
    """The peak with what is below the legend masked, thinned (by maximum) to what a page can show."""
    step = max(1, max(peak.shape) // PIXELS)
    height, width = (n // step * step for n in peak.shape)
    blocks = np.nan_to_num(peak[:height, :width]).reshape(height // step, step, width // step, step)
    thinned = blocks.max(axis=(1, 3))
    lowest = column["steps"][0] if column["steps"] else (column["start"] or 0.0) + 1e-9
    return np.ma.masked_less(thinned, lowest)


def _scale(column: dict[str, Any], shown: Any) -> tuple[Any, Any]:
    ramp = mpl.colormaps[RAMPS.get(column["ramp"], "viridis")]
    if len(column["steps"]) > 1:
        steps = [*column["steps"], max(float(shown.max() or 0), column["steps"][-1]) * 1.001 + 1e-6]
        return ListedColormap(ramp(np.linspace(0.35, 1, len(steps) - 1))), BoundaryNorm(steps, len(steps) - 1)
    return ramp, Normalize()


def _draw_city(axes: Axes, city: City) -> None:
    axes.set_facecolor("#f4f2ee")
    if "water" in city and city.size("water"):
        city["water"].plot(ax=axes, color="#b9d3e6", zorder=1)
    if "building" in city and city.size("building") < 60_000:
        city["building"].plot(ax=axes, color="#c9c4bb", zorder=2)
    if "road" in city and city.size("road"):
        road = city["road"]
        major = road[road["class"].isin(MAJOR)]
        if len(major):
            major.plot(ax=axes, color="#8a8378", linewidth=0.5, zorder=6)


def _scale_bar(axes: Axes) -> None:
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    length = 10 ** np.floor(np.log10((east - west) / 4))
    length *= max(n for n in (1, 2, 5) if n * length <= (east - west) / 4)
    x, y = west + (east - west) * 0.04, south + (north - south) * 0.04
    axes.plot([x, x + length], [y, y], color="black", linewidth=2, zorder=9)
    words = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    axes.text(x, y + (north - south) * 0.012, words, fontsize=8, zorder=9)


def draw_bars(impact: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A bar chart for each impact entry that is told by class; file, title and words for who cannot see it."""
    made = []
    for name, value in impact.items():
        if not isinstance(value, dict) or {"low", "median", "high"} <= set(value):
            continue
        bars = pd.Series({k: middle(v) for k, v in value.items()}, dtype=float).dropna().drop("none", errors="ignore")
        if bars.empty or not bars.any():
            continue
        figure = Figure(figsize=(3.4, 0.5 + 0.26 * len(bars)), dpi=200, layout="constrained")
        axes = figure.add_subplot()
        axes.barh(range(len(bars)), bars.to_numpy(), color="#33658a")
        axes.set_yticks(range(len(bars)), [str(k).replace("_", " ") for k in bars.index], fontsize=7)
        axes.invert_yaxis()
        axes.tick_params(axis="x", labelsize=6)
        axes.spines[["top", "right"]].set_visible(False)
        title = name.replace("_", " ").capitalize()
        figure.savefig(folder / f"{name}.png")
        words = ", ".join(f"{k} {v:,.0f}" for k, v in bars.items())
        made.append({"file": f"{name}.png", "title": title, "alt": f"{title}: {words}"})
    return made
