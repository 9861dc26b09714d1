"""Probabilistic forecasts of weekly series, as a forecast hub asks for them: four weeks, 23 quantiles, from what was known.

Members: `growth` (learned from earlier seasons of influenza), `own` (the same form learned from the series' own past, where it
is longer than a year and a half) and `renewal` (particle filter on the renewal equation, place by place). Each member's spread
follows its standardised errors of the last weeks; the ensemble is the weighted mean of quantiles, weights by the log-scale WIS
of the last weeks drawn to `TRUSTED`. What the last weeks' forecasts would have been is made again from what was known then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from citytwin.errors import InputError
from citytwin.forecast import growth
from citytwin.forecast.backfill import completed
from citytwin.forecast.quantiles import LEVELS, Array, averaged, weighted_interval_score
from citytwin.forecast.renewal import Renewal, filtered
from citytwin.forecast.vintages import WEEK, Vintages
from citytwin.sim.streams import Streams

HORIZONS = 4
LOOKED_BACK = 8  # weeks of own forecasts that spread and weights follow
FADING = 0.85
EXPECTED = 5.0  # weeks of errors as large as expected that the spread starts from
TRUSTED = {"growth": 0.8, "own": 0.2, "renewal": 0.2}
SHARPNESS = 3.0
FILTERED = 26  # weeks that the particle filter starts before now
RENEWAL = Renewal(change=0.25, damping=0.6, dispersion=0.12, particles=500)
OWN_WEEKS = 78

Told = Callable[[float, str], None]


@dataclass
class Member:
    """One member's view: `middle` and `spread` of log(x + 1) (steps, places), and `quantiles` (steps, places, 23)."""

    middle: Array
    spread: Array
    quantiles: Array


@dataclass
class Issue:
    """All that is known and said for one reference date. `values` (places, weeks) completed, `last` the last week's date."""

    values: Array
    doubt: Array
    last: np.datetime64
    members: dict[str, Member] = field(default_factory=dict)


class Forecaster:
    """Makes forecasts from `vintages`; `seed` names the random streams of the particle filter, `lag` is that of `Vintages`."""

    def __init__(self, vintages: Vintages, seed: int = 0, lag: int = 3, renewal: Renewal = RENEWAL) -> None:
        self.vintages = vintages
        self.seed = seed
        self.lag = lag
        self.renewal = renewal
        self.parts = vintages.parts
        self._issues: dict[tuple[np.datetime64, int], Issue] = {}

    def references(self) -> list[np.datetime64]:
        """Last days of all weeks that a forecast can be made for: from the first release with six weeks to the last one."""
        dates, releases = self.vintages.dates, self.vintages.releases
        if len(releases) > 1:
            shift = WEEK if self.vintages.by_data else np.timedelta64(self.lag, "D")
            weeks = np.ceil((releases[[0, -1]] + shift - dates[0]) / WEEK).astype(int)
        else:
            weeks = np.array([0, len(dates)])
        return [dates[0] + week * WEEK for week in range(max(int(weeks[0]), 6), int(weeks[1]) + 1)]

    def forecast(self, reference: np.datetime64, horizons: int = HORIZONS) -> Array:
        """Quantiles (horizons, places, 23) for the weeks that end on `reference` and later, in the series' own unit."""
        offset = (reference - self.vintages.dates[0]).astype(int)
        if offset % 7:
            raise InputError(f"{reference} is no last day of a week here", "reference date", f"as in {self.vintages.dates[-1]}")
        now = self._issue(reference, horizons)
        ahead = int((reference - now.last) / WEEK)
        out = []
        for horizon in range(horizons):
            members, weights = [], []
            for name, member in now.members.items():
                wider, weight = self._judged(name, now, ahead + horizon)
                members.append(_widened(member, ahead + horizon - 1, wider))
                weights.append(weight)
            out.append(averaged(members, weights))
        return np.stack(out) / self.vintages.scale

    def _issue(self, reference: np.datetime64, horizons: int) -> Issue:
        if (reference, horizons) not in self._issues:
            values, doubt = completed(self.vintages, reference, self.lag)
            issue = Issue(values, doubt, self.vintages.dates[values.shape[1] - 1])
            steps = int((reference - issue.last) / WEEK) + horizons - 1
            self._fill(issue, steps)
            self._issues[reference, horizons] = issue
        return self._issues[reference, horizons]

    def _fill(self, issue: Issue, steps: int) -> None:
        values = issue.values
        national = values[self.parts].sum(axis=0)
        if values.shape[1] > growth.LAGS:
            length = "long" if values.shape[1] >= growth.ENOUGH else "short"
            fits = growth.shipped()[length]
            issue.members["growth"] = _grown(values, national, fits, growth.MEMORY[length], steps)
            if values.shape[1] >= OWN_WEEKS:
                issue.members["own"] = _grown(
                    values, national, self._own(values, national, length, steps), growth.MEMORY[length], steps
                )
        issue.members["renewal"] = self._renewed(issue, steps)

    def _own(self, values: Array, national: Array, length: str, steps: int) -> list[growth.Fit]:
        """The regression learned from the series' own past, drawn towards the shipped one."""
        memory, fits = growth.MEMORY[length], growth.shipped()[length]
        weeks = np.arange(max(growth.LAGS + 1, values.shape[1] - 5 * 53, 26), values.shape[1])
        found = []
        for step in range(1, steps + 1):
            learned = growth.rows(values, national, weeks, step, memory)
            found.append(growth.fit(learned, fits[min(step, growth.STEPS) - 1].coefficients))
        return found

    def _renewed(self, issue: Issue, steps: int) -> Member:
        values, doubt = issue.values[:, -FILTERED:], issue.doubt[:, -FILTERED:]
        quantiles = np.empty((steps, len(values), len(LEVELS)))
        for place, name in enumerate(self.vintages.places):
            rng = Streams(self.seed).named(f"renewal {name} {issue.last}")
            quantiles[:, place] = filtered(values[place], rng, self.renewal, steps, doubt[place]).ahead
        z = np.log(quantiles + 1)
        return Member(z[..., 11], np.maximum((z[..., 17] - z[..., 5]) / 1.349, 0.05), quantiles)

    def _judged(self, name: str, now: Issue, step: int) -> tuple[float, float]:
        """How much wider a member has to be at `step`, and its weight, from its forecasts of the last weeks."""
        squares, scores, fading = [], [], []
        for back in range(step, step + LOOKED_BACK):
            past = self._past(now, back)
            member = past.members.get(name) if past else None
            if past is None or member is None or len(member.middle) < step:
                continue
            week = int((past.last - self.vintages.dates[0]) / WEEK) + step
            if week >= now.values.shape[1]:
                continue
            truth = np.log(now.values[:, week] + 1)
            squares.append(np.mean(np.minimum(((truth - member.middle[step - 1]) / member.spread[step - 1]) ** 2, 9.0)))
            scores.append(np.mean(weighted_interval_score(np.log(member.quantiles[step - 1] + 1), truth)))
            fading.append(FADING ** (back - step))
        if not squares:
            return 1.0, TRUSTED[name]
        weight = np.array(fading)
        wider = float(np.sqrt((EXPECTED + weight @ np.array(squares)) / (EXPECTED + weight.sum())))
        score = float((weight @ np.array(scores)) / weight.sum())
        certainty = weight.sum() / (weight.sum() + EXPECTED)
        return float(np.clip(wider, 0.6, 2.0)), TRUSTED[name] * max(score, 1e-3) ** (-SHARPNESS * certainty)

    def _past(self, now: Issue, back: int) -> Issue | None:
        """The issue whose last week was `back` weeks before that of `now`, made from what was known then."""
        reference = now.last - (back - 1) * WEEK
        try:
            issue = self._issue(reference, HORIZONS)
        except InputError:
            return None
        return issue if issue.last == now.last - back * WEEK else None


