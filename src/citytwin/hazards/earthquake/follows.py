"""What follows from damage states: rates that many entries share, times the amounts of each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from citytwin.hazards.earthquake.kernel_lanes import FOLLOWS

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Follows:
    """Quantity q of entry i in state s is rates[kind[i], s, q] * amount[i, of[q]].

    rates: float32 (kinds, 6, 16), zero for state 0 (none). kind: int32 (n,). amount: float32 (n, amounts). of: int64 (16,), the
    amount that each quantity goes by. count: quantities in use.
    """

    rates: F32
    kind: npt.NDArray[np.int32]
    amount: F32
    of: npt.NDArray[np.int64]
    count: int

    @staticmethod
    def each(values: npt.ArrayLike) -> Follows:
        """What is said for each entry by itself, (n, 6, quantities)."""
        given = np.asarray(values, dtype=np.float32)
        rates = np.zeros((len(given), 6, FOLLOWS), dtype=np.float32)
        rates[:, :, : given.shape[2]] = given
        one = np.ones((len(given), 1), dtype=np.float32)
        return Follows(rates, np.arange(len(given), dtype=np.int32), one, np.zeros(FOLLOWS, dtype=np.int64), given.shape[2])

    @staticmethod
    def of_first(amount: npt.ArrayLike) -> Follows:
        """One quantity: `amount` (n,) in state 1, nothing in the others."""
        rates = np.zeros((1, 6, FOLLOWS), dtype=np.float32)
        rates[0, 1, 0] = 1.0
        own = np.ascontiguousarray(np.asarray(amount, dtype=np.float32)[:, None])
        return Follows(rates, np.zeros(len(own), dtype=np.int32), own, np.zeros(FOLLOWS, dtype=np.int64), 1)

    def weighed(self, weight: F64) -> Follows:
        """The same for entries that stand for a share of their building."""
        if (weight == 1.0).all():
            return self
        return replace(self, amount=np.ascontiguousarray(self.amount * weight[:, None].astype(np.float32)))

    def expected(self, probability: F64, quantity: int) -> F64:
        """Expected value of one quantity for each entry, from the probabilities (n, 6) of its states."""
        out = np.zeros(len(self.kind))
        for state in range(1, probability.shape[1]):
            out += probability[:, state] * self.rates[:, state, quantity][self.kind]
        return out * self.amount[:, self.of[quantity]]
