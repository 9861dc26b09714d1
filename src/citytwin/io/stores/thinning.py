"""Series made short enough to be drawn: by buckets with their least and greatest values, or by the points that show most.

Largest-Triangle-Three-Buckets after S. Steinarsson, Downsampling Time Series for Visual Representation, MSc thesis,
University of Iceland 2013, section 4.2: of each bucket the point that makes the largest triangle with the point chosen before
and the mean of the bucket after.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def thinned(time: Floats, value: Floats, begin: float, end: float, points: int) -> dict[str, list[float]]:
    """At most `points` buckets of equal length: their middle, mean, least and greatest value. Empty buckets are left out."""
    if len(time) <= points:
        return {"time": time.tolist(), "value": value.tolist(), "low": value.tolist(), "high": value.tolist()}
    bucket = np.minimum(((time - begin) / max(end - begin, 1e-9) * points).astype(np.int64), points - 1)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    number = np.diff(np.append(starts, len(time)))
    return {
        "time": (np.add.reduceat(time, starts) / number).tolist(),
        "value": (np.add.reduceat(value, starts) / number).tolist(),
        "low": np.minimum.reduceat(value, starts).tolist(),
        "high": np.maximum.reduceat(value, starts).tolist(),
    }


def telling(time: Floats, value: Floats, points: int) -> npt.NDArray[np.int64]:
    """Positions of at most `points` readings that show the course best, first and last among them. `points` is at least 3."""
    if len(time) <= points:
        return np.arange(len(time))
    return np.asarray(_largest_triangles(time - time[0], value, points))


@numba.njit(cache=True, nogil=True)
def _largest_triangles(x, y, points):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = len(x)
    chosen = np.empty(points, np.int64)
    chosen[0], chosen[-1] = 0, n - 1
    edge = 1 + (np.arange(points - 1) * ((n - 2) / (points - 2))).astype(np.int64)  # bucket k is edge[k] ... edge[k + 1]
    edge[-1] = n - 1
    for k in range(points - 2):
        after, stop = edge[k + 1], edge[k + 2] if k + 2 < points - 1 else n
        mean_x, mean_y = np.mean(x[after:stop]), np.mean(y[after:stop])
        before = chosen[k]
        best, found = -1.0, edge[k]
        for i in range(edge[k], edge[k + 1]):
            area = abs((x[before] - mean_x) * (y[i] - y[before]) - (x[before] - x[i]) * (mean_y - y[before]))
            if area > best:
                best, found = area, i
        chosen[k + 1] = found
    return chosen
