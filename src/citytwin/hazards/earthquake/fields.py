"""Random fields of shaking, in blocks of realisations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.shaking import Shaking
from citytwin.sim.streams import Streams

Field = npt.NDArray[np.float32]


def blocks(
    shaking: Shaking,
    streams: Streams,
    realisations: int,
    correlation: object = None,
    stations: object | None = None,
    block: int = 64,
) -> Iterator[Field]:
    """Ln of the measures, float32[m, b, n], `block` realisations at a time; the same bits on any number of threads."""
    m, n = shaking.median.shape
    for first in range(0, realisations, block):
        size = min(block, realisations - first)
        random = streams.named(f"shaking {first // block}")
        event = random.standard_normal((m, size, 1), dtype=np.float32)
        own = random.standard_normal((m, size, n), dtype=np.float32)
        yield (shaking.median[:, None, :] + shaking.between[:, None, :] * event + shaking.within[:, None, :] * own).astype(
            np.float32
        )
