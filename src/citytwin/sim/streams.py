"""Named random streams: the same seed and name give the same numbers, whoever else draws, on any number of workers."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """A family of independent random generators for one `seed` and ensemble `member`."""

    seed: int
    member: int = 0

    def named(self, name: str) -> np.random.Generator:
        """A fresh generator (PCG64) for `name`; asked again it starts again."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, self.member, zlib.crc32(name.encode())])))
