"""Fitting tables of counts to their margins, and turning them into whole numbers that keep the margins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
ROUNDS = 200
CLOSE = 1e-6


def fitted(table: Numbers, margins: Sequence[tuple[Rows, Numbers]], rounds: int = ROUNDS) -> Numbers:
    """`table` scaled until its sums over the classes of each margin are as given (iterative proportional fitting).

    margins: pairs of a class for each cell (same shape as the table, whole numbers, -1 for cells that it does not hold) and the
    total of each class. Deming and Stephan (1940), Ann. Math. Stat. 11, 427-444. Margins that contradict end in a compromise.
    """
    out = np.asarray(table, dtype=float).copy()
    flat = out.reshape(-1)
    for _ in range(rounds):
        worst = 0.0
        for label, total in margins:
            cell = np.asarray(label).reshape(-1)
            inside = cell >= 0
            now = np.bincount(cell[inside], weights=flat[inside], minlength=len(total))
            scale = np.divide(total, now, out=np.zeros(len(total)), where=now > 0)
            worst = max(worst, float(np.abs(scale[now > 0] - 1).max(initial=0)))
            flat[inside] *= scale[cell[inside]]
        if worst < CLOSE:
            break
    return out


def by_rows(shape: tuple[int, int]) -> Rows:
    """The class of each cell where rows are the classes."""
    return np.broadcast_to(np.arange(shape[0])[:, None], shape)


def by_columns(shape: tuple[int, int]) -> Rows:
    """The class of each cell where columns are the classes."""
    return np.broadcast_to(np.arange(shape[1])[None, :], shape)


def shared_out(weight: npt.ArrayLike, total: int) -> Rows:
    """`total` in whole parts by `weight`, by largest remainder."""
    weight = np.asarray(weight, dtype=float)
    weight = weight if weight.sum() > 0 else np.ones(len(weight))
    exact = weight / weight.sum() * total
    parts = np.floor(exact).astype(np.int64)
    parts[np.argsort(-(exact - parts), kind="stable")[: int(total - parts.sum())]] += 1
    return np.asarray(parts)


def whole(table: Numbers, row_totals: Rows) -> Rows:
    """`table` in whole numbers whose rows add up to `row_totals`, and whose columns to their rounded sums.

    Columns are rounded along their cumulative sums; then single counts move within columns from rows with too many to rows with
    too few, where rounding has changed least (controlled rounding; Cox 1987, J. Am. Stat. Assoc. 82, 520-524, has the problem).
    The total of row_totals must be the rounded total of the table.
    """
    columns = shared_out(table.sum(axis=0), int(row_totals.sum()))
    scale = np.divide(columns, table.sum(axis=0), out=np.zeros(table.shape[1]), where=table.sum(axis=0) > 0)
    exact = table * scale
    sums = np.rint(np.cumsum(exact, axis=0))
    if len(sums):
        sums[-1] = columns
    out = np.diff(sums, axis=0, prepend=0.0).astype(np.int64)
    short = np.asarray(row_totals, dtype=np.int64) - out.sum(axis=1)
    for _ in range(int(np.abs(short).sum()) + 1):
        give, take = int(np.argmin(short)), int(np.argmax(short))
        if short[take] <= 0 or short[give] >= 0:
            break
        gain = np.where(out[give] > 0, (out[give] - exact[give]) - (out[take] - exact[take]), -np.inf)
        column = int(np.argmax(gain))
        many = max(1, min(int(out[give, column]), int(-short[give]), int(short[take]), int(gain[column])))
        out[give, column] -= many
        out[take, column] += many
        short[give] += many
        short[take] -= many
    return np.asarray(out)


def gravity(distance: Numbers, origins: Numbers, targets: Numbers, mean: float | None = None, scale: float = 3000.0) -> Numbers:
    """Trips between places, their sums as given: T = A O B D exp(-distance / scale) (Wilson 1967, Transp. Res. 1, 253-269).

    mean: mean length (m) that the scale is fitted to, by Hyman's iteration (1969, Environ. Plan. 1, 105-112).
    targets are scaled to the origins' total.
    """
    wanted = targets * (origins.sum() / max(targets.sum(), 1e-300))
    margins = [(by_rows(distance.shape), origins), (by_columns(distance.shape), wanted)]
    trips = np.zeros_like(distance)
    for _ in range(1 if mean is None else 12):
        trips = fitted(np.exp(-distance / scale) * np.outer(origins > 0, wanted > 0), margins, 60)
        length = float((trips * distance).sum() / max(trips.sum(), 1e-300))
        if mean is None or abs(length - mean) < 0.01 * mean:
            break
        scale = float(np.clip(scale * mean / max(length, 1e-9), 50.0, 1e7))
    return trips


def radiation(distance: Numbers, people: Numbers, origins: Numbers) -> Numbers:
    """Trips by the radiation model: chance ~ m n / ((m + s) (m + n + s)), s: people nearer than the target.

    Simini et al. (2012), Nature 484, 96-100; rows add up to `origins`. A place's own trips follow with n of its own people.
    """
    count = len(people)
    out = np.zeros_like(distance)
    for i in range(count):
        order = np.argsort(distance[i], kind="stable")
        before = np.cumsum(people[order]) - people[order]
        s = np.maximum(before - np.where(order == i, 0.0, people[i]), 0.0)
        m, n = max(people[i], 1e-9), people[order]
        out[i, order] = m * n / ((m + s) * (m + n + s))
        out[i] *= origins[i] / max(out[i].sum(), 1e-300)
    return out