def _grown(values: Array, national: Array, fits: list[growth.Fit], memory: tuple[int, int], steps: int) -> Member:
    middle, spread, quantiles = [], [], []
    for step in range(1, steps + 1):
        found = fits[min(step, len(fits)) - 1]
        mid, wide = growth.predict(found, values, national, memory)
        middle.append(mid)
        spread.append(wide)
        quantiles.append(_from_log(mid[:, None] + wide[:, None] * found.shape))
    return Member(np.stack(middle), np.stack(spread), np.stack(quantiles))


def _from_log(z: Array) -> Array:
    return np.asarray(np.maximum(np.exp(np.minimum(z, 25.0)) - 1, 0.0))


def _widened(member: Member, step: int, factor: float) -> Array:
    """A member's quantiles with their distance from its middle, in log units, times `factor`."""
    z, middle = np.log(member.quantiles[step] + 1), member.middle[step][:, None]
    return _from_log(middle + factor * (z - middle))


def forecasts(
    forecaster: Forecaster,
    references: Iterable[np.datetime64],
    target: str = "wk inc flu hosp",
    told: Told = lambda share, words: None,
) -> pd.DataFrame:
    """Forecasts for several reference dates as a hubverse table."""
    dates = list(references)
    frames = []
    for number, reference in enumerate(dates):
        told(number / len(dates), f"{reference}")
        frames.append(hub_table(forecaster.forecast(reference), reference, forecaster.vintages.places, target))
    return pd.concat(frames, ignore_index=True)


def hub_table(quantiles: Array, reference: np.datetime64, places: list[str], target: str) -> pd.DataFrame:
    """Quantiles (horizons, places, 23) in the columns of the hubverse."""
    horizons, count, levels = quantiles.shape
    ends = np.array([reference + h * WEEK for h in range(horizons)]).astype(str)
    return pd.DataFrame(
        {
            "reference_date": str(reference),
            "target": target,
            "horizon": np.repeat(np.arange(horizons), count * levels),
            "target_end_date": np.repeat(ends, count * levels),
            "location": np.tile(np.repeat(np.array(places, dtype=object), levels), horizons),
            "output_type": "quantile",
            "output_type_id": np.tile(LEVELS, horizons * count),
            "value": quantiles.reshape(-1),
        }
    )
